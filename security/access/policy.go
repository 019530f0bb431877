package access

import (
	"context"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Family is a family of permissions: ROLE_<family>_<level>.
type Family string

// The families.
const (
	Inventory     Family = "INVENTORY"
	ManagedObject Family = "MANAGED_OBJECT"
	Binary        Family = "BINARY"
	Identity      Family = "IDENTITY"
	Measurement   Family = "MEASUREMENT"
	Event         Family = "EVENT"
	Alarm         Family = "ALARM"
	Operation     Family = "DEVICE_CONTROL"
	BulkOperation Family = "BULK_OPERATION"
	Audit         Family = "AUDIT"
	UserAdmin     Family = "USER_MANAGEMENT"
	OwnUser       Family = "USER_MANAGEMENT_OWN"
	TenantAdmin   Family = "TENANT_MANAGEMENT"
	Option        Family = "OPTION_MANAGEMENT"
	Application   Family = "APPLICATION_MANAGEMENT"
	Bootstrap     Family = "DEVICE_BOOTSTRAP"
)

// Level is what a request wants to do.
type Level uint8

// The levels. Admin does not include Read; it does include Create and Update.
const (
	Read Level = iota + 1
	Create
	Update
	Admin
)

// Object is what a request is about, as far as a decision needs to know it.
type Object struct {
	ID     iot.ID
	Owner  iot.UserName // of the managed object, or of the source of data
	Global bool         // carries c8y_Global
}

// Policy makes the decisions. The zero value is ready; it is safe for concurrent use.
type Policy struct{}

// Check returns nil if p may do this, and a fault of kind Denied that names the missing permission otherwise.
// Use a zero Object for what has no owner.
func (*Policy) Check(_ context.Context, p iot.Principal, f Family, l Level, o Object) error {
	if p.Tenant == "" || p.User == "" {
		return fault.E(fault.Op("access.Check"), fault.Unauthenticated)
	}
	if global(p, f, l) {
		return nil
	}
	if o.Owner != "" && o.Owner == p.User {
		return nil
	}
	if o.Global && l == Read && (f == Inventory || f == ManagedObject || f == Binary) {
		return nil
	}
	return fault.E(fault.Op("access.Check"), fault.Denied, p.Tenant, fault.Subject(role(f, l)), "Access is denied. The permission "+role(f, l)+" is needed")
}

// global reports whether a permission that p holds grants the level in the whole tenant.
func global(p iot.Principal, f Family, l Level) bool {
	if p.Has(iot.RoleSystem) {
		return true
	}
	for _, family := range f.families() {
		switch l {
		case Read:
			if p.Has("ROLE_" + string(family) + "_READ") {
				return true
			}
		case Create:
			if p.Has("ROLE_"+string(family)+"_CREATE") || p.Has("ROLE_"+string(family)+"_ADMIN") {
				return true
			}
		case Update:
			if p.Has("ROLE_"+string(family)+"_UPDATE") || p.Has("ROLE_"+string(family)+"_ADMIN") {
				return true
			}
		case Admin:
			if p.Has("ROLE_" + string(family) + "_ADMIN") {
				return true
			}
		}
	}
	return f == Bootstrap && p.Has("ROLE_DEVICE_BOOTSTRAP")
}

// families returns the families that grant f: ROLE_INVENTORY_x stands for both managed objects and binaries.
func (f Family) families() []Family {
	switch f {
	case Inventory, ManagedObject:
		return []Family{Inventory, ManagedObject}
	case Binary:
		return []Family{Inventory, Binary}
	}
	return []Family{f}
}

func role(f Family, l Level) string {
	suffix := "_READ"
	switch l {
	case Create:
		suffix = "_CREATE"
	case Update, Admin:
		suffix = "_ADMIN"
	}
	if f == Bootstrap {
		suffix = ""
	}
	return "ROLE_" + string(f) + suffix
}

// Scope is which objects of a tenant a principal may read, for use inside a query.
type Scope struct {
	All    bool
	Owner  iot.UserName // the owner's own, if not All
	Global bool         // and those with c8y_Global
}

// Scope returns which objects (or data of which sources) p may read. It fails with Denied if there can be none.
func (*Policy) Scope(_ context.Context, p iot.Principal, f Family) (Scope, error) {
	switch {
	case p.Tenant == "" || p.User == "":
		return Scope{}, fault.E(fault.Op("access.Scope"), fault.Unauthenticated)
	case global(p, f, Read):
		return Scope{All: true}, nil
	case f == Audit:
		return Scope{}, fault.E(fault.Op("access.Scope"), fault.Denied, p.Tenant, fault.Subject(role(f, Read)))
	}
	return Scope{Owner: p.User, Global: f == Inventory || f == ManagedObject || f == Binary}, nil
}

// Allows reports whether the scope contains an object.
func (s Scope) Allows(o Object) bool {
	return s.All || (o.Owner != "" && o.Owner == s.Owner) || (s.Global && o.Global)
}

// SQL returns the condition on the managed object whose tenant and id are in the given columns, with its arguments.
// It is the only place outside of the registry that knows the table of managed objects.
func (s Scope) SQL(tenantColumn, idColumn string) (string, []any) {
	if s.All {
		return "1=1", nil
	}
	cond := "scope.owner = ?"
	if s.Global {
		cond = "(" + cond + " OR scope.is_global = 1)"
	}
	return "EXISTS (SELECT 1 FROM managed_object scope WHERE scope.tenant = " + tenantColumn + " AND scope.id = " + idColumn + " AND " + cond + ")", []any{string(s.Owner)}
}
