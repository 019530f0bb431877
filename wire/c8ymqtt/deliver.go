package c8ymqtt

import (
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// mayActAs reports whether the user may speak for a device: as its owner, or with the permission to control devices.
func (h *handler) mayActAs(id iot.ID) bool {
	_, err := h.g.Registry.Check(h.ctx, h.p, id, access.Operation, access.Admin)
	return err == nil
}

// Deliver implements connectivity.Sink.
func (h *handler) Deliver(op iot.Operation) { h.send(op, false) }

// sendPending sends the operations that wait. asked says that the device asked for them, so that those sent before on this connection
// are sent again.
func (h *handler) sendPending(asked bool) {
	if !h.known() {
		return
	}
	h.mu.Lock()
	skip := h.closed || (!asked && h.asked)
	h.asked = h.asked || asked
	h.mu.Unlock()
	if skip {
		return
	}
	ops, err := h.g.Operations.Pending(h.ctx, h.p.Tenant, h.device)
	if err != nil {
		h.g.Log.Warn("read pending operations", "tenant", h.p.Tenant, "device", h.device, "err", err)
		return
	}
	for _, op := range ops {
		h.send(op, asked)
	}
}

// send emits one operation once on each form that the device listens to.
func (h *handler) send(op iot.Operation, again bool) {
	h.mu.Lock()
	if h.sent == nil {
		h.sent = map[iot.ID]bool{}
	}
	skip := h.closed || (h.sent[op.ID] && !again)
	if len(h.sent) > maxSent {
		clear(h.sent)
	}
	h.sent[op.ID] = true
	h.mu.Unlock()
	if skip {
		return
	}
	serial, err := h.g.Registry.SerialOf(h.ctx, h.p.Tenant, op.Device)
	if err != nil {
		h.g.Log.Warn("read external id", "tenant", h.p.Tenant, "device", op.Device, "err", err)
		return
	}
	acked := func(ok bool) {
		if ok {
			go h.delivered(op.ID) // acked must not block
		}
	}
	for _, line := range smartrest.OperationLines(op, serial) {
		h.conn.Deliver("s/ds", []byte(line), 2, acked)
	}
	for _, topic := range []string{"devicecontrol/notifications", "notification/operations"} {
		if _, ok := h.conn.SubscribedTo(topic); ok {
			h.conn.Deliver(topic, c8yrest.AppendOperation(nil, "", &op, "", serial), 2, acked)
		}
	}
}

// maxSent bounds what a connection remembers of what it sent; beyond it an operation may be sent twice, which devices must bear anyway.
const maxSent = 10_000

func (h *handler) delivered(id iot.ID) {
	if err := h.g.Operations.Delivered(h.ctx, h.p.Tenant, id); err != nil {
		h.g.Log.Warn("record delivery", "tenant", h.p.Tenant, "op", id, "err", err)
	}
}
