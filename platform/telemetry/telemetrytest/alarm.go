package telemetrytest

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// alarm stores an alarm named by its text.
func (f *fixture) alarm(name string, source iot.ID, typ string, seconds int, sev iot.Severity, status iot.AlarmStatus) iot.Alarm {
	f.t.Helper()
	a := iot.Alarm{ID: f.id(tenant), Source: source, Type: typ, Text: name, Time: at(seconds), CreationTime: at(100 + seconds), LastUpdated: at(100 + seconds),
		Severity: sev, Status: status, Count: 1, Fragments: doc(f, `{"f":1}`)}
	_, after, err := f.s.Raise(f.ctx, tenant, a, rev(0), counted)
	f.must(err)
	return after
}

// counted is the usual merge.
func counted(open iot.Alarm) iot.Alarm {
	open.Count++
	return open
}

func (f *fixture) alarms(q telemetry.AlarmQuery) string {
	f.t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	q.Count = true
	alarms, n, err := f.s.Alarms(f.ctx, tenant, all, q)
	f.must(err)
	if n != len(alarms) && q.Limit == 100 {
		f.t.Errorf("%+v: count %d, got %d", q, n, len(alarms))
	}
	names := make([]string, len(alarms))
	for i, a := range alarms {
		names[i] = a.Text
	}
	return strings.Join(names, " ")
}

func testRaiseConcurrently(t *testing.T, f *fixture) {
	const callers, times = 8, 10
	var wg sync.WaitGroup
	var mu sync.Mutex // guards created
	created := map[iot.ID]int{}
	for range callers {
		wg.Go(func() {
			for range times {
				id, err := f.s.NextID(f.ctx, tenant)
				if err != nil {
					t.Error(err)
					return
				}
				before, after, err := f.s.Raise(f.ctx, tenant, iot.Alarm{ID: id, Source: 1, Type: "x", Severity: iot.Major, Status: iot.Active, Count: 1, Time: at(1)}, rev(1), counted)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if created[after.ID] += 0; before == nil {
					created[after.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(created) != 1 {
		t.Fatalf("%d alarms were made", len(created))
	}
	for id, n := range created {
		a, err := f.s.Alarm(f.ctx, tenant, id)
		if err != nil || a.Count != callers*times || n != 1 {
			t.Errorf("count %d, created %d times, %v", a.Count, n, err)
		}
		if v, err := f.s.AlarmHistory(f.ctx, tenant, id, time.Time{}); err != nil || len(v) != callers*times-1 {
			t.Errorf("%d versions, %v", len(v), err)
		}
	}
}

func testRaise(t *testing.T, f *fixture) {
	first := f.alarm("a", 1, "x", 1, iot.Major, iot.Active)
	f.alarm("other source", 2, "x", 1, iot.Major, iot.Active)
	f.alarm("other type", 1, "X", 1, iot.Major, iot.Active)
	before, after, err := f.s.Raise(f.ctx, tenant, iot.Alarm{ID: f.id(tenant), Source: 1, Type: "x", Count: 1, Severity: iot.Minor, Status: iot.Active, Time: at(2)}, rev(200),
		func(open iot.Alarm) iot.Alarm {
			open.FirstOccurrence, open.Time, open.Count, open.Type = open.Time, at(2), 2, "cannot be changed"
			return open
		})
	f.must(err)
	stored, err := f.s.Alarm(f.ctx, tenant, first.ID)
	f.must(err)
	if before == nil || before.ID != first.ID || after.ID != first.ID || stored.Count != 2 || !stored.Time.Equal(at(2)) || !stored.FirstOccurrence.Equal(at(1)) ||
		stored.Severity != iot.Major || stored.Type != "x" || !stored.LastUpdated.Equal(at(200)) || !stored.CreationTime.Equal(first.CreationTime) {
		t.Errorf("before %+v\nafter %+v\nstored %+v", before, after, stored)
	}
	status := func(s iot.AlarmStatus) func(iot.Alarm) iot.Alarm {
		return func(a iot.Alarm) iot.Alarm { a.Status = s; return a }
	}
	_, err = f.s.UpdateAlarms(f.ctx, tenant, []iot.ID{first.ID}, rev(201), status(iot.Acknowledged))
	f.must(err)
	if again := f.alarm("b", 1, "x", 3, iot.Major, iot.Active); again.ID != first.ID || again.Status != iot.Acknowledged {
		t.Errorf("an acknowledged alarm was not merged: %+v", again)
	}
	_, err = f.s.UpdateAlarms(f.ctx, tenant, []iot.ID{first.ID}, rev(202), status(iot.Cleared))
	f.must(err)
	second := f.alarm("c", 1, "x", 4, iot.Major, iot.Active)
	if second.ID == first.ID {
		t.Error("a cleared alarm was merged")
	}
	// A person reopens the first one beside the second: the active one counts, whichever is newer.
	_, err = f.s.UpdateAlarms(f.ctx, tenant, []iot.ID{second.ID}, rev(203), status(iot.Acknowledged))
	f.must(err)
	_, err = f.s.UpdateAlarms(f.ctx, tenant, []iot.ID{first.ID}, rev(204), status(iot.Active))
	f.must(err)
	if again := f.alarm("d", 1, "x", 5, iot.Major, iot.Active); again.ID != first.ID {
		t.Errorf("the active alarm was not preferred: %+v", again)
	}
	if c, err := f.s.OpenAlarms(f.ctx, tenant, 1); err != nil || c != (registry.Counters{Major: 3}) {
		t.Errorf("counters %+v, %v", c, err)
	}
}

func testAlarmQueries(t *testing.T, f *fixture) {
	f.alarm("a", 1, "x", 1, iot.Critical, iot.Active)
	f.alarm("b", 1, "y", 2, iot.Major, iot.Acknowledged)
	f.alarm("c", 2, "x", 3, iot.Minor, iot.Cleared)
	d := f.alarm("d", 3, "z", 4, iot.Warning, iot.Active)
	yes, no := true, false
	for want, queries := range map[string][]telemetry.AlarmQuery{
		"d c b a": {{}, {Statuses: []iot.AlarmStatus{iot.Active, iot.Acknowledged, iot.Cleared}}, {Sources: []iot.ID{1, 2, 3}}},
		"a b c d": {{Ascending: true}},
		"d b a":   {{Resolved: &no}, {Statuses: []iot.AlarmStatus{iot.Active, iot.Acknowledged}}, {Resolved: &no, Statuses: []iot.AlarmStatus{iot.Cleared}}},
		"c":       {{Resolved: &yes}, {Statuses: []iot.AlarmStatus{iot.Cleared}}, {From: at(3), To: at(4)}, {Severities: []iot.Severity{iot.Minor}}, {CreatedFrom: at(103), CreatedTo: at(104)}},
		"d a":     {{Statuses: []iot.AlarmStatus{iot.Active}}, {Severities: []iot.Severity{iot.Critical, iot.Warning}}},
		"c b":     {{Statuses: []iot.AlarmStatus{iot.Acknowledged, iot.Cleared}}, {Offset: 1, Limit: 2}},
		"c a":     {{Types: []string{"x"}}},
		"c b a":   {{Types: []string{"x", "y"}}, {UpdatedTo: at(104)}},
		"d":       {{IDs: []iot.ID{d.ID}}, {Sources: []iot.ID{3}, Types: []string{"z"}, Resolved: &no}},
		"":        {{Sources: []iot.ID{}}, {Statuses: []iot.AlarmStatus{}}, {Types: []string{"X"}}, {Sources: []iot.ID{2}, Resolved: &no}},
	} {
		for _, q := range queries {
			if got := f.alarms(q); got != want {
				t.Errorf("%+v: got %q, want %q", q, got, want)
			}
		}
	}
	if c, err := f.s.OpenAlarms(f.ctx, tenant, 1); err != nil || c != (registry.Counters{Critical: 1, Major: 1}) {
		t.Errorf("counters %+v, %v", c, err)
	}
}

func testAlarmOrder(t *testing.T, f *fixture) {
	f.alarm("b", 1, "x", 1, iot.Warning, iot.Active)
	f.alarm("a", 1, "y", 1, iot.Critical, iot.Cleared)
	f.alarm("C", 2, "x", 3, iot.Major, iot.Acknowledged)
	f.alarm("d", 2, "y", 2, iot.Major, iot.Active)
	for _, c := range []struct {
		field string
		desc  bool
		want  string
	}{
		{"severity", false, "a C d b"}, {"severity", true, "b C d a"}, {"status", false, "d b C a"}, {"status", true, "a C d b"},
		{"time", false, "a b d C"}, {"time", true, "C d a b"}, {"text", false, "C a b d"}, {"type", true, "d a C b"}, {"creationTime", true, "C d a b"}, {"lastUpdated", false, "a b d C"},
	} {
		if got := f.alarms(telemetry.AlarmQuery{Order: []telemetry.AlarmOrder{{Field: c.field, Desc: c.desc}}}); got != c.want {
			t.Errorf("%s %v: got %q, want %q", c.field, c.desc, got, c.want)
		}
	}
}

func testAlarmUpdates(t *testing.T, f *fixture) {
	var ids []iot.ID
	for i := range 5 {
		ids = append(ids, f.alarm(fmt.Sprint(i), iot.ID(i+1), "x", i, iot.Major, iot.Active).ID)
	}
	updates, err := f.s.UpdateAlarms(f.ctx, tenant, append(ids, 999999), rev(300), func(a iot.Alarm) iot.Alarm {
		if a.Text != "3" {
			a.Status, a.Fragments = iot.Cleared, doc(f, `{"g":2}`)
		}
		return a
	})
	f.must(err)
	written := 0
	for _, u := range updates {
		if u.Written {
			written++
		}
		if u.Written != (u.After.Status == iot.Cleared) || u.Before.Status != iot.Active {
			t.Errorf("update %+v", u)
		}
	}
	if len(updates) != 5 || written != 4 {
		t.Errorf("%d found, %d written", len(updates), written)
	}
	v, err := f.s.AlarmHistory(f.ctx, tenant, ids[0], time.Time{})
	if err != nil || len(v) != 1 || v[0].Document.Status != iot.Active || !v[0].Document.Fragments.Has("f") {
		t.Errorf("history %+v, %v", v, err)
	}
	if v, err := f.s.AlarmHistory(f.ctx, tenant, ids[3], time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("an update that changes nothing made a version: %v, %v", v, err)
	}
}

func testAlarmDelete(t *testing.T, f *fixture) {
	a := f.alarm("a", 1, "x", 1, iot.Major, iot.Active)
	f.alarm("b", 2, "x", 1, iot.Major, iot.Active)
	gone, err := f.s.DeleteAlarms(f.ctx, tenant, all, telemetry.AlarmQuery{Sources: []iot.ID{1}}, rev(200))
	if err != nil || len(gone) != 1 || gone[0].ID != a.ID || f.alarms(telemetry.AlarmQuery{}) != "b" {
		t.Errorf("gone %+v, %v", gone, err)
	}
	v, err := f.s.AlarmHistory(f.ctx, tenant, a.ID, time.Time{})
	if err != nil || len(v) != 1 || !v[0].Deleted {
		t.Errorf("history %+v, %v", v, err)
	}
	if _, err := f.s.Alarm(f.ctx, tenant, a.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("get: %v", err)
	}
}
