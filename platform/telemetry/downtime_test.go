package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

func TestDowntime(t *testing.T) {
	f := setup(t, seriesmem.New())
	began := f.clock.Now()
	raise := func(source iot.ID, typ string, s iot.Severity, ago time.Duration) iot.ID {
		t.Helper()
		a, _, err := f.tm.RaiseAlarm(ctx, admin, iot.Alarm{Source: source, Type: typ, Text: "x", Severity: s, Status: iot.Active, Time: f.clock.Now().Add(-ago)})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	patch := func(id iot.ID, p telemetry.AlarmPatch) {
		t.Helper()
		if _, err := f.tm.PatchAlarm(ctx, admin, id, p); err != nil {
			t.Fatal(err)
		}
	}
	cleared, acknowledged, minor, text := iot.Cleared, iot.Acknowledged, iot.Minor, "y"
	want := func(what string, p iot.Principal, source iot.ID, from, to time.Time, dev, other time.Duration) {
		t.Helper()
		got, err := f.tm.Downtime(ctx, p, source, from, to)
		if err != nil || got[f.dev] != dev || got[f.other] != other {
			t.Errorf("%s: %v and %v of %d, want %v and %v; %v", what, got[f.dev], got[f.other], len(got), dev, other, err)
		}
	}
	all := func(what string, dev, other time.Duration) {
		t.Helper()
		want(what, admin, 0, began.Add(-time.Hour), began.Add(100*24*time.Hour), dev, other)
	}
	all("without alarms", 0, 0)
	// The first hour: a critical alarm that the device had noticed ten minutes before, overlapped by the platform's own one.
	crit := raise(f.dev, "overheated", iot.Critical, 10*time.Minute)
	f.clock.Advance(30 * time.Minute)
	gone := raise(f.dev, telemetry.Unavailability, iot.Major, 0)
	patch(crit, telemetry.AlarmPatch{Status: &acknowledged})
	f.clock.Advance(30 * time.Minute)
	all("while they are open", 70*time.Minute, 0)
	patch(crit, telemetry.AlarmPatch{Status: &cleared})
	f.clock.Advance(30 * time.Minute)
	patch(gone, telemetry.AlarmPatch{Status: &cleared})
	f.clock.Advance(time.Hour)
	all("after that", 100*time.Minute, 0)
	patch(gone, telemetry.AlarmPatch{Text: &text}) // long after it was cleared
	all("the text of a cleared alarm", 100*time.Minute, 0)
	want("the last half of the first hour", admin, 0, began.Add(30*time.Minute), began.Add(time.Hour), 30*time.Minute, 0)
	want("one source", admin, f.dev, began, began.Add(time.Hour), time.Hour, 0)
	want("before", admin, 0, began.Add(-2*time.Hour), began.Add(-time.Hour), 0, 0)
	want("the wrong way round", admin, 0, began.Add(time.Hour), began, 0, 0)
	want("the owner of one", device, 0, began, began.Add(time.Hour), time.Hour, 0)
	// What is not critical does not count, and what was critical counts until it no longer was.
	raise(f.other, "dusty", iot.Major, 0)
	less := raise(f.other, "loud", iot.Critical, 0)
	f.clock.Advance(time.Hour)
	patch(less, telemetry.AlarmPatch{Severity: &minor})
	f.clock.Advance(time.Hour)
	all("of the other one", 100*time.Minute, time.Hour)
	if _, err := f.tm.Downtime(ctx, nobody, 0, began, began.Add(time.Hour)); !fault.Is(err, fault.Denied) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := f.tm.Downtime(ctx, device, f.other, began, began.Add(time.Hour)); !fault.Is(err, fault.Denied) {
		t.Errorf("the device of somebody else: %v", err)
	}
	if _, err := f.tm.Downtime(ctx, admin, 0, began, time.Time{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("without an end: %v", err)
	}
}

// asked counts how often alarms and versions of single ones are asked for.
type asked struct {
	telemetry.Store
	n atomic.Int64
}

func (a *asked) Alarms(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery) ([]iot.Alarm, int, error) {
	a.n.Add(1)
	return a.Store.Alarms(ctx, t, scope, q)
}

func (a *asked) AlarmHistory(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]telemetry.Version[iot.Alarm], error) {
	a.n.Add(1)
	return a.Store.AlarmHistory(ctx, t, id, at)
}

// TestDowntimeOfManyAlarms: single ones are not asked for. ISOBAR_DOWNTIME_ALARMS sets how many there are, ten for each device; the time is logged.
func TestDowntimeOfManyAlarms(t *testing.T) {
	alarms := 2500 // more than are read at a time
	if s := os.Getenv("ISOBAR_DOWNTIME_ALARMS"); s != "" {
		var err error
		if alarms, err = strconv.Atoi(s); err != nil || alarms < 10 {
			t.Fatalf("ISOBAR_DOWNTIME_ALARMS=%s", s)
		}
	}
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := setupOn(t, seriesmem.New(), db)
		f.tm.Close()
		store := &asked{Store: f.deps.Store}
		f.deps.Store = store
		f.start()
		began := f.clock.Now()
		var devices []iot.ID
		for range alarms / 10 {
			devices = append(devices, f.object(admin, `{"name":"one of many","c8y_IsDevice":{}}`))
		}
		// Of each device's ten alarms half are cleared after an hour, and one stays that is not critical.
		ids := make([]iot.ID, alarms)
		each := func(do func(i int) error) {
			t.Helper()
			var g errgroup.Group
			g.SetLimit(64)
			for i := range ids {
				g.Go(func() error { return do(i) })
			}
			f.must(g.Wait())
		}
		each(func(i int) error {
			severity := iot.Critical
			if i%10 == 9 {
				severity = iot.Minor
			}
			a, _, err := f.tm.RaiseAlarm(ctx, admin, iot.Alarm{Source: devices[i/10], Type: fmt.Sprint("t", i%10), Text: "x", Severity: severity, Status: iot.Active, Time: began})
			ids[i] = a.ID
			return err
		})
		f.clock.Advance(time.Hour)
		cleared := iot.Cleared
		each(func(i int) error {
			if i%2 == 1 || i%20 >= 10 { // every second device stays down
				return nil
			}
			_, err := f.tm.PatchAlarm(ctx, admin, ids[i], telemetry.AlarmPatch{Status: &cleared})
			return err
		})
		each(func(i int) error {
			if i%2 == 0 || i%20 >= 10 || i%10 == 9 {
				return nil
			}
			_, err := f.tm.PatchAlarm(ctx, admin, ids[i], telemetry.AlarmPatch{Status: &cleared})
			return err
		})
		f.clock.Advance(time.Hour)
		store.n.Store(0)
		start := time.Now()
		got, err := f.tm.Downtime(ctx, admin, 0, began, began.Add(2*time.Hour))
		f.must(err)
		t.Logf("%d devices, %d alarms: %s, %d questions for single ones or pages of them", len(devices), alarms, time.Since(start).Round(time.Millisecond), store.n.Load())
		if n := store.n.Load(); n > int64(alarms/100) {
			t.Errorf("the store was asked %d times", n)
		}
		for i, id := range devices {
			want := time.Hour
			if i%2 == 1 {
				want = 2 * time.Hour
			}
			if got[id] != want {
				t.Fatalf("device %d was down for %v, want %v", i, got[id], want)
			}
		}
	})
}
