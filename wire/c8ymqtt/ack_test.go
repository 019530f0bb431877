package c8ymqtt_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// gated is a store whose Append waits for leave, and fails if that is an error.
type gated struct {
	series.Store
	arrived chan int
	leave   chan error

	mu   sync.Mutex // guards open
	open bool
}

func newGated() *gated {
	return &gated{Store: seriesmem.New(), arrived: make(chan int, 100), leave: make(chan error)}
}

func (g *gated) Append(ctx context.Context, entries []series.Entry) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	if !open {
		g.arrived <- len(entries)
		if err := <-g.leave; err != nil {
			return err
		}
	}
	return g.Store.Append(ctx, entries)
}

func none(t *testing.T, verdicts <-chan mqtt.Verdict, what string) {
	t.Helper()
	select {
	case v := <-verdicts:
		t.Errorf("%s: %v", what, v)
	default:
	}
}

func TestMeasurementsAreAcknowledgedWhenTheyAreStored(t *testing.T) {
	store := newGated()
	b := newBench(t, store)
	c := b.connect("d1", b.device("main", "d1"))
	defer c.close()
	for topic, payload := range map[string]string{
		"s/us":                                "200,a,b,1",
		"measurement/measurements/create":     `{"type":"t","a":{"b":{"value":1}}}`,
		"measurement/measurements/createBulk": `{"measurements":[{"type":"t","a":{"b":{"value":1}}},{"type":"t","a":{"b":{"value":2}}}]}`,
	} {
		verdicts := c.submit(&mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: 1})
		for n := strings.Count(payload, "value") + strings.Count(payload, "200,"); n > 0; {
			n -= receive(t, store.arrived)
			none(t, verdicts, topic+" was acknowledged before it was stored")
			store.leave <- nil
		}
		if v := receive(t, verdicts); v.Reason.Failed() {
			t.Errorf("%s: %v", topic, v)
		}
	}
}

func TestWhatWasNotStoredIsNotAcknowledged(t *testing.T) {
	store := newGated()
	b := newBench(t, store)
	c := b.connect("d1", b.device("main", "d1"))
	defer c.close()
	c.subscribe("s/e")
	c.subscribe("error")
	for _, x := range []struct {
		name, topic, payload string
		err                  error
		want                 mqtt.Reason
		told                 string
	}{
		{"no space", "s/us", "200,a,b,1", fault.E(fault.Full), packet.QuotaExceeded, "50,200,507,no space is left to store the data"},
		{"not there", "s/us", "211,1", fault.E(fault.Unavailable), packet.ServerUnavailable, `50,211,503,"the service is not available, try again later"`},
		{"our defect", "s/us", "113,x\n212,1\n999,y", fault.E(fault.Internal), packet.ImplementationError, "50,212,500,internal error"},
		{"a transient one needs no store", "t/measurement/measurements/create/x", `{"type":"t","a":{"b":{"value":1}}}`, nil, 0, ""},
		{"JSON", "measurement/measurements/create", `{"type":"t","a":{"b":{"value":1}}}`, fault.E(fault.Full), packet.QuotaExceeded,
			`{"error":"server/Insufficient Storage","message":"no space is left to store the data"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.conn.take()
			verdicts := c.submit(&mqtt.Message{Topic: x.topic, Payload: []byte(x.payload), QoS: 1})
			if x.err != nil {
				receive(t, store.arrived)
				store.leave <- x.err
			}
			if v := receive(t, verdicts); v.Reason != x.want {
				t.Errorf("verdict %s, want %s", v.Reason, x.want)
			}
			told := strings.Join(append(c.conn.lines("s/e"), c.conn.lines("error")...), "\n")
			if !strings.Contains(told, x.told) {
				t.Errorf("told %q, want %q", told, x.told)
			}
		})
	}
}

func TestNothingIsAcknowledgedWithoutDatabase(t *testing.T) {
	b := simple(t)
	c := b.connect("d1", b.device("main", "d1"))
	c.subscribe("s/e")
	c.publish("s/us", "101,k1")
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	for topic, payload := range map[string]string{
		"s/us": "110,x", "s/us/k1": "113,x\n400,t,x", "s/us/unknown": "125", "s/uat": "",
		"event/events/create": `{"type":"t","text":"x"}`, "alarm/alarms/create": `{"type":"t","text":"x","severity":"MAJOR"}`,
		"inventory/managedObjects/update/d1": `{"x":1}`, "inventory/managedObjects/create": `{"x":1}`,
	} {
		if v := c.publish(topic, payload); !v.Reason.Failed() {
			t.Errorf("%s %s was acknowledged", topic, payload)
		}
	}
	if v := c.publish("s/us", "nonsense"); v.Reason.Failed() {
		t.Errorf("a mistake of the client was not acknowledged: %s", v.Reason)
	}
}

// TestLeaveEndsWithTheRight: what a device may is remembered from one measurement to the next, but not longer than it is true.
func TestLeaveEndsWithTheRight(t *testing.T) {
	b := newBench(t, seriesmem.New())
	owner := b.device("main", "d1")
	c := b.connect("d1", owner)
	defer c.close()
	stored := func() int {
		t.Helper()
		id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
		_, n, err := b.telemetry.Measurements(ctx, iot.System("main"), telemetry.MeasurementQuery{Source: id, Count: true})
		must(n, err)(t)
		return n
	}
	measure := func(want int) {
		t.Helper()
		c.publish("s/us", "200,a,b,1")
		if n := stored(); n != want {
			t.Fatalf("%d measurements are stored, want %d", n, want)
		}
	}
	measure(1)
	measure(2)
	id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
	system := iot.System("main")
	for _, x := range []struct {
		owner string
		want  int
	}{{"somebody", 2}, {string(iot.DeviceUser("d1")), 3}} {
		must(b.registry.Patch(ctx, system, id, registry.Draft{Owner: &x.owner}))(t)
		measure(x.want)
	}
	if _, err := b.registry.Delete(ctx, system, id, registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	measure(1) // it is made anew on first contact
	if again := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t); again == id {
		t.Error("the measurement went to a device that was deleted")
	}
}
