package mqtt_test

import (
	"context"
	"testing"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionmem"
)

func TestOutboundQoS2SurvivesReconnectsAndRestart(t *testing.T) {
	store := sessionmem.New()
	shared := func(c *mqtt.Config) { c.Store = store }
	s := start(t, &policy{}, shared)
	a, _ := s.dial("a", packet.V311, false, nil)
	a.sub(1, "x", 2)
	s.inject("x", "one", 2)
	s.inject("x", "two", 2)
	one, two := a.wantPub("x", "one"), a.wantPub("x", "two")
	a.send(ack(packet.PUBREC, one.PacketID))
	a.wantAck(packet.PUBREL, one.PacketID, packet.Success)
	s.stop()
	s = start(t, &policy{}, shared)
	b, _ := s.dial("a", packet.V311, false, nil)
	b.wantAck(packet.PUBREL, one.PacketID, packet.Success)
	if again := b.wantPub("x", "two"); !again.Dup || again.PacketID != two.PacketID {
		t.Fatalf("%+v", again)
	}
	b.send(ack(packet.PUBCOMP, one.PacketID), ack(packet.PUBREC, two.PacketID))
	b.wantAck(packet.PUBREL, two.PacketID, packet.Success)
	b.send(ack(packet.PUBCOMP, two.PacketID))
	b.quiet()
	list, _ := s.Sessions(context.Background(), "t1")
	if list[0].QueueLen != 0 || list[0].QueueBytes != 0 {
		t.Fatalf("%+v", list)
	}
}

func TestInboundQoS2IsRememberedAcrossRestart(t *testing.T) {
	store := sessionmem.New()
	shared := func(c *mqtt.Config) { c.Store = store }
	p := &policy{}
	s := start(t, p, shared)
	a, _ := s.dial("a", packet.V5, false, nil)
	a.send(pub(5, "x", 2, "once"))
	a.wantAck(packet.PUBREC, 5, packet.Success)
	s.stop()
	s = start(t, p, shared)
	b, _ := s.dial("a", packet.V5, false, nil)
	d := pub(5, "x", 2, "once")
	d.Dup = true
	b.send(d)
	b.wantAck(packet.PUBREC, 5, packet.Success)
	b.send(ack(packet.PUBREL, 5))
	b.wantAck(packet.PUBCOMP, 5, packet.Success)
	b.send(ack(packet.PUBREL, 6))
	b.wantAck(packet.PUBCOMP, 6, packet.PacketIDNotFound)
	if got := p.last("a").got(); len(got) != 0 {
		t.Fatalf("handled again: %+v", got)
	}
}

func TestCleanStartForgetsTheSession(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("a", v, false, nil)
		a.sub(1, "x", 1)
		s.closeWait(a, "a")
		s.inject("x", "1", 1)
		b, ca := s.dial("a", v, true, nil)
		if ca.SessionPresent {
			t.Error("session present")
		}
		b.quiet()
		s.closeWait(b, "a")
		c, ca := s.dial("a", v, false, nil)
		if ca.SessionPresent {
			t.Error("session present")
		}
		c.quiet()
		s.inject("x", "2", 1)
		c.quiet()
	})
}

func TestDeliver(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V311, false, nil)
	conn := p.last("a").req.Conn
	acked := make(chan bool, 10)
	tell := func(ok bool) { acked <- ok }
	if conn.Deliver("s/ds", []byte("1"), 1, tell) {
		t.Fatal("delivered without subscription")
	}
	a.sub(1, "s/ds", 1)
	if q, ok := conn.SubscribedTo("s/ds"); !ok || q != 1 {
		t.Fatal("not subscribed")
	}
	if !conn.Deliver("s/ds", []byte("1"), 2, tell) || !conn.Deliver("s/ds", []byte("2"), 0, tell) {
		t.Fatal("not delivered")
	}
	one := a.wantPub("s/ds", "1")
	a.wantPub("s/ds", "2")
	if !within(t, acked) || one.QoS != 1 {
		t.Fatal("QoS 0 is acknowledged by the write")
	}
	a.send(ack(packet.PUBACK, one.PacketID))
	if !within(t, acked) {
		t.Fatal("not acknowledged")
	}
	conn.Deliver("s/ds", []byte("3"), 1, tell)
	a.wantPub("s/ds", "3")
	s.closeWait(a, "a")
	if within(t, acked) || conn.Deliver("s/ds", nil, 1, tell) {
		t.Fatal("acknowledged although the connection ended")
	}
	b, _ := s.dial("a", packet.V311, false, nil)
	b.quiet() // It is not part of the session.
}

func TestDeliverFromInsidePublishAndSubscribed(t *testing.T) {
	p := &policy{}
	p.publish = func(h *handler, m *mqtt.Message, done func(mqtt.Verdict)) {
		for range 50 {
			h.req.Conn.Deliver("s/e", []byte("echo"), 1, nil)
		}
		done(mqtt.Verdict{})
	}
	s := start(t, p, func(c *mqtt.Config) { c.MaxInflight = 3 })
	a, _ := s.dial("a", packet.V311, true, nil)
	a.sub(1, "s/e", 1)
	a.send(pub(1, "s/us", 1, "x"))
	acks, echoes := 0, 0
	for acks+echoes < 51 {
		switch p := want[packet.Packet](a).(type) {
		case *packet.Publish:
			echoes++
			a.send(ack(packet.PUBACK, p.PacketID))
		case *packet.Ack:
			acks++
		}
	}
}

func TestDeliverToAFullQueueIsToldNotBlocked(t *testing.T) {
	p := &policy{}
	s := start(t, p, func(c *mqtt.Config) { c.QueueMessages, c.MaxInflight = 5, 1 })
	a, _ := s.dial("a", packet.V311, true, nil)
	a.sub(1, "s/ds", 1)
	results := make(chan bool, 100)
	for range 50 {
		if !p.last("a").req.Conn.Deliver("s/ds", nil, 1, func(ok bool) { results <- ok }) {
			t.Fatal("subscribed")
		}
	}
	for range 44 {
		if within(t, results) {
			t.Fatal("acknowledged")
		}
	}
	s.closeWait(a, "a")
	for range 6 {
		within(t, results)
	}
}

func TestEraseLeavesNothingOfARealm(t *testing.T) {
	store := sessionmem.New()
	p := &policy{}
	s := start(t, p, func(c *mqtt.Config) { c.Store = store })
	a, _ := s.dial("a", packet.V5, false, nil)
	a.sub(1, "x", 1)
	away, _ := s.dial("away", packet.V5, false, nil)
	away.sub(1, "x", 1)
	s.closeWait(away, "away")
	keep := &mqtt.Message{Topic: "$x/y", Payload: []byte("1"), QoS: 1, Retain: true}
	if err := s.Publish(context.Background(), "t1", keep); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(context.Background(), "t1"); err != nil {
		t.Fatal(err)
	}
	if code := a.ends(); code != packet.AdministrativeAction {
		t.Errorf("code %s", code)
	}
	list, _ := s.Sessions(context.Background(), "t1")
	if m, _ := store.Retained(context.Background(), "t1", "$x/y"); m != nil || len(list) != 0 {
		t.Fatalf("left: %v %+v", m, list)
	}
	b, _ := s.dial("b", packet.V5, true, nil)
	b.sub(1, "$x/#", 1)
	b.quiet()
}

func TestFloodOfAcknowledgementsIsAnsweredInOrder(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V311, false, nil)
	const n = 20_000
	go func() {
		var b []byte
		for i := range n {
			b = packet.AppendAck(b, packet.V311, packet.PUBREC, uint16(i+1), 0)
		}
		a.Write(b)
	}()
	for i := range n {
		a.wantAck(packet.PUBREL, uint16(i+1), packet.Success)
	}
}
