package seriestest

import (
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

const day = 24 * 60 * 60 * 1000

// start is some moment in 2026.
const start = 1_770_000_000_000

func ordering(b *bench) {
	var all []*iot.Measurement
	for i := range int64(700) {
		all = append(all, temperature(4711, start+i*600_000+i%13*100))
	}
	b.append(tenant, all...)
	b.rest()
	want := plain(all)
	b.same("forward", b.scan(tenant, series.Query{Source: 4711}), want)
	for _, cut := range [][2]int{{0, 1}, {3, 3}, {100, 133}, {127, 129}, {255, 400}, {690, 699}} {
		q := series.Query{Source: 4711, From: want[cut[0]].Time.UnixMilli(), To: want[cut[1]].Time.UnixMilli()}
		b.same("range", b.scan(tenant, q), want[cut[0]:cut[1]])
		q.Reverse = true
		back := slices.Clone(want[cut[0]:cut[1]])
		slices.Reverse(back)
		b.same("range backwards", b.scan(tenant, q), back)
	}
	slices.Reverse(want)
	b.same("backward", b.scan(tenant, series.Query{Source: 4711, Reverse: true}), want)
	b.same("other source", b.scan(tenant, series.Query{Source: 4712}), nil)
}

func equalTimes(b *bench) {
	var all []*iot.Measurement
	for range 150 {
		for i := range int64(3) {
			all = append(all, temperature(1, start+i))
		}
	}
	b.append(tenant, all[:200]...)
	b.append(tenant, all[200:201]...)
	b.append(tenant, all[201:]...)
	b.rest()
	more := []*iot.Measurement{temperature(1, start+1), temperature(1, start+1), temperature(1, start+2), temperature(1, start)}
	for _, m := range more {
		b.append(tenant, m)
	}
	all = append(all, more...)
	ids := map[iot.MeasurementID]bool{}
	for _, m := range all {
		if ids[m.ID()] {
			b.t.Fatalf("%v was given twice", m.ID())
		}
		ids[m.ID()] = true
	}
	b.same("all", b.scan(tenant, series.Query{Source: 1}), plain(all))
	b.expect("one millisecond", len(b.scan(tenant, series.Query{Source: 1, From: start + 1, To: start + 2})), 152)
}

func outOfOrder(b *bench) {
	var all []*iot.Measurement
	add := func(ms ...int64) {
		var batch []*iot.Measurement
		for _, at := range ms {
			batch = append(batch, temperature(9, start+at))
		}
		b.append(tenant, batch...)
		all = append(all, batch...)
	}
	for i := range int64(400) {
		add(i * 1000)
	}
	b.rest()
	add(5, 3, 5, 4, 1000, 1000, 399_000, 2, 3, 1_000_000, 1_000_000, 5, -7, 500_000, 399_000, 1001)
	for i := int64(399); i >= 0; i-- {
		add(i*1000+500, i*1000)
	}
	b.rest()
	add(500, 500, 0, 1000, -7, 2_000_000)
	b.same("all", b.scan(tenant, series.Query{Source: 9}), plain(all))
}

func ancientTimes(b *bench) {
	var all []*iot.Measurement
	for _, ms := range []int64{series.MinTime, series.MinTime + 1, -2_208_988_800_000, -1, 0, 1, start, series.MaxTime} {
		all = append(all, temperature(1, ms), temperature(1, ms))
	}
	for i := range int64(300) {
		all = append(all, temperature(1, -200_000+i*1000))
	}
	b.append(tenant, all...)
	b.rest()
	want := plain(all)
	b.same("all", b.scan(tenant, series.Query{Source: 1}), want)
	count := func(from, to int64) (n int) {
		for i := range want {
			if ms := want[i].Time.UnixMilli(); ms >= from && ms < to {
				n++
			}
		}
		return n
	}
	b.expect("up to the epoch", len(b.scan(tenant, series.Query{Source: 1, To: series.Epoch})), count(series.MinTime, 0))
	b.expect("from the epoch", len(b.scan(tenant, series.Query{Source: 1, From: series.Epoch, To: series.MaxTime + 1})), count(0, series.MaxTime+1))
	b.expect("across", len(b.scan(tenant, series.Query{Source: 1, From: -5000, To: 5000})), count(-5000, 5000))
	for i := range want {
		b.expect("get", b.get(tenant, want[i].ID()), want[i])
	}
}

func numbers(b *bench) {
	texts := []string{"16.0", "16", "16.00", "0", "0.0", "-0.5", "9223372036854775", "123456789012345678", "-123456789012345678", "0.000000000000000001",
		"1e-9", "1.7976931348623157e308", "5e-324", "-0", "3.141592653589793238", "21.3", "9007199254740993", "999999999999999999"}
	columns := [][]string{texts, {"1", "1.5", "2.25", "3"}, {"21.0", "21.5"}, {"7"}, {"0.1e1", "2.5e0", "33e-1"}, {"1.1e-7", "2.7e3", "0.3333333333333333e0"}, {"10.0", "10.50"}, {"100000000000000000", "0.01"}}
	var all []*iot.Measurement
	for i := range 300 {
		samples := make([]string, len(columns))
		for c, of := range columns {
			samples[c] = "f.s" + string(rune('a'+c)) + ".u=" + of[i%len(of)]
		}
		all = append(all, values(1, start+int64(i)*1000, "n", samples...))
	}
	b.append(tenant, all...)
	b.rest()
	b.same("all", b.scan(tenant, series.Query{Source: 1}), plain(all))
	b.expect("text", b.scan(tenant, series.Query{Source: 1, Limit: 1})[0].Samples[0].Value.String(), "16.0")
}

func extras(b *bench) {
	var all []*iot.Measurement
	for i := range int64(300) {
		m := temperature(1, start+i)
		if i%3 == 0 {
			m.Extra = iot.Doc{{Name: "z", Raw: []byte(`16.0`)}, {Name: "ä\"\\", Raw: []byte(`{"b" : [1,2.50,1e2 ], "a":"\u00e4\ud83d\ude00"}`)}, {Name: "text", Raw: []byte(`"x"`)}}
		}
		if i%5 == 0 {
			m.Samples = nil
		}
		if i%7 == 0 {
			m.Type = ""
		}
		all = append(all, m)
	}
	b.append(tenant, all...)
	b.rest()
	b.same("all", b.scan(tenant, series.Query{Source: 1}), plain(all))
	b.same("all sources", b.scan(tenant, series.Query{}), plain(all))
	b.expect("by member", len(b.scan(tenant, series.Query{Fragment: "text"})), 100)
	b.expect("by member and series", len(b.scan(tenant, series.Query{Fragment: "text", Series: "x"})), 0)
}

// mixed stores measurements of three sources, of several types and series, some without any series.
func (b *bench) mixed() []iot.Measurement { return b.mixedIn(tenant) }

func (b *bench) mixedIn(t iot.TenantID) []iot.Measurement {
	var all []*iot.Measurement
	for i := range int64(300) {
		src, at := iot.ID(1+i%3), start+i/3*1000
		all = append(all, temperature(src, at), values(src, at+1, "env", "c8y_Humidity.H.%=50", "c8y_Temperature.T2.C=1.5"), values(src, at+2, "env", "c8y_Humidity.T.%=50"))
		odd := values(src, at+3, "odd")
		odd.Extra = iot.Doc{{Name: "c8y_Humidity", Raw: []byte(`{"note":true}`)}}
		all = append(all, odd)
	}
	b.append(t, all...)
	b.rest()
	return plain(all)
}

// selections is one query for each filter and some of their combinations.
func selections() []series.Query {
	var out []series.Query
	seq := uint32(0)
	for _, q := range []series.Query{{}, {Type: "env"}, {Type: "none"}, {Fragment: "c8y_Humidity"}, {Fragment: "c8y_Temperature"}, {Fragment: "c8y_Temperature", Series: "T"},
		{Series: "T"}, {Series: "H"}, {Fragment: "none"}, {Type: "env", Fragment: "c8y_Humidity", Series: "T"}, {Type: "odd", Fragment: "c8y_Humidity"}, {Seq: &seq}} {
		for _, source := range []iot.ID{0, 2, 77} {
			q.Source = source
			q.From, q.To = 0, 0
			out = append(out, q)
			q.From = start + 20_000
			out = append(out, q)
			q.To = start + 60_001
			out = append(out, q)
		}
	}
	return out
}

func matching(all []iot.Measurement, q series.Query) (out []iot.Measurement) {
	for i := range all {
		if q.Match(&all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

func filters(b *bench) {
	all := b.mixed()
	for _, q := range selections() {
		want := matching(all, q)
		b.same("forward", b.scan(tenant, q), want)
		q.Reverse = true
		slices.Reverse(want)
		b.same("backward", b.scan(tenant, q), want)
	}
}

func paging(b *bench) {
	all := b.mixed()
	for _, q := range []series.Query{{}, {Source: 2}, {Type: "env"}, {Reverse: true}, {Source: 3, Reverse: true, Fragment: "c8y_Temperature"}} {
		want := matching(all, q)
		if q.Reverse {
			slices.Reverse(want)
		}
		var got []iot.Measurement
		for q.Limit = 37; ; q.Offset += q.Limit {
			page := b.scan(tenant, q)
			got = append(got, page...)
			if len(page) < q.Limit {
				break
			}
			b.append(tenant, temperature(999, start+50*day), temperature(999, start-50*day)) // not in q's way: other source
			if q.Source == 0 {
				b.delete(tenant, series.Query{Source: 999})
			}
		}
		b.same("pages", got, want)
	}
	b.expect("beyond the end", len(b.scan(tenant, series.Query{Offset: 100_000, Limit: 5})), 0)
}

func allSources(b *bench) {
	var all []*iot.Measurement
	for i := range int64(2000) {
		all = append(all, temperature(iot.ID(1+i*i%17), start+i/4*1000))
	}
	all = append(all, temperature(1<<62, start-1))
	b.append(tenant, all...)
	b.rest()
	want := plain(all)
	b.same("forward", b.scan(tenant, series.Query{}), want)
	b.same("page", b.scan(tenant, series.Query{Offset: 1000, Limit: 100}), want[1000:1100])
	slices.Reverse(want)
	b.same("backward", b.scan(tenant, series.Query{Reverse: true}), want)
}
