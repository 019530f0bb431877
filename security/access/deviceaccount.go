package access

import (
	"context"
	"database/sql"
	"errors"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// DevicePassword creates the account of a device with a password that somebody chose, under the rules of the tenant, or gives it that one; made tells which.
// It acts for the platform: the caller has decided that the device is welcome.
func (u *Users) DevicePassword(ctx context.Context, p iot.Principal, device, password string) (made bool, err error) {
	const op = fault.Op("access.DevicePassword")
	name := iot.DeviceUser(device)
	if err := validUserName(name); err != nil {
		return false, fault.E(op, err)
	}
	if err := u.PasswordPolicy(ctx, p.Tenant).check(password); err != nil {
		return false, err
	}
	hash, err := u.hash(ctx, password)
	if err != nil {
		return false, err
	}
	now, same := u.d.Clock.Now(), false
	err = again(func() error {
		user, err := u.d.Store.Account(ctx, p.Tenant, name)
		if made = errors.Is(err, sql.ErrNoRows); made {
			user, err = User{Name: name, Enabled: true, Created: now, Groups: []int64{3}}, nil
		}
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		if !made && user.PasswordHash != "" { // so that a list that is sent again ends no connection
			if same, err = u.verify(ctx, user.PasswordHash, password); err != nil || same {
				return err
			}
		}
		user.PasswordHash, user.PasswordSince = hash, now
		return u.putUser(ctx, p, user, made)
	})
	if err != nil || same {
		return made, err
	}
	u.changed(p.Tenant, name)
	activity := "User updated"
	if made {
		activity = "User created"
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: "Device credentials of '" + string(name) + "' set"})
	return made, nil
}

// DeviceAccountWithoutPassword makes the account of a device that only a certificate opens; made is false if there is an account already, which stays as it
// is. It acts for the platform.
func (u *Users) DeviceAccountWithoutPassword(ctx context.Context, t iot.TenantID, device string) (made bool, err error) {
	const op = fault.Op("access.DeviceAccountWithoutPassword")
	name := iot.DeviceUser(device)
	_, err = u.d.Store.Account(ctx, t, name)
	if errors.Is(err, sql.ErrNoRows) {
		if _, err = u.certifiedAccount(ctx, t, name); err != nil {
			return false, fault.E(op, err)
		}
		return true, nil
	}
	return false, sqlkit.Fault(op, err)
}
