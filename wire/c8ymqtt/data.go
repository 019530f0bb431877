package c8ymqtt

import (
	"context"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// executeData runs the commands that change an object, its alarms and its events.
func (h *handler) executeData(a *arrival, mode iot.ProcessingMode, t target, m smartrest.Message) error {
	ctx, lasting := iot.WithMode(h.ctx, mode), iot.WithMode(h.ctx, mode.Lasting())
	switch m := m.(type) {
	case smartrest.UpdateObject:
		return h.patch(ctx, t.id, m.Patch)
	case smartrest.RemoveFragments:
		return h.patch(ctx, t.id, m.Patch())
	case smartrest.SetServiceStatus:
		return h.patch(ctx, t.id, m.Patch())
	case smartrest.RequiredAvailability:
		return h.modify(ctx, t.id, m.Patch)
	case smartrest.Profile:
		return h.profile(ctx, t, m)
	case smartrest.ReplaceSoftware:
		return h.software(lasting, t, m.Apply)
	case smartrest.MergeSoftware:
		return h.software(lasting, t, m.Apply)
	case smartrest.RemoveSoftware:
		return h.software(lasting, t, m.Apply)
	case smartrest.RaiseAlarm:
		m.Alarm.Source = t.id
		_, _, err := h.g.Telemetry.RaiseAlarm(a.effect(ctx), h.p, *m.Alarm)
		return once(err)
	case smartrest.AlarmSeverity:
		return h.patchAlarm(ctx, t, m.Type, telemetry.AlarmPatch{Severity: &m.Severity})
	case smartrest.ClearAlarm:
		cleared := iot.Cleared
		return h.patchAlarm(ctx, t, m.Type, telemetry.AlarmPatch{Status: &cleared})
	case smartrest.RemoveAlarmFragments:
		return h.patchAlarm(ctx, t, m.Type, telemetry.AlarmPatch{Fragments: m.Patch()})
	case smartrest.SendEvent:
		return h.event(a, mode, t, m)
	case smartrest.RemoveEventFragments:
		return h.removeEventFragments(ctx, t, m)
	case smartrest.ParameterUpdate:
		return h.parameters(mode, t, m)
	}
	return fault.E(fault.Op("c8ymqtt.Execute"), fault.Unsupported)
}

// patch merges fragments into an object.
func (h *handler) patch(ctx context.Context, id iot.ID, patch iot.Doc) error {
	if err := writable(patch); err != nil {
		return err
	}
	_, err := h.g.Registry.Patch(ctx, h.p, id, registry.Draft{Fragments: patch})
	return err
}

// modify merges a patch that depends on what is there.
func (h *handler) modify(ctx context.Context, id iot.ID, patch func(iot.Doc) iot.Doc) error {
	_, err := h.g.Registry.Modify(ctx, h.p, id, func(o iot.ManagedObject) (iot.ManagedObject, error) {
		change := patch(o.Fragments)
		err := writable(change)
		o.Fragments = o.Fragments.Merge(change)
		return o, err
	})
	return err
}

func (h *handler) profile(ctx context.Context, t target, m smartrest.Profile) error {
	var op *iot.Operation
	found, err := h.g.Operations.Oldest(ctx, h.p, t.device, t.id, "c8y_DeviceProfile", iot.Executing)
	switch {
	case err == nil:
		op = &found
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return h.patch(ctx, t.id, m.Patch(op))
}

// softwareList is the type of the child addition in which the advanced software list of a device lies, and its fragment.
const softwareList = "c8y_InstalledSoftwareList"

func (h *handler) software(ctx context.Context, t target, apply func([]smartrest.Software) []smartrest.Software) error {
	list, err := h.softwareObject(ctx, t)
	if err != nil {
		return err
	}
	return h.modify(ctx, list, func(d iot.Doc) iot.Doc {
		return iot.Doc{{Name: softwareList, Raw: smartrest.SoftwareJSON(apply(smartrest.ParseSoftware(d.Get(softwareList))))}}
	})
}

func (h *handler) softwareObject(ctx context.Context, t target) (iot.ID, error) {
	found, _, err := h.g.Registry.List(ctx, h.p, registry.Query{Parent: t.id, Kind: iot.ChildAddition, Type: softwareList, Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(found) > 0 {
		return found[0].ID, nil
	}
	typ, name := softwareList, "Installed software of "+t.serial
	created, err := h.g.Registry.Create(ctx, h.p, registry.Place{Parent: t.id, Kind: iot.ChildAddition}, registry.Draft{Type: &typ, Name: &name})
	if err != nil {
		return 0, err
	}
	return created[0].ID, nil
}

// patchAlarm changes the active alarm of a type; if there is none, nothing happens.
func (h *handler) patchAlarm(ctx context.Context, t target, typ string, patch telemetry.AlarmPatch) error {
	_, err := h.changeAlarm(ctx, t, typ, patch)
	return err
}

// changeAlarm is patchAlarm for who wants to know what came of it; the alarm has no id if there was none.
func (h *handler) changeAlarm(ctx context.Context, t target, typ string, patch telemetry.AlarmPatch) (iot.Alarm, error) {
	alarm, err := h.g.Telemetry.ActiveAlarm(ctx, h.p, t.id, typ)
	if fault.Is(err, fault.NotFound) {
		return iot.Alarm{}, nil
	}
	if err != nil {
		return iot.Alarm{}, err
	}
	return h.g.Telemetry.PatchAlarm(ctx, h.p, alarm.ID, patch)
}

func (h *handler) event(a *arrival, mode iot.ProcessingMode, t target, m smartrest.SendEvent) error {
	m.Event.Source = t.id
	if _, err := h.g.Telemetry.CreateEvent(a.effect(h.ctx), h.p, mode, *m.Event); once(err) != nil {
		return err
	}
	if m.UpdatePosition {
		return h.patch(iot.WithMode(h.ctx, mode), t.id, m.Event.Fragments)
	}
	return nil
}

func (h *handler) removeEventFragments(ctx context.Context, t target, m smartrest.RemoveEventFragments) error {
	event, err := h.g.Telemetry.LatestEvent(ctx, h.p, t.id, m.Type)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = h.g.Telemetry.PatchEvent(ctx, h.p, event.ID, telemetry.EventPatch{Fragments: m.Patch()})
	return err
}

func (h *handler) parameters(mode iot.ProcessingMode, t target, m smartrest.ParameterUpdate) error {
	if err := reportable(m.Event.Fragments); err != nil {
		return err
	}
	changed := false
	err := h.modify(iot.WithMode(h.ctx, mode), t.id, func(d iot.Doc) iot.Doc {
		patch := m.Patch(d)
		changed = len(patch) > 0
		return patch
	})
	if err != nil || (m.DetectChange && !changed) {
		return err
	}
	m.Event.Source = t.id
	_, err = h.g.Telemetry.CreateEvent(h.ctx, h.p, mode, *m.Event)
	return err
}
