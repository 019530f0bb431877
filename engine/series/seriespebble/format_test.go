package seriespebble_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

// fixture makes the measurements of testdata/format1, which a release wrote that knew only chunks of version 1: 600 sealed, 50 as rows.
func fixture(from, to int64) []series.Entry {
	var out []series.Entry
	for i := from; i < to; i++ {
		at := iot.FromMillis(1_770_000_000_000 + i*600_000 + i*i%997)
		walk := 200 + i*i%23 - i%11
		out = append(out,
			series.Entry{Tenant: "main", M: &iot.Measurement{Source: 1, Time: at, Type: "c8y_Temperature", Samples: []iot.Sample{
				{Fragment: "c8y_Temperature", Series: "T", Unit: "C", Value: iot.Number{Mant: walk, Scale: 1}}}}},
			series.Entry{Tenant: "main", M: &iot.Measurement{Source: 2, Time: at, Type: "mixed", Samples: []iot.Sample{
				{Fragment: "a", Series: "float", Value: iot.FloatNumber(float64(walk) / 7)},
				{Fragment: "a", Series: "scales", Unit: "%", Value: iot.Number{Mant: walk, Scale: int8(i % 3)}},
				{Fragment: "b", Series: "constant", Value: iot.Number{Mant: 5}}}}},
			series.Entry{Tenant: "other", M: &iot.Measurement{Source: 1, Time: iot.FromMillis(1_770_000_000_000 + i/3), Type: "dense", Samples: []iot.Sample{
				{Fragment: "n", Series: "v", Value: iot.FloatNumber(float64(walk) / 10)}}}})
	}
	return out
}

// dump is everything that readers can see of some sources.
func dump(t *testing.T, s *seriespebble.Store) (out []string) {
	t.Helper()
	ctx := context.Background()
	for _, tenant := range []iot.TenantID{"main", "other"} {
		must(t, s.Scan(ctx, tenant, series.Query{}, func(m *iot.Measurement) bool {
			out = append(out, fmt.Sprint(tenant, m.ID(), m.Type, m.Samples))
			return true
		}))
		for source := iot.ID(1); source <= 2; source++ {
			for _, a := range []series.Aggregation{{Interval: series.Interval{N: 1, Unit: series.Day}}, {Interval: series.Interval{N: 1, Unit: series.Year}, Reverse: true},
				{MaxPoints: 20, Method: series.MinMax}} {
				a.Source = source
				c, err := series.Aggregate(ctx, s, tenant, a)
				must(t, err)
				for _, r := range c.Rows {
					for _, st := range r.Stats {
						out = append(out, fmt.Sprintf("%d %d %s@%d %s@%d %s@%v %s@%v %.6g %.6g", r.Time, st.Count, st.Min, st.MinAt, st.Max, st.MaxAt, st.First, st.FirstAt, st.Last, st.LastAt, st.Sum, st.StdDevPop()))
					}
				}
			}
			newest, err := s.Recall(ctx, tenant, source, nil)
			must(t, err)
			out = append(out, fmt.Sprint(newest))
		}
	}
	return out
}

// TestFolderOfFormat1 opens a folder of an older release: it reads the same as what was put in, also after its chunks were packed anew.
func TestFolderOfFormat1(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	must(t, os.CopyFS(dir, os.DirFS("testdata/format1")))
	old := open(t, dir, seriespebble.Options{})
	if versions := chunkVersions(t, old); versions[1] == 0 || versions[2] != 0 {
		t.Fatalf("the folder has chunks of versions %v", versions)
	}
	fresh := open(t, t.TempDir(), seriespebble.Options{})
	must(t, fresh.Append(ctx, fixture(0, 650)))
	same := func(when string) {
		t.Helper()
		if d := cmp.Diff(dump(t, fresh), dump(t, old)); d != "" {
			t.Fatalf("%s (-want +got):\n%.3000s", when, d)
		}
	}
	same("as it was")
	for _, s := range []*seriespebble.Store{old, fresh} {
		must(t, s.Append(ctx, fixture(100, 110)))
		_, err := s.Seal(ctx, "", always())
		must(t, err)
	}
	same("with late rows taken in")
	if versions := chunkVersions(t, old); versions[2] == 0 {
		t.Fatalf("nothing was packed anew: %v", versions)
	}
	for _, s := range []*seriespebble.Store{old, fresh} {
		n, err := s.Delete(ctx, "main", series.Query{To: 1_770_000_000_000 + 300*600_000})
		must(t, err)
		if n != 2*310 {
			t.Fatal(n)
		}
	}
	same("after a deletion")
}

func chunkVersions(t *testing.T, s *seriespebble.Store) map[byte]int {
	_, vals := values(t, s, 'c')
	out := map[byte]int{}
	for _, v := range vals {
		out[v[0]]++
	}
	return out
}
