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

// Prefixes of the accounts of services.
const (
	ServicePrefix          = "service_"          // acts in a tenant that is subscribed
	ServiceBootstrapPrefix = "servicebootstrap_" // learns who is subscribed
)

// ServiceRoles returns a fault unless a service that belongs to the owner may hold the roles. Services may bring roles of their own, but not those
// that speak for the platform; those that reach beyond a tenant are for services of the management.
func ServiceRoles(owner iot.TenantID, roles []string) error {
	for _, r := range roles {
		if r == iot.RoleSystem || owner != iot.Management && slices.Contains(reserved, r) {
			return fault.E(fault.Op("access.ServiceRoles"), fault.Denied, fault.Subject(r), "a microservice of this tenant must not have the role "+r)
		}
	}
	return nil
}

// ServiceAccount creates the account of a service, or makes its permissions and, unless it is empty, its password the given ones. The name must start with
// ServicePrefix or ServiceBootstrapPrefix. It acts for the platform: the caller has checked ServiceRoles.
func (u *Users) ServiceAccount(ctx context.Context, t iot.TenantID, name iot.UserName, password string, roles []string) error {
	const op = fault.Op("access.ServiceAccount")
	if err := validUserName(name); err != nil || !machineName(name) || name.IsDevice() {
		return fault.E(op, fault.Invalid, err, "this is not the name of a service")
	}
	now, p, want := u.d.Clock.Now(), iot.System(t), sorted(slices.Clone(roles))
	err := again(func() error {
		user, err := u.d.Store.Account(ctx, t, name)
		create := errors.Is(err, sql.ErrNoRows)
		switch {
		case create:
			user = User{Name: name, Created: now}
		case err != nil:
			return sqlkit.Fault(op, err)
		case password == "" && slices.Equal(user.Roles, want) && user.Enabled:
			return nil
		}
		user.Enabled, user.Roles, user.Groups = true, want, nil
		if password != "" {
			user.PasswordHash, user.PasswordSince = hashSecret(password), now
		}
		return u.putUser(ctx, p, user, create)
	})
	u.changed(t, name)
	return err
}

// RemoveServiceAccount deletes the account of a service, if there is one. It acts for the platform.
func (u *Users) RemoveServiceAccount(ctx context.Context, t iot.TenantID, name iot.UserName) error {
	if !machineName(name) || name.IsDevice() {
		return fault.E(fault.Op("access.RemoveServiceAccount"), fault.Invalid, "this is not the name of a service")
	}
	err := u.d.Store.DeleteUser(ctx, t, name, u.revision(iot.System(t)))
	u.changed(t, name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return sqlkit.Fault("access.RemoveServiceAccount", err)
}
