package access_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// directory is one of people elsewhere.
type directory struct {
	people map[string]string // passwords
	down   bool
	asked  []string
}

func (d *directory) Authenticate(_ context.Context, t iot.TenantID, user, password string) (access.ExternalIdentity, bool, error) {
	d.asked = append(d.asked, user)
	known, ok := d.people[user]
	switch {
	case d.down:
		return access.ExternalIdentity{}, false, fault.E(fault.Unavailable)
	case !ok || t != "ta":
		return access.ExternalIdentity{}, false, nil
	case known != password:
		return access.ExternalIdentity{}, true, fault.E(fault.Unauthenticated)
	}
	return access.ExternalIdentity{User: iot.UserName(user), FirstName: "F", Email: user + "@elsewhere.example", Groups: []int64{9, 999}, ManageGroups: true, Origin: access.LDAP}, true, nil
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) refused(what string, err error, k fault.Kind) {
	f.Helper()
	if !fault.Is(err, k) {
		f.Errorf("%s: %v, want %v", what, err, k)
	}
}

// person adds a user with a password.
func (f *fixture) person(name iot.UserName, password string) access.User {
	f.Helper()
	email := string(name) + "@example.com"
	u, err := f.users.Create(f.ctx, f.admin(), name, access.UserPatch{Password: &password, Email: &email})
	f.must(err)
	return u
}

func (f *fixture) from(user, password, addr string) error {
	_, err := f.users.Basic(f.ctx, access.Login{Tenant: "ta", User: user, Password: password, RemoteAddr: addr + ":1"})
	return err
}

// form logs in with a form.
func (f *fixture) form(user, password, code string) (string, access.Session, error) {
	return f.users.LoginWithPassword(f.ctx, access.Login{Tenant: "ta", User: user, Password: password, Code: code, RemoteAddr: "192.0.2.1:1", UserAgent: "Mozilla/5.0"})
}

func TestSprayingFromOneAddressIsStopped(t *testing.T) {
	each(t, func(f *fixture) {
		device, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1")
		f.must(err)
		other, otherPassword, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d2")
		f.must(err)
		f.must(f.from(string(device), password, "192.0.2.7")) // known there
		for i := range 100 {
			f.refused("guess", f.from(fmt.Sprint("device_x", i), "guess", "192.0.2.7"), fault.Unauthenticated)
		}
		f.refused("a name that exists", f.from(string(other), otherPassword, "192.0.2.7"), fault.Exhausted)
		f.refused("one that does not", f.from("device_none", "guess", "192.0.2.7"), fault.Exhausted)
		f.must(f.from(string(other), otherPassword, "192.0.2.8"))
		f.users.Close() // forget nothing, but write what was held back
		if n := f.ledger.count("ta User login failed"); n > 22 {
			f.Errorf("%d records of failed logins", n)
		}
		f.clock.Advance(time.Minute)
		f.must(f.from(string(other), otherPassword, "192.0.2.7"))
	})
}

func TestGuessingFromManyAddressesSparesWhoIsKnown(t *testing.T) {
	each(t, func(f *fixture) {
		device, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1")
		f.must(err)
		f.must(f.from(string(device), password, "198.51.100.1"))
		f.must(f.users.Logout(f.ctx, iot.Principal{Tenant: "ta", User: device, TokenID: "none"})) // empties the cache of what was verified
		for i := range 100 {
			f.refused("guess", f.from(string(device), "guess", fmt.Sprint("203.0.113.", i)), fault.Unauthenticated)
		}
		f.refused("from a new address", f.from(string(device), password, "203.0.113.200"), fault.Exhausted)
		f.must(f.from(string(device), password, "198.51.100.1"))
	})
}

func TestLock(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		f.options["authentication/badRequestCounter"] = "3"
		const locked = "Authentication failed! : User account is locked"
		for _, name := range []string{"bob", "nobody"} { // who does not exist is locked as well
			for i := range 3 {
				if err := f.from(name, "wrong", "192.0.2.1"); fault.Message(err) == locked {
					f.Errorf("%s was locked after %d", name, i)
				}
			}
			if err := f.from(name, "Bob-password-1", "192.0.2.99"); fault.Message(err) != locked || !fault.Is(err, fault.Unauthenticated) {
				f.Errorf("%s: %v", name, err)
			}
		}
		if !f.ledger.has("ta User locked") {
			f.Error("not audited")
		}
		yes := true
		_, err := f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Enabled: &yes})
		f.must(err)
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
		f.options["authentication/lock.minutes"] = "10"
		for range 3 {
			f.refused("wrong", f.from("bob", "wrong", "192.0.2.1"), fault.Unauthenticated)
		}
		f.clock.Advance(10 * time.Minute)
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
	})
}

func TestPasswordPolicy(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		f.options["password/history.size"] = "2"
		change := func(from, to string) error {
			p, err := f.login("bob", from)
			f.must(err)
			return f.users.ChangePassword(f.ctx, p, from, to)
		}
		f.refused("the same", change("Bob-password-1", "Bob-password-1"), fault.Invalid)
		f.must(change("Bob-password-1", "Bob-password-2"))
		f.must(change("Bob-password-2", "Bob-password-3"))
		f.refused("used before", change("Bob-password-3", "Bob-password-1"), fault.Invalid)
		f.must(change("Bob-password-3", "Bob-password-4"))
		f.must(change("Bob-password-4", "Bob-password-1")) // two are remembered beside the current one
		u, err := f.store.User(f.ctx, "ta", "bob")
		if err != nil || len(u.OldHashes) != 2 || strings.Contains(strings.Join(u.OldHashes, ""), "Bob-") || u.Strength != access.Green {
			f.Errorf("%+v %v", u, err)
		}
		f.options["password/enforce.strength"], f.options["password/green.min-length"] = "false", "12"
		for pw, want := range map[string]access.Strength{"Short-pw-1": access.Yellow, "only letters here": access.Red, "Long-enough-pw-1": access.Green, "lower-only": access.Red} {
			u, err := f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Password: &pw})
			if err != nil || u.Strength != want {
				f.Errorf("%q: %s %v", pw, u.Strength, err)
			}
		}
		f.options["password/strength.validity"] = "true"
		weak := "Short-pw-2"
		_, err = f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Password: &weak})
		f.refused("a weak one where strength is enforced", err, fault.Invalid)
	})
}

func TestExpiredPasswordIsChangedWithItsToken(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		device, devicePassword, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "d1")
		f.must(err)
		f.options["password/limit.validity"] = "30"
		f.must(f.from("bob", "Bob-password-1", "192.0.2.1"))
		f.clock.Advance(31 * 24 * time.Hour)
		f.must(f.users.Logout(f.ctx, iot.Principal{Tenant: "ta", User: "bob", TokenID: "none"}))
		f.must(f.from(string(device), devicePassword, "192.0.2.1")) // devices have no time to change passwords
		err = f.from("bob", "Bob-password-1", "192.0.2.1")
		token := access.ResetToken(err)
		if f.refused("expired", err, fault.Unauthenticated); token == "" {
			f.Fatal("no token")
		}
		if wrong := access.ResetToken(f.from("bob", "wrong", "192.0.2.1")); wrong != "" {
			f.Error("a token without the password")
		}
		_, _, err = f.form("bob", "Bob-password-1", "")
		if access.ResetToken(err) == "" {
			f.Errorf("by form: %v", err)
		}
		var wins int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if f.users.ResetPassword(f.ctx, "ta", token, "", fmt.Sprint("New-password-", i), "192.0.2.1:1") == nil {
					mu.Lock()
					wins++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			f.Errorf("the token worked %d times", wins)
		}
		if !f.ledger.has("ta Password reset") {
			f.Error("not audited")
		}
	})
}

func TestResetTokens(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		yes := true
		_, err := f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{MustReset: &yes})
		f.must(err)
		token := access.ResetToken(f.from("bob", "Bob-password-1", "192.0.2.1"))
		valid := func(token string) error { return f.users.ValidReset(f.ctx, "", token, "", "") }
		f.must(valid(token))
		head, sig, _ := strings.Cut(token, ".")
		for name, bad := range map[string]string{"empty": "", "cut": token[:len(token)-2], "no signature": head + ".", "another head": "x" + head + "." + sig, "spaces": token + " ", "long": token + strings.Repeat("A", 5000)} {
			f.refused(name, valid(bad), fault.Invalid)
		}
		f.refused("another tenant", f.users.ValidReset(f.ctx, "tb", token, "", ""), fault.Invalid)
		f.clock.Advance(16 * time.Minute)
		f.refused("late", valid(token), fault.Invalid)
		token = access.ResetToken(f.from("bob", "Bob-password-1", "192.0.2.1"))
		f.must(valid(token))
		next := "Other-password-1"
		_, err = f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Password: &next})
		f.must(err)
		f.refused("after another change", valid(token), fault.Invalid)
	})
}

func TestResetByMail(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		_, s, err := f.form("bob", "Bob-password-1", "")
		f.must(err)
		for _, email := range []string{"nobody@example.com", "BOB@example.com"} { // the same answer
			f.must(f.users.RequestReset(f.ctx, "ta", email, "192.0.2.1:1"))
		}
		f.must(f.users.RequestReset(f.ctx, "nowhere", "bob@example.com", "192.0.2.1:1"))
		m := <-f.mail
		if m.to != "bob@example.com" || len(f.mail) != 0 {
			f.Errorf("%+v and %d more", m, len(f.mail))
		}
		link := m.text[strings.Index(m.text, "https://"):]
		link, _, _ = strings.Cut(link, "\n")
		token := link[strings.LastIndexByte(link, '/')+1:]
		f.refused("with another address", f.users.ResetPassword(f.ctx, "ta", token, "eve@example.com", "New-password-1", ""), fault.Invalid)
		f.refused("a weak password", f.users.ResetPassword(f.ctx, "ta", token, "bob@example.com", "weak", ""), fault.Invalid)
		f.must(f.users.ResetPassword(f.ctx, "ta", token, "bob@example.com", "New-password-1", ""))
		f.refused("again", f.users.ResetPassword(f.ctx, "ta", token, "bob@example.com", "New-password-2", ""), fault.Invalid)
		f.must(f.from("bob", "New-password-1", "192.0.2.1"))
		sessions, err := f.users.ListSessions(f.ctx, f.admin(), "bob")
		if err != nil || len(sessions) != 0 {
			f.Errorf("sessions go on: %+v %v (%s)", sessions, err, s.Chain)
		}
		for range 10 {
			err = errors.Join(err, f.users.RequestReset(f.ctx, "ta", "bob@example.com", "192.0.2.50:1"))
		}
		if err == nil {
			f.Error("mail without end")
		}
		f.users.Close()
		if n := len(f.mail); n > 5 {
			f.Errorf("%d messages", n)
		}
	})
}

func TestInvitation(t *testing.T) {
	each(t, func(f *fixture) {
		email := "new@example.com"
		u, err := f.users.Create(f.ctx, f.admin(), "new", access.UserPatch{Email: &email, Invite: true})
		f.must(err)
		if !u.MustReset || u.PasswordHash != "" {
			f.Errorf("%+v", u)
		}
		f.refused("without a password", f.from("new", "", "192.0.2.1"), fault.Unauthenticated)
		m := <-f.mail
		token := m.text[strings.Index(m.text, email+"/")+len(email)+1:]
		token, _, _ = strings.Cut(token, "\n")
		f.clock.Advance(2 * 24 * time.Hour)
		f.must(f.users.ResetPassword(f.ctx, "ta", token, email, "New-password-1", ""))
		f.must(f.from("new", "New-password-1", "192.0.2.1"))
		_, err = f.users.Create(f.ctx, f.admin(), "two", access.UserPatch{Email: &email})
		f.refused("the same address", err, fault.Exists)
	})
}

func TestDirectories(t *testing.T) {
	each(t, func(f *fixture) {
		f.dir.people = map[string]string{"lea": "ldap-secret", "admin": "ldap-secret", "device_x": "ldap-secret"}
		f.must(f.from("lea", "ldap-secret", "192.0.2.1"))
		p, err := f.login("lea", "ldap-secret")
		if err != nil || !p.Has("ROLE_ALARM_READ") || p.Has("ROLE_ALARM_ADMIN") {
			f.Errorf("%+v %v", p, err)
		}
		f.refused("wrong", f.from("lea", "wrong", "192.0.2.1"), fault.Unauthenticated)
		f.refused("empty", f.from("lea", "", "192.0.2.1"), fault.Unauthenticated)
		f.refused("a local account is not taken over", f.from("admin", "ldap-secret", "192.0.2.1"), fault.Unauthenticated)
		f.refused("nor one of a device", f.from("device_x", "ldap-secret", "192.0.2.1"), fault.Unauthenticated)
		if _, _, err := f.form("lea", "ldap-secret", ""); err != nil {
			f.Error(err)
		}
		pw, name := "Local-password-1", "Other"
		_, err = f.users.Update(f.ctx, f.admin(), "lea", access.UserPatch{Password: &pw})
		f.refused("a password here", err, fault.Denied)
		_, err = f.users.Update(f.ctx, f.admin(), "lea", access.UserPatch{FirstName: &name})
		f.refused("a name", err, fault.Denied)
		f.refused("one's own password", f.users.ChangePassword(f.ctx, p, "ldap-secret", pw), fault.Denied)
		no := false
		_, err = f.users.Update(f.ctx, f.admin(), "lea", access.UserPatch{Enabled: &no})
		f.must(err)
		f.refused("disabled here", f.from("lea", "ldap-secret", "192.0.2.1"), fault.Unauthenticated)
		f.dir.down = true
		f.refused("the directory is down", f.from("max", "x", "192.0.2.1"), fault.Unavailable)
		f.must(f.from("admin", adminPassword+"ta", "192.0.2.1"))
	})
}

func TestAdopt(t *testing.T) {
	each(t, func(f *fixture) {
		id := access.ExternalIdentity{User: "sso", Email: "sso@example.com", Groups: []int64{4}, Origin: access.OAuth2}
		token, s, err := f.users.Adopt(f.ctx, "ta", id, access.Login{RemoteAddr: "192.0.2.1:1"})
		f.must(err)
		p, err := f.users.Token(f.ctx, token)
		if err != nil || p.User != "sso" || !p.Has("ROLE_ALARM_READ") || !s.TFA {
			f.Errorf("%+v %v", p, err)
		}
		id.Groups, id.FirstName = []int64{2}, "S"
		_, _, err = f.users.Adopt(f.ctx, "ta", id, access.Login{})
		f.must(err)
		if u, err := f.store.User(f.ctx, "ta", "sso"); err != nil || u.FirstName != "S" || len(u.Groups) != 1 || u.Groups[0] != 4 {
			f.Errorf("groups of a user who exists are only changed if they are managed: %+v %v", u, err)
		}
		for _, bad := range []access.ExternalIdentity{{User: "admin", Origin: access.OAuth2}, {User: "sso", Origin: access.LDAP}, {User: "device_1", Origin: access.OAuth2}, {User: "x"}, {Origin: access.LDAP}, {User: "a/b", Origin: access.LDAP}} {
			if _, _, err := f.users.Adopt(f.ctx, "ta", bad, access.Login{}); err == nil {
				f.Errorf("adopted %+v", bad)
			}
		}
		_, _, err = f.users.Adopt(f.ctx, "suspended", id, access.Login{})
		f.refused("a suspended tenant", err, fault.Unauthenticated)
	})
}
