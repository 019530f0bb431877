package bayeux

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// fact is one change as sessions hear of it.
type fact struct {
	t      iot.TenantID
	kind   iot.Kind
	action iot.Action
	source iot.ID // whose channel it comes on
	id     string // of the document
	// fragments are those of the document, which grants must cover; not called for an object itself.
	fragments func() []string
	// render appends the representation of the document; not called for what was deleted.
	render func(b []byte, base string) []byte
}

// subscribe starts listening to the bus. c8y: facts that only rules may see have one more part in their subject and do not match.
func (s *Server) subscribe() error {
	for _, f := range []struct {
		subject string
		handle  func(t iot.TenantID, subject string, data []byte)
	}{
		{bus.All("inventory", "*", "*"), s.object},
		{bus.All(string(iot.KindEvent), "*", "*"), s.event},
		{bus.All(string(iot.KindAlarm), "*", "*"), s.alarm},
		{bus.All(string(iot.KindMeasurement), "*"), s.measurements},
		{bus.All(string(iot.KindOperation), "*", "*"), s.operation},
		{bus.All("access"), func(t iot.TenantID, _ string, _ []byte) { s.suspect(t) }},
	} {
		stop, err := s.d.Bus.Subscribe(f.subject, f.handle)
		if err != nil {
			return err
		}
		s.stops = append(s.stops, stop)
	}
	return nil
}

// wanted reports whether a fact is worth decoding: its subject ends with the source.
func (s *Server) wanted(t iot.TenantID, k iot.Kind, subject string) bool {
	id, ok := iot.ParseID(subject[strings.LastIndexByte(subject, '.')+1:])
	return ok && s.index.concerns(t, k, id)
}

func (s *Server) decode(t iot.TenantID, subject string, data []byte, to any) bool {
	if err := json.Unmarshal(data, to); err != nil {
		s.log.Error("decode a fact", "tenant", t, "topic", subject, "err", err)
		return false
	}
	return true
}

func (s *Server) object(t iot.TenantID, subject string, data []byte) {
	var c registry.Change
	if !s.wanted(t, iot.KindManagedObject, subject) || !s.decode(t, subject, data, &c) {
		return
	}
	s.deliver(&fact{t, iot.KindManagedObject, c.Action, c.Object.ID, c.Object.ID.String(), nil, func(b []byte, base string) []byte {
		return c8yrest.AppendManagedObject(b, base, c.Object)
	}})
}

func (s *Server) event(t iot.TenantID, subject string, data []byte) {
	var c telemetry.EventChange
	if !s.wanted(t, iot.KindEvent, subject) || !s.decode(t, subject, data, &c) {
		return
	}
	s.deliver(&fact{t, iot.KindEvent, c.Action, c.Event.Source, c.Event.ID.String(), names(c.Event.Fragments), func(b []byte, base string) []byte {
		return c8yrest.AppendEvent(b, base, &c.Event, s.name(t, c.Event.Source))
	}})
}

func (s *Server) alarm(t iot.TenantID, subject string, data []byte) {
	var c telemetry.AlarmChange
	if !s.wanted(t, iot.KindAlarm, subject) || !s.decode(t, subject, data, &c) {
		return
	}
	s.deliver(&fact{t, iot.KindAlarm, c.Action, c.Alarm.Source, c.Alarm.ID.String(), names(c.Alarm.Fragments), func(b []byte, base string) []byte {
		return c8yrest.AppendAlarm(b, base, &c.Alarm, s.name(t, c.Alarm.Source))
	}})
}

func (s *Server) measurements(t iot.TenantID, subject string, data []byte) {
	if !s.index.anyone(t, iot.KindMeasurement) {
		return
	}
	batch, err := telemetry.DecodeMeasurements(data)
	if err != nil {
		s.log.Error("decode a fact", "tenant", t, "topic", subject, "err", err)
		return
	}
	for i := range batch.Measurements {
		m := &batch.Measurements[i]
		if !s.index.concerns(t, iot.KindMeasurement, m.Source) {
			continue
		}
		s.deliver(&fact{t, iot.KindMeasurement, batch.Action, m.Source, m.ID().String(), m.Fragments, func(b []byte, base string) []byte {
			return c8yrest.AppendMeasurement(b, base, m)
		}})
	}
}

// operation serves both endpoints. c8y: an agent hears of new operations only, its own and those of its children.
func (s *Server) operation(t iot.TenantID, subject string, data []byte) {
	if !s.index.anyone(t, iot.KindOperation) && !s.index.anyone(t, kindPush) {
		return
	}
	var c devicemgmt.OperationChange
	if !s.decode(t, subject, data, &c) {
		return
	}
	op := &c.Operation
	f := fact{t, iot.KindOperation, c.Action, op.Device, op.ID.String(), names(op.Fragments), func(b []byte, base string) []byte {
		return c8yrest.AppendOperation(b, base, op, s.name(t, op.Device), "")
	}}
	s.deliver(&f)
	if c.Action != iot.Created {
		return
	}
	f.kind, f.source = kindPush, op.Agent
	s.deliver(&f)
	if op.Device != op.Agent {
		f.source = op.Device
		s.deliver(&f)
	}
}

func names(d iot.Doc) func() []string { return func() []string { return access.CustomFragments(d) } }

// deliver queues a fact for everybody who listens. Its JSON is made once per base URL.
func (s *Server) deliver(f *fact) {
	var above []iot.ID
	if s.index.trees(f.t, f.kind) {
		above = s.above(f.t, f.source)
	}
	rendered := map[string][]byte{}
	for _, x := range s.index.find(f.t, f.kind, f.source, above) {
		if x.byObject && !s.mayHearNow(x.to, f) {
			continue
		}
		data, ok := rendered[x.to.base]
		if !ok {
			data = f.encode(x.to.base)
			rendered[x.to.base] = data
		}
		x.to.push(item{x.channel, data})
	}
}

// encode makes the data of a message. c8y: an object, although the documentation shows a list; of what was deleted only the id, as a text.
func (f *fact) encode(base string) []byte {
	if f.kind == kindPush {
		return f.render(nil, base)
	}
	b := append([]byte(`{"realtimeAction":"`), f.action...)
	b = append(b, `","data":`...)
	if f.action == iot.Deleted {
		b = iot.AppendText(b, f.id)
	} else {
		b = f.render(b, base)
	}
	return append(b, '}')
}

// mayHearNow decides about a message to somebody who subscribed for the sake of the object. That a thing is gone may be told: it has no owner any more.
func (s *Server) mayHearNow(to *session, f *fact) bool {
	ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
	defer cancel()
	var fragments []string
	if len(to.who.Grants) > 0 && f.fragments != nil {
		fragments = f.fragments()
	}
	_, err := s.d.Registry.Check(ctx, to.who, f.source, family(f.kind), access.Read, fragments...)
	return err == nil || (f.action == iot.Deleted && fault.Is(err, fault.NotFound))
}
