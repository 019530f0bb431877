package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Old selects operations or bulk operations whose time of keeping is over: those that were created before a time. Zero values are no condition.
type Old struct {
	Before   time.Time      // required
	Device   iot.ID         // not of bulk operations, which are of no device
	Fragment string         // top-level member; of bulk operations, one of their operations
	Except   []iot.Selector // these are kept; neither kind has a type
}

func (q Old) operations() Query {
	return Query{Device: q.Device, Fragment: q.Fragment, Except: q.Except, To: q.Before}
}

func (q Old) check(op fault.Op) error {
	if q.Before.IsZero() {
		return fault.E(op, fault.Invalid, "a rule of retention needs an age")
	}
	return nil
}

// Retain removes operations that q selects, with their versions, in batches of DeleteBatch, and returns how many. It acts for the platform; the
// deletions are published.
func (s *Operations) Retain(ctx context.Context, t iot.TenantID, q Old) (n int64, err error) {
	const op = fault.Op("devicemgmt.Retain")
	if err := q.check(op); err != nil {
		return 0, err
	}
	for old := q.operations(); ; {
		gone, err := s.d.Store.Expire(ctx, t, old)
		n += int64(len(gone))
		for _, o := range gone {
			s.publish(ctx, t, iot.Deleted, iot.Operation{ID: o.ID, Device: o.Device, Agent: o.Agent})
		}
		if err != nil || len(gone) < DeleteBatch {
			return n, sqlkit.Fault(op, err)
		}
		old.From = gone[len(gone)-1].CreationTime // what is kept before that is not looked at again
	}
}

// Held is how much retention would remove.
type Held struct {
	Documents, Devices int64
	Bytes              int64 // of texts and of members as JSON
}

// Held counts the operations that Retain would remove, and their devices.
func (s *Operations) Held(ctx context.Context, t iot.TenantID, q Old) (Held, error) {
	h, err := s.d.Store.Held(ctx, t, q.operations())
	return h, sqlkit.Fault("devicemgmt.Held", err)
}

// RetainBulks removes the bulk operations that q selects and that are over, with their versions, and returns how many. The operations that they
// created stay. It acts for the platform; the deletions are published.
func (s *Bulks) RetainBulks(ctx context.Context, t iot.TenantID, q Old) (n int64, err error) {
	const op = fault.Op("devicemgmt.RetainBulks")
	if err := q.check(op); err != nil {
		return 0, err
	}
	for {
		gone, err := s.store.ExpireBulks(ctx, t, q)
		n += int64(len(gone))
		for _, id := range gone {
			s.announce(t, iot.Deleted, Bulk{ID: id})
		}
		if err != nil || len(gone) < DeleteBatch {
			return n, sqlkit.Fault(op, err)
		}
	}
}

// HeldBulks counts the bulk operations that RetainBulks would remove. They are of no device.
func (s *Bulks) HeldBulks(ctx context.Context, t iot.TenantID, q Old) (Held, error) {
	h, err := s.store.HeldBulks(ctx, t, q)
	return h, sqlkit.Fault("devicemgmt.HeldBulks", err)
}
