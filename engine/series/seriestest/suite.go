package seriestest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// Settler is implemented by the wrapper of a store that changes the form of what is stored in the background.
type Settler interface {
	// Settle brings everything that was appended so far into its final form.
	Settle(t *testing.T)
}

// TestStore runs the suite. open returns an empty store and arranges for its end.
func TestStore(t *testing.T, open func(t *testing.T) series.Store) {
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			t.Run("fresh", func(t *testing.T) { c.run(&bench{t: t, s: open(t)}) })
			s := open(t)
			if settler, ok := s.(Settler); ok {
				t.Run("settled", func(t *testing.T) { c.run(&bench{t: t, s: s, settle: settler.Settle}) })
			}
		})
	}
}

// cases is the suite: each name is a sentence about every store.
var cases = []struct {
	name string
	run  func(b *bench)
}{
	{"what was appended comes back in order of time", ordering},
	{"equal times never overwrite", equalTimes},
	{"late measurements find their place", outOfOrder},
	{"times before 1970 and at the epoch", ancientTimes},
	{"text of numbers survives", numbers},
	{"free members survive verbatim", extras},
	{"filters select whole measurements", filters},
	{"pages cover everything once", paging},
	{"all sources are merged by time", allSources},
	{"tenants never meet", isolation},
	{"catalog shows the latest unit", units},
	{"get and delete by id", single},
	{"delete by every filter", deletion},
	{"ids stay unique after deletions", idsAfterDeletion},
	{"drop a tenant", dropTenant},
	{"an unacceptable batch stores nothing", refusals},
	{"a context that ends stops the call", canceled},
	{"big batches", bigBatch},
	{"concurrent appends get unique ids", concurrent},
	{"the callback may use the store", reentrant},
	{"aggregate", aggregates},
	{"aggregate is the same for every driver", aggregateModel},
	{"buckets follow local clocks", localBuckets},
	{"percentiles are exact", percentiles},
	{"drawings keep extremes and ends", drawings},
	{"the newest values are known", latest},
	{"retention removes what is old and nothing else", retention},
	{"what is excepted is left alone", exceptions},
	{"values of any age find their place", backfill},
	{"random operations agree with the model", model},
	{"the latest deliveries are remembered", deliveries},
	{"a closed store is unavailable", closed},
}

// bench is what a case works with. Its methods fail the test on unexpected errors.
type bench struct {
	t      *testing.T
	s      series.Store
	settle func(t *testing.T)
}

const tenant iot.TenantID = "main"

func (b *bench) append(t iot.TenantID, ms ...*iot.Measurement) {
	b.t.Helper()
	entries := make([]series.Entry, len(ms))
	for i, m := range ms {
		entries[i] = series.Entry{Tenant: t, M: m}
	}
	if err := b.s.Append(context.Background(), entries); err != nil {
		b.t.Fatal(err)
	}
}

// rest lets the store settle, if it does.
func (b *bench) rest() {
	if b.settle != nil {
		b.settle(b.t)
	}
}

func (b *bench) scan(t iot.TenantID, q series.Query) []iot.Measurement {
	b.t.Helper()
	var out []iot.Measurement
	err := b.s.Scan(context.Background(), t, q, func(m *iot.Measurement) bool {
		out = append(out, series.Copy(m))
		return true
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) delete(t iot.TenantID, q series.Query) int64 {
	b.t.Helper()
	n, err := b.s.Delete(context.Background(), t, q)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bench) catalog(t iot.TenantID, source iot.ID) []series.Info {
	b.t.Helper()
	out, err := b.s.Catalog(context.Background(), t, source)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) same(what string, got, want []iot.Measurement) {
	b.t.Helper()
	if slices.EqualFunc(got, want, equal) { // cmp.Diff takes seconds for what the suite compares
		return
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		b.t.Fatalf("%s (-want +got):\n%.4000s", what, d)
	}
}

func equal(x, y iot.Measurement) bool {
	return x.ID() == y.ID() && x.Type == y.Type && slices.Equal(x.Samples, y.Samples) &&
		slices.EqualFunc(x.Extra, y.Extra, func(a, b iot.Member) bool { return a.Name == b.Name && string(a.Raw) == string(b.Raw) })
}

func (b *bench) expect(what string, got, want any) {
	b.t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		b.t.Fatalf("%s (-want +got):\n%.4000s", what, d)
	}
}

// temperature makes a measurement with one series; its value depends on source and time, so that a mix-up shows.
func temperature(source iot.ID, ms int64) *iot.Measurement {
	return values(source, ms, "c8y_Temperature", "c8y_Temperature.T.C="+fmt.Sprintf("%d.%d", 20+ms%7, (int64(source)+ms)&7))
}

// values makes a measurement from texts of the form fragment.series.unit=number.
func values(source iot.ID, ms int64, typ string, texts ...string) *iot.Measurement {
	m := &iot.Measurement{Source: source, Time: iot.FromMillis(ms), Type: typ}
	for _, s := range texts {
		name, number, _ := strings.Cut(s, "=")
		n, err := iot.ParseNumber(number)
		parts := strings.Split(name, ".")
		if err != nil || len(parts) != 3 {
			panic("seriestest: bad sample " + s)
		}
		m.Samples = append(m.Samples, iot.Sample{Fragment: parts[0], Series: parts[1], Unit: parts[2], Value: n})
	}
	return m
}

func plain(ms []*iot.Measurement) []iot.Measurement {
	out := make([]iot.Measurement, len(ms))
	for i, m := range ms {
		out[i] = *m
	}
	slices.SortStableFunc(out, func(x, y iot.Measurement) int {
		if c := x.Time.Compare(y.Time); c != 0 {
			return c
		}
		if x.Source != y.Source {
			return int(int64(x.Source) - int64(y.Source))
		}
		return int(int64(x.Seq) - int64(y.Seq))
	})
	return out
}
