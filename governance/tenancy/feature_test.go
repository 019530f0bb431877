package tenancy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

var optionRoles = []string{"ROLE_OPTION_MANAGEMENT_ADMIN", "ROLE_OPTION_MANAGEMENT_READ", "ROLE_TENANT_MANAGEMENT_ADMIN"}

func option(category, key, value string) tenancy.Option {
	return tenancy.Option{OptionKey: tenancy.OptionKey{Category: category, Key: key}, Value: value}
}

func TestSecretsAreSealedAtRest(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		plain, store := open(t, db) // as an earlier version was: without a vault
		if err := plain.Ensure(ctx, tenancy.Tenant{ID: "ta"}); err != nil {
			t.Fatal(err)
		}
		p := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}
		old := option("c", "credentials.old", "open-sesame")
		for range 2 {
			if err := plain.PutOptions(ctx, p, []tenancy.Option{old, option("c", "plain", "visible")}); err != nil {
				t.Fatal(err)
			}
		}
		box, err := secret.New([]byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		s := openFace(t, store, box)
		for range 2 { // the second time there is nothing to do
			if err := s.SealStored(ctx); err != nil {
				t.Fatal(err)
			}
		}
		fresh := option("c", "credentials.new", "abracadabra")
		if err := s.PutOptions(ctx, p, []tenancy.Option{fresh}); err != nil {
			t.Fatal(err)
		}
		rows, err := store.Options(ctx, "ta", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range rows {
			if sealed := strings.HasPrefix(o.Value, "sealed:"); sealed != tenancy.SecretOption(o.OptionKey) || strings.Contains(o.Value, "sesame") || strings.Contains(o.Value, "abra") {
				t.Errorf("at rest: %+v", o)
			}
		}
		if h, err := db.History(ctx, "ta", string(iot.KindOption), "c/credentials.old"); err != nil || len(h) != 0 {
			t.Errorf("former values: %v %v", h, err)
		}
		for _, o := range []tenancy.Option{old, fresh} {
			if v := s.Value(ctx, "ta", o.OptionKey, ""); v != o.Value {
				t.Errorf("%s is %q", o.Key, v)
			}
		}
		// A value that was moved to another name gives nothing away.
		moved := rows[0]
		moved.Key = "credentials.moved"
		if err := store.PutOptions(ctx, "ta", []tenancy.Option{moved}, sqlkit.Revision{}); err != nil {
			t.Fatal(err)
		}
		if v := s.Value(ctx, "ta", moved.OptionKey, "default"); v != "default" {
			t.Errorf("moved: %q", v)
		}
	})
}

func TestLockedAndCheckedOptions(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, _ := open(t, db)
		for _, id := range []iot.TenantID{"ta", iot.Management} {
			if err := s.Ensure(ctx, tenancy.Tenant{ID: id}); err != nil {
				t.Fatal(err)
			}
		}
		s.AddCheck("c", "even", func(v string) error {
			if v != "2" {
				return errors.New("not even")
			}
			return nil
		})
		p, m := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}, iot.Principal{Tenant: iot.Management, User: "m", Roles: optionRoles}
		put := func(o tenancy.Option) error { return s.PutOptions(ctx, p, []tenancy.Option{o}) }
		for _, bad := range []tenancy.Option{option("c", "even", "3"), option("a b", "k", ""), option("a/b", "k", ""), option("", "k", ""), option("c", "", "")} {
			if err := put(bad); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		o := option("c", "even", "2")
		if err := put(o); err != nil {
			t.Fatal(err)
		}
		if err := s.SetEditable(ctx, p, "ta", o.OptionKey, false); !fault.Is(err, fault.Denied) {
			t.Errorf("the tenant itself: %v", err)
		}
		if err := s.SetEditable(ctx, m, "ta", tenancy.OptionKey{Category: "c", Key: "none"}, false); !fault.Is(err, fault.NotFound) {
			t.Errorf("an option that is not there: %v", err)
		}
		if err := s.SetEditable(ctx, m, "ta", o.OptionKey, false); err != nil {
			t.Fatal(err)
		}
		if err := put(o); !fault.Is(err, fault.Denied) {
			t.Errorf("put a locked one: %v", err)
		}
		if err := s.DeleteOption(ctx, p, o.OptionKey); !fault.Is(err, fault.Denied) {
			t.Errorf("delete a locked one: %v", err)
		}
		if err := s.SetEditable(ctx, m, "ta", o.OptionKey, true); err != nil || put(o) != nil {
			t.Errorf("unlocked: %v", err)
		}
	})
}

func TestFeaturesAndRestrictedRoles(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, _ := open(t, db)
		for _, x := range []tenancy.Tenant{{ID: "ta"}, {ID: "tb"}, {ID: iot.Management}} {
			if err := s.Ensure(ctx, x); err != nil {
				t.Fatal(err)
			}
		}
		p, m := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}, iot.Principal{Tenant: iot.Management, User: "m", Roles: optionRoles}
		const key = tenancy.DeviceStatistics
		off := false
		if err := s.SetFeature(ctx, p, "tb", key, &off); !fault.Is(err, fault.Denied) {
			t.Errorf("another tenant: %v", err)
		}
		if err := s.SetFeature(ctx, m, "none", key, &off); !fault.Is(err, fault.NotFound) {
			t.Errorf("a tenant that is not there: %v", err)
		}
		for range 2 {
			if err := s.SetFeature(ctx, p, "ta", key, &off); err != nil {
				t.Fatal(err)
			}
		}
		if s.Enabled(ctx, "ta", key) || !s.Enabled(ctx, "tb", key) || s.Enabled(ctx, "ta", "none") {
			t.Error("not what was switched")
		}
		if all, err := s.Overrides(ctx, m, key); err != nil || len(all) != 1 || all["ta"] {
			t.Errorf("%v %v", all, err)
		}
		if err := s.SetFeature(ctx, m, "ta", key, nil); err != nil || !s.Enabled(ctx, "ta", key) {
			t.Errorf("back to the default: %v", err)
		}
		set := func(roles ...string) error {
			_, err := s.Restrict(ctx, p, "ta", func([]string) ([]string, error) { return roles, nil })
			return err
		}
		if err := set("ROLE_NOTHING"); !fault.Is(err, fault.Invalid) {
			t.Errorf("a role that is not there: %v", err)
		}
		if err := set("ROLE_AUDIT_READ", "ROLE_ALARM_READ", "ROLE_AUDIT_READ"); err != nil {
			t.Fatal(err)
		}
		if x, err := s.Get(ctx, "ta"); err != nil || strings.Join(x.Restricted, " ") != "ROLE_ALARM_READ ROLE_AUDIT_READ" {
			t.Errorf("%v %v", x.Restricted, err)
		}
		if _, err := s.RestrictedRoles(ctx, p, "tb"); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
			t.Errorf("of another tenant: %v", err)
		}
	})
}
