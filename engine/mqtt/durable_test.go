package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	mqtt "github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionmem"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionpebble"
)

func onPebble(t *testing.T, fs vfs.FS) func(*mqtt.Config) {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: mute{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return func(c *mqtt.Config) { c.Store = sessionpebble.New(db, []byte("m")) }
}

// TestPowerCutLosesNothingThatWasAcknowledged copies what the disk holds at that moment, while the broker runs, and
// starts another one on it.
func TestPowerCutLosesNothingThatWasAcknowledged(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := start(t, &policy{}, onPebble(t, fs))
	a, _ := s.dial("sub", packet.V311, false, nil)
	a.sub(1, "q/#", 2)
	p, _ := s.dial("pub", packet.V5, false, nil)
	for i := range 500 {
		m := pub(uint16(i+1), "q/1", byte(1+i%2), fmt.Sprint(i))
		m.Retain = i == 499
		p.send(m)
		if i%2 == 0 {
			p.wantAck(packet.PUBACK, uint16(i+1), packet.Success)
		} else {
			p.wantAck(packet.PUBREC, uint16(i+1), packet.Success)
		}
	}
	for i := range 5 { // 0, 2 and 4 are done; 1 is released; 3 is received by the client.
		got := a.wantPub("q/1", fmt.Sprint(i))
		switch {
		case i%2 == 0:
			a.send(ack(packet.PUBACK, got.PacketID))
		case i == 1:
			a.send(ack(packet.PUBREC, got.PacketID))
		}
	}
	for {
		if k, ok := want[packet.Packet](a).(*packet.Ack); ok && k.Type == packet.PUBREL {
			break
		}
	}
	s = start(t, &policy{}, onPebble(t, fs.CrashClone(vfs.CrashCloneCfg{})))
	b, ca := s.dial("sub", packet.V311, false, nil)
	if !ca.SessionPresent {
		t.Fatal("session is lost")
	}
	seen := map[string]bool{}
	released := 0
	for !seen["499"] {
		switch m := want[packet.Packet](b).(type) {
		case *packet.Publish:
			seen[string(m.Payload)] = true
			if m.QoS == 1 {
				b.send(ack(packet.PUBACK, m.PacketID))
			} else {
				b.send(ack(packet.PUBREC, m.PacketID))
			}
		case *packet.Ack:
			released++
			b.send(ack(packet.PUBCOMP, m.PacketID))
		}
	}
	for i := 5; i < 500; i++ {
		if !seen[fmt.Sprint(i)] {
			t.Errorf("acknowledged message %d is lost", i)
		}
	}
	if seen["1"] || released == 0 {
		t.Error("a QoS 2 message that was released is sent again")
	}
	c, _ := s.dial("late", packet.V311, true, nil)
	c.sub(1, "q/1", 0)
	c.wantPub("q/1", "499")
	q, _ := s.dial("pub", packet.V5, false, nil)
	again := pub(2, "q/1", 2, "1")
	again.Dup = true
	q.send(again)
	q.wantAck(packet.PUBREC, 2, packet.Success)
	if got := s.p.last("pub").got(); len(got) != 0 {
		t.Error("a QoS 2 message that was received before the crash is handled again")
	}
}

// faulty fails durable commits while bad is set.
type faulty struct {
	session.Store
	bad atomic.Bool
}

func (f *faulty) Commit(ctx context.Context, realm string, ops []session.Op, durable bool) error {
	if f.bad.Load() {
		return errors.New("disk is full")
	}
	return f.Store.Commit(ctx, realm, ops, durable)
}

func TestNoAcknowledgementWhenTheStoreFails(t *testing.T) {
	f := &faulty{Store: sessionmem.New()}
	s := start(t, &policy{}, func(c *mqtt.Config) { c.Store = f })
	sub, _ := s.dial("sub", packet.V5, false, nil)
	sub.sub(1, "x", 1)
	a, _ := s.dial("a", packet.V5, true, nil)
	old, _ := s.dial("old", packet.V311, true, nil)
	f.bad.Store(true)
	a.send(pub(1, "x", 1, "lost"))
	a.wantAck(packet.PUBACK, 1, packet.ImplementationError)
	old.send(pub(1, "x", 1, "lost"))
	old.ends()
	_, ca := s.dial("new", packet.V5, false, nil)
	if ca.Code != packet.ServerUnavailable {
		t.Errorf("CONNACK %s", ca.Code)
	}
	f.bad.Store(false)
	a.send(pub(2, "x", 1, "kept"))
	a.wantAck(packet.PUBACK, 2, packet.Success)
	sub.wantPub("x", "kept")
}

func TestMetricsCountDrops(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, &policy{}, func(c *mqtt.Config) {
		c.Metrics, c.OfflineMessages, c.Log = reg, 3, slog.New(slog.NewTextHandler(io.Discard, nil))
	})
	a, _ := s.dial("a", packet.V311, false, nil)
	a.sub(1, "x", 1)
	s.closeWait(a, "a")
	for i := range 10 {
		s.inject("x", "p", byte(i%2))
	}
	if n := dropped(t, reg, "offline_full"); n != 2 {
		t.Errorf("%v messages refused", n)
	}
	if n := dropped(t, reg, "offline_qos0"); n != 5 {
		t.Errorf("%v messages of QoS 0", n)
	}
	if _, err := mqtt.New(mqtt.Config{Gate: &policy{}, Metrics: reg}); err == nil {
		t.Error("the same metrics twice")
	}
}

func dropped(t *testing.T, reg *prometheus.Registry, reason string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "isobar_mqtt_dropped_messages_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestNoRoomForANewSession refuses a session that would have to be stored while there is no space, and lets in those that are known and those
// that end with their connection.
func TestNoRoomForANewSession(t *testing.T) {
	full := errors.New("full")
	var room atomic.Pointer[error]
	s := start(t, &policy{}, func(c *mqtt.Config) {
		c.Room = func() error {
			if e := room.Load(); e != nil {
				return *e
			}
			return nil
		}
	})
	known, _ := s.dial("known", packet.V5, false, nil)
	s.closeWait(known, "known")
	room.Store(&full)
	for _, x := range []struct {
		id    string
		clean bool
		want  packet.Reason
	}{{"known", false, packet.Success}, {"passing", true, packet.Success}, {"new", false, packet.QuotaExceeded}} {
		_, ack := s.dial(x.id, packet.V5, x.clean, nil)
		if ack.Code != x.want {
			t.Errorf("%s: %s, want %s", x.id, ack.Code, x.want)
		}
	}
}
