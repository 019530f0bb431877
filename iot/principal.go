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

	// Application is the key that marks traffic of applications: it does not count as a sign of life of a device.
	Application string
	// TokenID identifies the token or session that proved the identity, empty for Basic authentication.
	TokenID string
	// XSRF is the value that a cookie-authenticated request must repeat in a header.
	XSRF string
	// RemoteAddr is the network address of the client, for the audit.
	RemoteAddr string
}

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
