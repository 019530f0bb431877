package apimgmt

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Key is an API key without its secret.
type Key struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Owner   iot.UserName   `json:"owner"`
	Scopes  []access.Right `json:"scopes"`
	Sources []iot.ID       `json:"sources,omitempty"` // it reaches only these and all that hangs below them; none: no such bound
	// PerMinute and PerDay bound the requests; zero: no bound.
	PerMinute int64     `json:"perMinute,omitempty"`
	PerDay    int64     `json:"perDay,omitempty"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
	Created   time.Time `json:"created"`
	Rotated   time.Time `json:"rotated,omitzero"`
	LastUsed  time.Time `json:"-"` // to within ten seconds; zero: never
	Hash      string    `json:"hash"`
	// OldHash is of the secret before, which goes on until OldUntil.
	OldHash  string    `json:"oldHash,omitempty"`
	OldUntil time.Time `json:"oldUntil,omitzero"`
}

// Bounds of keys.
const (
	MaxKeys    = 100 // of one owner
	MaxSources = 100
	MaxGrace   = 7 * 24 * time.Hour // so long an old secret may go on after a rotation
	maxName    = 200
	maxQuota   = 1_000_000_000
	prefix     = "ibk"
)

// Deps is what the face needs.
type Deps struct {
	Store  Store
	Users  *access.Users
	Policy *access.Policy
	Audit  access.Auditor
	Clock  clock.Clock
	Log    *slog.Logger
}

// IsKey reports whether a token looks like an API key.
func IsKey(token string) bool { return strings.HasPrefix(token, prefix+".") }

func token(t iot.TenantID, id, secret string) string {
	return strings.Join([]string{prefix, string(t), id, secret}, ".")
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

var errBadKey = fault.E(fault.Op("apimgmt.Authenticate"), fault.Unauthenticated, "the API key is unknown, wrong or expired")

// Authenticate returns the principal of a key: its owner, cut down to the scopes. A key that is unknown, wrong or expired, or whose owner may not log
// in, is a fault of kind Unauthenticated; one over its quota, of kind Exhausted with the time to wait.
func (m *Management) Authenticate(ctx context.Context, tok, remoteAddr string) (iot.Principal, error) {
	parts := strings.Split(tok, ".")
	if len(parts) != 4 || parts[0] != prefix {
		return iot.Principal{}, errBadKey
	}
	t := iot.TenantID(parts[1])
	k, err := m.d.Store.Key(ctx, t, parts[2])
	if err != nil {
		if err = sqlkit.Fault("apimgmt.Authenticate", err); fault.Is(err, fault.NotFound) {
			err = errBadKey
		}
		return iot.Principal{}, err
	}
	now, sum := m.d.Clock.Now(), hash(parts[3])
	right := same(sum, k.Hash)
	if old := k.OldHash != "" && same(sum, k.OldHash); old && now.Before(k.OldUntil) {
		right = true
	}
	if !right || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return iot.Principal{}, errBadKey
	}
	if err := m.take(ctx, t, k, now); err != nil {
		return iot.Principal{}, err
	}
	return m.d.Users.WithKey(ctx, t, k.Owner, access.KeyRights{ID: k.ID, Rights: k.Scopes, Sources: k.Sources}, remoteAddr)
}

// check returns a fault of kind Invalid unless the key can be kept.
func (k Key) check(now time.Time) error {
	const op = fault.Op("apimgmt.Key")
	switch {
	case k.Name == "" || len(k.Name) > maxName:
		return fault.Errorf(op, fault.Invalid, "name must have 1 to %d bytes", maxName)
	case len(k.Scopes) == 0 || len(k.Scopes) > 100:
		return fault.E(op, fault.Invalid, "scopes must list 1 to 100 of {resource, verb}")
	case len(k.Sources) > MaxSources:
		return fault.Errorf(op, fault.Invalid, "sources must not list more than %d objects", MaxSources)
	case k.PerMinute < 0 || k.PerDay < 0 || k.PerMinute > maxQuota || k.PerDay > maxQuota:
		return fault.Errorf(op, fault.Invalid, "a quota must be between 0, which means none, and %d", maxQuota)
	case !k.Expires.IsZero() && !k.Expires.After(now):
		return fault.E(op, fault.Invalid, "expires must be in the future")
	}
	for _, s := range k.Scopes {
		if err := s.Check(len(k.Sources) > 0); err != nil {
			return err
		}
	}
	return nil
}

// Create makes a key of p's own, who must be no device, and returns it with its token, which nobody can read again. p needs ROLE_USER_MANAGEMENT_OWN_ADMIN, and in the whole
// tenant every permission that the key is for.
func (m *Management) Create(ctx context.Context, p iot.Principal, k Key) (Key, string, error) {
	const op = fault.Op("apimgmt.Create")
	if err := m.d.Policy.Check(ctx, p, access.OwnUser, access.Admin, access.Object{}); err != nil {
		return k, "", err
	}
	if p.User.IsDevice() || p.Key != "" { // a key would outlive the credentials with which a device is let in
		return k, "", fault.E(op, fault.Denied, "Access is denied. API keys are made by people")
	}
	now := m.d.Clock.Now().Truncate(time.Millisecond)
	if err := k.check(now); err != nil {
		return k, "", err
	}
	for _, s := range k.Scopes {
		if err := m.d.Policy.Check(ctx, p, access.Family(s.Resource), s.Level(), access.Object{}); err != nil {
			return k, "", err
		}
	}
	secret := rand.Text()
	k.ID, k.Owner, k.Created, k.Hash = strings.ToLower(rand.Text()[:16]), p.User, now, hash(secret)
	k.Rotated, k.OldHash, k.OldUntil = time.Time{}, "", time.Time{}
	full, err := m.d.Store.CreateKey(ctx, p.Tenant, k, MaxKeys)
	if err != nil {
		return k, "", sqlkit.Fault(op, err)
	}
	if full {
		return k, "", fault.Errorf(op, fault.Conflict, "a user can have %d API keys", MaxKeys)
	}
	m.record(ctx, p, k, "API key created")
	return k, token(p.Tenant, k.ID, secret), nil
}

func (m *Management) record(ctx context.Context, p iot.Principal, k Key, activity string) {
	m.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "ApiKey", Activity: activity, Text: activity + ": '" + k.ID + "' of '" + string(k.Owner) + "'"})
}

// Keys lists the keys of p, and of all users for who holds ROLE_USER_MANAGEMENT_READ.
func (m *Management) Keys(ctx context.Context, p iot.Principal) ([]Key, error) {
	owner := p.User
	if m.d.Policy.Check(ctx, p, access.UserAdmin, access.Read, access.Object{}) == nil {
		owner = ""
	} else if err := m.d.Policy.Check(ctx, p, access.OwnUser, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	out, err := m.d.Store.Keys(ctx, p.Tenant, owner)
	return out, sqlkit.Fault("apimgmt.Keys", err)
}

// Key returns one key. Those that p may not see do not exist for it.
func (m *Management) Key(ctx context.Context, p iot.Principal, id string) (Key, error) {
	k, err := m.d.Store.Key(ctx, p.Tenant, id)
	if err == nil && k.Owner != p.User {
		err = m.d.Policy.Check(ctx, p, access.UserAdmin, access.Read, access.Object{})
	}
	return k, hidden(id, err)
}

func hidden(id string, err error) error {
	const op = fault.Op("apimgmt.Key")
	if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return fault.E(op, fault.NotFound, fault.Subject(id), "there is no such API key")
	}
	return err
}

// Rotate gives a key of p's own a new secret and returns its token. The old one goes on for grace.
func (m *Management) Rotate(ctx context.Context, p iot.Principal, id string, grace time.Duration) (Key, string, error) {
	const op = fault.Op("apimgmt.Rotate")
	k, err := m.own(ctx, p, id)
	if err != nil {
		return k, "", err
	}
	if grace < 0 || grace > MaxGrace {
		return k, "", fault.Errorf(op, fault.Invalid, "the old secret can go on for at most %d seconds", int(MaxGrace.Seconds()))
	}
	secret, now := rand.Text(), m.d.Clock.Now().Truncate(time.Millisecond)
	k, err = m.d.Store.UpdateKey(ctx, p.Tenant, id, func(k Key) Key {
		k.OldHash, k.OldUntil = k.Hash, now.Add(grace)
		k.Hash, k.Rotated = hash(secret), now
		return k
	})
	if err != nil {
		return k, "", hidden(id, err)
	}
	m.record(ctx, p, k, "API key rotated")
	return k, token(p.Tenant, id, secret), nil
}

// own returns a key that p may change: nobody else can, not even an administrator, who may only delete it.
func (m *Management) own(ctx context.Context, p iot.Principal, id string) (Key, error) {
	if err := m.d.Policy.Check(ctx, p, access.OwnUser, access.Admin, access.Object{}); err != nil {
		return Key{}, err
	}
	k, err := m.Key(ctx, p, id)
	if err == nil && k.Owner != p.User {
		err = fault.E(fault.Op("apimgmt.Key"), fault.Denied, "Access is denied. Only the owner can change an API key")
	}
	return k, err
}

// Delete ends a key: its owner, and who holds ROLE_USER_MANAGEMENT_ADMIN.
func (m *Management) Delete(ctx context.Context, p iot.Principal, id string) error {
	var k Key
	var err error
	if m.d.Policy.Check(ctx, p, access.UserAdmin, access.Admin, access.Object{}) == nil {
		k, err = m.d.Store.Key(ctx, p.Tenant, id)
	} else {
		k, err = m.own(ctx, p, id)
		if fault.Is(err, fault.Denied) {
			return err
		}
	}
	if err == nil {
		err = m.d.Store.DeleteKey(ctx, p.Tenant, id)
	}
	if err != nil {
		return hidden(id, err)
	}
	m.record(ctx, p, k, "API key deleted")
	return nil
}
