package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// fact is one thing that happened.
type fact struct {
	kind   iot.Kind
	action iot.Action
	source iot.ID
	typ    string
	doc    func(keep []string) ([]byte, error) // the document, with all fragments if keep is empty; it may be called more than once
}

// apis are the names under which the fact is subscribed to, for its source and for what is above it.
func (f *fact) apis() (own, tree API) {
	switch f.kind {
	case iot.KindAlarm:
		return Alarms, AlarmsWithChildren
	case iot.KindEvent:
		return Events, EventsWithChildren
	case iot.KindMeasurement:
		return Measurements, ""
	case iot.KindOperation:
		return Operations, ""
	}
	return ManagedObjects, ""
}

var errSubject = errors.New("this is no subject of a fact")

// decode reads what was published on a subject of the bus.
func decode(subject string, data []byte) ([]fact, error) {
	part := strings.Split(subject, ".")
	if len(part) < 3 {
		return nil, errSubject
	}
	switch part[2] {
	case "inventory":
		var c registry.Change
		err := json.Unmarshal(data, &c)
		o := c.Object
		return []fact{{iot.KindManagedObject, c.Action, o.ID, o.Type, func(keep []string) ([]byte, error) {
			o := o
			o.Fragments = only(o.Fragments, keep)
			return json.Marshal(o)
		}}}, err
	case string(iot.KindEvent):
		var c telemetry.EventChange
		err := json.Unmarshal(data, &c)
		e := c.Event
		return []fact{{iot.KindEvent, c.Action, e.Source, e.Type, func(keep []string) ([]byte, error) {
			e := e
			e.Fragments = only(e.Fragments, keep)
			return json.Marshal(e)
		}}}, err
	case string(iot.KindAlarm):
		var c telemetry.AlarmChange
		err := json.Unmarshal(data, &c)
		a := c.Alarm
		return []fact{{iot.KindAlarm, c.Action, a.Source, a.Type, func(keep []string) ([]byte, error) {
			a := a
			a.Fragments = only(a.Fragments, keep)
			return json.Marshal(a)
		}}}, err
	case string(iot.KindOperation):
		var c devicemgmt.OperationChange
		err := json.Unmarshal(data, &c)
		o := c.Operation
		typ, _ := o.Fragments.Text("type")
		return []fact{{iot.KindOperation, c.Action, o.Device, typ, func(keep []string) ([]byte, error) {
			o := o
			o.Fragments = only(o.Fragments, keep)
			return json.Marshal(o)
		}}}, err
	case string(iot.KindMeasurement):
		return measured(data)
	}
	return nil, errSubject
}

func measured(data []byte) ([]fact, error) {
	batch, err := telemetry.DecodeMeasurements(data)
	out := make([]fact, len(batch.Measurements))
	for i, m := range batch.Measurements {
		out[i] = fact{iot.KindMeasurement, batch.Action, m.Source, m.Type, func(keep []string) ([]byte, error) {
			m := m
			if len(keep) > 0 {
				m.Extra = only(m.Extra, keep)
				m.Samples = slices.DeleteFunc(slices.Clone(m.Samples), func(s iot.Sample) bool { return !slices.Contains(keep, s.Fragment) })
			}
			return telemetry.MeasurementBatch{Action: batch.Action, Measurements: []iot.Measurement{m}}.AppendTo(nil), nil
		}}
	}
	return out, err
}

func only(d iot.Doc, keep []string) iot.Doc {
	if len(keep) == 0 {
		return d
	}
	var out iot.Doc
	for _, m := range d {
		if slices.Contains(keep, m.Name) {
			out = append(out, m)
		}
	}
	return out
}

// Notification is one message of a topic.
type Notification struct {
	ID     uint64 // in the topic
	API    API
	Action iot.Action
	Source iot.ID
	// Doc is JSON: of a registry.Object, iot.Event, iot.Alarm or iot.Operation, or a telemetry.MeasurementBatch of one. What was deleted has only ids.
	Doc []byte
}

// letter is a notification on its way to a topic. Its mark tells it from all others of the tenant.
type letter struct {
	topic string
	mark  string
	n     Notification
}

// address makes the letters of a fact.
func (x *Exchange) letters(ctx context.Context, t iot.TenantID, in *interest, f *fact, mark string) (out []letter, err error) {
	to := in.find(f, func() []iot.ID {
		ids, lost := x.d.Registry.Above(ctx, t, f.source, iot.ChildDevice, iot.ChildAsset)
		err = errors.Join(err, lost)
		return ids
	})
	for a, keep := range to {
		doc, wrong := f.doc(keep)
		err = errors.Join(err, wrong)
		out = append(out, letter{a.topic, mark + string(a.api), Notification{API: a.api, Action: f.action, Source: f.source, Doc: doc}})
	}
	slices.SortFunc(out, func(a, b letter) int { return strings.Compare(a.topic+a.mark, b.topic+b.mark) })
	return out, err
}

func (n *Notification) encode() []byte {
	b := append([]byte(n.API), '\n')
	b = append(append(b, n.Action...), '\n')
	b = append(append(b, n.Source.String()...), '\n')
	return append(b, n.Doc...)
}

var errMessage = errors.New("this is no notification")

func decodeNotification(id uint64, b []byte) (Notification, error) {
	part := strings.SplitN(string(b), "\n", 4)
	if len(part) != 4 {
		return Notification{ID: id}, errMessage
	}
	source, ok := iot.ParseID(part[2])
	if !ok {
		return Notification{ID: id}, errMessage
	}
	return Notification{id, API(part[0]), iot.Action(part[1]), source, []byte(part[3])}, nil
}
