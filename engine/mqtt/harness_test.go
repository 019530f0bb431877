package mqtt_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// policy is a Gate whose Handlers route everything. Tests replace the functions they care about.
type policy struct {
	connect   func(*mqtt.ConnectRequest) error
	realm     func(*mqtt.ConnectRequest) string
	owner     func(*mqtt.ConnectRequest) string
	publish   func(h *handler, m *mqtt.Message, done func(mqtt.Verdict))
	subscribe func(filter string, qos byte) mqtt.Reason
	receive   func(h *handler, topic string) bool

	mu       sync.Mutex
	handlers []*handler
}

type handler struct {
	p      *policy
	req    mqtt.ConnectRequest
	realm  string
	closed chan mqtt.CloseReason

	mu       sync.Mutex
	subs     []string
	messages []*mqtt.Message
}

func (p *policy) Connect(_ context.Context, req *mqtt.ConnectRequest) (mqtt.Handler, error) {
	if p.connect != nil {
		if err := p.connect(req); err != nil {
			return nil, err
		}
	}
	h := &handler{p: p, req: *req, realm: "t1", closed: make(chan mqtt.CloseReason, 2)}
	if p.realm != nil {
		h.realm = p.realm(req)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers = append(p.handlers, h)
	return h, nil
}

// last returns the newest handler of a client id.
func (p *policy) last(id string) *handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range slices.Backward(p.handlers) {
		if h.req.ClientID == id {
			return h
		}
	}
	return nil
}

func (h *handler) Realm() string { return h.realm }

func (h *handler) Owner() string {
	if h.p.owner != nil {
		return h.p.owner(&h.req)
	}
	return "owner"
}

func (h *handler) User() string { return "user of " + h.req.ClientID }

func (h *handler) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	h.mu.Lock()
	h.messages = append(h.messages, m)
	h.mu.Unlock()
	if h.p.publish != nil {
		h.p.publish(h, m, done)
		return
	}
	done(mqtt.Verdict{Route: true})
}

func (h *handler) Subscribe(filter string, qos byte) mqtt.Reason {
	if h.p.subscribe != nil {
		return h.p.subscribe(filter, qos)
	}
	return mqtt.Reason(qos)
}

func (h *handler) Subscribed(filter string, _ byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs = append(h.subs, filter)
}

func (h *handler) MayReceive(topic string) bool {
	return h.p.receive == nil || h.p.receive(h, topic)
}

func (h *handler) Unsubscribed(string) {}

func (h *handler) Closed(why mqtt.CloseReason) { h.closed <- why }

func (h *handler) got() []*mqtt.Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

// start runs a server whose connections are made by dial.
func start(t testing.TB, p *policy, change func(*mqtt.Config)) *server {
	t.Helper()
	cfg := mqtt.Config{Gate: p}
	if change != nil {
		change(&cfg)
	}
	srv, err := mqtt.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: srv, t: t, p: p}
	t.Cleanup(s.stop)
	return s
}

type server struct {
	*mqtt.Server
	t    testing.TB
	p    *policy
	once sync.Once
}

func (s *server) stop() {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			s.t.Errorf("shutdown: %v", err)
		}
	})
}

// pipe opens a connection to the server that nothing was sent on.
func (s *server) pipe() net.Conn {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	go s.ServeConn(context.Background(), peer)
	s.t.Cleanup(func() { nc.Close() })
	return nc
}

// client is a raw test client.
type client struct {
	net.Conn
	t  testing.TB
	rd *packet.Reader
	v  packet.Version
}

func wrap(t testing.TB, nc net.Conn, v packet.Version) *client {
	return &client{Conn: nc, t: t, rd: packet.NewReader(nc, 4096, 1<<24), v: v}
}

// dial connects; change may adapt the CONNECT packet. It returns the CONNACK, which must come.
func (s *server) dial(id string, v packet.Version, clean bool, change func(*packet.Connect)) (*client, *packet.Connack) {
	s.t.Helper()
	c := wrap(s.t, s.pipe(), v)
	return c, c.connect(id, clean, change)
}

func (c *client) connect(id string, clean bool, change func(*packet.Connect)) *packet.Connack {
	c.t.Helper()
	p := &packet.Connect{Version: c.v, ClientID: id, Clean: clean, KeepAlive: 60}
	if c.v == packet.V5 && !clean {
		p.Props.SessionExpiry = 3600
		p.Props.Mark(packet.PropSessionExpiry)
	}
	if change != nil {
		change(p)
	}
	c.send(p)
	return want[*packet.Connack](c)
}

func (c *client) send(ps ...packet.Packet) {
	c.t.Helper()
	var b []byte
	for _, p := range ps {
		b = p.AppendTo(b, c.v)
	}
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// next reads one packet; an error is returned as nil and the error.
func (c *client) next(limit time.Duration) (packet.Packet, error) {
	c.SetReadDeadline(time.Now().Add(limit))
	h, body, err := c.rd.Next()
	if err != nil {
		return nil, err
	}
	return packet.Decode(h, slices.Clone(body), c.v)
}

// want reads the next packet, which must be of type P.
func want[P packet.Packet](c *client) P {
	c.t.Helper()
	p, err := c.next(5 * time.Second)
	if err != nil {
		c.t.Fatalf("reading: %v", err)
	}
	got, ok := p.(P)
	if !ok {
		c.t.Fatalf("got %s %+v, want %T", p.Kind(), p, got)
	}
	return got
}

// quiet sends PINGREQ and expects nothing but its answer: what was sent before has been handled, and led to nothing.
func (c *client) quiet() {
	c.t.Helper()
	c.send(&packet.Ping{})
	want[*packet.Ping](c)
}

// ends expects the connection to be closed, after an optional DISCONNECT whose code is returned.
func (c *client) ends() (code packet.Reason) {
	c.t.Helper()
	for {
		p, err := c.next(5 * time.Second)
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				c.t.Fatal("connection is not closed")
			}
			return code
		}
		d, ok := p.(*packet.Disconnect)
		if !ok {
			c.t.Fatalf("got %s %+v, want the end", p.Kind(), p)
		}
		code = d.Code
	}
}

func (c *client) sub(id uint16, filter string, qos byte) packet.Reason {
	c.t.Helper()
	c.send(&packet.Subscribe{PacketID: id, Filters: []packet.Subscription{{Filter: filter, QoS: qos}}})
	a := want[*packet.Suback](c)
	if a.PacketID != id || len(a.Codes) != 1 {
		c.t.Fatalf("SUBACK %+v", a)
	}
	return a.Codes[0]
}

func pub(id uint16, topic string, qos byte, payload string) *packet.Publish {
	return &packet.Publish{PacketID: id, Topic: []byte(topic), QoS: qos, Payload: []byte(payload)}
}

func ack(t packet.Type, id uint16) *packet.Ack { return &packet.Ack{Type: t, PacketID: id} }

func (c *client) wantAck(t packet.Type, id uint16, code packet.Reason) {
	c.t.Helper()
	a := want[*packet.Ack](c)
	if a.Type != t || a.PacketID != id || a.Code != code {
		c.t.Fatalf("got %s %d %s, want %s %d %s", a.Type, a.PacketID, a.Code, t, id, code)
	}
}

// wantPub reads a PUBLISH with this topic and payload.
func (c *client) wantPub(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := want[*packet.Publish](c)
	if string(p.Topic) != topic || string(p.Payload) != payload {
		c.t.Fatalf("got %q %q, want %q %q", p.Topic, p.Payload, topic, payload)
	}
	return p
}

func (s *server) inject(topic, payload string, qos byte) {
	s.t.Helper()
	err := s.Publish(context.Background(), "t1", &mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: qos})
	if err != nil {
		s.t.Fatal(err)
	}
}

// closeWait closes a client and waits until the server has noticed.
func (s *server) closeWait(c *client, id string) mqtt.CloseReason {
	s.t.Helper()
	h := s.p.last(id)
	c.Close()
	why := within(s.t, h.closed)
	s.eventually(func() bool {
		list, err := s.Sessions(context.Background(), h.realm)
		if err != nil {
			s.t.Fatal(err)
		}
		return !slices.ContainsFunc(list, func(i mqtt.SessionInfo) bool { return i.ClientID == id && i.Connected })
	})
	return why
}

func (s *server) eventually(f func() bool) {
	s.t.Helper()
	for until := time.Now().Add(5 * time.Second); !f(); {
		if time.Now().After(until) {
			s.t.Fatal("condition does not become true")
		}
		tick()
	}
}

// tick yields to the server; conditions are polled, not slept for.
func tick() { <-time.After(time.Millisecond) }

func within[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing happened")
	}
	return v
}

var _ io.Closer = (*client)(nil)

// failing is a listener that must not be used.
type failing struct{ net.Listener }

func (failing) Close() error { return nil }

func (failing) Accept() (net.Conn, error) { return nil, net.ErrClosed }
