package c8ymqtt_test

import (
	"testing"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// sent is one publish of a device.
type sent struct {
	packet  uint16
	dup     bool
	payload string
	topic   string            // s/us if empty
	after   *mqtt.CloseReason // the end of the connection before it, if there was one
	restart bool              // the platform restarts before it
	nothing bool              // it does not come through: only a new connection
}

var (
	broken  = &mqtt.CloseReason{Cause: mqtt.ByNetwork}
	goodbye = &mqtt.CloseReason{Cause: mqtt.ByClient}
)

const jsonPair = `{"measurements":[{"type":"a","c8y_T":{"T":{"value":1}}},{"type":"a","c8y_T":{"T":{"value":1}}}]}`

// TestRepeatedPublishesTakeEffectOnce: what counts is how many measurements, events and occurrences of the alarm there are in the end.
func TestRepeatedPublishesTakeEffectOnce(t *testing.T) {
	const value, event, alarm = "200,c8y_T,T,21", "400,door,open", "302,hot,too hot"
	for name, c := range map[string]struct {
		sends                                    []sent
		measurements, events, alarms, duplicates int
	}{
		"a repetition after the connection broke": {[]sent{{packet: 1, payload: value}, {packet: 1, dup: true, payload: value, after: broken}}, 1, 0, 0, 1},
		"with another identifier it is new":       {[]sent{{packet: 1, payload: value}, {packet: 2, dup: true, payload: value, after: broken}}, 2, 0, 0, 0},
		"with other content it is new":            {[]sent{{packet: 1, payload: value}, {packet: 1, dup: true, payload: value + ".5", after: broken}}, 2, 0, 0, 0},
		"on another topic it is new":              {[]sent{{packet: 1, payload: value}, {packet: 1, dup: true, payload: value, topic: "s/us/child", after: broken}}, 1, 0, 0, 0},
		"without DUP it is new":                   {[]sent{{packet: 1, payload: value}, {packet: 1, payload: value, after: broken}}, 2, 0, 0, 0},
		"the window of a gateway": {[]sent{{packet: 1, payload: value}, {packet: 2, payload: value}, {packet: 3, payload: value},
			{packet: 2, dup: true, payload: value, after: broken}, {packet: 3, dup: true, payload: value}, {packet: 4, dup: true, payload: value}}, 4, 0, 0, 2},
		"a client that knows one identifier only": {[]sent{{packet: 1, payload: value}, {packet: 1, payload: value}, {packet: 1, dup: true, payload: value, after: broken}}, 3, 0, 0, 0},
		"the connection before the last does not count": {[]sent{{packet: 1, payload: value}, {packet: 9, payload: value, after: broken},
			{packet: 1, dup: true, payload: value, after: broken}}, 3, 0, 0, 0},
		"after a restart of the platform": {[]sent{{packet: 1, payload: value}, {packet: 2, payload: event}, {packet: 1, dup: true, payload: value, restart: true},
			{packet: 2, dup: true, payload: event}}, 1, 1, 0, 2},
		"the platform dies when a newer connection got nothing through": {[]sent{{packet: 1, payload: value}, {after: goodbye, nothing: true},
			{packet: 1, dup: true, payload: value, restart: true}}, 2, 0, 0, 0},
		"the same with an event": {[]sent{{packet: 2, payload: value}, {packet: 1, payload: event}, {after: goodbye, nothing: true},
			{packet: 1, dup: true, payload: event, restart: true}}, 1, 2, 0, 0},
		"a client that sends events only, after a restart":        {[]sent{{packet: 1, payload: event}, {packet: 1, dup: true, payload: event, restart: true}}, 0, 1, 0, 1},
		"events only, and a newer connection got nothing through": {[]sent{{packet: 1, payload: event}, {after: goodbye, nothing: true}, {packet: 1, dup: true, payload: event, restart: true}}, 0, 2, 0, 0},
		"an event after a newer connection with measurements":     {[]sent{{packet: 1, payload: event}, {packet: 7, payload: value, after: broken}, {packet: 1, dup: true, payload: event, restart: true}}, 1, 2, 0, 0},
		"several lines":                 {[]sent{{packet: 1, payload: value + "\n" + value + "\n" + event}, {packet: 1, dup: true, payload: value + "\n" + value + "\n" + event, after: broken}}, 2, 1, 0, 3},
		"the first lines only":          {[]sent{{packet: 1, payload: value}, {packet: 1, dup: true, payload: value + "\n" + value, after: broken}}, 3, 0, 0, 0},
		"events and alarms":             {[]sent{{packet: 1, payload: event}, {packet: 2, payload: alarm}, {packet: 1, dup: true, payload: event, after: broken}, {packet: 2, dup: true, payload: alarm}}, 0, 1, 1, 2},
		"an alarm that is raised again": {[]sent{{packet: 1, payload: alarm}, {packet: 2, payload: alarm}, {packet: 2, dup: true, payload: alarm, after: broken}}, 0, 0, 2, 1},
		"an event with one identifier":  {[]sent{{packet: 1, payload: event}, {packet: 1, payload: event}, {packet: 1, dup: true, payload: event, after: broken}}, 0, 3, 0, 0},
		"JSON":                          {[]sent{{packet: 1, payload: jsonPair, topic: "measurement/measurements/create"}, {packet: 1, dup: true, payload: jsonPair, topic: "measurement/measurements/create", after: broken}}, 2, 0, 0, 2},
		"right after a goodbye":         {[]sent{{packet: 1, payload: value}, {packet: 1, dup: true, payload: value, after: goodbye}}, 1, 0, 0, 1},
		"twice after breaks":            {[]sent{{packet: 1, payload: value}, {packet: 2, payload: value}, {packet: 2, dup: true, payload: value, after: broken}, {packet: 3, payload: value}, {packet: 3, dup: true, payload: value, after: broken}}, 3, 0, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := simple(t)
			user := b.device("main", "dev-1")
			dev := b.connect("dev-1", user)
			for _, s := range c.sends {
				if s.restart {
					dev.close()
					b.connectivity.Close()
					b.startConnectivity()
				}
				if s.after != nil {
					dev.h.Closed(*s.after)
				}
				if s.restart || s.after != nil {
					dev = b.connect("dev-1", user)
				}
				if s.nothing {
					continue
				}
				if s.topic == "" {
					s.topic = "s/us"
				}
				if v := receive(t, dev.submit(&mqtt.Message{Topic: s.topic, Payload: []byte(s.payload), QoS: 1, PacketID: s.packet, Dup: s.dup})); v.Reason.Failed() {
					t.Fatalf("%+v: %v", s, v.Reason)
				}
			}
			b.expect(c.measurements, c.events, c.alarms, c.duplicates)
		})
	}
}

// expect counts what the device has in the end.
func (b *bench) expect(measurements, events, alarms, duplicates int) {
	b.t.Helper()
	check := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "dev-1"))(b.t)
	p := iot.System("main")
	_, m, err := b.telemetry.Measurements(ctx, p, telemetry.MeasurementQuery{Source: id, Limit: 1, Count: true})
	check(err)
	_, e, err := b.telemetry.Events(ctx, p, telemetry.EventQuery{Source: id, Limit: 1, Count: true})
	check(err)
	list, _, err := b.telemetry.Alarms(ctx, p, telemetry.AlarmQuery{Source: id, Limit: 1})
	check(err)
	raised := 0
	if len(list) > 0 {
		raised = int(list[0].Count)
	}
	l, err := b.telemetry.Ledger(ctx, p, id)
	check(err)
	if m != measurements || e != events || raised != alarms || int(l.Duplicate) != duplicates {
		b.t.Errorf("%d measurements, %d events, %d occurrences, %d duplicates; want %d, %d, %d, %d", m, e, raised, l.Duplicate, measurements, events, alarms, duplicates)
	}
}
