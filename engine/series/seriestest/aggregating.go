package seriestest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/iot"
)

func (b *bench) aggregate(s series.Store, a series.Aggregation) series.Chart {
	b.t.Helper()
	c, err := series.Aggregate(context.Background(), s, tenant, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func aggregates(b *bench) {
	base := start / hour * hour
	for i := range int64(600) {
		b.append(tenant, values(1, base+i*60_000, "t", "f.T.C="+iot.Number{Mant: 200 + i%60, Scale: 1}.String()))
	}
	b.rest()
	key := series.Key{Fragment: "f", Series: "T"}
	c := b.aggregate(b.s, series.Aggregation{Source: 1, Series: []series.Key{key}, Interval: series.Interval{N: 1, Unit: series.Hour}})
	b.expect("hours", len(c.Rows), 10)
	b.expect("columns", c.Series, []series.Info{{Key: key, Unit: "C"}})
	for i, r := range c.Rows {
		s := r.Stats[0]
		sd, ok := s.StdDevSamp()
		if r.Time != base+int64(i)*hour || s.Count != 60 || s.Min.String() != "20.0" || s.Max.String() != "25.9" || math.Abs(s.Avg()-22.95) > 1e-9 ||
			math.Abs(s.StdDevPop()-1.7318102) > 1e-6 || !ok || math.Abs(sd-1.7464249) > 1e-6 {
			b.t.Fatalf("row %d: %+v", i, r)
		}
	}
	raw := b.aggregate(b.s, series.Aggregation{Source: 1, Limit: 100})
	b.expect("raw", []any{len(raw.Rows), raw.Truncated, raw.Rows[99].Time}, []any{100, true, base + 99*60_000})
	exact := b.aggregate(b.s, series.Aggregation{Source: 1, Limit: 600, Reverse: true})
	b.expect("exactly the limit", []any{len(exact.Rows), exact.Truncated, exact.Rows[0].Time}, []any{600, false, base + 599*60_000})
	none := b.aggregate(b.s, series.Aggregation{Source: 1, Series: []series.Key{{Fragment: "f", Series: "no"}, key}, From: base, To: base + 60_000})
	b.expect("absent column", []any{len(none.Series), none.Rows[0].Stats[0].Count, none.Rows[0].Stats[1].Count}, []any{2, int64(0), int64(1)})
}

// aggregateModel compares charts with those of the reference driver over the generic path.
func aggregateModel(b *bench) {
	ref := &bench{t: b.t, s: seriesmem.New()}
	rnd := rand.New(rand.NewPCG(1, 2))
	var one, two []*iot.Measurement
	for i := range int64(2500) {
		ms := start + i*7_000_000 + rnd.Int64N(5_000_000)
		if i%50 == 0 {
			ms -= 1_000_000_000
		}
		n := iot.Number{Mant: rnd.Int64N(1000) - 500, Scale: int8(rnd.IntN(2))}.String()
		m := values(1, ms, "t", [][]string{{"f.T.C=" + n}, {"f.T.F=" + n, "f.A.=1"}, {"g.B.x=" + n}}[rnd.IntN(3)]...)
		c := *m
		one, two = append(one, m), append(two, &c)
	}
	b.append(tenant, one...)
	ref.append(tenant, two...)
	b.rest()
	for _, unit := range []series.Unit{0, series.Second, series.Hour, series.Day, series.Week, series.Month, series.Quarter, series.Year} {
		for _, keys := range [][]series.Key{nil, {{Fragment: "f", Series: "T"}}, {{Fragment: "g", Series: "B"}, {Fragment: "f", Series: "A"}}} {
			a := series.Aggregation{Source: 1, Series: keys, Limit: 400}
			if unit != 0 {
				a.Interval = series.Interval{N: 2, Unit: unit}
			}
			for _, r := range []series.Aggregation{a, {From: start + 3*day, To: start + 90*day + 7, Reverse: true}} {
				a.From, a.To, a.Reverse = r.From, r.To, r.Reverse
				if d := cmp.Diff(b.aggregate(ref.s, a), b.aggregate(b.s, a), cmpopts.EquateApprox(1e-9, 1e-6), cmpopts.EquateEmpty(), sameValue()); d != "" {
					b.t.Fatalf("%+v (-want +got):\n%.3000s", a, d)
				}
			}
		}
	}
}

// sameValue compares numbers by value: of 1 and 1.0 either may be shown as the minimum.
func sameValue() cmp.Option {
	return cmp.Comparer(func(x, y iot.Number) bool { return series.Compare(x, y) == 0 })
}

// model runs random operations against the reference driver.
func model(b *bench) {
	rnd := rand.New(rand.NewPCG(3, 4))
	ref := &bench{t: b.t, s: seriesmem.New()}
	for step := range 150 {
		switch op := rnd.IntN(10); {
		case op < 6:
			var one, two []*iot.Measurement
			for range 1 + rnd.IntN(120) {
				m := randomMeasurement(rnd)
				c := series.Copy(m)
				one, two = append(one, m), append(two, &c)
			}
			b.append(tenant, one...)
			ref.append(tenant, two...)
			// A deleted id may be given again, so the reference takes over the ids.
			for i := range two {
				if one[i].Seq != two[i].Seq {
					ref.delete(tenant, series.Query{})
					ref.reseed(b.scan(tenant, series.Query{}))
					break
				}
			}
		case op < 7:
			q := randomQuery(rnd)
			q.Limit, q.Offset, q.Reverse = 0, 0, false
			b.expect("deleted", b.delete(tenant, q), ref.delete(tenant, q))
		case op < 8:
			b.rest()
		default:
			q := randomQuery(rnd)
			b.same("query", strip(b.scan(tenant, q)), strip(ref.scan(tenant, q)))
		}
		if step%25 == 24 {
			b.same("everything", strip(b.scan(tenant, series.Query{})), strip(ref.scan(tenant, series.Query{})))
		}
	}
}

func (b *bench) reseed(all []iot.Measurement) {
	for i := range all {
		b.append(tenant, &all[i])
	}
}

// strip drops the sequences, which drivers may choose differently after deletions.
func strip(all []iot.Measurement) []iot.Measurement {
	all = slices.Clone(all)
	for i := range all {
		all[i].Seq = 0
	}
	return all
}

func randomMeasurement(rnd *rand.Rand) *iot.Measurement {
	ms := start + rnd.Int64N(400)*1000
	switch rnd.IntN(8) {
	case 0:
		m := values(iot.ID(1+rnd.IntN(3)), ms, "odd")
		m.Extra = iot.Doc{{Name: "note", Raw: []byte(`1`)}}
		return m
	case 1:
		return values(iot.ID(1+rnd.IntN(3)), ms, "two", "f.T.C=1", "g.H.%=2.50")
	}
	return temperature(iot.ID(1+rnd.IntN(3)), ms)
}

func randomQuery(rnd *rand.Rand) series.Query {
	q := series.Query{Source: iot.ID(rnd.IntN(4)), Reverse: rnd.IntN(2) == 0, Offset: rnd.IntN(20), Limit: rnd.IntN(50)}
	if rnd.IntN(2) == 0 {
		q.From = start + rnd.Int64N(400)*1000
		q.To = q.From + rnd.Int64N(50)*1000 + 1
	}
	switch rnd.IntN(6) {
	case 0:
		q.Type = "two"
	case 1:
		q.Fragment = "note"
	case 2:
		q.Series = "T"
	}
	return q
}
