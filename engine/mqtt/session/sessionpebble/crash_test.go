package sessionpebble

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// rounds is how often a test cuts the power: ISOBAR_SOAK_CLONES, or what is usual.
func rounds(t *testing.T, usual int) int {
	if v := os.Getenv("ISOBAR_SOAK_CLONES"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("ISOBAR_SOAK_CLONES=%q is not a number from 1", v)
		}
		return n
	}
	return usual
}

// TestPowerCutsUnderLoad cuts the power at random moments while several sessions are written to at once, keeping a random part of what was not
// synced. Every message whose commit was acknowledged is there, and there is no hole before the newest.
func TestPowerCutsUnderLoad(t *testing.T) {
	const clients = 4
	fs := vfs.NewCrashableMem()
	db := openDB(t, fs)
	defer db.Close()
	s := New(db, []byte("p"))
	ctx := context.Background()
	var sure [clients]atomic.Uint64 // the newest acknowledged message
	var total atomic.Uint64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for c := range clients {
		id := fmt.Sprint("c", c)
		if err := s.Commit(ctx, "r", []session.Op{{Kind: session.PutSession, ClientID: id}}, true); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(c), 1))
			for seq := uint64(1); !stop.Load(); {
				var ops []session.Op
				for range 1 + rnd.IntN(5) {
					ops = append(ops, session.Op{Kind: session.Enqueue, ClientID: id, Entry: &session.Entry{Seq: seq, QoS: 1, Message: &session.Message{Topic: "t", Payload: []byte(fmt.Sprint(seq))}}})
					seq++
				}
				durable := rnd.IntN(3) > 0
				if err := s.Commit(ctx, "r", ops, durable); err != nil {
					t.Error(err)
					return
				}
				if durable {
					sure[c].Store(seq - 1)
					total.Add(1)
				}
			}
		})
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for round := range rounds(t, 12) {
		for begin := total.Load(); total.Load() < begin+uint64(1+rnd.IntN(40)); {
		}
		var want [clients]uint64
		for c := range want {
			want[c] = sure[c].Load()
		}
		checkClone(t, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rnd.IntN(101), RNG: rnd}), round, want[:])
		if t.Failed() {
			break
		}
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d commits", total.Load())
}

func checkClone(t *testing.T, fs vfs.FS, round int, want []uint64) {
	t.Helper()
	db := openDB(t, fs)
	defer db.Close()
	s := New(db, []byte("p"))
	for c, last := range want {
		queue, err := s.Queue(context.Background(), "r", fmt.Sprint("c", c), 0, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range queue {
			if e.Seq != uint64(i+1) || string(e.Message.Payload) != fmt.Sprint(e.Seq) {
				t.Fatalf("cut %d: session %d has %d %q where %d must be", round, c, e.Seq, e.Message.Payload, i+1)
			}
		}
		if uint64(len(queue)) < last {
			t.Fatalf("cut %d: session %d has %d messages, %d were acknowledged", round, c, len(queue), last)
		}
	}
}

// TestDamageOfTables flips bits in the tables of a closed database: whatever is read is what was written, or an error.
func TestDamageOfTables(t *testing.T) {
	whole := vfs.NewMem()
	db := openDB(t, whole)
	s := New(db, []byte("p"))
	ops := []session.Op{{Kind: session.PutSession, ClientID: "c"}}
	for seq := uint64(1); seq <= 50; seq++ {
		ops = append(ops, session.Op{Kind: session.Enqueue, ClientID: "c", Entry: &session.Entry{Seq: seq, QoS: 1, Message: &session.Message{Topic: "t", Payload: []byte(fmt.Sprint(seq))}}})
	}
	if err := s.Commit(context.Background(), "r", ops, true); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Verify(func(err error) { t.Error(err) }); err != nil || n != 51 {
		t.Fatal(n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(8, 8))
	found := 0
	n := rounds(t, 1000)
	for range n {
		fs := vfs.NewMem()
		if _, err := vfs.Clone(whole, fs, "db", "db"); err != nil {
			t.Fatal(err)
		}
		what := flipTable(t, fs, rnd)
		if damageFound(t, fs, what) {
			found++
		}
	}
	if found < n/2 {
		t.Errorf("only %d of %d flips were found", found, n)
	}
	t.Logf("%d of %d flips were found, the others did no harm", found, n)
}

func flipTable(t *testing.T, fs vfs.FS, rnd *rand.Rand) string {
	t.Helper()
	names, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if len(name) < 4 || name[len(name)-4:] != ".sst" {
			continue
		}
		path := fs.PathJoin("db", name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		bit := rnd.Int64N(info.Size() * 8)
		var b [1]byte
		if _, err := f.ReadAt(b[:], bit/8); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1 << (bit % 8)
		if _, err := f.WriteAt(b[:], bit/8); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("bit %d of %s", bit, path)
	}
	t.Fatal("there is no table")
	return ""
}

// damageFound reads everything and reports whether an error told of the damage.
func damageFound(t *testing.T, fs vfs.FS, what string) (found bool) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil { // quiet.Fatalf: Pebble refuses to go on
			found = true
		}
	}()
	db, err := tryOpen(fs)
	if err != nil {
		return true
	}
	defer db.Close()
	queue, err := New(db, []byte("p")).Queue(context.Background(), "r", "c", 0, 1000)
	if err != nil {
		return true
	}
	if len(queue) != 50 {
		t.Errorf("%s: %d messages without an error", what, len(queue))
	}
	for i, e := range queue {
		if string(e.Message.Payload) != fmt.Sprint(i+1) {
			t.Errorf("%s: message %d is %q", what, i+1, e.Message.Payload)
		}
	}
	return false
}
