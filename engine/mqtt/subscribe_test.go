package mqtt_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func TestRetained(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("a", v, true, nil)
		for i := range 300 {
			p := pub(1, fmt.Sprint("r/", i), 1, "v")
			p.Retain = true
			a.send(p)
			a.wantAck(packet.PUBACK, 1, packet.Success)
		}
		gone := pub(1, "r/7", 1, "")
		gone.Retain = true
		a.send(gone)
		a.wantAck(packet.PUBACK, 1, packet.Success)
		for _, clean := range []bool{true, false} {
			b, _ := s.dial("b", v, clean, nil)
			b.sub(1, "r/#", 1)
			seen := map[string]bool{}
			for range 299 {
				p := want[*packet.Publish](b)
				if !p.Retain || p.QoS != 1 || seen[string(p.Topic)] {
					t.Fatalf("%+v", p)
				}
				seen[string(p.Topic)] = true
				b.send(ack(packet.PUBACK, p.PacketID))
			}
			b.quiet()
			live := pub(1, "r/8", 1, "live")
			live.Retain = true
			a.send(live)
			a.wantAck(packet.PUBACK, 1, packet.Success)
			if b.wantPub("r/8", "live").Retain {
				t.Error("live message has the retain flag")
			}
			b.Close()
		}
	})
}

func TestV5SubscriptionOptions(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	keep := pub(1, "x", 1, "old")
	keep.Retain = true
	a.send(keep)
	a.wantAck(packet.PUBACK, 1, packet.Success)
	b, _ := s.dial("b", packet.V5, true, nil)
	subscribe := func(o packet.Subscription, id uint32) {
		o.Filter, o.QoS = "x", 1
		p := &packet.Subscribe{PacketID: 9, Filters: []packet.Subscription{o}}
		p.Props.SubscriptionIDs = []uint32{id}
		b.send(p)
		want[*packet.Suback](b)
	}
	subscribe(packet.Subscription{RetainHandling: 2}, 1)
	b.quiet()
	subscribe(packet.Subscription{RetainHandling: 1}, 2)
	b.quiet() // Not new.
	subscribe(packet.Subscription{RetainHandling: 0, RetainAsPublished: true, NoLocal: true}, 3)
	p := b.wantPub("x", "old")
	b.send(ack(packet.PUBACK, p.PacketID))
	if !p.Retain || !slices.Equal(p.Props.SubscriptionIDs, []uint32{3}) {
		t.Fatalf("%+v", p)
	}
	b.send(pub(2, "x", 1, "own"))
	b.wantAck(packet.PUBACK, 2, packet.Success)
	b.quiet()
	a.send(keep)
	a.wantAck(packet.PUBACK, 1, packet.Success)
	if p := b.wantPub("x", "old"); !p.Retain {
		t.Error("retain as published")
	}
}

func TestPropertiesPassThrough(t *testing.T) {
	for _, clean := range []bool{true, false} {
		s := start(t, &policy{}, nil)
		b, _ := s.dial("b", packet.V5, clean, nil)
		b.sub(1, "x", 1)
		a, _ := s.dial("a", packet.V5, true, nil)
		p := pub(1, "x", 1, "p")
		q := &p.Props
		q.PayloadFormat, q.ContentType, q.ResponseTopic, q.CorrelationData = 1, "json", "re/ply", []byte{1, 2}
		q.User = []packet.UserProperty{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}}
		q.MessageExpiry = 100
		q.Mark(packet.PropPayloadFormat, packet.PropContentType, packet.PropResponseTopic, packet.PropCorrelationData, packet.PropMessageExpiry)
		a.send(p)
		got := b.wantPub("x", "p").Props
		if got.PayloadFormat != 1 || got.ContentType != "json" || got.ResponseTopic != "re/ply" || string(got.CorrelationData) != "\x01\x02" ||
			!slices.Equal(got.User, q.User) || got.MessageExpiry == 0 || got.MessageExpiry > 100 {
			t.Fatalf("%+v", got)
		}
	}
}

func TestSharedSubscriptionSharesTheLoad(t *testing.T) {
	s := start(t, &policy{}, nil)
	var members []*client
	for i := range 3 {
		c, _ := s.dial(fmt.Sprint("m", i), packet.V5, i == 0, nil)
		c.sub(1, "$share/g/w/+", 1)
		members = append(members, c)
	}
	for i := range 30 {
		s.inject("w/1", fmt.Sprint(i), 1)
	}
	for _, c := range members {
		for range 10 {
			c.send(ack(packet.PUBACK, want[*packet.Publish](c).PacketID))
		}
		c.quiet()
	}
	s.closeWait(members[1], "m1") // Away, but its session is there: the others are preferred.
	for i := range 10 {
		s.inject("w/1", fmt.Sprint(i), 1)
	}
	for i, n := range map[int]int{0: 4, 2: 6} { // The turn of who is away goes to the next.
		for range n {
			want[*packet.Publish](members[i])
		}
		members[i].quiet()
	}
}

func TestResumedSubscriptionsAreAskedForAgain(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V5, false, nil)
	a.sub(1, "good", 1)
	a.sub(2, "bad", 1)
	s.closeWait(a, "a")
	p.subscribe = func(f string, q byte) mqtt.Reason {
		if f == "bad" {
			return packet.NotAuthorized
		}
		return mqtt.Reason(q)
	}
	b, _ := s.dial("a", packet.V5, false, nil)
	s.inject("bad", "1", 1)
	s.inject("good", "2", 1)
	b.wantPub("good", "2")
	if h := p.last("a"); !slices.Equal(h.subs, []string{"good"}) {
		t.Fatalf("subscribed %v", h.subs)
	}
	if code := b.sub(3, "bad", 1); code != packet.NotAuthorized {
		t.Fatalf("code %s", code)
	}
	c, _ := s.dial("c", packet.V311, true, nil)
	if code := c.sub(3, "bad", 1); code != 0x80 {
		t.Fatalf("code %s", code)
	}
}

func TestSlowSubscriberDoesNotBlockOthers(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.WriteTimeout = time.Hour })
	slow, _ := s.dial("slow", packet.V311, true, nil)
	slow.sub(1, "#", 0)
	payload := string(make([]byte, 10_000))
	for range 2000 { // 20 MB: far more than socket buffers and the queue hold.
		s.inject("x", payload, 1)
	}
	other, _ := s.dial("other", packet.V311, true, nil)
	other.quiet()
}

func TestMaximumPacketSizeOfTheClient(t *testing.T) {
	for _, clean := range []bool{true, false} {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("a", packet.V5, clean, func(c *packet.Connect) {
			c.Props.MaximumPacketSize = 50
			c.Props.Mark(packet.PropMaximumPacketSize)
		})
		a.sub(1, "x", 1)
		s.inject("x", string(make([]byte, 100)), 1)
		s.inject("x", "short", 1)
		a.send(ack(packet.PUBACK, a.wantPub("x", "short").PacketID))
		a.quiet()
		list, _ := s.Sessions(context.Background(), "t1")
		if list[0].QueueLen != 0 {
			t.Fatalf("%+v", list)
		}
	}
}

func TestTooManyRetainedMessages(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.MaxRetained = 1 })
	a, _ := s.dial("a", packet.V5, true, nil)
	for i, c := range []struct {
		topic, payload string
		code           packet.Reason
	}{{"a", "1", 0}, {"b", "1", packet.QuotaExceeded}, {"a", "2", 0}, {"a", "", 0}, {"b", "1", 0}} {
		p := pub(uint16(i+1), c.topic, 1, c.payload)
		p.Retain = true
		a.send(p)
		a.wantAck(packet.PUBACK, uint16(i+1), c.code)
	}
}

func TestTooManySubscriptions(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.MaxSubscriptions = 2 })
	a, _ := s.dial("a", packet.V5, true, nil)
	a.send(&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a"}, {Filter: "b"}, {Filter: "c"}}})
	if codes := want[*packet.Suback](a).Codes; !slices.Equal(codes, []packet.Reason{0, 0, packet.QuotaExceeded}) {
		t.Fatalf("codes %v", codes)
	}
	if a.sub(2, "a", 1) != 1 || a.sub(3, "d", 1) != packet.QuotaExceeded {
		t.Fatal("an existing one can be changed, a new one is refused")
	}
}
