package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Users form a tree by owner. Who holds ROLE_USER_MANAGEMENT_ADMIN manages all of it. Who only holds ROLE_USER_MANAGEMENT_CREATE manages the
// users below (and below the one whose delegate they are), creates users directly below, and gives away only what they hold themselves and
// what the user above the target holds. So nobody comes to more than they had, whichever way round.

// maxDepth bounds the tree.
const maxDepth = 32

// above returns the chain of owners of a user, the nearest first. It ends at a user that does not exist, and at a circle.
func (u *Users) above(ctx context.Context, t iot.TenantID, user User) ([]User, error) {
	var chain []User
	for owner := user.Owner; owner != "" && len(chain) < maxDepth; {
		next, err := u.d.Store.User(ctx, t, owner)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (next.Name != owner || next.Name == user.Name) {
			break
		}
		if err != nil {
			return nil, sqlkit.Fault("access.Hierarchy", err)
		}
		chain = append(chain, next)
		owner = next.Owner
	}
	return chain, nil
}

// below reports whether p stands above the user in the tree, or is the delegate of somebody who does.
func (u *Users) below(ctx context.Context, p iot.Principal, user User) (bool, error) {
	chain, err := u.above(ctx, p.Tenant, user)
	if err != nil || len(chain) == 0 {
		return false, err
	}
	me, err := u.d.Store.User(ctx, p.Tenant, p.User)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, sqlkit.Fault("access.Hierarchy", err)
	}
	return slices.ContainsFunc(chain, func(x User) bool { return x.Name == p.User || me.DelegatedBy != "" && x.Name == me.DelegatedBy }), nil
}

// isManager reports whether p only manages the users below.
func (u *Users) isManager(ctx context.Context, p iot.Principal) bool {
	return u.d.Policy.Check(ctx, p, UserAdmin, Update, Object{}) != nil && u.d.Policy.Check(ctx, p, UserAdmin, Create, Object{}) == nil
}

// mayManage returns nil if p may change the user. A manager may not touch who holds more than the manager does: a new password would give that
// away.
func (u *Users) mayManage(ctx context.Context, p iot.Principal, user User) error {
	denied := u.d.Policy.Check(ctx, p, UserAdmin, Update, Object{})
	if denied == nil || !u.isManager(ctx, p) || user.Name == p.User {
		return denied
	}
	ok, err := u.below(ctx, p, user)
	if err != nil {
		return err
	}
	if !ok {
		return denied
	}
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	if err != nil {
		return sqlkit.Fault("access.Hierarchy", err)
	}
	for _, r := range effective(user, groups) {
		if !p.Has(r) {
			return fault.E(fault.Op("access.Hierarchy"), fault.Denied, fault.Subject(r), "Access is denied. The user holds the permission "+r+", which you do not")
		}
	}
	return u.holdsGrants(ctx, p, user)
}

// holdsGrants returns nil if p has every right on single objects that the user has.
func (u *Users) holdsGrants(ctx context.Context, p iot.Principal, user User) error {
	const op = fault.Op("access.Hierarchy")
	grants, err := u.grants(ctx, p.Tenant, user)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	what := func(g iot.Grant) iot.Grant { g.Role, g.ByGroup = "", ""; return g } // wherever it comes from
	for _, g := range grants {
		if !slices.ContainsFunc(p.Grants, func(mine iot.Grant) bool { return what(mine) == what(g) }) {
			return fault.E(op, fault.Denied, fault.Subject(g.Object.String()), "Access is denied. The user has rights on the object "+g.Object.String()+" that you do not have")
		}
	}
	return nil
}

// Manage returns a user of p's tenant whom p may change, which does not include to read others.
func (u *Users) Manage(ctx context.Context, p iot.Principal, name iot.UserName) (User, error) {
	const op = fault.Op("access.Manage")
	admin := u.d.Policy.Check(ctx, p, UserAdmin, Update, Object{})
	if admin != nil && !u.isManager(ctx, p) {
		return User{}, admin
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if errors.Is(err, sql.ErrNoRows) && admin != nil {
		return User{}, admin // a manager does not learn who exists
	}
	if err != nil {
		return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+clip(string(name), 100)+"'")
	}
	return user, u.mayManage(ctx, p, user)
}

// mayGrant returns nil if p may give the roles and groups to a user who has what had says. had is the user before the change.
func (u *Users) mayGrant(ctx context.Context, p iot.Principal, had User, roles []string, ids []int64) error {
	const op = fault.Op("access.Grant")
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	if err := grantable(p, roles, had.Roles); err != nil {
		return err
	}
	granted := slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return slices.Contains(had.Roles, r) })
	for _, id := range ids {
		i := slices.IndexFunc(groups, func(g Group) bool { return g.ID == id })
		if i < 0 {
			return fault.E(op, fault.NotFound, fault.Subject("group"), "there is no such global role")
		}
		if slices.Contains(had.Groups, id) {
			continue
		}
		for _, r := range groups[i].Roles {
			if slices.Contains(reserved, r) {
				if err := grantable(p, []string{r}, nil); err != nil {
					return err
				}
			}
		}
		granted = append(granted, groups[i].Roles...)
	}
	if (len(granted) == 0 && len(ids) == 0) || u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}) == nil {
		return nil
	}
	if err := u.holdsGrants(ctx, p, User{Name: had.Name, Groups: ids}); err != nil { // device permissions of the groups
		return err
	}
	limits := [][]string{p.Roles}
	if had.Owner != "" && had.Owner != p.User {
		parent, err := u.d.Store.User(ctx, p.Tenant, had.Owner)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return sqlkit.Fault(op, err)
		}
		limits = append(limits, effective(parent, groups))
	}
	for _, r := range granted {
		for _, limit := range limits {
			if !slices.Contains(limit, r) {
				return fault.E(op, fault.Denied, fault.Subject(r), "Access is denied. The permission "+r+" can only be given by who holds it, to who stands below somebody who does")
			}
		}
	}
	return nil
}

// SetOwner moves a user below another one, or to the top if owner is empty.
func (u *Users) SetOwner(ctx context.Context, p iot.Principal, name, owner iot.UserName) error {
	return u.relate(ctx, p, name, owner, "User owner updated", func(user *User, to User) error {
		chain, err := u.above(ctx, p.Tenant, User{Name: user.Name, Owner: to.Name})
		if err != nil {
			return err
		}
		if to.Name == user.Name || len(chain) >= maxDepth-1 {
			return fault.E(fault.Op("access.SetOwner"), fault.Invalid, "Cyclic or too deep user hierarchy: the owner stands below the user")
		}
		if to.Name != "" { // the chain stops at a circle: then it does not reach the top
			if last := chain[len(chain)-1]; last.Owner == user.Name {
				return fault.E(fault.Op("access.SetOwner"), fault.Invalid, "Cyclic user hierarchy: the owner stands below the user")
			}
		}
		user.Owner = to.Name
		return nil
	})
}

// SetDelegate makes a user the delegate of another one: they may manage whom that one may manage as an owner. Empty: of nobody.
func (u *Users) SetDelegate(ctx context.Context, p iot.Principal, name, by iot.UserName) error {
	return u.relate(ctx, p, name, by, "User delegation updated", func(user *User, to User) error {
		if to.Name == user.Name {
			return fault.E(fault.Op("access.SetDelegate"), fault.Invalid, "a user cannot be the delegate of themselves")
		}
		user.DelegatedBy = to.Name
		return nil
	})
}

// relate changes how a user stands to another one. A manager can only name themselves or users below.
func (u *Users) relate(ctx context.Context, p iot.Principal, name, other iot.UserName, activity string, set func(user *User, to User) error) error {
	return again(func() error { return u.relateOnce(ctx, p, name, other, activity, set) })
}

func (u *Users) relateOnce(ctx context.Context, p iot.Principal, name, other iot.UserName, activity string, set func(user *User, to User) error) error {
	const op = fault.Op("access.Relate")
	user, err := u.Manage(ctx, p, name)
	if err != nil {
		return err
	}
	var to User
	if other != "" {
		if to, err = u.d.Store.User(ctx, p.Tenant, other); err != nil {
			return fault.E(op, fault.Subject(other), sqlkit.Fault(op, err), "no user with the name '"+clip(string(other), 100)+"'")
		}
	}
	if u.isManager(ctx, p) && to.Name != p.User {
		if to.Name == "" {
			return u.d.Policy.Check(ctx, p, UserAdmin, Update, Object{})
		}
		if err := u.mayManage(ctx, p, to); err != nil {
			return err
		}
	}
	before := user
	if err := set(&user, to); err != nil {
		return err
	}
	if err := u.putUser(ctx, p, user, false); err != nil {
		return err
	}
	u.record(ctx, p, activity, user.Name, userChanges(before, user))
	return nil
}
