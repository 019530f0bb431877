package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
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

// Mailer sends messages to people. It returns when the message was handed over or could not be.
type Mailer interface {
	Send(ctx context.Context, to, subject, text string) error
}

// Vault keeps secrets that must be read again, for their owner; kit/secret has one.
type Vault interface {
	Seal(plain []byte, owner ...string) string
	Open(sealed string, owner ...string) ([]byte, error)
}

// Deps is what Users needs. What is said to be optional switches something off if it is missing.
type Deps struct {
	Store    Store
	Sessions SessionStore
	Grants   GrantStore // optional: without it nobody has rights on single objects
	Tenants  Tenants
	Audit    Auditor
	Bus      *bus.Bus
	Policy   *Policy
	// FirstAdmin returns the name of the administrator that a realm was born with, who cannot be deleted. Optional: without it anybody can.
	FirstAdmin func(ctx context.Context, t iot.TenantID) iot.UserName
	Clock      clock.Clock
	Log        *slog.Logger

	// Option reads an option of a tenant. Optional: without it every setting has its default.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
	// Owns reports whether a user owns managed objects. Optional: without it nobody does.
	Owns func(ctx context.Context, t iot.TenantID, name iot.UserName) (bool, error)
	// Vault keeps the secrets of second factors. Optional: without it there are none.
	Vault Vault
	// Mail sends what resets passwords. Optional: without it only administrators reset passwords.
	Mail Mailer
	// ResetLink is where the person who got a message goes with its token. It must not depend on what a request says. Needed with Mail.
	ResetLink func(t iot.TenantID, email, token string) string
	// Directories are asked, in order, about the passwords of people who have no account here or one that belongs to a directory.
	Directories []Directory
	// Providers are the kinds of login options beside the two that are built in, by their type in upper case.
	Providers map[string]Provider
}

// Users is the directory of all realms and the only way in: every login ends here in an iot.Principal.
// It is safe for concurrent use.
type Users struct {
	d     Deps
	key   *rsa.PrivateKey
	reset [32]byte // signs the tokens that reset passwords

	verified   *otter.Cache[[32]byte, proof]       // credentials that were right a moment ago
	groups     *otter.Cache[iot.TenantID, []Group] // of tenants whose users logged in a moment ago: a fleet that comes back needs them for each device
	generation atomic.Uint64                       // counts what ends both
	cacheKey   [32]byte                            // so that the cache holds no guessable hash of a password
	guard      *guard
	ghosts     *otter.Cache[string, *window] // failed logins of names that do not exist
	gate       *gate
	tally      *tally
	mails      *mailQueue
	dummies    func() [2]string // hashes that cost as much to check as real ones, for users that do not exist
	stop       func()
	// stopObjects ends that rights on objects go with them; nil without Grants.
	stopObjects func()

	mu     sync.Mutex // guards logins
	logins map[iot.TenantID][]LoginOption
}

const (
	verifiedSize = 20_000
	verifiedTTL  = time.Minute
	groupsSize   = 1000
)

// New makes the directory and fetches or makes the key that signs tokens.
func New(ctx context.Context, d Deps) (*Users, error) {
	u := &Users{d: d, guard: newGuard(), gate: newGate(), tally: newTally(d.Audit), logins: map[iot.TenantID][]LoginOption{},
		dummies: sync.OnceValue(func() [2]string { return [2]string{hashPassword(rand.Text()), hashSecret(rand.Text())} })}
	_, _ = rand.Read(u.cacheKey[:]) // never fails, see crypto/rand
	u.verified = otter.Must(&otter.Options[[32]byte, proof]{MaximumSize: verifiedSize, ExpiryCalculator: otter.ExpiryWriting[[32]byte, proof](verifiedTTL)})
	u.groups = otter.Must(&otter.Options[iot.TenantID, []Group]{MaximumSize: groupsSize, ExpiryCalculator: otter.ExpiryWriting[iot.TenantID, []Group](verifiedTTL)})
	u.ghosts = otter.Must(&otter.Options[string, *window]{MaximumSize: failuresSize, ExpiryCalculator: otter.ExpiryWriting[string, *window](knownTTL)})
	var err error
	if u.key, err = loadKey(ctx, d.Sessions); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	u.reset = sha256.Sum256(append([]byte("isobar: tokens that reset passwords\x00"), x509.MarshalPKCS1PrivateKey(u.key)...))
	// A changed user, group, session or login option on any node ends what this node remembers of it. Changes are rare, so everything goes.
	if u.stop, err = d.Bus.Subscribe(bus.All("access"), func(t iot.TenantID, _ string, _ []byte) { u.forget(t) }); err != nil {
		return nil, err
	}
	if d.Grants != nil {
		if u.stopObjects, err = u.forgetObjects(); err != nil {
			u.stop()
			return nil, err
		}
	}
	if d.Mail != nil {
		u.mails = newMailQueue(u)
	}
	return u, nil
}

// Close ends the subscription to changes, sends what mail is waiting and writes what audit was held back.
func (u *Users) Close() {
	u.stop()
	if u.stopObjects != nil {
		u.stopObjects()
	}
	if u.mails != nil {
		u.mails.close()
	}
	u.tally.close()
}

// dummy returns a hash that no password fits.
func (u *Users) dummy(fast bool) string {
	if fast {
		return u.dummies()[1]
	}
	return u.dummies()[0]
}

// forget ends what this node remembers.
func (u *Users) forget(t iot.TenantID) {
	u.mu.Lock()
	delete(u.logins, t)
	u.mu.Unlock()
	u.generation.Add(1)
	u.verified.InvalidateAll()
	u.groups.InvalidateAll()
}

// changed makes every node forget what it remembers of the tenant's users, and look again at who is connected: one user, or all if name is
// empty.
func (u *Users) changed(t iot.TenantID, name iot.UserName) {
	u.forget(t)
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
	return sqlkit.Revision{At: u.d.Clock.Now(), By: string(p.User), Set: sqlkit.NewSetID()}
}

// FirstAdmin is the administrator that a realm is born with.
type FirstAdmin struct {
	Name     iot.UserName
	Email    string
	Password string // empty: none opens the account until one is set, by mail or with a one-time code
	// MustChange makes the administrator choose another password at the first login.
	MustChange bool
}

// Check returns a fault of kind Invalid unless a realm could be founded with the administrator. A password must satisfy the policy of a tenant
// that has set none.
func (a FirstAdmin) Check() error {
	for _, err := range []error{validUserName(a.Name), personName(a.Name), validEmail(a.Email)} {
		if err != nil {
			return err
		}
	}
	if a.Password == "" {
		return nil
	}
	return PasswordPolicy{Strong: true, GreenLength: minPassword}.check(a.Password)
}

// Bootstrap gives a new realm its built-in groups and its administrator. It returns true if it did, false if the realm has them already.
func (u *Users) Bootstrap(ctx context.Context, t iot.TenantID, admin iot.UserName, password string) (bool, error) {
	return u.Found(ctx, t, FirstAdmin{Name: admin, Password: password})
}

// Found gives a new realm its built-in groups and its administrator, once: it returns false, and changes nothing, if the realm has groups
// already. It acts for the platform.
func (u *Users) Found(ctx context.Context, t iot.TenantID, a FirstAdmin) (bool, error) {
	const op = fault.Op("access.Found")
	groups, err := u.d.Store.Groups(ctx, t)
	if err != nil {
		return false, sqlkit.Fault(op, err)
	}
	if len(groups) > 0 {
		return false, sqlkit.Fault(op, u.furnish(ctx, t)) // a realm of before there were inventory roles
	}
	for _, err := range []error{validUserName(a.Name), personName(a.Name), validEmail(a.Email)} { // not the password: a first start may give any
		if err != nil {
			return false, err
		}
	}
	p := iot.System(t)
	rev := u.revision(p)
	now := u.d.Clock.Now()
	user := User{Name: a.Name, Email: a.Email, Enabled: true, PasswordSince: now, Created: now, Groups: []int64{1, 2, 5}, MustReset: a.MustChange || a.Password == ""}
	if a.Password != "" {
		if user.PasswordHash, err = u.hash(ctx, a.Password); err != nil {
			return false, err
		}
		user.Strength = PasswordPolicy{GreenLength: minPassword}.Strength(a.Password)
	}
	if t == iot.Management {
		user.Roles = []string{"ROLE_TENANT_MANAGEMENT_CREATE", "ROLE_TENANT_MANAGEMENT_UPDATE"}
	}
	// The administrator comes before the groups, whose presence says that all is done: who finds neither starts over.
	if err := u.d.Store.PutUser(ctx, t, user, true, rev); err != nil && !sqlkit.IsUnique(err) {
		return false, sqlkit.Fault(op, err)
	}
	for _, g := range builtinGroups() {
		if err := u.d.Store.PutGroup(ctx, t, g, true, rev); err != nil {
			return false, sqlkit.Fault(op, err)
		}
	}
	if err := u.furnish(ctx, t); err != nil {
		return false, sqlkit.Fault(op, err)
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "User created", Text: "The first administrator '" + string(a.Name) + "' was created"})
	return true, nil
}

// EnsureSystemUser creates an account for a fixed purpose, such as the one with which devices ask for credentials, or sets its password.
// Without a password an existing account stays as it is, and a new one gets a random password, which is returned.
func (u *Users) EnsureSystemUser(ctx context.Context, t iot.TenantID, name iot.UserName, password string, roles ...string) (made string, err error) {
	const op = fault.Op("access.EnsureSystemUser")
	now, p := u.d.Clock.Now(), iot.System(t)
	err = again(func() error {
		made = ""
		old, err := u.d.Store.Account(ctx, t, name)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			secret := password
			if secret == "" {
				made = RandomPassword()
				secret = made
			}
			return u.putUser(ctx, p, User{Name: name, Enabled: true, PasswordHash: hashSecret(secret), PasswordSince: now, Created: now, Roles: sorted(slices.Clone(roles))}, true)
		case err != nil:
			return sqlkit.Fault(op, err)
		case password == "" || verify(old.PasswordHash, password):
			return nil
		}
		old.PasswordHash, old.PasswordSince = hashSecret(password), now
		defer u.changed(t, name)
		return u.putUser(ctx, p, old, false)
	})
	return made, err
}

// DeviceAccount creates or renews the account of a device and returns its name and new password. It acts for the platform:
// the caller has decided that the device is welcome.
func (u *Users) DeviceAccount(ctx context.Context, p iot.Principal, externalID string) (iot.UserName, string, error) {
	const op = fault.Op("access.DeviceAccount")
	name, password := iot.DeviceUser(externalID), RandomPassword()
	if err := validUserName(name); err != nil {
		return "", "", fault.E(op, err)
	}
	now, hash := u.d.Clock.Now(), hashSecret(password)
	create := false
	err := again(func() error {
		user, err := u.d.Store.Account(ctx, p.Tenant, name)
		if create = errors.Is(err, sql.ErrNoRows); create {
			user, err = User{Name: name, Enabled: true, Created: now, Groups: []int64{3}}, nil
		}
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		user.PasswordHash, user.PasswordSince = hash, now
		return u.putUser(ctx, p, user, create)
	})
	if err != nil {
		return "", "", err
	}
	u.changed(p.Tenant, name)
	activity := "User updated"
	if create {
		activity = "User created"
	}
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: "Device credentials of '" + string(name) + "' issued"})
	return name, password, nil
}
