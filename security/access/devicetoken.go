package access

import (
	"context"
	"crypto/rand"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// DeviceTokenLifetime is how long the token of a device is valid. c8y: one hour by default.
const DeviceTokenLifetime = time.Hour

// DeviceToken opens a session for a device that has proved who it is already, and returns its token.
func (u *Users) DeviceToken(ctx context.Context, p iot.Principal) (string, error) {
	const op = fault.Op("access.DeviceToken")
	now := u.d.Clock.Now()
	s := Session{ID: rand.Text(), User: p.User, XSRF: rand.Text(), Created: now, Expires: now.Add(DeviceTokenLifetime)}
	if err := u.d.Sessions.PutSession(ctx, p.Tenant, s); err != nil {
		return "", sqlkit.Fault(op, err)
	}
	token, err := u.sign(p.Tenant, s)
	if err != nil {
		return "", fault.E(op, err)
	}
	return token, nil
}
