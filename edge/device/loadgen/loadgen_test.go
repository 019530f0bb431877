package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAQuantileIsAtMostASixtyFourthTooHigh(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h, other Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(rnd.ExpFloat64() * float64(3*time.Millisecond))
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			other.Add(d)
		}
	}
	h.Merge(&other)
	slices.Sort(all)
	for _, p := range []float64{0.01, 0.5, 0.99, 0.999, 1} {
		want := all[max(int(p*float64(len(all))+0.5)-1, 0)]
		if got := h.Quantile(p); got < want || got > want+want/50+128 {
			t.Errorf("quantile %v: %s, want %s or a little more", p, got, want)
		}
	}
	if h.Count() != 20_000 {
		t.Errorf("counted %d", h.Count())
	}
	for _, d := range []time.Duration{-1, 0, 63, 4095, 4096, 4097, time.Hour, 1 << 62} { // none may be out of range, and each within its bucket
		if b := bucketOf(d); b < 0 || b >= buckets || b < buckets-1 && topOf(b) <= d {
			t.Errorf("%d is in bucket %d, which ends at %d", d, b, topOf(bucketOf(d)))
		}
	}
}

// fakeBroker acknowledges what it gets, in pieces that do not end where packets end.
type fakeBroker struct {
	net.Listener
	mu       sync.Mutex
	payloads map[string][]string // by client
	limit    int                 // messages after which a connection ends; zero: none
}

func newFakeBroker(t *testing.T) *fakeBroker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &fakeBroker{Listener: l, payloads: map[string][]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *fakeBroker) serve(nc net.Conn) {
	defer nc.Close()
	c := &Conn{Conn: nc, r: newReader(nc)}
	_, body, err := c.readFrame(nil)
	if err != nil {
		return
	}
	id := string(body[12 : 12+int(body[10])<<8+int(body[11])])
	if strings.HasPrefix(id, "refused") {
		_, _ = nc.Write([]byte{kindConnack, 2, 0, 5})
		return
	}
	_, _ = nc.Write([]byte{kindConnack, 2, 0, 0})
	_ = c.messages(func(topic, payload []byte, packet uint16) {
		b.mu.Lock()
		b.payloads[id] = append(b.payloads[id], string(topic)+" "+string(payload))
		over := b.limit > 0 && len(b.payloads[id]) >= b.limit
		b.mu.Unlock()
		if over {
			nc.Close()
			return
		}
		ack := AppendAck([]byte{0xD0, 0}, packet) // an unasked answer to a ping comes with it, and must be skipped
		_, _ = nc.Write(ack[:3])
		_, _ = nc.Write(ack[3:])
	})
}

func load(addr string) Load {
	return Load{Addr: addr, Login: Login{ClientID: "c-", User: "u", Password: "p"}, Conns: 3, Window: 5,
		Message: func(conn, n int) (string, string) { return "s/us", fmt.Sprintf("%d,%04d,%s", conn, n, Nanos) }}
}

func TestEveryMessageIsAcknowledgedAndCarriesATimeOfItsOwn(t *testing.T) {
	for _, rate := range []float64{0, 2000} {
		b := newFakeBroker(t)
		s, err := Open(load(b.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for range 2 { // a session can be loaded again
			r, err := s.Run(context.Background(), rate, 150*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if r.Acked == 0 || r.Acked != r.Sent || int(r.Ack.Count()) != r.Acked {
				t.Errorf("sent %d, acknowledged %d, measured %d", r.Sent, r.Acked, r.Ack.Count())
			}
			if r.Took < 100*time.Millisecond || r.PerSecond() <= 0 {
				t.Errorf("took %s", r.Took)
			}
			if rate > 0 && r.Sent+r.Late > int(rate*0.15) {
				t.Errorf("sent %d and dropped %d of %v", r.Sent, r.Late, rate*0.15)
			}
			total += r.Acked
		}
		s.Close()
		b.mu.Lock()
		got := 0
		for id, payloads := range b.payloads {
			got += len(payloads)
			seen := map[string]bool{}
			for _, p := range payloads {
				stamp := p[strings.LastIndexByte(p, ',')+1:]
				if !strings.HasPrefix(p, "s/us "+strings.TrimLeft(id[2:], "0")) && id != "c-0000" || len(stamp) != len(Nanos) || stamp == Nanos || seen[stamp] {
					t.Fatalf("%s sent %q", id, p)
				}
				seen[stamp] = true
			}
		}
		b.mu.Unlock()
		if got != total {
			t.Errorf("the broker got %d messages, acknowledged were %d", got, total)
		}
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	b := newFakeBroker(t)
	s, err := Open(load(b.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.Run(ctx, 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	if time.Since(began) > 20*time.Second {
		t.Error("it went on")
	}
}

func TestWhatCannotBeMeasuredIsAnError(t *testing.T) {
	b := newFakeBroker(t)
	l := load(b.Addr().String())
	for name, change := range map[string]func(*Load){
		"refused":      func(l *Load) { l.Login.ClientID = "refused" },
		"no window":    func(l *Load) { l.Window = 0 },
		"wide window":  func(l *Load) { l.Window = ringSize + 1 },
		"no conns":     func(l *Load) { l.Conns = 0 },
		"uneven sizes": func(l *Load) { l.Message = func(_, n int) (string, string) { return "t", fmt.Sprint(n) } },
		"nobody there": func(l *Load) { l.Addr = "127.0.0.1:1" },
	} {
		l := l
		change(&l)
		if s, err := Open(l); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnAcknowledgementThatNobodyWaitsForIsAnError(t *testing.T) {
	r, err := newRing(0, load("").Message)
	if err != nil {
		t.Fatal(err)
	}
	r.take(2, 1, 1)
	for _, id := range []byte{2, 1} { // in any order
		c := &loader{ring: r, buf: []byte{kindPuback, 2, 0, id}}
		if n, err := c.understand(time.Now()); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, id := range []byte{0, 1, 3} {
		c := &loader{ring: r, buf: []byte{kindPuback, 2, 0, id}}
		if n, err := c.understand(time.Now()); err == nil {
			t.Errorf("%d: counted %d", id, n)
		}
	}
}

func TestABrokerThatGoesAwayIsAnError(t *testing.T) {
	b := newFakeBroker(t)
	b.limit = 40
	s, err := Open(load(b.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Run(context.Background(), 0, time.Minute); err == nil {
		t.Error("no error")
	}
}

func TestHTTPReadsBodiesOfBothForms(t *testing.T) {
	long := strings.Repeat("0123456789", 5000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/chunked":
			for i := 0; i < len(long); i += 10000 {
				_, _ = io.WriteString(w, long[i:i+10000])
				w.(http.Flusher).Flush()
			}
		case "/fail":
			http.Error(w, "no more", http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("X-Test"), b)
		}
	}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	c, err := DialHTTP(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		status, body, err := c.Do(Request("POST", addr, "/x", []byte("hello"), "X-Test", "yes"))
		if err != nil || status != http.StatusCreated || string(body) != "POST yes hello" {
			t.Fatalf("%d %q %v", status, body, err)
		}
		status, body, err = c.Do(Request("GET", addr, "/chunked", nil))
		if err != nil || status != http.StatusOK || string(body) != long {
			t.Fatalf("%d, %d bytes, %v", status, len(body), err)
		}
	}
	r, err := RunHTTP(context.Background(), HTTPLoad{Addr: addr, Conns: 2, Duration: 30 * time.Millisecond, Request: again(Request("GET", addr, "/x", nil))})
	if err != nil || r.Acked == 0 || r.PerSecond() <= 0 {
		t.Errorf("%+v %v", r, err)
	}
	_, err = RunHTTP(context.Background(), HTTPLoad{Addr: addr, Conns: 1, Duration: time.Second, Request: again(Request("GET", addr, "/fail", nil))})
	if err == nil || !strings.Contains(err.Error(), "429: no more") {
		t.Errorf("%v", err)
	}
}

func again(b []byte) func(int) func() []byte {
	return func(int) func() []byte { return func() []byte { return b } }
}

func TestNoDeviceHasTwoMeasurementsAtOneTime(t *testing.T) {
	s := &Server{HTTP: "h:1"}
	ids := []string{"10", "11", "12", "13", "14", "15", "16", "17", "18", "19"}
	template := s.measurements(ids, 100)
	timed(template, 100)() // a template serves several runs
	next := timed(template, 100)
	seen := map[string]bool{}
	for range 50 {
		request := string(next())
		if _, body, _ := strings.Cut(request, "\r\n\r\n"); !json.Valid([]byte(body)) {
			t.Fatal(body)
		}
		for _, m := range strings.Split(request, `{"source":{"id":"`)[1:] {
			id, rest, _ := strings.Cut(m, `"},"time":"`)
			at, err := time.Parse(time.RFC3339Nano, rest[:len(timeFormat)])
			if err != nil || time.Since(at).Abs() > time.Minute {
				t.Fatalf("%s: %v", rest, err)
			}
			if key := id + rest[:len(timeFormat)]; seen[key] {
				t.Fatalf("%s comes twice", key)
			} else {
				seen[key] = true
			}
		}
	}
	if len(seen) != 5000 {
		t.Errorf("%d measurements", len(seen))
	}
}
