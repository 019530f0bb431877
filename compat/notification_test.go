package compat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// note is a message of Notification 2.0 as a client sees it.
type note struct {
	ack, api, source, action string
	body                     []byte
}

func parseNote(frame []byte) (n note, err error) {
	head, body, ok := strings.Cut(string(frame), "\n\n")
	line := strings.Split(head, "\n")
	if !ok || len(line) != 3 {
		return n, fmt.Errorf("not a message: %q", frame)
	}
	about := strings.Split(line[1], "/")
	if len(about) != 4 || about[0] != "" || about[1] != "main" {
		return n, fmt.Errorf("not about anything of the tenant: %q", line[1])
	}
	return note{line[0], about[2], about[3], line[2], []byte(body)}, nil
}

// marker is what the test wrote into the document.
func (n *note) marker() string {
	var doc struct {
		Text  string
		Type  string
		Value struct{ V struct{ Value json.Number } } `json:"compat_Note"`
		Crash struct{ M string }                      `json:"compat_Operation"`
	}
	if json.Unmarshal(n.body, &doc) != nil {
		return ""
	}
	switch n.api {
	case "measurements":
		return doc.Value.V.Value.String()
	case "alarms":
		return strings.TrimPrefix(doc.Type, "compat_Note_")
	case "operations":
		return doc.Crash.M
	}
	return doc.Text
}

// subscriber is a consumer as its client knows it, over all its connections.
type subscriber struct {
	name    string
	token   string
	members []string // empty: it is not shared

	mu     sync.Mutex // guards the following
	seen   map[string]bool
	sure   map[string]bool  // acknowledged, and the server has said that it has stored that
	newest map[string]int64 // by source and the way of the fact
	again  int              // came more than once, as is allowed
	faults []string
}

// got takes in a message.
func (s *subscriber) got(n note) {
	m := n.marker()
	way := n.source + " http"
	if n.api == "measurements" {
		way = n.source + " mqtt"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := strconv.ParseInt(m, 10, 64)
	switch {
	case err != nil:
		s.faults = append(s.faults, fmt.Sprintf("no marker in %s: %.200s", n.api, n.body))
	case s.sure[m]:
		s.faults = append(s.faults, "acknowledged, stored and delivered again: "+m)
	case s.seen[m]:
		s.again++
	case number <= s.newest[way]:
		s.faults = append(s.faults, fmt.Sprintf("%s came after %d of %s", m, s.newest[way], way))
	default:
		s.newest[way] = number
	}
	s.seen[m] = true
}

// station is one connection of a subscriber: it acknowledges what comes, and now and then asks whether that is stored.
type station struct {
	s    *subscriber
	conn *websocket.Conn
	mu   sync.Mutex // guards sent
	sent []string   // acknowledged since the last question
	done sync.WaitGroup
	// acknowledged, and of these stored for certain
	acks, stored atomic.Int64
}

func (s *subscriber) connect(t *testing.T, server *rig.Server) (out []*station) {
	t.Helper()
	members := s.members
	if len(members) == 0 {
		members = []string{""}
	}
	for _, member := range members {
		url := "ws" + strings.TrimPrefix(server.URL, "http") + "/notification2/consumer/?token=" + s.token
		if member != "" {
			url += "&consumer=" + member
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		conn, _, err := websocket.Dial(ctx, url, nil)
		cancel()
		if err != nil {
			t.Fatalf("consumer %s: %v", s.name, err)
		}
		conn.SetReadLimit(1 << 20)
		st := &station{s: s, conn: conn}
		st.done.Go(st.read)
		st.done.Go(st.ask)
		out = append(out, st)
	}
	return out
}

func (st *station) read() {
	for {
		_, frame, err := st.conn.Read(context.Background())
		if err != nil {
			return
		}
		n, err := parseNote(frame)
		if err != nil {
			st.s.mu.Lock()
			st.s.faults = append(st.s.faults, err.Error())
			st.s.mu.Unlock()
			return
		}
		st.s.got(n)
		if st.conn.Write(context.Background(), websocket.MessageText, []byte(n.ack)) != nil {
			return
		}
		st.mu.Lock()
		st.sent = append(st.sent, n.marker())
		st.mu.Unlock()
		st.acks.Add(1)
	}
}

// ask pings until the connection ends: a pong says that all acknowledgements before the ping are stored.
func (st *station) ask() {
	for {
		st.mu.Lock()
		sent := st.sent
		st.sent = nil
		st.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := st.conn.Ping(ctx)
		cancel()
		if err != nil {
			return
		}
		st.s.mu.Lock()
		for _, m := range sent {
			st.s.sure[m] = true
		}
		st.s.mu.Unlock()
		st.stored.Add(int64(len(sent)))
		time.Sleep(time.Millisecond) // a pause between questions, not a wait for anything
	}
}

func (st *station) close() {
	_ = st.conn.CloseNow()
	st.done.Wait()
}

// killed is the run of a test over many lives of a server.
type killed struct {
	t       *testing.T
	devices []rig.Device
	people  []*subscriber
	next    atomic.Int64
	mu      sync.Mutex // guards acked
	acked   map[string]bool
}

func (k *killed) wrote(m string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acked[m] = true
}

// write lets devices write until stop is closed or the server is gone. The numbers of one device and way grow.
func (k *killed) write(s *rig.Server, stop <-chan struct{}) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, d := range k.devices {
		client := s.Connect(k.t, d)
		wg.Go(func() {
			window := make(chan struct{}, inFlight)
			var answers sync.WaitGroup
			defer answers.Wait()
			for client.IsConnected() {
				select {
				case window <- struct{}{}:
				case <-stop:
					return
				}
				m := strconv.FormatInt(k.next.Add(1), 10)
				token := client.Publish("s/us", 1, false, "200,compat_Note,V,"+m)
				answers.Go(func() {
					if token.WaitTimeout(10*time.Second) && token.Error() == nil {
						k.wrote(m)
					}
					<-window
				})
			}
		})
		admin := s.Admin()
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m := strconv.FormatInt(k.next.Add(1), 10)
				path, body := "/event/events", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Note", "text": m, "time": "2026-01-01T00:00:00Z"}
				switch n % 3 {
				case 1:
					path, body = "/alarm/alarms", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Note_" + m, "text": "x", "severity": "MINOR", "status": "ACTIVE", "time": "2026-01-01T00:00:00Z"}
				case 2:
					path, body = "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "compat_Operation": map[string]string{"m": m}}
				}
				if a, err := admin.Do("POST", path, body); err == nil && a.Status == 201 {
					k.wrote(m)
				}
			}
		})
	}
	return &wg
}

func (k *killed) missing(s *subscriber) (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range k.acked {
		if !s.seen[m] {
			out = append(out, m)
		}
	}
	return out
}

// check tells what went wrong.
func (k *killed) check(when string) {
	k.t.Helper()
	for _, s := range k.people {
		s.mu.Lock()
		if len(s.faults) > 0 {
			k.t.Errorf("%s: %d faults of the consumer %s: %.600s", when, len(s.faults), s.name, strings.Join(s.faults, "; "))
		}
		s.mu.Unlock()
	}
}

func (k *killed) connect(s *rig.Server) (out []*station) {
	k.t.Helper()
	for _, p := range k.people {
		out = append(out, p.connect(k.t, s)...)
	}
	return out
}

// TestNotificationsWhenKilled kills the program at random moments while devices write and consumers of Notification 2.0 read, one alone and one shared by two. The
// bounds are those of the protocol, whose acknowledgement has no answer:
//   - what was acknowledged to its sender reaches every consumer;
//   - what a consumer acknowledged is not delivered again once a later ping was answered; without that it may be;
//   - what is delivered for the first time is in the order of its sender.
func TestNotificationsWhenKilled(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			options, n, s := engine.options(t), size(t, "ISOBAR_SOAK", 6, 2), seed(t)
			t.Logf("ISOBAR_SEED=%d", s)
			random := rand.New(rand.NewPCG(s, 0))
			options.Args = unlimited
			server := rig.Start(t, options)
			k := &killed{t: t, acked: map[string]bool{}}
			for i := range 2 {
				d := server.Register(t, fmt.Sprint("notified-", i))
				k.devices = append(k.devices, d)
				subscribeTo(t, server, map[string]any{"context": "mo", "source": map[string]string{"id": d.ID}, "subscription": "kills",
					"subscriptionFilter": map[string]any{"apis": []string{"measurements", "events", "alarms", "operations"}}})
			}
			for _, p := range []*subscriber{{name: "alone"}, {name: "team", members: []string{"a", "b"}}} {
				p.seen, p.sure, p.newest = map[string]bool{}, map[string]bool{}, map[string]int64{}
				p.token = tokenOf(t, server, map[string]any{"subscription": "kills", "subscriber": p.name, "shared": len(p.members) > 0})
				k.people = append(k.people, p)
			}
			for cycle := range n {
				stations, stop := k.connect(server), make(chan struct{})
				writers := k.write(server, stop)
				time.Sleep(time.Duration(200+random.IntN(600)) * time.Millisecond) // the load of a cycle, not a wait for anything
				server.Kill()
				close(stop)
				writers.Wait()
				for _, st := range stations {
					st.close()
				}
				noDefects(t, server)
				server = rig.Start(t, options)
				if k.check(fmt.Sprint("cycle ", cycle)); t.Failed() {
					t.Fatalf("seed %d", s)
				}
			}
			stations := k.connect(server)
			for _, p := range k.people {
				eventuallyWithin(t, time.Minute, func() bool { return len(k.missing(p)) == 0 }, func() string {
					missing := k.missing(p)
					return fmt.Sprintf("%d of %d did not reach the consumer %s: %.200s", len(missing), len(k.acked), p.name, strings.Join(missing, " "))
				})
			}
			for _, st := range stations {
				eventuallyWithin(t, time.Minute, func() bool { return st.stored.Load() == st.acks.Load() }, func() string { return "acknowledgements of " + st.s.name + " are not stored" })
				st.close()
			}
			k.check("in the end")
			for _, p := range k.people {
				if len(p.seen) < 20*n {
					t.Errorf("%s got only %d in %d cycles: the load is too weak to show anything", p.name, len(p.seen), n)
				}
				t.Logf("%s: %d facts, %d of them more than once, none of those acknowledged for certain", p.name, len(p.seen), p.again)
			}
			k.afterRestart(server, options)
			t.Logf("%d kills, %d facts acknowledged, none lost", n, len(k.acked))
		})
	}
}

// afterRestart stops the server in order: nothing of what came before comes again.
func (k *killed) afterRestart(server *rig.Server, options rig.Options) {
	t := k.t
	t.Helper()
	if code, _ := server.Stop(t); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	noDefects(t, server)
	server = rig.Start(t, options)
	stations := k.connect(server)
	m := strconv.FormatInt(k.next.Add(1), 10)
	server.Admin().Want(t, 201, "POST", "/event/events", map[string]any{"source": map[string]string{"id": k.devices[0].ID}, "type": "compat_Note", "text": m, "time": "2026-01-01T00:00:00Z"}, nil)
	k.wrote(m)
	for _, p := range k.people {
		eventuallyWithin(t, time.Minute, func() bool { return len(k.missing(p)) == 0 }, func() string { return "an event after the restart does not come" })
	}
	for _, st := range stations {
		st.close()
	}
	k.check("after a restart in order")
	total := int64(0)
	for _, st := range stations {
		total += st.acks.Load()
	}
	if total > int64(len(k.people)) {
		t.Errorf("%d messages came after a restart in order, want one for each of %d consumers", total, len(k.people))
	}
	noDefects(t, server)
}

func eventuallyWithin(t *testing.T, within time.Duration, check func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(within); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what())
		}
	}
}

func subscribeTo(t *testing.T, s *rig.Server, body map[string]any) {
	t.Helper()
	s.Admin().Want(t, 201, "POST", "/notification2/subscriptions", body, nil)
}

func tokenOf(t *testing.T, s *rig.Server, body map[string]any) string {
	t.Helper()
	var v struct{ Token string }
	s.Admin().Want(t, 200, "POST", "/notification2/token", body, &v)
	return v.Token
}

// TestNotificationFilters: section 21.2 of the reference: what goes to a topic, in memory and not.
func TestNotificationFilters(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			options := engine.options(t)
			server := rig.Start(t, options)
			d := server.Register(t, "filtered")
			source := map[string]string{"id": d.ID}
			for _, volatile := range []bool{false, true} {
				for name, filter := range map[string]map[string]any{
					"types": {"apis": []string{"events"}, "typeFilter": "'one' or 'two'"}, "alarms": {"apis": []string{"alarms"}}, "all": {"apis": []string{"alarms", "events", "measurements"}}, "object": {"apis": []string{"managedobjects"}},
				} {
					body := map[string]any{"context": "mo", "source": source, "subscription": fmt.Sprint(name, volatile), "subscriptionFilter": filter, "nonPersistent": volatile}
					if name == "types" {
						body["fragmentsToCopy"] = []string{"kept"}
					}
					subscribeTo(t, server, body)
				}
			}
			open := map[string]*websocket.Conn{}
			for _, volatile := range []bool{false, true} {
				for _, name := range []string{"types", "alarms", "all", "object"} {
					name := fmt.Sprint(name, volatile)
					token := tokenOf(t, server, map[string]any{"subscription": name, "subscriber": "me", "nonPersistent": volatile})
					conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/notification2/consumer?token="+token, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.CloseNow()
					open[name] = conn
				}
			}
			admin := server.Admin()
			for _, typ := range []string{"one", "three", "two"} {
				admin.Want(t, 201, "POST", "/event/events", map[string]any{"source": source, "type": typ, "text": "x", "time": "2026-01-01T00:00:00Z", "kept": 1, "left": 2}, nil)
			}
			admin.Want(t, 201, "POST", "/alarm/alarms", map[string]any{"source": source, "type": "one", "text": "x", "severity": "MINOR", "status": "ACTIVE", "time": "2026-01-01T00:00:00Z"}, nil)
			var m struct{ ID string }
			admin.Want(t, 201, "POST", "/measurement/measurements", map[string]any{"source": source, "type": "one", "time": "2026-01-01T00:00:00Z", "kept": map[string]any{"v": map[string]any{"value": 1}}}, &m)
			admin.Want(t, 204, "DELETE", "/measurement/measurements/"+m.ID, nil, nil)
			for name, want := range map[string]string{"types": "events CREATE one, events CREATE two", "alarms": "alarms CREATE one", "object": "managedobjects UPDATE compat_Device",
				"all": "events CREATE one, events CREATE three, events CREATE two, alarms CREATE one, measurements CREATE one, measurements DELETE "} {
				for _, volatile := range []bool{false, true} {
					got := readNotes(t, open[fmt.Sprint(name, volatile)], strings.Count(want, ",")+1, func(n note) {
						if n.api == "events" && strings.Contains(string(n.body), `"left"`) == (name == "types") {
							t.Errorf("%s: fragments: %s", name, n.body)
						}
					})
					if got != want && !(volatile && sameWords(got, want)) { // in memory, kinds of facts come on ways of their own
						t.Errorf("%s, in memory %v: got %s\nwant %s", name, volatile, got, want)
					}
				}
			}
			noDefects(t, server)
		})
	}
}

func readNotes(t *testing.T, conn *websocket.Conn, n int, look func(note)) string {
	t.Helper()
	var out []string
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, frame, err := conn.Read(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		m, err := parseNote(frame)
		if err != nil {
			t.Fatal(err)
		}
		look(m)
		var doc struct{ Type string }
		if err := json.Unmarshal(m.body, &doc); err != nil {
			t.Fatalf("%v: %s", err, m.body)
		}
		out = append(out, m.api+" "+m.action+" "+doc.Type)
	}
	return strings.Join(out, ", ")
}

func sameWords(a, b string) bool {
	x, y := strings.Split(a, ", "), strings.Split(b, ", ")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
