package compat_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// Kinds of what is written and must not be lost.
const (
	measurementMQTT = "measurements by MQTT"
	measurementHTTP = "measurements by HTTP"
	event           = "events by MQTT"
	alarm           = "alarms by MQTT"
	operation       = "operations by HTTP"
	routed          = "messages for a device that is away"
)

var kinds = []string{measurementMQTT, measurementHTTP, event, alarm, operation, routed}

// ledger is what the clients know: the markers of what was acknowledged to them. It is safe for concurrent use.
type ledger struct {
	mu    sync.Mutex
	acked map[string]map[string]bool // by kind
	next  atomic.Int64
}

func (l *ledger) add(kind, marker string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked[kind] == nil {
		l.acked[kind] = map[string]bool{}
	}
	l.acked[kind][marker] = true
}

func (l *ledger) marker() string { return strconv.FormatInt(l.next.Add(1), 10) }

func (l *ledger) total() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.acked {
		n += len(m)
	}
	return n
}

// demand fails the test for what was acknowledged and is not there.
func (l *ledger) demand(t *testing.T, when string, there map[string]map[string]bool) {
	t.Helper()
	for _, kind := range kinds {
		var lost []string
		for m := range l.acked[kind] {
			if !there[kind][m] {
				lost = append(lost, m)
			}
		}
		if len(lost) > 0 {
			t.Errorf("%s: %d of %d acknowledged %s are lost: %.200s", when, len(lost), len(l.acked[kind]), kind, strings.Join(lost, " "))
		}
	}
}

// size returns how long a test is to be: what an environment variable says, or the ordinary size, or that of go test -short.
func size(t *testing.T, name string, ordinary, short int) int {
	t.Helper()
	if v := os.Getenv(name); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q is not a number from 1", name, v)
		}
		return n
	}
	if testing.Short() {
		return short
	}
	return ordinary
}

func seed(t *testing.T) uint64 {
	if v := os.Getenv("ISOBAR_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return rand.Uint64()
}

// TestKillUnderLoad kills the program at random moments while devices and users write, on one data folder all the time. Whatever was
// acknowledged to a client before must be there after the restart.
func TestKillUnderLoad(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			options, n, s := engine.options(t), size(t, "ISOBAR_SOAK", 20, 3), seed(t)
			t.Logf("ISOBAR_SEED=%d", s)
			random := rand.New(rand.NewPCG(s, 0))
			c := &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}}
			server := rig.Start(t, options)
			c.register(server)
			began, slowest, written := time.Now(), time.Duration(0), 0
			for cycle := range n {
				c.load(server, time.Duration(200+random.IntN(600))*time.Millisecond, server.Kill)
				noDefects(t, server)
				verifyAudit(t, options)
				server = rig.Start(t, options)
				slowest = max(slowest, server.Ready)
				if c.cycle.total() == 0 {
					t.Fatal("nothing was acknowledged, so that this cycle shows nothing")
				}
				written += c.cycle.total()
				c.verify(server, fmt.Sprintf("cycle %d", cycle), &c.cycle, c.since)
				if t.Failed() {
					t.Fatalf("seed %d", s)
				}
			}
			c.verify(server, "in the end", &c.all, time.Unix(0, 0))
			for _, kind := range kinds {
				if len(c.all.acked[kind]) < n {
					t.Errorf("only %d %s were acknowledged in %d cycles: the load is too weak to show anything", len(c.all.acked[kind]), kind, n)
				}
				t.Logf("%7d %s", len(c.all.acked[kind]), kind)
			}
			if slowest > 10*time.Second {
				t.Errorf("the slowest restart took %s", slowest)
			}
			noDefects(t, server)
			t.Logf("%d kills, %d acknowledged, none lost; slowest restart %s; %s in all", n, written, slowest.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		})
	}
}

// verifyAudit fails the test unless the audit of a killed server is a whole chain.
func verifyAudit(t *testing.T, o rig.Options) {
	t.Helper()
	args := []string{"audit", "verify", "--data", o.Data}
	if o.Postgres != "" {
		args = append(args, "--postgres", o.Postgres)
	}
	p := rig.Run(t, nil, args...)
	if code := p.Exit(t, 30*time.Second); code != 0 {
		t.Fatalf("the audit does not verify after a kill (exit code %d):\n%s%s", code, p.Out.String(), p.Err.String())
	}
}

// crash is one run over many cycles.
type crash struct {
	t       *testing.T
	devices []rig.Device
	away    rig.Device // has a durable session and is not connected while messages for it arrive
	all     ledger
	cycle   ledger    // of the present cycle
	counted *ledger   // if set by the fault, what is counted of the cycle
	since   time.Time // its begin
	seen    map[string]bool
}

const (
	publishers = 3
	inFlight   = 32  // per publisher
	forAway    = 400 // messages in one cycle: below what a session may queue
)

func (c *crash) register(s *rig.Server) {
	for i := range publishers {
		c.devices = append(c.devices, s.Register(c.t, fmt.Sprintf("crash-%d", i)))
	}
	c.away, c.seen = s.Register(c.t, "crash-away"), map[string]bool{}
	c.readAway(s, nil)
}

// load writes from all sides, and a fault strikes after a while, in the middle of it.
func (c *crash) load(s *rig.Server, length time.Duration, strike func()) {
	c.since, c.cycle.acked = time.Now().Add(-time.Second), map[string]map[string]bool{}
	var wg sync.WaitGroup
	ctx := make(chan struct{})
	for i, d := range c.devices {
		client := s.Connect(c.t, d)
		wg.Go(func() { c.publish(client, i, ctx) })
		wg.Go(func() { c.post(s, d, ctx) })
	}
	time.Sleep(length) // the load of a cycle, not a wait for anything
	strike()
	close(ctx)
	wg.Wait()
	if c.counted != nil {
		c.cycle.acked, c.counted = c.counted.acked, nil
	}
	for kind, markers := range c.cycle.acked {
		for m := range markers {
			c.all.add(kind, m)
		}
	}
}

// publish keeps a window of messages in flight until the connection breaks, and records the acknowledged ones.
func (c *crash) publish(client *rig.Connection, i int, stop <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	window, sent := make(chan struct{}, inFlight), 0
	for n := i; client.IsConnected(); n++ {
		select {
		case window <- struct{}{}:
		case <-stop:
			return
		}
		m := c.all.marker()
		kind, topic, payload := measurementMQTT, "s/us", "200,compat_Crash,v,"+m
		switch {
		case n%8 == 1:
			kind, payload = event, "400,compat_Crash,"+m
		case n%8 == 3:
			kind, payload = alarm, "302,compat_Crash_"+m+",text"
		case n%8 == 5 && sent < forAway/publishers:
			sent++
			kind, topic, payload = routed, "compat/crash", m
		case n%8 == 6:
			payload = "200,compat_Crash,v," + m + "\n400,compat_Lines,x"
		}
		token := client.Publish(topic, 1, false, payload)
		wg.Go(func() {
			if token.WaitTimeout(10*time.Second) && token.Error() == nil {
				c.cycle.add(kind, m)
			}
			<-window
		})
	}
}

// post writes measurements and operations one after the other over HTTP.
func (c *crash) post(s *rig.Server, d rig.Device, stop <-chan struct{}) {
	admin, me := s.Admin(), rig.User{URL: s.URL, Name: d.User, Password: d.Password}
	for {
		select {
		case <-stop:
			return
		default:
		}
		m := c.all.marker()
		n, _ := strconv.Atoi(m)
		a, err := me.Do("POST", "/measurement/measurements", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Crash",
			"time": time.Now().UTC().Format(time.RFC3339Nano), "compat_Crash": map[string]any{"http": map[string]any{"value": n}}})
		if err == nil && a.Status == 201 {
			c.cycle.add(measurementHTTP, m)
		}
		a, err = admin.Do("POST", "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "compat_Crash": map[string]string{"m": m}})
		if err == nil && a.Status == 201 {
			c.cycle.add(operation, m)
		}
	}
}

// verify reads everything since a time over REST, page by page, and compares.
func (c *crash) verify(s *rig.Server, when string, l *ledger, since time.Time) {
	c.t.Helper()
	there := map[string]map[string]bool{}
	for _, k := range kinds {
		there[k] = map[string]bool{}
	}
	from := "&dateFrom=" + url.QueryEscape(since.UTC().Format(time.RFC3339Nano))
	admin := s.Admin()
	for _, d := range c.devices {
		last := int64(0)
		admin.Each(c.t, "/measurement/measurements?source="+d.ID+from, "measurements", func(raw json.RawMessage) {
			var m struct {
				Crash struct {
					V    *struct{ Value json.Number }
					HTTP *struct{ Value json.Number }
				} `json:"compat_Crash"`
			}
			if err := json.Unmarshal(raw, &m); err != nil {
				c.t.Fatal(err)
			}
			if m.Crash.V != nil {
				there[measurementMQTT][m.Crash.V.Value.String()] = true
				if n, _ := m.Crash.V.Value.Int64(); n > last { // a publisher counts up, over all lives of the server
					last = n
				} else {
					c.t.Errorf("%s: the measurements of a series are out of order: %d after %d", when, n, last)
				}
			}
			if m.Crash.HTTP != nil {
				there[measurementHTTP][m.Crash.HTTP.Value.String()] = true
			}
		})
		admin.Each(c.t, "/event/events?source="+d.ID+"&type=compat_Crash"+from, "events", func(raw json.RawMessage) {
			var e struct{ Text string }
			if err := json.Unmarshal(raw, &e); err != nil {
				c.t.Fatal(err)
			}
			there[event][e.Text] = true
		})
		admin.Each(c.t, "/alarm/alarms?source="+d.ID+from, "alarms", func(raw json.RawMessage) {
			var a struct{ Type string }
			if err := json.Unmarshal(raw, &a); err != nil {
				c.t.Fatal(err)
			}
			there[alarm][strings.TrimPrefix(a.Type, "compat_Crash_")] = true
		})
		admin.Each(c.t, "/devicecontrol/operations?deviceId="+d.ID+from, "operations", func(raw json.RawMessage) {
			var o struct {
				Crash struct{ M string } `json:"compat_Crash"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				c.t.Fatal(err)
			}
			there[operation][o.Crash.M] = true
		})
	}
	c.readAway(s, l.acked[routed])
	there[routed] = c.seen
	l.demand(c.t, when, there)
}

// readAway connects the device that was away, until it has seen what it must see or nothing comes any more.
func (c *crash) readAway(s *rig.Server, want map[string]bool) {
	c.t.Helper()
	missing := map[string]bool{}
	for m := range want {
		if !c.seen[m] {
			missing[m] = true
		}
	}
	in := make(chan string, 10_000)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.MQTT).SetClientID(c.away.Serial).SetUsername(c.away.User).SetPassword(c.away.Password).
		SetCleanSession(false).SetAutoReconnect(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { in <- string(m.Payload()) }))
	wait := func(k paho.Token) {
		c.t.Helper()
		if !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			c.t.Fatalf("the device that was away: %v", k.Error())
		}
	}
	wait(client.Connect())
	if len(want) == 0 {
		wait(client.Subscribe("compat/crash", 1, nil))
	}
	for quiet := 5 * time.Second; len(missing) > 0; {
		select {
		case m := <-in:
			c.seen[m] = true
			delete(missing, m)
			continue
		case <-time.After(quiet):
		}
		break // what is missing is told by the caller
	}
	client.Disconnect(200)
	for {
		select {
		case m := <-in:
			c.seen[m] = true
		default:
			return
		}
	}
}
