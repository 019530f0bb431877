package access_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// TestNamesOfMachinesAreNotForPeople: who has the name of a device gets its password, and is exempt from what holds for people.
func TestNamesOfMachinesAreNotForPeople(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		f.person("ann", "Ann-password-1")
		f.person("bob", "Bob-password-1")
		alias := "Bobby"
		_, err := f.users.Update(f.ctx, admin, "bob", access.UserPatch{DisplayName: &alias})
		f.must(err)
		for _, c := range []struct {
			name   string
			wanted fault.Kind // as a login alias of ann
			create fault.Kind // as a user
		}{
			{"device_sn1", fault.Invalid, fault.Invalid}, {"Device_sn1", fault.Invalid, fault.Invalid}, {"service_x", fault.Invalid, fault.Invalid},
			{"servicebootstrap_x", fault.Invalid, fault.Invalid}, {"devicebootstrap", fault.Invalid, fault.Invalid}, {"a b", fault.Invalid, fault.Invalid}, {"a/b", fault.Invalid, fault.Invalid},
			{"BOB", fault.Exists, 0}, {"bobby", fault.Exists, fault.Exists}, {"Bob@Example.com", fault.Exists, 0}, {"annie", 0, fault.Exists},
		} {
			_, err := f.users.Update(f.ctx, admin, "ann", access.UserPatch{DisplayName: &c.name})
			if (c.wanted == 0) != (err == nil) || err != nil && !fault.Is(err, c.wanted) {
				f.Errorf("alias %s: %v", c.name, err)
			}
			_, err = f.users.Create(f.ctx, admin, iot.UserName(c.name), access.UserPatch{})
			if (c.create == 0) != (err == nil) || err != nil && !fault.Is(err, c.create) {
				f.Errorf("user %s: %v", c.name, err)
			}
			if machine := c.create == fault.Invalid; machine && (access.FirstAdmin{Name: iot.UserName(c.name)}).Check() == nil {
				f.Errorf("first administrator %s", c.name)
			}
		}
		_, err = f.users.Create(f.ctx, iot.System("ta"), "service_x", access.UserPatch{})
		f.must(err)
	})
}

// TestAccountsAreMadeByTheirExactName: an alias from before the rule does not receive what is made for another name.
func TestAccountsAreMadeByTheirExactName(t *testing.T) {
	each(t, func(f *fixture) {
		for i, alias := range []string{"device_sn1", "devicebootstrap", "sso"} {
			u := access.User{Name: iot.UserName(fmt.Sprint("old", i)), DisplayName: alias, Enabled: true}
			f.must(f.store.PutUser(f.ctx, "ta", u, true, testRevision(f)))
			if _, err := f.store.Account(f.ctx, "ta", iot.UserName(alias)); err == nil {
				f.Errorf("%s is found by its alias", alias)
			}
		}
		name, password, err := f.users.DeviceAccount(f.ctx, iot.System("ta"), "sn1")
		f.must(err)
		if p, err := f.login(string(name), password); err != nil || p.User != "device_sn1" {
			f.Errorf("%+v %v", p, err)
		}
		_, err = f.users.EnsureSystemUser(f.ctx, "ta", "devicebootstrap", "Boot-12345", "ROLE_DEVICE_BOOTSTRAP")
		f.must(err)
		if p, err := f.login("devicebootstrap", "Boot-12345"); err != nil || p.User != "devicebootstrap" {
			f.Errorf("%+v %v", p, err)
		}
		if _, _, err = f.users.Adopt(f.ctx, "ta", access.ExternalIdentity{User: "sso", Origin: access.OAuth2}, access.Login{}); !fault.Is(err, fault.Exists) {
			f.Errorf("adopted under the alias of another: %v", err)
		}
		for i := range 3 {
			if u, err := f.store.Account(f.ctx, "ta", iot.UserName(fmt.Sprint("old", i))); err != nil || u.PasswordHash != "" || len(u.Roles) > 0 {
				f.Errorf("%+v %v", u, err)
			}
		}
	})
}

func TestStaleVersionsAreNotStored(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		stale, err := f.store.User(f.ctx, "ta", "bob")
		f.must(err)
		phone, groups := "1", []int64{4}
		_, err = f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Groups: &groups})
		f.must(err)
		if err := f.store.PutUser(f.ctx, "ta", stale, false, testRevision(f)); !errors.Is(err, access.ErrChanged) {
			f.Errorf("a stale user: %v", err)
		}
		_, err = f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Phone: &phone})
		f.must(err)
		g, err := f.users.PutGroup(f.ctx, f.admin(), access.Group{Name: "one"})
		f.must(err)
		old, err := f.users.Group(f.ctx, f.admin(), g.ID)
		f.must(err)
		g.Roles = []string{"ROLE_ALARM_READ"}
		_, err = f.users.PutGroup(f.ctx, f.admin(), g)
		f.must(err)
		_, err = f.users.PutGroup(f.ctx, f.admin(), old)
		f.refused("a stale group", err, fault.Conflict)
	})
}

// TestConcurrentChangesAreAllKept also makes groups, inventory roles and assignments at once, which take the next free number.
func TestConcurrentChangesAreAllKept(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		admin := f.admin()
		group, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "all"})
		f.must(err)
		roles := []string{"ROLE_ALARM_READ", "ROLE_EVENT_READ", "ROLE_IDENTITY_READ", "ROLE_MEASUREMENT_READ"}
		exists := func(iot.ID) error { return nil }
		var wg sync.WaitGroup
		for i := range 4 {
			n := fmt.Sprint(i)
			for _, change := range []func() error{
				func() error { _, err := f.users.Update(f.ctx, admin, "bob", access.UserPatch{Phone: &n}); return err },
				func() error {
					_, err := f.users.Update(f.ctx, admin, "bob", access.UserPatch{ChangeGroups: func(had []int64) ([]int64, error) { return append(slices.Clone(had), int64(i+6)), nil }})
					return err
				},
				func() error {
					_, err := f.users.ChangeGroup(f.ctx, admin, group.ID, func(g *access.Group) error { g.Roles = append(g.Roles, roles[i]); return nil })
					return err
				},
				func() error { _, err := f.users.PutGroup(f.ctx, admin, access.Group{Name: "group " + n}); return err },
				func() error {
					_, err := f.users.PutInventoryRole(f.ctx, admin, access.InventoryRole{Name: "role " + n})
					return err
				},
				func() error {
					_, err := f.users.Assign(f.ctx, admin, access.Assignment{User: "bob", Object: 7, Roles: []int64{1}}, exists)
					return err
				},
			} {
				wg.Go(func() {
					if err := change(); err != nil {
						f.Error(err)
					}
				})
			}
		}
		wg.Wait()
		u, err := f.store.User(f.ctx, "ta", "bob")
		if err != nil || !slices.Equal(u.Groups, []int64{6, 7, 8, 9}) || u.Phone == "" {
			f.Errorf("%+v %v", u, err)
		}
		if group, err = f.users.Group(f.ctx, admin, group.ID); err != nil || !slices.Equal(group.Roles, roles) {
			f.Errorf("%v %v", group.Roles, err)
		}
		groups, err := f.users.Groups(f.ctx, admin)
		inventory, err2 := f.users.InventoryRoles(f.ctx, admin)
		if len(groups) != 15 || len(inventory) != 8 || err != nil || err2 != nil {
			f.Errorf("%d groups, %d inventory roles, %v %v", len(groups), len(inventory), err, err2)
		}
	})
}

func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(f *fixture) {
		admin := f.admin()
		no, none, admins, name := false, []int64{}, []int64{2}, "admins"
		disable, leave := access.UserPatch{Enabled: &no}, access.UserPatch{Groups: &none}
		update := func(name iot.UserName, p access.UserPatch) error {
			_, err := f.users.Update(f.ctx, admin, name, p)
			return err
		}
		f.refused("disabled", update("admin", disable), fault.Conflict)
		f.refused("out of the group", update("admin", leave), fault.Conflict)
		f.refused("the group is deleted", f.users.DeleteGroup(f.ctx, admin, 2), fault.Conflict)
		g, err := f.users.Group(f.ctx, admin, 2)
		f.must(err)
		renamed, emptied := g, g
		renamed.Name, emptied.Roles = name+"2", nil
		_, err = f.users.PutGroup(f.ctx, admin, renamed)
		f.refused("the group is renamed", err, fault.Conflict)
		_, err = f.users.PutGroup(f.ctx, admin, emptied)
		f.refused("the group grants nothing", err, fault.Conflict)
		f.person("ann", "Ann-password-1")
		f.person("bob", "Bob-password-1")
		f.must(update("ann", access.UserPatch{Groups: &admins, Enabled: &no}))
		f.refused("a disabled one does not count", update("admin", leave), fault.Conflict)
		f.must(update("bob", access.UserPatch{Groups: &admins}))
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, n := range []iot.UserName{"admin", "bob"} { // of two at once, one stays
			wg.Go(func() { errs[i] = update(n, leave) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			f.Errorf("both left, or none: %v", errs)
		}
		left := iot.UserName("admin")
		if errs[0] == nil {
			left = "bob"
		}
		f.refused("deleted", f.users.Delete(f.ctx, iot.System("ta"), left), fault.Conflict)
	})
}

func TestTheFirstAdministratorIsNotDisabled(t *testing.T) {
	each(t, func(f *fixture) {
		f.firstAdmin = "admin"
		f.person("bob", "Bob-password-1")
		admins, no := []int64{2}, false
		_, err := f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Groups: &admins})
		f.must(err)
		_, err = f.users.Update(f.ctx, f.admin(), "admin", access.UserPatch{Enabled: &no})
		f.refused("disabled", err, fault.Conflict)
	})
}

func TestOneWayToLogInStays(t *testing.T) {
	each(t, func(f *fixture) {
		p := iot.System("ta")
		f.must(f.store.PutLoginOption(f.ctx, "ta", access.LoginOption{ID: access.BasicLogin, Type: access.BasicLogin, Off: true}, testRevision(f)))
		off := access.LoginOption{ID: access.OAuth2Internal, Type: access.OAuth2Internal, Off: true}
		if err := f.store.PutLoginOption(f.ctx, "ta", off, testRevision(f)); !errors.Is(err, access.ErrLastLogin) {
			f.Errorf("the store: %v", err)
		}
		_, err := f.users.CreateLoginOption(f.ctx, p, access.BasicLogin, nil)
		f.must(err)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, id := range []string{access.BasicLogin, access.OAuth2Internal} {
			wg.Go(func() { errs[i] = f.users.DeleteLoginOption(f.ctx, p, id) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !fault.Is(errors.Join(errs...), fault.Conflict) {
			f.Errorf("both are off, or none: %v", errs)
		}
	})
}

func TestCustomPropertiesAreBounded(t *testing.T) {
	each(t, func(f *fixture) {
		f.person("bob", "Bob-password-1")
		part := func(name string) iot.Doc { return iot.Doc(nil).SetText(name, strings.Repeat("x", 40<<10)) }
		_, err := f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Custom: part("a")})
		f.must(err)
		_, err = f.users.Update(f.ctx, f.admin(), "bob", access.UserPatch{Custom: part("b")})
		f.refused("merged", err, fault.Invalid)
		_, err = f.users.PutGroup(f.ctx, f.admin(), access.Group{Name: "g", Custom: part("a").Merge(part("b"))})
		f.refused("a group", err, fault.Invalid)
	})
}

func (f *fixture) first(context.Context, iot.TenantID) iot.UserName { return f.firstAdmin }
