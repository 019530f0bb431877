package devicemgmt

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Operations needs.
type Deps struct {
	Store    Store
	Registry *registry.Registry
	Policy   *access.Policy
	Audit    access.Auditor
	Bus      *bus.Bus
	Clock    clock.Clock
	Log      *slog.Logger
	Usage    *usage.Meter // counts what is created and updated; nil: nobody does
}

// Operations is the face. It is safe for concurrent use.
type Operations struct{ d Deps }

// New returns the face.
func New(d Deps) *Operations { return &Operations{d} }

// OperationChange is what is published when an operation is created, updated or deleted. Of a deleted one only ID, Device and Agent are set.
type OperationChange struct {
	Action    iot.Action
	Operation iot.Operation
}

func (s *Operations) publish(ctx context.Context, t iot.TenantID, a iot.Action, o iot.Operation) {
	s.d.Usage.Made(t, o.Device, iot.KindOperation, a, s.d.Clock.Now(), 1)
	data, err := json.Marshal(OperationChange{a, o})
	if err != nil {
		s.d.Log.Error("encode a change", "tenant", t, "err", err)
		return
	}
	// Where subscribers are not told, a device gets it when it asks for what is pending.
	s.d.Bus.Publish(bus.InMode(bus.Subject(t, string(iot.KindOperation), string(a), o.Agent.String()), iot.ModeOf(ctx)), data)
}

// Fact is the note that a driver leaves of what it does to an operation.
func Fact(t iot.TenantID, a iot.Action, o iot.Operation) func() (subject string, data []byte, err error) {
	return func() (string, []byte, error) {
		if a == iot.Deleted {
			o = iot.Operation{ID: o.ID, Device: o.Device, Agent: o.Agent}
		}
		data, err := json.Marshal(OperationChange{a, o})
		return bus.Subject(t, string(iot.KindOperation), string(a), o.Agent.String()), data, err
	}
}

func (s *Operations) revision(ctx context.Context, p iot.Principal) sqlkit.Revision {
	return sqlkit.NewRevision(ctx, s.d.Clock.Now().Truncate(time.Millisecond), string(p.User))
}

// audit records what happened to an operation. c8y: the source of the record is the operation, the device is in a fragment.
func (s *Operations) audit(ctx context.Context, p iot.Principal, o iot.Operation, activity string, changes ...iot.AttributeChange) {
	device := iot.Doc{}.SetText("id", o.Device.String()).AppendTo(nil)
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Operation", Activity: activity, Text: activity + ": status=" + string(o.Status), Source: o.ID, Changes: changes,
		Fragments: iot.Doc{{Name: "com_cumulocity_model_event_AuditSourceDevice", Raw: device}}})
}

// maxID is the largest id that agents parse: thin-edge.io reads it into 32 bits.
const maxID = math.MaxUint32

// Create stores an operation for a device that is an agent or hangs below one. It needs ROLE_DEVICE_CONTROL_ADMIN or ownership of the device.
func (s *Operations) Create(ctx context.Context, p iot.Principal, o iot.Operation) (iot.Operation, error) {
	const op = fault.Op("devicemgmt.Create")
	if o.Device == 0 {
		return iot.Operation{}, fault.E(op, fault.Invalid, "Following mandatory fields should be included: deviceId")
	}
	if err := storable(op, o.Fragments, o.Description, o.FailureReason); err != nil {
		return iot.Operation{}, err
	}
	device, err := s.d.Registry.Check(ctx, p, o.Device, access.Operation, access.Admin, access.Names(p, o.Fragments)...)
	if err != nil {
		return iot.Operation{}, err
	}
	if o.Agent, err = s.receiver(ctx, p.Tenant, device); err != nil {
		return iot.Operation{}, err
	}
	if o.ID, err = s.d.Store.NextID(ctx, p.Tenant); err != nil {
		return iot.Operation{}, sqlkit.Fault(op, err)
	}
	if o.ID > maxID {
		return iot.Operation{}, fault.E(op, fault.Full, "no ids of operations are left")
	}
	rev := s.revision(ctx, p)
	o.Status, o.CreationTime, o.LastUpdated, o.Fragments = iot.Pending, rev.At, rev.At, o.Fragments.WithoutNulls()
	o.Delivery = iot.Delivery{Status: iot.DeliveryPending, Time: rev.At}
	if err := s.d.Store.Create(s.d.Bus.Noting(ctx, p.Tenant), p.Tenant, o, rev); err != nil {
		return iot.Operation{}, sqlkit.Fault(op, err)
	}
	s.audit(ctx, p, o, "Operation created")
	s.publish(ctx, p.Tenant, iot.Created, o)
	return o, nil
}

// receiver finds the agent of a device.
func (s *Operations) receiver(ctx context.Context, t iot.TenantID, device registry.Source) (iot.ID, error) {
	if device.Agent {
		return device.ID, nil
	}
	above, err := s.d.Registry.Above(ctx, t, device.ID, iot.ChildDevice)
	if err != nil {
		return 0, err
	}
	for _, id := range above {
		a, err := s.d.Registry.Source(ctx, t, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
		if a.Agent {
			return id, nil
		}
	}
	return 0, fault.Errorf("devicemgmt.Create", fault.Invalid,
		"device %s can receive no operations: neither it nor a device above it has the fragment %s", device.ID, iot.FragmentAgent)
}

// Get returns one operation.
func (s *Operations) Get(ctx context.Context, p iot.Principal, id iot.ID) (iot.Operation, error) {
	return s.get(ctx, "devicemgmt.Get", p, id, access.Read)
}

func (s *Operations) get(ctx context.Context, op fault.Op, p iot.Principal, id iot.ID, l access.Level) (iot.Operation, error) {
	o, err := s.d.Store.Get(ctx, p.Tenant, id)
	if err != nil {
		return iot.Operation{}, missing(op, id, err)
	}
	if err := s.may(ctx, p, o, l); err != nil {
		return iot.Operation{}, err
	}
	return o, nil
}

func (s *Operations) may(ctx context.Context, p iot.Principal, o iot.Operation, l access.Level) error {
	_, err := s.d.Registry.Check(ctx, p, o.Device, access.Operation, l, access.Names(p, o.Fragments)...)
	if fault.Is(err, fault.NotFound) { // the device is gone: only the permission counts
		err = s.d.Policy.Check(ctx, p, access.Operation, l, access.Object{})
	}
	return err
}

// AsOf returns an operation as it was at a time, to who may read it now, and one that was deleted to who may read all operations. What retention removed has
// left nothing. How far it had got on its way to the device is not kept: what is known of that and is later, is left out.
func (s *Operations) AsOf(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) (iot.Operation, error) {
	const op = fault.Op("devicemgmt.AsOf")
	o, known := s.get(ctx, op, p, id, access.Read)
	if known != nil && !fault.Is(known, fault.NotFound) {
		return o, known
	}
	if known != nil && s.d.Policy.Check(ctx, p, access.Operation, access.Read, access.Object{}) != nil {
		return o, known
	}
	if known != nil || o.LastUpdated.After(at) {
		v, err := s.d.Store.History(ctx, p.Tenant, id, at)
		if err != nil {
			return iot.Operation{}, sqlkit.Fault(op, err)
		}
		if len(v) == 0 {
			return iot.Operation{}, fault.E(op, fault.NotFound, fault.Subject(id.String()), "there was no such operation at that time")
		}
		o = v[0].Operation
		if err := s.may(ctx, p, o, access.Read); err != nil {
			return iot.Operation{}, err
		}
	}
	if o.Delivery.Time.After(at) {
		o.Delivery = iot.Delivery{}
	}
	return o, nil
}

// Patch changes an operation: nil is left alone, fragments replace whole members, null removes one.
type Patch struct {
	Status        *iot.OperationStatus
	FailureReason *string
	Description   *string
	Fragments     iot.Doc
}

// Update changes an operation. Any status may follow any other. A patch that changes nothing stores, publishes and audits nothing. It
// needs ROLE_DEVICE_CONTROL_ADMIN or ownership of the device.
func (s *Operations) Update(ctx context.Context, p iot.Principal, id iot.ID, patch Patch) (iot.Operation, error) {
	const op = fault.Op("devicemgmt.Update")
	if err := patch.check(op); err != nil {
		return iot.Operation{}, err
	}
	old, err := s.get(ctx, op, p, id, access.Admin)
	if err != nil {
		return iot.Operation{}, err
	}
	if len(patch.Fragments) > 0 && len(p.Grants) > 0 { // what somebody may change for the sake of its fragments must stay so
		if _, err := s.d.Registry.Check(ctx, p, old.Device, access.Operation, access.Admin, access.CustomFragments(old.Fragments.Merge(patch.Fragments))...); err != nil {
			return iot.Operation{}, err
		}
	}
	before, after, written, err := s.d.Store.Update(s.d.Bus.Noting(ctx, p.Tenant), p.Tenant, id, s.revision(ctx, p), patch.apply)
	if err != nil {
		return iot.Operation{}, missing(op, id, err)
	}
	if before.Status != after.Status {
		s.audit(ctx, p, after, "Operation updated", iot.AttributeChange{Attribute: "status", Type: "com.cumulocity.model.devicecontrol.OperationStatus",
			Previous: string(before.Status), New: string(after.Status)})
	}
	if written {
		s.publish(ctx, p.Tenant, iot.Updated, after)
	}
	return after, nil
}

func (x *Patch) check(op fault.Op) error {
	if x.Status != nil {
		up := iot.OperationStatus(strings.ToUpper(string(*x.Status)))
		if !up.Valid() {
			return fault.Errorf(op, fault.Invalid, "the status %.40q is none of PENDING, EXECUTING, SUCCESSFUL, FAILED", *x.Status)
		}
		x.Status = &up
	}
	var texts []string
	for _, s := range []*string{x.FailureReason, x.Description} {
		if s != nil {
			texts = append(texts, *s)
		}
	}
	return storable(op, x.Fragments, texts...)
}

func (x *Patch) apply(o iot.Operation) iot.Operation {
	if x.Status != nil {
		o.Status = *x.Status
	}
	if x.FailureReason != nil {
		o.FailureReason = *x.FailureReason
	}
	if x.Description != nil {
		o.Description = *x.Description
	}
	o.Fragments = o.Fragments.Merge(x.Fragments)
	return o
}

// Delivered records that an operation reached its device. It acts for the platform, makes no version and publishes nothing.
func (s *Operations) Delivered(ctx context.Context, t iot.TenantID, id iot.ID) error {
	const op = fault.Op("devicemgmt.Delivered")
	err := s.d.Store.SetDelivery(ctx, t, id, iot.Delivery{Status: iot.DeliveryDelivered, Time: s.d.Clock.Now().Truncate(time.Millisecond)})
	return missing(op, id, err)
}

const maxName = 1024

// storable refuses what one of the stores does not take.
func storable(op fault.Op, d iot.Doc, texts ...string) error {
	for _, m := range d {
		if m.Name == "" || len(m.Name) > maxName {
			return fault.Errorf(op, fault.Invalid, "the name of a fragment must have between 1 and %d bytes", maxName)
		}
	}
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return fault.E(op, fault.Invalid, "texts must be valid UTF-8 without the character U+0000")
		}
	}
	return nil
}

// missing words the fault of a missing operation as clients know it.
func missing(op fault.Op, id iot.ID, err error) error {
	err = sqlkit.Fault(op, err)
	if fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(id.String()), err, "Finding operation from database failed : No operation for id '"+id.String()+"'!")
	}
	return err
}
