package retention_test

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/retention/retentionsql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
)

const acme = iot.TenantID("acme")

var (
	ctx   = context.Background()
	start = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	admin = iot.Principal{Tenant: acme, User: "ann", Roles: []string{"ROLE_RETENTION_RULE_ADMIN", "ROLE_RETENTION_RULE_READ"}}
	chief = iot.Principal{Tenant: iot.Management, User: "eve", Roles: admin.Roles}
)

type auditor struct {
	mu    sync.Mutex
	lines []string
}

func (a *auditor) all() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.lines, "\n")
}

func (a *auditor) Record(_ context.Context, p iot.Principal, r iot.AuditRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, string(p.Tenant)+": "+r.Activity+" | "+r.Text)
}

// keeper remembers what it was asked.
type keeper struct {
	then  func() // called when asked; may be nil
	mu    sync.Mutex
	asked []retention.Query
	fail  error
	wait  chan struct{} // if not nil, a removal waits until it is closed
}

func (k *keeper) Count(_ context.Context, _ iot.TenantID, q retention.Query) (retention.Found, error) {
	return retention.Found{Documents: 5, Devices: 2, Bytes: 100}, k.fail
}

func (k *keeper) Remove(_ context.Context, _ iot.TenantID, q retention.Query) (int64, error) {
	if k.wait != nil {
		<-k.wait
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, q)
	if k.then != nil {
		k.then()
	}
	return 3, k.fail
}

type fixture struct {
	*testing.T
	store   retention.Store
	rules   *retention.Rules
	clock   *clock.Manual
	audit   *auditor
	keepers map[retention.DataType]*keeper
}

func setup(t *testing.T, change ...func(*retention.Deps)) *fixture {
	store, err := retentionsql.New(ctx, sqltest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t, nil, nil, clock.NewManual(start), &auditor{}, map[retention.DataType]*keeper{}}
	keepers := map[retention.DataType]retention.Keeper{}
	for _, d := range []retention.DataType{retention.Alarms, retention.AuditRecords, retention.BulkOperations, retention.Events, retention.Measurements, retention.Operations} {
		f.keepers[d] = &keeper{}
		keepers[d] = f.keepers[d]
	}
	deps := retention.Deps{Store: store, Policy: &access.Policy{}, Audit: f.audit, Clock: f.clock, Log: slog.New(slog.DiscardHandler), Keepers: keepers,
		Tenants: func(context.Context) ([]iot.TenantID, error) { return []iot.TenantID{acme}, nil }}
	for _, c := range change {
		c(&deps)
	}
	f.store = store
	f.rules = retention.New(deps)
	t.Cleanup(f.rules.Close)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) kind(what string, err error, k fault.Kind) {
	f.Helper()
	if !fault.Is(err, k) {
		f.Errorf("%s: %v, want %v", what, err, k)
	}
}

func ptr[T any](v T) *T { return &v }

// everything makes a rule without conditions.
func (f *fixture) everything(days int) retention.Rule {
	f.Helper()
	r, err := f.rules.Create(ctx, admin, retention.Patch{MaximumAge: ptr(days)})
	f.must(err)
	return r
}

func (f *fixture) removals() (n int) {
	for _, k := range f.keepers {
		k.mu.Lock()
		n += len(k.asked)
		k.mu.Unlock()
	}
	return n
}

func TestWithoutRulesEverythingStays(t *testing.T) {
	f := setup(t)
	for range 100 {
		f.rules.Work(ctx)
		f.clock.Advance(24 * time.Hour)
	}
	if rules, err := f.rules.List(ctx, admin); err != nil || len(rules) != 0 {
		t.Errorf("rules that nobody made: %+v %v", rules, err)
	}
	if n := f.removals(); n != 0 {
		t.Errorf("%d removals that nobody asked for", n)
	}
}

func TestFirstRuleIsAChoice(t *testing.T) {
	f := setup(t)
	f.must(f.rules.Found(ctx, acme))
	if rules, err := f.rules.List(ctx, admin); err != nil || len(rules) != 0 {
		t.Errorf("without the choice: %+v %v", rules, err)
	}
	f = setup(t, func(d *retention.Deps) { d.FirstAge = 60 })
	f.rules.Work(ctx)
	if rules, err := f.rules.List(ctx, admin); err != nil || len(rules) != 0 {
		t.Errorf("a tenant that was there before: %+v %v", rules, err)
	}
	f.must(f.rules.Found(ctx, acme))
	rules, err := f.rules.List(ctx, admin)
	f.must(err)
	if len(rules) != 1 || rules[0].MaximumAge != 60 || rules[0].DataType != retention.Any || !rules[0].Editable {
		t.Errorf("a new tenant: %+v", rules)
	}
	f.must(f.rules.Delete(ctx, admin, rules[0].ID))
	f.rules.Work(ctx)
	if rules, err := f.rules.List(ctx, admin); err != nil || len(rules) != 0 {
		t.Errorf("it came back: %+v %v", rules, err)
	}
}

func TestRulesRunOnceADay(t *testing.T) {
	f := setup(t)
	f.rules.Work(ctx)
	f.everything(60)
	f.clock.Advance(23 * time.Hour)
	f.rules.Work(ctx)
	if n := f.removals(); n != 0 {
		t.Errorf("less than a day: %d", n)
	}
	f.clock.Advance(time.Hour)
	f.rules.Work(ctx)
	f.rules.Work(ctx)
	want := retention.Query{Before: start.AddDate(0, 0, 1-60)}
	for d, k := range f.keepers {
		if len(k.asked) != 1 || !reflect.DeepEqual(k.asked[0], want) {
			t.Errorf("%s: %+v", d, k.asked)
		}
	}
	if all := f.audit.all(); !strings.Contains(all, "acme: Data removed by retention | 3 documents of the data type event") {
		t.Errorf("audit: %s", all)
	}
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	if n := len(f.keepers[retention.Events].asked); n != 2 {
		t.Errorf("after another day: %d", n)
	}
}

func TestAClockThatLeapsRemovesNothing(t *testing.T) {
	f := setup(t)
	f.everything(60)
	f.rules.Work(ctx)
	f.clock.Advance(365 * 24 * time.Hour)
	f.rules.Work(ctx)
	f.clock.Advance(retention.Leap + time.Hour)
	f.rules.Work(ctx)
	if n := f.removals(); n != 0 {
		t.Fatalf("%d removals", n)
	}
	st, err := f.rules.Status(ctx, admin)
	if err != nil || !st.Waits {
		t.Errorf("%+v %v", st, err)
	}
	if n := strings.Count(f.audit.all(), "Retention waits"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	f.clock.Advance(-366*24*time.Hour - retention.Leap)
	f.rules.Work(ctx) // the clock was set back: the day begins anew
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	if n := f.removals(); n != len(f.keepers) {
		t.Errorf("%d removals once the clock is right", n)
	}
	f.clock.Advance(30 * 24 * time.Hour) // the machine was switched off
	f.rules.Work(ctx)
	if n := f.removals(); n != len(f.keepers) {
		t.Errorf("%d removals after a long rest", n)
	}
	_, err = f.rules.Start(ctx, admin)
	f.must(err)
	f.ended()
	if st, err := f.rules.Status(ctx, admin); err != nil || st.Waits {
		t.Errorf("after somebody said so: %+v %v", st, err)
	}
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	if n := f.removals(); n != 3*len(f.keepers) {
		t.Errorf("%d removals", n)
	}
}

// ended waits until no run goes on.
func (f *fixture) ended() retention.Status {
	f.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		st, err := f.rules.Status(ctx, admin)
		f.must(err)
		if !st.Running() {
			return st
		}
		if time.Now().After(deadline) {
			f.Fatalf("the run does not end: %+v", st)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSomebodyStartsARun(t *testing.T) {
	f := setup(t)
	f.everything(60)
	wait := make(chan struct{})
	f.keepers[retention.Alarms].wait = wait
	st, err := f.rules.Start(ctx, admin)
	f.must(err)
	if !st.Running() || st.Progress.By != "ann" || st.Progress.Steps != len(f.keepers) {
		t.Errorf("%+v", st)
	}
	again, err := f.rules.Start(ctx, admin)
	f.must(err)
	if !again.Running() || !again.Progress.Began.Equal(st.Progress.Began) {
		t.Errorf("a second one: %+v", again)
	}
	close(wait)
	st = f.ended()
	if p := st.Progress; p.Done != p.Steps || p.Removed[retention.Alarms] != 3 || len(p.Removed) != len(f.keepers) || p.Failed != "" || f.removals() != len(f.keepers) {
		t.Errorf("%+v, %d removals", p, f.removals())
	}
	f.rules.Work(ctx)
	if n := f.removals(); n != len(f.keepers) {
		t.Errorf("the daily run came as well: %d", n)
	}
	for what, p := range map[string]iot.Principal{"reader": {Tenant: acme, User: "bob", Roles: admin.Roles[1:]}, "nobody": {Tenant: acme, User: "bob"}} {
		_, err := f.rules.Start(ctx, p)
		f.kind(what, err, fault.Denied)
	}
	f.keepers[retention.Events].fail = fault.E(fault.Unavailable, "the store is down")
	_, err = f.rules.Start(ctx, admin)
	f.must(err)
	if p := f.ended().Progress; !strings.Contains(p.Failed, "the store is down") || p.Done != p.Steps {
		t.Errorf("%+v", p)
	}
}

// TestAnInterruptedRunIsDoneAgain ends the platform in the middle of a run: it is done again when the claim is over, not a day later.
func TestAnInterruptedRunIsDoneAgain(t *testing.T) {
	f := setup(t)
	f.everything(60)
	f.rules.Work(ctx)
	f.clock.Advance(25 * time.Hour)
	before := f.removals()
	life, end := context.WithCancel(ctx)
	f.keepers[retention.Alarms].then = end
	f.rules.Work(life)
	done := f.removals() - before
	if st, err := f.rules.Status(ctx, admin); err != nil || !st.Running() || done == 0 || done == len(f.keepers) {
		t.Fatalf("%d steps, %+v, %v", done, st, err)
	}
	f.keepers[retention.Alarms].then = nil
	f.rules.Work(ctx)
	if n := f.removals() - before; n != done {
		t.Fatalf("it was done again while it was claimed: %d", n)
	}
	f.clock.Advance(6 * time.Minute)
	if st, err := f.rules.Status(ctx, admin); err != nil || !st.Interrupted || st.Running() {
		t.Fatalf("%+v, %v", st, err)
	}
	f.rules.Work(ctx)
	if st, err := f.rules.Status(ctx, admin); err != nil || st.Interrupted || st.Progress.Done != len(f.keepers) || f.removals()-before != done+len(f.keepers) {
		t.Fatalf("%+v, %v, %d removals", st, err, f.removals()-before)
	}
}

func TestConditionsNeverWidenARule(t *testing.T) {
	f := setup(t)
	f.rules.Work(ctx)
	for _, x := range []retention.Patch{
		{MaximumAge: ptr(10), FragmentType: ptr("f")}, {MaximumAge: ptr(20), Type: ptr("t")}, {MaximumAge: ptr(30), Source: ptr("7"), DataType: ptr("EVENT")},
		{MaximumAge: ptr(40), DataType: ptr("AUDIT"), Type: ptr("t"), Source: ptr("7")}, {MaximumAge: ptr(50), DataType: ptr("AUDIT")},
		{MaximumAge: ptr(60), DataType: ptr("ALARM"), FragmentType: ptr("f")}, {MaximumAge: ptr(70), DataType: ptr("BULK_OPERATION"), Source: ptr("7")},
	} {
		_, err := f.rules.Create(ctx, admin, x)
		f.must(err)
	}
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	before := func(days int) time.Time { return start.AddDate(0, 0, 1-days) }
	byFragment, byType := retention.Query{Before: before(10), Fragment: "f"}, retention.Query{Before: before(20), Type: "t"}
	for d, want := range map[retention.DataType][]retention.Query{
		retention.Events: {byFragment, byType, {Before: before(30), Source: 7}}, retention.Measurements: {byFragment, byType}, retention.Operations: {byFragment},
		retention.BulkOperations: {byFragment}, retention.Alarms: {byType}, retention.AuditRecords: {byType, {Before: before(40), Type: "t", Source: 7}, {Before: before(50)}},
	} {
		if got := f.keepers[d].asked; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", d, got, want)
		}
	}
}

func TestOneFailureStopsNothingElse(t *testing.T) {
	f := setup(t)
	f.everything(60)
	f.keepers[retention.Alarms].fail = fault.E(fault.Unavailable, "down")
	f.rules.Work(ctx)
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	if n := len(f.keepers[retention.Operations].asked); n != 1 {
		t.Errorf("operations were asked %d times", n)
	}
}

func TestPreview(t *testing.T) {
	f := setup(t)
	f.everything(60)
	got, err := f.rules.Preview(ctx, admin)
	f.must(err)
	for _, x := range got.Forecasts {
		if x.Found != (retention.Found{Documents: 5, Devices: 2, Bytes: 100}) || !x.Before.Equal(start.AddDate(0, 0, -60)) {
			t.Errorf("%+v", x)
		}
	}
	if len(got.Forecasts) != 6 || got.Semantics != retention.AnyRule || len(f.keepers[retention.Events].asked) != 0 {
		t.Errorf("%d lines; removed %v", len(got.Forecasts), f.keepers[retention.Events].asked)
	}
	_, err = f.rules.Preview(ctx, iot.Principal{Tenant: acme, User: "bob"})
	f.kind("without permission", err, fault.Denied)
}

func TestWhoMayChangeWhat(t *testing.T) {
	f := setup(t)
	for what, x := range map[string]retention.Patch{"no age": {}, "zero": {MaximumAge: ptr(0)}, "too old": {MaximumAge: ptr(retention.MaxAge + 1)}, "data type": {MaximumAge: ptr(1), DataType: ptr("event")},
		"source": {MaximumAge: ptr(1), Source: ptr("pump")}, "text": {MaximumAge: ptr(1), Type: ptr("a\x00")}, "long": {MaximumAge: ptr(1), FragmentType: ptr(strings.Repeat("x", 300))}} {
		_, err := f.rules.Create(ctx, admin, x)
		f.kind(what, err, fault.Invalid)
	}
	r, err := f.rules.Create(ctx, admin, retention.Patch{MaximumAge: ptr(retention.MaxAge), Editable: ptr(false)})
	f.must(err)
	if !r.Editable || r.DataType != retention.Any || r.Source != retention.Any {
		t.Errorf("%+v", r)
	}
	fixed, err := f.rules.Create(ctx, chief, retention.Patch{MaximumAge: ptr(5), Editable: ptr(false)})
	f.must(err)
	f.kind("delete what is not editable", f.rules.Delete(ctx, chief, fixed.ID), fault.Denied)
	if fixed, err = f.rules.Update(ctx, chief, fixed.ID, retention.Patch{MaximumAge: ptr(6)}); err != nil || fixed.MaximumAge != 6 || fixed.Editable {
		t.Errorf("%+v %v", fixed, err)
	}
	given, _, err := f.store.Create(ctx, acme, retention.Rule{DataType: retention.Any, FragmentType: retention.Any, Type: retention.Any, Source: retention.Any, MaximumAge: 5}, 100, sqlkit.Revision{At: start})
	f.must(err)
	_, err = f.rules.Update(ctx, admin, given.ID, retention.Patch{MaximumAge: ptr(6)})
	f.kind("change what is not editable", err, fault.Denied)
	f.kind("remove what is not editable", f.rules.Delete(ctx, admin, given.ID), fault.Denied)
	_, err = f.rules.Update(ctx, admin, fixed.ID+100, retention.Patch{})
	f.kind("unknown", err, fault.NotFound)
	reader := iot.Principal{Tenant: acme, User: "bob", Roles: admin.Roles[1:]}
	_, err = f.rules.Update(ctx, reader, r.ID, retention.Patch{})
	f.kind("reader", err, fault.Denied)
	if all := f.audit.all(); !strings.Contains(all, "Retention rule created") || !strings.Contains(all, "Retention rule updated") {
		t.Errorf("audit: %s", all)
	}
}
