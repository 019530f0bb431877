package mqtt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionmem"
)

// connack connects with changes and returns the answer.
func (s *server) connack(v packet.Version, change func(*packet.Connect)) *packet.Connack {
	s.t.Helper()
	c, a := s.dial("ka", v, true, change)
	c.send(&packet.Disconnect{})
	return a
}

func TestServerKeepAliveIsTold(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.MaxKeepAlive = 100 * time.Second })
	for asked, told := range map[uint16]uint16{10: 0, 100: 0, 101: 100, 65535: 100, 0: 100} {
		a := s.connack(packet.V5, func(c *packet.Connect) { c.KeepAlive = asked })
		if a.Props.Has(packet.PropServerKeepAlive) != (told != 0) || a.Props.ServerKeepAlive != told {
			t.Errorf("keep alive %d: told %d", asked, a.Props.ServerKeepAlive)
		}
	}
	bubble(t, &policy{}, func(c *mqtt.Config) { c.MaxKeepAlive = 100 * time.Second }, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V5, true, func(c *packet.Connect) { c.KeepAlive = 0 })
		if d := endsAfter(t, a); d < 150*time.Second || d > 160*time.Second {
			t.Errorf("v5 ended after %s", d)
		}
		b, _ := s.dial("b", packet.V311, true, func(c *packet.Connect) { c.KeepAlive = 1000 })
		if d := endsAfter(t, b); d < 1500*time.Second || d > 1600*time.Second { // what it cannot be told must not be held against it
			t.Errorf("3.1.1 ended after %s", d)
		}
	})
}

// TestAPacketMustEnd: SlowITe holds connections with a long keep alive and single bytes.
func TestAPacketMustEnd(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		for _, keepAlive := range []uint16{0, 65535} {
			a, _ := s.dial(fmt.Sprint("a", keepAlive), packet.V311, true, func(c *packet.Connect) { c.KeepAlive = keepAlive })
			time.Sleep(time.Hour)
			a.quiet()
			begin := time.Now()
			var wg sync.WaitGroup
			wg.Go(func() {
				for _, b := range []byte("\x30\x20\x00\x01" + strings.Repeat("x", 28)) {
					if _, err := a.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(20 * time.Second)
				}
			})
			endsAfter(t, a)
			if d := time.Since(begin); d < time.Minute || d > 2*time.Minute {
				t.Errorf("keep alive %d: ended after %s", keepAlive, d)
			}
			a.Close()
			wg.Wait()
		}
	})
}

func TestResponseInformation(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.ResponsePrefix = "responses/" })
	ask := func(v byte) func(*packet.Connect) {
		return func(c *packet.Connect) {
			c.Props.RequestResponse = v
			c.Props.Mark(packet.PropRequestResponse)
		}
	}
	if a := s.connack(packet.V5, ask(1)); a.Props.ResponseInfo != "responses/ka" {
		t.Errorf("response information %q", a.Props.ResponseInfo)
	}
	for name, change := range map[string]func(*packet.Connect){ // MQTT-3.1.2-28
		"not asked for": nil, "not wanted": ask(0), "cannot be a topic": func(c *packet.Connect) { ask(1)(c); c.ClientID = "a/+" },
	} {
		if a := s.connack(packet.V5, change); a.Props.Has(packet.PropResponseInfo) {
			t.Errorf("%s: response information %q", name, a.Props.ResponseInfo)
		}
	}
}

func TestOutboundTopicAliases(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.TopicAliasMaximum = 3 })
	with := func(n uint16) func(*packet.Connect) {
		return func(c *packet.Connect) {
			c.Props.TopicAliasMaximum = n
			c.Props.Mark(packet.PropTopicAliasMaximum)
		}
	}
	for announced, most := range map[uint16]uint16{0: 0, 2: 2, 10: 3} {
		id := fmt.Sprint("a", announced)
		change := with(announced)
		if announced == 0 {
			change = nil
		}
		a, _ := s.dial(id, packet.V5, true, change)
		a.sub(1, id+"/#", 1)
		topics := map[uint16]string{}
		for i := range 20 {
			name := fmt.Sprint(id, "/topic/", i%5)
			s.inject(name, fmt.Sprint(i), 1)
			p := want[*packet.Publish](a)
			got, alias := string(p.Topic), p.Props.TopicAlias
			switch {
			case alias > most || alias == 0 && p.Props.Has(packet.PropTopicAlias):
				t.Fatalf("alias %d of %d", alias, announced)
			case got == "":
				got = topics[alias]
			case alias != 0:
				topics[alias] = got
			}
			if got != name || string(p.Payload) != fmt.Sprint(i) {
				t.Fatalf("%d: topic %q alias %d, want %q", i, p.Topic, alias, name)
			}
			a.send(ack(packet.PUBACK, p.PacketID))
		}
		if len(topics) != int(most) {
			t.Errorf("announced %d: %d aliases in use", announced, len(topics))
		}
	}
	// What the client does not take must not use up an alias it never heard of.
	a, _ := s.dial("small", packet.V5, true, func(c *packet.Connect) {
		with(3)(c)
		c.Props.MaximumPacketSize = 60
		c.Props.Mark(packet.PropMaximumPacketSize)
	})
	a.sub(1, "big/#", 0)
	s.inject("big/topic", strings.Repeat("x", 100), 0)
	s.inject("big/topic", "fits", 0)
	a.wantPub("big/topic", "fits")
	s.inject("big/topic", "again", 0)
	if p := want[*packet.Publish](a); len(p.Topic) != 0 || p.Props.TopicAlias == 0 {
		t.Errorf("topic %q alias %d", p.Topic, p.Props.TopicAlias)
	}
}

// TestSharedMessagesGoToOthers: what a member did not acknowledge is not lost with it.
func TestSharedMessagesGoToOthers(t *testing.T) {
	for name, clean := range map[string]bool{"clean": true, "resumable": false} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &policy{}, nil)
			a, _ := s.dial("a", packet.V5, clean, func(c *packet.Connect) {
				c.Props.ReceiveMaximum = 3
				c.Props.Mark(packet.PropReceiveMaximum)
			})
			a.sub(1, "$share/g/w", 2)
			b, _ := s.dial("b", packet.V5, true, nil)
			for i := range 10 { // three are sent, the rest waits
				s.inject("w", fmt.Sprint(i), 1)
			}
			for range 3 {
				want[*packet.Publish](a)
			}
			b.sub(1, "$share/g/w", 1)
			s.closeWait(a, "a")
			for i := range 10 {
				p := b.wantPub("w", fmt.Sprint(i))
				if p.Dup {
					t.Error("DUP on the first sending to this client") // MQTT-3.3.1-1
				}
				b.send(ack(packet.PUBACK, p.PacketID))
			}
			b.quiet()
			back, _ := s.dial("a", packet.V5, clean, nil)
			back.quiet() // nothing twice
			if list, err := s.Sessions(context.Background(), "t1"); err != nil || list[0].QueueLen != 0 {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

// TestSharedQoS2StaysWithItsSession: MQTT-4.8.2-4 and -5.
func TestSharedQoS2StaysWithItsSession(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, false, nil)
	a.sub(1, "$share/g/w", 2)
	s.inject("w", "one", 2)
	first := want[*packet.Publish](a)
	b, _ := s.dial("b", packet.V5, true, nil)
	b.sub(1, "$share/g/w", 2)
	s.closeWait(a, "a")
	b.quiet()
	a, _ = s.dial("a", packet.V5, false, nil)
	p := a.wantPub("w", "one")
	if !p.Dup || p.PacketID != first.PacketID {
		t.Errorf("DUP %t, packet %d, first %d", p.Dup, p.PacketID, first.PacketID)
	}
}

func TestDelayedWillSurvivesARestart(t *testing.T) {
	store := sessionmem.New()
	var mu sync.Mutex
	var got []string
	config := func(c *mqtt.Config) {
		c.Store = store
		c.Will = func(realm, client, user string, m *mqtt.Message, done func(mqtt.Verdict)) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s %s %q %s %s %t %d", realm, client, user, m.Topic, m.Payload, m.Will, m.QoS))
			done(mqtt.Verdict{Route: true})
		}
	}
	wills := func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), got...)
	}
	synctest.Test(t, func(t *testing.T) {
		connect := func(s *fake) *client {
			c, _ := s.dial("a", packet.V5, false, func(c *packet.Connect) {
				c.Will = &packet.Will{Topic: "gone", Payload: []byte("w"), QoS: 1}
				c.Will.Props.WillDelay = 30
				c.Will.Props.Mark(packet.PropWillDelay)
			})
			return c
		}
		run := func() *fake { return &fake{start(t, &policy{}, config)} }
		s := run()
		connect(s).Close()
		time.Sleep(10 * time.Second)
		s.stop()
		if len(wills()) != 0 {
			t.Fatalf("%q before the delay", got)
		}
		s = run()
		if err := s.Load(context.Background(), "t1"); err != nil {
			t.Fatal(err)
		}
		b, _ := s.dial("b", packet.V311, true, nil)
		b.sub(1, "gone", 1)
		time.Sleep(15 * time.Second)
		if len(wills()) != 0 {
			t.Fatalf("%q before the delay", got)
		}
		time.Sleep(7 * time.Second)
		if w := wills(); len(w) != 1 || w[0] != `t1 a "user of a" gone w true 1` {
			t.Fatalf("wills %q", w)
		}
		b.wantPub("gone", "w")
		b.Close()
		s.stop()
		s = run() // once is enough
		_ = s.Load(context.Background(), "t1")
		time.Sleep(time.Minute)
		if len(wills()) != 1 {
			t.Fatalf("%q after another restart", got)
		}
		connect(s).Close()
		synctest.Wait()
		s.stop()
		time.Sleep(time.Hour) // it became due while nobody was there
		s = run()
		_ = s.Load(context.Background(), "t1")
		time.Sleep(time.Millisecond)
		if len(wills()) != 2 {
			t.Fatalf("%q after a long pause", got)
		}
		connect(s).Close()
		synctest.Wait()
		s.stop()
		s = run()
		c := connect(s) // in time: MQTT-3.1.3-9
		time.Sleep(time.Minute)
		c.quiet()
		if len(wills()) != 2 {
			t.Fatalf("%q although the client came back", got)
		}
		c.send(&packet.Disconnect{})
		s.stop()
	})
}

func TestConnectIsBoundedBeforeAnybodyIsKnown(t *testing.T) {
	s := start(t, &policy{}, nil)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		c := wrap(t, s.pipe(), v)
		c.send(&packet.Connect{Version: v, ClientID: "x", Clean: true, Will: &packet.Will{Topic: "t", Payload: make([]byte, 5000)}})
		c.ends()
		d, a := s.dial(strings.Repeat("x", 3000), v, true, nil)
		if a.Code != 0 {
			t.Errorf("version %d: %s", v, a.Code)
		}
		d.send(pub(1, "t", 1, strings.Repeat("x", 10_000))) // afterwards the limit is another one
		d.wantAck(packet.PUBACK, 1, 0)
	}
	big := start(t, &policy{}, func(c *mqtt.Config) { c.MaxPacketBytes, c.MaxConnectBytes = 1<<20, 1<<20 })
	if _, a := big.dial(strings.Repeat("é", 32_767), packet.V5, true, nil); a.Code != 0 {
		t.Errorf("the longest client id: %s", a.Code)
	}
}

// TestMalformedText: section 1.5.4.
func TestMalformedText(t *testing.T) {
	s := start(t, &policy{}, nil)
	for name, id := range map[string]string{"U+0000": "a\x00b", "a surrogate": "a\xed\xa0\x80", "overlong": "a\xc0\xaf", "0xFF": "a\xff", "cut": "a\xe2\x82"} {
		c := wrap(t, s.pipe(), packet.V311)
		c.send(&packet.Connect{Version: packet.V311, ClientID: id, Clean: true})
		c.ends()
		d, _ := s.dial("ok", packet.V5, true, nil)
		d.send(pub(0, "t/"+id, 0, ""))
		if code := d.ends(); code != packet.MalformedPacket {
			t.Errorf("%s in a topic: %s", name, code)
		}
	}
	if _, a := s.dial("a\uFEFFb\U0010FFFF", packet.V5, true, nil); a.Code != 0 { // MQTT-1.5.4-3
		t.Errorf("U+FEFF: %s", a.Code)
	}
}

func TestDeniedAtDelivery(t *testing.T) {
	var mu sync.Mutex
	denied := map[string]bool{}
	deny := func(topic string, no bool) { mu.Lock(); denied[topic] = no; mu.Unlock() }
	p := &policy{receive: func(_ *handler, topic string) bool { mu.Lock(); defer mu.Unlock(); return !denied[topic] }}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V5, false, nil)
	a.sub(1, "#", 2)
	deny("no", true)
	for qos := range byte(3) {
		s.inject("no", "never", qos)
		s.inject("yes", fmt.Sprint(qos), qos)
		if got := a.wantPub("yes", fmt.Sprint(qos)); qos == 1 {
			a.send(ack(packet.PUBACK, got.PacketID))
		} else if qos == 2 {
			a.send(ack(packet.PUBREC, got.PacketID))
			a.wantAck(packet.PUBREL, got.PacketID, 0)
			a.send(ack(packet.PUBCOMP, got.PacketID))
		}
	}
	deny("no", false)
	if err := s.Publish(context.Background(), "t1", &mqtt.Message{Topic: "no", Payload: []byte("kept"), Retain: true, QoS: 1}); err != nil {
		t.Fatal(err)
	}
	a.send(ack(packet.PUBACK, a.wantPub("no", "kept").PacketID))
	s.closeWait(a, "a")
	s.inject("no", "queued", 1)
	deny("no", true)
	a, _ = s.dial("a", packet.V5, false, nil)
	a.quiet()
	if a.sub(2, "no", 1) != 1 {
		t.Fatal("the handler has granted it")
	}
	a.quiet() // nor the retained one
	if !p.last("a").p.receive(nil, "yes") {
		t.Fatal("the test is wrong")
	}
	s.eventually(func() bool {
		list, err := s.Sessions(context.Background(), "t1")
		return err == nil && list[0].QueueLen == 0
	})
}

// TestTheEndIsExplained: a v5 client learns why, in words if it takes them.
func TestTheEndIsExplained(t *testing.T) {
	s := start(t, &policy{}, nil)
	for most, words := range map[uint32]bool{0: true, 20: false} {
		a, _ := s.dial("a", packet.V5, true, func(c *packet.Connect) {
			if c.Props.MaximumPacketSize = most; most > 0 {
				c.Props.Mark(packet.PropMaximumPacketSize)
			}
		})
		a.send(pub(1, "t", 1, strings.Repeat("x", 20_000)))
		d := want[*packet.Disconnect](a)
		if d.Code != packet.PacketTooLarge || (d.Props.ReasonString != "") != words {
			t.Errorf("at most %d bytes: %s %q", most, d.Code, d.Props.ReasonString)
		}
	}
	a, _ := s.dial("a", packet.V5, true, nil)
	b, _ := s.dial("a", packet.V5, true, nil)
	if code := a.ends(); code != packet.SessionTakenOver {
		t.Errorf("takeover: %s", code)
	}
	s.Disconnect("t1", "a", packet.AdministrativeAction)
	if code := b.ends(); code != packet.AdministrativeAction {
		t.Errorf("by the administrator: %s", code)
	}
	for name, c := range map[string]struct {
		p    packet.Packet
		code packet.Reason
	}{
		"a second CONNECT": {&packet.Connect{Version: packet.V5, ClientID: "x"}, packet.ProtocolError}, "CONNACK": {&packet.Connack{}, packet.ProtocolError},
		"PINGRESP": {&packet.Ping{Response: true}, packet.ProtocolError}, "SUBACK": {&packet.Suback{PacketID: 1, Codes: []packet.Reason{0}}, packet.ProtocolError},
		"AUTH without a method": {&packet.Auth{Code: packet.Reauthenticate}, packet.ProtocolError}, "an unknown alias": {&packet.Publish{Props: aliased(1)}, packet.ProtocolError},
		"an alias that is too high": {&packet.Publish{Topic: []byte("x"), Props: aliased(17)}, packet.TopicAliasInvalid}, "a subscription identifier": {&packet.Publish{Topic: []byte("x"), Props: packet.Properties{SubscriptionIDs: []uint32{1}}}, packet.ProtocolError},
	} {
		x, _ := s.dial("x", packet.V5, true, nil)
		x.send(c.p)
		if code := x.ends(); code != c.code {
			t.Errorf("%s: %s", name, code)
		}
	}
}

func aliased(n uint16) (p packet.Properties) {
	p.TopicAlias = n
	p.Mark(packet.PropTopicAlias)
	return p
}
