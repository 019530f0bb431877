package retention_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/retention/retentionsql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
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

type auditor struct{ lines []string }

func (a *auditor) Record(_ context.Context, p iot.Principal, r iot.AuditRecord) {
	a.lines = append(a.lines, string(p.Tenant)+": "+r.Activity+" | "+r.Text)
}

// keeper remembers what it was asked.
type keeper struct {
	asked []retention.Query
	fail  error
}

func (k *keeper) Count(_ context.Context, _ iot.TenantID, q retention.Query) (retention.Found, error) {
	return retention.Found{Documents: 5, Devices: 2}, k.fail
}

func (k *keeper) Remove(_ context.Context, _ iot.TenantID, q retention.Query) (int64, error) {
	k.asked = append(k.asked, q)
	return 3, k.fail
}

type fixture struct {
	*testing.T
	rules   *retention.Rules
	clock   *clock.Manual
	audit   *auditor
	keepers map[retention.DataType]*keeper
}

func setup(t *testing.T) *fixture {
	store, err := retentionsql.New(ctx, sqltest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t, nil, clock.NewManual(start), &auditor{}, map[retention.DataType]*keeper{}}
	keepers := map[retention.DataType]retention.Keeper{}
	for _, d := range []retention.DataType{retention.Alarms, retention.AuditRecords, retention.Events, retention.Measurements, retention.Operations} {
		f.keepers[d] = &keeper{}
		keepers[d] = f.keepers[d]
	}
	f.rules = retention.New(retention.Deps{Store: store, Policy: &access.Policy{}, Audit: f.audit, Clock: f.clock, Log: slog.New(slog.DiscardHandler), Keepers: keepers,
		Tenants: func(context.Context) ([]iot.TenantID, error) { return []iot.TenantID{acme}, nil }})
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

func TestRulesRunOnceADay(t *testing.T) {
	f := setup(t)
	f.rules.Work(ctx)
	f.clock.Advance(23 * time.Hour)
	f.rules.Work(ctx)
	if n := len(f.keepers[retention.Events].asked); n != 0 {
		t.Errorf("a tenant that has just begun: %d", n)
	}
	f.clock.Advance(time.Hour)
	f.rules.Work(ctx)
	f.rules.Work(ctx)
	want := retention.Query{Before: start.AddDate(0, 0, 1-retention.DefaultAge)}
	for d, k := range f.keepers {
		switch {
		case d == retention.AuditRecords:
			if len(k.asked) != 0 {
				t.Errorf("the default reaches the audit: %+v", k.asked)
			}
		case len(k.asked) != 1 || k.asked[0] != want:
			t.Errorf("%s: %+v", d, k.asked)
		}
	}
	if all := strings.Join(f.audit.lines, "\n"); !strings.Contains(all, "acme: Data removed by retention | 3 documents of the data type event") {
		t.Errorf("audit: %s", all)
	}
	f.clock.Advance(24 * time.Hour)
	f.rules.Work(ctx)
	if n := len(f.keepers[retention.Events].asked); n != 2 {
		t.Errorf("after another day: %d", n)
	}
}

func TestConditionsNeverWidenARule(t *testing.T) {
	f := setup(t)
	rules, err := f.rules.List(ctx, admin)
	f.must(err)
	f.must(f.rules.Delete(ctx, admin, rules[0].ID))
	for _, x := range []retention.Patch{
		{MaximumAge: ptr(10), FragmentType: ptr("f")}, {MaximumAge: ptr(20), Type: ptr("t")}, {MaximumAge: ptr(30), Source: ptr("7"), DataType: ptr("EVENT")},
		{MaximumAge: ptr(40), DataType: ptr("AUDIT"), Type: ptr("t")}, {MaximumAge: ptr(50), DataType: ptr("AUDIT")}, {MaximumAge: ptr(60), DataType: ptr("ALARM"), FragmentType: ptr("f")},
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
		retention.Alarms: {byType}, retention.AuditRecords: {{Before: before(50)}},
	} {
		got := f.keepers[d].asked
		if len(got) != len(want) {
			t.Errorf("%s: %+v, want %+v", d, got, want)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %+v, want %+v", d, got[i], want[i])
			}
		}
	}
}

func TestOneFailureStopsNothingElse(t *testing.T) {
	f := setup(t)
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
	got, err := f.rules.Preview(ctx, admin)
	f.must(err)
	for _, x := range got {
		want := int64(5)
		if x.DataType == retention.AuditRecords || x.DataType == retention.BulkOperations {
			want = 0
		}
		if x.Documents != want || !x.Before.Equal(start.AddDate(0, 0, -retention.DefaultAge)) {
			t.Errorf("%+v", x)
		}
	}
	if len(got) != 6 || len(f.keepers[retention.Events].asked) != 0 {
		t.Errorf("%d lines; removed %v", len(got), f.keepers[retention.Events].asked)
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
	_, err = f.rules.Update(ctx, admin, fixed.ID+100, retention.Patch{})
	f.kind("unknown", err, fault.NotFound)
	reader := iot.Principal{Tenant: acme, User: "bob", Roles: admin.Roles[1:]}
	_, err = f.rules.Update(ctx, reader, r.ID, retention.Patch{})
	f.kind("reader", err, fault.Denied)
	if all := strings.Join(f.audit.lines, "\n"); !strings.Contains(all, "Retention rule created") || !strings.Contains(all, "Retention rule updated") {
		t.Errorf("audit: %s", all)
	}
}
