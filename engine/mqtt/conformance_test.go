package mqtt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// The tests of this file are for normative statements that no test of a feature covers; docs/reference/mqtt-conformance.md says which test stands for which.

// TestTheReferenceNamesTestsThatExist keeps the table of statements true.
func TestTheReferenceNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/mqtt-conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "../../compat/*_test.go", "../../wire/c8ymqtt/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)`).FindAllSubmatch(source, -1) {
				there[string(m[1])] = true
			}
		}
	}
	named := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1)
	for _, name := range named {
		if !there[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
}

// retained returns the payload that a new subscriber of a topic gets at once, or "none".
func (s *server) retained(name string) string {
	c, _ := s.dial("asks", packet.V5, true, nil)
	defer s.closeWait(c, "asks")
	c.sub(1, name, 0)
	c.send(&packet.Ping{})
	switch p := want[packet.Packet](c).(type) {
	case *packet.Publish:
		return string(p.Payload)
	default:
		return "none"
	}
}

func TestFirstPacketMustBeConnect(t *testing.T) {
	s := start(t, &policy{}, nil)
	for _, p := range []packet.Packet{&packet.Ping{}, pub(1, "x", 1, ""), &packet.Disconnect{}, &packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "x"}}}} {
		c := wrap(t, s.pipe(), packet.V5)
		c.send(p)
		if got, err := c.next(5 * time.Second); err == nil { // no DISCONNECT before CONNACK: MQTT-3.14.0-1
			t.Errorf("%s is answered with %s", p.Kind(), got.Kind())
		}
	}
}

func TestNothingAfterARefusedConnectIsHandled(t *testing.T) {
	p := &policy{connect: func(*mqtt.ConnectRequest) error { return &mqtt.Refusal{Reason: packet.NotAuthorized} }}
	s := start(t, p, nil)
	versions(t, func(t *testing.T, v packet.Version) {
		c := wrap(t, s.pipe(), v)
		c.send(&packet.Connect{Version: v, ClientID: "a", Clean: true}, pub(1, "x", 1, ""), &packet.Ping{})
		a := want[*packet.Connack](c)
		if a.SessionPresent || a.Code == 0 {
			t.Errorf("CONNACK %+v", a)
		}
		c.ends()
	})
	if len(p.handlers) != 0 {
		t.Error("a handler was made")
	}
}

func TestUnknownProtocolLevels(t *testing.T) {
	s := start(t, &policy{}, nil)
	for raw, answer := range map[string]string{
		"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00":       "\x20-\x00\x84*\x1f\x00'protocol name or level is not supported", // a later version gets the answer of the newest we know
		"\x10\x0c\x00\x04MQTT\x02\x02\x00\x00\x00\x00":           "\x20\x02\x00\x01",
		"\x10\x10\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x02pw": "", // 3.1.1: a password without a user name (MQTT-3.1.2-22)
		"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00":           "", // the reserved flag (MQTT-3.1.2-3)
		"\x10\x0c\x00\x04MQTT\x04\x0a\x00\x00\x00\x00":           "", // will QoS without a will (MQTT-3.1.2-11)
		"\x10\x0c\x00\x04MQTT\x04\x22\x00\x00\x00\x00":           "", // will retain without a will (MQTT-3.1.2-13)
	} {
		c := s.pipe()
		if _, err := c.Write([]byte(raw)); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		var got bytes.Buffer
		if _, err := got.ReadFrom(c); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if got.String() != answer {
			t.Errorf("%q: answered with %q, want %q", raw, got.String(), answer)
		}
	}
}

func TestSessionPresentIsTold(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		for i, x := range []struct{ clean, present bool }{{false, false}, {false, true}, {true, false}, {false, false}} {
			c, a := s.dial("a", v, x.clean, nil)
			if want := x.present && v != packet.V31; a.SessionPresent != want {
				t.Errorf("%d: session present %v", i, a.SessionPresent)
			}
			s.closeWait(c, "a")
		}
	})
}

func TestAssignedClientIDsAreUnique(t *testing.T) {
	s := start(t, &policy{}, nil)
	seen := map[string]bool{}
	for range 10 {
		_, a := s.dial("", packet.V5, true, nil)
		if id := a.Props.AssignedClientID; id == "" || seen[id] {
			t.Errorf("assigned %q", id)
		} else {
			seen[id] = true
		}
	}
}

func TestRetainFlagDecides(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("a", v, true, nil)
		for i, x := range []struct {
			payload string
			retain  bool
			then    string
		}{{"1", false, "none"}, {"2", true, "2"}, {"3", false, "2"}, {"", false, "2"}, {"4", true, "4"}, {"", true, "none"}} {
			p := pub(uint16(i+1), "x", 1, x.payload)
			p.Retain = x.retain
			a.send(p)
			a.wantAck(packet.PUBACK, uint16(i+1), packet.Success)
			if got := s.retained("x"); got != x.then {
				t.Errorf("after %d: retained is %s, want %s", i, got, x.then)
			}
		}
	})
}

func TestWillRetainDecides(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		for topic, then := range map[string]string{"kept": "w", "not kept": "none"} {
			c, _ := s.dial("a", v, true, func(p *packet.Connect) {
				p.Will = &packet.Will{Topic: topic, Payload: []byte("w"), Retain: then == "w", QoS: 2}
			})
			s.closeWait(c, "a")
			if got := s.retained(topic); got != then {
				t.Errorf("%s: retained is %s, want %s", topic, got, then)
			}
		}
	})
}

func TestSubscribeOfManyFiltersIsAnsweredInOrder(t *testing.T) {
	p := &policy{subscribe: func(f string, q byte) mqtt.Reason {
		if strings.HasPrefix(f, "no") {
			return packet.NotAuthorized
		}
		return mqtt.Reason(min(q, 1))
	}}
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, p, nil)
		a, _ := s.dial("a", v, true, nil)
		a.send(&packet.Subscribe{PacketID: 7, Filters: []packet.Subscription{{Filter: "a", QoS: 0}, {Filter: "no", QoS: 1}, {Filter: "b", QoS: 2}, {Filter: "a", QoS: 1}}})
		got := want[*packet.Suback](a)
		codes := []packet.Reason{0, packet.NotAuthorized, 1, 1}
		if v != packet.V5 {
			codes[1] = packet.UnspecifiedError
		}
		if got.PacketID != 7 || !slices.Equal(got.Codes, codes) {
			t.Errorf("SUBACK %d %v", got.PacketID, got.Codes)
		}
		for i, sent := range []byte{0, 1, 2} { // the lower one of both counts
			s.inject("a", "p", sent)
			if m := a.wantPub("a", "p"); m.QoS != min(sent, 1) || m.Dup {
				t.Errorf("%d: QoS %d, DUP %v", i, m.QoS, m.Dup)
			} else if m.QoS == 1 {
				a.send(ack(packet.PUBACK, m.PacketID))
			}
		}
		s.inject("no", "p", 1)
		a.quiet()
	})
}

func TestUnsubscribe(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		s := start(t, &policy{}, nil)
		a, _ := s.dial("a", v, false, nil)
		for i, f := range []string{"a/+", "a/#", "b"} {
			a.sub(uint16(i+1), f, 2)
		}
		s.inject("b", "begun", 2)
		m := a.wantPub("b", "begun")
		a.send(&packet.Unsubscribe{PacketID: 9, Filters: []string{"a/+", "a/x", "b"}})
		got := want[*packet.Unsuback](a)
		if got.PacketID != 9 || v == packet.V5 && !slices.Equal(got.Codes, []packet.Reason{0, packet.NoSubscriptionExisted, 0}) {
			t.Errorf("UNSUBACK %+v", got)
		}
		s.inject("b", "new", 2)
		s.inject("a/x", "still", 0) // a/x was not a filter, although it matches
		a.wantPub("a/x", "still")
		a.send(ack(packet.PUBREC, m.PacketID)) // what has begun is completed
		a.wantAck(packet.PUBREL, m.PacketID, 0)
		a.send(ack(packet.PUBCOMP, m.PacketID))
		a.quiet()
		a.send(&packet.Unsubscribe{PacketID: 10, Filters: []string{"none"}})
		if got := want[*packet.Unsuback](a); got.PacketID != 10 {
			t.Errorf("UNSUBACK %+v", got)
		}
	})
}

func TestOverlappingSubscriptions(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	for i, f := range []string{"o/#", "o/+", "o/1", "$share/g/o/1"} {
		p := &packet.Subscribe{PacketID: uint16(i + 1), Filters: []packet.Subscription{{Filter: f, QoS: byte(i % 3)}}}
		p.Props.SubscriptionIDs = []uint32{uint32(i + 1)}
		a.send(p)
		want[*packet.Suback](a)
	}
	s.inject("o/1", "p", 2)
	var ids []uint32
	var most byte
	for len(ids) < 4 { // one copy or several: the specification leaves that open
		m := a.wantPub("o/1", "p")
		ids, most = append(ids, m.Props.SubscriptionIDs...), max(most, m.QoS)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []uint32{1, 2, 3, 4}) || most != 2 {
		t.Errorf("identifiers %v, QoS %d", ids, most)
	}
}

func TestTopicsAreNotNormalized(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	for i, f := range []string{"Case/é", "/lead", "trail/", "a//b", "sp ace"} {
		a.sub(uint16(i+1), f, 0)
	}
	for _, other := range []string{"case/é", "Case/e\u0301", "lead", "trail", "a/b", "space"} {
		s.inject(other, "p", 0)
	}
	a.quiet()
	s.inject("a//b", "p", 0)
	a.wantPub("a//b", "p")
}

func TestTopicAliasesEndWithTheirConnection(t *testing.T) {
	s := start(t, &policy{}, nil)
	for range 2 {
		a, _ := s.dial("a", packet.V5, false, nil)
		first := pub(1, "x", 1, "p")
		first.Props = aliased(1)
		a.send(first)
		a.wantAck(packet.PUBACK, 1, packet.Success)
		s.closeWait(a, "a")
		b, _ := s.dial("a", packet.V5, false, nil)
		second := pub(1, "", 1, "p")
		second.Props = aliased(1)
		b.send(second)
		if code := b.ends(); code != packet.ProtocolError {
			t.Errorf("code %s", code)
		}
	}
}

func TestPacketIdentifiersAreFreeAgainOnceAcknowledged(t *testing.T) {
	refuse := false
	p := &policy{publish: func(_ *handler, _ *mqtt.Message, done func(mqtt.Verdict)) {
		if refuse {
			done(mqtt.Verdict{Reason: packet.QuotaExceeded})
			return
		}
		done(mqtt.Verdict{})
	}}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	dup := func(qos byte) *packet.Publish { m := pub(5, "x", qos, "p"); m.Dup = true; return m }
	a.send(pub(5, "x", 1, "p"))
	a.wantAck(packet.PUBACK, 5, packet.Success)
	a.send(dup(1)) // MQTT-4.3.2-5: a new message, whatever DUP says
	a.wantAck(packet.PUBACK, 5, packet.Success)
	a.send(pub(5, "x", 2, "p"))
	a.wantAck(packet.PUBREC, 5, packet.Success)
	a.send(ack(packet.PUBREL, 5))
	a.wantAck(packet.PUBCOMP, 5, packet.Success)
	a.send(dup(2)) // MQTT-4.3.3-12
	a.wantAck(packet.PUBREC, 5, packet.Success)
	a.send(ack(packet.PUBREL, 5))
	a.wantAck(packet.PUBCOMP, 5, packet.Success)
	a.quiet()
	refuse = true
	a.send(pub(6, "x", 2, "p"))
	a.wantAck(packet.PUBREC, 6, packet.QuotaExceeded)
	refuse = false
	m := pub(6, "x", 2, "p") // MQTT-4.3.3-9
	m.Dup = true
	a.send(m)
	a.wantAck(packet.PUBREC, 6, packet.Success)
	if n := len(s.p.last("a").got()); n != 6 {
		t.Errorf("%d messages, want 6", n)
	}
}

func TestWhatAClientRefusesIsNotSentAgain(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, false, nil)
	a.sub(1, "x", 2)
	a.sub(2, "$share/g/w", 2)
	other, _ := s.dial("other", packet.V5, true, nil)
	for _, topic := range []string{"x", "w"} {
		for qos, kind := range map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
			s.inject(topic, "p", qos)
			m := a.wantPub(topic, "p")
			no := ack(kind, m.PacketID)
			no.Code = packet.QuotaExceeded
			a.send(no)
			a.quiet() // no PUBREL either
		}
	}
	other.sub(1, "$share/g/w", 1)
	s.closeWait(a, "a")
	a, _ = s.dial("a", packet.V5, false, nil)
	a.quiet()
	other.quiet() // MQTT-4.8.2-6
}

func TestEverythingElseGoesOnWhileTheQuotaIsUsedUp(t *testing.T) {
	s := start(t, &policy{}, nil)
	a, _ := s.dial("a", packet.V5, true, func(p *packet.Connect) {
		p.Props.ReceiveMaximum = 1
		p.Props.Mark(packet.PropReceiveMaximum)
	})
	a.sub(1, "x", 1)
	s.inject("x", "1", 1)
	s.inject("x", "2", 1)
	m := a.wantPub("x", "1")
	a.quiet()
	a.sub(2, "y", 0)
	a.send(pub(3, "z", 2, "p"))
	a.wantAck(packet.PUBREC, 3, packet.Success)
	a.send(ack(packet.PUBREL, 3))
	a.wantAck(packet.PUBCOMP, 3, packet.Success)
	a.send(ack(packet.PUBACK, m.PacketID))
	a.wantPub("x", "2")
}

// TestWhatWasSentDoesNotExpire: MQTT-4.3.3-7 and -13.
func TestWhatWasSentDoesNotExpire(t *testing.T) {
	bubble(t, &policy{}, nil, func(t *testing.T, s *fake) {
		a, _ := s.dial("a", packet.V5, false, nil)
		a.sub(1, "x", 2)
		short := func(id uint16) *packet.Publish {
			p := pub(id, "x", 2, "p")
			p.Props.MessageExpiry = 1
			p.Props.Mark(packet.PropMessageExpiry)
			return p
		}
		b, _ := s.dial("b", packet.V5, true, nil)
		b.send(short(1))
		b.wantAck(packet.PUBREC, 1, packet.Success)
		m := a.wantPub("x", "p")
		a.Close()
		synctest.Wait()
		time.Sleep(10 * time.Second)
		b.send(ack(packet.PUBREL, 1))
		b.wantAck(packet.PUBCOMP, 1, packet.Success)
		a, _ = s.dial("a", packet.V5, false, nil)
		again := a.wantPub("x", "p")
		if again.PacketID != m.PacketID || !again.Dup {
			t.Errorf("packet %d, DUP %v", again.PacketID, again.Dup)
		}
		a.send(ack(packet.PUBREC, m.PacketID))
		a.wantAck(packet.PUBREL, m.PacketID, 0)
		a.send(ack(packet.PUBCOMP, m.PacketID))
		a.quiet()
	})
}

// TestAnswersFitTheClient: a CONNACK leaves out words that are too long (MQTT-3.2.2-19), and one that cannot be made to fit is not sent (MQTT-3.1.2-24).
func TestAnswersFitTheClient(t *testing.T) {
	p := &policy{connect: func(r *mqtt.ConnectRequest) error {
		if r.ClientID == "refused" {
			return &mqtt.Refusal{Reason: packet.NotAuthorized, Text: strings.Repeat("because ", 20)}
		}
		return nil
	}}
	s := start(t, p, nil)
	most := func(n uint32) func(*packet.Connect) {
		return func(c *packet.Connect) {
			c.Props.MaximumPacketSize = n
			c.Props.Mark(packet.PropMaximumPacketSize)
		}
	}
	if _, a := s.dial("refused", packet.V5, true, most(100)); a.Code != packet.NotAuthorized || a.Props.ReasonString != "" {
		t.Errorf("%s %q", a.Code, a.Props.ReasonString)
	}
	if _, a := s.dial("refused", packet.V5, true, most(1000)); a.Props.ReasonString == "" {
		t.Error("the reason is left out although it fits")
	}
	c := wrap(t, s.pipe(), packet.V5)
	connect := &packet.Connect{Version: packet.V5, ClientID: "a", Clean: true}
	most(8)(connect)
	c.send(connect)
	if a := want[*packet.Connack](c); a.Code != packet.PacketTooLarge {
		t.Errorf("%s", a.Code)
	}
	c.ends()
}
