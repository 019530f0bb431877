package access

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// DeviceTokenLifetime is how long the token of a device is valid. c8y: one hour by default (oauth.internal/device-token.lifespan.seconds).
const DeviceTokenLifetime = time.Hour

// maxDeviceTokens bounds the tokens that one device has at a time; the oldest end.
const maxDeviceTokens = 20

// DeviceToken opens a session for a device that has proved who it is already, and returns its token.
func (u *Users) DeviceToken(ctx context.Context, p iot.Principal) (string, error) {
	const op = fault.Op("access.DeviceToken")
	life := u.options(ctx, p.Tenant, "oauth.internal").seconds("device-token.lifespan.seconds", DeviceTokenLifetime, minLifetime, maxLifetime)
	if life < 0 {
		life = DeviceTokenLifetime
	}
	now := u.d.Clock.Now()
	s := newSession(p.User, DeviceSession, now, life, life)
	s.Address = host(p.RemoteAddr)
	if err := u.d.Sessions.PutSession(ctx, p.Tenant, s); err != nil {
		return "", sqlkit.Fault(op, err)
	}
	if err := u.trim(ctx, p.Tenant, s, maxDeviceTokens); err != nil {
		return "", sqlkit.Fault(op, err)
	}
	token, err := u.sign(p.Tenant, s)
	if err != nil {
		return "", fault.E(op, err)
	}
	return token, nil
}
