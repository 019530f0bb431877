package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Query selects operations, oldest first unless Descending; equal times are ordered by id. All conditions must hold, zero values are none.
type Query struct {
	Device     iot.ID
	Agent      iot.ID // operations of that object and of all its child devices
	Status     iot.OperationStatus
	Fragment   string         // top-level member that must exist
	Except     []iot.Selector // these are left out; an operation has no type, its source is the device
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
	// Documents tells the change log of operations.
	Documents() changes.Documents
	// Expire is Delete without a trace: no version of the operations stays.
	Expire(ctx context.Context, t iot.TenantID, q Query) ([]iot.Operation, error)
	// Held counts the operations that match q, and their devices.
	Held(ctx context.Context, t iot.TenantID, q Query) (Held, error)
	// SetDelivery records how far an operation got on its way, without a new version.
	SetDelivery(ctx context.Context, t iot.TenantID, id iot.ID, d iot.Delivery) error
	// History returns the superseded versions, oldest first; with a time that is not zero only the one that was current then, if any was.
	History(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]Version, error)
}

// BulkQuery selects bulk operations, newest first. All conditions must hold, zero values are none.
type BulkQuery struct {
	Deleted  bool            // also those that were cancelled; implied by General if it names BulkCanceled
	General  []GeneralStatus // any of them
	From, To time.Time       // of the start, half-open
	Offset   int
	Limit    int
	Count    bool // also count all that match
}

// BulkKey names a bulk operation.
type BulkKey struct {
	Tenant iot.TenantID
	ID     iot.ID
}

// BulkStore keeps bulk operations, with the same promises as Store, whose changes of operations it counts in the same transaction.
type BulkStore interface {
	NextBulkID(ctx context.Context, t iot.TenantID) (iot.ID, error)
	CreateBulk(ctx context.Context, t iot.TenantID, b Bulk, rev sqlkit.Revision) error
	GetBulk(ctx context.Context, t iot.TenantID, id iot.ID) (Bulk, error)
	ListBulks(ctx context.Context, t iot.TenantID, q BulkQuery) ([]Bulk, int, error)
	// UpdateBulk replaces a bulk operation by what change makes of it, which may run more than once; its error ends the update. Of Progress only
	// Waiting can be changed: to zero, which forgets the devices that have no operation yet.
	UpdateBulk(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(Bulk) (Bulk, error)) (before, after Bulk, err error)
	// BeginBulk starts one that is BulkActive and due at rev.At with these devices; without any it is completed, for that reason. began is false
	// if it was not to be started.
	BeginBulk(ctx context.Context, t iot.TenantID, id iot.ID, devices []iot.ID, reason string, rev sqlkit.Revision) (after Bulk, began bool, err error)
	// NextMember returns a device that waits for its operation, zero if there is none.
	NextMember(ctx context.Context, t iot.TenantID, id iot.ID) (iot.ID, error)
	// StepBulk stores an operation of o.BulkID for o.Device, if that device waits for one and it is due at rev.At, and decides when the next one is:
	// both or nothing, so that no device gets two. The last device completes the bulk operation.
	StepBulk(ctx context.Context, t iot.TenantID, o iot.Operation, rev sqlkit.Revision) (after Bulk, made bool, err error)
	// FailedDevices returns up to limit devices whose operation of a bulk operation failed, each once.
	FailedDevices(ctx context.Context, t iot.TenantID, id iot.ID, limit int) ([]iot.ID, error)
	// DueBulks returns up to limit bulk operations of all tenants for which there is work, longest due first, and, if there are none, when the next
	// one will be; zero if none will.
	DueBulks(ctx context.Context, now time.Time, limit int) (due []BulkKey, next time.Time, err error)
	// ExpireBulks removes, with their versions, up to DeleteBatch bulk operations that q selects and that are over: nothing waits, is pending or
	// executed. It returns their ids. Fewer than DeleteBatch means: all are gone.
	ExpireBulks(ctx context.Context, t iot.TenantID, q Old) ([]iot.ID, error)
	// HeldBulks counts what ExpireBulks would remove.
	HeldBulks(ctx context.Context, t iot.TenantID, q Old) (Held, error)
	// PostponeBulk says when there will be work again, if there is any; zero: never.
	PostponeBulk(ctx context.Context, t iot.TenantID, id iot.ID, until time.Time) error
}
