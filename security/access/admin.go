package access

import (
	"context"
	"fmt"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// UserPatch changes a user; nil members stay as they are.
type UserPatch struct {
	DisplayName, FirstName, LastName, Email, Phone, Password *string
	Enabled, MustReset, Newsletter                           *bool
	Custom                                                   iot.Doc
	Roles                                                    *[]string
	Groups                                                   *[]int64
}

// Get returns a user of p's tenant. Everybody may read themselves.
func (u *Users) Get(ctx context.Context, p iot.Principal, name iot.UserName) (User, error) {
	const op = fault.Op("access.Get")
	if err := u.may(ctx, p, name, Read); err != nil {
		return User{}, err
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if err != nil {
		return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	return user, nil
}

func (u *Users) may(ctx context.Context, p iot.Principal, name iot.UserName, l Level) error {
	if name == p.User && u.d.Policy.Check(ctx, p, OwnUser, l, Object{}) == nil {
		return nil
	}
	return u.d.Policy.Check(ctx, p, UserAdmin, l, Object{})
}

// List returns a page of users and the number of all that match.
func (u *Users) List(ctx context.Context, p iot.Principal, q UserQuery) ([]User, int, error) {
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{}); err != nil {
		return nil, 0, err
	}
	users, n, err := u.d.Store.Users(ctx, p.Tenant, q)
	return users, n, sqlkit.Fault("access.List", err)
}

// Create adds a user. Users made by hand may read and change themselves.
func (u *Users) Create(ctx context.Context, p iot.Principal, name iot.UserName, patch UserPatch) (User, error) {
	const op = fault.Op("access.Create")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Create, Object{}); err != nil {
		return User{}, err
	}
	if err := validUserName(name); err != nil {
		return User{}, fault.E(op, err)
	}
	user := User{Name: name, Enabled: true, Created: u.d.Clock.Now(), Roles: sorted(expand("USER_MANAGEMENT_OWN:RA"))}
	if patch.Password == nil {
		user.MustReset = true
		user.PasswordHash = hashSecret(RandomPassword())
	}
	if err := u.apply(ctx, p, &user, patch); err != nil {
		return User{}, fault.E(op, err)
	}
	if err := u.d.Store.PutUser(ctx, p.Tenant, user, true, u.revision(p)); err != nil {
		return User{}, fault.E(op, sqlkit.Fault(op, err), "a user with the name '"+string(name)+"' exists already")
	}
	u.record(ctx, p, "User created", user.Name)
	return user, nil
}

// Update changes a user. Everybody may change themselves, but neither their rights nor whether they are enabled.
func (u *Users) Update(ctx context.Context, p iot.Principal, name iot.UserName, patch UserPatch) (User, error) {
	const op = fault.Op("access.Update")
	if err := u.may(ctx, p, name, Update); err != nil {
		return User{}, err
	}
	if patch.Roles != nil || patch.Groups != nil || patch.Enabled != nil {
		if err := u.d.Policy.Check(ctx, p, UserAdmin, Update, Object{}); err != nil {
			return User{}, err
		}
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if err != nil {
		return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	if err := u.apply(ctx, p, &user, patch); err != nil {
		return User{}, fault.E(op, err)
	}
	if err := u.d.Store.PutUser(ctx, p.Tenant, user, false, u.revision(p)); err != nil {
		return User{}, fault.E(op, sqlkit.Fault(op, err))
	}
	if patch.Password != nil || (patch.Enabled != nil && !*patch.Enabled) {
		if err := u.endOtherSessions(ctx, p, user.Name); err != nil {
			return User{}, sqlkit.Fault(op, err)
		}
	}
	u.record(ctx, p, "User updated", user.Name)
	return user, nil
}

// endOtherSessions ends the sessions of a user whose password changed. The session that changed it goes on.
func (u *Users) endOtherSessions(ctx context.Context, p iot.Principal, name iot.UserName) error {
	now := u.d.Clock.Now()
	var keep Session
	if p.User == name && p.TokenID != "" {
		var err error
		if keep, err = u.d.Sessions.Session(ctx, p.Tenant, p.TokenID, now); err != nil {
			return err
		}
	}
	if err := u.d.Sessions.DeleteSessions(ctx, p.Tenant, name, "", now); err != nil {
		return err
	}
	if keep.ID != "" {
		return u.d.Sessions.PutSession(ctx, p.Tenant, keep)
	}
	return nil
}

func (u *Users) apply(ctx context.Context, p iot.Principal, user *User, patch UserPatch) error {
	for _, f := range []struct {
		to   *string
		from *string
	}{{&user.DisplayName, patch.DisplayName}, {&user.FirstName, patch.FirstName}, {&user.LastName, patch.LastName}, {&user.Email, patch.Email}, {&user.Phone, patch.Phone}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	for _, f := range []struct{ to, from *bool }{{&user.Enabled, patch.Enabled}, {&user.MustReset, patch.MustReset}, {&user.Newsletter, patch.Newsletter}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if patch.Password != nil {
		if err := validPassword(*patch.Password); err != nil {
			return err
		}
		user.PasswordHash, user.PasswordSince, user.MustReset = hashPassword(*patch.Password), u.d.Clock.Now(), false
	}
	if patch.Custom != nil {
		user.Custom = user.Custom.Merge(patch.Custom)
	}
	if patch.Roles != nil {
		if err := grantable(p, *patch.Roles, user.Roles); err != nil {
			return err
		}
		user.Roles = sorted(slices.Clone(*patch.Roles))
	}
	if patch.Groups != nil {
		for _, g := range *patch.Groups {
			if _, err := u.Group(ctx, p, g); err != nil {
				return err
			}
		}
		user.Groups = slices.Clone(*patch.Groups)
		slices.Sort(user.Groups)
		user.Groups = slices.Compact(user.Groups)
	}
	return nil
}

// ChangePassword changes the caller's own password, which must be known.
func (u *Users) ChangePassword(ctx context.Context, p iot.Principal, current, next string) error {
	const op = fault.Op("access.ChangePassword")
	user, err := u.d.Store.User(ctx, p.Tenant, p.User)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	if !verify(user.PasswordHash, current) && !user.MustReset {
		return fault.E(op, fault.Denied, "the current password is not right")
	}
	if verify(user.PasswordHash, next) {
		return fault.E(op, fault.Invalid, "the new password must differ from the current one")
	}
	_, err = u.Update(ctx, p, p.User, UserPatch{Password: &next})
	return err
}

// Delete removes a user and ends all its sessions. Nobody can delete themselves.
func (u *Users) Delete(ctx context.Context, p iot.Principal, name iot.UserName) error {
	const op = fault.Op("access.Delete")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return err
	}
	if name == p.User {
		return fault.E(op, fault.Invalid, "you cannot delete yourself")
	}
	if name == u.d.FirstAdmin {
		return fault.E(op, fault.Conflict, "the first administrator of a tenant cannot be deleted")
	}
	if err := u.d.Store.DeleteUser(ctx, p.Tenant, name, u.revision(p)); err != nil {
		return fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	u.record(ctx, p, "User deleted", name)
	return nil
}

// Groups returns all groups of p's tenant.
func (u *Users) Groups(ctx context.Context, p iot.Principal) ([]Group, error) {
	if u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{}) != nil && u.d.Policy.Check(ctx, p, OwnUser, Read, Object{}) != nil {
		return nil, u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{})
	}
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	return groups, sqlkit.Fault("access.Groups", err)
}

// Group returns one group of p's tenant.
func (u *Users) Group(ctx context.Context, p iot.Principal, id int64) (Group, error) {
	groups, err := u.Groups(ctx, p)
	if err != nil {
		return Group{}, err
	}
	for _, g := range groups {
		if g.ID == id {
			return g, nil
		}
	}
	return Group{}, fault.E(fault.Op("access.Group"), fault.NotFound, fault.Subject(fmt.Sprint(id)), fmt.Sprintf("no group with the id %d", id))
}

// PutGroup creates a group (id 0) or replaces one.
func (u *Users) PutGroup(ctx context.Context, p iot.Principal, g Group) (Group, error) {
	const op = fault.Op("access.PutGroup")
	level, activity := Admin, "Global role updated"
	if err := u.d.Policy.Check(ctx, p, UserAdmin, level, Object{}); err != nil {
		return Group{}, err
	}
	if n := strings.TrimSpace(g.Name); n == "" || len(n) > 254 {
		return Group{}, fault.E(op, fault.Invalid, "Following mandatory fields should be included: name (1 to 254 characters)")
	}
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	if err != nil {
		return Group{}, sqlkit.Fault(op, err)
	}
	create := g.ID == 0
	if create {
		activity = "Global role created"
		for _, other := range groups {
			g.ID = max(g.ID, other.ID+1)
		}
		g.ID = max(g.ID, 101) // built-in groups keep the low numbers
	}
	var had []string
	for _, other := range groups {
		if other.ID == g.ID {
			had = other.Roles
		}
	}
	if err := grantable(p, g.Roles, had); err != nil {
		return Group{}, fault.E(op, err)
	}
	g.Roles = sorted(slices.Clone(g.Roles))
	if err := u.d.Store.PutGroup(ctx, p.Tenant, g, create, u.revision(p)); err != nil {
		return Group{}, fault.E(op, sqlkit.Fault(op, err), "a group with the name '"+g.Name+"' exists already")
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Group", Activity: activity, Text: "Global role '" + g.Name + "'"})
	return g, nil
}

// DeleteGroup removes a group; its members lose what it granted.
func (u *Users) DeleteGroup(ctx context.Context, p iot.Principal, id int64) error {
	const op = fault.Op("access.DeleteGroup")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return err
	}
	if err := u.d.Store.DeleteGroup(ctx, p.Tenant, id, u.revision(p)); err != nil {
		return fault.E(op, sqlkit.Fault(op, err), fmt.Sprintf("no group with the id %d", id))
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Group", Activity: "Global role deleted", Text: fmt.Sprintf("Global role %d", id)})
	return nil
}

func (u *Users) record(ctx context.Context, p iot.Principal, activity string, name iot.UserName) {
	u.changed(p.Tenant, name)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: activity + ": '" + string(name) + "'"})
}
