package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// TestStore runs the suite. open makes an empty store and closes it with the test.
func TestStore(t *testing.T, open func(t *testing.T) session.Store) {
	for name, f := range map[string]func(*testing.T, session.Store){
		"everything put is read back":                 readBack,
		"the queue is read in parts and in order":     queueInParts,
		"marks stay with their entry":                 marks,
		"removing from anywhere keeps the order":      removing,
		"deleting a session deletes all of it":        deleting,
		"ids that contain each other do not mix":      nastyNames,
		"realms do not see each other, purge is ones": realms,
		"retained messages":                           retained,
		"an error of yield ends the listing":          yieldErrors,
		"concurrent commits of sessions":              concurrent,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// TestReopen checks a durable driver. open is called with the same folder twice; crash ends the first store as a crash
// of the process would: nothing is flushed on purpose.
func TestReopen(t *testing.T, open func(t *testing.T) session.Store, crash func()) {
	s := open(t)
	commit(t, s, "r", fill("c", 10)...)
	commit(t, s, "r", session.Op{Kind: session.RemoveEntry, ClientID: "c", Seq: 1},
		session.Op{Kind: session.MarkEntry, ClientID: "c", Seq: 2, PacketID: 7, State: session.Released},
		session.Op{Kind: session.PutRetained, Message: message("ret")})
	before := state(t, s)
	crash()
	s = open(t)
	if after := state(t, s); !reflect.DeepEqual(before, after) {
		t.Fatalf("after reopening\n%+v, want\n%+v", after, before)
	}
	q, _ := s.Queue(context.Background(), "r", "c", 0, 100)
	if len(q) != 9 || q[0].Seq != 2 || q[0].PacketID != 7 || q[0].State != session.Released {
		t.Fatalf("queue %+v", q)
	}
}

func message(topic string) *session.Message {
	return &session.Message{
		Topic: topic, Payload: []byte{0, 1, 255}, QoS: 2, Retain: true, PayloadFormat: 1, ContentType: "text", ResponseTopic: "re",
		CorrelationData: []byte{9}, User: []packet.UserProperty{{Key: "k", Value: "v"}, {Key: "k", Value: ""}},
		ExpiresAt: time.Unix(2_000_000_000, 0),
	}
}

// fill makes a session with a subscription, a received identifier and n entries.
func fill(id string, n int) []session.Op {
	ops := []session.Op{
		{Kind: session.PutSession, ClientID: id, Meta: session.Meta{Expiry: 60, DisconnectedAt: time.UnixMilli(1_700_000_000_123)}},
		{Kind: session.PutSub, ClientID: id, Sub: session.Subscription{Filter: "a/#", QoS: 1, NoLocal: true, ID: 5}},
		{Kind: session.PutReceived, ClientID: id, PacketID: 300},
	}
	for i := range n {
		ops = append(ops, entry(id, uint64(i+1)))
	}
	return ops
}

func entry(id string, seq uint64) session.Op {
	return session.Op{Kind: session.Enqueue, ClientID: id, Entry: &session.Entry{
		Seq: seq, QoS: 1, Retain: true, SubscriptionIDs: []uint32{5, 1 << 20}, Message: message(fmt.Sprint("m", seq)),
	}}
}

func commit(t testing.TB, s session.Store, realm string, ops ...session.Op) {
	t.Helper()
	if err := s.Commit(context.Background(), realm, ops, true); err != nil {
		t.Fatal(err)
	}
}

func infos(t testing.TB, s session.Store, realm string) map[string]session.Info {
	t.Helper()
	m := map[string]session.Info{}
	err := s.Sessions(context.Background(), realm, func(i session.Info) error {
		if i.QueueLen > 0 && i.QueueBytes <= 0 {
			t.Errorf("queue bytes %d", i.QueueBytes)
		}
		i.QueueBytes = 0
		m[i.ClientID] = i
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func state(t testing.TB, s session.Store) map[string]session.Info { return infos(t, s, "r") }

func queue(t testing.TB, s session.Store, id string, after uint64, limit int) []session.Entry {
	t.Helper()
	q, err := s.Queue(context.Background(), "r", id, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func readBack(t *testing.T, s session.Store) {
	commit(t, s, "r", fill("c", 3)...)
	want := session.Info{
		ClientID: "c", Meta: session.Meta{Expiry: 60, DisconnectedAt: time.UnixMilli(1_700_000_000_123)},
		Subscriptions: []session.Subscription{{Filter: "a/#", QoS: 1, NoLocal: true, ID: 5}}, Received: []uint16{300}, QueueLen: 3, LastSeq: 3,
	}
	if got := state(t, s)["c"]; !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%+v, want\n%+v", got, want)
	}
	q := queue(t, s, "c", 0, 10)
	if len(q) != 3 || !reflect.DeepEqual(q[1], *entry("c", 2).Entry) {
		t.Fatalf("queue %+v", q)
	}
	commit(t, s, "r", session.Op{Kind: session.PutSession, ClientID: "c"},
		session.Op{Kind: session.PutSub, ClientID: "c", Sub: session.Subscription{Filter: "a/#", QoS: 2, RetainAsPublished: true}},
		session.Op{Kind: session.PutSub, ClientID: "c", Sub: session.Subscription{Filter: "b"}},
		session.Op{Kind: session.DeleteSub, ClientID: "c", Filter: "b"},
		session.Op{Kind: session.DeleteReceived, ClientID: "c", PacketID: 300})
	meta := session.Meta{Expiry: 7, DisconnectedAt: time.UnixMilli(1_700_000_000_123), WillAt: time.Unix(1_700_000_010, 0), User: "u", WillUser: "u\nx", Will: entry("c", 1).Entry.Message}
	commit(t, s, "r", session.Op{Kind: session.PutSession, ClientID: "c", Meta: meta})
	if got := state(t, s)["c"].Meta; !reflect.DeepEqual(got, meta) {
		t.Fatalf("with a will: got\n%+v, want\n%+v", got, meta)
	}
	commit(t, s, "r", session.Op{Kind: session.PutSession, ClientID: "c"})
	got := state(t, s)["c"]
	if got.Meta.Will != nil {
		t.Fatal("the will stays")
	}
	if !got.Meta.DisconnectedAt.IsZero() || len(got.Received) != 0 || got.QueueLen != 3 || len(got.Subscriptions) != 1 ||
		!got.Subscriptions[0].RetainAsPublished || got.Subscriptions[0].QoS != 2 {
		t.Fatalf("updated %+v", got)
	}
}

func queueInParts(t *testing.T, s session.Store) {
	commit(t, s, "r", fill("c", 1000)...)
	var after uint64
	for n := 0; n < 1000; {
		q := queue(t, s, "c", after, 300)
		for _, e := range q {
			if n++; e.Seq != uint64(n) {
				t.Fatalf("seq %d at %d", e.Seq, n)
			}
			after = e.Seq
		}
		if len(q) == 0 {
			t.Fatal("queue ends early")
		}
	}
	if q := queue(t, s, "c", after, 1); len(q) != 0 {
		t.Fatal("entries behind the end")
	}
}

func marks(t *testing.T, s session.Store) {
	commit(t, s, "r", fill("c", 4)...)
	commit(t, s, "r", session.Op{Kind: session.MarkEntry, ClientID: "c", Seq: 2, PacketID: 9, State: session.Sent},
		session.Op{Kind: session.MarkEntry, ClientID: "c", Seq: 3, PacketID: 10, State: session.Sent},
		session.Op{Kind: session.MarkEntry, ClientID: "c", Seq: 3, PacketID: 10, State: session.Released})
	for i, want := range []struct {
		pid   uint16
		state session.State
	}{{0, session.Queued}, {9, session.Sent}, {10, session.Released}, {0, session.Queued}} {
		for _, q := range [][]session.Entry{queue(t, s, "c", 0, 10)[i:], queue(t, s, "c", uint64(i), 1)} {
			if q[0].PacketID != want.pid || q[0].State != want.state {
				t.Fatalf("entry %d is %+v", i+1, q[0])
			}
		}
	}
}

func removing(t *testing.T, s session.Store) {
	commit(t, s, "r", fill("c", 6)...)
	for _, seq := range []uint64{4, 1, 6, 99} {
		commit(t, s, "r", session.Op{Kind: session.RemoveEntry, ClientID: "c", Seq: seq})
	}
	commit(t, s, "r", entry("c", 7))
	var got []uint64
	for _, e := range queue(t, s, "c", 0, 10) {
		got = append(got, e.Seq)
	}
	if !reflect.DeepEqual(got, []uint64{2, 3, 5, 7}) || state(t, s)["c"].QueueLen != 4 {
		t.Fatalf("queue %v", got)
	}
}

func deleting(t *testing.T, s session.Store) {
	commit(t, s, "r", fill("c", 3)...)
	commit(t, s, "r", session.Op{Kind: session.MarkEntry, ClientID: "c", Seq: 2, PacketID: 9, State: session.Sent})
	commit(t, s, "r", session.Op{Kind: session.DeleteSession, ClientID: "c"}, session.Op{Kind: session.PutSession, ClientID: "c"})
	if got := state(t, s)["c"]; !reflect.DeepEqual(got, session.Info{ClientID: "c"}) || len(queue(t, s, "c", 0, 9)) != 0 {
		t.Fatalf("left over %+v", got)
	}
	commit(t, s, "r", session.Op{Kind: session.DeleteSession, ClientID: "c"})
	if len(state(t, s)) != 0 {
		t.Fatal("session is there")
	}
}

func nastyNames(t *testing.T, s session.Store) {
	names := []string{"a", "aq", "a\x00", "a\x00q", "ä", "\xff", "a/b", "A"}
	for i, n := range names {
		commit(t, s, "r", fill(n, i+1)...)
	}
	commit(t, s, "r", session.Op{Kind: session.DeleteSession, ClientID: "a"})
	all := state(t, s)
	if len(all) != len(names)-1 {
		t.Fatalf("%d sessions", len(all))
	}
	for i, n := range names[1:] {
		if got := len(queue(t, s, n, 0, 100)); got != i+2 || all[n].QueueLen != i+2 {
			t.Errorf("%q has %d entries", n, got)
		}
	}
}

func realms(t *testing.T, s session.Store) {
	names := []string{"r", "r1", "r\x00", ""}
	for _, r := range names {
		commit(t, s, r, append(fill("c", 2), session.Op{Kind: session.PutRetained, Message: message(r + "x")})...)
	}
	if err := s.Purge(context.Background(), "r"); err != nil {
		t.Fatal(err)
	}
	for _, r := range names {
		n := 0
		if r != "r" {
			n = 1
		}
		if got := len(infos(t, s, r)); got != n {
			t.Errorf("realm %q has %d sessions", r, got)
		}
		if m, _ := s.Retained(context.Background(), r, r+"x"); (m != nil) != (n == 1) {
			t.Errorf("realm %q: retained %v", r, m)
		}
	}
}

func retained(t *testing.T, s session.Store) {
	ctx := context.Background()
	commit(t, s, "r", session.Op{Kind: session.PutRetained, Message: message("a/b")},
		session.Op{Kind: session.PutRetained, Message: message("a")}, session.Op{Kind: session.PutRetained, Message: message("z")},
		session.Op{Kind: session.DeleteRetained, Filter: "z"})
	var topics []string
	err := s.RetainedTopics(ctx, "r", func(t string) error { topics = append(topics, t); return nil })
	if err != nil || len(topics) != 2 {
		t.Fatalf("topics %v, %v", topics, err)
	}
	m, err := s.Retained(ctx, "r", "a/b")
	if err != nil || !reflect.DeepEqual(m, message("a/b")) {
		t.Fatalf("got %+v, %v", m, err)
	}
	if m, err := s.Retained(ctx, "r", "z"); m != nil || err != nil {
		t.Fatalf("deleted one is there: %+v, %v", m, err)
	}
}

func yieldErrors(t *testing.T, s session.Store) {
	commit(t, s, "r", append(fill("a", 0), fill("b", 0)...)...)
	commit(t, s, "r", session.Op{Kind: session.PutRetained, Message: message("a")}, session.Op{Kind: session.PutRetained, Message: message("b")})
	stop, n := errors.New("stop"), 0
	if err := s.Sessions(context.Background(), "r", func(session.Info) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Fatalf("%v after %d", err, n)
	}
	n = 0
	if err := s.RetainedTopics(context.Background(), "r", func(string) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Fatalf("%v after %d", err, n)
	}
}

func concurrent(t *testing.T, s session.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := fmt.Sprint("c", i)
			commit(t, s, "r", fill(id, 0)...)
			for seq := range uint64(50) {
				commit(t, s, "r", entry(id, seq+1))
				queue(t, s, id, 0, 10)
			}
		})
	}
	wg.Wait()
	for id, i := range state(t, s) {
		if i.QueueLen != 50 || i.LastSeq != 50 {
			t.Errorf("%s: %+v", id, i)
		}
	}
}
