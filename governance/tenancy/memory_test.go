package tenancy_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
)

// counting is a store that counts what is read, and can be broken.
type counting struct {
	*tenancysql.Store
	reads  atomic.Int64
	broken atomic.Bool
}

func (c *counting) Options(ctx context.Context, t iot.TenantID, category string) ([]tenancy.Option, error) {
	c.reads.Add(1)
	if c.broken.Load() {
		return nil, errors.New("broken")
	}
	return c.Store.Options(ctx, t, category)
}

func (c *counting) Overrides(ctx context.Context, key string) (map[iot.TenantID]bool, error) {
	c.reads.Add(1)
	return c.Store.Overrides(ctx, key)
}

// TestSettingsAreRemembered asks two nodes for settings that change on one of them.
func TestSettingsAreRemembered(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		inner, err := tenancysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		now := clock.NewManual(time.UnixMilli(1000))
		store := &counting{Store: inner}
		node := func() *tenancy.Tenants {
			s, err := tenancy.New(tenancy.Deps{Store: store, Policy: &access.Policy{}, Audit: silent{}, Bus: b, Clock: now, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			return s
		}
		one, two := node(), node()
		for _, id := range []iot.TenantID{"ta", "tb"} {
			if err := one.Ensure(ctx, tenancy.Tenant{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		p := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}
		o := option("c", "k", "first")
		want := func(s *tenancy.Tenants, tenant iot.TenantID, value string) {
			t.Helper()
			if got := s.Cached(ctx, tenant, o.OptionKey, "none"); got != value {
				t.Errorf("%s: %q, want %q", tenant, got, value)
			}
		}
		soon := func(what string, holds func() bool) {
			t.Helper()
			for late := time.Now().Add(10 * time.Second); !holds(); {
				if time.Now().After(late) {
					t.Fatal("never: " + what)
				}
			}
		}
		want(one, "ta", "none")
		want(two, "ta", "none")
		if err := one.PutOptions(ctx, p, []tenancy.Option{o}); err != nil {
			t.Fatal(err)
		}
		want(one, "ta", "first") // at once where it was changed
		soon("the other node knows", func() bool { return two.Cached(ctx, "ta", o.OptionKey, "none") == "first" })
		want(one, "tb", "none")

		// The news of the change reaches the node that made it as well; when that is over, nothing is read any more.
		soon("it is remembered", func() bool {
			before := store.reads.Load()
			want(one, "ta", "first")
			want(two, "ta", "first")
			return store.reads.Load() == before
		})
		now.Advance(11 * time.Second) // the news may be lost
		before := store.reads.Load()
		want(one, "ta", "first")
		if store.reads.Load() != before+1 {
			t.Error("it was remembered for longer than that")
		}
		now.Advance(11 * time.Second)
		store.broken.Store(true)
		want(one, "ta", "none") // the default
		store.broken.Store(false)
		want(one, "ta", "first") // and that is not remembered
		if err := one.DeleteOption(ctx, p, o.OptionKey); err != nil {
			t.Fatal(err)
		}
		want(one, "ta", "none")

		off := false
		if !one.Enabled(ctx, "ta", tenancy.WithoutChildren) || !two.Enabled(ctx, "ta", tenancy.WithoutChildren) {
			t.Error("the default")
		}
		if err := one.SetFeature(ctx, p, "ta", tenancy.WithoutChildren, &off); err != nil {
			t.Fatal(err)
		}
		soon("the feature is off on both", func() bool {
			return !one.Enabled(ctx, "ta", tenancy.WithoutChildren) && !two.Enabled(ctx, "ta", tenancy.WithoutChildren)
		})
		if !one.Enabled(ctx, "tb", tenancy.WithoutChildren) {
			t.Error("another tenant's feature")
		}
	})
}
