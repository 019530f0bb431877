package access

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// UserQuery selects users. The zero value selects all people.
type UserQuery struct {
	Prefix      string  // of the name, case-insensitive
	Contains    string  // in the name, case-insensitive
	Groups      []int64 // members of any of them
	OnlyDevices bool    // device accounts instead of people
	Offset      int
	Limit       int
}

// Store keeps users and groups. Errors are raw; a missing row is sql.ErrNoRows, a taken name satisfies sqlkit.IsUnique.
// Users are ordered by name in byte order. All methods are safe for concurrent use.
type Store interface {
	// User returns the account with a name, or else the one with that display name.
	User(ctx context.Context, t iot.TenantID, name iot.UserName) (User, error)
	// Users returns a page and the number of all that match.
	Users(ctx context.Context, t iot.TenantID, q UserQuery) ([]User, int, error)
	// PutUser creates the user, or replaces an existing one and keeps the old version in history.
	PutUser(ctx context.Context, t iot.TenantID, u User, create bool, rev sqlkit.Revision) error
	DeleteUser(ctx context.Context, t iot.TenantID, name iot.UserName, rev sqlkit.Revision) error
	// Groups returns all groups of the tenant by id; they are few.
	Groups(ctx context.Context, t iot.TenantID) ([]Group, error)
	PutGroup(ctx context.Context, t iot.TenantID, g Group, create bool, rev sqlkit.Revision) error
	DeleteGroup(ctx context.Context, t iot.TenantID, id int64, rev sqlkit.Revision) error
}

// Session is a token that is valid until it expires or is revoked.
type Session struct {
	ID      string // the token's id (jti), or the hash of a one-time code
	User    iot.UserName
	XSRF    string
	OneTime bool
	Created time.Time
	Expires time.Time
}

// SessionStore keeps sessions and the key that signs tokens.
type SessionStore interface {
	PutSession(ctx context.Context, t iot.TenantID, s Session) error
	// Session returns a session that has not expired; sql.ErrNoRows otherwise.
	Session(ctx context.Context, t iot.TenantID, id string, now time.Time) (Session, error)
	// TakeSession is Session, and deletes it: of several callers exactly one gets it.
	TakeSession(ctx context.Context, t iot.TenantID, id string, now time.Time) (Session, error)
	// DeleteSessions ends sessions of a user (all if user is empty; only the one with the id if id is not empty) and all that have expired.
	DeleteSessions(ctx context.Context, t iot.TenantID, user iot.UserName, id string, now time.Time) error
	// SigningKey returns the platform's key, storing candidate if there is none: all nodes get the same one.
	SigningKey(ctx context.Context, candidate func() ([]byte, error)) ([]byte, error)
}
