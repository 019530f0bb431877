package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/telemetry"

	"log/slog"
)

// gate is a store whose Append waits for permission and may fail.
type gate struct {
	series.Store
	entered chan int     // the size of each batch
	outcome chan error   // what to do with it
	durable atomic.Int64 // entries whose Append has returned
}

func newGate() *gate {
	return &gate{Store: seriesmem.New(), entered: make(chan int), outcome: make(chan error)}
}

func (g *gate) Append(ctx context.Context, entries []series.Entry) error {
	g.entered <- len(entries)
	if err := <-g.outcome; err != nil {
		return err
	}
	defer g.durable.Add(int64(len(entries)))
	return g.Store.Append(ctx, entries)
}

func (f *fixture) submit(g *gate, i int, results chan<- error) {
	m := reading(f.dev, i, fmt.Sprint(i))
	f.tm.Submit(ctx, "acme", &m, iot.Persistent, nil, func(err error) {
		if err == nil && g.durable.Load() == 0 {
			err = errors.New("answered before it was durable")
		}
		results <- err
	})
}

func TestSubmitAnswersAfterTheCommit(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	results := make(chan error, 100)
	f.submit(g, 0, results)
	if n := <-g.entered; n != 1 {
		t.Errorf("the first batch has %d entries", n)
	}
	for i := range 50 { // these wait for the commit under way and then share one
		f.submit(g, 1+i, results)
	}
	select {
	case err := <-results:
		t.Fatalf("answered before the commit: %v", err)
	default:
	}
	g.outcome <- nil
	f.must(<-results)
	if n := <-g.entered; n != 50 {
		t.Errorf("the second batch has %d entries", n)
	}
	g.outcome <- nil
	for range 50 {
		f.must(<-results)
	}
}

func TestAFailingStoreFailsEveryWaiter(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	results := make(chan error, 100)
	facts := f.listen("measurement.>")
	f.submit(g, 0, results)
	<-g.entered
	for i := range 20 {
		f.submit(g, 1+i, results)
	}
	g.outcome <- fault.E(fault.Full)
	f.kind("the first", <-results, fault.Full)
	<-g.entered
	g.outcome <- errors.New("disk on fire")
	for range 20 {
		f.kind("a waiter", <-results, fault.Internal)
	}
	f.quiet(facts, "measurement.x")
}

func TestOneBadMeasurementDoesNotSpoilTheOthers(t *testing.T) {
	f := setup(t, exhausted{seriesmem.New(), 13})
	bad := reading(f.dev, 1, "1")
	bad.Type = string([]byte{0xff})
	var first error
	f.tm.Submit(ctx, "acme", &bad, iot.Persistent, nil, func(err error) { first = err })
	f.kind("a measurement that no store takes", first, fault.Invalid)

	var wg sync.WaitGroup
	results := make([]error, 200)
	for i := range results {
		wg.Add(1)
		m := reading(f.dev, i, "1")
		f.tm.Submit(ctx, "acme", &m, iot.Persistent, nil, func(err error) { results[i] = err; wg.Done() })
	}
	wg.Wait()
	for i, err := range results {
		if (i == 13) != fault.Is(err, fault.Exhausted) || i != 13 && err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// exhausted refuses every batch that holds the measurement of one second.
type exhausted struct {
	series.Store
	second int
}

func (s exhausted) Append(ctx context.Context, entries []series.Entry) error {
	for _, e := range entries {
		if e.M.Time.Equal(start.Add(time.Duration(s.second) * time.Second)) {
			return fault.E(fault.Exhausted)
		}
	}
	return s.Store.Append(ctx, entries)
}

// fill submits until the queue is full behind a commit that is under way, and returns where the answers of all n will come.
func (f *fixture) fill(g *gate) (results chan error, n int) {
	f.t.Helper()
	const queue = 8192
	results = make(chan error, queue+10)
	f.submit(g, 0, results)
	<-g.entered
	for i := range queue {
		f.submit(g, 1+i, results)
	}
	return results, queue + 1
}

// free lets the commit that is under way and all later ones pass, until entered is closed.
func (g *gate) free() {
	g.outcome <- nil
	for range g.entered {
		g.outcome <- nil
	}
}

func TestSubmitBlocksWhenTheQueueIsFull(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	results, n := f.fill(g)
	full, cancel := context.WithCancel(ctx)
	blocked := make(chan error, 1)
	m := reading(f.dev, 99999, "1")
	go f.tm.Submit(full, "acme", &m, iot.Persistent, nil, func(err error) { blocked <- err })
	cancel()
	f.kind("a caller that gives up", <-blocked, fault.Canceled)
	go g.free()
	for range n {
		f.must(<-results)
	}
	f.tm.Close()
	f.submit(g, 1, results)
	f.kind("after Close", <-results, fault.Unavailable)
	close(g.entered)
}

func TestBatchesAreSplitByTenant(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	var mu sync.Mutex // guards got
	got := map[iot.TenantID][]iot.ID{}
	seen := make(chan struct{}, 10)
	stop, err := f.bus.Subscribe(bus.All("measurement", "CREATE"), func(t iot.TenantID, _ string, data []byte) {
		b, _ := telemetry.DecodeMeasurements(data)
		mu.Lock()
		for _, m := range b.Measurements {
			got[t] = append(got[t], m.Source)
		}
		mu.Unlock()
		seen <- struct{}{}
	})
	f.must(err)
	defer stop()
	results := make(chan error, 10)
	f.submit(g, 0, results)
	<-g.entered
	for i, tenant := range []iot.TenantID{"one", "two", "one"} {
		m := reading(iot.ID(10+i), i, "1")
		f.tm.Submit(ctx, tenant, &m, iot.Persistent, nil, func(err error) { results <- err })
	}
	g.outcome <- nil
	<-g.entered
	g.outcome <- nil
	for range 4 {
		f.must(<-results)
	}
	for range 3 { // the first, then one per tenant
		<-seen
	}
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(got["one"], got["two"]) != "[10 12] [11]" {
		t.Errorf("published %v", got)
	}
}

// BenchmarkSubmit measures durable measurements with many callers that each wait for their own.
func BenchmarkSubmit(b *testing.B) {
	for _, callers := range []int{1, 16, 256, 2048} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			store, err := seriespebble.Open(filepath.Join(b.TempDir(), "series"), seriespebble.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			q, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			tm, err := telemetry.New(telemetry.Deps{Series: store, Bus: q, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range callers {
				wg.Go(func() {
					result := make(chan error, 1)
					done := func(err error) { result <- err }
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						m := reading(iot.ID(c+1), int(i), "16.5")
						tm.Submit(ctx, "acme", &m, iot.Persistent, nil, done)
						if err := <-result; err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "m/s")
			tm.Close()
		})
	}
}
