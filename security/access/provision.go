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

// Provision is a person whom another directory vouches for, together with what the rules of a login option give them.
type Provision struct {
	Identity ExternalIdentity // ManageGroups is not looked at
	// Matched says that a rule applies. Who no rule applies to is refused, and loses what earlier logins gave.
	Matched bool
	// OnlyNew gives rights only to an account that is made now; one that exists keeps its own, and may enter whatever the rules say.
	OnlyNew bool
	// Partial leaves alone what no rule can give: other groups than Managed, other objects and roles than those of ManagedRoles.
	Partial bool
	Managed []int64 // groups
	// Roles are ids of inventory roles by object, ManagedRoles all that any rule can give. Without any, inventory roles are not managed at all.
	Roles, ManagedRoles map[iot.ID][]int64
}

// Provision creates or updates an account and its rights, for the platform: the caller has verified the identity. exists says whether an object
// is there; what is granted on one that is not, is left out. It returns the identity as Adopt wants it, so that nothing is given twice.
func (u *Users) Provision(ctx context.Context, t iot.TenantID, p Provision, exists func(iot.ID) error) (id ExternalIdentity, err error) {
	for range 3 { // the first logins of a person may come at once: all but one find an account that was not there
		if id, err = u.provision(ctx, t, p, exists); !fault.Is(err, fault.Exists) {
			break
		}
	}
	return id, err
}

func (u *Users) provision(ctx context.Context, t iot.TenantID, p Provision, exists func(iot.ID) error) (ExternalIdentity, error) {
	const op = fault.Op("access.Provision")
	id := p.Identity
	user, err := u.d.Store.Account(ctx, t, id.User)
	create := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !create:
		return id, sqlkit.Fault(op, err)
	case !p.Matched && (create || user.Origin != id.Origin):
		return id, errNoAccess
	case p.OnlyNew && !create:
		id.Groups, id.ManageGroups = nil, false
		return id, nil
	case p.Partial && !create:
		id.Groups = slices.Clone(id.Groups)
		for _, g := range user.Groups {
			if !slices.Contains(p.Managed, g) {
				id.Groups = append(id.Groups, g)
			}
		}
	}
	id.ManageGroups = true
	if user, err = u.adopt(ctx, t, id); err != nil {
		return id, err
	}
	if err := u.provisionRoles(ctx, t, user.Name, p, exists); err != nil {
		return id, err
	}
	if !p.Matched {
		return id, errNoAccess
	}
	id.Groups, id.ManageGroups = nil, false
	return id, nil
}

// errNoAccess refuses who is known but may not enter. c8y: login forms show these words as they are.
var errNoAccess = fault.E(fault.Op("access.Provision"), fault.Denied, fault.Reason("mapping"), "Access is denied")

// provisionRoles makes the inventory roles of a user what the rules say.
func (u *Users) provisionRoles(ctx context.Context, t iot.TenantID, name iot.UserName, p Provision, exists func(iot.ID) error) error {
	if u.d.Grants == nil || len(p.ManagedRoles) == 0 {
		return nil
	}
	had, err := u.d.Grants.Assignments(ctx, t, name)
	if err != nil {
		return sqlkit.Fault("access.Provision", err)
	}
	platform := iot.System(t)
	assigned := map[iot.ID]bool{}
	for _, a := range had {
		assigned[a.Object] = true
		want := slices.Clone(p.Roles[a.Object])
		for _, r := range a.Roles {
			if p.Partial && !slices.Contains(p.ManagedRoles[a.Object], r) {
				want = append(want, r)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		switch {
		case slices.Equal(want, a.Roles):
		case len(want) == 0:
			err = u.Unassign(ctx, platform, name, a.ID)
		default:
			_, err = u.Assign(ctx, platform, Assignment{ID: a.ID, User: name, Roles: want}, exists)
		}
		if err != nil {
			return err
		}
	}
	for object, roles := range p.Roles {
		if assigned[object] || len(roles) == 0 {
			continue
		}
		if _, err := u.Assign(ctx, platform, Assignment{User: name, Object: object, Roles: roles}, exists); err != nil {
			if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) {
				return err
			}
			u.d.Log.Warn("a rule of a login option names an object or an inventory role that is not there", "tenant", t, "user", name, "object", object, "err", err)
		}
	}
	return nil
}

// ReportLogin audits, bounded like other failed logins, that a login through another system was refused. why is for administrators. A tenant
// that does not exist gets no record.
func (u *Users) ReportLogin(ctx context.Context, t iot.TenantID, l Login, why string) {
	if u.d.Tenants.Active(ctx, t) != nil {
		return
	}
	p := iot.Principal{Tenant: t, User: iot.UserName(clip(l.User, maxUserName)), RemoteAddr: l.RemoteAddr, Application: l.Application}
	who := ""
	if p.User != "" {
		who = " of '" + string(p.User) + "'"
	}
	u.tally.record(ctx, p, "User login failed", "Login"+who+" from "+host(l.RemoteAddr)+" failed: "+clip(why, 500), u.d.Clock.Now())
}
