package seriespebble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

// yearPoints is how many points a series of the fleet has: one each 315 seconds for a year.
const (
	yearPoints = 100_000
	yearStep   = 315_000
	yearStart  = 1_770_000_000_000
)

// benchPoints are the sizes of the store of BenchmarkFleet, by the environment: ISOBAR_BENCH_POINTS=1000000,10000000,100000000.
func benchPoints(b *testing.B) (sizes []int) {
	for text := range strings.FieldsFuncSeq(os.Getenv("ISOBAR_BENCH_POINTS"), func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(text)
		must(b, err)
		sizes = append(sizes, n)
	}
	if len(sizes) == 0 {
		b.Skip("ISOBAR_BENCH_POINTS is not set")
	}
	return sizes
}

// BenchmarkFleet fills a store with a year of each of many devices, in order of time and sealed as it goes, and asks for one of them.
func BenchmarkFleet(b *testing.B) {
	for _, n := range benchPoints(b) {
		b.Run(fmt.Sprintf("%dpoints", n), func(b *testing.B) {
			s := open(b, b.TempDir(), seriespebble.Options{})
			fillYear(b, s, max(1, n/yearPoints))
			must(b, s.Compact(context.Background()))
			b.Run("size", func(b *testing.B) {
				for b.Loop() {
				}
				b.ReportMetric(float64(s.TableBytes())/float64(n), "bytes/point")
				b.ReportMetric(s.WriteAmplification(), "writeamp")
			})
			fleetReads(b, s, max(1, n/yearPoints))
		})
	}
}

func fillYear(b *testing.B, s *seriespebble.Store, sources int) {
	rnd := rand.New(rand.NewPCG(1, 1))
	walks := make([]int64, sources)
	batch := make([]series.Entry, 0, 10_000)
	began, sinceSeal := time.Now(), 0
	for i := range int64(yearPoints) {
		for k := range walks {
			walks[k] += rnd.Int64N(11) - 5
			batch = append(batch, series.Entry{Tenant: "main", M: &iot.Measurement{Source: iot.ID(k + 1), Time: iot.FromMillis(yearStart + i*yearStep + rnd.Int64N(50)),
				Type: "c8y_TemperatureMeasurement", Samples: []iot.Sample{{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: iot.Number{Mant: 200 + walks[k], Scale: 1}}}}})
			if len(batch) == cap(batch) {
				must(b, s.Append(context.Background(), batch))
				sinceSeal += len(batch)
				batch = batch[:0]
			}
		}
		if sinceSeal >= 500_000 {
			_, err := s.Seal(context.Background(), "", always())
			must(b, err)
			sinceSeal = 0
		}
	}
	if len(batch) > 0 {
		must(b, s.Append(context.Background(), batch))
	}
	_, err := s.Seal(context.Background(), "", always())
	must(b, err)
	b.Logf("%d points were stored and sealed in %v", sources*yearPoints, time.Since(began).Round(time.Second))
}

// fleetReads measures with sources drawn at random out of all, so that most reads of a large store come from the disk or its cache in
// the machine. It reports the 50th and 99th percentile.
func fleetReads(b *testing.B, s *seriespebble.Store, sources int) {
	ctx, rnd := context.Background(), rand.New(rand.NewPCG(4, 4))
	end := int64(yearStart + yearPoints*yearStep)
	source := func() iot.ID { return iot.ID(1 + rnd.IntN(sources)) }
	measure := func(name string, fn func()) {
		b.Run(name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				began := time.Now()
				fn()
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "p99-us")
		})
	}
	measure("lastday", func() {
		n := 0
		must(b, s.Scan(ctx, "main", series.Query{Source: source(), From: end - 24*3_600_000}, func(*iot.Measurement) bool { n++; return true }))
		if n < 270 {
			b.Fatal(n)
		}
	})
	aggregate := func(a series.Aggregation) func() {
		return func() {
			a.Source = source()
			chart, err := series.Aggregate(ctx, s, "main", a)
			must(b, err)
			if len(chart.Rows) < 300 {
				b.Fatal(len(chart.Rows))
			}
		}
	}
	berlin, err := series.ParseZone("Europe/Berlin")
	must(b, err)
	hourly, daily := series.Interval{N: 1, Unit: series.Hour}, series.Interval{N: 1, Unit: series.Day}
	measure("yearhourly", aggregate(series.Aggregation{Interval: hourly, Limit: 10_000}))
	measure("yeardailyberlin", aggregate(series.Aggregation{Interval: daily, Zone: berlin}))
	measure("yeardailypercentiles", aggregate(series.Aggregation{Interval: daily, Percentiles: []float64{50, 99}}))
	measure("yearlttb800", aggregate(series.Aggregation{MaxPoints: 800}))
	measure("yearminmax800", aggregate(series.Aggregation{MaxPoints: 800, Method: series.MinMax}))
	measure("newest", func() {
		all, err := s.Recall(ctx, "main", source(), nil)
		must(b, err)
		if len(all) != 1 {
			b.Fatal(len(all))
		}
	})
	measure("retentionofnothing", func() {
		n, err := s.Delete(ctx, "main", series.Query{To: yearStart})
		must(b, err)
		if n != 0 {
			b.Fatal(n)
		}
	})
	measure("retentionofaday", func() { // once: the day is gone then
		_, err := s.Delete(ctx, "main", series.Query{To: yearStart + 24*3_600_000})
		must(b, err)
	})
}

// BenchmarkDrawing draws one series of a point a second: by default a million, or as ISOBAR_BENCH_POINTS says.
func BenchmarkDrawing(b *testing.B) {
	sizes := []int{1_000_000}
	if os.Getenv("ISOBAR_BENCH_POINTS") != "" {
		sizes = benchPoints(b)
	}
	for _, n := range sizes {
		if n > 10_000_000 {
			continue
		}
		s, rnd, v := open(b, b.TempDir(), seriespebble.Options{}), rand.New(rand.NewPCG(1, 1)), int64(0)
		for at := 0; at < n; at += 10_000 {
			batch := make([]series.Entry, 0, 10_000)
			for i := at; i < at+10_000; i++ {
				v += rnd.Int64N(11) - 5
				batch = append(batch, series.Entry{Tenant: "main", M: &iot.Measurement{Source: 1, Time: iot.FromMillis(yearStart + int64(i)*1000), Type: "t",
					Samples: []iot.Sample{{Fragment: "f", Series: "v", Value: iot.Number{Mant: v, Scale: 1}}}}})
			}
			must(b, s.Append(context.Background(), batch))
		}
		_, err := s.Seal(context.Background(), "", always())
		must(b, err)
		must(b, s.Compact(context.Background()))
		for name, m := range map[string]series.Method{"lttb": series.LTTB, "minmax": series.MinMax} {
			b.Run(fmt.Sprintf("%dpoints/%s", n, name), func(b *testing.B) {
				for b.Loop() {
					chart, err := series.Aggregate(context.Background(), s, "main", series.Aggregation{Source: 1, MaxPoints: 800, Method: m})
					must(b, err)
					if len(chart.Rows) < 600 {
						b.Fatal(len(chart.Rows))
					}
				}
			})
		}
	}
}
