package access

import (
	"context"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// UserQuery selects users. The zero value selects all people.
type UserQuery struct {
	Prefix      string       // of the name, case-insensitive
	Contains    string       // in the name, case-insensitive
	Groups      []int64      // members of any of them
	Owner       iot.UserName // users directly below this one
	OnlyDevices bool         // device accounts instead of people
	Subusers    bool         // also count the users directly below each; the face does that
	Offset      int
	Limit       int
}

// Errors of Store, beside a taken name. They are found inside the transaction, so that of two writers only one succeeds.
var (
	ErrEmailTaken = errors.New("another user has this e-mail address")
	ErrAliasTaken = errors.New("another user has this login alias, or it as a name or e-mail address")
	ErrNameTaken  = errors.New("another user has this name as a login alias")
	ErrChanged    = errors.New("it was changed since it was read")
	ErrLastAdmin  = errors.New("no enabled administrator would be left")
	ErrLastLogin  = errors.New("no way to log in would be left")
)

// Store keeps what the realms consist of. Errors are raw; a missing row is sql.ErrNoRows, a taken name satisfies sqlkit.IsUnique.
// All methods are safe for concurrent use, atomic, and durable when they return.
type Store interface {
	AccountStore
	FactorStore
	LockStore
	LoginOptionStore
}

// AccountStore keeps users and groups. Users are ordered by name in byte order.
type AccountStore interface {
	// User returns the account with a name, or else the one with that display name.
	User(ctx context.Context, t iot.TenantID, name iot.UserName) (User, error)
	// Account returns the account with exactly this name, whatever aliases there are.
	Account(ctx context.Context, t iot.TenantID, name iot.UserName) (User, error)
	// UserByEmail returns the person with an e-mail address, in any case.
	UserByEmail(ctx context.Context, t iot.TenantID, email string) (User, error)
	// Users returns a page and the number of all that match.
	Users(ctx context.Context, t iot.TenantID, q UserQuery) ([]User, int, error)
	// Subusers counts the users directly below each of the given ones; who has none is not in the result.
	Subusers(ctx context.Context, t iot.TenantID, owners []iot.UserName) (map[iot.UserName]int, error)
	// PutUser creates the user, or replaces an existing one and keeps the old version in history. ErrChanged: u.Version is not the latest.
	// ErrEmailTaken, ErrAliasTaken and, of people only, ErrNameTaken: another account has it. ErrLastAdmin: of the enabled people of this
	// directory in AdminGroup it was the last.
	PutUser(ctx context.Context, t iot.TenantID, u User, create bool, rev sqlkit.Revision) error
	// DeleteUser may fail with ErrLastAdmin.
	DeleteUser(ctx context.Context, t iot.TenantID, name iot.UserName, rev sqlkit.Revision) error
	// Groups returns all groups of the tenant by id; they are few.
	Groups(ctx context.Context, t iot.TenantID) ([]Group, error)
	// PutGroup creates a group or replaces one. ErrChanged: g.Version is not the latest.
	PutGroup(ctx context.Context, t iot.TenantID, g Group, create bool, rev sqlkit.Revision) error
	DeleteGroup(ctx context.Context, t iot.TenantID, id int64, rev sqlkit.Revision) error
}

// Factor is the second factor of a user.
type Factor struct {
	Secret  string    // sealed
	Active  bool      // asked for at every login
	Step    int64     // the last time step whose code was used; codes of it and before are refused
	Created time.Time // when the secret was made
	Used    time.Time // when a code was last right; zero: never
}

// FactorStore keeps second factors, apart from the accounts: they change at every login and must not fill the history.
type FactorStore interface {
	// Factor returns the second factor of a user, or sql.ErrNoRows.
	Factor(ctx context.Context, t iot.TenantID, name iot.UserName) (Factor, error)
	// PutFactor creates or replaces it.
	PutFactor(ctx context.Context, t iot.TenantID, name iot.UserName, f Factor) error
	DeleteFactor(ctx context.Context, t iot.TenantID, name iot.UserName) error
	// TakeStep remembers that the code of a step was used. Of several callers with one step exactly one gets true.
	TakeStep(ctx context.Context, t iot.TenantID, name iot.UserName, step int64, now time.Time) (bool, error)
}

// LockStore counts failed logins of people, on all nodes together.
type LockStore interface {
	// Failures returns how many logins have failed since the last good one, and when the last of them was.
	Failures(ctx context.Context, t iot.TenantID, name iot.UserName) (n int, last time.Time, err error)
	// AddFailure counts one more and returns the new number.
	AddFailure(ctx context.Context, t iot.TenantID, name iot.UserName, now time.Time) (n int, err error)
	ClearFailures(ctx context.Context, t iot.TenantID, name iot.UserName) error
}

// LoginOptionStore keeps the configured ways to log in, as documents.
type LoginOptionStore interface {
	// LoginOptions returns what a tenant has stored, ordered by id.
	LoginOptions(ctx context.Context, t iot.TenantID) ([]LoginOption, error)
	// PutLoginOption creates or replaces the one with the id. ErrLastLogin: it is off, and so are all others that are built in.
	PutLoginOption(ctx context.Context, t iot.TenantID, o LoginOption, rev sqlkit.Revision) error
	// DeleteLoginOption returns sql.ErrNoRows if there is none with the id.
	DeleteLoginOption(ctx context.Context, t iot.TenantID, id string, rev sqlkit.Revision) error
}

// SessionKind says what a session is for.
type SessionKind string

// The kinds of sessions.
const (
	CookieSession SessionKind = "COOKIE" // of a browser; renewed by the server
	BodySession   SessionKind = "TOKEN"  // the token was returned in a body
	DeviceSession SessionKind = "DEVICE"
	SetupSession  SessionKind = "SETUP" // of somebody who must set up a second factor and may do nothing else
	codeSession   SessionKind = "CODE"  // a one-time code
	usedSession   SessionKind = "USED"  // remembers until it expires that something was used
)

// Session is a token that is valid until it expires or is revoked.
type Session struct {
	ID      string // the token's id (jti), or the hash of a one-time code
	User    iot.UserName
	XSRF    string
	OneTime bool
	Created time.Time
	Expires time.Time

	Chain      string      // names the session to people; stays the same when its token is renewed, and opens nothing
	Kind       SessionKind // empty: from before kinds were kept
	Started    time.Time   // of the first token of the chain
	Ends       time.Time   // no renewal goes beyond it
	RenewAfter time.Time   // from then on the server hands out a new token; zero: never
	Seen       time.Time   // when it was last used, to some minutes
	Address    string      // where the login came from
	UserAgent  string
	SameAgent  bool // refused when the user agent changes
	TFA        bool // a second factor was given
}

// SessionStore keeps sessions and the key that signs tokens.
type SessionStore interface {
	PutSession(ctx context.Context, t iot.TenantID, s Session) error
	// Session returns a session that has not expired; sql.ErrNoRows otherwise.
	Session(ctx context.Context, t iot.TenantID, id string, now time.Time) (Session, error)
	// Sessions returns what has not expired, the oldest first: of a user, or of a chain if user is empty.
	Sessions(ctx context.Context, t iot.TenantID, user iot.UserName, chain string, now time.Time) ([]Session, error)
	// TakeSession is Session, and deletes it: of several callers exactly one gets it.
	TakeSession(ctx context.Context, t iot.TenantID, id string, now time.Time) (Session, error)
	// UpdateSession sets when a session was seen, and when it expires if that is earlier than it would; it never brings one back.
	UpdateSession(ctx context.Context, t iot.TenantID, id string, seen, expires time.Time) error
	// DeleteSessions ends sessions of a user (all if user is empty; only the one with the id if id is not empty) and all that have expired.
	DeleteSessions(ctx context.Context, t iot.TenantID, user iot.UserName, id string, now time.Time) error
	// SigningKey returns the platform's key, storing candidate if there is none: all nodes get the same one.
	SigningKey(ctx context.Context, candidate func() ([]byte, error)) ([]byte, error)
}
