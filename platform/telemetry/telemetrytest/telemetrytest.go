// Package telemetrytest is the conformance suite that every driver of platform/telemetry must pass.
package telemetrytest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

const tenant = iot.TenantID("acme")

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all   = access.Scope{All: true}
)

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) telemetry.Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"events are found by every condition": testEventQueries, "pages of events with equal times are stable": testEventPaging,
		"an update of an event keeps history": testEventUpdate, "events are deleted in batches": testEventDelete,
		"raising at once makes one alarm": testRaiseConcurrently, "raising merges into the open alarm": testRaise,
		"alarms are found by every condition": testAlarmQueries, "alarms are ordered": testAlarmOrder, "many alarms are updated": testAlarmUpdates,
		"alarms are deleted": testAlarmDelete, "tenants never meet": testTenants, "any instant survives": testInstants,
		"ledgers add up": testLedgers, "what is too old goes without a trace": testExpire,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{t, open(t), context.Background()}) })
	}
}

type fixture struct {
	t   *testing.T
	s   telemetry.Store
	ctx context.Context
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func rev(n int) sqlkit.Revision {
	return sqlkit.Revision{At: at(n), By: "ann", Set: fmt.Sprint("set", n)}
}

func doc(f *fixture, text string) iot.Doc {
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	f.must(err)
	return d
}

func (f *fixture) id(t iot.TenantID) iot.ID {
	id, err := f.s.NextID(f.ctx, t)
	f.must(err)
	return id
}

// event stores an event named by its text.
func (f *fixture) event(name string, source iot.ID, typ string, seconds int, fragments string) iot.ID {
	f.t.Helper()
	e := iot.Event{ID: f.id(tenant), Source: source, Type: typ, Text: name, Time: at(seconds), CreationTime: at(100 + seconds), LastUpdated: at(100 + seconds), Fragments: doc(f, fragments)}
	f.must(f.s.CreateEvent(f.ctx, tenant, e, rev(0)))
	return e.ID
}

func (f *fixture) events(q telemetry.EventQuery) string {
	f.t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	q.Count = true
	events, n, err := f.s.Events(f.ctx, tenant, all, q)
	f.must(err)
	if n != len(events) && q.Limit == 100 && q.Offset == 0 {
		f.t.Errorf("%+v: count %d, got %d", q, n, len(events))
	}
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Text
	}
	return strings.Join(names, " ")
}

func testEventQueries(t *testing.T, f *fixture) {
	f.event("a", 1, "open", 1, `{"pos":{"lat":1},"state":"on"}`)
	f.event("b", 2, "close", 2, `{"state":"off","1":1,"2":2,"3":3,"4":4,"5":5,"6":6,"7":7,"8":8,"9":9}`)
	f.event("c", 1, "Open", 3, `{"state":5}`)
	id := f.event("d", 3, "open", 4, `{}`)
	_, _, err := f.s.UpdateEvent(f.ctx, tenant, id, rev(500), func(e iot.Event) (iot.Event, error) {
		e.Fragments = doc(f, `{"late":true}`)
		return e, nil
	})
	f.must(err)
	for want, queries := range map[string][]telemetry.EventQuery{
		"d c b a": {{}, {Sources: []iot.ID{1, 2, 3, 4}}, {From: at(0), To: at(9)}},
		"a b c d": {{Ascending: true}},
		"c a":     {{Sources: []iot.ID{1}}},
		"c b a":   {{Sources: []iot.ID{1, 2}}, {Fragment: "state"}, {Sources: []iot.ID{1, 2, 3}, Fragment: "state"}},
		"b c":     {{Ascending: true, Fragment: "state", From: at(2), To: at(4)}},
		"d a":     {{Type: "open"}},
		"a":       {{Type: "open", Sources: []iot.ID{1}}, {Fragment: "pos"}, {Fragment: "state", FragmentValue: "on"}, {Type: "open", Fragment: "state", FragmentValue: "on"}},
		"b":       {{Fragment: "9"}, {From: at(2), To: at(3)}, {Limit: 1, Offset: 2}, {CreatedFrom: at(102), CreatedTo: at(103)}},
		"d":       {{Fragment: "late"}, {UpdatedFrom: at(400)}, {IDs: []iot.ID{id}}, {From: at(3).Add(time.Microsecond)}},
		"":        {{Sources: []iot.ID{}}, {IDs: []iot.ID{}}, {Fragment: "lat"}, {Type: "OPEN"}, {Fragment: "state", FragmentValue: "5"}, {Offset: 4}},
	} {
		for _, q := range queries {
			if got := f.events(q); got != want {
				t.Errorf("%+v: got %q, want %q", q, got, want)
			}
		}
	}
}

func testEventPaging(t *testing.T, f *fixture) {
	const n = 25
	for i := range n {
		f.event(fmt.Sprintf("e%02d", i), 1, "x", 7, `{"f":1}`)
	}
	for _, q := range []telemetry.EventQuery{{}, {Ascending: true}, {Sources: []iot.ID{1}}, {Type: "x"}, {Fragment: "f"}, {Sources: []iot.ID{1, 9}, Type: "x", Fragment: "f"}} {
		seen := map[string]bool{}
		last := ""
		for q.Offset = 0; q.Offset < n; q.Offset += 4 {
			q.Limit = 4
			for name := range strings.FieldsSeq(f.events(q)) {
				if seen[name] || last != "" && (name > last) != q.Ascending {
					t.Errorf("%+v: %s after %s", q, name, last)
				}
				seen[name], last = true, name
			}
		}
		if len(seen) != n {
			t.Errorf("%+v: %d of %d events on all pages", q, len(seen), n)
		}
	}
}

func testEventUpdate(t *testing.T, f *fixture) {
	id := f.event("before", 1, "x", 1, `{"a":1,"b":"B"}`)
	change := func(e iot.Event) (iot.Event, error) {
		e.Text, e.Fragments = "after", doc(f, `{"b":"C"}`)
		return e, nil
	}
	e, written, err := f.s.UpdateEvent(f.ctx, tenant, id, rev(300), change)
	if err != nil || !written || e.Text != "after" || !e.LastUpdated.Equal(at(300)) || !e.CreationTime.Equal(at(101)) {
		t.Fatalf("got %+v, %v, %v", e, written, err)
	}
	if e, written, err = f.s.UpdateEvent(f.ctx, tenant, id, rev(301), change); err != nil || written || !e.LastUpdated.Equal(at(300)) {
		t.Errorf("an update that changes nothing: %+v, %v, %v", e, written, err)
	}
	failure := errors.New("no")
	if _, _, err = f.s.UpdateEvent(f.ctx, tenant, id, rev(302), func(e iot.Event) (iot.Event, error) { return e, failure }); !errors.Is(err, failure) {
		t.Errorf("the error of change: %v", err)
	}
	if f.events(telemetry.EventQuery{Fragment: "a"}) != "" || f.events(telemetry.EventQuery{Fragment: "b", FragmentValue: "C"}) != "after" {
		t.Error("the fragments are not found as they are now")
	}
	gone, err := f.s.DeleteEvents(f.ctx, tenant, all, telemetry.EventQuery{IDs: []iot.ID{id}}, rev(400))
	if err != nil || len(gone) != 1 || gone[0].ID != id {
		t.Fatalf("delete: %v, %v", gone, err)
	}
	versions, err := f.s.EventHistory(f.ctx, tenant, id, time.Time{})
	f.must(err)
	if len(versions) != 2 || versions[0].Document.Text != "before" || versions[0].Deleted || !versions[0].Until.At.Equal(at(300)) ||
		versions[1].Document.Text != "after" || !versions[1].Deleted || !versions[1].From.Equal(at(300)) || versions[1].Until.By != "ann" {
		t.Errorf("history %+v", versions)
	}
	if _, err := f.s.Event(f.ctx, tenant, id); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("get: %v", err)
	}
	for when, want := range map[int]string{100: "", 101: "before", 299: "before", 300: "after", 399: "after", 400: ""} {
		v, err := f.s.EventHistory(f.ctx, tenant, id, at(when))
		f.must(err)
		if (len(v) == 1) != (want != "") || len(v) == 1 && v[0].Document.Text != want {
			t.Errorf("as of %d: %+v, want %q", when, v, want)
		}
	}
	if _, _, err := f.s.UpdateEvent(f.ctx, tenant, id, rev(500), change); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("update: %v", err)
	}
}

func testEventDelete(t *testing.T, f *fixture) {
	const extra = 3
	for i := range telemetry.DeleteBatch + extra {
		f.event("x", 1, "x", i, `{"f":1}`)
	}
	f.event("stays", 2, "x", 0, `{"f":1}`)
	q := telemetry.EventQuery{Sources: []iot.ID{1}, Fragment: "f"}
	for _, want := range []int{telemetry.DeleteBatch, extra, 0} {
		if gone, err := f.s.DeleteEvents(f.ctx, tenant, all, q, rev(900)); err != nil || len(gone) != want {
			t.Errorf("removed %d, want %d, %v", len(gone), want, err)
		}
	}
	if got := f.events(telemetry.EventQuery{Fragment: "f"}); got != "stays" {
		t.Errorf("left: %q", got)
	}
}

func testTenants(t *testing.T, f *fixture) {
	id := f.event("mine", 1, "x", 1, `{"f":1}`)
	a := f.alarm("mine", 1, "x", 1, iot.Critical, iot.Active)
	const other = iot.TenantID("other")
	f.must(f.s.CreateEvent(f.ctx, other, iot.Event{ID: id, Source: 1, Type: "x", Text: "theirs", Time: at(1)}, rev(1)))
	if e, err := f.s.Event(f.ctx, other, id); err != nil || e.Text != "theirs" {
		t.Errorf("event: %+v, %v", e, err)
	}
	if _, err := f.s.Alarm(f.ctx, other, a.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("alarm: %v", err)
	}
	before, _, err := f.s.Raise(f.ctx, other, iot.Alarm{ID: a.ID, Source: 1, Type: "x", Severity: iot.Minor, Status: iot.Active, Count: 1, Time: at(1)}, rev(1), counted)
	if err != nil || before != nil {
		t.Errorf("an alarm of another tenant was merged: %+v, %v", before, err)
	}
	if c, err := f.s.OpenAlarms(f.ctx, other, 1); err != nil || c.Minor != 1 || c.Critical != 0 {
		t.Errorf("counters: %+v, %v", c, err)
	}
	if events, n, err := f.s.Events(f.ctx, other, all, telemetry.EventQuery{Fragment: "f", Limit: 10, Count: true}); err != nil || n != 0 || len(events) != 0 {
		t.Errorf("fragments: %v, %v", events, err)
	}
	if _, err := f.s.DeleteEvents(f.ctx, other, all, telemetry.EventQuery{}, rev(2)); err != nil {
		t.Error(err)
	}
	if _, err := f.s.DeleteAlarms(f.ctx, other, all, telemetry.AlarmQuery{}, rev(2)); err != nil {
		t.Error(err)
	}
	if f.events(telemetry.EventQuery{}) != "mine" || f.alarms(telemetry.AlarmQuery{}) != "mine" {
		t.Error("a deletion reached another tenant")
	}
	if v, err := f.s.EventHistory(f.ctx, tenant, id, time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("history: %v, %v", v, err)
	}
}

func testInstants(t *testing.T, f *fixture) {
	for _, when := range []time.Time{iot.FromMillis(0), iot.FromMillis(-1), time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)} {
		e := iot.Event{ID: f.id(tenant), Source: 1, Type: "x", Text: "ä☃ '", Time: when, Fragments: doc(f, `{"n":1.50,"s":"ü"}`)}
		f.must(f.s.CreateEvent(f.ctx, tenant, e, rev(0)))
		got, err := f.s.Event(f.ctx, tenant, e.ID)
		if err != nil || !got.Time.Equal(when) || got.Text != e.Text || !got.Fragments.Equal(e.Fragments) {
			t.Errorf("%v: got %+v, %v", when, got, err)
		}
		found := f.events(telemetry.EventQuery{From: when, To: when.Add(time.Millisecond)})
		if found != e.Text {
			t.Errorf("%v: found %q", when, found)
		}
	}
}
