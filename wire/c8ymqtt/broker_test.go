package c8ymqtt_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// broker runs the real one on the bench.
func (b *bench) broker() *mqtt.Server {
	b.t.Helper()
	srv := must(mqtt.New(mqtt.Config{Gate: b.gate}))(b.t)
	b.t.Cleanup(func() { _ = srv.Shutdown(ctx) })
	return srv
}

// peer is a client on the wire.
type peer struct {
	t    testing.TB
	nc   net.Conn
	v    packet.Version
	in   chan packet.Packet // closed when the connection ends
	code packet.Reason      // of CONNACK
}

func (b *bench) peer(srv *mqtt.Server, v packet.Version, id, user string, change func(*packet.Connect)) *peer {
	b.t.Helper()
	client, server := net.Pipe()
	go srv.ServeConn(ctx, server)
	p := &peer{t: b.t, nc: client, v: v, in: make(chan packet.Packet, 100)}
	b.t.Cleanup(func() { client.Close() })
	go p.read()
	c := &packet.Connect{Version: v, ClientID: id, Clean: true, KeepAlive: 60, HasUser: true, User: user, HasPassword: true, Password: []byte(b.secret[user])}
	if change != nil {
		change(c)
	}
	p.send(c)
	p.code = expect[*packet.Connack](p).Code
	return p
}

func (p *peer) read() {
	defer close(p.in)
	r := packet.NewReader(p.nc, 4096, 1<<20)
	for {
		h, body, err := r.Next()
		if err != nil {
			return
		}
		x, err := packet.Decode(h, slices.Clone(body), p.v)
		if err != nil {
			return
		}
		p.in <- x
	}
}

func (p *peer) send(x packet.Packet) {
	p.t.Helper()
	if _, err := p.nc.Write(x.AppendTo(nil, p.v)); err != nil {
		p.t.Error(err)
	}
}

// expect returns the next packet, which must be of type P.
func expect[P packet.Packet](p *peer) P {
	p.t.Helper()
	x := receive(p.t, p.in)
	got, ok := x.(P)
	if !ok {
		p.t.Fatalf("got %T %+v, want %T", x, x, got)
	}
	return got
}

// ended waits until the server has closed the connection.
func (p *peer) ended() {
	p.t.Helper()
	for {
		select {
		case _, ok := <-p.in:
			if !ok {
				return
			}
		case <-time.After(20 * time.Second):
			p.t.Fatal("the connection goes on")
		}
	}
}

func (p *peer) subscribe(filters ...string) []mqtt.Reason {
	p.t.Helper()
	s := &packet.Subscribe{PacketID: 1}
	for _, f := range filters {
		s.Filters = append(s.Filters, packet.Subscription{Filter: f, QoS: 1})
	}
	p.send(s)
	return expect[*packet.Suback](p).Codes
}

func (p *peer) publish(topic, payload string) {
	p.t.Helper()
	p.send(&packet.Publish{PacketID: 7, QoS: 1, Topic: []byte(topic), Payload: []byte(payload)})
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal(what)
		}
	}
}

func TestConnackOfOldClients(t *testing.T) {
	b := simple(t)
	srv, d1 := b.broker(), b.device("main", "d1")
	for _, x := range []struct {
		name, id string
		change   func(*packet.Connect)
		want     packet.Reason
	}{
		{"welcome", "d1", nil, 0},
		{"a device id with a colon", "a:b:c", nil, packet.ClientIDNotValid},
		{"a wrong password", "d1", func(c *packet.Connect) { c.Password = []byte("wrong") }, packet.BadUserOrPassword},
		{"an empty password", "d1", func(c *packet.Connect) { c.Password = []byte{} }, packet.NotAuthorized},
		{"no user", "d1", func(c *packet.Connect) { c.HasUser, c.HasPassword = false, false }, packet.NotAuthorized},
	} {
		if p := b.peer(srv, packet.V311, x.id, d1, x.change); p.code.Return() != x.want.Return() {
			t.Errorf("%s: %s, want %s", x.name, p.code, x.want)
		}
	}
}

func TestPublishIsAcknowledgedOnTheWireWhenItIsStored(t *testing.T) {
	store := newGated()
	b := newBench(t, store)
	srv := b.broker()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		p := b.peer(srv, v, "d1", b.device("main", "d1"), nil)
		p.publish("s/us", "200,a,b,1")
		receive(t, store.arrived)
		select {
		case x := <-p.in:
			t.Fatalf("%+v came before the measurement was stored", x)
		default:
		}
		store.leave <- nil
		if a := expect[*packet.Ack](p); a.Type != packet.PUBACK || a.PacketID != 7 || a.Code.Failed() {
			t.Errorf("%+v", a)
		}
		p.publish("s/us", "200,a,b,1")
		receive(t, store.arrived)
		store.leave <- fault.E(fault.Full)
		if v == packet.V5 {
			if a := expect[*packet.Ack](p); a.Code != packet.QuotaExceeded {
				t.Errorf("%+v", a)
			}
			p.nc.Close()
		}
		p.ended() // an old client cannot be told otherwise that its data is not stored
	}
}

func TestLinesOnTheWire(t *testing.T) {
	b := newBench(t, seriesmem.New())
	p := b.peer(b.broker(), packet.V311, "d:d1", b.device("main", "d1"), nil)
	codes := p.subscribe("s/ds", "s/e", "s/us", "s/dc/#")
	if codes[0].Failed() || codes[1].Failed() || !codes[2].Failed() || codes[3].Failed() {
		t.Errorf("subscriptions %v", codes)
	}
	p.publish("s/us", "100\n100")
	var e *packet.Publish
	for acked := false; e == nil || !acked; {
		switch x := receive(t, p.in).(type) {
		case *packet.Publish:
			e = x
		case *packet.Ack:
			acked = true
		}
	}
	if string(e.Topic) != "s/e" || string(e.Payload) != "41,100,Device already exists" {
		t.Errorf("%s %s", e.Topic, e.Payload)
	}
	p.send(&packet.Ack{Type: packet.PUBACK, PacketID: e.PacketID})

	id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
	op := must(b.operations.Create(ctx, iot.System("main"), iot.Operation{Device: id, Fragments: iot.Doc{{Name: "c8y_Restart", Raw: []byte("{}")}}}))(t)
	line := expect[*packet.Publish](p)
	if string(line.Topic) != "s/ds" || string(line.Payload) != "510,d1" {
		t.Errorf("%s %s", line.Topic, line.Payload)
	}
	delivery := func() string { return must(b.operations.Get(ctx, iot.System("main"), op.ID))(t).Delivery.Status }
	if got := delivery(); got != iot.DeliveryPending {
		t.Errorf("%s before the acknowledgement", got)
	}
	p.send(&packet.Ack{Type: packet.PUBACK, PacketID: line.PacketID})
	eventually(t, "the operation does not become DELIVERED", func() bool { return delivery() == iot.DeliveryDelivered })
	if n := len(must(b.operations.Pending(ctx, "main", id))(t)); n != 1 {
		t.Errorf("%d operations wait, delivery must not change the status", n)
	}
}

func TestFreeTopicsStayInTheTenant(t *testing.T) {
	b := simple(t)
	b.tenant("second")
	srv := b.broker()
	sender := b.peer(srv, packet.V5, "app1", "main/admin", nil)
	same, other := b.peer(srv, packet.V5, "app2", "main/admin", nil), b.peer(srv, packet.V5, "app2", "second/admin", nil)
	same.subscribe("free/#")
	other.subscribe("#")
	sender.publish("free/topic", "hello")
	if got := expect[*packet.Publish](same); string(got.Topic) != "free/topic" || string(got.Payload) != "hello" {
		t.Errorf("%s %s", got.Topic, got.Payload)
	}
	other.send(&packet.Ping{})
	expect[*packet.Ping](other) // what was routed before would have come first
}

func TestTakeoverAndWillOnTheWire(t *testing.T) {
	b := simple(t)
	srv, user := b.broker(), b.device("main", "d1")
	state := func() string {
		b.flush()
		id, err := b.registry.Lookup(ctx, "main", iot.SerialType, "d1")
		if err != nil {
			return ""
		}
		return must(b.registry.Get(ctx, iot.System("main"), id))(t).State.Connection
	}
	will := func(c *packet.Connect) {
		c.Will = &packet.Will{Topic: "s/us", QoS: 1, Payload: []byte("102,s1,t,one,down\n102,s2,t,two,down")}
	}
	old := b.peer(srv, packet.V311, "d1", user, nil)
	old.publish("s/us", "100")
	expect[*packet.Ack](old)
	b.peer(srv, packet.V311, "d1", user, nil) // the same client id: the broker ends the old connection
	old.ended()
	if got := state(); got != "CONNECTED" {
		t.Errorf("%s after the takeover", got)
	}
	last := b.peer(srv, packet.V311, "d:d1", user, will) // another client id of the same device: the policy ends it
	eventually(t, "not connected", func() bool { return state() == "CONNECTED" })
	last.nc.Close()
	eventually(t, "the device stays connected", func() bool { return state() == "DISCONNECTED" })
	for _, s := range []string{"s1", "s2"} {
		id := must(b.registry.Lookup(ctx, "main", iot.SerialType, s))(t)
		if got, _ := must(b.registry.Get(ctx, iot.System("main"), id))(t).Fragments.Text("status"); got != "down" {
			t.Errorf("the will says down, service %s is %q", s, got)
		}
	}
}
