package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/service"
)

var noon = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fakeServer hands out fake connections and keeps what was published on them.
type fakeServer struct {
	mu        sync.Mutex // guards all below
	published []message
	clients   []*fakeClient
	logins    []login
	refuse    func(login) error
	deaf      func(message) bool // such a message is never acknowledged, and the connection is lost
	onPublish func(*fakeClient, message)
	arrived   chan struct{} // signals every publish
}

func newFakeServer() *fakeServer { return &fakeServer{arrived: make(chan struct{}, 10_000)} }

func (s *fakeServer) dial(ctx context.Context, l login) (Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins = append(s.logins, l)
	if s.refuse != nil {
		if err := s.refuse(l); err != nil {
			return nil, err
		}
	}
	c := &fakeClient{server: s, login: l, lost: make(chan struct{}), receive: map[string]func(string){}}
	s.clients = append(s.clients, c)
	return c, ctx.Err()
}

func (s *fakeServer) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.published {
		for line := range strings.SplitSeq(m.payload, "\n") {
			all = append(all, m.topic+" "+line)
		}
	}
	return all
}

// await returns when a line that contains the text has been published n times.
func (s *fakeServer) await(t *testing.T, text string, n int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if count(s.lines(), text) >= n {
			return
		}
		select {
		case <-s.arrived:
		case <-deadline:
			t.Fatalf("%q was published %d times, want %d, in:\n%s", text, count(s.lines(), text), n, strings.Join(s.lines(), "\n"))
		}
	}
}

// client returns the latest connection of a device.
func (s *fakeServer) client(id string) *fakeClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.clients) - 1; i >= 0; i-- {
		if s.clients[i].login.clientID == id {
			return s.clients[i]
		}
	}
	return nil
}

func count(lines []string, text string) (n int) {
	for _, l := range lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

type fakeClient struct {
	server *fakeServer
	login  login

	mu      sync.Mutex // guards receive and dead
	receive map[string]func(string)
	dead    bool
	lost    chan struct{}
}

var errGone = errors.New("connection lost")

func (c *fakeClient) Publish(_ context.Context, topic, payload string) error {
	m := message{topic, payload}
	c.mu.Lock()
	dead := c.dead
	c.mu.Unlock()
	if dead {
		return errGone
	}
	c.server.mu.Lock()
	deaf, on := c.server.deaf != nil && c.server.deaf(m), c.server.onPublish
	if !deaf {
		c.server.published = append(c.server.published, m)
	}
	c.server.mu.Unlock()
	if deaf {
		c.cut()
		return errGone
	}
	if on != nil {
		on(c, m)
	}
	select {
	case c.server.arrived <- struct{}{}:
	default:
	}
	return nil
}

func (c *fakeClient) Subscribe(_ context.Context, topic string, receive func(string)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errGone
	}
	c.receive[topic] = receive
	return nil
}

func (c *fakeClient) Lost() <-chan struct{} { return c.lost }

func (c *fakeClient) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
}

func (c *fakeClient) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.dead = true
		close(c.lost)
	}
}

// send delivers a payload on a topic, if the device has subscribed to it.
func (c *fakeClient) send(topic, payload string) {
	c.mu.Lock()
	receive := c.receive[topic]
	c.mu.Unlock()
	if receive != nil {
		receive(payload)
	}
}

// startFleet runs a fleet against the fake server until the test ends.
func startFleet(t *testing.T, s *fakeServer, conf Config) (stop func()) {
	t.Helper()
	if conf.Credentials == nil {
		conf.Credentials = func(_ context.Context, id string) (string, string, string, error) {
			return "main", "device_" + id, "pw", nil
		}
	}
	conf = conf.withDefaults()
	memory, err := openState(conf.StateFile, "tcp://fake:1883")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{conf: conf, log: quiet(), state: memory, dial: s.dial, group: service.NewGroup(quiet())}
	if f.obtain, err = f.source(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the fleet ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// scene is a body without a device: the test is its clock and reads its outbox.
type scene struct {
	body   body
	clock  *clock.Manual
	out    outbox
	events []string
}

func (s *scene) notify(kind EventKind, text string) {
	s.events = append(s.events, fmt.Sprint(kind, ": ", text))
}
func (s *scene) operated(fragment, text string) { s.notify(Operated, fragment+" "+text) }

// pass steps the body every 200 ms for d and returns the lines that it wrote.
func (s *scene) pass(d time.Duration) []string {
	for end := s.clock.Now().Add(d); s.clock.Now().Before(end); s.clock.Advance(200 * time.Millisecond) {
		s.body.step(&s.out, s.clock.Now())
	}
	return s.take()
}

func (s *scene) operate(op operation) { s.body.operate(&s.out, s.clock.Now(), op) }

func (s *scene) take() []string {
	var all []string
	for _, m := range s.out.queue {
		for line := range strings.SplitSeq(m.payload, "\n") {
			all = append(all, m.topic+" "+line)
		}
	}
	s.out.queue = nil
	return all
}
