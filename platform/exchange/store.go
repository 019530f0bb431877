package exchange

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Place is how far a consumer got in the stream of its topic.
type Place struct {
	Topic      string
	Subscriber string
	Stream     int64    // which stream: one that was made anew has other numbers
	Floor      uint64   // all messages up to this number are done
	Done       []uint64 // and these, ascending
}

// Store keeps subscriptions and consumers. Errors are raw: a missing row is sql.ErrNoRows, a second subscription with the same scope, source
// and name satisfies sqlkit.IsUnique. Every method works in one tenant unless it says otherwise, is atomic and durable when it returns, and is safe for concurrent use.
type Store interface {
	NextID(ctx context.Context, t iot.TenantID) (iot.ID, error)
	Create(ctx context.Context, t iot.TenantID, s Subscription, rev sqlkit.Revision) error
	Get(ctx context.Context, t iot.TenantID, id iot.ID) (Subscription, error)
	// List returns a page by id, and the number of all that match. A limit of zero or less means none of them.
	List(ctx context.Context, t iot.TenantID, q Query) ([]Subscription, int, error)
	Delete(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision) error
	// DeleteAll deletes those of a scope and source and returns how many there were.
	DeleteAll(ctx context.Context, t iot.TenantID, scope Scope, source iot.ID, rev sqlkit.Revision) (int, error)

	// Join stores a new consumer, unless it is known, and returns what is stored.
	Join(ctx context.Context, t iot.TenantID, p Place) (Place, error)
	// Save stores where a consumer is. It does nothing if there is no such consumer.
	Save(ctx context.Context, t iot.TenantID, p Place) error
	// Leave removes a consumer; it is no error if there is none.
	Leave(ctx context.Context, t iot.TenantID, topic, subscriber string) error
	// Consumers returns how many consumers a topic has, and whether a subscriber is one of them.
	Consumers(ctx context.Context, t iot.TenantID, topic, subscriber string) (n int, known bool, err error)
	// Topics returns how many topics have consumers. It takes the time of these, however many consumers they have.
	Topics(ctx context.Context, t iot.TenantID) (int, error)
	// Places returns the consumers of a tenant by topic and subscriber.
	Places(ctx context.Context, t iot.TenantID) ([]Place, error)
	// Tenants lists the tenants that have subscriptions or consumers.
	Tenants(ctx context.Context) ([]iot.TenantID, error)

	Notes
}

// Notes are what transactions left; see sqlkit.DB.
type Notes interface {
	Notes(ctx context.Context, tenant, node string, after int64, limit int) ([]sqlkit.Note, error)
	Orphans(ctx context.Context, node, home string, before int64, limit int) (tenants []string, notes []sqlkit.Note, err error)
	DropNotes(ctx context.Context, tenant string, ids ...int64) error
	LeaveNote(ctx context.Context, n *sqlkit.Notes, subject string, data []byte) (int64, error)
}
