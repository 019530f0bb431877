package seriestest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// exceptions scans and deletes with random conditions and exceptions. What is expected is said without the help of Query.Match.
func exceptions(b *bench) {
	rnd := rand.New(rand.NewPCG(17, 4))
	for round := range 15 {
		t := iot.TenantID(fmt.Sprintf("except%d", round))
		all := mixed(rnd)
		b.append(t, all...)
		b.rest()
		for range 3 {
			q := series.Query{To: start + (100+rnd.Int64N(500))*hour}
			cond := randomSelector(rnd, 3)
			q.Source, q.Type, q.Fragment = cond.Source, cond.Type, cond.Fragment
			for range rnd.IntN(6) {
				q.Except = append(q.Except, randomSelector(rnd, 2))
			}
			if rnd.IntN(4) == 0 { // one that does not concern anything must not change a thing
				q.Except = append(q.Except, iot.Selector{Source: 99}, iot.Selector{Type: "none"}, iot.Selector{Fragment: "none", Source: 2})
			}
			var gone, rest []*iot.Measurement
			for _, m := range all {
				if m.Time.UnixMilli() < q.To && selects(cond, m) && !slices.ContainsFunc(q.Except, func(x iot.Selector) bool { return selects(x, m) }) {
					gone = append(gone, m)
				} else {
					rest = append(rest, m)
				}
			}
			want := plain(gone)
			b.same("scan", b.scan(t, q), want)
			page := q
			page.Reverse, page.Offset, page.Limit = true, len(gone)/3, 50
			slices.Reverse(want)
			b.same("page", b.scan(t, page), want[page.Offset:min(page.Offset+page.Limit, len(want))])
			b.expect("deleted", b.delete(t, q), int64(len(gone)))
			all = rest
			b.same("rest", b.scan(t, series.Query{}), plain(all))
			b.rest()
		}
	}
}

// mixed returns measurements of five sources, three types and three fragments, some of them with free members, which have the name of a fragment as
// well. Most of a kind come in a row, so that there are enough of them to be packed.
func mixed(rnd *rand.Rand) (all []*iot.Measurement) {
	for source := iot.ID(1); source <= 5; source++ {
		var kind, what int
		for k := range int64(600) {
			if k%200 == 0 || rnd.IntN(50) == 0 {
				kind, what = rnd.IntN(3), rnd.IntN(3)
			}
			texts := [][]string{{"f.T.C=1"}, {"f.T.C=1", "g.T.C=2.5"}, {"h.P.bar=3"}}[what]
			m := values(source, start+k*hour+int64(source), []string{"a", "b", "c"}[kind], texts...)
			if rnd.IntN(40) == 0 {
				m.Extra = iot.Doc{{Name: []string{"note", "f", "g"}[rnd.IntN(3)], Raw: []byte(`{"x":1}`)}}
			}
			all = append(all, m)
		}
	}
	return all
}

// randomSelector sets each condition once in n times.
func randomSelector(rnd *rand.Rand, n int) (x iot.Selector) {
	if rnd.IntN(n) == 0 {
		x.Source = iot.ID(1 + rnd.IntN(5))
	}
	if rnd.IntN(n) == 0 {
		x.Type = []string{"a", "b", "c"}[rnd.IntN(3)]
	}
	if rnd.IntN(n) == 0 {
		x.Fragment = []string{"f", "g", "h", "note"}[rnd.IntN(4)]
	}
	return x
}

func selects(x iot.Selector, m *iot.Measurement) bool {
	if x.Source != 0 && x.Source != m.Source || x.Type != "" && x.Type != m.Type {
		return false
	}
	return x.Fragment == "" || slices.Contains(m.Fragments(), x.Fragment)
}
