package mqtt_test

import (
	"testing"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func TestAcknowledgementsWaitForDoneAndGoOutInOrder(t *testing.T) {
	pending := make(chan func(mqtt.Verdict), 10)
	p := &policy{publish: func(_ *handler, _ *mqtt.Message, done func(mqtt.Verdict)) { pending <- done }}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	a.send(pub(1, "x", 1, ""), pub(2, "x", 2, ""), pub(0, "x", 0, ""), pub(3, "x", 1, ""))
	var dones []func(mqtt.Verdict)
	for range 4 {
		dones = append(dones, within(t, pending))
	}
	a.quiet()
	dones[3](mqtt.Verdict{Reason: packet.NotAuthorized})
	dones[1](mqtt.Verdict{})
	dones[1](mqtt.Verdict{Reason: packet.NotAuthorized}) // A second call has no effect.
	a.quiet()
	dones[0](mqtt.Verdict{})
	a.wantAck(packet.PUBACK, 1, packet.Success)
	a.wantAck(packet.PUBREC, 2, packet.Success)
	a.quiet()
	go dones[2](mqtt.Verdict{})
	a.wantAck(packet.PUBACK, 3, packet.NotAuthorized)
}

func TestFailedPublishClosesA3xConnectionWithoutAcknowledgement(t *testing.T) {
	p := &policy{publish: func(_ *handler, m *mqtt.Message, done func(mqtt.Verdict)) {
		done(mqtt.Verdict{Reason: packet.QuotaExceeded})
	}}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V311, true, nil)
	a.send(pub(1, "x", 1, ""))
	a.ends()
	if why := within(t, p.last("a").closed); why.Cause != mqtt.ByPolicy || why.Reason != packet.QuotaExceeded {
		t.Fatalf("closed %+v", why)
	}
}

func TestPublisherThatLeavesWithMessagesInProgress(t *testing.T) {
	pending := make(chan func(mqtt.Verdict), 10)
	p := &policy{publish: func(_ *handler, m *mqtt.Message, done func(mqtt.Verdict)) { pending <- done }}
	s := start(t, p, func(c *mqtt.Config) { c.DrainTimeout = 10 * time.Millisecond })
	a, _ := s.dial("a", packet.V311, true, nil)
	a.send(pub(1, "x", 1, ""), pub(2, "x", 2, ""))
	d1, d2 := within(t, pending), within(t, pending)
	s.closeWait(a, "a")
	d2(mqtt.Verdict{Route: true})
	d1(mqtt.Verdict{Route: true})
}

func TestFloodOfQoS0IsHeldBackAtTheBound(t *testing.T) {
	pending := make(chan func(mqtt.Verdict), 1000)
	p := &policy{publish: func(_ *handler, _ *mqtt.Message, done func(mqtt.Verdict)) { pending <- done }}
	s := start(t, p, func(c *mqtt.Config) { c.ReceiveMaximum = 8 })
	a, _ := s.dial("a", packet.V311, true, nil)
	var ps []packet.Packet
	for range 100 {
		ps = append(ps, pub(0, "x", 0, "p"))
	}
	a.send(ps...)
	var held []func(mqtt.Verdict)
	for range 8 {
		held = append(held, within(t, pending))
	}
	select {
	case <-pending:
		t.Fatal("a ninth message was handed over")
	case <-time.After(20 * time.Millisecond):
	}
	for n := 8; n < 100; n++ {
		held[0](mqtt.Verdict{})
		held = append(held[1:], within(t, pending))
	}
	for _, d := range held {
		d(mqtt.Verdict{})
	}
}

func TestReceiveMaximumOfTheServerIsEnforced(t *testing.T) {
	p := &policy{publish: func(*handler, *mqtt.Message, func(mqtt.Verdict)) {}}
	s := start(t, p, func(c *mqtt.Config) { c.ReceiveMaximum = 2; c.DrainTimeout = time.Millisecond })
	a, ca := s.dial("a", packet.V5, true, nil)
	if ca.Props.ReceiveMaximum != 2 || ca.Props.MaximumPacketSize != 16184 || ca.Props.TopicAliasMaximum != 16 {
		t.Fatalf("CONNACK %+v", ca.Props)
	}
	a.send(pub(1, "x", 1, ""), pub(2, "x", 1, ""), pub(3, "x", 1, ""))
	if code := a.ends(); code != packet.ReceiveMaximumExceeded {
		t.Fatalf("code %s", code)
	}
}

func TestMaximumPacketSizeOfTheServer(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	a.send(pub(1, "x", 1, string(make([]byte, 16184-9))))
	a.wantAck(packet.PUBACK, 1, packet.Success)
	a.send(pub(1, "x", 1, string(make([]byte, 16184-8))))
	if code := a.ends(); code != packet.PacketTooLarge {
		t.Fatalf("code %s", code)
	}
}

func TestForwardIsCalledForRoutedMessagesOfClientsOnly(t *testing.T) {
	forwarded := make(chan string, 10)
	p := &policy{publish: func(_ *handler, m *mqtt.Message, done func(mqtt.Verdict)) {
		done(mqtt.Verdict{Route: m.Topic == "free"})
	}}
	s := start(t, p, func(c *mqtt.Config) {
		c.Forward = func(realm string, m *mqtt.Message) { forwarded <- realm + " " + m.Topic }
	})
	a, _ := s.dial("a", packet.V5, true, nil)
	s.inject("free", "injected", 1)
	a.send(pub(1, "s/us", 1, ""), pub(2, "free", 1, ""))
	a.wantAck(packet.PUBACK, 1, packet.Success)
	a.wantAck(packet.PUBACK, 2, packet.Success)
	if got := within(t, forwarded); got != "t1 free" || len(forwarded) != 0 {
		t.Fatal(got)
	}
}
