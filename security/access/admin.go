package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// UserPatch changes a user; nil members stay as they are.
type UserPatch struct {
	DisplayName, FirstName, LastName, Email, Phone, Password *string
	Enabled, MustReset, Newsletter                           *bool
	Custom                                                   iot.Doc
	Roles                                                    *[]string
	Groups                                                   *[]int64
	// Invite sends a link with which the person chooses a password. Only for new users.
	Invite bool
}

// Get returns a user of p's tenant: oneself, for who may read users any, for a manager those below.
func (u *Users) Get(ctx context.Context, p iot.Principal, name iot.UserName) (User, error) {
	const op = fault.Op("access.Get")
	denied := u.may(ctx, p, name, Read)
	if denied != nil && !u.isManager(ctx, p) {
		return User{}, denied
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if denied != nil { // a manager does not learn who exists beside those below
		if err != nil {
			return User{}, denied
		}
		ok, err := u.below(ctx, p, user)
		if err != nil {
			return User{}, err
		}
		if !ok {
			return User{}, denied
		}
	}
	if err != nil {
		return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	one := []User{user}
	err = u.countSubusers(ctx, p.Tenant, one)
	return one[0], err
}

func (u *Users) may(ctx context.Context, p iot.Principal, name iot.UserName, l Level) error {
	if name == p.User && u.d.Policy.Check(ctx, p, OwnUser, l, Object{}) == nil {
		return nil
	}
	return u.d.Policy.Check(ctx, p, UserAdmin, l, Object{})
}

// List returns a page of users and the number of all that match. A manager sees those directly below.
func (u *Users) List(ctx context.Context, p iot.Principal, q UserQuery) ([]User, int, error) {
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{}); err != nil {
		if !u.isManager(ctx, p) || q.Owner != "" && q.Owner != p.User {
			return nil, 0, err
		}
		q.Owner = p.User
	}
	users, n, err := u.d.Store.Users(ctx, p.Tenant, q)
	if err != nil || !q.Subusers {
		return users, n, sqlkit.Fault("access.List", err)
	}
	return users, n, u.countSubusers(ctx, p.Tenant, users)
}

func (u *Users) countSubusers(ctx context.Context, t iot.TenantID, users []User) error {
	names := make([]iot.UserName, len(users))
	for i, user := range users {
		names[i] = user.Name
	}
	counts, err := u.d.Store.Subusers(ctx, t, names)
	for i := range users {
		users[i].Subusers = counts[users[i].Name]
	}
	return sqlkit.Fault("access.Subusers", err)
}

// Create adds a user. Users made by hand may read and change themselves. Whom a manager creates stands below the manager.
func (u *Users) Create(ctx context.Context, p iot.Principal, name iot.UserName, patch UserPatch) (User, error) {
	const op = fault.Op("access.Create")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Create, Object{}); err != nil {
		return User{}, err
	}
	if err := validUserName(name); err != nil {
		return User{}, fault.E(op, err)
	}
	if patch.Invite && (u.mails == nil || patch.Email == nil || *patch.Email == "") {
		why := "sendPasswordResetEmail needs an email"
		if u.mails == nil {
			why = "this platform sends no mail: give a password instead of sendPasswordResetEmail"
		}
		return User{}, fault.E(op, fault.Invalid, why)
	}
	now := u.d.Clock.Now()
	user := User{Name: name, Enabled: true, Created: now, PasswordSince: now, Roles: sorted(expand("USER_MANAGEMENT_OWN:RA"))}
	if u.isManager(ctx, p) {
		user.Owner = p.User
	}
	if patch.Password == nil {
		user.MustReset, user.Strength = true, Green // c8y: a user without a password
	}
	if err := u.apply(ctx, p, &user, patch); err != nil {
		return User{}, fault.E(op, err)
	}
	if err := u.putUser(ctx, p, user, true); err != nil {
		return User{}, err
	}
	u.record(ctx, p, "User created", user.Name, userChanges(User{Enabled: true}, user))
	if patch.Invite {
		u.mails.add(mailJob{t: p.Tenant, email: user.Email, p: p})
	}
	return user, nil
}

// putUser stores a user and gives errors their kind and words.
func (u *Users) putUser(ctx context.Context, p iot.Principal, user User, create bool) error {
	const op = fault.Op("access.PutUser")
	err := u.d.Store.PutUser(ctx, p.Tenant, user, create, u.revision(p))
	switch {
	case errors.Is(err, ErrEmailTaken):
		return fault.E(op, fault.Exists, err, "a user with the e-mail address '"+user.Email+"' exists already")
	case errors.Is(err, ErrAliasTaken):
		return fault.E(op, fault.Exists, err, "a user with the login alias or name '"+user.DisplayName+"' exists already")
	case err != nil && create:
		return fault.E(op, sqlkit.Fault(op, err), "a user with the name '"+string(user.Name)+"' exists already")
	case errors.Is(err, sql.ErrNoRows):
		return fault.E(op, sqlkit.Fault(op, err), "no user with the name '"+string(user.Name)+"'")
	}
	return sqlkit.Fault(op, err)
}

// Update changes a user. Everybody may change themselves, but neither their rights nor whether they are enabled or must change their password.
func (u *Users) Update(ctx context.Context, p iot.Principal, name iot.UserName, patch UserPatch) (User, error) {
	const op = fault.Op("access.Update")
	var user User
	var err error
	if rights := patch.Roles != nil || patch.Groups != nil || patch.Enabled != nil || patch.MustReset != nil; !rights && u.may(ctx, p, name, Update) == nil {
		if user, err = u.d.Store.User(ctx, p.Tenant, name); err != nil {
			return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
		}
	} else if user, err = u.Manage(ctx, p, name); err != nil {
		return User{}, err
	}
	before := user
	if err := u.apply(ctx, p, &user, patch); err != nil {
		return User{}, fault.E(op, err)
	}
	if err := u.putUser(ctx, p, user, false); err != nil {
		return User{}, err
	}
	if patch.Password != nil || (patch.Enabled != nil && !*patch.Enabled) {
		if err := u.endOtherSessions(ctx, p, user.Name); err != nil {
			return User{}, sqlkit.Fault(op, err)
		}
	}
	if patch.Enabled != nil && *patch.Enabled { // an administrator who enables an account unlocks it
		if err := u.unlock(ctx, p.Tenant, user.Name); err != nil {
			return User{}, err
		}
	}
	u.record(ctx, p, "User updated", user.Name, userChanges(before, user))
	return user, nil
}

// endOtherSessions ends the sessions of a user whose password changed. The session that changed it goes on.
func (u *Users) endOtherSessions(ctx context.Context, p iot.Principal, name iot.UserName) error {
	keep := ""
	if p.User == name {
		keep = p.TokenID
	}
	return u.endSessionsExcept(ctx, p.Tenant, name, keep)
}

func (u *Users) endSessionsExcept(ctx context.Context, t iot.TenantID, name iot.UserName, keep string) error {
	now := u.d.Clock.Now()
	all, err := u.d.Sessions.Sessions(ctx, t, name, "", now)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.ID != keep && s.Kind != usedSession {
			if err := u.d.Sessions.DeleteSessions(ctx, t, name, s.ID, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *Users) apply(ctx context.Context, p iot.Principal, user *User, patch UserPatch) error {
	const op = fault.Op("access.Apply")
	remote := user.Origin != Local
	for _, f := range []struct {
		to   *string
		from *string
	}{{&user.DisplayName, patch.DisplayName}, {&user.FirstName, patch.FirstName}, {&user.LastName, patch.LastName}, {&user.Email, patch.Email}, {&user.Phone, patch.Phone}} {
		switch {
		case f.from == nil || *f.from == *f.to:
		case remote:
			return fault.E(op, fault.Denied, "the user is managed by a remote identity service: direct update is forbidden")
		case len(*f.from) > maxUserField:
			return fault.Errorf(op, fault.Invalid, "displayName, firstName, lastName, email and phone must not be longer than %d characters", maxUserField)
		default:
			*f.to = *f.from
		}
	}
	if patch.DisplayName != nil && *patch.DisplayName != "" && iot.UserName(*patch.DisplayName) == user.Name {
		return fault.E(op, fault.Invalid, "the login alias must differ from the user name")
	}
	if patch.Email != nil {
		if err := validEmail(*patch.Email); err != nil {
			return err
		}
	}
	for _, f := range []struct{ to, from *bool }{{&user.Enabled, patch.Enabled}, {&user.MustReset, patch.MustReset}, {&user.Newsletter, patch.Newsletter}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if patch.Password != nil {
		if err := u.setPassword(ctx, p.Tenant, user, *patch.Password); err != nil {
			return err
		}
		if patch.MustReset != nil {
			user.MustReset = *patch.MustReset
		}
	}
	if patch.Custom != nil {
		user.Custom = user.Custom.Merge(patch.Custom.Without("userOrigin"))
	}
	if patch.Roles == nil && patch.Groups == nil {
		return nil
	}
	roles, groups := user.Roles, user.Groups
	if patch.Roles != nil {
		roles = sorted(slices.Clone(*patch.Roles))
	}
	if patch.Groups != nil {
		groups = slices.Clone(*patch.Groups)
		slices.Sort(groups)
		groups = slices.Compact(groups)
	}
	if err := u.mayGrant(ctx, p, *user, roles, groups); err != nil {
		return err
	}
	user.Roles, user.Groups = roles, groups
	return nil
}

// ProvePassword checks the caller's own password once more. It counts failures like a login.
func (u *Users) ProvePassword(ctx context.Context, p iot.Principal, password string) error {
	_, _, err := u.authenticate(ctx, p.Tenant, p.User, Login{Tenant: p.Tenant, User: string(p.User), Password: password, Application: p.Application, RemoteAddr: p.RemoteAddr})
	if fault.Is(err, fault.Unauthenticated) {
		return fault.E(fault.Op("access.ProvePassword"), fault.Denied, err, "the current password is not right")
	}
	return err
}

// ChangePassword changes the caller's own password, which must be known.
func (u *Users) ChangePassword(ctx context.Context, p iot.Principal, current, next string) error {
	const op = fault.Op("access.ChangePassword")
	user, err := u.d.Store.User(ctx, p.Tenant, p.User)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	if user.Origin != Local {
		return fault.E(op, fault.Denied, "the user is managed by a remote identity service: change the password there")
	}
	if user.PasswordHash != "" { // who got in without one may choose the first
		if err := u.ProvePassword(ctx, p, current); err != nil {
			return err
		}
	}
	_, err = u.Update(ctx, p, p.User, UserPatch{Password: &next})
	return err
}

// Delete removes a user and ends all its sessions; the users below move to the owner of the removed one. Nobody can delete themselves, and
// nobody can be deleted who owns managed objects: these would belong to whoever gets the name next.
func (u *Users) Delete(ctx context.Context, p iot.Principal, name iot.UserName) error {
	const op = fault.Op("access.Delete")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		if !u.isManager(ctx, p) {
			return err
		}
		if _, err := u.Manage(ctx, p, name); err != nil {
			return err
		}
	}
	if name == p.User {
		return fault.E(op, fault.Invalid, "you cannot delete yourself")
	}
	if u.d.FirstAdmin != nil && name == u.d.FirstAdmin(ctx, p.Tenant) {
		return fault.E(op, fault.Conflict, "the first administrator of a tenant cannot be deleted")
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if err != nil || user.Name != name { // not by an alias
		return fault.E(op, fault.NotFound, fault.Subject(name), err, "no user with the name '"+string(name)+"'")
	}
	if u.d.Owns != nil {
		owns, err := u.d.Owns(ctx, p.Tenant, name)
		if err != nil {
			return fault.E(op, err)
		}
		if owns {
			return fault.E(op, fault.Conflict, fault.Subject(name), "Cannot delete user '"+string(name)+"', who is the owner of managed objects: give these to somebody else first")
		}
	}
	if err := u.moveSubusers(ctx, p, user); err != nil {
		return sqlkit.Fault(op, err)
	}
	if err := u.d.Store.DeleteUser(ctx, p.Tenant, name, u.revision(p)); err != nil {
		return fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	u.record(ctx, p, "User deleted", name, nil)
	return nil
}

func (u *Users) moveSubusers(ctx context.Context, p iot.Principal, from User) error {
	for {
		users, _, err := u.d.Store.Users(ctx, p.Tenant, UserQuery{Owner: from.Name, Limit: 100})
		if err != nil || len(users) == 0 {
			return err
		}
		for _, user := range users {
			before := user
			user.Owner = from.Owner
			if err := u.d.Store.PutUser(ctx, p.Tenant, user, false, u.revision(p)); err != nil {
				return err
			}
			u.record(ctx, p, "User owner updated", user.Name, userChanges(before, user))
		}
	}
}

// Groups returns all groups of p's tenant.
func (u *Users) Groups(ctx context.Context, p iot.Principal) ([]Group, error) {
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{}); err != nil && u.d.Policy.Check(ctx, p, OwnUser, Read, Object{}) != nil && u.d.Policy.Check(ctx, p, UserAdmin, Create, Object{}) != nil {
		return nil, err
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
	var before Group
	for _, other := range groups {
		if other.ID == g.ID {
			before = other
		}
	}
	if err := grantable(p, g.Roles, before.Roles); err != nil {
		return Group{}, fault.E(op, err)
	}
	g.Roles = sorted(slices.Clone(g.Roles))
	if err := u.d.Store.PutGroup(ctx, p.Tenant, g, create, u.revision(p)); err != nil {
		return Group{}, fault.E(op, sqlkit.Fault(op, err), "a group with the name '"+g.Name+"' exists already")
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Group", Activity: activity, Text: "Global role '" + g.Name + "'", Changes: groupChanges(before, g)})
	return g, nil
}

// LogoutGroup ends the sessions of all members of a group, so that they log in again with the rights that they have now.
func (u *Users) LogoutGroup(ctx context.Context, p iot.Principal, id int64) error {
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return err
	}
	defer u.changed(p.Tenant, "")
	return sqlkit.Fault("access.LogoutGroup", u.endGroupSessions(ctx, p, id))
}

// DeleteGroup removes a group; its members lose what it granted.
func (u *Users) DeleteGroup(ctx context.Context, p iot.Principal, id int64) error {
	const op = fault.Op("access.DeleteGroup")
	g, err := u.Group(ctx, p, id)
	if denied := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); denied != nil {
		return denied
	}
	if err == nil {
		err = sqlkit.Fault(op, u.emptyGroup(ctx, p, id))
	}
	if err == nil {
		err = sqlkit.Fault(op, u.d.Store.DeleteGroup(ctx, p.Tenant, id, u.revision(p)))
	}
	if err != nil {
		return fault.E(op, err, fmt.Sprintf("no group with the id %d", id))
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Group", Activity: "Global role deleted", Text: fmt.Sprintf("Global role %d", id), Changes: groupChanges(g, Group{})})
	return nil
}

// emptyGroup takes everybody out of a group, so that a later group with the same id grants nothing to them.
func (u *Users) emptyGroup(ctx context.Context, p iot.Principal, id int64) error {
	for _, devices := range []bool{false, true} {
		for {
			users, _, err := u.d.Store.Users(ctx, p.Tenant, UserQuery{Groups: []int64{id}, OnlyDevices: devices, Limit: 500})
			if err != nil {
				return err
			}
			if len(users) == 0 {
				break
			}
			for _, user := range users {
				user.Groups = slices.DeleteFunc(user.Groups, func(g int64) bool { return g == id })
				if err := u.d.Store.PutUser(ctx, p.Tenant, user, false, u.revision(p)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (u *Users) record(ctx context.Context, p iot.Principal, activity string, name iot.UserName, changes []iot.AttributeChange) {
	u.changed(p.Tenant, name)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: activity + ": '" + string(name) + "'", Changes: changes})
}
