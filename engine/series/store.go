package series

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
)

// Entry is one measurement on its way into the store.
type Entry struct {
	Tenant iot.TenantID
	M      *iot.Measurement
	From   *Delivery // how it came, to be remembered in the same commit; nil: it is not remembered
}

// Store keeps measurements. All methods are safe for concurrent use. A context that ends stops the call with the context's error,
// except that an Append which has reached the disk is completed. Errors carry a kind of package fault: Invalid for arguments that no
// driver accepts, Corrupt for damaged data (the subject names the row or chunk), Full and Unavailable for what they say; a closed
// store is Unavailable.
type Store interface {
	// Append makes all entries durable before it returns nil, with one commit for the whole batch, or stores none of them.
	// It sets M.Seq of every entry, in the order of the batch, so that (source, millisecond, Seq) is unique; nothing else of M is
	// changed, nothing of M is kept. Times are cut to milliseconds. An entry that breaks a limit of Check makes the batch Invalid;
	// more than iot.MaxSeq+1 measurements of one source in one millisecond are Exhausted.
	Append(ctx context.Context, entries []Entry) error

	// Scan calls fn for the measurements that match q, ordered by time, then source, then Seq, or exactly backwards with q.Reverse.
	// It sees a consistent state of each source as of some moment during the call. *m and everything that it points to is only valid
	// during the call of fn and must not be changed. fn returns false to stop; Scan then returns nil. fn may call the store.
	Scan(ctx context.Context, tenant iot.TenantID, q Query, fn func(m *iot.Measurement) bool) error

	// Get returns one measurement, fault.NotFound if there is none with that id in the tenant.
	Get(ctx context.Context, tenant iot.TenantID, id iot.MeasurementID) (iot.Measurement, error)

	// Delete removes the measurements that match q, durably, and returns how many. q must not have Offset or Limit. After an error
	// some of them may be gone. One(id) makes the query for a single measurement.
	Delete(ctx context.Context, tenant iot.TenantID, q Query) (int64, error)

	// Catalog lists the distinct series of a source, of all sources of the tenant if source is zero, sorted by fragment, then series,
	// each with the unit of its newest measurement. A series whose measurements were all deleted may stay listed as long as the
	// source has any other measurement.
	Catalog(ctx context.Context, tenant iot.TenantID, source iot.ID) ([]Info, error)

	// Deliveries returns what Append remembers of the latest deliveries of a client, oldest first: all of its latest Remembered commits,
	// maybe more.
	Deliveries(ctx context.Context, tenant iot.TenantID, client uint64) ([]Delivery, error)

	// Connected remembers durably that a client which has delivered something came with a new connection: until it delivers on that,
	// Deliveries ends with one of that connection whose Packet is zero. Of a client that has delivered nothing it remembers nothing.
	Connected(ctx context.Context, tenant iot.TenantID, client uint64, conn int64) error

	// DropTenant removes everything of a tenant, durably. It is no error if there is nothing.
	DropTenant(ctx context.Context, tenant iot.TenantID) error

	// Close waits for running calls, ends background work and releases the files. Closing twice is harmless.
	Close() error
}

// Key names a series within a source: the value fragment and the series in it.
type Key struct {
	Fragment string
	Series   string
}

// Info describes a series.
type Info struct {
	Key
	Unit string // of the newest measurement; empty if it had none
}
