package c8ymqtt

import (
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// target is the object that the lines of a publish are about.
type target struct {
	serial string
	id     iot.ID
	device iot.ID // the connected device
}

// find attaches the connection to its device if that exists already.
func (h *handler) find() {
	if id, err := h.g.Registry.Lookup(h.ctx, h.p.Tenant, iot.SerialType, h.serial); err == nil {
		_ = h.attach(id) // who may not act as the device is told when it publishes
	}
}

// mayActAs reports whether the user may speak for a device: as its owner, or with the permission to control devices.
func (h *handler) mayActAs(id iot.ID) error {
	_, err := h.g.Registry.Check(h.ctx, h.p, id, access.Operation, access.Admin)
	if fault.Is(err, fault.Denied) {
		return fault.E(fault.Op("c8ymqtt.Device"), fault.Denied, "the device '"+h.serial+"' belongs to another user")
	}
	return err
}

// attach makes the connection the way to a device: c8y: only for who may act as it. A device that takes the place of a deleted one takes
// over its connection.
func (h *handler) attach(id iot.ID) error {
	if err := h.mayActAs(id); err != nil {
		return err
	}
	h.mu.Lock()
	old, skip := h.detach, h.closed || h.device == id // what is published after the end, a delayed will, attaches nothing
	h.mu.Unlock()
	if skip {
		return nil
	}
	if old != nil {
		old()
	}
	h.g.claim(id, h)
	end := h.g.Connectivity.Attach(h.p.Tenant, id, h)
	h.g.Connectivity.PushConnected(h.p.Tenant, id)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.device, h.members = id, nil
	h.detach = func() {
		end()
		h.g.disclaim(id, h)
		h.g.Connectivity.PushDisconnected(h.p.Tenant, id)
	}
	return nil
}

// attached returns the device of the connection, zero while there is none.
func (h *handler) attached() iot.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.device
}

// speaks refuses what a device says on a connection that stands for none.
func (h *handler) speaks() error {
	if h.serial == "" {
		return fault.E(fault.Op("c8ymqtt.Device"), fault.Invalid, "a connection without a client id stands for no device: connect with the id of the device as client id")
	}
	return nil
}

// self returns the id of the connected device, creating it on first contact and when it was deleted.
func (h *handler) self() (iot.ID, error) {
	if err := h.speaks(); err != nil {
		return 0, err
	}
	id, err := h.g.Registry.Lookup(h.ctx, h.p.Tenant, iot.SerialType, h.serial)
	if fault.Is(err, fault.NotFound) {
		id, err = h.ensure(connectivity.Contact{Serial: h.serial, Object: smartrest.CreateDevice{}.Object(h.serial)})
	}
	if err != nil {
		return 0, err
	}
	if h.attached() == id {
		return id, nil
	}
	return id, h.attach(id)
}

// ensure creates what is not known yet, if there is room for it.
func (h *handler) ensure(c connectivity.Contact) (iot.ID, error) {
	if err := h.g.Room(); err != nil {
		return 0, err
	}
	id, _, err := h.g.Connectivity.Ensure(h.ctx, h.p, c)
	return id, err
}

// target resolves whom a publish is about; c8y: an unknown child is created below the connected device.
func (h *handler) target(child string) (target, error) {
	self, err := h.self()
	if err != nil || child == "" || child == h.serial {
		return target{serial: h.serial, id: self, device: self}, err
	}
	id, err := h.g.Registry.Lookup(h.ctx, h.p.Tenant, iot.SerialType, child)
	if fault.Is(err, fault.NotFound) {
		id, err = h.ensure(connectivity.Contact{Serial: child, Object: smartrest.AutoChild(child).Object(), Place: registry.Place{Parent: self, Kind: iot.ChildDevice}})
	}
	if err == nil {
		err = h.belongs(self, id, child)
	}
	return target{serial: child, id: id, device: self}, err
}

// memberTTL is how long a connection believes that an object is below its device.
const memberTTL = time.Minute

// maxMembers bounds what a connection remembers; beyond it everything is asked again.
const maxMembers = 10_000

// belongs refuses an object that is not below the connected device, whoever may write to it.
func (h *handler) belongs(self, id iot.ID, serial string) error {
	if id == self {
		return nil
	}
	now := h.g.Clock.Now()
	h.mu.Lock()
	until, known := h.members[id]
	h.mu.Unlock()
	if known && now.Before(until) {
		return nil
	}
	above, err := h.g.Registry.Above(h.ctx, h.p.Tenant, id, iot.ChildDevice, iot.ChildAddition)
	if err != nil {
		return err
	}
	if !slices.Contains(above, self) && !h.adopt(self, id, above) {
		return fault.E(fault.Op("c8ymqtt.Target"), fault.Denied, "'"+serial+"' is not below the device '"+h.serial+"'")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members == nil || len(h.members) >= maxMembers {
		h.members = map[iot.ID]time.Time{}
	}
	h.members[id] = now.Add(memberTTL)
	return nil
}

// adopt hangs what the device's own account made below the device again, if it hangs nowhere: its parent was deleted and came back.
func (h *handler) adopt(self, id iot.ID, above []iot.ID) bool {
	if len(above) > 0 || h.p.User != iot.DeviceUser(h.serial) {
		return false
	}
	o, err := h.g.Registry.Get(h.ctx, h.p, id)
	if err != nil || o.Owner != h.p.User {
		return false
	}
	kind := iot.ChildDevice
	if o.Type == smartrest.TypeService {
		kind = iot.ChildAddition
	}
	return h.g.Registry.Link(h.ctx, h.p, self, kind, []iot.ID{id}) == nil
}
