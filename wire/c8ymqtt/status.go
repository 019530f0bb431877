package c8ymqtt

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// statusByFragment is 501, 502, 503 and 507: it changes the oldest operation with a fragment, or all of them. If there is none, nothing
// happens: c8y: agents report restarts that nobody asked for.
func (h *handler) statusByFragment(ctx context.Context, t target, m smartrest.StatusByFragment) error {
	for {
		op, err := h.oldest(ctx, t, m.Fragment, m.From)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := h.setStatus(ctx, op, m.Fragment, m.To, m.Reason, m.Params); err != nil || !m.All {
			return err
		}
	}
}

// oldest finds the operation that a line by fragment is about: one of the target. An agent that does not use the topics of its children
// speaks for them too, but its own operations come first, so that its restart does not end that of a child.
func (h *handler) oldest(ctx context.Context, t target, fragment string, status iot.OperationStatus) (iot.Operation, error) {
	op, err := h.g.Operations.Oldest(ctx, h.p, t.device, t.id, fragment, status)
	if t.id == t.device && fault.Is(err, fault.NotFound) {
		return h.g.Operations.Oldest(ctx, h.p, t.device, 0, fragment, status)
	}
	return op, err
}

// statusByID is 504, 505 and 506. The operation must be one of the target or of a device below it.
func (h *handler) statusByID(ctx context.Context, t target, m smartrest.StatusByID) error {
	op, err := h.g.Operations.Get(ctx, h.p, m.ID)
	if err != nil {
		return err
	}
	if op.Device != t.id {
		above, err := h.g.Registry.Above(ctx, h.p.Tenant, op.Device, iot.ChildDevice)
		if err != nil {
			return err
		}
		if !slices.Contains(above, t.id) {
			return fault.E(fault.Op("c8ymqtt.Status"), fault.Denied, "the operation "+m.ID.String()+" is not one of '"+t.serial+"'")
		}
	}
	return h.setStatus(ctx, op, "", m.To, m.Reason, m.Params)
}

// setStatus changes an operation and, when it succeeded, stores what its result parameters mean.
func (h *handler) setStatus(ctx context.Context, op iot.Operation, fragment string, to iot.OperationStatus, reason string, params []string) error {
	patch := devicemgmt.Patch{Status: &to}
	var onDevice iot.Doc
	switch to {
	case iot.Failed:
		patch.FailureReason = &reason
	case iot.Successful:
		patch.Fragments, onDevice = smartrest.ApplyResult(fragment, op, params, h.g.Clock.Now())
	}
	if len(onDevice) > 0 { // the device first: who sees the operation succeed must see its effect
		if err := h.patch(ctx, op.Device, onDevice); err != nil {
			return err
		}
	}
	_, err := h.g.Operations.Update(ctx, h.p, op.ID, patch)
	return err
}
