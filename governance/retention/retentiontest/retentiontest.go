// Package retentiontest is the conformance suite of drivers of governance/retention.
package retentiontest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const tenant, other = iot.TenantID("acme"), iot.TenantID("other")

var (
	start = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	rev   = sqlkit.Revision{At: start, By: "ann", Set: "set"}
	rule  = retention.Rule{DataType: retention.Alarms, FragmentType: "f", Type: "t", Source: "7", MaximumAge: 20, Editable: true}
)

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) retention.Store) {
	for name, test := range map[string]func(*testing.T, retention.Store){"rules are kept": testRules, "a tenant begins once": testBegin, "a day is claimed once": testClaim,
		"the number of rules is bounded": testBound} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, s retention.Store, of iot.TenantID) []retention.Rule {
	t.Helper()
	out, err := s.List(context.Background(), of)
	must(t, err)
	return out
}

func testRules(t *testing.T, s retention.Store) {
	ctx := context.Background()
	a, full, err := s.Create(ctx, tenant, rule, 10, rev)
	must(t, err)
	b, _, err := s.Create(ctx, tenant, rule, 10, rev)
	must(t, err)
	want := rule
	want.ID = a.ID
	if full || a != want || b.ID <= a.ID {
		t.Errorf("created %+v and %+v", a, b)
	}
	if got := list(t, s, tenant); !slices.Equal(got, []retention.Rule{a, b}) {
		t.Errorf("%+v", got)
	}
	if got := list(t, s, other); len(got) != 0 {
		t.Errorf("another tenant: %+v", got)
	}
	if _, err := s.Get(ctx, other, a.ID); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant: %v", err)
	}
	refused := errors.New("refused")
	if _, _, err := s.Update(ctx, tenant, a.ID, rev, func(r retention.Rule) (retention.Rule, error) { r.MaximumAge = 1; return r, refused }); !errors.Is(err, refused) {
		t.Errorf("refused update: %v", err)
	}
	next := retention.Rule{ID: a.ID, DataType: retention.Any, FragmentType: "g", Type: "u", Source: "8", MaximumAge: 21}
	before, after, err := s.Update(ctx, tenant, a.ID, rev, func(retention.Rule) (retention.Rule, error) { return next, nil })
	if err != nil || before != a || after != next {
		t.Errorf("%+v %+v %v", before, after, err)
	}
	if got, err := s.Get(ctx, tenant, a.ID); err != nil || got != next {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.Delete(ctx, tenant, a.ID, rev, func(retention.Rule) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("refused deletion: %v", err)
	}
	may := func(retention.Rule) error { return nil }
	if gone, err := s.Delete(ctx, tenant, a.ID, rev, may); err != nil || gone != next {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := s.Delete(ctx, tenant, a.ID, rev, may); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("twice: %v", err)
	}
	if _, _, err := s.Update(ctx, tenant, a.ID, rev, func(r retention.Rule) (retention.Rule, error) { return r, nil }); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a rule that is gone: %v", err)
	}
	if got := list(t, s, tenant); !slices.Equal(got, []retention.Rule{b}) {
		t.Errorf("left %+v", got)
	}
}

func testBegin(t *testing.T, s retention.Store) {
	ctx := context.Background()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Begin(ctx, tenant, rule, start, rev); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rules := list(t, s, tenant)
	if len(rules) != 1 || rules[0].MaximumAge != rule.MaximumAge {
		t.Fatalf("%+v", rules)
	}
	_, err := s.Delete(ctx, tenant, rules[0].ID, rev, func(retention.Rule) error { return nil })
	must(t, err)
	must(t, s.Begin(ctx, tenant, rule, start, rev))
	if rules := list(t, s, tenant); len(rules) != 0 {
		t.Errorf("a rule that was deleted came back: %+v", rules)
	}
}

func testClaim(t *testing.T, s retention.Store) {
	ctx := context.Background()
	claim := func(of iot.TenantID, now time.Time) bool {
		mine, err := s.Claim(ctx, of, now.Add(-24*time.Hour), now)
		if err != nil {
			t.Error(err)
		}
		return mine
	}
	if claim(tenant, start) {
		t.Error("a tenant that has not begun")
	}
	must(t, s.Begin(ctx, tenant, rule, start, rev))
	must(t, s.Begin(ctx, other, rule, start, rev))
	if claim(tenant, start.Add(24*time.Hour-time.Millisecond)) {
		t.Error("too early")
	}
	var all sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		all.Go(func() {
			if claim(tenant, start.Add(24*time.Hour)) {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have claimed the same day", won.Load())
	}
	if !claim(other, start.Add(25*time.Hour)) {
		t.Error("another tenant was not claimed")
	}
}

func testBound(t *testing.T, s retention.Store) {
	const most = 3
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, _, err := s.Create(context.Background(), tenant, rule, most, rev); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(list(t, s, tenant)); n != most {
		t.Errorf("%d rules, want %d", n, most)
	}
}
