package series_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := series.ParseZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestParseZone(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"} {
		zone(t, name)
	}
	for _, name := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "zone.tab", "a\x00b", string(make([]byte, 1000))} {
		if _, err := series.ParseZone(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLocalBuckets(t *testing.T) {
	for _, c := range []struct{ zone, interval, at, start, end string }{
		{"Europe/Berlin", "1d", "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"}, // 23 hours
		{"Europe/Berlin", "1d", "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"}, // 25 hours
		{"Europe/Berlin", "1h", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"},
		{"Europe/Berlin", "1h", "2026-10-25T02:30:00+01:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
		{"Europe/Berlin", "6h", "2026-10-25T03:30:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-25T06:00:00+01:00"},
		{"Europe/Berlin", "1w", "2026-03-29T23:59:59+02:00", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"},
		{"Europe/Berlin", "1M", "2026-03-31T23:30:00+02:00", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"},
		{"Europe/Berlin", "1q", "2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"},
		{"Europe/Berlin", "1y", "2025-12-31T23:30:00+01:00", "2025-01-01T00:00:00+01:00", "2026-01-01T00:00:00+01:00"},
		{"America/New_York", "1d", "2026-03-08T12:00:00-04:00", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
		{"Asia/Kolkata", "1h", "2026-03-08T12:10:00+05:30", "2026-03-08T12:00:00+05:30", "2026-03-08T13:00:00+05:30"},
		{"America/Sao_Paulo", "1d", "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}, // no midnight
		{"America/Sao_Paulo", "1d", "2018-02-17T23:30:00-03:00", "2018-02-17T00:00:00-02:00", "2018-02-18T00:00:00-03:00"}, // midnight comes late
		{"Australia/Lord_Howe", "1d", "2026-04-05T12:00:00+10:30", "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30"},
		{"Pacific/Apia", "1d", "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"}, // the day before was left out
	} {
		v, err := series.ParseInterval(c.interval)
		if err != nil {
			t.Fatal(err)
		}
		at := func(text string) int64 {
			x, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return x.UnixMilli()
		}
		z := zone(t, c.zone)
		start, end := v.BucketIn(at(c.at), z)
		if start != at(c.start) || end != at(c.end) {
			t.Errorf("%s %s at %s: got %s to %s, want %s to %s", c.zone, c.interval, c.at, time.UnixMilli(start).In(z), time.UnixMilli(end).In(z), c.start, c.end)
		}
	}
}

func TestLocalBucketsTileTime(t *testing.T) {
	names := []string{"Europe/Berlin", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Africa/Casablanca", "Asia/Kathmandu", "Antarctica/Troll"}
	rapid.Check(t, func(t *rapid.T) {
		z, err := series.ParseZone(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		v := series.Interval{N: rapid.IntRange(1, 40).Draw(t, "n"), Unit: series.Unit(rapid.SampledFrom([]byte("smhdwMqy")).Draw(t, "unit"))}
		ms := rapid.Int64Range(-2_000_000_000_000, 3_000_000_000_000).Draw(t, "ms")
		if near := rapid.Bool().Draw(t, "near a change"); near {
			if _, until := time.UnixMilli(ms).In(z).ZoneBounds(); !until.IsZero() {
				ms = until.UnixMilli() + rapid.Int64Range(-8_000_000, 8_000_000).Draw(t, "distance")
			}
		}
		start, end := v.BucketIn(ms, z)
		if ms < start || ms >= end {
			t.Fatalf("%v: %d is not in [%d,%d)", v, ms, start, end)
		}
		for _, inside := range []int64{start, end - 1, start + (end-start)/2} {
			if s, e := v.BucketIn(inside, z); s != start || e != end {
				t.Fatalf("%v: %d is in [%d,%d), not in [%d,%d)", v, inside, s, e, start, end)
			}
		}
		if next, _ := v.BucketIn(end, z); next != end {
			t.Fatalf("%v: there is a gap after %d", v, end)
		}
	})
}

// TestPercentilesOfMany compares the sketch of large buckets with the sorted values.
func TestPercentilesOfMany(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	ranks := []float64{0, 1, 25, 50, 90, 99, 99.9, 100}
	for name, c := range map[string]struct {
		draw   func() float64
		within float64
	}{
		"temperatures": {func() float64 { return 20 + 5*rnd.NormFloat64() }, 0.0010001},
		"both signs":   {func() float64 { return rnd.Float64()*2000 - 1000 }, 0.01},
		"wide":         {func() float64 { return math.Exp(rnd.NormFloat64() * 20) }, 0.05},
		"zeros":        {func() float64 { return float64(rnd.IntN(3)) }, 0.0010001},
	} {
		a := series.Aggregation{Source: 1, Interval: series.Interval{N: 9, Unit: series.Year}, Percentiles: ranks}
		b := series.NewBuilder(a)
		col := b.Column(series.Key{Series: "v"})
		var all []float64
		for i := range 200_000 {
			f := c.draw()
			all = append(all, f)
			b.Add(series.Stamp{MS: int64(i)}, col, iot.FloatNumber(f))
		}
		slices.Sort(all)
		got := b.Chart().Rows[0].Percentiles[0]
		for i, p := range ranks {
			r := p / 100 * float64(len(all)-1)
			low, high := all[int(r)], all[int(math.Ceil(r))]
			if got[i] < low-c.within*math.Abs(low) || got[i] > high+c.within*math.Abs(high) {
				t.Errorf("%s: percentile %v is %v, not within %v of %v to %v", name, p, got[i], c.within, low, high)
			}
		}
	}
}

// TestLTTBKeepsSpikes draws a flat line with three spikes.
func TestLTTBKeepsSpikes(t *testing.T) {
	s := seriesmem.New()
	var batch []series.Entry
	for i := range int64(20_000) {
		v := i % 3
		if i == 777 || i == 10_000 || i == 19_990 {
			v = 1000
		}
		batch = append(batch, series.Entry{Tenant: "main", M: &iot.Measurement{Source: 1, Time: iot.FromMillis(1_770_000_000_000 + i*1000), Type: "t",
			Samples: []iot.Sample{{Fragment: "f", Series: "v", Value: iot.Number{Mant: v}}}}})
	}
	if err := s.Append(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	chart, err := series.Aggregate(context.Background(), s, "main", series.Aggregation{Source: 1, MaxPoints: 60})
	if err != nil {
		t.Fatal(err)
	}
	spikes := 0
	for _, r := range chart.Rows {
		if r.Stats[0].Max.Mant == 1000 {
			spikes++
		}
	}
	if spikes != 3 || len(chart.Rows) != 60 {
		t.Errorf("%d spikes in %d points", spikes, len(chart.Rows))
	}
}

// TestRunsAddUpLikeValues compares AddRun with Add.
func TestRunsAddUpLikeValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ms []int64
		var seqs []uint32
		var vals []iot.Number
		mixed := rapid.Bool().Draw(t, "mixed")
		var one, run series.Stat
		for i := range rapid.IntRange(1, 40).Draw(t, "n") {
			n := iot.Number{Mant: rapid.Int64Range(-500, 500).Draw(t, "m"), Scale: 1}
			if mixed {
				n.Scale = int8(rapid.IntRange(0, 2).Draw(t, "scale"))
			}
			ms, seqs, vals = append(ms, int64(i/2)), append(seqs, uint32(i%2)), append(vals, n, iot.Number{Mant: 7})
			one.Add(series.Stamp{MS: ms[i], Seq: seqs[i]}, n)
		}
		run.AddRun(ms, seqs, vals, 2)
		if !near(one.Sum, run.Sum) || !near(one.M2, run.M2) {
			t.Fatalf("%+v, %+v", one, run)
		}
		if one.Sum, one.M2, run.Sum, run.M2 = 0, 0, 0, 0; one != run {
			t.Fatalf("%+v, %+v", one, run)
		}
	})
}

// TestBucketsEnd asks for buckets on the last days of leap years, where Go's bounds of a zone that has no further changes lie before the time
// they are asked for.
func TestBucketsEnd(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Asia/Kathmandu"} {
		z := zone(t, name)
		for _, day := range []string{"2020-12-30T10:00:00Z", "2024-12-31T23:30:00Z", "2040-12-31T12:00:00Z", "2096-12-31T06:00:00Z", "0971-06-01T00:00:00Z"} {
			at, err := time.Parse(time.RFC3339, day)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"1m", "1h", "6h", "1d", "1w", "1M", "1q", "1y", "99y", "999y"} {
				v, err := series.ParseInterval(text)
				if err != nil {
					t.Fatal(err)
				}
				if start, end := v.BucketIn(at.UnixMilli(), z); start > at.UnixMilli() || end <= at.UnixMilli() {
					t.Errorf("%s %s %s: %d to %d", name, day, text, start, end)
				}
			}
		}
	}
}
