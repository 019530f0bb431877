package iot

import (
	"slices"
	"strings"
)

// UserName names a user within one tenant; the same name in two tenants means two users.
type UserName string

// DeviceUserPrefix starts the name of every account that belongs to a device.
const DeviceUserPrefix = "device_"

// DeviceUser returns the account name of the device with the given external id.
func DeviceUser(externalID string) UserName { return UserName(DeviceUserPrefix + externalID) }

// IsDevice reports whether the account belongs to a device.
func (u UserName) IsDevice() bool { return strings.HasPrefix(string(u), DeviceUserPrefix) }

// Principal is who makes a request: the single result of every way to log in. It is made by security/access only.
type Principal struct {
	Tenant TenantID
	User   UserName
	Roles  []string // effective permissions (ROLE_...), sorted, without duplicates
	Grants []Grant  // access to single objects, beside the permissions that hold everywhere

	// Application is the key that marks traffic of applications: it does not count as a sign of life of a device.
	Application string
	// TokenID identifies the token or session that proved the identity, empty for Basic authentication.
	TokenID string
	// XSRF is the value that a cookie-authenticated request must repeat in a header.
	XSRF string
	// Key is the id of the API key that stands for the user; empty: the user is here in person. For a key only Roles and Grants count, not what is
	// the user's own.
	Key string
	// RemoteAddr is the network address of the client, for the audit.
	RemoteAddr string
}

// Grant gives access to one managed object, or to all from it downwards: one line of an inventory role that was assigned there, or a
// device permission. Grants add up; none takes anything away.
type Grant struct {
	Object   ID         // where it was given
	Below    bool       // holds for all that hangs below the object as well: child devices, assets and additions
	Scope    GrantScope // what kind of data it is about
	Fragment string     // the fragment that it covers; AnyFragment covers all, and objects without any
	Level    GrantLevel
	Role     string // the inventory role that it comes from; empty for a device permission
	ByGroup  string // the global role that holds the device permission, if it is not the user's own
}

// AnyFragment is the fragment of a grant that covers every document.
const AnyFragment = "*"

// GrantScope is the kind of data that a grant is about.
type GrantScope string

// The scopes of grants.
const (
	ScopeAny           GrantScope = "*"
	ScopeManagedObject GrantScope = "MANAGED_OBJECT"
	ScopeMeasurement   GrantScope = "MEASUREMENT"
	ScopeEvent         GrantScope = "EVENT"
	ScopeAlarm         GrantScope = "ALARM"
	ScopeOperation     GrantScope = "OPERATION"
	ScopeAudit         GrantScope = "AUDIT"
)

// Valid reports whether the scope is one that exists.
func (s GrantScope) Valid() bool {
	switch s {
	case ScopeAny, ScopeManagedObject, ScopeMeasurement, ScopeEvent, ScopeAlarm, ScopeOperation, ScopeAudit:
		return true
	}
	return false
}

// GrantLevel is what a grant allows.
type GrantLevel string

// The levels of grants. Change does not include Read.
const (
	GrantRead   GrantLevel = "READ"
	GrantChange GrantLevel = "ADMIN"
	GrantAll    GrantLevel = "*"
)

// Valid reports whether the level is one that exists.
func (l GrantLevel) Valid() bool { return l == GrantRead || l == GrantChange || l == GrantAll }

// Has reports whether the principal holds a permission.
func (p Principal) Has(role string) bool {
	_, ok := slices.BinarySearch(p.Roles, role)
	return ok
}

// System returns the principal with which the platform itself acts inside a tenant. It holds every permission and
// must never be derived from a request.
func System(t TenantID) Principal {
	return Principal{Tenant: t, User: "system", Roles: []string{RoleSystem}}
}

// RoleSystem marks the platform's own services.
const RoleSystem = "ROLE_SYSTEM"
