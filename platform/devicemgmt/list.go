package devicemgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// maxNamedDevices is how many devices of a scope a query names one by one, which leads to their index.
const maxNamedDevices = 500

// List returns a page of what p may read, and the number of all of it if q.Count. Without ROLE_DEVICE_CONTROL_READ these are the
// operations of p's own devices and of those that grants reach; Denied if there can be none.
func (s *Operations) List(ctx context.Context, p iot.Principal, q Query) ([]iot.Operation, int, error) {
	scope, few, err := s.d.Registry.Readable(ctx, p, access.Operation, maxNamedDevices)
	if err != nil {
		return nil, 0, err
	}
	if q, err = s.resolve(ctx, p.Tenant, q); err != nil {
		return nil, 0, err
	}
	if q.Device == 0 && q.Devices == nil {
		q.Devices = few
	}
	operations, n, err := s.d.Store.List(ctx, p.Tenant, scope, q)
	return operations, n, sqlkit.Fault("devicemgmt.List", err)
}

// resolve turns what only the face knows into what a driver does.
func (s *Operations) resolve(ctx context.Context, t iot.TenantID, q Query) (Query, error) {
	if q.Status != "" && !q.Status.Valid() {
		return q, fault.Errorf("devicemgmt.List", fault.Invalid, "the status %.40q is none of PENDING, EXECUTING, SUCCESSFUL, FAILED", q.Status)
	}
	if !q.From.IsZero() && q.From.Equal(q.To) {
		q.To = q.To.Add(time.Millisecond) // c8y: equal bounds mean that instant
	}
	if q.Agent == 0 {
		return q, nil
	}
	var err error
	q.Devices, err = s.d.Registry.Below(ctx, t, q.Agent, iot.ChildDevice)
	return q, err
}

// everything is the scope of the platform itself.
func everything() access.Scope { return access.Scope{All: true} }

// Pending returns what an agent still has to receive, for itself and the devices below it, oldest first. It acts for the platform.
func (s *Operations) Pending(ctx context.Context, t iot.TenantID, agent iot.ID) ([]iot.Operation, error) {
	const page = 500
	var out []iot.Operation
	for {
		more, _, err := s.d.Store.List(ctx, t, everything(), Query{Receiver: agent, Status: iot.Pending, Offset: len(out), Limit: page})
		if err != nil {
			return nil, sqlkit.Fault("devicemgmt.Pending", err)
		}
		if out = append(out, more...); len(more) < page {
			return out, nil
		}
	}
}

// Oldest returns the oldest operation of an agent that has a status and a fragment, for one of its devices or, if device is zero, for any.
// An empty fragment is no condition. A fault of kind NotFound if there is none that p may read.
func (s *Operations) Oldest(ctx context.Context, p iot.Principal, agent, device iot.ID, fragment string, status iot.OperationStatus) (iot.Operation, error) {
	const op = fault.Op("devicemgmt.Oldest")
	scope, err := s.d.Policy.Scope(ctx, p, access.Operation, access.Read)
	if err != nil {
		return iot.Operation{}, err
	}
	found, _, err := s.d.Store.List(ctx, p.Tenant, scope, Query{Receiver: agent, Device: device, Fragment: fragment, Status: status, Limit: 1})
	if err != nil {
		return iot.Operation{}, sqlkit.Fault(op, err)
	}
	if len(found) == 0 {
		return iot.Operation{}, fault.E(op, fault.NotFound, fault.Subject(fragment), "there is no such operation in the status "+string(status))
	}
	return found[0], nil
}

// Delete removes what q selects, whatever its Offset and Limit; it must have a condition. It needs ROLE_DEVICE_CONTROL_ADMIN, or
// ownership of the device or agent that q names, and then reaches p's own devices only.
func (s *Operations) Delete(ctx context.Context, p iot.Principal, q Query) error {
	const op = fault.Op("devicemgmt.Delete")
	if q.Device == 0 && q.Agent == 0 && q.Status == "" && q.Fragment == "" && q.BulkID == 0 && q.From.IsZero() && q.To.IsZero() {
		return fault.E(op, fault.Invalid, "a deletion must have at least one filter")
	}
	scope := everything()
	if err := s.d.Policy.Check(ctx, p, access.Operation, access.Admin, access.Object{}); err != nil {
		root := q.Device
		if root == 0 {
			root = q.Agent
		}
		if root == 0 {
			return err
		}
		if _, err := s.d.Registry.Check(ctx, p, root, access.Operation, access.Admin); err != nil {
			return err
		}
		if scope, err = s.d.Policy.Scope(ctx, p, access.Operation, access.Admin); err != nil {
			return err
		}
	}
	q, err := s.resolve(ctx, p.Tenant, q)
	if err != nil {
		return err
	}
	rev := s.revision(ctx, p)
	for {
		gone, err := s.d.Store.Delete(s.d.Bus.Noting(ctx, p.Tenant), p.Tenant, scope, q, rev)
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		for _, o := range gone {
			s.publish(ctx, p.Tenant, iot.Deleted, iot.Operation{ID: o.ID, Device: o.Device, Agent: o.Agent})
		}
		if len(gone) < DeleteBatch {
			return nil
		}
	}
}
