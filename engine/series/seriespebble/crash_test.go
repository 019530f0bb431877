package seriespebble_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

const writers = 4

// acked is what the writers were told to be durable.
type acked struct {
	mu    sync.Mutex // guards ids and ended
	ids   map[iot.MeasurementID]string
	last  [writers]uint64 // Hash of the latest delivery of each writer, which counts them
	ended bool
	more  *sync.Cond // on mu: ids or ended changed
}

func newAcked() *acked {
	a := &acked{ids: map[iot.MeasurementID]string{}}
	a.more = sync.NewCond(&a.mu)
	return a
}

// add notes a batch; false tells the writer to stop.
func (a *acked) add(entries []series.Entry) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range entries {
		a.ids[e.M.ID()] = e.M.Samples[0].Value.String()
		a.last[e.From.Client] = e.From.Hash
	}
	a.more.Broadcast()
	return !a.ended
}

// wait returns after n more measurements; false after the end.
func (a *acked) wait(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n += len(a.ids); len(a.ids) < n && !a.ended; {
		a.more.Wait()
	}
	return !a.ended
}

func (a *acked) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.more.Broadcast()
}

func (a *acked) snapshot() (ids map[iot.MeasurementID]string, last [writers]uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.ids), a.last
}

// TestPowerCut cuts the power at many moments while four writers append and rows are sealed, keeping a random part of what was not
// synced, and looks for every acknowledged measurement afterwards.
func TestPowerCut(t *testing.T) {
	for round := range 6 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			powerCut(t, uint64(round))
		})
	}
}

func powerCut(t *testing.T, seed uint64) {
	disk := vfs.NewCrashableMem()
	s := open(t, "data", seriespebble.Options{FS: disk})
	sure := newAcked()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer sure.end()
	for w := range writers {
		wg.Go(func() { writeUntilTheEnd(t, s, sure, uint64(w)) })
	}
	wg.Go(func() {
		for sure.wait(200) {
			if _, err := s.Seal(context.Background(), "", always()); err != nil {
				t.Error(err)
			}
			if err := s.Fold(); err != nil {
				t.Error(err)
			}
		}
	})
	rnd := rand.New(rand.NewPCG(seed, 9))
	for cut := range 5 {
		sure.wait(1500)
		want, last := sure.snapshot()
		clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 25 * cut, RNG: rnd})
		survived(t, clone, want, last)
	}
}

func writeUntilTheEnd(t *testing.T, s *seriespebble.Store, sure *acked, w uint64) {
	rnd := rand.New(rand.NewPCG(w, 7))
	from := series.Delivery{Client: w}
	for at := int64(1_770_000_000_000); ; {
		var batch []series.Entry
		for range 1 + rnd.IntN(40) {
			from.Hash++
			from := from
			at += rnd.Int64N(3) * 1000
			late := rnd.Int64N(20) / 19 * 500_000
			m := &iot.Measurement{Source: iot.ID(1 + rnd.IntN(3)), Time: iot.FromMillis(at - late), Type: "t",
				Samples: []iot.Sample{{Fragment: "f", Series: fmt.Sprint("s", rnd.IntN(2)), Unit: "u", Value: iot.Number{Mant: rnd.Int64N(1000), Scale: 1}}}}
			batch = append(batch, series.Entry{Tenant: "main", M: m, From: &from})
		}
		if err := s.Append(context.Background(), batch); err != nil {
			t.Error(err)
			sure.end()
			return
		}
		if !sure.add(batch) {
			return
		}
	}
}

// remembered checks that all deliveries of a writer are known, without a gap, from a number of commits ago to the last that was acknowledged.
func remembered(t *testing.T, s *seriespebble.Store, client, last uint64) {
	t.Helper()
	got, err := s.Deliveries(context.Background(), "main", client)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(got); i++ {
		if got[i].Hash != got[i-1].Hash+1 {
			t.Fatalf("writer %d: delivery %d is remembered after %d", client, got[i].Hash, got[i-1].Hash)
		}
	}
	if n := len(got); last > 0 && (n == 0 || got[n-1].Hash < last || n < int(min(last, series.Remembered))) {
		t.Fatalf("writer %d: %d deliveries are remembered, the last acknowledged was %d", client, n, last)
	}
}

func survived(t *testing.T, disk vfs.FS, want map[iot.MeasurementID]string, last [writers]uint64) {
	t.Helper()
	s, err := seriespebble.Open("data", seriespebble.Options{FS: disk, SealEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for w, n := range last {
		remembered(t, s, uint64(w), n)
	}
	for range 2 {
		got := map[iot.MeasurementID]string{}
		err := s.Scan(context.Background(), "main", series.Query{}, func(m *iot.Measurement) bool {
			if _, twice := got[m.ID()]; twice {
				t.Errorf("%v came twice", m.ID())
			}
			got[m.ID()] = m.Samples[0].Value.String()
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for id, v := range want {
			if got[id] != v {
				t.Fatalf("%v: got %q, want %q of %d", id, got[id], v, len(want))
			}
		}
		if _, err := s.Seal(context.Background(), "", always()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReopen checks that sequences go on where they were and that sealed data is found again.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	seen := map[iot.MeasurementID]bool{}
	for round := range 4 {
		s, err := seriespebble.Open(dir, seriespebble.Options{SealEvery: -1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(200) {
			m := &iot.Measurement{Source: 1, Time: iot.FromMillis(i / 2), Type: fmt.Sprint("t", round/2), Samples: []iot.Sample{{Fragment: "f", Series: "s"}}}
			if err := s.Append(context.Background(), []series.Entry{{Tenant: "main", M: m}}); err != nil {
				t.Fatal(err)
			}
			if seen[m.ID()] {
				t.Fatalf("round %d: %v was given twice", round, m.ID())
			}
			seen[m.ID()] = true
		}
		if round%2 == 0 {
			if _, err := s.Seal(context.Background(), "main", always()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	s := open(t, dir, seriespebble.Options{})
	if err := s.Scan(context.Background(), "main", series.Query{}, func(*iot.Measurement) bool { n++; return true }); err != nil || n != len(seen) {
		t.Fatal(n, err)
	}
}
