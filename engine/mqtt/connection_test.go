package mqtt_test

import (
	"context"
	"errors"
	"testing"
	"time"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

func TestTakeover(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	a, _ := s.dial("same", packet.V5, false, nil)
	old := p.last("same")
	other, _ := s.dial("other", packet.V311, true, nil)
	b, _ := s.dial("same", packet.V311, true, nil)
	if code := a.ends(); code != packet.SessionTakenOver {
		t.Errorf("old connection was told %s", code)
	}
	select {
	case why := <-old.closed:
		if why.Cause != mqtt.ByTakeover {
			t.Errorf("closed %+v", why)
		}
	default:
		t.Error("new connection is accepted before the old one is closed")
	}
	b.quiet()
	other.quiet()
}

func TestManyTakeoversAtOnceLeaveOneConnection(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	done := make(chan *client, 10)
	for range 10 {
		c := wrap(t, s.pipe(), packet.V5)
		go func() {
			c.Write((&packet.Connect{Version: packet.V5, ClientID: "same", Clean: true}).AppendTo(nil, packet.V5))
			c.next(5 * time.Second)
			done <- c
		}()
	}
	alive := 0
	for range 10 {
		<-done
	}
	s.eventually(func() bool {
		closed := 0
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, h := range p.handlers {
			closed += len(h.closed)
		}
		alive = len(p.handlers) - closed
		return len(p.handlers) == 10 && alive == 1
	})
	list, _ := s.Sessions(context.Background(), "t1")
	if len(list) != 1 || !list[0].Connected {
		t.Fatalf("sessions %+v", list)
	}
}

func TestRealmsNeverMeet(t *testing.T) {
	p := &policy{realm: func(r *mqtt.ConnectRequest) string { return r.User }}
	s := start(t, p, nil)
	as := func(u string) func(*packet.Connect) {
		return func(c *packet.Connect) { c.HasUser, c.User = true, u }
	}
	a, _ := s.dial("same", packet.V311, true, as("t1"))
	b, _ := s.dial("same", packet.V311, true, as("t2"))
	a.sub(1, "#", 1)
	b.sub(1, "#", 1)
	keep := pub(2, "x", 1, "of t1")
	keep.Retain = true
	a.send(keep)
	p1 := want[packet.Packet](a)
	p2 := want[packet.Packet](a)
	if p1.Kind()+p2.Kind() != packet.PUBLISH+packet.PUBACK {
		t.Fatalf("%v %v", p1, p2)
	}
	b.sub(2, "x", 1)
	b.quiet()
	if s.Disconnect("t3", "same", packet.AdministrativeAction) || !s.Disconnect("t2", "same", packet.AdministrativeAction) {
		t.Fatal("disconnect")
	}
	b.ends()
	a.quiet()
}

func TestWill(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		p := &policy{}
		s := start(t, p, nil)
		watch, _ := s.dial("watch", v, true, nil)
		watch.sub(1, "gone/+", 1)
		will := func(c *packet.Connect) { c.Will = &packet.Will{Topic: "gone/a", Payload: []byte("bye"), QoS: 1} }
		a, _ := s.dial("a", v, true, will)
		s.closeWait(a, "a")
		watch.send(ack(packet.PUBACK, watch.wantPub("gone/a", "bye").PacketID))
		if m := p.last("a").got(); len(m) != 1 || !m[0].Will {
			t.Fatalf("handler got %+v", m)
		}
		b, _ := s.dial("a", v, true, will)
		b.send(&packet.Disconnect{})
		b.ends()
		if why := within(t, p.last("a").closed); why.Cause != mqtt.ByClient {
			t.Fatalf("closed %+v", why)
		}
		watch.quiet()
		if v == packet.V5 {
			d, _ := s.dial("a", v, true, will)
			d.send(&packet.Disconnect{Code: packet.DisconnectWithWill})
			d.ends()
			watch.wantPub("gone/a", "bye")
		}
	})
}

func TestClientThatReadsNoAnswersIsNotReadEither(t *testing.T) {
	s := start(t, &policy{}, func(c *mqtt.Config) { c.WriteTimeout = time.Hour })
	a, _ := s.dial("a", packet.V311, true, nil)
	a.SetWriteDeadline(time.Now().Add(time.Second))
	ping := make([]byte, 0, 1<<20)
	for range 1 << 19 {
		ping = append(ping, 0xC0, 0)
	}
	var err error
	total := 0
	for err == nil && total < 100<<20 {
		var n int
		n, err = a.Write(ping)
		total += n
	}
	if err == nil {
		t.Fatalf("took %d bytes", total)
	}
}

func TestConnectRules(t *testing.T) {
	p := &policy{connect: func(r *mqtt.ConnectRequest) error {
		switch r.User {
		case "bad":
			return &mqtt.Refusal{Reason: packet.BadUserOrPassword, Text: "who are you"}
		case "broken":
			return errors.New("database is down")
		}
		return nil
	}}
	s := start(t, p, nil)
	user := func(u string) func(*packet.Connect) {
		return func(c *packet.Connect) { c.HasUser, c.User = true, u }
	}
	for _, c := range []struct {
		name   string
		v      packet.Version
		id     string
		clean  bool
		change func(*packet.Connect)
		code   packet.Reason
	}{
		{"3.1 without id", packet.V31, "", true, nil, 2},
		{"3.1.1 without id and clean session", packet.V311, "", false, nil, 2},
		{"3.1.1 without id", packet.V311, "", true, nil, 0},
		{"5 without id", packet.V5, "", false, nil, 0},
		{"bad password 3.1.1", packet.V311, "a", true, user("bad"), 4},
		{"bad password 5", packet.V5, "a", true, user("bad"), packet.BadUserOrPassword},
		{"gate fails 3.1", packet.V31, "a", true, user("broken"), 3},
		{"gate fails 5", packet.V5, "a", true, user("broken"), packet.ServerUnavailable},
		{"enhanced authentication", packet.V5, "a", true, func(c *packet.Connect) {
			c.Props.AuthMethod = "SCRAM"
			c.Props.Mark(packet.PropAuthMethod)
		}, packet.BadAuthMethod},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, ca := s.dial(c.id, c.v, c.clean, c.change)
			if ca.Code != c.code {
				t.Fatalf("code %s, want %s", ca.Code, c.code)
			}
			if c.code != 0 {
				x.ends()
			} else if (c.v == packet.V5) != (ca.Props.AssignedClientID != "") {
				t.Fatalf("assigned %q", ca.Props.AssignedClientID)
			}
		})
	}
}

func TestMalformedInputEndsTheConnectionAndNothingElse(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	witness, _ := s.dial("witness", packet.V5, true, nil)
	for name, c := range map[string]struct {
		raw  string
		code packet.Reason
	}{
		"second connect":       {"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00", packet.ProtocolError},
		"connack":              {"\x20\x03\x00\x00\x00", packet.ProtocolError},
		"pingresp":             {"\xd0\x00", packet.ProtocolError},
		"auth":                 {"\xf0\x00", packet.ProtocolError},
		"QoS 3":                {"\x36\x06\x00\x01a\x00\x01\x00", packet.MalformedPacket},
		"alias above maximum":  {"\x30\x07\x00\x01a\x03\x23\x00\x11", packet.TopicAliasInvalid},
		"subscription id":      {"\x30\x06\x00\x01a\x02\x0b\x01", packet.ProtocolError},
		"wildcard topic":       {"\x30\x04\x00\x01+\x00", packet.TopicNameInvalid},
		"bad filter":           {"\x82\x08\x00\x01\x00\x00\x02#a\x00", packet.TopicFilterInvalid},
		"remaining length":     {"\x30\xff\xff\xff\xff\x01", packet.MalformedPacket},
		"raise session expiry": {"\xe0\x07\x00\x05\x11\x00\x00\x00\x01", packet.ProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := s.dial("bad", packet.V5, true, nil)
			a.Write([]byte(c.raw))
			if code := a.ends(); code != c.code {
				t.Errorf("code %s, want %s", code, c.code)
			}
			if why := within(t, p.last("bad").closed); why.Cause != mqtt.ByProtocol {
				t.Errorf("closed %+v", why)
			}
		})
	}
	for _, raw := range []string{"GET / HTTP/1.1\r\n\r\n", "\x30\x03\x00\x01a", "\x10\x0c\x00\x04MQTX\x04\x02\x00\x00\x00\x00", "\x16\x03\x01\x00"} {
		a := wrap(t, s.pipe(), packet.V311)
		a.Write([]byte(raw))
		a.CloseWriteIfPossible()
		for {
			if _, err := a.next(5 * time.Second); err != nil {
				break
			}
		}
	}
	witness.quiet()
}

// CloseWriteIfPossible ends the stream, for input that is cut off.
func (c *client) CloseWriteIfPossible() {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
}

func TestPanicOfAHandlerClosesItsConnectionOnly(t *testing.T) {
	p := &policy{publish: func(_ *handler, m *mqtt.Message, done func(mqtt.Verdict)) {
		if m.Topic == "boom" {
			panic("boom")
		}
		done(mqtt.Verdict{})
	}}
	s := start(t, p, func(c *mqtt.Config) { c.DrainTimeout = time.Millisecond })
	a, _ := s.dial("a", packet.V5, true, nil)
	b, _ := s.dial("b", packet.V5, true, nil)
	a.send(pub(1, "boom", 1, ""))
	a.ends()
	if why := within(t, p.last("a").closed); why.Cause != mqtt.ByFault {
		t.Fatalf("closed %+v", why)
	}
	b.send(pub(1, "x", 1, ""))
	b.wantAck(packet.PUBACK, 1, packet.Success)
}

func TestShutdownAcknowledgesWhatIsInProgressAndSaysGoodbye(t *testing.T) {
	pending := make(chan func(mqtt.Verdict), 1)
	p := &policy{publish: func(_ *handler, _ *mqtt.Message, done func(mqtt.Verdict)) { pending <- done }}
	s := start(t, p, nil)
	a, _ := s.dial("a", packet.V5, true, nil)
	a.send(pub(1, "x", 1, ""))
	done := within(t, pending)
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	s.eventually(func() bool { return s.Serve(context.Background(), failing{}) == mqtt.ErrStopped })
	done(mqtt.Verdict{})
	a.wantAck(packet.PUBACK, 1, packet.Success)
	if code := a.ends(); code != packet.ServerShuttingDown {
		t.Fatalf("code %s", code)
	}
	within(t, stopped)
}
