package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Auditor takes the records that this package writes. It must not fail the request: it logs what it cannot write.
type Auditor interface {
	Record(ctx context.Context, p iot.Principal, r iot.AuditRecord)
}

// Tenants tells whether a tenant exists and may be used.
type Tenants interface {
	// Active returns nil, or a fault of kind NotFound or Denied.
	Active(ctx context.Context, t iot.TenantID) error
}

// Deps is what Users needs.
type Deps struct {
	Store    Store
	Sessions SessionStore
	Tenants  Tenants
	Audit    Auditor
	Bus      *bus.Bus
	Policy   *Policy
	// FirstAdmin is the name of the administrator that every realm is born with, who cannot be deleted.
	FirstAdmin iot.UserName
	Clock      clock.Clock
	Log        *slog.Logger
}

// Users is the directory of all realms and the only way in: every login ends here in an iot.Principal.
// It is safe for concurrent use.
type Users struct {
	d   Deps
	key *rsa.PrivateKey

	verified *otter.Cache[[32]byte, iot.Principal] // credentials that were right a moment ago
	cacheKey [32]byte                              // so that the cache holds no guessable hash of a password
	failures *otter.Cache[string, *throttle]
	dummy    func() string // a hash that costs as much to check as a real one, for users that do not exist
	stop     func()
}

const (
	verifiedSize = 20_000
	verifiedTTL  = time.Minute
	failuresSize = 50_000
)

// New makes the directory and fetches or makes the key that signs tokens.
func New(ctx context.Context, d Deps) (*Users, error) {
	u := &Users{d: d, dummy: sync.OnceValue(func() string { return hashPassword(rand.Text()) })}
	if _, err := rand.Read(u.cacheKey[:]); err != nil {
		return nil, err
	}
	u.verified = otter.Must(&otter.Options[[32]byte, iot.Principal]{MaximumSize: verifiedSize, ExpiryCalculator: otter.ExpiryWriting[[32]byte, iot.Principal](verifiedTTL)})
	u.failures = otter.Must(&otter.Options[string, *throttle]{MaximumSize: failuresSize, ExpiryCalculator: otter.ExpiryWriting[string, *throttle](throttleWindow)})
	var err error
	if u.key, err = loadKey(ctx, d.Sessions); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	// A changed user, group or session on any node ends what this node remembers of it. Changes are rare, so everything goes.
	u.stop, err = d.Bus.Subscribe(bus.All("access"), func(iot.TenantID, string, []byte) { u.verified.InvalidateAll() })
	return u, err
}

// Close ends the subscription to changes.
func (u *Users) Close() { u.stop() }

// changed makes every node forget what it remembers of the tenant's users, and look again at who is connected: one user, or all if name is
// empty.
func (u *Users) changed(t iot.TenantID, name iot.UserName) {
	u.verified.InvalidateAll()
	u.d.Bus.Publish(bus.Subject(t, "access"), []byte(name))
}

// Watch calls changed with every user whose account, rights or sessions changed, on any node; an empty name means any user of the tenant.
func (u *Users) Watch(changed func(t iot.TenantID, name iot.UserName)) (stop func(), err error) {
	return u.d.Bus.Subscribe(bus.All("access"), func(t iot.TenantID, _ string, data []byte) { changed(t, iot.UserName(data)) })
}

// Current returns the principal as it would be made now. It fails with Unauthenticated if the account has gone or was disabled, the tenant may
// not be used, or the password was changed after since, when the principal was made.
func (u *Users) Current(ctx context.Context, p iot.Principal, since time.Time) (iot.Principal, error) {
	user, err := u.d.Store.User(ctx, p.Tenant, p.User)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (!user.Enabled || user.PasswordSince.After(since)) || u.d.Tenants.Active(ctx, p.Tenant) != nil {
		return iot.Principal{}, errBadCredentials
	}
	if err != nil {
		return iot.Principal{}, sqlkit.Fault("access.Current", err)
	}
	return u.principal(ctx, p.Tenant, user)
}

func (u *Users) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: u.d.Clock.Now(), By: string(p.User), Set: rand.Text()[:16]}
}

// Bootstrap gives a new realm its built-in groups and its administrator. It returns true if it did, false if the realm has them already.
func (u *Users) Bootstrap(ctx context.Context, t iot.TenantID, admin iot.UserName, password string) (bool, error) {
	groups, err := u.d.Store.Groups(ctx, t)
	if err != nil {
		return false, sqlkit.Fault("access.Bootstrap", err)
	}
	if len(groups) > 0 {
		return false, nil
	}
	p := iot.System(t)
	rev := u.revision(p)
	for _, g := range builtinGroups() {
		if err := u.d.Store.PutGroup(ctx, t, g, true, rev); err != nil {
			return false, sqlkit.Fault("access.Bootstrap", err)
		}
	}
	now := u.d.Clock.Now()
	user := User{Name: admin, Enabled: true, PasswordHash: hashPassword(password), PasswordSince: now, Created: now, Groups: []int64{1, 2, 5}}
	if t == iot.Management {
		user.Roles = []string{"ROLE_TENANT_MANAGEMENT_CREATE", "ROLE_TENANT_MANAGEMENT_UPDATE"}
	}
	return true, sqlkit.Fault("access.Bootstrap", u.d.Store.PutUser(ctx, t, user, true, rev))
}

// EnsureSystemUser creates an account for a fixed purpose, such as the one with which devices ask for credentials, or sets its password.
// Without a password an existing account stays as it is, and a new one gets a random password, which is returned.
func (u *Users) EnsureSystemUser(ctx context.Context, t iot.TenantID, name iot.UserName, password string, roles ...string) (made string, err error) {
	const op = fault.Op("access.EnsureSystemUser")
	now := u.d.Clock.Now()
	rev := u.revision(iot.System(t))
	old, err := u.d.Store.User(ctx, t, name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		if password == "" {
			made = RandomPassword()
			password = made
		}
		user := User{Name: name, Enabled: true, PasswordHash: hashSecret(password), PasswordSince: now, Created: now, Roles: sorted(roles)}
		return made, sqlkit.Fault(op, u.d.Store.PutUser(ctx, t, user, true, rev))
	case err != nil:
		return "", sqlkit.Fault(op, err)
	case password == "" || verify(old.PasswordHash, password):
		return "", nil
	}
	old.PasswordHash, old.PasswordSince = hashSecret(password), now
	defer u.changed(t, name)
	return "", sqlkit.Fault(op, u.d.Store.PutUser(ctx, t, old, false, rev))
}

// DeviceAccount creates or renews the account of a device and returns its name and new password. It acts for the platform:
// the caller has decided that the device is welcome.
func (u *Users) DeviceAccount(ctx context.Context, p iot.Principal, externalID string) (iot.UserName, string, error) {
	const op = fault.Op("access.DeviceAccount")
	name, password := iot.DeviceUser(externalID), RandomPassword()
	if err := validUserName(name); err != nil {
		return "", "", fault.E(op, err)
	}
	now := u.d.Clock.Now()
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	create := errors.Is(err, sql.ErrNoRows)
	if err != nil && !create {
		return "", "", sqlkit.Fault(op, err)
	}
	if create {
		user = User{Name: name, Enabled: true, Created: now, Groups: []int64{3}}
	}
	user.PasswordHash, user.PasswordSince = hashSecret(password), now
	if err := u.d.Store.PutUser(ctx, p.Tenant, user, create, u.revision(p)); err != nil {
		return "", "", sqlkit.Fault(op, err)
	}
	u.changed(p.Tenant, name)
	activity := "User updated"
	if create {
		activity = "User created"
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: "Device credentials of '" + string(name) + "' issued"})
	return name, password, nil
}
