package telemetry_test

import (
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func TestAlarmsAndEventsAsTheyWere(t *testing.T) {
	f := simple(t)
	born := f.clock.Now()
	a := f.raise(device, f.dev, "hot", iot.Major)
	e, err := f.tm.CreateEvent(ctx, device, iot.Persistent, iot.Event{Source: f.dev, Type: "door", Text: "open", Time: born})
	f.must(err)
	f.clock.Advance(time.Minute)
	cleared, closed := iot.Cleared, "closed"
	_, err = f.tm.PatchAlarm(ctx, device, a.ID, telemetry.AlarmPatch{Status: &cleared})
	f.must(err)
	_, err = f.tm.PatchEvent(ctx, device, e.ID, telemetry.EventPatch{Text: &closed})
	f.must(err)
	changed := f.clock.Now()
	f.clock.Advance(time.Minute)

	check := func(p iot.Principal, at time.Time, status iot.AlarmStatus, text string) {
		t.Helper()
		was, err := f.tm.AlarmAsOf(ctx, p, a.ID, at)
		if (err == nil) != (status != "") || was.Status != status || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s, alarm as of %v: %q, %v, want %q", p.User, at, was.Status, err, status)
		}
		had, err := f.tm.EventAsOf(ctx, p, e.ID, at)
		if (err == nil) != (text != "") || had.Text != text || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s, event as of %v: %q, %v, want %q", p.User, at, had.Text, err, text)
		}
	}
	for _, p := range []iot.Principal{admin, device} {
		check(p, born.Add(-time.Millisecond), "", "")
		check(p, born, iot.Active, "open")
		check(p, changed.Add(-time.Millisecond), iot.Active, "open")
		check(p, changed, iot.Cleared, "closed")
		check(p, f.clock.Now(), iot.Cleared, "closed")
	}
	_, err = f.tm.AlarmAsOf(ctx, nobody, a.ID, born)
	f.denied("an alarm", err)
	_, err = f.tm.EventAsOf(ctx, nobody, e.ID, born)
	f.denied("an event", err)
	check(foreign, born, "", "")

	f.must(f.tm.DeleteEvent(ctx, device, e.ID))
	f.must(f.tm.DeleteAlarms(ctx, device, telemetry.AlarmQuery{Source: f.dev}))
	check(admin, born, iot.Active, "open")
	check(admin, changed, iot.Cleared, "closed")
	check(admin, f.clock.Now(), "", "")
	check(device, born, "", "") // of what is gone, only who may read all sees anything
}
