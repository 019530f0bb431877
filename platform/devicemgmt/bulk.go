package devicemgmt

import (
	"context"
	"encoding/json"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/security/access"
)

// BulkStatus is how far the platform got with the operations of a bulk operation. It says nothing about what devices made of them.
type BulkStatus string

// The statuses of a bulk operation.
const (
	BulkActive     BulkStatus = "ACTIVE"      // waits for its start
	BulkInProgress BulkStatus = "IN_PROGRESS" // operations are being created
	BulkCompleted  BulkStatus = "COMPLETED"   // every device has its operation
	BulkDeleted    BulkStatus = "DELETED"     // cancelled
)

// GeneralStatus is what people see of a bulk operation: how its operations are getting on.
type GeneralStatus string

// The general statuses.
const (
	BulkScheduled          GeneralStatus = "SCHEDULED"
	BulkExecuting          GeneralStatus = "EXECUTING"
	BulkExecutingWithError GeneralStatus = "EXECUTING_WITH_ERROR"
	BulkSuccessful         GeneralStatus = "SUCCESSFUL"
	BulkFailed             GeneralStatus = "FAILED"
	BulkCanceled           GeneralStatus = "CANCELED"
)

// Progress counts devices by what became of their operation. An operation that is deleted while it is open no longer counts.
type Progress struct {
	Waiting    int // have no operation yet
	Pending    int
	Executing  int
	Successful int
	Failed     int
}

// All is the number of devices.
func (p Progress) All() int { return p.Waiting + p.Pending + p.Executing + p.Successful + p.Failed }

// Count adds n operations of a status.
func (p *Progress) Count(s iot.OperationStatus, n int) {
	switch s {
	case iot.Pending:
		p.Pending = max(0, p.Pending+n)
	case iot.Executing:
		p.Executing = max(0, p.Executing+n)
	case iot.Successful:
		p.Successful = max(0, p.Successful+n)
	case iot.Failed:
		p.Failed = max(0, p.Failed+n)
	}
}

// Bulk is one operation for every device of a group, or again for those devices for which another bulk operation failed.
type Bulk struct {
	ID           iot.ID
	Status       BulkStatus
	Owner        iot.UserName // who asked for it
	Group        iot.ID       // zero if FailedParent is not
	FailedParent iot.ID
	Start        time.Time
	Ramp         time.Duration // between the creations of two operations, whole milliseconds, above zero
	Note         string
	Description  string  // of every operation
	Fragments    iot.Doc // of every operation
	Reason       string  // why there is nothing to do, empty otherwise
	Created      time.Time
	Changed      time.Time
	Due          time.Time // when there is work to do next, zero if there is none
	Progress     Progress
}

// General is the general status. One that found no device failed.
func (b Bulk) General() GeneralStatus {
	p := b.Progress
	switch {
	case b.Status == BulkDeleted:
		return BulkCanceled
	case b.Status == BulkActive:
		return BulkScheduled
	case b.Status == BulkInProgress || p.Waiting+p.Pending+p.Executing > 0:
		if p.Failed > 0 {
			return BulkExecutingWithError
		}
		return BulkExecuting
	case p.Failed > 0 || p.Successful == 0:
		return BulkFailed
	}
	return BulkSuccessful
}

// BulkChange is what is published when a bulk operation is created, changed by a person, started, completed or cancelled.
type BulkChange struct {
	Action iot.Action
	Bulk   Bulk
}

const (
	// maxRamp bounds Bulk.Ramp.
	maxRamp = 365 * 24 * time.Hour
	// maxNote bounds Bulk.Note, in bytes.
	maxNote = 10_000
	// MaxMembers bounds the devices of a bulk operation.
	MaxMembers = 100_000
)

// BulkDeps is what Bulks needs beside the face of operations.
type BulkDeps struct {
	Operations *Operations
	Store      BulkStore
	// Active is an error for a tenant that must not be used; nil: all may.
	Active func(ctx context.Context, t iot.TenantID) error
}

// Bulks is the face of bulk operations. It is safe for concurrent use.
type Bulks struct {
	*Operations
	store  BulkStore
	active func(ctx context.Context, t iot.TenantID) error
	wake   chan struct{} // of one: there may be work earlier than the runner knows
}

// NewBulks returns the face. Run does the work.
func NewBulks(d BulkDeps) *Bulks {
	return &Bulks{Operations: d.Operations, store: d.Store, active: d.Active, wake: make(chan struct{}, 1)}
}

func (s *Bulks) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Bulks) announce(t iot.TenantID, a iot.Action, b Bulk) {
	data, err := json.Marshal(BulkChange{a, b})
	if err != nil {
		s.d.Log.Error("encode a change", "tenant", t, "err", err)
		return
	}
	s.d.Bus.Publish(bus.Subject(t, string(iot.KindBulkOperation), string(a), b.ID.String()), data)
}

func (s *Bulks) record(ctx context.Context, p iot.Principal, b Bulk, activity string, changes ...iot.AttributeChange) {
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "BulkOperation", Activity: activity, Text: activity + ": status=" + string(b.Status), Source: b.ID, Changes: changes})
}

// Create stores a bulk operation, which starts at b.Start; a start in the past means now. Group or FailedParent, Start, Ramp, Note, Description and
// Fragments count. It needs ROLE_BULK_OPERATION_ADMIN and, for a group, the right to read that. A group without devices and a parent none of whose
// operations failed are faults of kind Invalid.
func (s *Bulks) Create(ctx context.Context, p iot.Principal, b Bulk) (Bulk, error) {
	const op = fault.Op("devicemgmt.CreateBulk")
	if err := s.d.Policy.Check(ctx, p, access.BulkOperation, access.Admin, access.Object{}); err != nil {
		return Bulk{}, err
	}
	if (b.Group == 0) == (b.FailedParent == 0) {
		return Bulk{}, fault.E(op, fault.Invalid, "exactly one of groupId and failedParentId must be given")
	}
	if err := b.check(op); err != nil {
		return Bulk{}, err
	}
	if b.Group != 0 {
		if _, err := s.d.Registry.Check(ctx, p, b.Group, access.ManagedObject, access.Read); err != nil {
			return Bulk{}, err
		}
	}
	if _, err := s.members(ctx, p.Tenant, b); err != nil {
		return Bulk{}, err
	}
	id, err := s.store.NextBulkID(ctx, p.Tenant)
	if err != nil {
		return Bulk{}, sqlkit.Fault(op, err)
	}
	if id > maxID {
		return Bulk{}, fault.E(op, fault.Full, "no ids of bulk operations are left")
	}
	rev := s.revision(ctx, p)
	b = Bulk{ID: id, Status: BulkActive, Owner: p.User, Group: b.Group, FailedParent: b.FailedParent, Start: b.Start, Ramp: b.Ramp, Note: b.Note,
		Description: b.Description, Fragments: b.Fragments.WithoutNulls(), Created: rev.At, Changed: rev.At, Due: later(b.Start, rev.At)}
	if err := s.store.CreateBulk(ctx, p.Tenant, b, rev); err != nil {
		return Bulk{}, sqlkit.Fault(op, err)
	}
	s.record(ctx, p, b, "Bulk operation created")
	s.announce(p.Tenant, iot.Created, b)
	s.poke()
	return b, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (b Bulk) check(op fault.Op) error {
	switch {
	case b.Start.IsZero():
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: startDate")
	case b.Ramp < time.Millisecond || b.Ramp > maxRamp:
		return fault.E(op, fault.Invalid, "creationRamp must be a number of seconds from 0.001 to 31536000")
	case len(b.Note) > maxNote:
		return fault.Errorf(op, fault.Invalid, "the note must have at most %d bytes", maxNote)
	case len(b.Fragments) == 0 && b.Description == "":
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: operationPrototype")
	}
	return storable(op, b.Fragments, b.Description, b.Note)
}

// Get returns one bulk operation, also a cancelled one. It needs ROLE_BULK_OPERATION_READ.
func (s *Bulks) Get(ctx context.Context, p iot.Principal, id iot.ID) (Bulk, error) {
	if err := s.d.Policy.Check(ctx, p, access.BulkOperation, access.Read, access.Object{}); err != nil {
		return Bulk{}, err
	}
	b, err := s.store.GetBulk(ctx, p.Tenant, id)
	return b, noBulk("devicemgmt.Bulk", id, err)
}

// List returns a page of the bulk operations that q selects, and the number of all of them if q.Count. It needs ROLE_BULK_OPERATION_READ.
func (s *Bulks) List(ctx context.Context, p iot.Principal, q BulkQuery) ([]Bulk, int, error) {
	if err := s.d.Policy.Check(ctx, p, access.BulkOperation, access.Read, access.Object{}); err != nil {
		return nil, 0, err
	}
	out, n, err := s.store.ListBulks(ctx, p.Tenant, q)
	return out, n, sqlkit.Fault("devicemgmt.Bulks", err)
}

// BulkPatch changes a bulk operation; nil members stay.
type BulkPatch struct {
	Group       *iot.ID
	Start       *time.Time
	Ramp        *time.Duration
	Note        *string
	Description *string
	Fragments   iot.Doc // nil: stay; they replace all
}

// Update changes a bulk operation. Once it has started only ramp and note can change, once it is over only the note; anything else is a fault of kind
// Invalid, unless it says what is so already. It needs ROLE_BULK_OPERATION_ADMIN.
func (s *Bulks) Update(ctx context.Context, p iot.Principal, id iot.ID, patch BulkPatch) (Bulk, error) {
	const op = fault.Op("devicemgmt.UpdateBulk")
	if err := s.d.Policy.Check(ctx, p, access.BulkOperation, access.Admin, access.Object{}); err != nil {
		return Bulk{}, err
	}
	old, err := s.store.GetBulk(ctx, p.Tenant, id)
	if err != nil {
		return Bulk{}, noBulk(op, id, err)
	}
	next := patch.apply(old)
	if err := next.check(op); err != nil {
		return Bulk{}, err
	}
	if next.Group != old.Group {
		if old.Group == 0 || next.Group == 0 {
			return Bulk{}, fault.E(op, fault.Invalid, "a bulk operation for a group stays one, and so does one that repeats failed operations")
		}
		if _, err := s.d.Registry.Check(ctx, p, next.Group, access.ManagedObject, access.Read); err != nil {
			return Bulk{}, err
		}
		if _, err := s.members(ctx, p.Tenant, next); err != nil {
			return Bulk{}, err
		}
	}
	rev := s.revision(ctx, p)
	before, after, err := s.store.UpdateBulk(ctx, p.Tenant, id, rev, func(b Bulk) (Bulk, error) {
		next := patch.apply(b)
		if b.Status == BulkActive {
			next.Due = later(next.Start, rev.At)
			return next, nil
		}
		fixed := next
		fixed.Note, fixed.Fragments = b.Note, b.Fragments
		if b.Status == BulkInProgress {
			fixed.Ramp = b.Ramp
		}
		if !fixed.same(b) || !next.Fragments.Equal(b.Fragments) {
			return b, fault.E(op, fault.Invalid, "the bulk operation has the status "+string(b.Status)+": it can no longer be changed in this way")
		}
		return next, nil
	})
	if err != nil {
		return Bulk{}, noBulk(op, id, err)
	}
	s.record(ctx, p, after, "Bulk operation updated", bulkChanges(before, after)...)
	s.announce(p.Tenant, iot.Updated, after)
	s.poke()
	return after, nil
}

func (x BulkPatch) apply(b Bulk) Bulk {
	if x.Group != nil {
		b.Group = *x.Group
	}
	if x.Start != nil {
		b.Start = *x.Start
	}
	if x.Ramp != nil {
		b.Ramp = *x.Ramp
	}
	if x.Note != nil {
		b.Note = *x.Note
	}
	if x.Description != nil {
		b.Description = *x.Description
	}
	if x.Fragments != nil {
		b.Fragments = x.Fragments.WithoutNulls()
	}
	return b
}

// same compares what a person decides, but for note and fragments.
func (b Bulk) same(o Bulk) bool {
	return b.Group == o.Group && b.Start.Equal(o.Start) && b.Ramp == o.Ramp && b.Description == o.Description
}

func bulkChanges(before, after Bulk) (out []iot.AttributeChange) {
	add := func(name, kind, old, new string) {
		if old != new {
			out = append(out, iot.AttributeChange{Attribute: name, Type: kind, Previous: old, New: new})
		}
	}
	add("startDate", "Date", iot.FormatTime(before.Start), iot.FormatTime(after.Start))
	add("creationRamp", "Duration", before.Ramp.String(), after.Ramp.String())
	add("groupId", "String", before.Group.String(), after.Group.String())
	add("note", "String", before.Note, after.Note)
	return out
}

// Cancel ends a bulk operation: no more operations are created, and those that no device has begun become FAILED. It stays readable. Cancelling
// again does nothing. It needs ROLE_BULK_OPERATION_ADMIN.
func (s *Bulks) Cancel(ctx context.Context, p iot.Principal, id iot.ID) error {
	const op = fault.Op("devicemgmt.CancelBulk")
	if err := s.d.Policy.Check(ctx, p, access.BulkOperation, access.Admin, access.Object{}); err != nil {
		return err
	}
	rev := s.revision(ctx, p)
	before, after, err := s.store.UpdateBulk(ctx, p.Tenant, id, rev, func(b Bulk) (Bulk, error) {
		if b.Status != BulkDeleted {
			b.Status, b.Due, b.Progress.Waiting = BulkDeleted, rev.At, 0
		}
		return b, nil
	})
	if err != nil {
		return noBulk(op, id, err)
	}
	if before.Status != after.Status {
		s.record(ctx, p, after, "Bulk operation deleted", iot.AttributeChange{Attribute: "status", Type: "String", Previous: string(before.Status), New: string(after.Status)})
		s.announce(p.Tenant, iot.Updated, after)
		s.poke()
	}
	return nil
}

// noBulk words the fault of a missing bulk operation.
func noBulk(op fault.Op, id iot.ID, err error) error {
	err = sqlkit.Fault(op, err)
	if fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(id.String()), err, "Finding bulk operation from database failed : No bulk operation for id '"+id.String()+"'!")
	}
	return err
}

// members finds the devices of a bulk operation, each once. None, and more than MaxMembers, are faults of kind Invalid. It acts for the platform.
func (s *Bulks) members(ctx context.Context, t iot.TenantID, b Bulk) ([]iot.ID, error) {
	const op = fault.Op("devicemgmt.BulkMembers")
	var ids []iot.ID
	var err error
	none := "the group has no devices"
	if b.FailedParent != 0 {
		if _, err := s.store.GetBulk(ctx, t, b.FailedParent); err != nil {
			return nil, noBulk(op, b.FailedParent, err)
		}
		none = "no operation of the bulk operation has failed, so that none can be repeated"
		ids, err = s.store.FailedDevices(ctx, t, b.FailedParent, MaxMembers+1)
		err = sqlkit.Fault(op, err)
	} else {
		ids, err = s.devicesOf(ctx, t, b.Group)
	}
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0:
		return nil, fault.E(op, fault.Invalid, none)
	case len(ids) > MaxMembers:
		return nil, fault.Errorf(op, fault.Invalid, "a bulk operation can be for at most %d devices", MaxMembers)
	}
	return ids, nil
}

// devicesOf lists the devices of a group and of the groups below it, or what the query of a smart group finds.
func (s *Bulks) devicesOf(ctx context.Context, t iot.TenantID, group iot.ID) ([]iot.ID, error) {
	const part = 500
	system := iot.System(t)
	g, err := s.d.Registry.Get(ctx, system, group)
	if err != nil {
		return nil, err
	}
	if text, smart := g.Fragments.Text("c8y_DeviceQueryString"); smart && g.Fragments.Has("c8y_IsDynamicGroup") {
		q, err := query.Parse(text)
		if err != nil {
			return nil, fault.E(fault.Op("devicemgmt.BulkMembers"), fault.Invalid, err, "the query of the smart group is not valid: "+err.Error())
		}
		q.Order = nil // by id, so that pages do not overlap
		return s.devices(ctx, t, registry.Query{Query: q, Limit: part}, MaxMembers+1)
	}
	below, err := s.d.Registry.Below(ctx, t, group, iot.ChildAsset)
	if err != nil {
		return nil, err
	}
	var out []iot.ID
	for len(below) > 0 && len(out) <= MaxMembers {
		n := min(part, len(below))
		more, err := s.devices(ctx, t, registry.Query{IDs: below[:n], Limit: part}, part)
		if err != nil {
			return nil, err
		}
		out, below = append(out, more...), below[n:]
	}
	return out, nil
}

// devices returns up to about most of the devices that a query finds.
func (s *Bulks) devices(ctx context.Context, t iot.TenantID, q registry.Query, most int) (out []iot.ID, err error) {
	for q.Fragment = iot.FragmentIsDevice; len(out) < most; q.Offset += q.Limit {
		found, _, err := s.d.Registry.List(ctx, iot.System(t), q)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			out = append(out, o.ID)
		}
		if len(found) < q.Limit {
			break
		}
	}
	return out, nil
}
