package telemetry_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func (f *fixture) raise(p iot.Principal, source iot.ID, typ string, sev iot.Severity) iot.Alarm {
	f.t.Helper()
	a, _, err := f.tm.RaiseAlarm(ctx, p, iot.Alarm{Source: source, Type: typ, Text: "t", Severity: sev, Time: f.clock.Now()})
	f.must(err)
	return a
}

func (f *fixture) counters(want registry.Counters) {
	f.t.Helper()
	o, err := f.reg.Get(ctx, device, f.dev)
	f.must(err)
	if o.State.Alarms != want {
		f.t.Errorf("counters %+v, want %+v", o.State.Alarms, want)
	}
}

func TestLifeOfAnAlarm(t *testing.T) {
	f := simple(t)
	facts := f.listen("alarm.>")
	f.audit.take()
	a, created, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "hot", Text: "t", Severity: "major", Time: start})
	if err != nil || !created || a.Status != iot.Active || a.Severity != iot.Major || a.Count != 1 || !a.FirstOccurrence.IsZero() {
		t.Fatalf("raised %+v, %v, %v", a, created, err)
	}
	if m := f.next(facts); m.subject != "alarm.CREATE."+f.dev.String() || change[telemetry.AlarmChange](f, m).Alarm.ID != a.ID {
		t.Errorf("fact %s %s", m.subject, m.data)
	}
	f.counters(registry.Counters{Major: 1})
	f.clock.Advance(time.Minute)
	again, created, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "hot", Text: "other", Severity: iot.Critical, Time: start.Add(time.Hour)})
	if err != nil || created || again.ID != a.ID || again.Count != 2 || again.Severity != iot.Major || again.Text != "t" || !again.Time.Equal(start.Add(time.Hour)) || !again.FirstOccurrence.Equal(start) {
		t.Errorf("raised again %+v, %v, %v", again, created, err)
	}
	if c := change[telemetry.AlarmChange](f, f.next(facts)); c.Action != iot.Updated || c.Alarm.Count != 2 {
		t.Errorf("fact %+v", c)
	}
	if r := f.audit.take(); len(r) != 0 {
		t.Errorf("audited %+v", r)
	}
	status, sev := iot.AlarmStatus("acknowledged"), iot.Critical
	patched, err := f.tm.PatchAlarm(ctx, device, a.ID, telemetry.AlarmPatch{Status: &status, Severity: &sev, Fragments: parse(t, `{"x":1}`)})
	if err != nil || patched.Status != iot.Acknowledged || patched.Severity != iot.Critical || !patched.Fragments.Has("x") {
		t.Errorf("patched %+v, %v", patched, err)
	}
	f.next(facts)
	f.counters(registry.Counters{Critical: 1})
	records := f.audit.take()
	if len(records) != 1 || records[0].Type != "Alarm" || records[0].Activity != "Alarm updated" || records[0].Source != a.ID || len(records[0].Changes) != 2 ||
		records[0].Changes[0] != (iot.AttributeChange{Attribute: "status", Type: "com.cumulocity.model.event.CumulocityAlarmStatuses", Previous: "ACTIVE", New: "ACKNOWLEDGED"}) {
		t.Errorf("audited %+v", records)
	}
	_, err = f.tm.PatchAlarm(ctx, device, a.ID, telemetry.AlarmPatch{Status: &status})
	f.must(err)
	f.quiet(facts, "alarm.x")
	if r := f.audit.take(); len(r) != 0 {
		t.Errorf("a change that changes nothing was audited: %+v", r)
	}
	if again := f.raise(device, f.dev, "hot", iot.Minor); again.ID != a.ID || again.Status != iot.Acknowledged {
		t.Errorf("an acknowledged alarm was not merged: %+v", again)
	}
	cleared := iot.Cleared
	_, err = f.tm.PatchAlarm(ctx, device, a.ID, telemetry.AlarmPatch{Status: &cleared})
	f.must(err)
	f.counters(registry.Counters{})
	if next := f.raise(device, f.dev, "hot", iot.Minor); next.ID == a.ID {
		t.Error("a cleared alarm was merged")
	}
	f.counters(registry.Counters{Minor: 1})
}

func TestAlarmsThatAreNotStored(t *testing.T) {
	f := simple(t)
	facts := f.listen("alarm.>")
	calm := f.object(device, `{"name":"calm","c8y_IsDevice":{},"c8y_RequiredAvailability":{"responseInterval":0}}`)
	a, created, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: calm, Type: "x", Severity: iot.Major, Time: start})
	if err != nil || created || a.ID != 0 || a.Source != calm {
		t.Errorf("maintenance: %+v, %v, %v", a, created, err)
	}
	f.options["alarm.type.mapping/x_"] = "NONE|"
	f.options["alarm.type.mapping/x_y"] = "warning|mapped"
	f.options["alarm.type.mapping/z"] = "|text only"
	if a, created, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "x_z", Severity: iot.Major, Time: start}); err != nil || created || a.ID != 0 {
		t.Errorf("dropped: %+v, %v, %v", a, created, err)
	}
	f.quiet(facts, "alarm.x")
	if a := f.raise(device, f.dev, "x_yz", iot.Major); a.Severity != iot.Warning || a.Text != "mapped" {
		t.Errorf("mapped: %+v", a)
	}
	if a := f.raise(device, f.dev, "z", iot.Major); a.Severity != iot.Major || a.Text != "text only" {
		t.Errorf("mapped: %+v", a)
	}
}

func TestWhoMayDoWhatWithAlarms(t *testing.T) {
	f := simple(t)
	mine, theirs := f.raise(device, f.dev, "x", iot.Major), f.raise(admin, f.other, "x", iot.Major)
	_, _, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.other, Type: "x", Severity: iot.Major, Time: start})
	f.denied("a foreign source", err)
	_, err = f.tm.PatchAlarm(ctx, device, theirs.ID, telemetry.AlarmPatch{})
	f.denied("a foreign alarm", err)
	_, err = f.tm.Alarm(ctx, foreign, mine.ID)
	f.kind("a foreign tenant", err, fault.NotFound)
	_, err = f.tm.CountAlarms(ctx, nobody, telemetry.AlarmQuery{})
	f.denied("who owns nothing", err)
	if n, err := f.tm.CountAlarms(ctx, device, telemetry.AlarmQuery{}); err != nil || n != 1 {
		t.Errorf("the device counts %d, %v", n, err)
	}
	_, err = f.tm.PatchAlarms(ctx, device, telemetry.AlarmQuery{Types: []string{"x"}}, iot.Cleared)
	f.denied("alarms of all sources", err)
	f.denied("alarms of all sources", f.tm.DeleteAlarms(ctx, device, telemetry.AlarmQuery{From: start.Add(-time.Hour)}))
	for what, a := range map[string]iot.Alarm{
		"no severity": {Source: f.dev, Type: "x", Time: start}, "a severity that is none": {Source: f.dev, Type: "x", Time: start, Severity: "BAD"},
		"a status that is none": {Source: f.dev, Type: "x", Time: start, Severity: iot.Major, Status: "OPEN"}, "no type": {Source: f.dev, Time: start, Severity: iot.Major},
	} {
		_, _, err := f.tm.RaiseAlarm(ctx, admin, a)
		f.kind(what, err, fault.Invalid)
	}
	_, _, err = f.tm.Alarms(ctx, admin, telemetry.AlarmQuery{Statuses: []iot.AlarmStatus{"OPEN"}})
	f.kind("a list by a status that is none", err, fault.Invalid)
	_, _, err = f.tm.Alarms(ctx, admin, telemetry.AlarmQuery{Order: []telemetry.AlarmOrder{{Field: "id; drop"}}})
	f.kind("an order that is none", err, fault.Invalid)
	if a, err := f.tm.ActiveAlarm(ctx, device, f.dev, "x"); err != nil || a.ID != mine.ID {
		t.Errorf("active %+v, %v", a, err)
	}
}

func TestManyAlarms(t *testing.T) {
	f := simple(t)
	for i := range 20 {
		f.raise(device, f.dev, fmt.Sprint("t", i), iot.Severities[i%4])
	}
	f.raise(admin, f.other, "x", iot.Major)
	f.counters(registry.Counters{Critical: 5, Major: 5, Minor: 5, Warning: 5})
	f.audit.take()
	n, err := f.tm.PatchAlarms(ctx, device, telemetry.AlarmQuery{Source: f.dev, Severities: []iot.Severity{"major", iot.Minor}}, "Cleared")
	if err != nil || n != 10 || len(f.audit.take()) != 10 {
		t.Errorf("%d changed, %v", n, err)
	}
	f.counters(registry.Counters{Critical: 5, Warning: 5})
	if n, err = f.tm.PatchAlarms(ctx, device, telemetry.AlarmQuery{Source: f.dev, Severities: []iot.Severity{iot.Major}}, iot.Cleared); err != nil || n != 0 {
		t.Errorf("%d changed again, %v", n, err)
	}
	_, err = f.tm.PatchAlarms(ctx, admin, telemetry.AlarmQuery{}, iot.Cleared)
	f.kind("no filter", err, fault.Invalid)
	yes := true
	f.must(f.tm.DeleteAlarms(ctx, admin, telemetry.AlarmQuery{Source: f.dev, Resolved: &yes}))
	if n, err := f.tm.CountAlarms(ctx, device, telemetry.AlarmQuery{}); err != nil || n != 10 {
		t.Errorf("%d left, %v", n, err)
	}
	f.must(f.tm.DeleteAlarms(ctx, device, telemetry.AlarmQuery{Source: f.dev}))
	f.counters(registry.Counters{})
	if n, err := f.tm.CountAlarms(ctx, admin, telemetry.AlarmQuery{}); err != nil || n != 1 {
		t.Errorf("%d left, %v", n, err)
	}
}

func TestUpsertAlarm(t *testing.T) {
	f := simple(t)
	before, a, err := f.tm.UpsertAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "x"}, false)
	if err != nil || before != nil || a.Severity != iot.Major || a.Status != iot.Active || !a.Time.Equal(start) {
		t.Fatalf("created %+v, %v, %v", before, a, err)
	}
	before, b, err := f.tm.UpsertAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "x", Severity: iot.Critical, Text: "new", Fragments: parse(t, `{"k":1}`)}, false)
	if err != nil || before == nil || before.Severity != iot.Major || b.ID != a.ID || b.Severity != iot.Critical || b.Text != "new" || b.Count != 1 || !b.Fragments.Has("k") || !b.Time.Equal(a.Time) {
		t.Errorf("updated %+v -> %+v, %v", before, b, err)
	}
	f.counters(registry.Counters{Critical: 1})
	if _, c, err := f.tm.UpsertAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "x"}, true); err != nil || c.Count != 2 {
		t.Errorf("counted %+v, %v", c, err)
	}
}

func TestCountersStayRightUnderConcurrency(t *testing.T) {
	f := simple(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				a, _, err := f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: fmt.Sprint(i, j), Severity: iot.Minor, Time: start})
				if err != nil {
					t.Error(err)
					return
				}
				if cleared := iot.Cleared; j > 0 {
					if _, err := f.tm.PatchAlarm(ctx, device, a.ID, telemetry.AlarmPatch{Status: &cleared}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	f.counters(registry.Counters{Minor: 8})
}
