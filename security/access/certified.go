package access

import (
	"context"
	"database/sql"
	"errors"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Certified logs in a device whose certificate the caller has verified. create makes its account if there is none, without a password: only a
// certificate opens it. An account that is missing and not to be made is a fault of kind NotFound; one that is disabled, or of a tenant that
// must not be used, one of kind Unauthenticated. The login is audited like one with a password.
func (u *Users) Certified(ctx context.Context, t iot.TenantID, device string, create bool, remoteAddr string) (iot.Principal, error) {
	const op = fault.Op("access.Certified")
	name := iot.DeviceUser(device)
	if u.d.Tenants.Active(ctx, t) != nil {
		return iot.Principal{}, errBadCredentials
	}
	user, err := u.d.Store.Account(ctx, t, name)
	if errors.Is(err, sql.ErrNoRows) && create {
		user, err = u.certifiedAccount(ctx, t, name)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return iot.Principal{}, fault.E(op, fault.NotFound, fault.Subject(name), "the device has no account")
	case err != nil:
		return iot.Principal{}, sqlkit.Fault(op, err)
	case !user.Enabled:
		return iot.Principal{}, errBadCredentials
	}
	p, err := u.principal(ctx, t, user)
	if err != nil {
		return iot.Principal{}, err
	}
	p.RemoteAddr = remoteAddr
	if u.guard.succeeded(t, user.Name, host(remoteAddr), u.d.Clock.Now()) {
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "UserAuthentication", Activity: "User login", Text: "User '" + string(p.User) + "' logged in with a certificate"})
	}
	return p, nil
}

// certifiedAccount makes the account of a device; of several connections that do so at once, all get the same.
func (u *Users) certifiedAccount(ctx context.Context, t iot.TenantID, name iot.UserName) (User, error) {
	if err := validUserName(name); err != nil {
		return User{}, err
	}
	p, now := iot.System(t), u.d.Clock.Now()
	err := u.putUser(ctx, p, User{Name: name, Enabled: true, Created: now, PasswordSince: now, Groups: []int64{3}}, true)
	switch {
	case errors.Is(err, ErrChanged), fault.Is(err, fault.Exists): // made a moment ago
	case err != nil:
		return User{}, err
	default:
		u.changed(t, name)
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "User created", Text: "The account '" + string(name) + "' was created for a device with a trusted certificate"})
	}
	return u.d.Store.Account(ctx, t, name)
}
