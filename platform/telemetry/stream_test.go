package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// each collects what EachMeasurement shows, and the sizes of its pages.
func (f *fixture) each(p iot.Principal, q telemetry.MeasurementQuery) (ids []string, pages []int) {
	f.t.Helper()
	err := f.tm.EachMeasurement(ctx, p, q, func(page []iot.Measurement) error {
		for i := range page {
			ids = append(ids, page[i].ID().String())
		}
		pages = append(pages, len(page))
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return ids, pages
}

// TestEveryMeasurementComesOnce compares what comes in pages with what comes at once, with more measurements in one millisecond than a page has.
func TestEveryMeasurementComesOnce(t *testing.T) {
	f := setup(t, seriesmem.New())
	var all []iot.Measurement
	add := func(source iot.ID, at time.Time, typ string) {
		all = append(all, iot.Measurement{Source: source, Time: at, Type: typ, Samples: []iot.Sample{{Fragment: "f", Series: "s", Value: iot.Number{Mant: int64(len(all))}}}})
	}
	for i := range telemetry.StreamPage + 700 {
		add(f.dev, start, "crowd")
		add(f.other, start.Add(time.Duration(i)*time.Millisecond), "line")
	}
	for i := range 3 * telemetry.StreamPage {
		add([]iot.ID{f.dev, f.other}[i%2], start.Add(time.Duration(i/3)*time.Second), "line")
	}
	for part := range slices.Chunk(all, 1000) {
		if _, err := f.tm.Record(ctx, admin, iot.Persistent, part); err != nil {
			t.Fatal(err)
		}
	}
	for i, q := range []telemetry.MeasurementQuery{{}, {Reverse: true, From: start}, {Source: f.dev}, {Type: "line"}, {Offset: 1999, Limit: 2002}, {Limit: 1}, {Type: "none"}, {Source: f.dev, Offset: 3, Limit: telemetry.StreamPage},
		{From: start.Add(time.Second), To: start.Add(time.Minute), Reverse: true}, {From: start, To: start}} {
		for name, p := range map[string]iot.Principal{"all": admin, "some": device} {
			want := q
			if want.Limit == 0 {
				want.Limit = len(all) + 1
			}
			ms, _, err := f.tm.Measurements(ctx, p, want)
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]string, 0, len(ms))
			for i := range ms {
				ids = append(ids, ms[i].ID().String())
			}
			got, pages := f.each(p, q)
			if !slices.Equal(got, ids) {
				t.Errorf("query %d, %s: %d measurements, want %d", i, name, len(got), len(ids))
			}
			if len(pages) == 0 || slices.Max(pages) > 2*telemetry.StreamPage+700 {
				t.Errorf("query %d, %s: pages of %v", i, name, pages)
			}
		}
	}
	err := f.tm.EachMeasurement(ctx, nobody, telemetry.MeasurementQuery{}, func([]iot.Measurement) error { return errors.New("shown") })
	if !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
}

// endless is a store with a number of measurements that it makes up. It counts how many it has shown since the last page.
type endless struct {
	series.Store
	source  iot.ID
	n       int64
	scanned int
}

func (e *endless) Scan(ctx context.Context, _ iot.TenantID, q series.Query, fn func(*iot.Measurement) bool) error {
	lo, hi := q.Range()
	m := iot.Measurement{Source: e.source, Type: "t", Samples: []iot.Sample{{Fragment: "f", Series: "s"}}}
	for ms, shown := max(lo, 1), 0; ms < min(hi, e.n+1) && (q.Limit == 0 || shown < q.Limit); ms, shown = ms+1, shown+1 {
		m.Time, m.Samples[0].Value = iot.FromMillis(ms), iot.Number{Mant: ms}
		e.scanned++
		if !fn(&m) {
			return nil
		}
	}
	return ctx.Err()
}

func TestAMillionMeasurementsNeedLittleMemory(t *testing.T) {
	const million = 1_000_000
	store := &endless{Store: seriesmem.New(), n: million}
	f := setup(t, store)
	store.source = f.dev
	var began, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&began)
	shown, most := 0, uint64(0)
	err := f.tm.EachMeasurement(ctx, admin, telemetry.MeasurementQuery{Source: f.dev}, func(page []iot.Measurement) error {
		if store.scanned > telemetry.StreamPage+1 {
			return fmt.Errorf("%d were read for one page", store.scanned)
		}
		store.scanned = 0
		if shown += len(page); shown%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		return nil
	})
	if err != nil || shown != million {
		t.Fatalf("%d of %d, %v", shown, million, err)
	}
	if grown := int64(most) - int64(began.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes more in memory", grown)
	}
	enough := errors.New("enough")
	pages := 0
	err = f.tm.EachMeasurement(ctx, admin, telemetry.MeasurementQuery{Source: f.dev}, func([]iot.Measurement) error { pages++; return enough })
	if !errors.Is(err, enough) || pages != 1 {
		t.Errorf("after the reader has gone: %d pages, %v", pages, err)
	}
}
