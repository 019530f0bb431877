package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Retain removes the operations that were created before a time, with their versions, in batches of DeleteBatch, and returns how many. A device
// and a fragment are conditions if they are given. It acts for the platform; the deletions are published.
func (s *Operations) Retain(ctx context.Context, t iot.TenantID, before time.Time, device iot.ID, fragment string) (n int64, err error) {
	const op = fault.Op("devicemgmt.Retain")
	if before.IsZero() {
		return 0, fault.E(op, fault.Invalid, "a rule of retention needs an age")
	}
	for {
		gone, err := s.d.Store.Expire(ctx, t, Query{Device: device, Fragment: fragment, To: before})
		n += int64(len(gone))
		for _, o := range gone {
			s.publish(ctx, t, iot.Deleted, iot.Operation{ID: o.ID, Device: o.Device, Agent: o.Agent})
		}
		if err != nil || len(gone) < DeleteBatch {
			return n, sqlkit.Fault(op, err)
		}
	}
}

// Held is how much retention would remove.
type Held struct {
	Documents, Devices int64
	Bytes              int64 // of texts and of members as JSON
}

// Held counts the operations that Retain would remove, and their devices.
func (s *Operations) Held(ctx context.Context, t iot.TenantID, before time.Time, device iot.ID, fragment string) (Held, error) {
	h, err := s.d.Store.Held(ctx, t, Query{Device: device, Fragment: fragment, To: before})
	return h, sqlkit.Fault("devicemgmt.Held", err)
}

// RetainBulks removes the bulk operations that are over and were created before a time, with their versions, and returns how many. A fragment of their
// operations is a condition if it is given. The operations that they created stay. It acts for the platform; the deletions are published.
func (s *Bulks) RetainBulks(ctx context.Context, t iot.TenantID, before time.Time, fragment string) (n int64, err error) {
	const op = fault.Op("devicemgmt.RetainBulks")
	if before.IsZero() {
		return 0, fault.E(op, fault.Invalid, "a rule of retention needs an age")
	}
	for {
		gone, err := s.store.ExpireBulks(ctx, t, before, fragment)
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
func (s *Bulks) HeldBulks(ctx context.Context, t iot.TenantID, before time.Time, fragment string) (Held, error) {
	h, err := s.store.HeldBulks(ctx, t, before, fragment)
	return h, sqlkit.Fault("devicemgmt.HeldBulks", err)
}
