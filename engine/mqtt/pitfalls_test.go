package mqtt_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// The cases in this file are the defects found in another broker, see the reference mqtt-broker-pitfalls.

func versions(t *testing.T, f func(t *testing.T, v packet.Version)) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(fmt.Sprint("level ", v), func(t *testing.T) { f(t, v) })
	}
}

func TestPacketIDsOfTheClientDoNotAcknowledgeOurs(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("dev1", v, false, nil)
		a.sub(100, "op/dev1", 1)
		s.inject("op/dev1", "operation", 1)
		first := a.wantPub("op/dev1", "operation")
		a.send(pub(first.PacketID, "t/us", 1, "measurement"))
		a.wantAck(packet.PUBACK, first.PacketID, packet.Success)
		s.closeWait(a, "dev1")
		b, ca := s.dial("dev1", v, false, nil)
		if v != packet.V31 && !ca.SessionPresent {
			t.Error("session is not present")
		}
		again := b.wantPub("op/dev1", "operation")
		if !again.Dup || again.PacketID != first.PacketID {
			t.Errorf("redelivered with dup=%v id=%d, want true %d", again.Dup, again.PacketID, first.PacketID)
		}
	})
}

func TestSubscribeWithAPacketIDThatWeUse(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("dev2", v, true, nil)
		a.sub(100, "op/dev2", 1)
		s.inject("op/dev2", "operation", 1)
		p := a.wantPub("op/dev2", "operation")
		if code := a.sub(p.PacketID, "other", 1); code != 1 {
			t.Errorf("SUBACK %s", code)
		}
	})
}

func TestOrderAfterReconnect(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("dev3", v, false, nil)
		a.sub(100, "op/dev3", 1)
		s.closeWait(a, "dev3")
		for i := range 600 {
			s.inject("op/dev3", fmt.Sprint(i), 1)
		}
		b, _ := s.dial("dev3", v, false, nil)
		for i := range 600 {
			p := b.wantPub("op/dev3", fmt.Sprint(i))
			b.send(ack(packet.PUBACK, p.PacketID))
		}
		b.quiet()
	})
}

func TestDuplicateQoS2IsAnsweredWithSuccessAndHandledOnce(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		p := &policy{}
		s := start(t, p, nil)
		a, _ := s.dial("dev4", v, true, nil)
		a.send(pub(7, "x", 2, "p"))
		a.wantAck(packet.PUBREC, 7, packet.Success)
		d := pub(7, "x", 2, "p")
		d.Dup = true
		a.send(d)
		a.wantAck(packet.PUBREC, 7, packet.Success)
		a.send(ack(packet.PUBREL, 7))
		a.wantAck(packet.PUBCOMP, 7, packet.Success)
		a.send(pub(7, "x", 2, "q"))
		a.wantAck(packet.PUBREC, 7, packet.Success)
		if got := p.last("dev4").got(); len(got) != 2 || string(got[1].Payload) != "q" {
			t.Fatalf("handled %d messages", len(got))
		}
	})
}

func TestOfflineQueueBeyondAllPacketIDs(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("dev5", packet.V311, false, nil)
	a.sub(100, "op/dev5", 1)
	s.closeWait(a, "dev5")
	const n = 70_000
	fill(s, "op/dev5", n)
	b, _ := s.dial("dev5", packet.V311, false, nil)
	for i := range n {
		p := b.wantPub("op/dev5", fmt.Sprint(i))
		b.send(ack(packet.PUBACK, p.PacketID))
	}
	b.quiet()
}

// fill publishes n messages through one client, many at a time.
func fill(s *server, topic string, n int) {
	s.t.Helper()
	c, _ := s.dial("filler", packet.V311, true, nil)
	const window = 200
	for i := 0; i < n; i += window {
		var ps []packet.Packet
		for j := i; j < min(n, i+window); j++ {
			ps = append(ps, pub(uint16(j%60_000+1), topic, 1, fmt.Sprint(j)))
		}
		c.send(ps...)
		for j := i; j < min(n, i+window); j++ {
			c.wantAck(packet.PUBACK, uint16(j%60_000+1), packet.Success)
		}
	}
	s.closeWait(c, "filler")
}

func TestOfflineQueueRefusesAtItsBoundAndKeepsTheOldest(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.OfflineMessages = 10 })
	a, _ := s.dial("dev5", packet.V311, false, nil)
	a.sub(100, "q", 1)
	s.closeWait(a, "dev5")
	for i := range 20 {
		s.inject("q", fmt.Sprint(i), 1)
	}
	list, _ := s.Sessions(context.Background(), "t1")
	if len(list) != 1 || list[0].QueueLen != 10 || list[0].Connected {
		t.Fatalf("sessions %+v", list)
	}
	b, _ := s.dial("dev5", packet.V311, false, nil)
	for i := range 10 {
		b.send(ack(packet.PUBACK, b.wantPub("q", fmt.Sprint(i)).PacketID))
	}
	b.quiet()
	s.inject("q", "after", 1)
	b.wantPub("q", "after")
}

func TestSlowSubscriberOfAPersistentSessionLosesNothing(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.QueueMessages = 50 })
	a, _ := s.dial("dev6", packet.V5, false, nil)
	a.sub(100, "q", 1)
	const n = 3000
	fill(s, "q", n)
	for i := range n {
		a.send(ack(packet.PUBACK, a.wantPub("q", fmt.Sprint(i)).PacketID))
	}
	a.quiet()
}

func TestReceiveMaximumNeitherStallsNorReorders(t *testing.T) {
	for _, clean := range []bool{true, false} {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("rm1", packet.V5, clean, func(p *packet.Connect) {
			p.Props.ReceiveMaximum = 5
			p.Props.Mark(packet.PropReceiveMaximum)
		})
		a.sub(60_000, "q", 1)
		for i := range 200 {
			s.inject("q", fmt.Sprint(i), 1)
		}
		var unacked []uint16
		for i := range 200 {
			unacked = append(unacked, a.wantPub("q", fmt.Sprint(i)).PacketID)
			if len(unacked) == 5 {
				a.quiet() // A sixth would show up before the answer.
				slices.Reverse(unacked)
				for _, id := range unacked {
					a.send(ack(packet.PUBACK, id))
				}
				unacked = nil
			}
		}
	}
}

func TestTopicAliasIsResolvedBeforeThePolicySeesIt(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	a, _ := s.dial("al", packet.V5, true, nil)
	x := pub(1, "ok", 1, "1")
	x.Props.TopicAlias = 3
	x.Props.Mark(packet.PropTopicAlias)
	a.send(x)
	a.wantAck(packet.PUBACK, 1, packet.Success)
	x.Topic, x.PacketID = nil, 2
	a.send(x)
	a.wantAck(packet.PUBACK, 2, packet.Success)
	for _, m := range p.last("al").got() {
		if m.Topic != "ok" {
			t.Errorf("policy saw topic %q", m.Topic)
		}
	}
	x.Props.TopicAlias = 4
	a.send(x)
	if code := a.ends(); code != packet.ProtocolError {
		t.Errorf("unknown alias: %s", code)
	}
}

func TestMessagesOfOnePublisherStayInOrderForManySubscribers(t *testing.T) {
	s := start(t, &policy{}, nil)
	var subs []*client
	for i := range 4 {
		c, _ := s.dial(fmt.Sprint("s", i), packet.V5, i%2 == 0, nil)
		c.sub(1, "o/#", byte(i%3))
		subs = append(subs, c)
	}
	var filling sync.WaitGroup
	defer filling.Wait() // it still reads acknowledgements when the last message has come
	filling.Go(func() { fill(s, "o/1", 400) })
	for _, c := range subs {
		var last, n = -1, 0
		for n < 400 {
			p := want[*packet.Publish](c)
			var i int
			fmt.Fscan(bytes.NewReader(p.Payload), &i)
			if i <= last {
				t.Fatalf("%d after %d", i, last)
			}
			last = i
			n++
			switch p.QoS {
			case 1:
				c.send(ack(packet.PUBACK, p.PacketID))
			}
		}
	}
}
