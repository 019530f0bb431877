package mqtt_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// byUser says that a session belongs to the user of CONNECT.
func byUser(r *mqtt.ConnectRequest) string { return r.User }

func as(user string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.HasUser, p.User = true, user }
}

func TestASessionIsItsOwnersOnly(t *testing.T) {
	var orphaned atomic.Bool
	p := &policy{owner: byUser}
	fs := vfs.NewCrashableMem()
	config := func(c *mqtt.Config) {
		onPebble(t, fs)(c)
		c.Orphaned = func(_ context.Context, realm, owner string) bool {
			return realm == "t1" && owner == "ann" && orphaned.Load()
		}
	}
	s := start(t, p, config)
	refused := func(s *server, when string) {
		t.Helper()
		for _, clean := range []bool{true, false} {
			if _, ca := s.dial("c", packet.V5, clean, as("bob")); ca.Code != packet.ClientIDNotValid || !strings.Contains(ca.Props.ReasonString, "another user") {
				t.Errorf("%s, v5, clean start %v: %s %q", when, clean, ca.Code, ca.Props.ReasonString)
			}
			if _, ca := s.dial("c", packet.V311, clean, as("bob")); ca.Code != 2 {
				t.Errorf("%s, v3.1.1, clean session %v: %s", when, clean, ca.Code)
			}
		}
	}
	a, _ := s.dial("c", packet.V5, false, as("ann"))
	a.sub(1, "secret", 1)
	refused(s, "while its owner is connected")
	a.quiet() // was not thrown out
	s.closeWait(a, "c")
	s.inject("secret", "for ann", 1)
	refused(s, "while its owner is away")
	// The owner is known after a crash as well.
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	s = start(t, p, config)
	refused(s, "after a crash")
	a, ca := s.dial("c", packet.V5, false, as("ann"))
	if !ca.SessionPresent {
		t.Fatal("the owner's session is lost")
	}
	a.send(ack(packet.PUBACK, a.wantPub("secret", "for ann").PacketID))
	s.closeWait(a, "c")
	s.inject("secret", "for ann, too", 1)
	// Once nobody can come for it, the client id is free, and what was in the session is gone.
	orphaned.Store(true)
	b, ca := s.dial("c", packet.V5, false, as("bob"))
	if ca.Code.Failed() || ca.SessionPresent {
		t.Fatalf("after the owner has gone: %s, session present %v", ca.Code, ca.SessionPresent)
	}
	s.inject("secret", "for ann, too late", 1)
	b.quiet()
	s.closeWait(b, "c")
	if b, ca = s.dial("c", packet.V5, false, as("bob")); !ca.SessionPresent {
		t.Error("the new owner's session is lost")
	}
	b.quiet()
}

func TestACleanSessionInUseIsItsOwnersOnly(t *testing.T) {
	s := start(t, &policy{owner: byUser}, nil)
	a, _ := s.dial("c", packet.V311, true, as("ann"))
	if _, ca := s.dial("c", packet.V5, true, as("bob")); ca.Code != packet.ClientIDNotValid {
		t.Errorf("bob: %s", ca.Code)
	}
	a.quiet()
	if _, ca := s.dial("c", packet.V5, true, as("ann")); ca.Code.Failed() {
		t.Errorf("ann: %s", ca.Code)
	}
	a.ends()
	_, ca := s.dial("d", packet.V5, true, as("bob"))
	if ca.Code.Failed() {
		t.Errorf("another client id: %s", ca.Code)
	}
	d := s.p.last("c")
	s.Disconnect("t1", "c", packet.AdministrativeAction)
	within(t, d.closed)
	s.eventually(func() bool {
		_, ca := s.dial("c", packet.V5, true, as("bob"))
		return !ca.Code.Failed()
	})
}

// TestAWillOutlivesACrash starts a broker on what the disk holds while clients with wills are connected: they are published, those of clients that said
// goodbye are not.
func TestAWillOutlivesACrash(t *testing.T) {
	type published struct{ client, user, topic string }
	wills := make(chan published, 10)
	fs := vfs.NewCrashableMem()
	config := func(c *mqtt.Config) {
		onPebble(t, fs)(c)
		c.Will = func(_, clientID, user string, m *mqtt.Message, done func(mqtt.Verdict)) {
			wills <- published{clientID, user, m.Topic}
			done(mqtt.Verdict{Route: true})
		}
	}
	with := func(topic string, delay uint32) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: topic, QoS: 1, Payload: []byte("w")}
			if delay > 0 {
				p.Will.Props.WillDelay = delay
				p.Will.Props.Mark(packet.PropWillDelay)
			}
		}
	}
	s := start(t, &policy{}, config)
	listener, _ := s.dial("listener", packet.V311, false, nil)
	listener.sub(1, "w/#", 1)
	s.dial("clean", packet.V311, true, with("w/clean", 0))
	s.dial("kept", packet.V311, false, with("w/kept", 0))
	s.dial("late", packet.V5, false, with("w/late", 3600))
	for _, clean := range []bool{true, false} {
		bye, _ := s.dial("bye", packet.V311, clean, with("w/bye", 0))
		bye.send(&packet.Disconnect{})
		bye.ends()
		within(t, s.p.last("bye").closed)
		s.eventually(func() bool { _, ca := s.dial("bye", packet.V311, clean, nil); return !ca.Code.Failed() }) // released
	}
	again, _ := s.dial("again", packet.V5, false, with("w/again", 3600))
	again.quiet()
	if _, ca := s.dial("again", packet.V5, false, nil); !ca.SessionPresent { // takes over, and has no will any more
		t.Fatal("no session")
	}
	if n := len(s.p.last("again").got()); n != 0 {
		t.Fatalf("%d messages", n)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	s = start(t, &policy{}, config)
	if err := s.Load(context.Background(), "t1"); err != nil {
		t.Fatal(err)
	}
	got := map[published]bool{within(t, wills): true, within(t, wills): true}
	if !got[published{"clean", "user of clean", "w/clean"}] || !got[published{"kept", "user of kept", "w/kept"}] {
		t.Errorf("published were %v", got)
	}
	b, ca := s.dial("listener", packet.V311, false, nil)
	if !ca.SessionPresent {
		t.Fatal("the listener's session is lost")
	}
	for range 2 {
		b.send(ack(packet.PUBACK, want[*packet.Publish](b).PacketID))
	}
	for id, present := range map[string]bool{"clean": false, "kept": true, "late": true, "bye": true} {
		if _, ca := s.dial(id, packet.V5, false, nil); ca.SessionPresent != present {
			t.Errorf("%s: session present %v", id, ca.SessionPresent)
		}
	}
	b.quiet()
	// A third run has nothing left to publish, also since the client with a delay came in time.
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	s = start(t, &policy{}, config)
	if err := s.Load(context.Background(), "t1"); err != nil {
		t.Fatal(err)
	}
	s.dial("x", packet.V5, true, nil)
	if len(wills) > 0 {
		t.Errorf("published again: %v", <-wills)
	}
}

// slowSessions hands out the session of one client, and the others after a pause.
type slowSessions struct {
	session.Store
	first string
	pause func()
}

func (s slowSessions) Sessions(ctx context.Context, realm string, yield func(session.Info) error) error {
	var others []session.Info
	err := s.Store.Sessions(ctx, realm, func(i session.Info) error {
		if i.ClientID == s.first {
			return yield(i)
		}
		others = append(others, i)
		return nil
	})
	s.pause()
	for _, i := range others {
		err = errors.Join(err, yield(i))
	}
	return err
}

// TestALeftWillFindsEverySubscription reads the session with a will long before that of its subscriber: the will waits for it.
func TestALeftWillFindsEverySubscription(t *testing.T) {
	fs := vfs.NewCrashableMem()
	published := make(chan struct{})
	config := func(c *mqtt.Config) {
		onPebble(t, fs)(c)
		c.Store = slowSessions{c.Store, "dies", func() {
			select {
			case <-published: // Too early, which shows below.
			case <-time.After(50 * time.Millisecond):
			}
		}}
		c.Will = func(_, _, _ string, _ *mqtt.Message, done func(mqtt.Verdict)) {
			done(mqtt.Verdict{Route: true})
			close(published)
		}
	}
	s := start(t, &policy{}, config)
	listener, _ := s.dial("listener", packet.V311, false, nil)
	listener.sub(1, "w", 1)
	s.dial("dies", packet.V311, false, func(p *packet.Connect) { p.Will = &packet.Will{Topic: "w", QoS: 1, Payload: []byte("w")} })
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	s = start(t, &policy{}, config)
	if err := s.Load(context.Background(), "t1"); err != nil {
		t.Fatal(err)
	}
	within(t, published)
	b, _ := s.dial("listener", packet.V311, false, nil)
	if p := want[*packet.Publish](b); string(p.Topic) != "w" {
		t.Errorf("got %q", p.Topic)
	}
}
