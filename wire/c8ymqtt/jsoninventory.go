package c8ymqtt

import (
	"context"
	"encoding/json"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// jsonCreate creates an object. If it names an external id, it is created once.
func (h *handler) jsonCreate(ctx context.Context, d iot.Doc) error {
	x, given, err := externalSource(d)
	if err != nil {
		return err
	}
	draft, err := registry.DraftOf(d.Without("externalSource"))
	if err != nil {
		return err
	}
	if given {
		draft.ExternalIDs = append(draft.ExternalIDs, x)
	}
	_, err = h.g.Registry.Create(ctx, h.p, registry.Place{}, draft)
	return err
}

// jsonUpdate changes an object by its external id: c8y: that of the connected device, a child or a service.
func (h *handler) jsonUpdate(ctx context.Context, serial string, d iot.Doc) error {
	id, err := h.named(serial)
	if err != nil {
		return err
	}
	draft, err := registry.DraftOf(d.Without("externalSource"))
	if err != nil {
		return err
	}
	if _, err = h.g.Registry.Patch(ctx, h.p, id, draft); err == nil {
		h.g.Connectivity.Heard(h.p.Tenant, id)
	}
	return err
}

// named returns the object with a serial; none stands for the connected device, which is created if need be.
func (h *handler) named(serial string) (iot.ID, error) {
	if serial == "" || serial == h.serial {
		return h.self()
	}
	return h.g.Registry.Lookup(h.ctx, h.p.Tenant, iot.SerialType, serial)
}

// jsonChild hangs an object that exists below the connected device, or below the one with the serial in the topic: c8y: a reference names
// it by its id, as over HTTP, or by an external id.
func (h *handler) jsonChild(ctx context.Context, parent string, d iot.Doc) error {
	above, err := h.named(parent)
	if err != nil {
		return err
	}
	child, err := h.reference(d)
	if err != nil {
		return err
	}
	return h.g.Registry.Link(ctx, h.p, above, iot.ChildDevice, []iot.ID{child})
}

func (h *handler) reference(d iot.Doc) (iot.ID, error) {
	x, given, err := externalSource(d)
	if err != nil {
		return 0, err
	}
	if given {
		return h.g.Registry.Lookup(h.ctx, h.p.Tenant, x.Type, x.Value)
	}
	var ref struct{ ID json.RawMessage }
	if raw := d.Get("managedObject"); raw != nil {
		_ = json.Unmarshal(raw, &ref)
	} else {
		ref.ID = d.Get("id")
	}
	text, ok := iot.RawText(ref.ID)
	if !ok {
		text = string(ref.ID)
	}
	id, ok := iot.ParseID(text)
	if !ok {
		return 0, fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "the child must be named by managedObject {id} or externalSource {externalId, type}")
	}
	return id, nil
}
