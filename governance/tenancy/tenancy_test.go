package tenancy_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

func TestTenantsAndOptions(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, _ := open(t, db)
		for range 2 {
			for _, id := range []iot.TenantID{"ta", "tb"} {
				if err := s.Ensure(ctx, tenancy.Tenant{ID: id, Company: "C-" + string(id)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, bad := range []iot.TenantID{"", "A", "1a", "a.b", "a/b", "ä"} {
			if err := s.Ensure(ctx, tenancy.Tenant{ID: bad}); !fault.Is(err, fault.Invalid) {
				t.Errorf("tenant %q: %v", bad, err)
			}
		}
		if got, err := s.Get(ctx, "ta"); err != nil || got.Company != "C-ta" || s.Active(ctx, "ta") != nil || !fault.Is(s.Active(ctx, "nope"), fault.NotFound) {
			t.Errorf("%+v %v", got, err)
		}
		p := iot.Principal{Tenant: "ta", User: "u", Roles: []string{"ROLE_OPTION_MANAGEMENT_ADMIN", "ROLE_OPTION_MANAGEMENT_READ"}}
		other := iot.Principal{Tenant: "tb", User: "u", Roles: p.Roles}
		opt := func(c, k, v string) tenancy.Option {
			return tenancy.Option{OptionKey: tenancy.OptionKey{Category: c, Key: k}, Value: v}
		}
		for _, v := range []string{"1", "2"} {
			if err := s.PutOptions(ctx, p, []tenancy.Option{opt("c", "k", v), opt("c", "j", "x"), opt("d", "k", "y")}); err != nil {
				t.Fatal(err)
			}
		}
		if all, err := s.Options(ctx, p, ""); err != nil || len(all) != 3 || all[1] != opt("c", "k", "2") {
			t.Errorf("%+v %v", all, err)
		}
		if theirs, err := s.Options(ctx, other, ""); err != nil || len(theirs) != 0 {
			t.Errorf("another tenant sees %+v %v", theirs, err)
		}
		if v := s.Value(ctx, "ta", tenancy.OptionKey{Category: "d", Key: "nope"}, "default"); v != "default" {
			t.Errorf("value %q", v)
		}
		if err := s.DeleteOption(ctx, p, tenancy.OptionKey{Category: "c", Key: "k"}); err != nil {
			t.Error(err)
		}
		if err := s.DeleteOption(ctx, p, tenancy.OptionKey{Category: "c", Key: "k"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("twice: %v", err)
		}
		if err := s.PutOptions(ctx, iot.Principal{Tenant: "ta", User: "x"}, []tenancy.Option{opt("c", "k", "v")}); !fault.Is(err, fault.Denied) {
			t.Errorf("without the permission: %v", err)
		}
		if h, err := db.History(ctx, "ta", string(iot.KindOption), "c/k"); err != nil || len(h) != 2 || !h[1].Deleted {
			t.Errorf("history %+v %v", h, err)
		}
	})
}
