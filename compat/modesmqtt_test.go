package compat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// publish is a kind of message over MQTT that changes something.
type publish struct {
	name, channel string // channel is the one on which it is told; a * ends that of objects that the message makes
	passing       bool   // it may go by without being stored
	number        bool   // the text must be a number
	// make prepares a message and returns it with the address at which its text can be read if it was stored. The topic is without its mode.
	make func(t *testing.T, u rig.User, d rig.Device, text string) (topic, payload, path string)
}

func newAlarm(t *testing.T, u rig.User, d rig.Device, text string) (typ, path string) {
	typ = "before-" + text
	id := quietly(t, u, "/alarm/alarms", map[string]any{"source": map[string]string{"id": d.ID}, "time": "2026-01-01T00:00:00Z", "type": typ, "text": "before", "severity": "MINOR"})
	return typ, "/alarm/alarms/" + id
}

var publishes = []publish{
	{"400", "events", true, false, func(_ *testing.T, _ rig.User, d rig.Device, text string) (string, string, string) {
		return "us", "400,compat_Mode," + text, "/event/events?pageSize=2000&source=" + d.ID
	}},
	{"303", "alarms", true, false, func(_ *testing.T, _ rig.User, d rig.Device, text string) (string, string, string) {
		return "us", "303," + text + "," + text, "/alarm/alarms?pageSize=2000&source=" + d.ID
	}},
	{"create an alarm", "alarms", true, false, func(_ *testing.T, _ rig.User, d rig.Device, text string) (string, string, string) {
		return "alarm/alarms/create", `{"type":"` + text + `","text":"` + text + `","severity":"MINOR"}`, "/alarm/alarms?pageSize=2000&source=" + d.ID
	}},
	{"change an alarm", "alarms", true, false, func(t *testing.T, u rig.User, d rig.Device, text string) (string, string, string) {
		_, path := newAlarm(t, u, d, strings.ReplaceAll(text, "-", "_"))
		return strings.Replace(path[1:], "alarms/", "alarms/update/", 1), `{"text":"` + text + `"}`, path
	}},
	{"306", "alarms", true, false, func(t *testing.T, u rig.User, d rig.Device, text string) (string, string, string) {
		typ, _ := newAlarm(t, u, d, text)
		return "us", "306," + typ, "/alarm/alarms?pageSize=2000&status=CLEARED&source=" + d.ID // its type tells which one
	}},
	{"change an event", "events", true, false, func(t *testing.T, u rig.User, d rig.Device, text string) (string, string, string) {
		id := quietly(t, u, "/event/events", map[string]any{"source": map[string]string{"id": d.ID}, "time": "2026-01-01T00:00:00Z", "type": "before", "text": "before"})
		return "event/events/update/" + id, `{"text":"` + text + `"}`, "/event/events/" + id
	}},
	{"change an object", "managedobjects", true, false, func(_ *testing.T, _ rig.User, d rig.Device, text string) (string, string, string) {
		return "inventory/managedObjects/update/" + d.Serial, `{"compat_Mode":"` + text + `"}`, "/inventory/managedObjects/" + d.ID
	}},
	{"114", "managedobjects", true, false, func(_ *testing.T, _ rig.User, d rig.Device, text string) (string, string, string) {
		return "us", "114," + text, "/inventory/managedObjects/" + d.ID
	}},
	{"117", "managedobjects", true, true, func(t *testing.T, u rig.User, d rig.Device, text string) (string, string, string) {
		writeIn(t, u, 200, "PUT", "/inventory/managedObjects/"+d.ID, map[string]any{"c8y_RequiredAvailability": nil}, "QUIESCENT") // it sets the first one only
		return "us", "117," + text, "/inventory/managedObjects/" + d.ID
	}},
	{"create an object", "managedobjects/*", false, false, func(_ *testing.T, _ rig.User, _ rig.Device, text string) (string, string, string) {
		return "inventory/managedObjects/create", `{"name":"` + text + `","type":"` + text + `"}`, "/inventory/managedObjects?type=" + text
	}},
	{"101", "managedobjects/*", false, false, func(_ *testing.T, _ rig.User, _ rig.Device, text string) (string, string, string) {
		return "us", "101," + text + "," + text + "," + text, "/inventory/managedObjects?type=" + text
	}},
	{"502", "operations", false, false, func(t *testing.T, u rig.User, d rig.Device, text string) (string, string, string) {
		id := quietly(t, u, "/devicecontrol/operations", map[string]any{"deviceId": d.ID, "compat_" + text: map[string]any{}})
		writeIn(t, u, 200, "PUT", "/devicecontrol/operations/"+id, map[string]any{"status": "EXECUTING"}, "QUIESCENT")
		return "us", "502,compat_" + text + "," + text, "/devicecontrol/operations/" + id
	}},
}

// TestProcessingModesOverMQTT publishes every kind of change in every mode, and looks whether it was stored and whether subscribers were told.
func TestProcessingModesOverMQTT(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	u := s.Admin()
	for i, w := range publishes {
		d := s.Register(t, fmt.Sprintf("modes-%d", i))
		c := s.Connect(t, d)
		channel := "/" + w.channel + "/" + d.ID
		if strings.HasSuffix(w.channel, "*") {
			channel = "/" + w.channel
		}
		live := listen(t, u, channel)
		send := func(mode, text string) (path string) {
			topic, payload, path := w.make(t, u, d, text)
			if mode != "s" || topic == "us" {
				topic = mode + "/" + topic
			}
			c.Send(t, topic, payload)
			return path
		}
		for j, m := range []struct {
			mode         string
			stored, told bool
		}{{"s", true, true}, {"t", !w.passing, true}, {"q", true, false}, {"c", !w.passing, false}} {
			text, end := fmt.Sprintf("compat-%c-%d", 'a'+i, j), fmt.Sprintf("compat-end-%c-%d", 'a'+i, j)
			if w.number {
				text, end = fmt.Sprint(17_000+100*i+j), fmt.Sprint(28_000+100*i+j)
			}
			path := send(m.mode, text)
			a, err := u.Do("GET", path, nil)
			if err != nil || a.Status != 200 || strings.Contains(string(a.Body), text) != m.stored {
				t.Errorf("%s, %s: want stored %t, got %d %v\n%s", w.name, m.mode, m.stored, a.Status, err, a.Body)
			}
			send("s", end)
			if told := heard(live, text, end); told != m.told {
				t.Errorf("%s, %s: told %t, want %t", w.name, m.mode, told, m.told)
			}
		}
	}
	noDefects(t, s)
}
