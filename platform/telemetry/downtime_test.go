package telemetry_test

import (
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
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
