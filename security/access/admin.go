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
	// ChangeRoles and ChangeGroups, if set, return what to replace Roles and Groups by, given what the user has at that moment, so that changes at
	// the same time are not lost. They may be called several times, must not change what they get, and their errors are returned as they are.
	ChangeRoles  func(had []string) ([]string, error)
	ChangeGroups func(had []int64) ([]int64, error)
	// Invite sends a link with which the person chooses a password. Only for new users.
	Invite bool
}

// rights reports whether the patch is about what the user may do.
func (p UserPatch) rights() bool {
	return p.Roles != nil || p.Groups != nil || p.ChangeRoles != nil || p.ChangeGroups != nil
}

// maxTries bounds how often a change is made again because somebody else was faster.
const maxTries = 10

// again runs what reads, changes and stores until nobody else changed it in between, or made it at the same time.
func again(change func() error) error {
	var err error
	for range maxTries {
		if err = change(); !errors.Is(err, ErrChanged) {
			break
		}
	}
	return err
}

// Knows reports whether a tenant has a user of that name, whatever kind of account it is.
func (u *Users) Knows(ctx context.Context, t iot.TenantID, name iot.UserName) (bool, error) {
	const op = fault.Op("access.Knows")
	_, err := u.d.Store.User(ctx, t, name)
	if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
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
	if err := personName(name); err != nil && !p.Has(iot.RoleSystem) {
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

// lastAdminText refuses what nobody could undo.
const lastAdminText = "this is the last enabled user of this tenant in the group '" + AdminGroup + "': put somebody else into it first"

// putUser stores a user and gives errors their kind and words.
func (u *Users) putUser(ctx context.Context, p iot.Principal, user User, create bool) error {
	const op = fault.Op("access.PutUser")
	err := u.d.Store.PutUser(ctx, p.Tenant, user, create, u.revision(p))
	switch {
	case errors.Is(err, ErrEmailTaken):
		return fault.E(op, fault.Exists, err, "a user with the e-mail address '"+user.Email+"' exists already")
	case errors.Is(err, ErrAliasTaken):
		return fault.E(op, fault.Exists, err, "a user with the login alias or name '"+user.DisplayName+"' exists already")
	case errors.Is(err, ErrNameTaken):
		return fault.E(op, fault.Exists, err, "'"+string(user.Name)+"' is the login alias of another user already")
	case errors.Is(err, ErrLastAdmin):
		return fault.E(op, fault.Conflict, err, lastAdminText)
	case errors.Is(err, ErrChanged), create && user.Machine() && sqlkit.IsUnique(err): // whoever made the account of a machine, it can be renewed
		return fault.E(op, fault.Conflict, ErrChanged, "the user '"+string(user.Name)+"' is being changed by somebody else: try again")
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
	var before, user User
	err := again(func() (err error) {
		if rights := patch.rights() || patch.Enabled != nil || patch.MustReset != nil; !rights && u.may(ctx, p, name, Update) == nil {
			if user, err = u.d.Store.User(ctx, p.Tenant, name); err != nil {
				return fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
			}
		} else if user, err = u.Manage(ctx, p, name); err != nil {
			return err
		}
		if before = user; before.Enabled && patch.Enabled != nil && !*patch.Enabled && u.d.FirstAdmin != nil && user.Name == u.d.FirstAdmin(ctx, p.Tenant) {
			return fault.E(op, fault.Conflict, "the first administrator of a tenant cannot be disabled")
		}
		if err := u.apply(ctx, p, &user, patch); err != nil {
			return fault.E(op, err)
		}
		return u.putUser(ctx, p, user, false)
	})
	if err != nil {
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
	remote, alias := user.Origin != Local, user.DisplayName
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
	if user.DisplayName != "" && user.DisplayName != alias {
		if err := validAlias(user.DisplayName); err != nil {
			return err
		}
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
		had := user.Custom
		user.Custom = had.Merge(patch.Custom.Without("userOrigin"))
		if err := validCustom(user.Custom, had); err != nil {
			return err
		}
	}
	if !patch.rights() {
		return nil
	}
	roles, groups := user.Roles, user.Groups
	if patch.Roles != nil {
		roles = sorted(slices.Clone(*patch.Roles))
	}
	if patch.Groups != nil {
		groups = slices.Clone(*patch.Groups)
	}
	var err error
	if patch.ChangeRoles != nil {
		if roles, err = patch.ChangeRoles(roles); err != nil {
			return err
		}
		roles = sorted(slices.Clone(roles))
	}
	if patch.ChangeGroups != nil {
		if groups, err = patch.ChangeGroups(groups); err != nil {
			return err
		}
		groups = slices.Clone(groups)
	}
	if patch.Groups != nil || patch.ChangeGroups != nil {
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
	err = u.d.Store.DeleteUser(ctx, p.Tenant, name, u.revision(p))
	if errors.Is(err, ErrLastAdmin) {
		return fault.E(op, fault.Conflict, err, lastAdminText)
	}
	if err != nil {
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
			err := u.putUser(ctx, p, user, false)
			if errors.Is(err, ErrChanged) || errors.Is(err, sql.ErrNoRows) {
				break // look again
			}
			if err != nil {
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

// PutGroup creates a group (id 0) or replaces one. Conflict: g.Version is set and somebody else has changed the group since.
func (u *Users) PutGroup(ctx context.Context, p iot.Principal, g Group) (Group, error) {
	if g.ID == 0 {
		return u.createGroup(ctx, p, g)
	}
	return u.updateGroup(ctx, p, g.ID, func(had Group) (Group, error) {
		if g.Version == "" {
			g.Version = had.Version
		}
		return g, nil
	})
}

// ChangeGroup changes a group as it is at that moment. change may be called several times and must not keep what it gets.
func (u *Users) ChangeGroup(ctx context.Context, p iot.Principal, id int64, change func(g *Group) error) (g Group, err error) {
	err = again(func() error {
		g, err = u.updateGroup(ctx, p, id, func(had Group) (Group, error) {
			had.Roles = slices.Clone(had.Roles)
			err := change(&had)
			return had, err
		})
		return err
	})
	return g, err
}

func (u *Users) createGroup(ctx context.Context, p iot.Principal, g Group) (Group, error) {
	const op = fault.Op("access.PutGroup")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return Group{}, err
	}
	if err := g.check(p, Group{}); err != nil {
		return Group{}, fault.E(op, err)
	}
	g.Roles = sorted(slices.Clone(g.Roles))
	err := fresh(func() (taken bool, err error) {
		groups, err := u.d.Store.Groups(ctx, p.Tenant)
		if err != nil {
			return false, err
		}
		g.ID = 101 // built-in groups keep the low numbers
		for _, other := range groups {
			g.ID = max(g.ID, other.ID+1)
			taken = taken || other.Name == g.Name
		}
		return taken, u.d.Store.PutGroup(ctx, p.Tenant, g, true, u.revision(p))
	})
	if err != nil {
		return Group{}, fault.E(op, sqlkit.Fault(op, err), "a group with the name '"+g.Name+"' exists already")
	}
	u.groupPut(ctx, p, "Global role created", Group{}, g)
	return g, nil
}

// fresh runs what takes the next number and a name until nobody else took the number in between. create returns whether the name was taken.
func fresh(create func() (taken bool, err error)) error {
	for try := 1; ; try++ {
		taken, err := create()
		if taken || !sqlkit.IsUnique(err) || try == maxTries {
			return err
		}
	}
}

func (u *Users) updateGroup(ctx context.Context, p iot.Principal, id int64, change func(had Group) (Group, error)) (Group, error) {
	const op = fault.Op("access.PutGroup")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return Group{}, err
	}
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	if err != nil {
		return Group{}, sqlkit.Fault(op, err)
	}
	i := slices.IndexFunc(groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return Group{}, fault.E(op, fault.NotFound, fault.Subject(fmt.Sprint(id)), fmt.Sprintf("no group with the id %d", id))
	}
	before := groups[i]
	g, err := change(before)
	if err != nil {
		return Group{}, err
	}
	if err := g.check(p, before); err != nil {
		return Group{}, fault.E(op, err)
	}
	g.Roles = sorted(slices.Clone(g.Roles))
	switch err := u.d.Store.PutGroup(ctx, p.Tenant, g, false, u.revision(p)); {
	case errors.Is(err, ErrChanged):
		return Group{}, fault.E(op, fault.Conflict, err, "the group '"+before.Name+"' is being changed by somebody else: try again")
	case err != nil:
		return Group{}, fault.E(op, sqlkit.Fault(op, err), "a group with the name '"+g.Name+"' exists already")
	}
	u.groupPut(ctx, p, "Global role updated", before, g)
	return g, nil
}

// check returns nil if p may make g of what was before. The group of administrators must stay what it is.
func (g Group) check(p iot.Principal, before Group) error {
	const op = fault.Op("access.PutGroup")
	if n := strings.TrimSpace(g.Name); n == "" || len(n) > 254 {
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: name (1 to 254 characters)")
	}
	if err := validCustom(g.Custom, before.Custom); err != nil {
		return err
	}
	if before.Name == AdminGroup {
		if g.Name != before.Name {
			return fault.E(op, fault.Conflict, "the group '"+AdminGroup+"' cannot be renamed")
		}
		for _, r := range indispensable {
			if slices.Contains(before.Roles, r) && !slices.Contains(g.Roles, r) {
				return fault.E(op, fault.Conflict, "the group '"+AdminGroup+"' must keep "+r+": without it nobody could administer users any more")
			}
		}
	}
	return grantable(p, g.Roles, before.Roles)
}

// indispensable permissions stay with AdminGroup, because who loses them cannot give them back.
var indispensable = []string{"ROLE_USER_MANAGEMENT_ADMIN", "ROLE_USER_MANAGEMENT_READ"}

func (u *Users) groupPut(ctx context.Context, p iot.Principal, activity string, before, g Group) {
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Group", Activity: activity, Text: "Global role '" + g.Name + "'", Changes: groupChanges(before, g)})
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
	if err == nil && g.Name == AdminGroup {
		return fault.E(op, fault.Conflict, "the group '"+AdminGroup+"' cannot be deleted: without it nobody could administer the tenant any more")
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
				err := u.putUser(ctx, p, user, false)
				if errors.Is(err, ErrChanged) || errors.Is(err, sql.ErrNoRows) {
					break // look again
				}
				if err != nil {
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
