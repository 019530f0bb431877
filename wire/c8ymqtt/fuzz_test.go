package c8ymqtt_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/wire/c8ymqtt"
)

// FuzzPublish: whatever a device sends, the policy does not panic and gives exactly one verdict, which on a healthy platform never blames
// the platform.
func FuzzPublish(f *testing.F) {
	for _, seed := range [][2]string{
		{"s/us", "100"}, {"s/us", "101,k\n102,s,t,n,up\n105"}, {"s/us/k", "200,a,b,1\n117,10\n301,a\n306,a"}, {"t/us", "201,t,,a,b,1,c"}, {"s/us", "140,a,1,,\n142,a"},
		{"s/us", "408,,,true,a.b.c,BOOLEAN,true"}, {"s/us", "107,a\n407,t,a\n307,t,a"}, {"s/us", "500\n501,c8y_Restart\n503,c8y_Restart,x\n507"}, {"s/us", "504,1\n506,1,a,b"},
		{"s/us", "120,a/b.c,u"}, {"s/us", "\"\"\"\n"}, {"/s/us/a/b", "113,\"x\ny\""}, {"s/uat", ""}, {"s/ut/x", ""}, {"s/ucr", ""}, {"free/topic", "x"}, {"$SYS/x", ""}, {"error", ""},
		{"event/events/create", `{"type":"t","text":"x","externalSource":{"externalId":"k"}}`}, {"measurement/measurements/createBulk", `{"measurements":[{"type":"t","a":{"b":{"value":1}}}]}`},
		{"alarm/alarms/create", `{"type":"t","text":"x","severity":"MAJOR","status":"CLEARED"}`}, {"inventory/managedObjects/update/d", `{"a":null}`},
		{"inventory/managedObjects/create", `{"name":"x"}`}, {"inventory/childDevices/create", `{"managedObject":{"id":"1"}}`}, {"event/events/update/1", `{"text":"x"}`}, {"event/events/delete/1", ""},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	b := simple(f)
	c := b.connect("fuzz", b.device("main", "fuzz"))
	for _, topic := range []string{"s/e", "s/ds", "error", "s/dat", "s/dt", "devicecontrol/notifications"} {
		c.subscribe(topic)
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		if topic == "" || len(payload) > 16<<10 || !utf8.ValidString(topic) || strings.ContainsAny(topic, "+#\x00") {
			t.Skip() // the broker does not let it through
		}
		c.b.t = t
		v := receive(t, c.submit(&mqtt.Message{Topic: topic, Payload: payload, QoS: 1}))
		if r := v.Reason; r.Failed() && !strings.HasPrefix(strings.TrimPrefix(topic, "/"), "$") {
			t.Errorf("%q %q: %s %v", topic, payload, r, c.conn.lines("s/e"))
		}
		for _, d := range c.conn.take() {
			if d.topic == "s/e" && strings.Contains(d.payload, ",500,") && strings.HasPrefix(d.payload, "50,") {
				t.Errorf("%q %q: %s", topic, payload, d.payload)
			}
		}
	})
}

// FuzzClientID: what is taken for a device id can be one.
func FuzzClientID(f *testing.F) {
	for _, seed := range []string{"d1", "d:d1", "d:d1:tpl", "d1:tpl", "", ":", "d:", "::", "d::x", "x:y:z", "d:d:d", "\x00", "ä"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		serial, ok := c8ymqtt.ParseClientID(id)
		switch {
		case !ok && serial != "":
			t.Errorf("%q: refused, but %q", id, serial)
		case ok && (serial == "" || len(serial) > 1000 || strings.ContainsAny(serial, ":\x00\r\n") || !strings.Contains(id, serial)):
			t.Errorf("%q: %q", id, serial)
		}
		if ok && strings.Count(id, ":") == 0 {
			if again, ok := c8ymqtt.ParseClientID("d:" + id); !ok || again != serial {
				t.Errorf("d:%q is %q %v", id, again, ok)
			}
		}
	})
}
