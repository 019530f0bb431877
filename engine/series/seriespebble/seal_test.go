package seriespebble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

// contents lists what a store holds, one line per measurement.
func contents(t *testing.T, s *seriespebble.Store) (out []string) {
	t.Helper()
	must(t, s.Scan(context.Background(), "main", series.Query{Source: 1}, func(m *iot.Measurement) bool {
		out = append(out, fmt.Sprint(m.ID(), m.Type, m.Samples, string(m.Extra.AppendTo(nil))))
		return true
	}))
	return out
}

// TestSealingKeepsEverything mixes frequent and rare shapes and rows that must stay, over several batches of sealing, with late rows
// between rounds, and compares everything with the state before.
func TestSealingKeepsEverything(t *testing.T) {
	s := open(t, t.TempDir(), seriespebble.Options{})
	rnd := rand.New(rand.NewPCG(5, 6))
	total := 0
	for round, n := range []int{20_000, 1000, 1000} {
		total += n
		var batch []series.Entry
		for range n {
			kind := min(rnd.IntN(60), 4)
			m := &iot.Measurement{Source: 1, Time: iot.FromMillis(1_770_000_000_000 + rnd.Int64N(40_000_000)), Type: fmt.Sprint("t", kind)}
			if kind == 3 {
				m.Extra = iot.Doc{{Name: "x", Raw: []byte("1")}}
			}
			for c := range 1 + kind%2 {
				m.Samples = append(m.Samples, iot.Sample{Fragment: "f", Series: fmt.Sprint("s", c), Value: iot.Number{Mant: rnd.Int64N(1000), Scale: int8(rnd.IntN(3))}})
			}
			batch = append(batch, series.Entry{Tenant: "main", M: m})
		}
		must(t, s.Append(context.Background(), batch))
		before := contents(t, s)
		sealed, err := s.Seal(context.Background(), "main", always())
		must(t, err)
		after := contents(t, s)
		if len(before) != total || !slices.Equal(before, after) {
			t.Fatalf("round %d: %d measurements before, %d after sealing %d", round, len(before), len(after), sealed)
		}
		if round == 0 && sealed < 18_000 {
			t.Fatalf("only %d rows were sealed", sealed)
		}
	}
}
