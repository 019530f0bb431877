package series_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

func TestParseInterval(t *testing.T) {
	for _, s := range []string{"1s", "15m", "1h", "999d", "2w", "1M", "4q", "10y"} {
		if v, err := series.ParseInterval(s); err != nil || v.String() != s {
			t.Errorf("%s: %v %v", s, v, err)
		}
	}
	for _, s := range []string{"", "s", "0s", "1000s", "-1h", "+1h", "1", "1x", "1 h", "1hh", "01.5h", "h1"} {
		if v, err := series.ParseInterval(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q was read as %v (%v)", s, v, err)
		}
	}
}

func TestBuckets(t *testing.T) {
	for _, c := range []struct{ interval, at, start, end string }{
		{"1s", "2026-02-03T04:05:06.789Z", "2026-02-03T04:05:06Z", "2026-02-03T04:05:07Z"},
		{"15m", "2026-02-03T04:05:06.789Z", "2026-02-03T04:00:00Z", "2026-02-03T04:15:00Z"},
		{"1h", "1969-12-31T23:59:59.999Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
		{"1d", "2026-02-03T00:00:00Z", "2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z"},
		{"1w", "2026-02-08T23:59:59Z", "2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z"}, // a Sunday belongs to the Monday before
		{"1w", "1969-12-31T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"},
		{"1M", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"5M", "1970-06-01T00:00:00Z", "1970-06-01T00:00:00Z", "1970-11-01T00:00:00Z"},
		{"1M", "1969-12-31T00:00:00Z", "1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"1q", "2026-12-31T23:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"1y", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"},
		{"10y", "2026-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"},
	} {
		v, err := series.ParseInterval(c.interval)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.at)
		start, end := v.Bucket(at.UnixMilli())
		if got := [2]string{text(start), text(end)}; got != [2]string{c.start, c.end} {
			t.Errorf("%s at %s: got %v, want %s %s", c.interval, c.at, got, c.start, c.end)
		}
	}
}

func text(ms int64) string { return iot.FromMillis(ms).Format(time.RFC3339) }

func TestBucketsTileTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := series.Interval{N: rapid.IntRange(1, 999).Draw(t, "n"), Unit: series.Unit(rapid.SampledFrom([]byte("smhdwMqy")).Draw(t, "unit"))}
		ms := rapid.Int64Range(series.MinTime, series.MaxTime).Draw(t, "ms")
		start, end := v.Bucket(ms)
		if ms < start || ms >= end {
			t.Fatalf("%v: %d is not in [%d,%d)", v, ms, start, end)
		}
		if again, _ := v.Bucket(start); again != start {
			t.Fatalf("%v: the start of a bucket lies in another one", v)
		}
		if next, _ := v.Bucket(end); next != end {
			t.Fatalf("%v: there is a gap after %d", v, end)
		}
	})
}

// TestStatMerges checks that merged parts give what all values give, and the textbook formulas.
func TestStatMerges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mants := rapid.SliceOfN(rapid.Int64Range(-10_000, 10_000), 1, 50).Draw(t, "values")
		cut := rapid.IntRange(0, len(mants)).Draw(t, "cut")
		var all, left, right series.Stat
		mean := 0.0
		for i, m := range mants {
			n := iot.Number{Mant: m, Scale: 1}
			at := series.Stamp{MS: int64(i)}
			all.Add(at, n)
			if i < cut {
				left.Add(at, n)
			} else {
				right.Add(at, n)
			}
			mean += n.Float() / float64(len(mants))
		}
		squares := 0.0
		for _, m := range mants {
			d := float64(m)/10 - mean
			squares += d * d
		}
		left.Merge(right)
		for _, s := range []series.Stat{all, left} {
			sd, ok := s.StdDevSamp()
			if s.Count != int64(len(mants)) || s.Min != all.Min || s.Max != all.Max || !near(s.Avg(), mean) ||
				!near(s.StdDevPop(), math.Sqrt(squares/float64(len(mants)))) || ok != (len(mants) > 1) || ok && !near(sd, math.Sqrt(squares/float64(len(mants)-1))) {
				t.Fatalf("%+v of %v", s, mants)
			}
		}
	})
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6*(1+math.Abs(b)) }

func TestBoundsReachEveryTime(t *testing.T) {
	for _, ms := range []int64{-1, 0, 1, series.MinTime, series.MaxTime} {
		q := series.Query{From: series.Bound(iot.FromMillis(ms)), To: series.Bound(iot.FromMillis(ms + 1))}
		at := func(d int64) bool { return q.Match(&iot.Measurement{Time: iot.FromMillis(ms + d)}) }
		if !at(0) || at(1) || ms != series.MinTime && at(-1) {
			t.Errorf("%d: %+v", ms, q)
		}
	}
	if (&series.Query{}).Match(&iot.Measurement{Time: iot.FromMillis(series.MinTime)}) == false {
		t.Error("the zero query does not match")
	}
}

func TestCompareIsExactForLargeIntegers(t *testing.T) {
	a, b := iot.Number{Mant: 1<<53 + 1}, iot.Number{Mant: 1 << 53}
	if series.Compare(a, b) != 1 || series.Compare(b, a) != -1 || series.Compare(a, a) != 0 {
		t.Error("integers beyond 53 bits are rounded")
	}
}
