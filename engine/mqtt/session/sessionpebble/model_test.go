package sessionpebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionmem"
)

// TestRandomOperationsGiveTheSameAsTheReference runs one random history on both drivers, with power cuts after durable
// commits on the side of the durable one.
func TestRandomOperationsGiveTheSameAsTheReference(t *testing.T) {
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(3, 4))
	fs := vfs.NewCrashableMem()
	var db *pebble.DB
	reopen := func() *Store {
		db = openDB(t, fs)
		d := db
		t.Cleanup(func() { d.Close() })
		return New(db, []byte("p"))
	}
	mem, disk := sessionmem.New(), reopen()
	seq := map[string]uint64{}
	for range 400 {
		var ops []session.Op
		for range 1 + rnd.IntN(20) {
			ops = append(ops, randomOp(rnd, seq))
		}
		durable := rnd.IntN(2) == 0
		for _, s := range []session.Store{mem, disk} {
			if err := s.Commit(ctx, "r", ops, durable); err != nil {
				t.Fatal(err)
			}
		}
		if durable && rnd.IntN(10) == 0 {
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			disk = reopen()
		}
		if a, b := dump(t, mem), dump(t, disk); !reflect.DeepEqual(a, b) {
			t.Fatalf("memory\n%v, disk\n%v", a, b)
		}
	}
}

func randomOp(rnd *rand.Rand, seq map[string]uint64) session.Op {
	id := fmt.Sprint("c", rnd.IntN(3))
	op := session.Op{ClientID: id, PacketID: uint16(1 + rnd.IntN(5)), Filter: fmt.Sprint("f", rnd.IntN(4))}
	if seq[id] == 0 {
		seq[id] = 1
		op.Kind = session.PutSession
		return op
	}
	op.Kind = session.PutSession + session.OpKind(rnd.IntN(11))
	switch op.Kind {
	case session.DeleteSession:
		seq[id] = 0
	case session.PutSub:
		op.Sub = session.Subscription{Filter: op.Filter, QoS: byte(rnd.IntN(3))}
	case session.Enqueue:
		seq[id]++
		op.Entry = &session.Entry{Seq: seq[id], QoS: 1, Message: &session.Message{Topic: "t", Payload: []byte(fmt.Sprint(seq[id]))}}
	case session.MarkEntry:
		op.Kind = session.RemoveEntry // Marks of entries that are gone are undefined.
		fallthrough
	case session.RemoveEntry:
		op.Seq = 2 + rnd.Uint64N(seq[id])
	case session.PutRetained:
		op.Message = &session.Message{Topic: op.Filter, Payload: []byte{byte(rnd.IntN(9))}}
	}
	return op
}

func dump(t *testing.T, s session.Store) map[string]any {
	t.Helper()
	ctx := context.Background()
	all := map[string]any{}
	err := s.Sessions(ctx, "r", func(i session.Info) error {
		i.QueueBytes, i.LastSeq = 0, 0
		all["session "+i.ClientID] = i
		q, err := s.Queue(ctx, "r", i.ClientID, 0, 1000)
		for _, e := range q {
			all[fmt.Sprint("entry ", i.ClientID, e.Seq)] = string(e.Message.Payload)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.RetainedTopics(ctx, "r", func(topic string) error {
		m, err := s.Retained(ctx, "r", topic)
		all["retained "+topic] = string(m.Payload)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
