package c8ymqtt

import (
	"sync"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// The topics on which operations are sent. c8y: each operation goes out once on every one that the device listens to.
const linesForm = "s/ds"

var jsonForms = [...]string{"devicecontrol/notifications", "notification/operations"}

// sending is an operation on a topic.
type sending struct {
	op    iot.ID
	topic string
}

// Deliver implements connectivity.Sink.
func (h *handler) Deliver(op iot.Operation) { h.send(op, false) }

// sendPending sends the operations that wait. asked says that the device asked for them, so that those sent before on this connection
// are sent again.
func (h *handler) sendPending(asked bool) {
	h.mu.Lock()
	device, skip := h.device, h.closed || h.device == 0
	h.mu.Unlock()
	if skip {
		return
	}
	ops, err := h.g.Operations.Pending(h.ctx, h.p.Tenant, device)
	if err != nil {
		h.g.Log.Warn("read pending operations", "tenant", h.p.Tenant, "device", device, "err", err)
		return
	}
	for _, op := range ops {
		h.send(op, asked)
	}
}

// send emits one operation once on each form that the device listens to.
func (h *handler) send(op iot.Operation, again bool) {
	serial, err := h.g.Registry.SerialOf(h.ctx, h.p.Tenant, op.Device)
	if err != nil {
		h.g.Log.Warn("read external id", "tenant", h.p.Tenant, "device", op.Device, "err", err)
		return
	}
	var once sync.Once
	delivered := func() { once.Do(func() { h.g.After(0, func() { h.delivered(op.ID) }) }) } // acked must not block
	if lines := smartrest.OperationLines(op, serial); len(lines) > 0 {
		h.emit(op.ID, linesForm, lines, again, delivered)
	}
	doc := c8yrest.AppendOperation(nil, "", &op, "", serial)
	for _, topic := range jsonForms {
		if _, ok := h.conn.SubscribedTo(topic); ok {
			h.emit(op.ID, topic, []string{string(doc)}, again, delivered)
		}
	}
	for _, topic := range h.pinned() {
		if lines := h.templateLines(topic, doc, serial); len(lines) > 0 {
			h.emit(op.ID, topic, lines, again, delivered)
		}
	}
}

// emit sends an operation on one topic, unless it was sent there already. What the device did not get may be sent again.
func (h *handler) emit(id iot.ID, topic string, payloads []string, again bool, delivered func()) {
	if !h.mark(id, topic) && !again {
		return
	}
	for _, p := range payloads {
		taken := h.conn.Deliver(topic, []byte(p), 2, func(ok bool) {
			if ok {
				delivered()
			} else {
				h.unmark(id, topic)
			}
		})
		if !taken {
			h.unmark(id, topic)
		}
	}
}

// maxSent bounds what a connection remembers of what it sent; beyond it an operation may be sent twice, which devices must bear anyway.
const maxSent = 20_000

// mark notes that an operation is being sent; false if it was before, or must not be sent any more.
func (h *handler) mark(id iot.ID, topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, sent := h.sent[sending{id, topic}]; sent || h.closed {
		return false
	}
	if h.sent == nil || len(h.sent) >= maxSent {
		h.sent = map[sending]struct{}{}
	}
	h.sent[sending{id, topic}] = struct{}{}
	return true
}

func (h *handler) unmark(id iot.ID, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sent, sending{id, topic})
}

func (h *handler) delivered(id iot.ID) {
	if err := h.g.Operations.Delivered(h.ctx, h.p.Tenant, id); err != nil {
		h.g.Log.Warn("record delivery", "tenant", h.p.Tenant, "op", id, "err", err)
	}
}
