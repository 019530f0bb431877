package access_test

import (
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func TestNobodyComesToMoreThanTheyHad(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		const pw = "Some-password-1"
		boss := func(name iot.UserName, roles ...string) iot.Principal {
			f.person(name, pw)
			roles = append(roles, "ROLE_USER_MANAGEMENT_CREATE", "ROLE_USER_MANAGEMENT_OWN_READ", "ROLE_USER_MANAGEMENT_OWN_ADMIN")
			_, err := f.users.Update(f.ctx, admin, name, access.UserPatch{Roles: &roles})
			f.must(err)
			p, err := f.login(string(name), pw)
			f.must(err)
			return p
		}
		a, b := boss("a", "ROLE_ALARM_READ", "ROLE_EVENT_READ"), boss("b", "ROLE_ALARM_READ")
		secret, email := "Child-password-1", "child@example.com"
		child, err := f.users.Create(f.ctx, a, "child", access.UserPatch{Password: &secret, Email: &email})
		if err != nil || child.Owner != "a" {
			f.Fatalf("%+v %v", child, err)
		}
		roles := func(r ...string) *[]string {
			r = append(r, "ROLE_USER_MANAGEMENT_OWN_READ", "ROLE_USER_MANAGEMENT_OWN_ADMIN")
			return &r
		}
		groups := func(ids ...int64) *[]int64 { return &ids }
		yes := true
		for _, c := range []struct {
			what  string
			p     iot.Principal
			name  iot.UserName
			patch access.UserPatch
			ok    bool
		}{
			{"gives what they hold", a, "child", access.UserPatch{Roles: roles("ROLE_ALARM_READ")}, true},
			{"gives what they do not hold", a, "child", access.UserPatch{Roles: roles("ROLE_ALARM_ADMIN")}, false},
			{"gives the administration of users", a, "child", access.UserPatch{Roles: roles("ROLE_USER_MANAGEMENT_ADMIN")}, false},
			{"gives a group that holds more", a, "child", access.UserPatch{Groups: groups(2)}, false},
			{"gives an empty group", a, "child", access.UserPatch{Groups: groups(8)}, true},
			{"gives a group that is not there", a, "child", access.UserPatch{Groups: groups(4711)}, false},
			{"gives themselves more", a, "a", access.UserPatch{Roles: roles("ROLE_ALARM_ADMIN")}, false},
			{"joins a group", a, "a", access.UserPatch{Groups: groups(2)}, false},
			{"changes an administrator", a, "admin", access.UserPatch{Password: &secret}, false},
			{"changes who stands below somebody else", b, "child", access.UserPatch{Password: &secret}, false},
			{"enables who stands below", a, "child", access.UserPatch{Enabled: &yes}, true},
			{"spares themselves the change of the password", a, "a", access.UserPatch{MustReset: new(bool)}, false},
			{"a child changes its parent", iot.Principal{Tenant: "ta", User: "child", Roles: *roles("ROLE_USER_MANAGEMENT_CREATE")}, "a", access.UserPatch{Password: &secret}, false},
		} {
			_, err := f.users.Update(f.ctx, c.p, c.name, c.patch)
			if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
				f.Errorf("%s: %v", c.what, err)
			}
		}
		// b may hold more than the parent of the target: then the parent's rights are the limit.
		more := append(b.Roles, "ROLE_MEASUREMENT_READ")
		f.must(f.users.SetOwner(f.ctx, admin, "a", "b"))
		_, err = f.users.Update(f.ctx, admin, "b", access.UserPatch{Roles: &more})
		f.must(err)
		// b lacks ROLE_EVENT_READ, so that a and what a has are out of reach; child holds only what b holds.
		b, err = f.login("b", pw)
		f.must(err)
		_, err = f.users.Update(f.ctx, b, "child", access.UserPatch{Roles: roles("ROLE_ALARM_READ", "ROLE_MEASUREMENT_READ")})
		f.refused("more than the parent holds", err, fault.Denied)
		_, err = f.users.Update(f.ctx, b, "a", access.UserPatch{Password: &secret})
		f.refused("who holds more", err, fault.Denied)
		f.refused("a circle", f.users.SetOwner(f.ctx, admin, "b", "child"), fault.Invalid)
		f.refused("oneself", f.users.SetOwner(f.ctx, admin, "b", "b"), fault.Invalid)
		_, err = f.users.Get(f.ctx, a, "admin")
		f.refused("reads who stands elsewhere", err, fault.Denied)
		if _, err := f.users.Get(f.ctx, a, "child"); err != nil {
			f.Error(err)
		}
		list, n, err := f.users.List(f.ctx, a, access.UserQuery{Limit: 10})
		if err != nil || n != 1 || list[0].Name != "child" {
			f.Errorf("%+v %d %v", list, n, err)
		}
		f.refused("deletes who stands elsewhere", f.users.Delete(f.ctx, a, "admin"), fault.Denied)
		_, err = f.users.PutGroup(f.ctx, a, access.Group{Name: "mine"})
		f.refused("makes a group", err, fault.Denied)
		f.owners["a"] = true
		f.refused("an owner of objects is deleted", f.users.Delete(f.ctx, admin, "a"), fault.Conflict)
		delete(f.owners, "a")
		f.must(f.users.Delete(f.ctx, admin, "a"))
		if u, err := f.store.User(f.ctx, "ta", "child"); err != nil || u.Owner != "b" {
			f.Errorf("the users below move up: %+v %v", u, err)
		}
	})
}

// TestManagersDoNotReachRightsOnObjects: whoever sets the password of somebody has what they have.
func TestManagersDoNotReachRightsOnObjects(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("boss", "Boss-password-1")
		roles := []string{"ROLE_USER_MANAGEMENT_CREATE", "ROLE_USER_MANAGEMENT_OWN_READ", "ROLE_USER_MANAGEMENT_OWN_ADMIN"}
		_, err := f.users.Update(f.ctx, f.admin(), "boss", access.UserPatch{Roles: &roles})
		f.must(err)
		boss, err := f.login("boss", "Boss-password-1")
		f.must(err)
		pw, next, groups := "Child-password-1", "Child-password-2", []int64{8}
		_, err = f.users.Create(f.ctx, boss, "child", access.UserPatch{Password: &pw})
		f.must(err)
		read := access.ScopedPermission{Scope: iot.ScopeAny, Fragment: iot.AnyFragment, Level: iot.GrantRead}
		f.must(f.store.PutDevicePermissions(f.ctx, "ta", []access.DevicePermission{{Object: 7, Group: 8, Entries: []access.ScopedPermission{read}}}))
		_, err = f.users.Update(f.ctx, boss, "child", access.UserPatch{Groups: &groups})
		f.refused("a group with rights on objects", err, fault.Denied)
		f.must(f.store.PutDevicePermissions(f.ctx, "ta", []access.DevicePermission{{Object: 7, User: "child", Entries: []access.ScopedPermission{read}}}))
		_, err = f.users.Update(f.ctx, boss, "child", access.UserPatch{Password: &next})
		f.refused("the password of who has rights on objects", err, fault.Denied)
		f.must(f.store.PutDevicePermissions(f.ctx, "ta", []access.DevicePermission{{Object: 7, User: "boss", Entries: []access.ScopedPermission{read}}}))
		boss.Grants = []iot.Grant{{Object: 7, Scope: iot.ScopeAny, Fragment: iot.AnyFragment, Level: iot.GrantRead}}
		_, err = f.users.Update(f.ctx, boss, "child", access.UserPatch{Password: &next})
		f.must(err)
	})
}

func TestReservedRolesAreNotGrantedByAdministrators(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		f.must(f.store.PutGroup(f.ctx, "ta", access.Group{ID: 77, Name: "platform", Roles: []string{"ROLE_DEVICE_BOOTSTRAP"}}, true, testRevision(f)))
		roles, ids := []string{"ROLE_DEVICE_BOOTSTRAP"}, []int64{77}
		for what, patch := range map[string]access.UserPatch{"directly": {Roles: &roles}, "by a group": {Groups: &ids}} {
			_, err := f.users.Update(f.ctx, admin, "admin", patch)
			f.refused(what, err, fault.Denied)
		}
	})
}

func TestANewGroupGrantsNothingToMembersOfADeletedOne(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		f.person("bob", "Bob-password-1")
		g, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "one"})
		f.must(err)
		ids := []int64{g.ID}
		_, err = f.users.Update(f.ctx, admin, "bob", access.UserPatch{Groups: &ids})
		f.must(err)
		f.must(f.users.DeleteGroup(f.ctx, admin, g.ID))
		_, err = f.users.PutGroup(f.ctx, admin, access.Group{Name: "two", Roles: []string{"ROLE_ALARM_ADMIN"}})
		f.must(err)
		if p, err := f.login("bob", "Bob-password-1"); err != nil || p.Has("ROLE_ALARM_ADMIN") {
			f.Errorf("%+v %v", p, err)
		}
	})
}

func TestAliasesAndAddressesAreUnique(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		f.person("ann", "Ann-password-1")
		for _, c := range []struct {
			name   iot.UserName
			alias  string
			wanted fault.Kind
		}{{"bob", "robert", 0}, {"ann", "robert", fault.Exists}, {"ann", "bob", fault.Exists}, {"ann", "ann", fault.Invalid}, {"bob", "robert", 0}} {
			_, err := f.users.Update(f.ctx, f.admin(), c.name, access.UserPatch{DisplayName: &c.alias})
			if (c.wanted == 0) != (err == nil) || err != nil && !fault.Is(err, c.wanted) {
				f.Errorf("%s as %s: %v", c.name, c.alias, err)
			}
		}
		f.must(f.from("robert", "Bob-password-1", "192.0.2.1"))
		taken := "BOB@example.com"
		_, err := f.users.Update(f.ctx, f.admin(), "ann", access.UserPatch{Email: &taken})
		f.refused("an address", err, fault.Exists)
		for _, bad := range []string{"x", "@b", "a@", "a b@c", "a@b\r\nBcc: x@y", "a@b,c@d"} {
			_, err := f.users.Update(f.ctx, f.admin(), "ann", access.UserPatch{Email: &bad})
			f.refused(bad, err, fault.Invalid)
		}
	})
}

func TestFound(t *testing.T) {
	each(t, func(f *fixture) {
		for i, want := range []bool{true, false} {
			made, err := f.users.Found(f.ctx, iot.DefaultTenant, access.FirstAdmin{Name: "root", Email: "root@example.com", Password: "First-password-1", MustChange: true})
			if err != nil || made != want {
				f.Errorf("%d: %v %v", i, made, err)
			}
		}
		_, err := f.users.Basic(f.ctx, access.Login{Tenant: iot.DefaultTenant, User: "root", Password: "First-password-1"})
		token := access.ResetToken(err)
		f.must(f.users.ResetPassword(f.ctx, "", token, "", "Second-password-1", ""))
		_, err = f.users.Basic(f.ctx, access.Login{Tenant: iot.DefaultTenant, User: "root", Password: "Second-password-1"})
		f.must(err)
	})
}
