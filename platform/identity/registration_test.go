package identity_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/identity/identitysql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
)

var ctx = context.Background()

func user(t iot.TenantID, name string, roles ...string) iot.Principal {
	slices.Sort(roles)
	return iot.Principal{Tenant: t, User: iot.UserName(name), Roles: roles}
}

var (
	admin     = user("acme", "admin", "ROLE_DEVICE_CONTROL_ADMIN", "ROLE_DEVICE_CONTROL_READ", "ROLE_USER_MANAGEMENT_ADMIN", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ")
	foreign   = user("other", "admin", admin.Roles...)
	nobody    = user("acme", "nobody")
	bootstrap = user(iot.Management, "devicebootstrap", "ROLE_DEVICE_BOOTSTRAP")
)

type auditor struct {
	mu      sync.Mutex // guards records
	records []iot.AuditRecord
}

func (a *auditor) Record(_ context.Context, _ iot.Principal, r iot.AuditRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, r)
}

type tenants struct{}

func (tenants) Active(context.Context, iot.TenantID) error { return nil }

type fixture struct {
	*testing.T
	s       *identity.Registrations
	users   access.Store
	reg     *registry.Registry
	audit   *auditor
	policy  string
	anchors *identity.Anchors
	store   identity.AnchorStore
	clock   *clock.Manual
	options map[string]string // of every tenant, by category/key
}

func setup(t *testing.T) *fixture {
	f := &fixture{T: t, audit: &auditor{}, options: map[string]string{}}
	log, policy, db := slog.New(slog.DiscardHandler), &access.Policy{}, sqltest.SQLite(t)
	c := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b, err := bus.Open(bus.Config{Log: log})
	f.must(err)
	t.Cleanup(b.Close)
	objects, err := registrysql.New(ctx, db)
	f.must(err)
	f.reg, err = registry.NewRegistry(registry.Deps{Store: objects, Policy: policy, Audit: f.audit, Bus: b, Clock: c, Log: log})
	f.must(err)
	t.Cleanup(f.reg.Close)
	accounts, err := accesssql.New(ctx, db)
	f.must(err)
	f.users = accounts
	users, err := access.New(ctx, access.Deps{Store: accounts, Sessions: accounts, Grants: accounts, Tenants: tenants{}, Audit: f.audit, Bus: b, Policy: policy, Clock: c, Log: log})
	f.must(err)
	t.Cleanup(users.Close)
	store, err := identitysql.New(ctx, db)
	f.must(err)
	f.store = store.Anchors()
	f.s = identity.New(identity.Deps{Store: store, Users: users, Registry: f.reg, Policy: policy, Audit: f.audit, Clock: c, Log: log,
		Active: func(_ context.Context, t iot.TenantID) error {
			if t == "gone" {
				return fault.E(fault.NotFound)
			}
			return nil
		},
		Option: func(_ context.Context, _ iot.TenantID, category, key string) (string, bool) {
			return f.policy, f.policy != "" && category == "device-registration" && key == "security-token.policy"
		}})
	vault, err := secret.New(make([]byte, 32))
	f.must(err)
	f.anchors, err = identity.NewAnchors(identity.AnchorDeps{Store: store.Anchors(), Registrations: store, Vault: vault, Users: users, Policy: policy, Audit: f.audit, Bus: b, Clock: c, Log: log,
		Option: func(_ context.Context, _ iot.TenantID, category, key string) (string, bool) {
			v, ok := f.options[category+"/"+key]
			return v, ok
		}})
	f.must(err)
	t.Cleanup(f.anchors.Close)
	f.clock = c
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

func (f *fixture) request(id, token string) {
	f.Helper()
	_, err := f.s.Request(ctx, admin, identity.Registration{ID: id}, token)
	f.must(err)
}

// ask is the device's question.
func (f *fixture) ask(id, token string) (identity.Credentials, error) {
	return f.s.Credentials(ctx, bootstrap, id, token)
}

func (f *fixture) status(id string, want identity.Status) {
	f.Helper()
	if r, err := f.s.Get(ctx, admin, id); err != nil || r.Status != want {
		f.Errorf("%s is %s, %v; want %s", id, r.Status, err, want)
	}
}

func TestADeviceComesToItsAccount(t *testing.T) {
	f := setup(t)
	_, err := f.ask("d1", "")
	f.kind("a device that nobody announced", err, fault.NotFound)
	r, err := f.s.Request(ctx, admin, identity.Registration{ID: "d1", Type: "pump", Status: identity.Accepted, Tenant: "other", Owner: "mallory"}, "")
	if err != nil || r.Status != identity.Waiting || r.Tenant != "acme" || r.Owner != "admin" {
		t.Fatalf("requested %+v, %v", r, err)
	}
	_, err = f.s.Accept(ctx, admin, "d1", "")
	f.kind("accepting before the device has asked", err, fault.Invalid)
	_, err = f.ask("d1", "")
	f.kind("the first question", err, fault.NotFound)
	f.status("d1", identity.Pending)
	_, err = f.s.Accept(ctx, foreign, "d1", "")
	f.kind("accepting in another tenant", err, fault.NotFound)
	_, err = f.s.Accept(ctx, admin, "d1", "")
	f.must(err)
	f.status("d1", identity.Accepted)

	// Of several questions at once, one is answered.
	var wg sync.WaitGroup
	answers := make([]identity.Credentials, 5)
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = f.ask("d1", ""); err != nil && !fault.Is(err, fault.NotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	answers = slices.DeleteFunc(answers, func(c identity.Credentials) bool { return c.Password == "" })
	if len(answers) != 1 || answers[0].User != "device_d1" || answers[0].Tenant != "acme" || answers[0].ID != "d1" {
		t.Fatalf("answers %+v", answers)
	}
	if u, err := f.users.User(ctx, "acme", "device_d1"); err != nil || !slices.Contains(u.Groups, 3) {
		t.Errorf("account %+v, %v", u, err)
	}
	_, err = f.s.Get(ctx, admin, "d1")
	f.kind("a registration that is used", err, fault.NotFound)
	f.request("d1", "")
}

func TestIDs(t *testing.T) {
	f := setup(t)
	for _, id := range []string{"", ".", "..", "a b", "a/b", `a\b`, "a+b", "a$b", "a:b", "a\x00", "a\u00a0b", "a\tb", strings.Repeat("x", 1001), "\xff"} {
		_, err := f.s.Request(ctx, admin, identity.Registration{ID: id}, "")
		f.kind(id, err, fault.Invalid)
	}
	f.request("ok-1_☃.x", "")
	for _, p := range []iot.Principal{admin, foreign} {
		_, err := f.s.Request(ctx, p, identity.Registration{ID: "ok-1_☃.x"}, "")
		if !fault.Is(err, fault.Invalid) || fault.ReasonOf(err) != identity.NonUnique {
			t.Errorf("%s: %v", p.Tenant, err)
		}
	}
}

func TestSecurityTokens(t *testing.T) {
	for _, c := range []struct {
		name, policy, announced, device, accept string
		asks, accepts                           fault.Kind // of the first question and of accepting; zero: no error
	}{
		{"nobody has a token", "", "", "", "", fault.NotFound, 0},
		{"the device's token is repeated", "OPTIONAL", "", "T", "T", fault.NotFound, 0},
		{"the device's token is not repeated", "OPTIONAL", "", "T", "", fault.NotFound, fault.Invalid},
		{"a wrong token is given", "OPTIONAL", "", "T", "U", fault.NotFound, fault.Invalid},
		{"the device presents what was announced", "", "T", "T", "T", fault.NotFound, 0},
		{"the device presents another token", "", "T", "U", "T", fault.Invalid, fault.Invalid},
		{"the device presents none", "", "T", "", "T", fault.Invalid, fault.Invalid},
		{"a token is required", "required", "", "", "", fault.Invalid, fault.Invalid},
		{"the required token is there", "REQUIRED", "", "T", "T", fault.NotFound, 0},
		{"tokens are ignored", "IGNORED", "T", "U", "V", fault.NotFound, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := setup(t)
			f.policy = c.policy
			f.request("d", c.announced)
			_, err := f.ask("d", c.device)
			f.kind("the first question", err, c.asks)
			_, err = f.s.Accept(ctx, admin, "d", c.accept)
			if c.accepts != 0 {
				f.kind("accepting", err, c.accepts)
				return
			}
			f.must(err)
			if c.device != "" && c.policy != "IGNORED" {
				_, err := f.ask("d", "guess")
				f.kind("another device in its name", err, fault.Invalid)
			}
			_, err = f.ask("d", c.device)
			f.must(err)
		})
	}
}

func TestWrongTokensBlock(t *testing.T) {
	f := setup(t)
	f.request("d", "T")
	for range 20 { // a missing token is no attempt
		_, err := f.ask("d", "")
		f.kind("no token", err, fault.Invalid)
	}
	f.status("d", identity.Waiting)
	for range 10 {
		_, err := f.ask("d", "guess")
		f.kind("a wrong token", err, fault.Invalid)
	}
	f.status("d", identity.Blocked)
	_, err := f.ask("d", "T")
	f.kind("the right token, too late", err, fault.NotFound)
	_, err = f.s.Accept(ctx, admin, "d", "T")
	f.kind("accepting", err, fault.Invalid)
	if n := len(f.audit.records); n != 30 || !strings.Contains(f.audit.records[29].Text, "too often") {
		t.Errorf("%d records", n)
	}
	f.kind("deleting without permission", f.s.Delete(ctx, nobody, "d"), fault.Denied)
	f.kind("deleting in another tenant", f.s.Delete(ctx, foreign, "d"), fault.NotFound)
	f.must(f.s.Delete(ctx, admin, "d"))
	f.request("d", "T")
}

func TestAcceptAll(t *testing.T) {
	f := setup(t)
	f.request("waiting", "")
	f.request("b", "")
	f.request("token", "")
	_, _ = f.ask("b", "")
	_, _ = f.ask("token", "T")
	got, err := f.s.AcceptAll(ctx, admin)
	if err != nil || len(got) != 2 || got[0] != (identity.Outcome{ID: "b", Successful: true}) || got[1].ID != "token" || got[1].Successful || got[1].Error == "" {
		t.Errorf("%+v, %v", got, err)
	}
	f.status("b", identity.Accepted)
	f.status("waiting", identity.Waiting)
	if list, n, err := f.s.List(ctx, admin, 1, 1); err != nil || n != 3 || len(list) != 1 || list[0].ID != "token" {
		t.Errorf("list %+v, %d, %v", list, n, err)
	}
}

func TestWhoMayDoWhatWithRegistrations(t *testing.T) {
	f := setup(t)
	_, err := f.s.Request(ctx, nobody, identity.Registration{ID: "d"}, "")
	f.kind("request", err, fault.Denied)
	f.request("d", "")
	_, _, err = f.s.List(ctx, nobody, 0, 9)
	f.kind("list", err, fault.Denied)
	_, err = f.s.Get(ctx, nobody, "d")
	f.kind("get", err, fault.Denied)
	_, err = f.s.Get(ctx, foreign, "d")
	f.kind("get in another tenant", err, fault.NotFound)
	_, err = f.s.AcceptAll(ctx, nobody)
	f.kind("accept all", err, fault.Denied)
	_, err = f.s.Credentials(ctx, admin, "d", "")
	f.kind("asking without the shared account", err, fault.Denied)
	_, err = f.s.Credentials(ctx, user("other", "boot", "ROLE_DEVICE_BOOTSTRAP"), "d", "")
	f.kind("asking with the shared account of another tenant", err, fault.NotFound)
	f.status("d", identity.Waiting)
}

func TestTheGroupOfADeviceIsRemembered(t *testing.T) {
	f := setup(t)
	draft := registry.Draft{Fragments: iot.Doc{{Name: iot.FragmentIsDeviceGroup, Raw: []byte(`{}`)}}}
	group, err := f.reg.Create(ctx, admin, registry.Place{}, draft)
	f.must(err)
	_, err = f.s.Request(ctx, admin, identity.Registration{ID: "x", Group: 99999}, "")
	f.kind("a group that does not exist", err, fault.NotFound)
	_, err = f.s.Request(ctx, admin, identity.Registration{ID: "d", Group: group[0].ID}, "")
	f.must(err)
	_, _ = f.ask("d", "")
	_, err = f.s.Accept(ctx, admin, "d", "")
	f.must(err)
	if g, err := f.s.GroupOf(ctx, "acme", "d"); err != nil || g != 0 {
		t.Errorf("before it has its account: %d, %v", g, err)
	}
	_, err = f.ask("d", "")
	f.must(err)
	if g, err := f.s.GroupOf(ctx, "acme", "d"); err != nil || g != group[0].ID {
		t.Errorf("group %d, %v", g, err)
	}
	if _, n, err := f.s.List(ctx, admin, 0, 9); err != nil || n != 0 {
		t.Errorf("%d are listed, %v", n, err)
	}
	_, err = f.ask("d", "")
	f.kind("asking again", err, fault.NotFound)
	f.request("d", "")
}
