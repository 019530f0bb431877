package telemetry

import (
	"encoding/json"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
)

// EventFact is the note that a driver leaves of what it does to an event. Of a deleted one it tells only the id and the source.
func EventFact(t iot.TenantID, a iot.Action, e iot.Event) func() (subject string, data []byte, err error) {
	if a == iot.Deleted {
		e = iot.Event{ID: e.ID, Source: e.Source}
	}
	return fact(t, iot.KindEvent, a, e.Source, EventChange{a, e})
}

// AlarmFact is the same of an alarm.
func AlarmFact(t iot.TenantID, a iot.Action, x iot.Alarm) func() (subject string, data []byte, err error) {
	if a == iot.Deleted {
		x = iot.Alarm{ID: x.ID, Source: x.Source}
	}
	return fact(t, iot.KindAlarm, a, x.Source, AlarmChange{a, x})
}

func fact(t iot.TenantID, k iot.Kind, a iot.Action, source iot.ID, change any) func() (string, []byte, error) {
	return func() (string, []byte, error) {
		data, err := json.Marshal(change)
		return bus.Subject(t, string(k), string(a), source.String()), data, err
	}
}
