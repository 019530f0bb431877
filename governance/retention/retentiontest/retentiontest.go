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
	for name, test := range map[string]func(*testing.T, retention.Store){"rules are kept": testRules, "a tenant begins once": testBegin, "a day is claimed once": testClaim, "a run reports": testReport,
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
	if _, err := s.State(ctx, tenant); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a tenant that has not begun: %v", err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := s.Begin(ctx, tenant, start); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	must(t, s.Begin(ctx, tenant, start.Add(time.Hour)))
	if st, err := s.State(ctx, tenant); err != nil || !st.Ran.Equal(start) || !st.Progress.Began.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
	if rules := list(t, s, tenant); len(rules) != 0 {
		t.Errorf("rules that nobody made: %+v", rules)
	}
	must(t, s.Rewind(ctx, tenant, start.Add(time.Hour)))
	if st, err := s.State(ctx, tenant); err != nil || !st.Ran.Equal(start) {
		t.Errorf("a clock that is right: %+v %v", st, err)
	}
	must(t, s.Rewind(ctx, tenant, start.Add(-time.Hour)))
	if st, err := s.State(ctx, tenant); err != nil || !st.Ran.Equal(start.Add(-time.Hour)) {
		t.Errorf("a clock that was wrong: %+v %v", st, err)
	}
}

const day, lease = 24 * time.Hour, 5 * time.Minute

func testClaim(t *testing.T, s retention.Store) {
	ctx := context.Background()
	claim := func(of iot.TenantID, now time.Time) bool {
		mine, err := s.Claim(ctx, of, now.Add(-day), now, lease)
		if err != nil {
			t.Error(err)
		}
		return mine
	}
	if claim(tenant, start) {
		t.Error("a tenant that has not begun")
	}
	must(t, s.Begin(ctx, tenant, start))
	must(t, s.Begin(ctx, other, start))
	if claim(tenant, start.Add(day-time.Millisecond)) {
		t.Error("too early")
	}
	var all sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		all.Go(func() {
			if claim(tenant, start.Add(day)) {
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

func testReport(t *testing.T, s retention.Store) {
	ctx := context.Background()
	must(t, s.Begin(ctx, tenant, start))
	now := func(now time.Time) bool { // as somebody who asks for a run
		mine, err := s.Claim(ctx, tenant, now, now, lease)
		must(t, err)
		return mine
	}
	if !now(start) || now(start.Add(lease-time.Millisecond)) {
		t.Error("the claim of a node does not last")
	}
	p := retention.Progress{Began: start, By: "ann", Steps: 5, Done: 2, Removed: map[retention.DataType]int64{retention.Events: 3}}
	must(t, s.Report(ctx, tenant, p, start.Add(lease-time.Millisecond), lease))
	if now(start.Add(lease)) {
		t.Error("a node that lives has lost its claim")
	}
	st, err := s.State(ctx, tenant)
	must(t, err)
	if got := st.Progress; !got.Began.Equal(start) || !got.Ended.IsZero() || got.By != "ann" || got.Steps != 5 || got.Done != 2 || got.Removed[retention.Events] != 3 {
		t.Errorf("%+v", got)
	}
	if !now(start.Add(2 * lease)) {
		t.Error("a node that died keeps its claim")
	}
	must(t, s.Rewind(ctx, tenant, start.Add(-365*day)))
	if !now(start.Add(-365 * day)) {
		t.Error("the claim of a clock that was a year ahead lasts for a year")
	}
	p.Ended, p.Failed = start.Add(time.Minute), "down"
	must(t, s.Report(ctx, tenant, p, start.Add(2*lease), lease))
	if st, err := s.State(ctx, tenant); err != nil || !st.Progress.Ended.Equal(p.Ended) || st.Progress.Failed != "down" {
		t.Errorf("%+v %v", st, err)
	}
	if !now(start.Add(2*lease + time.Millisecond)) {
		t.Error("a run that has ended keeps its claim")
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
