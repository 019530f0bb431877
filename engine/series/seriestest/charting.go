package seriestest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

const hour = int64(3_600_000)

func (b *bench) zone(name string) *time.Location {
	b.t.Helper()
	z, err := series.ParseZone(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return z
}

// localBuckets counts the half hours of the days around both changes of the clocks.
func localBuckets(b *bench) {
	for i, c := range []struct {
		from string
		days []int64 // half hours of each
	}{{"2026-03-28T00:00:00+01:00", []int64{48, 46, 48}}, {"2026-10-24T00:00:00+02:00", []int64{48, 50, 48}}} {
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			b.t.Fatal(err)
		}
		source, total := iot.ID(i+1), int64(0)
		for _, n := range c.days {
			total += n
		}
		var all []*iot.Measurement
		for k := range total {
			all = append(all, values(source, from.UnixMilli()+k*hour/2, "t", fmt.Sprintf("f.T.C=%d", k)))
		}
		b.append(tenant, all...)
		b.rest()
		for _, reverse := range []bool{false, true} {
			chart := b.aggregate(b.s, series.Aggregation{Source: source, Interval: series.Interval{N: 1, Unit: series.Day}, Zone: b.zone("Europe/Berlin"), Reverse: reverse})
			var counts []int64
			for _, r := range chart.Rows {
				counts = append(counts, r.Stats[0].Count)
			}
			if reverse {
				slices.Reverse(counts)
			}
			b.expect("days", counts, c.days)
		}
		hours := b.aggregate(b.s, series.Aggregation{Source: source, Interval: series.Interval{N: 1, Unit: series.Hour}, Zone: b.zone("Europe/Berlin")})
		b.expect("hours", len(hours.Rows), int(total/2))
	}
}

// mixture makes a source whose values arrive partly late, and the same in the reference driver.
func (b *bench) mixture(source iot.ID, n int64, step int64) (ref *bench, all []*iot.Measurement) {
	ref = &bench{t: b.t, s: seriesmem.New()}
	rnd := rand.New(rand.NewPCG(uint64(source), 7))
	for i := range n {
		all = append(all, values(source, start+i*step+rnd.Int64N(step/3), "t", "f.T.C="+iot.Number{Mant: rnd.Int64N(100_000) - 50_000, Scale: 1}.String()))
	}
	var late, onTime []*iot.Measurement
	for _, m := range all {
		if rnd.IntN(5) == 0 {
			late = append(late, m)
		} else {
			onTime = append(onTime, m)
		}
	}
	b.append(tenant, onTime...)
	b.rest()
	b.append(tenant, late...)
	for _, m := range all {
		c := series.Copy(m)
		ref.append(tenant, &c)
	}
	return ref, all
}

func percentiles(b *bench) {
	ref, _ := b.mixture(1, 3000, 60_000)
	ranks := []float64{0, 12.5, 50, 99.9, 100}
	for _, reverse := range []bool{false, true} {
		a := series.Aggregation{Source: 1, Interval: series.Interval{N: 6, Unit: series.Hour}, Percentiles: ranks, Reverse: reverse}
		got, want := b.aggregate(b.s, a), b.aggregate(ref.s, a)
		if d := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 1e-6), cmpopts.EquateEmpty()); d != "" {
			b.t.Fatalf("(-want +got):\n%.3000s", d)
		}
		for _, r := range got.Rows {
			s := r.Stats[0]
			if p := r.Percentiles[0]; p[0] != s.Min.Float() || p[4] != s.Max.Float() || !slices.IsSorted(p) {
				b.t.Fatalf("percentiles %v of %+v", p, s)
			}
		}
	}
	for _, bad := range [][]float64{{-1}, {101}, {math.NaN()}, make([]float64, series.MaxPercentiles+1)} {
		_, err := series.Aggregate(context.Background(), b.s, tenant, series.Aggregation{Source: 1, Percentiles: bad})
		b.kind("bad rank", err, fault.Invalid)
	}
}

func drawings(b *bench) {
	ref, all := b.mixture(1, 5000, 60_000)
	at := map[int64]string{}
	low, high := all[0], all[0]
	for _, m := range all {
		n := m.Samples[0].Value
		at[m.Time.UnixMilli()] = n.String()
		if series.Compare(n, low.Samples[0].Value) < 0 {
			low = m
		}
		if series.Compare(n, high.Samples[0].Value) > 0 {
			high = m
		}
	}
	for _, method := range []series.Method{series.LTTB, series.MinMax} {
		for _, points := range []int{4, 100, 777, 5000} {
			a := series.Aggregation{Source: 1, MaxPoints: points, Method: method}
			chart := b.aggregate(b.s, a)
			if d := cmp.Diff(b.aggregate(ref.s, a), chart, cmpopts.EquateEmpty()); d != "" {
				b.t.Fatalf("%d points by method %d (-want +got):\n%.3000s", points, method, d)
			}
			n := len(chart.Rows)
			if n > points || n < points/3 || chart.Truncated || chart.Series[0].Unit != "C" {
				b.t.Fatalf("%d rows for %d points", n, points)
			}
			b.expect("first", chart.Rows[0].Time, all[0].Time.UnixMilli())
			b.expect("last", chart.Rows[n-1].Time, all[len(all)-1].Time.UnixMilli())
			seen := map[string]bool{}
			for i, r := range chart.Rows {
				text := r.Stats[0].Min.String()
				seen[text] = true
				if at[r.Time] != text || r.Stats[0].Count != 1 || i > 0 && r.Time < chart.Rows[i-1].Time {
					b.t.Fatalf("row %d: %+v is not a point, which is %s", i, r, at[r.Time])
				}
			}
			if method == series.MinMax && (!seen[low.Samples[0].Value.String()] || !seen[high.Samples[0].Value.String()]) {
				b.t.Fatalf("extremes are missing among %d points", points)
			}
			a.Reverse = true
			back := b.aggregate(b.s, a)
			slices.Reverse(back.Rows)
			b.expect("backwards", back.Rows, chart.Rows)
		}
	}
	none := b.aggregate(b.s, series.Aggregation{Source: 2, MaxPoints: 10, Series: []series.Key{{Fragment: "f", Series: "T"}}})
	b.expect("no values", []int{len(none.Series), len(none.Rows)}, []int{1, 0})
	for _, bad := range []series.Aggregation{{MaxPoints: 3}, {MaxPoints: 5001}, {MaxPoints: -1}, {MaxPoints: 9, Interval: series.Interval{N: 1, Unit: series.Day}}} {
		bad.Source = 1
		_, err := series.Aggregate(context.Background(), b.s, tenant, bad)
		b.kind("bad drawing", err, fault.Invalid)
	}
}

func (b *bench) recall(source iot.ID, keys ...series.Key) []string {
	b.t.Helper()
	all, err := series.Recall(context.Background(), b.s, tenant, source, keys)
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, l := range all {
		if l.Source != source {
			b.t.Fatalf("%+v is not of source %d", l, source)
		}
		out = append(out, fmt.Sprintf("%s.%s.%s=%s@%d", l.Fragment, l.Series, l.Unit, l.Value, l.At.MS-start))
	}
	return out
}

func latest(b *bench) {
	b.expect("nothing", b.recall(1), []string(nil))
	for i := range int64(300) {
		b.append(tenant, values(1, start+i*1000, "t", fmt.Sprintf("f.T.C=%d.0", i), "f.A.=1"), values(2, start+i, "t", "f.T.C=7"))
	}
	want := []string{"f.A.=1@299000", "f.T.C=299.0@299000"}
	b.expect("newest", b.recall(1), want)
	b.rest()
	b.expect("settled", b.recall(1), want)
	b.append(tenant, values(1, start+5, "late", "f.T.F=1", "g.B.=2"))
	b.expect("late", b.recall(1), append(want[:2:2], "g.B.=2@5"))
	b.append(tenant, values(1, start+299000, "other", "f.T.K=5.50"))
	b.expect("same millisecond", b.recall(1), []string{want[0], "f.T.K=5.50@299000", "g.B.=2@5"})
	b.expect("one", b.recall(1, series.Key{Fragment: "f", Series: "T"}), []string{"f.T.K=5.50@299000"})
	b.expect("absent", b.recall(1, series.Key{Fragment: "f", Series: "none"}), []string(nil))
	b.delete(tenant, series.Query{Source: 1, From: start + 299000})
	b.expect("after a deletion", b.recall(1), []string{"f.A.=1@298000", "f.T.C=298.0@298000", "g.B.=2@5"})
	b.rest()
	b.expect("settled after a deletion", b.recall(1), []string{"f.A.=1@298000", "f.T.C=298.0@298000", "g.B.=2@5"})
	b.delete(tenant, series.Query{Source: 1, From: start + 6})
	b.expect("only old ones", b.recall(1), []string{"f.A.=1@0", "f.T.F=1@5", "g.B.=2@5"})
	b.expect("other source", b.recall(2), []string{"f.T.C=7@299"})
	b.delete(tenant, series.Query{Source: 1})
	b.expect("all gone", b.recall(1), []string(nil))
	_, err := series.Recall(context.Background(), b.s, tenant, 0, nil)
	b.kind("no source", err, fault.Invalid)
}

// retention keeps some days of many sources: everything, one type, one fragment, one source.
func retention(b *bench) {
	for i, q := range []series.Query{{}, {Type: "old"}, {Fragment: "g"}, {Source: 3}, {Source: 3, Type: "old", Fragment: "f"}, {Fragment: "note"}} {
		t := iot.TenantID(fmt.Sprintf("keep%d", i))
		var all []*iot.Measurement
		for source := iot.ID(1); source <= 5; source++ {
			for k := range int64(400) {
				m := values(source, start+k*hour+int64(source), []string{"old", "new"}[k%2], []string{"f.T.C=1.5", "g.T.C=2"}[k/2%2])
				if k%97 == 0 {
					m.Extra = iot.Doc{{Name: "note", Raw: []byte(`"x"`)}}
				}
				all = append(all, m)
			}
		}
		bare := &iot.Measurement{Source: 6, Type: "old"}
		for k := range int64(200) { // no series at all
			m := *bare
			m.Time = iot.FromMillis(start + k*hour)
			all = append(all, &m)
		}
		b.append(t, all...)
		b.append("neighbour"+t, temperature(1, start))
		b.rest()
		for _, days := range []int64{0, 5, 5, 9, 400} {
			q.To = start + days*day
			var gone int64
			rest := all[:0:0]
			for _, m := range all {
				if q.Match(m) {
					gone++
				} else {
					rest = append(rest, m)
				}
			}
			all = rest
			b.expect("gone", b.delete(t, q), gone)
			b.same("rest", b.scan(t, series.Query{}), plain(all))
			b.rest()
		}
		b.expect("neighbour", len(b.scan("neighbour"+t, series.Query{})), 1)
	}
}

// backfill appends the same values in several orders, with rests in between; all that is read must not depend on the order.
func backfill(b *bench) {
	rnd := rand.New(rand.NewPCG(9, 9))
	ref := &bench{t: b.t, s: seriesmem.New()}
	for source := iot.ID(1); source <= 4; source++ {
		var all []*iot.Measurement
		for i := range int64(2500) {
			m := values(source, start+i*10_000+rnd.Int64N(3), "t", "f.T.C="+iot.Number{Mant: rnd.Int64N(500), Scale: 1}.String())
			if rnd.IntN(4) == 0 {
				m = values(source, start+i*10_000, "other", "f.T.C=1", "g.P.bar="+iot.FloatNumber(rnd.Float64()).String())
			}
			all = append(all, m)
		}
		switch source {
		case 1: // all backwards
			slices.Reverse(all)
		case 2: // every second one, later the others
			even, odd := all[:0:0], all[:0:0]
			for i, m := range all {
				if i%2 == 0 {
					even = append(even, m)
				} else {
					odd = append(odd, m)
				}
			}
			all = append(even, odd...)
		case 3:
			rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		case 4: // in blocks
			all = append(append(all[1000:1500:1500], all[:1000]...), all[1500:]...)
		}
		for len(all) > 0 {
			n := min(len(all), 1+rnd.IntN(700))
			b.append(tenant, all[:n]...)
			for _, m := range all[:n] {
				c := series.Copy(m)
				ref.append(tenant, &c)
			}
			all = all[n:]
			b.rest()
		}
		b.expect("newest", b.recall(source), ref.recall(source))
		for _, a := range []series.Aggregation{{Interval: series.Interval{N: 1, Unit: series.Minute}}, {Interval: series.Interval{N: 2, Unit: series.Hour}, Reverse: true},
			{MaxPoints: 50, Method: series.MinMax}, {MaxPoints: 50}} {
			a.Source = source
			if d := cmp.Diff(b.aggregate(ref.s, a), b.aggregate(b.s, a), cmpopts.EquateApprox(1e-9, 1e-6), cmpopts.EquateEmpty(), sameValue()); d != "" {
				b.t.Fatalf("source %d %+v (-want +got):\n%.3000s", source, a, d)
			}
		}
	}
	b.same("everything", strip(b.scan(tenant, series.Query{})), strip(ref.scan(tenant, series.Query{})))
	b.same("backwards", strip(b.scan(tenant, series.Query{Reverse: true, Source: 3})), strip(ref.scan(tenant, series.Query{Reverse: true, Source: 3})))
}
