package tenancy_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
)

// realms remembers which realms were founded.
type realms struct{ founded []string }

func (r *realms) Found(_ context.Context, t iot.TenantID, a access.FirstAdmin) (bool, error) {
	r.founded = append(r.founded, string(t)+"/"+string(a.Name))
	return true, nil
}

func (r *realms) OneTimeCode(_ context.Context, t iot.TenantID, _ iot.UserName) (string, error) {
	return string(t) + ".code", nil
}

func TestLifecycle(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, store := open(t, db)
		r := &realms{}
		s.Serve(r)
		broken := true
		s.AddEraser("files", false, func(context.Context, iot.TenantID) (int64, error) {
			if broken {
				return 0, errors.New("the disk is gone")
			}
			return 7, nil
		})
		if err := s.Ensure(ctx, tenancy.Tenant{ID: iot.Management}); err != nil {
			t.Fatal(err)
		}
		boss := iot.Principal{Tenant: iot.Management, User: "boss", Roles: []string{"ROLE_OPTION_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_ADMIN", "ROLE_TENANT_MANAGEMENT_READ"}}
		text := func(s string) *string { return &s }
		acme, code, err := s.Create(ctx, boss, tenancy.Draft{Company: text("Acme"), Domain: text("ACME.example.com"), AdminEmail: text("a@b.c")})
		if err != nil || acme.Domain != "acme.example.com" || code != string(acme.ID)+".code" || len(r.founded) != 1 {
			t.Fatalf("%+v %q %v %v", acme, code, r.founded, err)
		}
		other, _, err := s.Create(ctx, boss, tenancy.Draft{Company: text("Other"), Domain: text("other"), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")})
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]iot.TenantID{"acme.example.com": acme.ID, "Acme.Example.Com.:8443": acme.ID, "other.iot.local": other.ID, "other": other.ID, string(other.ID) + ".iot.local": other.ID,
			string(other.ID): "", "example.com": "", "127.0.0.1:80": "", "[::1]:80": "", "": ""} {
			if got := s.ByHost(ctx, host); got != want {
				t.Errorf("host %q is %q, want %q", host, got, want)
			}
		}
		child := iot.Principal{Tenant: acme.ID, User: "x", Roles: boss.Roles}
		if _, err := s.Managed(ctx, child, other.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("a tenant sees another: %v", err)
		}
		if list, err := s.List(ctx, child); err != nil || len(list) != 0 {
			t.Errorf("a tenant lists others: %v %v", list, err)
		}
		// A tenant that may have subtenants manages those and no others.
		yes := true
		if _, err := s.Update(ctx, boss, acme.ID, tenancy.Draft{Parents: &yes}); err != nil {
			t.Fatal(err)
		}
		sub, _, err := s.Create(ctx, child, tenancy.Draft{Company: text("Sub"), Domain: text("sub"), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")})
		if err != nil || sub.Parent != acme.ID {
			t.Fatalf("%+v %v", sub, err)
		}
		// Nobody takes a name that means somebody else.
		for _, domain := range []string{"main", "management", "localhost", "main.example.com", "iot.example.com", string(other.ID), string(other.ID) + ".example.com", "elsewhere.example.org"} {
			d := tenancy.Draft{Company: text("X"), Domain: text(domain), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")}
			if made, _, err := s.Create(ctx, child, d); err == nil {
				t.Errorf("a subtenant got the domain %s: %+v", domain, made)
			}
			if _, err := s.Update(ctx, child, sub.ID, tenancy.Draft{Domain: text(domain)}); err == nil {
				t.Errorf("a subtenant changed to the domain %s", domain)
			}
		}
		if _, _, err := s.Create(ctx, child, tenancy.Draft{ID: "chosen", Company: text("X"), Domain: text("chosen"), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")}); !fault.Is(err, fault.Denied) {
			t.Errorf("a tenant chose an id: %v", err)
		}
		if _, _, err := s.Create(ctx, boss, tenancy.Draft{ID: "acme", Company: text("X"), Domain: text("unused"), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an id that a domain begins with was given: %v", err)
		}
		suspended := tenancy.Suspended
		if _, err := s.Update(ctx, child, sub.ID, tenancy.Draft{Status: &suspended}); err != nil || s.Active(ctx, sub.ID) == nil || s.ByHost(ctx, "sub") != sub.ID {
			t.Errorf("suspend: %v, active: %v", err, s.Active(ctx, sub.ID))
		}
		if _, err := s.Update(ctx, child, other.ID, tenancy.Draft{Status: &suspended}); !fault.Is(err, fault.NotFound) {
			t.Errorf("suspends another's: %v", err)
		}
		if _, err := s.Delete(ctx, boss, acme.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("deletes a tenant with subtenants: %v", err)
		}
		// A deletion that was cut short keeps everybody out and goes on at the next start.
		option := tenancy.Option{OptionKey: tenancy.OptionKey{Category: "c", Key: "k"}, Value: "v"}
		owner := iot.Principal{Tenant: other.ID, User: "o", Roles: boss.Roles}
		if err := s.PutOptions(ctx, owner, []tenancy.Option{option}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Delete(ctx, boss, other.ID); err == nil || s.Active(ctx, other.ID) == nil {
			t.Fatalf("deleted although something failed: %v", err)
		}
		broken = false
		if err := s.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		receipts, err := s.Receipts(ctx, boss)
		if err != nil || len(receipts) != 1 || receipts[0].Counts["files"] != 7 || receipts[0].Counts["tenant_option"] != 1 || len(receipts[0].SHA256) != 64 {
			t.Errorf("%+v %v", receipts, err)
		}
		if left, err := store.Options(ctx, other.ID, ""); err != nil || len(left) != 0 {
			t.Errorf("left: %v %v", left, err)
		}
		if _, _, err := s.Create(ctx, boss, tenancy.Draft{ID: other.ID, Company: text("O"), Domain: text("o2"), AdminEmail: text("a@b.c"), AdminPassword: text("Secret-123")}); !fault.Is(err, fault.Conflict) {
			t.Errorf("an id was given again: %v", err)
		}
		// What a request wrote that was on its way is found by the next start, until the last look was taken.
		late := func() int {
			t.Helper()
			if err := store.PutOptions(ctx, other.ID, []tenancy.Option{option}, sqlkit.Revision{At: time.UnixMilli(1), By: "late", Set: "s"}); err != nil {
				t.Fatal(err)
			}
			if err := s.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			left, err := store.Options(ctx, other.ID, "")
			if err != nil {
				t.Fatal(err)
			}
			return len(left)
		}
		if n := late(); n != 0 {
			t.Errorf("%d options stay that were written late", n)
		}
		if err := store.Swept(ctx, other.ID); err != nil {
			t.Fatal(err)
		}
		if unswept, err := store.Unswept(ctx); err != nil || len(unswept) != 0 {
			t.Errorf("still to be looked at: %v %v", unswept, err)
		}
		if list, _ := s.Receipts(ctx, child); len(list) != 0 {
			t.Errorf("a tenant sees receipts: %v", list)
		}
	})
}

// open returns the face on an empty store.
func open(t *testing.T, db *sqlkit.DB) (*tenancy.Tenants, *tenancysql.Store) {
	t.Helper()
	store, err := tenancysql.New(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return openFace(t, store, nil), store
}

func openFace(t *testing.T, store *tenancysql.Store, vault *secret.Box) *tenancy.Tenants {
	t.Helper()
	b, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s, err := tenancy.New(tenancy.Deps{Store: store, Policy: &access.Policy{}, Audit: silent{}, Bus: b, Clock: clock.NewManual(time.UnixMilli(1000)), Log: slog.New(slog.DiscardHandler),
		Vault: vault, Hosts: []string{"iot.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestDomains(t *testing.T) {
	for domain, ok := range map[string]bool{"acme": true, "a1": true, "a-b.c1.de": true, "": false, "a": false, "1a": false, "-a": false, "a-": false, "a_b": false, "a..b": false,
		"ä": false, "a b": false, strings.Repeat("a", 257): false} {
		s := domain
		err := tenancy.Draft{Domain: &s}.Check()
		if (err == nil) != ok {
			t.Errorf("%.20q: %v", domain, err)
		}
	}
}
