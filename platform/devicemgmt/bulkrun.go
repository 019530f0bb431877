package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// bulkPoll is how often a node looks for work that another node was asked for, or left behind.
	bulkPoll = 2 * time.Second
	// bulkTurn is how many operations of one bulk operation are created before others have their turn.
	bulkTurn = 50
	// bulkAtOnce is how many bulk operations a look takes up; the others have their turn with the next one.
	bulkAtOnce = 100
	// bulkRetry is when something that failed, or whose tenant must not be used, is tried again.
	bulkRetry = time.Minute
)

// Run creates operations when they are due, until ctx ends. Any number of nodes may run it on one database: the row of a bulk operation is what
// they agree on, so that whoever is first creates the next operation.
func (s *Bulks) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.Work(ctx))
	}
}

// Work does what is due now and returns how long there is nothing to do.
func (s *Bulks) Work(ctx context.Context) time.Duration {
	now := s.d.Clock.Now()
	due, next, err := s.store.DueBulks(ctx, now, bulkAtOnce)
	if err != nil {
		if ctx.Err() == nil {
			s.d.Log.Error("look for bulk operations", "err", err)
		}
		return bulkPoll
	}
	for _, k := range due {
		if err := s.turn(ctx, k.Tenant, k.ID); err != nil && ctx.Err() == nil {
			s.d.Log.Warn("bulk operation delayed", "tenant", k.Tenant, "id", k.ID, "err", err)
			if err := s.store.PostponeBulk(ctx, k.Tenant, k.ID, now.Add(bulkRetry)); err != nil {
				s.d.Log.Error("delay a bulk operation", "tenant", k.Tenant, "id", k.ID, "err", err)
			}
		}
	}
	if len(due) > 0 {
		return time.Millisecond // there may be more
	}
	if next.IsZero() {
		return bulkPoll
	}
	return min(bulkPoll, max(time.Millisecond, next.Sub(now)))
}

// turn does some of the work of one bulk operation.
func (s *Bulks) turn(ctx context.Context, t iot.TenantID, id iot.ID) error {
	if s.active != nil {
		if err := s.active(ctx, t); err != nil {
			return err
		}
	}
	b, err := s.store.GetBulk(ctx, t, id)
	if err != nil {
		return noBulk("devicemgmt.Bulk", id, err)
	}
	switch b.Status {
	case BulkActive:
		return s.begin(ctx, t, b)
	case BulkDeleted:
		return s.failPending(ctx, t, b)
	case BulkCompleted:
		return sqlkit.Fault("devicemgmt.Bulk", s.store.PostponeBulk(ctx, t, id, time.Time{}))
	}
	for range bulkTurn {
		more, err := s.step(ctx, t, b)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// lasting reports whether to try again would end the same.
func lasting(err error) bool { return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) }

// asOwner is who acts where the platform carries out what somebody asked for.
func asOwner(t iot.TenantID, b Bulk) iot.Principal { return iot.Principal{Tenant: t, User: b.Owner} }

// begin decides which devices get the operation: those of this moment.
func (s *Bulks) begin(ctx context.Context, t iot.TenantID, b Bulk) error {
	ids, err := s.members(ctx, t, b)
	reason := ""
	if err != nil {
		if !lasting(err) {
			return err
		}
		ids, reason = nil, fault.Message(err)
	}
	p := asOwner(t, b)
	after, began, err := s.store.BeginBulk(ctx, t, b.ID, ids, reason, s.revision(ctx, p))
	if err != nil {
		return sqlkit.Fault("devicemgmt.BeginBulk", err)
	}
	if began {
		s.announce(t, iot.Updated, after)
		if reason != "" {
			s.record(ctx, p, after, "Bulk operation failed: "+reason)
		}
	}
	return nil
}

// step creates the next operation, if it is due. more is false if there is nothing to do now.
func (s *Bulks) step(ctx context.Context, t iot.TenantID, b Bulk) (more bool, err error) {
	const op = fault.Op("devicemgmt.BulkStep")
	device, err := s.store.NextMember(ctx, t, b.ID)
	if err != nil || device == 0 {
		return false, sqlkit.Fault(op, err)
	}
	p := asOwner(t, b)
	rev := s.revision(ctx, p)
	o := iot.Operation{Device: device, Status: iot.Pending, Description: b.Description, Fragments: b.Fragments, BulkID: b.ID, CreationTime: rev.At, LastUpdated: rev.At,
		Delivery: iot.Delivery{Status: iot.DeliveryPending, Time: rev.At}}
	if err := s.address(ctx, t, &o); err != nil {
		return false, err
	}
	if o.ID, err = s.d.Store.NextID(ctx, t); err != nil {
		return false, sqlkit.Fault(op, err)
	}
	if o.ID > maxID {
		return false, fault.E(op, fault.Full, "no ids of operations are left")
	}
	after, made, err := s.store.StepBulk(s.d.Bus.Noting(ctx, t), t, o, rev)
	if err != nil || !made {
		return false, sqlkit.Fault(op, err)
	}
	s.audit(ctx, p, o, "Operation created")
	s.publish(ctx, t, iot.Created, o)
	if after.Status == BulkCompleted {
		s.announce(t, iot.Updated, after)
	}
	return after.Status == BulkInProgress && !after.Due.After(s.d.Clock.Now()), nil
}

// address finds the agent of an operation. A device that can receive none fails at once, so that it counts.
func (s *Bulks) address(ctx context.Context, t iot.TenantID, o *iot.Operation) error {
	source, err := s.d.Registry.Source(ctx, t, o.Device)
	if err == nil {
		o.Agent, err = s.receiver(ctx, t, source)
	}
	if err != nil {
		if !lasting(err) {
			return err
		}
		o.Agent, o.Status, o.FailureReason = o.Device, iot.Failed, fault.Message(err)
	}
	return nil
}

// cancelled is the failure reason of what a cancelled bulk operation leaves undone.
const cancelled = "The bulk operation was cancelled"

// failPending ends what a cancelled bulk operation has created and no device has begun.
func (s *Bulks) failPending(ctx context.Context, t iot.TenantID, b Bulk) error {
	const op = fault.Op("devicemgmt.CancelBulk")
	open, _, err := s.d.Store.List(ctx, t, everything(), Query{BulkID: b.ID, Status: iot.Pending, Limit: bulkTurn})
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	p := asOwner(t, b)
	for _, o := range open {
		before, after, written, err := s.d.Store.Update(s.d.Bus.Noting(ctx, t), t, o.ID, s.revision(ctx, p), func(o iot.Operation) iot.Operation {
			if o.Status == iot.Pending {
				o.Status, o.FailureReason = iot.Failed, cancelled
			}
			return o
		})
		if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if written {
			s.audit(ctx, p, after, "Operation updated", iot.AttributeChange{Attribute: "status", Type: "com.cumulocity.model.devicecontrol.OperationStatus",
				Previous: string(before.Status), New: string(after.Status)})
			s.publish(ctx, t, iot.Updated, after)
		}
	}
	if len(open) == bulkTurn {
		return nil
	}
	return sqlkit.Fault(op, s.store.PostponeBulk(ctx, t, b.ID, time.Time{}))
}
