package telemetry_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// herd makes objects of the device's user with measurements, some of them at the same time, and returns the types of all in their order.
func (f *fixture) herd(objects, each int, extra string) (types []string) {
	f.t.Helper()
	type made struct {
		at time.Time
		id iot.ID
		n  int
	}
	var all []made
	for range objects {
		id := f.object(device, `{"name":"one of many","c8y_IsDevice":{}}`)
		var ms []iot.Measurement
		for n := range each {
			m := reading(id, n/2, "1") // two in each second
			m.Type = fmt.Sprint(id, " ", n)
			if extra != "" {
				d, err := iot.ParseDoc([]byte(`{"filler":"`+extra+`"}`), iot.MaxDepth)
				f.must(err)
				m.Extra = d
			}
			ms = append(ms, m)
			all = append(all, made{m.Time, id, n})
		}
		_, err := f.tm.Record(ctx, device, iot.Persistent, ms)
		f.must(err)
	}
	slices.SortFunc(all, func(a, b made) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		if a.id != b.id {
			return int(int64(a.id) - int64(b.id))
		}
		return a.n - b.n
	})
	for _, m := range all {
		types = append(types, fmt.Sprint(m.id, " ", m.n))
	}
	return types
}

// TestPagesOfManySources reads what somebody with several sources has, page by page and far back.
func TestPagesOfManySources(t *testing.T) {
	f := simple(t)
	want := f.herd(13, 500, "") // more than are held at a time
	for _, reverse := range []bool{false, true} {
		if reverse {
			slices.Reverse(want)
		}
		for _, page := range [][2]int{{0, 1}, {0, 2000}, {1990, 20}, {2000, 1}, {1999, 2}, {4321, 2000}, {6490, 100}, {6500, 10}, {9000, 5}, {0, 0}} {
			got, n, err := f.tm.Measurements(ctx, device, telemetry.MeasurementQuery{Reverse: reverse, Offset: page[0], Limit: page[1], Count: true})
			f.must(err)
			expect := want[min(page[0], len(want)):min(page[0]+page[1], len(want))]
			var types []string
			for _, m := range got {
				types = append(types, m.Type)
			}
			if n != len(want) || !slices.Equal(types, expect) {
				t.Errorf("reverse %v, page %v: %d of %d, want %d of %d", reverse, page, len(types), n, len(expect), len(want))
			}
		}
	}
}

// weighed is a store that looks, in each scan, at how much is in memory.
type weighed struct {
	series.Store
	most uint64
}

func (w *weighed) Scan(ctx context.Context, t iot.TenantID, q series.Query, each func(*iot.Measurement) bool) error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.most = max(w.most, m.HeapAlloc)
	return w.Store.Scan(ctx, t, q, each)
}

// TestAPageFarBackIsNotHeldWithAllBeforeIt: who has several sources could fill the memory with a single question.
func TestAPageFarBackIsNotHeldWithAllBeforeIt(t *testing.T) {
	w := &weighed{Store: seriesmem.New()}
	f := setup(t, w)
	const objects, each, size = 20, 500, 4000
	f.herd(objects, each, strings.Repeat("x", size))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.most = 0
	got, _, err := f.tm.Measurements(ctx, device, telemetry.MeasurementQuery{Offset: objects*each - 10, Limit: 10})
	f.must(err)
	if len(got) != 10 {
		t.Errorf("%d measurements", len(got))
	}
	if more := int64(w.most) - int64(m.HeapAlloc); more > objects*each*size/2 {
		t.Errorf("%d KiB were held for a page of ten", more>>10)
	}
}
