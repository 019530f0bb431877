// Package usagetest is the conformance suite that every driver of governance/usage must pass.
package usagetest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const tenant = iot.TenantID("acme")

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) usage.Store) {
	for name, test := range map[string]func(*testing.T, usage.Store){"sums add up": testAdd, "gauges keep their peak": testGauges, "devices": testDevices, "files": testFiles,
		"nodes write at once": testConcurrent} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func days(t *testing.T, s usage.Store, of iot.TenantID, from, to usage.Day) []usage.Daily {
	t.Helper()
	out, err := s.Days(context.Background(), of, from, to)
	must(t, err)
	return out
}

func testAdd(t *testing.T, s usage.Store) {
	ctx := context.Background()
	var one, two usage.Counts
	one[usage.Requests], one[usage.MeasurementsCreated], two[usage.Requests] = 3, 5, 1
	must(t, s.Add(ctx, tenant, usage.Sums{Counts: map[usage.Day]usage.Counts{10: one, 11: two}}))
	must(t, s.Add(ctx, tenant, usage.Sums{Counts: map[usage.Day]usage.Counts{10: one}}))
	must(t, s.Add(ctx, "other", usage.Sums{Counts: map[usage.Day]usage.Counts{10: two}}))
	got := days(t, s, tenant, 0, 100)
	if len(got) != 2 || got[0].Day != 10 || got[0].Counts[usage.Requests] != 6 || got[0].Counts[usage.MeasurementsCreated] != 10 || got[1].Day != 11 || got[1].Counts != two {
		t.Errorf("%+v", got)
	}
	if got := days(t, s, tenant, 11, 11); len(got) != 1 || got[0].Day != 11 {
		t.Errorf("one day: %+v", got)
	}
	if got := days(t, s, "other", 0, 100); len(got) != 1 || got[0].Counts != two {
		t.Errorf("another tenant: %+v", got)
	}
}

func testGauges(t *testing.T, s usage.Store) {
	ctx := context.Background()
	must(t, s.Measured(ctx, tenant, 10, usage.Gauges{Devices: 5, All: 1, Endpoints: 4, Storage: 1000}))
	must(t, s.Measured(ctx, tenant, 10, usage.Gauges{Devices: 2, All: 2, Endpoints: 0, Storage: 50}))
	var one usage.Counts
	one[usage.Requests] = 1
	must(t, s.Add(ctx, tenant, usage.Sums{Counts: map[usage.Day]usage.Counts{12: one}}))
	last, peak := usage.Gauges{Devices: 2, All: 2, Storage: 50}, usage.Gauges{Devices: 5, All: 2, Endpoints: 4, Storage: 1000}
	got := days(t, s, tenant, 0, 100)
	if len(got) != 2 || got[0].Gauges != last || got[0].Peak != peak || got[1].Gauges != last || got[1].Peak != last {
		t.Errorf("%+v", got)
	}
	if got := days(t, s, tenant, 11, 12); len(got) != 1 || got[0].Gauges != last {
		t.Errorf("gauges of a day before the span: %+v", got)
	}
}

func testDevices(t *testing.T, s usage.Store) {
	ctx := context.Background()
	must(t, s.Add(ctx, tenant, usage.Sums{Devices: map[usage.Day]map[iot.ID]int64{10: {7: 2, 5: 1, 1 << 40: 9}, 11: {7: 3}}}))
	must(t, s.Add(ctx, tenant, usage.Sums{Devices: map[usage.Day]map[iot.ID]int64{10: {7: 1}}}))
	list := func(from, to usage.Day, device iot.ID, offset, limit int, want ...usage.DeviceCount) {
		t.Helper()
		if got, err := s.Devices(ctx, tenant, from, to, device, offset, limit); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	}
	list(10, 10, 0, 0, 10, usage.DeviceCount{Device: 5, Count: 1}, usage.DeviceCount{Device: 7, Count: 3}, usage.DeviceCount{Device: 1 << 40, Count: 9})
	list(10, 11, 0, 1, 1, usage.DeviceCount{Device: 7, Count: 6})
	list(10, 11, 7, 0, 10, usage.DeviceCount{Device: 7, Count: 6})
	list(10, 11, 8, 0, 10)
	must(t, s.ForgetDevices(ctx, 11))
	list(0, 100, 0, 0, 10, usage.DeviceCount{Device: 7, Count: 3})
}

func testFiles(t *testing.T, s usage.Store) {
	ctx := context.Background()
	at := time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	a := usage.File{ID: "real-2026-02", Type: usage.Real, Generated: at, From: 100, To: 128, Instance: "i"}
	b := usage.File{ID: "1", Type: usage.Test, Generated: at.Add(time.Hour), From: 120, To: 121}
	must(t, s.CreateFile(ctx, a))
	must(t, s.CreateFile(ctx, b))
	if err := s.CreateFile(ctx, a); !sqlkit.IsUnique(err) {
		t.Errorf("twice: %v", err)
	}
	if got, err := s.File(ctx, a.ID); err != nil || got != a {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.File(ctx, "none"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, c := range []struct {
		from, to usage.Day
		want     []usage.File
	}{{0, 1000, []usage.File{b, a}}, {128, 200, []usage.File{a}}, {129, 200, nil}, {0, 99, nil}, {0, 100, []usage.File{a}}} {
		if got, err := s.Files(ctx, c.from, c.to); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%d-%d: %+v %v", c.from, c.to, got, err)
		}
	}
	first, err := s.NextNumber(ctx)
	must(t, err)
	if second, err := s.NextNumber(ctx); err != nil || second <= first {
		t.Errorf("numbers %d %d %v", first, second, err)
	}
}

func testConcurrent(t *testing.T, s usage.Store) {
	ctx := context.Background()
	var one usage.Counts
	for i := range one {
		one[i] = 1
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := s.Add(ctx, tenant, usage.Sums{Counts: map[usage.Day]usage.Counts{1: one, 2: one}, Devices: map[usage.Day]map[iot.ID]int64{1: {3: 1, 2: 1, 1: 1}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := days(t, s, tenant, 1, 2)
	if len(got) != 2 || got[0].Counts[usage.Requests] != 80 || got[1].Counts.Total() != int64(80*(usage.Counters-2)) {
		t.Errorf("%+v", got)
	}
	if devices, err := s.Devices(ctx, tenant, 1, 1, 2, 0, 5); err != nil || len(devices) != 1 || devices[0].Count != 80 {
		t.Errorf("%v %v", devices, err)
	}
}
