package c8ymqtt

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// apis are the first levels of JSON via MQTT.
var apis = map[string]bool{"measurement": true, "event": true, "alarm": true, "inventory": true}

// jsonError is what is published on the topic error.
// c8y: messageId is the packet identifier of the publish, which one with QoS 0 has not.
func (h *handler) jsonError(err error, packet uint16) {
	b := append([]byte(`{"error":`), iot.AppendText(nil, "undefined/validationError")...)
	if fault.KindOf(err) != fault.Invalid {
		b = append([]byte(`{"error":`), iot.AppendText(nil, "server/"+fault.KindOf(err).Row().C8y)...)
	}
	b = append(b, `,"message":`...)
	b = iot.AppendText(b, fault.Message(err))
	if packet != 0 {
		b = strconv.AppendUint(append(b, `,"messageId":`...), uint64(packet), 10)
	}
	h.conn.Deliver("error", append(b, '}'), 1, nil)
}

// publishJSON handles <api>/<resource>/<action>[/<id>...]. c8y: what is none of the endpoints is told on error as well.
func (h *handler) publishJSON(mode iot.ProcessingMode, levels []string, m *mqtt.Message, done func(mqtt.Verdict)) {
	a := h.arrive(m)
	h.g.Usage.Request(h.p.Tenant, true, 1)
	finish := func(err error) {
		if err != nil {
			h.jsonError(err, m.PacketID)
		}
		done(verdict(err))
	}
	at := min(3, len(levels))
	path, id := strings.Join(levels[:at], "/"), strings.Join(levels[at:], "/")
	if path == "measurement/measurements/create" || path == "measurement/measurements/createBulk" {
		h.jsonMeasurements(a, mode, m.Payload, finish)
		return
	}
	var d iot.Doc
	if len(m.Payload) > 0 || !strings.HasSuffix(path, "/delete") {
		var err error
		if d, err = iot.ParseDoc(m.Payload, iot.MaxDepth); err != nil {
			finish(fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "the payload is not valid JSON: "+err.Error()))
			return
		}
	}
	finish(h.jsonOne(a, mode, path, id, d))
}

// each runs one document or, of a bulk, each of the list with a name.
func each(d iot.Doc, bulk bool, name string, run func(iot.Doc) error) error {
	if !bulk {
		return run(d)
	}
	items, err := iot.ParseArray(d.Get(name), iot.MaxDepth)
	if err != nil {
		return fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, name+" must be a list of objects")
	}
	for _, item := range items {
		d, err := iot.ParseDoc(item, iot.MaxDepth)
		if err != nil {
			return fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, name+": "+err.Error())
		}
		if err := run(d); err != nil {
			return err
		}
	}
	return nil
}

// jsonMeasurements stores one or many measurements; the answer comes when all of them are stored.
func (h *handler) jsonMeasurements(a *arrival, mode iot.ProcessingMode, payload []byte, finish func(error)) {
	var left atomic.Int64
	var failed atomic.Pointer[error]
	left.Store(1)
	settle := func(err error) {
		if err != nil {
			failed.Store(&err)
		}
		if left.Add(-1) == 0 {
			if e := failed.Load(); e != nil {
				finish(*e)
			} else {
				finish(nil)
			}
		}
	}
	d, err := iot.ParseDoc(payload, iot.MaxDepth)
	if err != nil {
		settle(fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "the payload is not valid JSON: "+err.Error()))
		return
	}
	list := d.Get("measurements")
	settle(each(d, list != nil && list[0] == '[', "measurements", func(d iot.Doc) error {
		ms, err := h.jsonMeasurement(d)
		if err == nil {
			left.Add(1)
			h.submit(a, ms, mode, settle)
		} else {
			h.refused(err)
		}
		return err
	}))
}

// jsonMeasurement reads a measurement of a source to which the user may write.
func (h *handler) jsonMeasurement(d iot.Doc) (*iot.Measurement, error) {
	d, t, err := h.jsonTarget(d)
	if err != nil {
		return nil, err
	}
	ms, err := c8yrest.DecodeMeasurement(d)
	if err != nil {
		return nil, err
	}
	if ms.Type == "" {
		return nil, fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "Following mandatory fields should be included: type")
	}
	if ms.Time.IsZero() {
		ms.Time = h.g.Clock.Now().Truncate(time.Millisecond)
	}
	if _, err := h.g.Registry.Check(h.ctx, h.p, t.id, access.Measurement, access.Admin, access.MeasuredNames(h.p, &ms)...); err != nil {
		return nil, err
	}
	ms.Source = t.id
	h.g.Connectivity.Heard(h.p.Tenant, t.id)
	return &ms, nil
}

// jsonTarget takes the member externalSource out of a document and resolves it. c8y: a member source is ignored, the connection says who it is.
func (h *handler) jsonTarget(d iot.Doc) (iot.Doc, target, error) {
	x, given, err := externalSource(d)
	d = d.Without("externalSource", "source")
	if err != nil {
		return d, target{}, err
	}
	self, err := h.self()
	if err != nil || !given {
		return d, target{serial: h.serial, id: self, device: self}, err
	}
	id, err := h.g.Registry.Lookup(h.ctx, h.p.Tenant, x.Type, x.Value)
	return d, target{serial: x.Value, id: id, device: self}, err
}

// externalSource reads the member with which a document names another object than the connected device.
func externalSource(d iot.Doc) (x iot.ExternalID, given bool, err error) {
	raw := d.Get("externalSource")
	if raw == nil {
		return x, false, nil
	}
	var s struct{ ExternalID, Type string }
	if json.Unmarshal(raw, &s) != nil || s.ExternalID == "" {
		return x, false, fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "externalSource must be {externalId, type}")
	}
	if s.Type == "" {
		s.Type = iot.SerialType
	}
	return iot.ExternalID{Type: s.Type, Value: s.ExternalID}, true, nil
}

func (h *handler) jsonOne(a *arrival, mode iot.ProcessingMode, path, id string, d iot.Doc) error {
	if !strings.HasSuffix(path, "/delete") {
		if err := h.g.Room(); err != nil {
			return err
		}
	}
	ctx, lasting := iot.WithMode(h.ctx, mode), iot.WithMode(h.ctx, mode.Lasting())
	switch path {
	case "event/events/create", "event/events/createBulk":
		return each(d, strings.HasSuffix(path, "Bulk"), "events", func(d iot.Doc) error { return once(h.jsonEvent(a, mode, d)) })
	case "alarm/alarms/create", "alarm/alarms/createBulk":
		return each(d, strings.HasSuffix(path, "Bulk"), "alarms", func(d iot.Doc) error { return h.counted(once(h.jsonAlarm(a, mode, d))) })
	case "event/events/update":
		return h.jsonEventUpdate(ctx, id, d)
	case "alarm/alarms/update":
		return h.jsonAlarmUpdate(ctx, id, d)
	case "event/events/delete":
		n, ok := iot.ParseID(id)
		if !ok {
			return noID(id)
		}
		return h.g.Telemetry.DeleteEvent(lasting, h.p, n)
	case "measurement/measurements/delete":
		n, ok := iot.ParseMeasurementID(id)
		if !ok {
			return noID(id)
		}
		return h.g.Telemetry.DeleteMeasurement(lasting, h.p, n)
	case "inventory/managedObjects/create":
		return h.jsonCreate(lasting, d)
	case "inventory/managedObjects/update":
		return h.jsonUpdate(ctx, id, d)
	case "inventory/childDevices/create":
		return h.jsonChild(lasting, id, d)
	}
	return fault.E(fault.Op("c8ymqtt.JSON"), fault.Unsupported, "there is no endpoint "+path)
}

// counted enters the device's own mistakes into its ledger; what could not be stored is there already.
func (h *handler) counted(err error) error {
	if err != nil && !fault.KindOf(err).Ours() {
		h.refused(err)
	}
	return err
}

func noID(id string) error {
	return fault.E(fault.Op("c8ymqtt.JSON"), fault.NotFound, "the topic must end in an id, '"+id+"' is none")
}

func (h *handler) jsonEvent(a *arrival, mode iot.ProcessingMode, d iot.Doc) error {
	d, t, err := h.jsonTarget(d)
	if err != nil {
		return err
	}
	e, err := c8yrest.DecodeEvent(d)
	if err != nil {
		return err
	}
	if e.Time.IsZero() {
		e.Time = h.g.Clock.Now().Truncate(time.Millisecond)
	}
	e.Source = t.id
	if _, err = h.g.Telemetry.CreateEvent(a.effect(h.ctx), h.p, mode, e); err == nil {
		h.g.Connectivity.Heard(h.p.Tenant, t.id)
	}
	return err
}

func (h *handler) jsonAlarm(from *arrival, mode iot.ProcessingMode, d iot.Doc) error {
	d, t, err := h.jsonTarget(d)
	if err != nil {
		return err
	}
	a, err := c8yrest.DecodeAlarm(d)
	if err != nil {
		return err
	}
	if err := complete(&a); err != nil {
		return err
	}
	_, err = h.raise(from, mode, t, a)
	return err
}

// complete refuses an alarm without what it must have. c8y: a time that is missing is told with the others, but is not missed alone.
func complete(a *iot.Alarm) error {
	if a.Severity != "" && a.Text != "" && a.Type != "" {
		return nil
	}
	var lost []string
	for _, m := range []struct {
		name string
		lost bool
	}{{"severity", a.Severity == ""}, {"text", a.Text == ""}, {"time", a.Time.IsZero()}, {"type", a.Type == ""}} {
		if m.lost {
			lost = append(lost, m.name)
		}
	}
	return fault.E(fault.Op("c8ymqtt.JSON"), fault.Invalid, "Following mandatory fields should be included: "+strings.Join(lost, ","))
}

// raise stores an alarm of a target to which the user may write. One that is repeated, or clears what is not there, comes back without id.
func (h *handler) raise(from *arrival, mode iot.ProcessingMode, t target, a iot.Alarm) (iot.Alarm, error) {
	if a.Time.IsZero() {
		a.Time = h.g.Clock.Now().Truncate(time.Millisecond)
	}
	if _, err := h.g.Registry.Check(h.ctx, h.p, t.id, access.Alarm, access.Admin, access.Names(h.p, a.Fragments)...); err != nil {
		return iot.Alarm{}, err
	}
	a.Source = t.id
	ctx := iot.WithMode(h.ctx, mode)
	h.g.Connectivity.Heard(h.p.Tenant, t.id)
	if a.Status == iot.Cleared { // an alarm that is sent as cleared clears the one that is active
		cleared := iot.Cleared
		return h.changeAlarm(ctx, t, a.Type, telemetry.AlarmPatch{Status: &cleared})
	}
	stored, _, err := h.g.Telemetry.RaiseAlarm(from.effect(ctx), h.p, a)
	return stored, err
}

func (h *handler) jsonEventUpdate(ctx context.Context, id string, d iot.Doc) error {
	n, ok := iot.ParseID(id)
	if !ok {
		return noID(id)
	}
	var patch telemetry.EventPatch
	if s, ok := d.Text("text"); ok {
		patch.Text = &s
	}
	patch.Fragments = d.Without("id", "self", "source", "type", "text", "time", "creationTime", "lastUpdated", "externalSource")
	_, err := h.g.Telemetry.PatchEvent(ctx, h.p, n, patch)
	return err
}

func (h *handler) jsonAlarmUpdate(ctx context.Context, id string, d iot.Doc) error {
	n, ok := iot.ParseID(id)
	if !ok {
		return noID(id)
	}
	patch, err := c8yrest.DecodeAlarmPatch(d.Without("externalSource"))
	if err != nil {
		return err
	}
	_, err = h.g.Telemetry.PatchAlarm(ctx, h.p, n, patch)
	return err
}
