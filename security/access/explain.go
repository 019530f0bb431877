package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Question is what somebody would like to do: the arguments of Policy.Check without the principal.
type Question struct {
	Family Family
	Level  Level
	Object Object // with Above and Fragments, whoever asks
}

// Answer says whether a request is granted, and why or what is missing. It comes from the very function that decides about requests.
type Answer struct {
	User    iot.UserName
	Allowed bool
	Layer   Layer // what grants it, if allowed
	// Permission is the one that grants, and Holders the global roles through which the user holds it; empty: directly.
	Permission string
	Holders    []string
	Grants     []iot.Grant // the inventory roles and device permissions that grant it
	Missing    []Missing   // if refused, what alone would grant it, the nearest first
	Disabled   bool        // the account cannot log in, whatever it holds
}

// Missing is one thing that would grant what is refused.
type Missing struct {
	Kind MissingKind
	Name string // a global role, an inventory role, a permission, a user, or fragments
	// Extra counts the permissions that the thing would grant beside what was asked for: the fewest are the nearest.
	Extra int
}

// MissingKind is the kind of a missing thing.
type MissingKind string

// The kinds of missing things.
const (
	MissingFragments     MissingKind = "FRAGMENTS"      // a grant reaches the object, but does not cover these fragments of it
	MissingInventoryRole MissingKind = "INVENTORY_ROLE" // assigned on the object or above it
	MissingGlobalRole    MissingKind = "GLOBAL_ROLE"
	MissingPermission    MissingKind = "PERMISSION"
	MissingOwner         MissingKind = "OWNER" // only the owner may
)

const maxMissing = 5 // of each kind

// realm is all that decisions in a tenant depend on.
type realm struct {
	groups      []Group
	roles       []InventoryRole
	assignments []Assignment
	permissions []DevicePermission
}

func (u *Users) realm(ctx context.Context, t iot.TenantID) (r realm, err error) {
	if r.groups, err = u.d.Store.Groups(ctx, t); err == nil {
		r.roles, err = u.d.Grants.InventoryRoles(ctx, t)
	}
	if err == nil {
		r.assignments, err = u.d.Grants.Assignments(ctx, t, "")
	}
	if err == nil {
		r.permissions, err = u.d.Grants.DevicePermissions(ctx, t, 0, "", nil)
	}
	return r, sqlkit.Fault("access.Explain", err)
}

// principal is what a login of the user would make.
func (r *realm) principal(t iot.TenantID, user User) iot.Principal {
	var assignments []Assignment
	var permissions []DevicePermission
	for _, a := range r.assignments {
		if a.User == user.Name {
			assignments = append(assignments, a)
		}
	}
	for _, p := range r.permissions {
		if p.User == user.Name || p.User == "" && slices.Contains(user.Groups, p.Group) {
			permissions = append(permissions, p)
		}
	}
	return iot.Principal{Tenant: t, User: user.Name, Roles: effective(user, r.groups), Grants: compile(assignments, r.roles, permissions, r.groups)}
}

// Explain answers whether a user may do something, and why. Everybody may ask about themselves.
func (u *Users) Explain(ctx context.Context, p iot.Principal, name iot.UserName, q Question) (Answer, error) {
	const op = fault.Op("access.Explain")
	if name != p.User {
		if err := u.MayRead(ctx, p); err != nil {
			return Answer{}, err
		}
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if err != nil {
		return Answer{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	r, err := u.realm(ctx, p.Tenant)
	if err != nil {
		return Answer{}, err
	}
	return r.explain(p.Tenant, user, q), nil
}

func (r *realm) explain(t iot.TenantID, user User, q Question) Answer {
	p := r.principal(t, user)
	why, ok := decide(p, q.Family, q.Level, q.Object)
	a := Answer{User: user.Name, Allowed: ok, Layer: why.layer, Permission: why.permission, Grants: why.grants, Disabled: !user.Enabled}
	if ok {
		if why.permission != "" && !slices.Contains(user.Roles, why.permission) {
			for _, g := range r.groups {
				if slices.Contains(user.Groups, g.ID) && slices.Contains(g.Roles, why.permission) {
					a.Holders = append(a.Holders, g.Name)
				}
			}
		}
		return a
	}
	a.Missing = r.missing(p, user, q)
	return a
}

// missing lists what alone would grant the request, nearest first: first what lies at the object, then what reaches further.
func (r *realm) missing(p iot.Principal, user User, q Question) []Missing {
	var out []Missing
	if q.Family.kind() != "" && q.Object.ID != 0 {
		if names := uncovered(p, q); len(names) > 0 {
			out = append(out, Missing{Kind: MissingFragments, Name: strings.Join(names, ", ")})
		}
		var roles []Missing
		for _, role := range r.roles {
			with := q.Object
			grants := compile([]Assignment{{User: user.Name, Object: with.ID, Roles: []int64{role.ID}}}, []InventoryRole{role}, nil, nil)
			if covering(append(grants, p.Grants...), q.Family, q.Level, with) != nil {
				roles = append(roles, Missing{Kind: MissingInventoryRole, Name: role.Name, Extra: len(role.Permissions) - 1})
			}
		}
		out = append(out, nearest(roles)...)
		if q.Family.owned(q.Level) && q.Object.Owner != "" {
			out = append(out, Missing{Kind: MissingOwner, Name: string(q.Object.Owner)})
		}
	}
	var groups []Missing
	needed := q.Family.roles(q.Level)
	for _, g := range r.groups {
		if g.Name != DeviceGroup && slices.ContainsFunc(needed, func(role string) bool { return slices.Contains(g.Roles, role) }) {
			extra := 0
			for _, role := range g.Roles {
				if !p.Has(role) {
					extra++
				}
			}
			groups = append(groups, Missing{Kind: MissingGlobalRole, Name: g.Name, Extra: extra - 1})
		}
	}
	out = append(out, nearest(groups)...)
	for _, role := range needed {
		out = append(out, Missing{Kind: MissingPermission, Name: role})
	}
	return out
}

func nearest(m []Missing) []Missing {
	slices.SortStableFunc(m, func(a, b Missing) int { return cmp.Compare(a.Extra, b.Extra) })
	return m[:min(len(m), maxMissing)]
}

// uncovered returns the fragments of the object that keep grants which reach it from allowing the request.
func uncovered(p iot.Principal, q Question) []string {
	var reached bool
	covered := map[string]bool{}
	for _, g := range p.Grants {
		if applies(g, q.Family, q.Level, q.Object) {
			reached = true
			covered[g.Fragment] = true
		}
	}
	if !reached {
		return nil
	}
	var out []string
	for _, name := range q.Object.Fragments {
		if !covered[name] {
			out = append(out, name)
		}
	}
	if len(q.Object.Fragments) == 0 {
		out = append(out, iot.AnyFragment)
	}
	return out
}

// eachUser calls fn with every account of a tenant, people first.
func (u *Users) eachUser(ctx context.Context, t iot.TenantID, fn func(User)) error {
	const page = 1000
	for _, devices := range []bool{false, true} {
		for offset := 0; ; offset += page {
			users, _, err := u.d.Store.Users(ctx, t, UserQuery{OnlyDevices: devices, Offset: offset, Limit: page})
			if err != nil {
				return err
			}
			for _, user := range users {
				fn(user)
			}
			if len(users) < page {
				break
			}
		}
	}
	return nil
}

// WhoMay returns a page of the accounts that may do something, with the reason of each, and the number of all of them.
func (u *Users) WhoMay(ctx context.Context, p iot.Principal, q Question, offset, limit int) ([]Answer, int, error) {
	if err := u.MayRead(ctx, p); err != nil {
		return nil, 0, err
	}
	r, err := u.realm(ctx, p.Tenant)
	if err != nil {
		return nil, 0, err
	}
	var out []Answer
	n := 0
	err = u.eachUser(ctx, p.Tenant, func(user User) {
		if _, ok := decide(r.principal(p.Tenant, user), q.Family, q.Level, q.Object); !ok {
			return
		}
		if n >= offset && n < offset+limit {
			out = append(out, r.explain(p.Tenant, user, q))
		}
		n++
	})
	return out, n, sqlkit.Fault("access.WhoMay", err)
}

// Draft is a change of roles that is not saved yet. What is nil stays as it is.
type Draft struct {
	Group         *Group         // with its id; id 0 is a new one, which nobody has yet
	InventoryRole *InventoryRole // likewise
	// User, with Roles and Groups if not nil, and Assignments that replace those on the same objects (without roles: take them away).
	User        iot.UserName
	Roles       *[]string
	Groups      *[]int64
	Assignments []Assignment
}

// Effect is what a draft would change for one account.
type Effect struct {
	User         iot.UserName
	Gained, Lost []string // permissions and grants, as texts
	// Before and After answer the question that came with the draft, if any.
	Before, After *Answer
}

// maxEffects bounds how many accounts WhatIf names.
const maxEffects = 1000

// WhatIf returns what a draft would change, for up to 1000 accounts, and the number of all that it touches. q may be nil.
func (u *Users) WhatIf(ctx context.Context, p iot.Principal, d Draft, q *Question) ([]Effect, int, error) {
	const op = fault.Op("access.WhatIf")
	if err := u.MayRead(ctx, p); err != nil {
		return nil, 0, err
	}
	before, err := u.realm(ctx, p.Tenant)
	if err != nil {
		return nil, 0, err
	}
	if d.User != "" {
		user, err := u.d.Store.User(ctx, p.Tenant, d.User)
		if err != nil {
			return nil, 0, fault.E(op, fault.Subject(d.User), sqlkit.Fault(op, err), "no user with the name '"+string(d.User)+"'")
		}
		d.User = user.Name
	}
	after, err := before.with(d)
	if err != nil {
		return nil, 0, fault.E(op, err)
	}
	var out []Effect
	n := 0
	err = u.eachUser(ctx, p.Tenant, func(user User) {
		then := user
		if user.Name == d.User {
			if d.Roles != nil {
				then.Roles = *d.Roles
			}
			if d.Groups != nil {
				then.Groups = *d.Groups
			}
		}
		e := Effect{User: user.Name}
		was, will := rights(before.principal(p.Tenant, user)), rights(after.principal(p.Tenant, then))
		e.Gained, e.Lost = minus(will, was), minus(was, will)
		if len(e.Gained)+len(e.Lost) == 0 {
			return
		}
		if n++; len(out) >= maxEffects {
			return
		}
		if q != nil {
			a, b := before.explain(p.Tenant, user, *q), after.explain(p.Tenant, then, *q)
			e.Before, e.After = &a, &b
		}
		out = append(out, e)
	})
	return out, n, sqlkit.Fault(op, err)
}

// with is the realm after a draft.
func (r realm) with(d Draft) (realm, error) {
	if d.Group != nil {
		r.groups = slices.Clone(r.groups)
		i := slices.IndexFunc(r.groups, func(g Group) bool { return g.ID == d.Group.ID })
		if i < 0 && d.Group.ID != 0 {
			return r, fault.Errorf("access.WhatIf", fault.NotFound, "no group with the id %d", d.Group.ID)
		}
		if i >= 0 {
			r.groups[i].Roles = sorted(slices.Clone(d.Group.Roles))
		}
	}
	if d.InventoryRole != nil {
		for _, x := range d.InventoryRole.Permissions {
			if err := x.check(); err != nil {
				return r, err
			}
		}
		r.roles = slices.Clone(r.roles)
		i := slices.IndexFunc(r.roles, func(x InventoryRole) bool { return x.ID == d.InventoryRole.ID })
		if i < 0 && d.InventoryRole.ID != 0 {
			return r, noInventoryRole(d.InventoryRole.ID)
		}
		if i >= 0 {
			r.roles[i].Permissions = d.InventoryRole.Permissions
		}
	}
	for _, a := range d.Assignments {
		a.User = d.User
		r.assignments = slices.DeleteFunc(slices.Clone(r.assignments), func(x Assignment) bool { return x.User == a.User && x.Object == a.Object })
		if len(a.Roles) > 0 {
			r.assignments = append(r.assignments, a)
		}
	}
	return r, nil
}

// rights are all that a principal holds, as texts, sorted.
func rights(p iot.Principal) []string {
	out := slices.Clone(p.Roles)
	for _, g := range p.Grants {
		where := " on "
		if g.Below {
			where = " on and below "
		}
		out = append(out, fmt.Sprintf("%s:%s:%s%s%s", g.Scope, g.Fragment, g.Level, where, g.Object))
	}
	return sorted(out)
}

// minus returns what a has and b has not; both are sorted.
func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { _, ok := slices.BinarySearch(b, s); return ok })
}
