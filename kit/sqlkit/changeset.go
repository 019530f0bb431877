package sqlkit

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Bounds of what a client may say of a change set, in bytes.
const (
	MaxSetID  = 64
	MaxReason = 1000
)

// ChangeSet is what belongs together: all changes that one request made, or all that name the same set.
type ChangeSet struct {
	ID     string
	At     time.Time // when it was first named
	By     string
	Reason string
	Undoes string // the change set that this one takes back; empty: none
}

type setKey struct{}

// InChangeSet returns a context whose changes belong to a change set. An empty id changes nothing.
func InChangeSet(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, setKey{}, id)
}

// NewSetID returns the name of a change set that nobody has named.
func NewSetID() string { return rand.Text()[:16] }

// NewRevision returns a revision in the change set of the context, or in one of its own.
func NewRevision(ctx context.Context, at time.Time, by string) Revision {
	set, ok := ctx.Value(setKey{}).(string)
	if !ok {
		set = NewSetID()
	}
	return Revision{At: at, By: by, Set: set}
}

// Check returns a fault of kind Invalid unless the names can be kept. An id is of letters, digits and ._-
func (s ChangeSet) Check() error {
	const op = fault.Op("sqlkit.ChangeSet")
	if s.ID == "" || len(s.ID) > MaxSetID {
		return fault.Errorf(op, fault.Invalid, "the name of a change set must have 1 to %d characters", MaxSetID)
	}
	for _, c := range []byte(s.ID) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fault.E(op, fault.Invalid, "the name of a change set must be of letters, digits, dots, hyphens and underscores")
		}
	}
	if len(s.Reason) > MaxReason {
		return fault.Errorf(op, fault.Invalid, "the reason of a change must not be longer than %d bytes", MaxReason)
	}
	return nil
}

// NameSet records a change set. One that exists already stays as it is, and is returned.
func (tx *Tx) NameSet(ctx context.Context, tenant string, s ChangeSet) (ChangeSet, error) {
	if _, err := tx.Exec(ctx, `INSERT INTO change_set (tenant, id, at, author, reason, undoes) VALUES (?,?,?,?,?,?) ON CONFLICT (tenant, id) DO NOTHING`,
		tenant, s.ID, s.At.UnixMilli(), s.By, s.Reason, s.Undoes); err != nil {
		return s, err
	}
	var at int64
	err := tx.QueryRow(ctx, `SELECT at, author, reason, undoes FROM change_set WHERE tenant = ? AND id = ?`, tenant, s.ID).Scan(&at, &s.By, &s.Reason, &s.Undoes)
	s.At = Time(at)
	return s, err
}
