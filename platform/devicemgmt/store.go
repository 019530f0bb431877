package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Query selects operations, oldest first unless Descending; equal times are ordered by id. All conditions must hold, zero values are none.
type Query struct {
	Device     iot.ID
	Agent      iot.ID // operations of that object and of all its child devices
	Status     iot.OperationStatus
	Fragment   string // top-level member that must exist
	BulkID     iot.ID
	From, To   time.Time // of creation, half-open; equal bounds mean that instant
	Descending bool
	Offset     int
	Limit      int
	Count      bool // also count all that match

	// Devices is what the face makes of Agent for the driver: any of them.
	Devices []iot.ID
	// Receiver is the agent that the operation was meant for when it was created.
	Receiver iot.ID
}

// Version is a superseded version of an operation.
type Version struct {
	Operation iot.Operation
	From      time.Time
	Until     sqlkit.Revision
	Deleted   bool
}

// DeleteBatch is how many operations a driver removes with one call at most.
const DeleteBatch = 500

// Store keeps operations. Errors are raw: a missing row is sql.ErrNoRows. Every method works in one tenant, is atomic and durable when it
// returns, and is safe for concurrent use. Drivers look at Devices and not at Agent, and take bounds literally.
type Store interface {
	NextID(ctx context.Context, t iot.TenantID) (iot.ID, error)
	Create(ctx context.Context, t iot.TenantID, o iot.Operation, rev sqlkit.Revision) error
	Get(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Operation, error)
	// List returns a page of those whose devices are in scope, and the number of all of them if q.Count.
	List(ctx context.Context, t iot.TenantID, scope access.Scope, q Query) ([]iot.Operation, int, error)
	// Update replaces an operation by what change makes of it. If that makes no difference, nothing is stored and written is false.
	// change may run more than once and must have no other effect.
	Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.Operation) iot.Operation) (before, after iot.Operation, written bool, err error)
	// Delete removes up to DeleteBatch operations in scope that match q and returns them. Fewer than DeleteBatch means: all are gone.
	Delete(ctx context.Context, t iot.TenantID, scope access.Scope, q Query, rev sqlkit.Revision) ([]iot.Operation, error)
	// SetDelivery records how far an operation got on its way, without a new version.
	SetDelivery(ctx context.Context, t iot.TenantID, id iot.ID, d iot.Delivery) error
	History(ctx context.Context, t iot.TenantID, id iot.ID) ([]Version, error)
}
