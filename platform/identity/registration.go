package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// Status is how far a registration got.
type Status string

// The statuses of a registration. Clients never see Used.
const (
	Waiting  Status = "WAITING_FOR_CONNECTION"
	Pending  Status = "PENDING_ACCEPTANCE"
	Accepted Status = "ACCEPTED"
	Blocked  Status = "BLOCKED"
	Used     Status = "USED" // the credentials were handed out; kept only to tell the group of the device
)

// Registration is a device that is to come.
type Registration struct {
	ID       string // of the device, unique on the platform
	Tenant   iot.TenantID
	Status   Status
	Owner    iot.UserName // who announced it
	Created  time.Time
	Changed  time.Time
	Group    iot.ID // below which the device is to hang, zero if none
	Type     string
	Custom   iot.Doc // properties for who announced it
	Token    Token   // hash of the security token, nil if there is none yet
	Failures int     // wrong tokens and one-time passwords so far
	// Enrollment is the hash of the one-time password with which the device gets a certificate, nil if it gets a password.
	Enrollment Token
}

// Token is the salted hash of a security token.
type Token []byte

const saltBytes = 16

func newToken(token string) Token {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return append(salt, digest(salt, token)...)
}

func digest(salt []byte, token string) []byte {
	sum := sha256.Sum256(append(append([]byte{}, salt...), token...))
	return sum[:]
}

func (h Token) matches(token string) bool {
	return len(h) > saltBytes && subtle.ConstantTimeCompare(h[saltBytes:], digest(h[:saltBytes], token)) == 1
}

// Deps is what Registrations needs.
type Deps struct {
	Store    Store
	Users    *access.Users
	Registry *registry.Registry
	Policy   *access.Policy
	Audit    access.Auditor
	Clock    clock.Clock
	Log      *slog.Logger
	// Active is an error for a tenant that is not there or must not be used; nil: all may.
	Active func(ctx context.Context, t iot.TenantID) error
	// Option returns an option of a tenant; nil: there are none.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
}

// Registrations is the face. It is safe for concurrent use.
type Registrations struct {
	d      Deps
	groups sync.Mutex // held while a file finds or makes a group
}

// New returns the face.
func New(d Deps) *Registrations { return &Registrations{d: d} }

func (s *Registrations) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: s.d.Clock.Now().Truncate(time.Millisecond), By: string(p.User), Set: sqlkit.NewSetID()}
}

// policy says what becomes of security tokens.
type policy string

const (
	ignored  policy = "IGNORED"
	optional policy = "OPTIONAL"
	required policy = "REQUIRED"
)

func (s *Registrations) policy(ctx context.Context, t iot.TenantID) policy {
	if s.d.Option != nil {
		value, _ := s.d.Option(ctx, t, "device-registration", "security-token.policy")
		switch x := policy(strings.ToUpper(strings.TrimSpace(value))); x {
		case ignored, required:
			return x
		}
	}
	return optional
}

// maxID leaves room for the prefix of the account: user names have up to 1,000 bytes.
const maxID = 1000 - len(iot.DeviceUserPrefix)

// NonUnique is the reason of a fault that says that an id is taken.
const NonUnique = fault.Reason("non-unique")

// validID enforces what the API says of ids, which become part of user names, URLs and topics.
func validID(id string) error {
	const op = fault.Op("identity.Request")
	switch {
	case id == "":
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: id")
	case len(id) > maxID || !utf8.ValidString(id):
		return fault.Errorf(op, fault.Invalid, "the device id must be valid UTF-8 of at most %d characters", maxID)
	case id == "." || id == ".." || strings.ContainsAny(id, `/\+$:`) || strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fault.E(op, fault.Invalid, `the device id must not be . or .. or contain white space, control characters or any of / \ + $ :`)
	}
	return nil
}

// Request announces a device. ID, Group, Type and Custom of r count. A security token, if given, is what the device must present. It needs
// ROLE_DEVICE_CONTROL_ADMIN. An id that is taken, in whichever tenant, is a fault of kind Invalid with reason NonUnique.
func (s *Registrations) Request(ctx context.Context, p iot.Principal, r Registration, securityToken string) (Registration, error) {
	return s.announce(ctx, p, r, func(r *Registration) {
		if securityToken != "" && s.policy(ctx, p.Tenant) != ignored {
			r.Token = newToken(securityToken)
		}
	})
}

// announce stores a registration, to which finish adds what the device must present.
func (s *Registrations) announce(ctx context.Context, p iot.Principal, r Registration, finish func(*Registration)) (Registration, error) {
	const op = fault.Op("identity.Request")
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Admin, access.Object{}); err != nil {
		return Registration{}, err
	}
	if err := validID(r.ID); err != nil {
		return Registration{}, err
	}
	if !utf8.ValidString(r.Type) || strings.IndexByte(r.Type, 0) >= 0 {
		return Registration{}, fault.E(op, fault.Invalid, "the type must be valid UTF-8 without the character U+0000")
	}
	if r.Group != 0 {
		if _, err := s.d.Registry.Check(ctx, p, r.Group, access.ManagedObject, access.Read); err != nil {
			return Registration{}, err
		}
	}
	rev := s.revision(p)
	r = Registration{ID: r.ID, Tenant: p.Tenant, Status: Waiting, Owner: p.User, Created: rev.At, Changed: rev.At, Group: r.Group, Type: r.Type, Custom: r.Custom.WithoutNulls()}
	finish(&r)
	err := s.d.Store.Create(ctx, r, rev)
	if sqlkit.IsUnique(err) {
		return Registration{}, fault.E(op, fault.Invalid, NonUnique, fault.Subject(r.ID), err, "a registration of the device '"+r.ID+"' exists already")
	}
	return r, sqlkit.Fault(op, err)
}

// List returns a page of the tenant's registrations, oldest first, and the number of all of them. It needs ROLE_DEVICE_CONTROL_READ.
func (s *Registrations) List(ctx context.Context, p iot.Principal, offset, limit int) ([]Registration, int, error) {
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Read, access.Object{}); err != nil {
		return nil, 0, err
	}
	out, n, err := s.d.Store.List(ctx, p.Tenant, offset, limit)
	return out, n, sqlkit.Fault("identity.List", err)
}

// Get returns one registration of the tenant. It needs ROLE_DEVICE_CONTROL_READ.
func (s *Registrations) Get(ctx context.Context, p iot.Principal, id string) (Registration, error) {
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Read, access.Object{}); err != nil {
		return Registration{}, err
	}
	return s.get(ctx, "identity.Get", p.Tenant, id)
}

func (s *Registrations) get(ctx context.Context, op fault.Op, t iot.TenantID, id string) (Registration, error) {
	r, err := s.d.Store.Get(ctx, id)
	if err == nil && (r.Tenant != t || r.Status == Used) {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Registration{}, missing(op, id, err)
	}
	return r, nil
}

// Delete withdraws a registration. It needs ROLE_USER_MANAGEMENT_ADMIN.
func (s *Registrations) Delete(ctx context.Context, p iot.Principal, id string) error {
	const op = fault.Op("identity.Delete")
	if err := s.d.Policy.Check(ctx, p, access.UserAdmin, access.Admin, access.Object{}); err != nil {
		return err
	}
	if _, err := s.get(ctx, op, p.Tenant, id); err != nil {
		return err
	}
	return missing(op, id, s.d.Store.Delete(ctx, p.Tenant, id, s.revision(p)))
}

// GroupOf returns the group that the registration of a device named, once its credentials were handed out; zero if none. It acts for the
// platform, which links the device below the group when its object is created.
func (s *Registrations) GroupOf(ctx context.Context, t iot.TenantID, id string) (iot.ID, error) {
	r, err := s.d.Store.Get(ctx, id)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (r.Tenant != t || r.Status != Used) {
		return 0, nil
	}
	return r.Group, sqlkit.Fault("identity.GroupOf", err)
}

func missing(op fault.Op, id string, err error) error {
	err = sqlkit.Fault(op, err)
	if fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(id), err, "there is no registration of the device '"+id+"'")
	}
	return err
}
