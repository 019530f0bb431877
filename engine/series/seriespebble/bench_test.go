package seriespebble_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

const step = 600_000

// fleet makes data as in performance.md: many sources, a point each 10 minutes with up to a second of jitter, random walks with one decimal.
type fleet struct {
	rnd    *rand.Rand
	values []int64
	ms     []int64
	next   int
}

func newFleet(sources int) *fleet {
	f := &fleet{rnd: rand.New(rand.NewPCG(1, 1)), values: make([]int64, sources), ms: make([]int64, sources)}
	for i := range f.values {
		f.values[i], f.ms[i] = 200, 1_770_000_000_000
	}
	return f
}

func (f *fleet) point(m *iot.Measurement) {
	i := f.next % len(f.values)
	f.next++
	f.values[i] += f.rnd.Int64N(11) - 5
	f.ms[i] += step
	*m = iot.Measurement{Source: iot.ID(i + 1), Time: iot.FromMillis(f.ms[i] + f.rnd.Int64N(1000)), Type: "c8y_TemperatureMeasurement",
		Samples: append(m.Samples[:0], iot.Sample{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: iot.Number{Mant: f.values[i], Scale: 1}})}
}

func (f *fleet) batch(n int) []series.Entry {
	out := make([]series.Entry, n)
	for i := range out {
		out[i] = series.Entry{Tenant: "main", M: &iot.Measurement{}}
		f.point(out[i].M)
	}
	return out
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFloor is what the disk gives: append as many bytes as a batch of 500 rows takes, then fsync.
func BenchmarkFloor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	must(b, err)
	defer f.Close()
	buf := make([]byte, 500*45)
	for b.Loop() {
		_, err := f.Write(buf)
		must(b, err)
		must(b, f.Sync())
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "points/s")
}

func BenchmarkAppend500(b *testing.B) {
	for name, sources := range map[string]int{"10000sources": 10_000, "100sources": 100} {
		b.Run(name, func(b *testing.B) {
			s, f := open(b, b.TempDir(), seriespebble.Options{}), newFleet(sources)
			for b.Loop() {
				b.StopTimer()
				batch := f.batch(500)
				b.StartTimer()
				must(b, s.Append(context.Background(), batch))
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "points/s")
		})
	}
}

func BenchmarkAppendSingle64(b *testing.B) {
	s := open(b, b.TempDir(), seriespebble.Options{})
	var source atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		f := newFleet(1)
		id := iot.ID(source.Add(1))
		e := []series.Entry{{Tenant: "main", M: &iot.Measurement{}}}
		for p.Next() {
			f.point(e[0].M)
			e[0].M.Source = id
			must(b, s.Append(context.Background(), e))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "points/s")
}

// BenchmarkOutOfOrder appends random past times, the worst case for finding a free sequence.
func BenchmarkOutOfOrder(b *testing.B) {
	s, f := open(b, b.TempDir(), seriespebble.Options{}), newFleet(100)
	rnd := rand.New(rand.NewPCG(2, 2))
	for b.Loop() {
		batch := f.batch(500)
		for i := range batch {
			batch[i].M.Time = iot.FromMillis(rnd.Int64N(1_000_000_000_000))
		}
		must(b, s.Append(context.Background(), batch))
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "points/s")
}

const loaded = 2_000_000

// load stores 2 million points of 10,000 sources.
func load(b *testing.B) (*seriespebble.Store, int64) {
	s, f := open(b, b.TempDir(), seriespebble.Options{}), newFleet(10_000)
	for range loaded / 1000 {
		must(b, s.Append(context.Background(), f.batch(1000)))
	}
	return s, f.ms[0]
}

// BenchmarkSeal measures sealing and what is on disk afterwards.
func BenchmarkSeal(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s, _ := load(b)
		b.StartTimer()
		n, err := s.Seal(context.Background(), "", always())
		must(b, err)
		b.StopTimer()
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(n)/loaded, "sealed/row")
		must(b, s.Compact(context.Background()))
		b.ReportMetric(float64(s.DiskBytes())/loaded, "bytes/point")
		b.ReportMetric(float64(s.TableBytes())/loaded, "tablebytes/point")
		b.ReportMetric(s.WriteAmplification(), "writeamp")
		b.StartTimer()
	}
}

func BenchmarkRead(b *testing.B) {
	for name, seal := range map[string]bool{"rows": false, "sealed": true} {
		b.Run(name, func(b *testing.B) {
			s, end := load(b)
			if seal {
				_, err := s.Seal(context.Background(), "", always())
				must(b, err)
			}
			b.Run("uncompacted", func(b *testing.B) { reads(b, s, end) })
			must(b, s.Compact(context.Background()))
			b.Run("compacted", func(b *testing.B) { reads(b, s, end) })
		})
	}
}

func reads(b *testing.B, s *seriespebble.Store, end int64) {
	ctx, rnd := context.Background(), rand.New(rand.NewPCG(4, 4))
	// 500 sources spread over the store: what dashboards look at. Their blocks are in the cache after the first look.
	source := func() iot.ID { return iot.ID(1 + 20*rnd.IntN(500)) }
	for i := range 500 {
		must(b, s.Scan(ctx, "main", series.Query{Source: iot.ID(1 + 20*i)}, func(*iot.Measurement) bool { return true }))
	}
	b.Run("last24h", func(b *testing.B) {
		for b.Loop() {
			n := 0
			must(b, s.Scan(ctx, "main", series.Query{Source: source(), From: end - 143*step - 1, To: end + step}, func(*iot.Measurement) bool { n++; return true }))
			if n < 143 {
				b.Fatal(n)
			}
		}
	})
	b.Run("latest", func(b *testing.B) {
		for b.Loop() {
			must(b, s.Scan(ctx, "main", series.Query{Source: source(), Reverse: true, Limit: 1}, func(*iot.Measurement) bool { return true }))
		}
	})
	for name, v := range map[string]series.Interval{"hourly": {N: 1, Unit: series.Hour}, "monthly": {N: 1, Unit: series.Month}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := series.Aggregate(ctx, s, "main", series.Aggregation{Source: source(), Interval: v})
				must(b, err)
			}
		})
	}
	b.Run("allsources", func(b *testing.B) {
		for b.Loop() {
			must(b, s.Scan(ctx, "main", series.Query{From: end - 10*step, Limit: 5}, func(*iot.Measurement) bool { return true }))
		}
	})
}
