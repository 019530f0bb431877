package c8ymqtt

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// batch counts what of one publish is still being stored; when all of it is, the publish is acknowledged.
type batch struct {
	h    *handler
	done func(mqtt.Verdict)

	mu   sync.Mutex // guards left and bad
	left int
	bad  mqtt.Verdict
}

func (b *batch) add() {
	b.mu.Lock()
	b.left++
	b.mu.Unlock()
}

// settle ends one part. id is the message id of its line, empty for the publish itself.
func (b *batch) settle(id string, err error) {
	if err != nil {
		b.h.lineError(smartrest.Failed(id, err))
	}
	b.mu.Lock()
	if v := verdict(err); v.Reason != 0 {
		b.bad = v
	}
	b.left--
	last, v := b.left == 0, b.bad
	b.mu.Unlock()
	if last {
		b.done(v)
	}
}

// publishLines executes the SmartREST lines of one publish in order. child is the external id in the topic, empty for the device itself.
func (h *handler) publishLines(mode iot.ProcessingMode, child string, m *mqtt.Message, done func(mqtt.Verdict)) {
	b, a := &batch{h: h, done: done, left: 1}, h.arrive(m)
	if len(bytes.TrimSpace(m.Payload)) == 0 {
		h.lineError(&smartrest.LineError{Code: smartrest.CodeMalformed, Text: "the payload is empty"})
	}
	lines := int64(0)
	for line := range smartrest.Parse(m.Payload, h.g.Clock.Now(), smartrest.Limits{Bytes: len(m.Payload) + 1}) {
		lines++
		if line.Err != nil {
			h.refused(fault.E(fault.Invalid, line.Err))
			h.lineError(line.Err)
			continue
		}
		b.add()
		if measure, ok := line.Message.(smartrest.Measure); ok {
			h.measure(a, mode, child, measure.Measurement, func(err error) { b.settle(line.ID, err) })
			continue
		}
		b.settle(line.ID, h.execute(a, mode, child, line))
	}
	h.g.Usage.Request(h.p.Tenant, true, lines)
	b.settle("", nil)
}

// measure is the hot path: the source is in a cache, the decision too, and the store's answer comes later.
func (h *handler) measure(a *arrival, mode iot.ProcessingMode, child string, m *iot.Measurement, done func(error)) {
	id, err := h.measures(child, m)
	if err == nil {
		err = measurable(m)
	}
	if err != nil {
		h.refused(err)
		done(err)
		return
	}
	m.Source = id
	h.g.Connectivity.Heard(h.p.Tenant, id)
	h.submit(a, m, mode, done)
}

// leaveTTL bounds how long a leave is believed although nothing was heard of a change.
const leaveTTL = time.Second

// leave is the answer that a device may measure for itself, which hardly ever changes from one message to the next.
type leave struct {
	device   iot.ID
	revision uint64 // of the registry
	until    time.Time
}

// measures returns whom a measurement is about, if the user may write it.
func (h *handler) measures(child string, m *iot.Measurement) (iot.ID, error) {
	plain := child == "" && len(h.p.Grants) == 0 // nothing of what is measured matters
	now := h.g.Clock.Now()
	if l := h.leave.Load(); plain && l != nil && l.revision == h.g.Registry.Revision() && now.Before(l.until) {
		return l.device, nil
	}
	l := &leave{revision: h.g.Registry.Revision(), until: now.Add(leaveTTL)} // before it is asked
	t, err := h.target(child)
	if err == nil {
		_, err = h.g.Registry.Check(h.ctx, h.p, t.id, access.Measurement, access.Admin, access.MeasuredNames(h.p, m)...)
	}
	if l.device = t.id; plain && err == nil {
		h.leave.Store(l)
	}
	return t.id, err
}

// refused counts what the connected device sent in vain.
func (h *handler) refused(err error) {
	if id := h.attached(); id != 0 {
		h.g.Telemetry.Refused(h.p.Tenant, id, err)
	}
}

// execute runs one command and says why it had no effect.
func (h *handler) execute(a *arrival, mode iot.ProcessingMode, child string, line smartrest.Line) error {
	if stores(line.Message) {
		if err := h.g.Room(); err != nil {
			return err
		}
	}
	ctx := iot.WithMode(h.ctx, mode.Lasting()) // of what means nothing unless it is stored
	if create, ok := line.Message.(smartrest.CreateDevice); ok && child == "" {
		return h.createDevice(ctx, create)
	}
	t, err := h.target(child)
	if err != nil {
		return err
	}
	h.g.Connectivity.Heard(h.p.Tenant, t.id)
	switch msg := line.Message.(type) {
	case smartrest.CreateDevice:
		return fault.E(fault.Op("c8ymqtt.Create"), fault.Exists, "Device already exists")
	case smartrest.CreateChild:
		return h.createBelow(ctx, t, msg.ExternalID, msg.Object(), iot.ChildDevice)
	case smartrest.CreateService:
		return h.createService(ctx, t, msg)
	case smartrest.ListChildren:
		return h.listChildren(t)
	case smartrest.GetID:
		h.reply(smartrest.ReplyID(t.id))
	case smartrest.Heartbeat:
	case smartrest.GetPlatformVersion:
		h.reply(smartrest.ReplyVersion(h.g.Version))
	case smartrest.GetCapabilities:
		h.reply(smartrest.ReplyCapabilities())
	case smartrest.PendingOperations:
		h.sendPending(true)
	case smartrest.StatusByFragment:
		return h.statusByFragment(ctx, t, msg)
	case smartrest.StatusByID:
		return h.statusByID(ctx, t, msg)
	default:
		return h.executeData(a, mode, t, line.Message)
	}
	return nil
}

// stores tells whether a command stores anything, or only asks.
func stores(m smartrest.Message) bool {
	switch m.(type) {
	case smartrest.ListChildren, smartrest.GetID, smartrest.Heartbeat, smartrest.GetPlatformVersion, smartrest.GetCapabilities, smartrest.PendingOperations:
		return false
	}
	return true
}

func (h *handler) reply(line string) { h.conn.Deliver("s/ds", []byte(line), 2, nil) }

// createDevice is 100: c8y: a device that exists already is told so and left as it is.
func (h *handler) createDevice(ctx context.Context, m smartrest.CreateDevice) error {
	if err := h.speaks(); err != nil {
		return err
	}
	_, created, err := h.g.Connectivity.Ensure(ctx, h.p, connectivity.Contact{Serial: h.serial, Object: m.Object(h.serial)})
	if err != nil {
		return err
	}
	id, err := h.self()
	if err != nil {
		return err
	}
	h.g.Connectivity.Heard(h.p.Tenant, id)
	if !created {
		return fault.E(fault.Op("c8ymqtt.Create"), fault.Exists, "Device already exists")
	}
	return nil
}

// createBelow creates an object below another one, or links it there if it exists.
func (h *handler) createBelow(ctx context.Context, t target, serial string, mo iot.ManagedObject, kind iot.ChildKind) error {
	id, created, err := h.g.Connectivity.Ensure(ctx, h.p, connectivity.Contact{Serial: serial, Object: mo, Place: registry.Place{Parent: t.id, Kind: kind}})
	if err != nil || created || id == t.id {
		return err
	}
	return h.g.Registry.Link(ctx, h.p, t.id, kind, []iot.ID{id})
}

// createService is 102: it creates a service or refreshes its name, type and status.
func (h *handler) createService(ctx context.Context, t target, m smartrest.CreateService) error {
	if err := h.createBelow(ctx, t, m.ExternalID, m.Object(), iot.ChildAddition); err != nil {
		return err
	}
	id, err := h.g.Registry.Lookup(ctx, h.p.Tenant, iot.SerialType, m.ExternalID)
	if err != nil {
		return err
	}
	mo := m.Object()
	_, err = h.g.Registry.Patch(ctx, h.p, id, registry.Draft{Name: &mo.Name, Fragments: mo.Fragments})
	return err
}

func (h *handler) listChildren(t target) error {
	rel, err := h.g.Registry.Neighbours(h.ctx, h.p, []iot.ID{t.id}, false)
	if err != nil {
		return err
	}
	var serials []string
	for _, r := range rel {
		if r.Kind != iot.ChildDevice {
			continue
		}
		serial, err := h.g.Registry.SerialOf(h.ctx, h.p.Tenant, r.Child)
		if err != nil {
			return err
		}
		if serial != "" {
			serials = append(serials, serial)
		}
	}
	h.reply(smartrest.ReplyChildren(serials))
	return nil
}
