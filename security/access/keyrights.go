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

// Right is one thing that an API key may be for: to do something with one kind of resource.
type Right struct {
	Resource string `json:"resource"` // a family, such as ALARM
	Verb     string `json:"verb"`     // READ, CREATE, UPDATE or ADMIN, as in permissions
}

// keyFamilies are what API keys can be for. Not users, tenants and what lets devices in: a key must not be able to make something that outlives it.
var keyFamilies = []Family{Inventory, ManagedObject, Binary, Identity, Measurement, Event, Alarm, Operation, BulkOperation, Audit, Option, Application}

var verbs = map[string]Level{"READ": Read, "CREATE": Create, "UPDATE": Update, "ADMIN": Admin}

// Level is the verb as a level, zero if there is no such verb.
func (r Right) Level() Level { return verbs[r.Verb] }

// Check returns a fault of kind Invalid unless a key can be for that. Of keys for single sources only READ and ADMIN of data about objects can be told.
func (r Right) Check(sources bool) error {
	const op = fault.Op("access.Right")
	f := Family(r.Resource)
	switch {
	case !slices.Contains(keyFamilies, f):
		return fault.E(op, fault.Invalid, fault.Subject(r.Resource), "a scope must be about one of INVENTORY, MANAGED_OBJECT, BINARY, IDENTITY, MEASUREMENT, EVENT, ALARM, DEVICE_CONTROL, BULK_OPERATION, AUDIT, OPTION_MANAGEMENT and APPLICATION_MANAGEMENT")
	case r.Level() == 0:
		return fault.E(op, fault.Invalid, fault.Subject(r.Verb), "the verb of a scope must be READ, CREATE, UPDATE or ADMIN")
	case f == Application && r.Level() != Read: // it gives the credentials of services
		return fault.E(op, fault.Invalid, fault.Subject(r.Verb), "a key can only READ APPLICATION_MANAGEMENT")
	case sources && (f.kind() == "" || f == ManagedObject || f == Binary || f == Identity || r.Level() != Read && r.Level() != Admin):
		return fault.E(op, fault.Invalid, fault.Subject(r.Resource), "a key for single sources can READ or ADMIN INVENTORY, MEASUREMENT, EVENT, ALARM, DEVICE_CONTROL and AUDIT")
	}
	return nil
}

// KeyRights is what an API key leaves of its owner.
type KeyRights struct {
	ID      string
	Rights  []Right
	Sources []iot.ID // only there and below; none: everywhere
}

// cut returns the principal of a key: of what the owner holds in the whole tenant, what the key is for, and nothing else. What the owner has on
// single objects only does not come with it, and neither does ownership (see decide).
func (k KeyRights) cut(owner iot.Principal) iot.Principal {
	p := iot.Principal{Tenant: owner.Tenant, User: owner.User, Key: k.ID}
	for _, r := range k.Rights {
		f, l := Family(r.Resource), r.Level()
		if r.Check(len(k.Sources) > 0) != nil || global(owner, f, l) == "" || owner.Has(iot.RoleSystem) {
			continue
		}
		if len(k.Sources) == 0 {
			p.Roles = append(p.Roles, "ROLE_"+r.Resource+"_"+r.Verb)
			continue
		}
		level := iot.GrantRead
		if l == Admin {
			level = iot.GrantChange
		}
		for _, id := range k.Sources {
			p.Grants = append(p.Grants, iot.Grant{Object: id, Below: true, Scope: f.kind(), Fragment: iot.AnyFragment, Level: level, Role: "API key"})
		}
	}
	p.Roles = sorted(p.Roles)
	return p
}

// WithKey returns the principal of an API key that the caller has verified. An owner who is gone, disabled or must change the password, or whose
// tenant must not be used, is a fault of kind Unauthenticated. The use is audited like a login with a password.
func (u *Users) WithKey(ctx context.Context, t iot.TenantID, name iot.UserName, k KeyRights, remoteAddr string) (iot.Principal, error) {
	const op = fault.Op("access.WithKey")
	if u.d.Tenants.Active(ctx, t) != nil {
		return iot.Principal{}, errBadCredentials
	}
	user, err := u.d.Store.Account(ctx, t, name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return iot.Principal{}, errBadCredentials
	case err != nil:
		return iot.Principal{}, sqlkit.Fault(op, err)
	case !user.Enabled || user.MustReset:
		return iot.Principal{}, errBadCredentials
	}
	owner, err := u.principal(ctx, t, user)
	if err != nil {
		return iot.Principal{}, err
	}
	p := k.cut(owner)
	p.RemoteAddr, p.Application = remoteAddr, "apikey:"+k.ID
	if u.guard.succeeded(t, user.Name, host(remoteAddr), u.d.Clock.Now()) {
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login", Text: "User '" + string(p.User) + "' logged in with the API key '" + k.ID + "'"})
	}
	return p, nil
}
