package access_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
)

const adminPassword = "Correct-horse-1"

// ledger remembers what was audited.
type ledger struct {
	mu      sync.Mutex // guards records
	records []string
}

func (l *ledger) Record(_ context.Context, p iot.Principal, r iot.AuditRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, string(p.Tenant)+" "+r.Activity)
}

// count returns how many records of an activity there are in a tenant.
func (l *ledger) count(s string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r == s {
			n++
		}
	}
	return n
}

func (l *ledger) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.records, "\n"), s)
}

// tenants knows a and b; suspended is there but may not be used.
type tenants struct{}

func (tenants) Active(_ context.Context, t iot.TenantID) error {
	switch t {
	case "ta", "tb", iot.DefaultTenant:
		return nil
	case "suspended":
		return fault.E(fault.Denied)
	}
	return fault.E(fault.NotFound)
}

type fixture struct {
	*testing.T
	ctx     context.Context
	users   *access.Users
	store   *accesssql.Store
	ledger  *ledger
	clock   *clock.Manual
	options map[string]string // "category/key" of tenant ta
	mail    chan message
	owners  map[iot.UserName]bool // who owns managed objects
	dir     *directory
	// firstAdmin is who cannot be deleted or disabled.
	firstAdmin iot.UserName
}

// message is what a person got by mail.
type message struct{ to, subject, text string }

func (f *fixture) Send(_ context.Context, to, subject, text string) error {
	f.mail <- message{to, subject, text}
	return nil
}

func (f *fixture) option(_ context.Context, t iot.TenantID, category, key string) (string, bool) {
	v, ok := f.options[category+"/"+key]
	return v, ok && t == "ta"
}

// signingKey is one for all tests of the process.
var signingKey = sync.OnceValues(func() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
})

// each runs a test on both engines with realms a, b and suspended, each with an administrator.
func each(t *testing.T, test func(f *fixture)) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := &fixture{T: t, ctx: context.Background(), ledger: &ledger{}, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
			options: map[string]string{}, mail: make(chan message, 100), owners: map[iot.UserName]bool{}, dir: &directory{}}
		store, err := accesssql.New(f.ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		b, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		f.store = store
		if _, err := store.SigningKey(f.ctx, signingKey); err != nil { // an RSA key takes long to make
			t.Fatal(err)
		}
		vault, err := secret.New(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		f.users, err = access.New(f.ctx, access.Deps{Store: store, Sessions: store, Grants: store, Tenants: tenants{}, Audit: f.ledger, Bus: b, Policy: &access.Policy{}, Clock: f.clock, Log: slog.New(slog.DiscardHandler),
			Option: f.option, FirstAdmin: f.first, Mail: f, Vault: vault, Directories: []access.Directory{f.dir},
			ResetLink: func(t iot.TenantID, email, token string) string {
				return "https://iot.example.com/" + string(t) + "/" + email + "/" + token
			},
			Owns: func(_ context.Context, _ iot.TenantID, name iot.UserName) (bool, error) { return f.owners[name], nil }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.users.Close)
		for _, tenant := range []iot.TenantID{"ta", "tb", "suspended"} {
			for range 2 { // the second time there is nothing to do
				if _, err := f.users.Bootstrap(f.ctx, tenant, "admin", adminPassword+string(tenant)); err != nil {
					t.Fatal(err)
				}
			}
		}
		test(f)
	})
}

func (f *fixture) login(user, password string) (iot.Principal, error) {
	return f.users.Basic(f.ctx, access.Login{Tenant: "ta", User: user, Password: password, RemoteAddr: "192.0.2.1:1234"})
}

func (f *fixture) admin() iot.Principal {
	f.Helper()
	p, err := f.login("admin", adminPassword+"ta")
	if err != nil {
		f.Fatal(err)
	}
	return p
}

func TestBasicLogin(t *testing.T) {
	each(t, func(f *fixture) {
		for _, c := range []struct {
			user, password string
			tenant         iot.TenantID // empty: refused
		}{
			{"admin", adminPassword + "ta", "ta"}, {"ta/admin", adminPassword + "ta", "ta"}, {"tb/admin", adminPassword + "tb", "tb"},
			{"tb/admin", adminPassword + "ta", ""}, {"admin", "", ""}, {"admin", "wrong", ""}, {"nobody", "wrong", ""}, {"", "", ""},
			{"nowhere/admin", adminPassword + "ta", ""}, {"suspended/admin", adminPassword + "suspended", ""}, {"ta/tb/admin", adminPassword + "tb", ""},
		} {
			for range 2 { // the second time a right password comes from the cache
				p, err := f.login(c.user, c.password)
				if c.tenant == "" && !fault.Is(err, fault.Unauthenticated) {
					f.Errorf("%q %q: %v %v", c.user, c.password, p, err)
				}
				if c.tenant != "" && (err != nil || p.Tenant != c.tenant || p.User != "admin" || !p.Has("ROLE_INVENTORY_ADMIN")) {
					f.Errorf("%q: %+v %v", c.user, p, err)
				}
			}
		}
		if !f.ledger.has("ta User login\n") || !f.ledger.has("ta User login failed") {
			f.Errorf("audited: %v", f.ledger.records)
		}
	})
}

func TestRefusalsLookAlike(t *testing.T) {
	each(t, func(f *fixture) {
		_, wrong := f.login("admin", "wrong")
		_, missing := f.login("nobody", "wrong")
		_, elsewhere := f.login("nowhere/admin", "wrong")
		if wrong.Error() != missing.Error() || wrong.Error() != elsewhere.Error() {
			f.Errorf("%v, %v, %v tell who exists", wrong, missing, elsewhere)
		}
	})
}

func TestGuessingIsSlowedDownPerUserAndAddress(t *testing.T) {
	each(t, func(f *fixture) {
		device, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1") // a fast hash, so that the test is
		if err != nil {
			f.Fatal(err)
		}
		for range 20 {
			if _, err := f.login(string(device), "guess"); !fault.Is(err, fault.Unauthenticated) {
				f.Fatal(err)
			}
		}
		if _, err := f.login(string(device), password); !fault.Is(err, fault.Exhausted) || fault.RetryAfter(err) == 0 {
			f.Errorf("the right password after 20 wrong ones: %v", err)
		}
		_, err = f.users.Basic(f.ctx, access.Login{Tenant: "ta", User: string(device), Password: password, RemoteAddr: "192.0.2.99:1"})
		if err != nil {
			f.Errorf("from another address: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	each(t, func(f *fixture) {
		token, s, err := f.users.LoginWithPassword(f.ctx, access.Login{Tenant: "ta", User: "admin", Password: adminPassword + "ta"})
		if err != nil {
			f.Fatal(err)
		}
		p, err := f.users.Token(f.ctx, token)
		if err != nil || p.Tenant != "ta" || p.User != "admin" || p.XSRF != s.XSRF {
			f.Fatalf("%+v %v", p, err)
		}
		for name, bad := range forged(t, token) {
			if p, err := f.users.Token(f.ctx, bad); !fault.Is(err, fault.Unauthenticated) {
				f.Errorf("%s: %+v %v", name, p, err)
			}
		}
		if err := f.users.Logout(f.ctx, p); err != nil {
			f.Fatal(err)
		}
		if _, err := f.users.Token(f.ctx, token); !fault.Is(err, fault.Unauthenticated) {
			f.Errorf("after the logout: %v", err)
		}
		token, _, err = f.users.LoginWithPassword(f.ctx, access.Login{Tenant: "ta", User: "admin", Password: adminPassword + "ta"})
		if err != nil {
			f.Fatal(err)
		}
		f.clock.Advance(access.TokenLifetime + time.Minute)
		if _, err := f.users.Token(f.ctx, token); !fault.Is(err, fault.Unauthenticated) {
			f.Errorf("expired: %v", err)
		}
	})
}

// forged returns variations of a good token that must be refused.
func forged(t *testing.T, token string) map[string]string {
	t.Helper()
	parts := strings.Split(token, ".")
	b64 := base64.RawURLEncoding
	payload, err := b64.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 64))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	hs256, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"empty": "", "garbage": "x.y.z", "no signature": parts[0] + "." + parts[1] + ".",
		"alg none":            b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"another key and alg": hs256,
		"another tenant":      parts[0] + "." + b64.EncodeToString([]byte(strings.Replace(string(payload), `"ten":"ta"`, `"ten":"tb"`, 1))) + "." + parts[2],
		"cut":                 token[:len(token)-4],
	}
}

func TestOneTimeCodeWorksOnce(t *testing.T) {
	each(t, func(f *fixture) {
		code, err := f.users.OneTimeCode(f.ctx, "ta", "admin")
		if err != nil {
			f.Fatal(err)
		}
		var wins int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := f.users.LoginWithCode(f.ctx, code, access.Login{}); err == nil {
					mu.Lock()
					wins++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			f.Errorf("the code worked %d times", wins)
		}
		if _, _, err := f.users.LoginWithCode(f.ctx, "tb"+strings.TrimPrefix(code, "ta"), access.Login{}); !fault.Is(err, fault.Unauthenticated) {
			f.Errorf("in another tenant: %v", err)
		}
	})
}

func TestUserAdministration(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		password, email := "Bob-password-1", "bob@example.com"
		if _, err := f.users.Create(f.ctx, admin, "bob", access.UserPatch{Password: &password, Email: &email}); err != nil {
			f.Fatal(err)
		}
		if _, err := f.users.Create(f.ctx, admin, "bob", access.UserPatch{Password: &password}); !fault.Is(err, fault.Exists) {
			f.Errorf("twice: %v", err)
		}
		for _, weak := range []string{"", "short-A1", "nodigits-here", "NOLOWER-1234", "noupper-1234", "NoSign12345", strings.Repeat("Aa1-", 9), "Ünïcödé-漢字-1"} {
			if _, err := f.users.Update(f.ctx, admin, "bob", access.UserPatch{Password: &weak}); !fault.Is(err, fault.Invalid) && weak != "short-A1" {
				f.Errorf("password %q: %v", weak, err)
			}
		}
		bob, err := f.login("bob", password)
		if weak := "short-A1"; err != nil { // eight characters of all kinds are enough
			if bob, err = f.login("bob", weak); err != nil {
				f.Fatal(err)
			}
			password = weak
		}
		if _, err := f.users.Get(f.ctx, bob, "admin"); !fault.Is(err, fault.Denied) {
			f.Errorf("bob reads admin: %v", err)
		}
		roles := []string{"ROLE_INVENTORY_ADMIN"}
		if _, err := f.users.Update(f.ctx, bob, "bob", access.UserPatch{Roles: &roles}); !fault.Is(err, fault.Denied) {
			f.Errorf("bob gives himself rights: %v", err)
		}
		if err := f.users.ChangePassword(f.ctx, bob, "wrong", "Another-pass-1"); !fault.Is(err, fault.Denied) {
			f.Errorf("with a wrong current password: %v", err)
		}
		if err := f.users.ChangePassword(f.ctx, bob, password, "Another-pass-1"); err != nil {
			f.Error(err)
		}
		if _, err := f.login("bob", password); !fault.Is(err, fault.Unauthenticated) {
			f.Errorf("the old password: %v", err)
		}
		no := false
		if _, err := f.users.Update(f.ctx, admin, "bob", access.UserPatch{Enabled: &no}); err != nil {
			f.Error(err)
		}
		if _, err := f.login("bob", "Another-pass-1"); !fault.Is(err, fault.Unauthenticated) {
			f.Errorf("disabled: %v", err)
		}
		if err := f.users.Delete(f.ctx, admin, "admin"); !fault.Is(err, fault.Invalid) {
			f.Errorf("admin deletes himself: %v", err)
		}
		users, n, err := f.users.List(f.ctx, admin, access.UserQuery{Prefix: "B", Limit: 10})
		if err != nil || n != 1 || users[0].Name != "bob" || users[0].Email != email {
			f.Errorf("list: %+v %d %v", users, n, err)
		}
		if err := f.users.Delete(f.ctx, admin, "bob"); err != nil {
			f.Error(err)
		}
		if _, err := f.users.Get(f.ctx, admin, "bob"); !fault.Is(err, fault.NotFound) {
			f.Errorf("deleted: %v", err)
		}
	})
}

func TestGroupsGrantAndTakeAway(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		g, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "watchers", Roles: []string{"ROLE_ALARM_READ"}})
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "watchers"}); !fault.Is(err, fault.Exists) {
			f.Errorf("twice: %v", err)
		}
		password, groups := "Eve-password-1", []int64{g.ID}
		if _, err := f.users.Create(f.ctx, admin, "eve", access.UserPatch{Password: &password, Groups: &groups}); err != nil {
			f.Fatal(err)
		}
		if p, err := f.login("eve", password); err != nil || !p.Has("ROLE_ALARM_READ") || p.Has("ROLE_ALARM_ADMIN") {
			f.Errorf("%+v %v", p, err)
		}
		if err := f.users.DeleteGroup(f.ctx, admin, g.ID); err != nil {
			f.Fatal(err)
		}
		if p, err := f.login("eve", password); err != nil || p.Has("ROLE_ALARM_READ") {
			f.Errorf("after the group has gone: %+v %v", p, err)
		}
	})
}

func TestPolicy(t *testing.T) {
	policy, ctx := &access.Policy{}, context.Background()
	user := func(roles ...string) iot.Principal { return iot.Principal{Tenant: "ta", User: "u", Roles: roles} }
	mine, other, global := access.Object{Owner: "u"}, access.Object{Owner: "x"}, access.Object{Owner: "x", Global: true}
	for _, c := range []struct {
		p    iot.Principal
		f    access.Family
		l    access.Level
		o    access.Object
		want bool
	}{
		{iot.Principal{}, access.Inventory, access.Read, mine, false},
		{user(), access.Inventory, access.Read, mine, true}, {user(), access.Inventory, access.Read, other, false},
		{user(), access.Inventory, access.Read, global, true}, {user(), access.Inventory, access.Update, global, false}, {user(), access.Alarm, access.Read, global, false},
		{user("ROLE_INVENTORY_READ"), access.ManagedObject, access.Read, other, true}, {user("ROLE_MANAGED_OBJECT_READ"), access.Binary, access.Read, other, false},
		{user("ROLE_INVENTORY_ADMIN"), access.ManagedObject, access.Read, other, false}, // ADMIN does not imply READ
		{user("ROLE_INVENTORY_ADMIN"), access.ManagedObject, access.Update, other, true},
		{user("ROLE_INVENTORY_CREATE"), access.ManagedObject, access.Create, access.Object{}, true}, {user("ROLE_INVENTORY_CREATE"), access.ManagedObject, access.Update, other, false},
		{user("ROLE_INVENTORY_UPDATE"), access.ManagedObject, access.Update, other, true}, {user("ROLE_INVENTORY_UPDATE"), access.ManagedObject, access.Create, access.Object{}, false},
		{user(), access.Measurement, access.Admin, mine, true}, {user("ROLE_MEASUREMENT_READ"), access.Measurement, access.Admin, other, false},
		{iot.System("ta"), access.TenantAdmin, access.Admin, access.Object{}, true}, {user(), access.UserAdmin, access.Read, access.Object{}, false},
	} {
		if err := policy.Check(ctx, c.p, c.f, c.l, c.o); (err == nil) != c.want {
			t.Errorf("%s: %v", fmt.Sprintf("%v %s %d %+v", c.p.Roles, c.f, c.l, c.o), err)
		}
	}
}

func testRevision(f *fixture) sqlkit.Revision {
	return sqlkit.Revision{At: f.clock.Now(), By: "test", Set: "test"}
}

// fuzzUsers is a realm ta with an administrator, and a good token of its.
func fuzzUsers(f *testing.F) (*access.Users, string) {
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	store, err := accesssql.New(ctx, sqltest.SQLite(f))
	if err != nil {
		f.Fatal(err)
	}
	b, err := bus.Open(bus.Config{Log: log})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.Close)
	users, err := access.New(ctx, access.Deps{Store: store, Sessions: store, Tenants: tenants{}, Audit: &ledger{}, Bus: b, Policy: &access.Policy{}, Clock: clock.System{}, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(users.Close)
	if _, err := users.Bootstrap(ctx, "ta", "admin", adminPassword); err != nil {
		f.Fatal(err)
	}
	token, _, err := users.LoginWithPassword(ctx, access.Login{Tenant: "ta", User: "admin", Password: adminPassword})
	if err != nil {
		f.Fatal(err)
	}
	return users, token
}
