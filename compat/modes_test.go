package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// modeHeader says how far a write goes.
const modeHeader = "X-Cumulocity-Processing-Mode"

// write is a kind of request that changes something.
type write struct {
	name, channel string // channel is the one on which it is told, with the object's id at its end
	passing       bool   // it may go by without being stored
	status        int
	// make does it once with a text of its own and returns the address at which the text can be read if it was stored.
	make func(t *testing.T, u rig.User, device, text, mode string) (path string)
}

func writeIn(t *testing.T, u rig.User, status int, method, path string, body any, mode string) map[string]any {
	t.Helper()
	a, err := u.Do(method, path, body, modeHeader, mode)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status {
		t.Fatalf("%s %s (%s): status %d\n%s", method, path, mode, a.Status, a.Body)
	}
	out := map[string]any{}
	if len(a.Body) > 0 {
		if err := json.Unmarshal(a.Body, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

var writes = []write{
	{"create a measurement", "measurements", true, 201, func(t *testing.T, u rig.User, device, text, mode string) string {
		writeIn(t, u, 201, "POST", "/measurement/measurements", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": text, "c": map[string]any{"v": map[string]int{"value": 1}}}, mode)
		return "/measurement/measurements?pageSize=2000&source=" + device + "&type=" + text
	}},
	{"create an event", "events", true, 201, func(t *testing.T, u rig.User, device, text, mode string) string {
		writeIn(t, u, 201, "POST", "/event/events", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": text, "text": text}, mode)
		return "/event/events?pageSize=2000&source=" + device
	}},
	{"create an alarm", "alarms", true, 201, func(t *testing.T, u rig.User, device, text, mode string) string {
		writeIn(t, u, 201, "POST", "/alarm/alarms", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": text, "text": text, "severity": "MINOR"}, mode)
		return "/alarm/alarms?pageSize=2000&source=" + device
	}},
	{"upsert an alarm", "alarms", true, 201, func(t *testing.T, u rig.User, device, text, mode string) string {
		writeIn(t, u, 201, "POST", "/alarm/alarms/upsert", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": text, "text": text, "severity": "MINOR"}, mode)
		return "/alarm/alarms?pageSize=2000&source=" + device
	}},
	{"change an event", "events", true, 200, func(t *testing.T, u rig.User, device, text, mode string) string {
		id := quietly(t, u, "/event/events", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": "before", "text": "before"})
		got := writeIn(t, u, 200, "PUT", "/event/events/"+id, map[string]any{"text": text}, mode)
		if got["text"] != text {
			t.Errorf("%s: the answer is %v", mode, got)
		}
		return "/event/events/" + id
	}},
	{"change an alarm", "alarms", true, 200, func(t *testing.T, u rig.User, device, text, mode string) string {
		id := quietly(t, u, "/alarm/alarms", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": "before" + text, "text": "before", "severity": "MINOR"})
		got := writeIn(t, u, 200, "PUT", "/alarm/alarms/"+id, map[string]any{"text": text}, mode)
		if got["text"] != text {
			t.Errorf("%s: the answer is %v", mode, got)
		}
		return "/alarm/alarms/" + id
	}},
	{"change an object", "managedobjects", true, 200, func(t *testing.T, u rig.User, device, text, mode string) string {
		got := writeIn(t, u, 200, "PUT", "/inventory/managedObjects/"+device, map[string]any{"compat_Mode": text}, mode)
		if got["compat_Mode"] != text {
			t.Errorf("%s: the answer is %v", mode, got)
		}
		return "/inventory/managedObjects/" + device
	}},
	{"change many objects", "managedobjects", false, 200, func(t *testing.T, u rig.User, device, text, mode string) string {
		writeIn(t, u, 200, "PUT", "/inventory/managedObjects", map[string]any{"managedObjects": []any{map[string]any{"id": device, "compat_Mode": text}}}, mode)
		return "/inventory/managedObjects/" + device
	}},
	{"create an operation", "operations", false, 201, func(t *testing.T, u rig.User, device, text, mode string) string {
		id, _ := writeIn(t, u, 201, "POST", "/devicecontrol/operations", map[string]any{"deviceId": device, "compat_Mode": text}, mode)["id"].(string)
		return "/devicecontrol/operations/" + id
	}},
	{"change an operation", "operations", false, 200, func(t *testing.T, u rig.User, device, text, mode string) string {
		id := quietly(t, u, "/devicecontrol/operations", map[string]any{"deviceId": device, "compat_Other": map[string]any{}})
		writeIn(t, u, 200, "PUT", "/devicecontrol/operations/"+id, map[string]any{"status": "EXECUTING", "compat_Mode": text}, mode)
		return "/devicecontrol/operations/" + id
	}},
}

// quietly creates something that nobody is told of.
func quietly(t *testing.T, u rig.User, path string, body any) string {
	t.Helper()
	id, ok := writeIn(t, u, 201, "POST", path, body, "QUIESCENT")["id"].(string)
	if !ok {
		t.Fatalf("%s: no id", path)
	}
	return id
}

// TestProcessingModes makes every kind of write in every mode, and looks whether it was stored and whether subscribers were told.
func TestProcessingModes(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := rig.Start(t, e.options(t))
			u := s.Admin()
			for i, w := range writes {
				device := u.Create(t, "/inventory/managedObjects", map[string]any{"name": "modes", "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{}})
				live := listen(t, u, "/"+w.channel+"/"+device)
				for j, m := range []struct {
					mode         string
					stored, told bool
				}{{"PERSISTENT", true, true}, {"TRANSIENT", !w.passing, true}, {"quiescent", true, false}, {"CEP", !w.passing, false}} {
					text := fmt.Sprintf("compat-%d-%d", i, j)
					path := w.make(t, u, device, text, m.mode)
					a, err := u.Do("GET", path, nil)
					if err != nil || a.Status != 200 || strings.Contains(string(a.Body), `"`+text+`"`) != m.stored {
						t.Errorf("%s, %s: want stored %t, got %d %v\n%s", w.name, m.mode, m.stored, a.Status, err, a.Body)
					}
					end := fmt.Sprintf("compat-end-%d-%d", i, j)
					w.make(t, u, device, end, "PERSISTENT")
					if told := heard(live, text, end); told != m.told {
						t.Errorf("%s, %s: told %t, want %t", w.name, m.mode, told, m.told)
					}
				}
				if a, err := u.Do("DELETE", "/inventory/managedObjects/"+device, nil, modeHeader, "QUIESCENT"); err != nil || a.Status != 204 {
					t.Errorf("DELETE: %d %v", a.Status, err)
				}
				rig.Eventually(t, "the data of an object that was deleted quietly is gone", func() bool {
					a, err := u.Do("GET", "/event/events?source="+device, nil)
					return err == nil && strings.Contains(string(a.Body), `"events":[]`)
				})
			}
			modeErrors(t, u)
			noDefects(t, s)
		})
	}
}

// heard reads messages until one has the last text, and reports whether one before had the other.
func heard(b *bayeux, text, last string) (found bool) {
	for {
		_, data := b.next()
		got := fmt.Sprint(data)
		found = found || strings.Contains(got, text)
		if strings.Contains(got, last) {
			return found
		}
	}
}

// modeErrors checks that a mode opens no doors and that unknown ones are refused.
func modeErrors(t *testing.T, u rig.User) {
	device := u.Create(t, "/inventory/managedObjects", map[string]any{"name": "modes", "c8y_IsDevice": map[string]any{}})
	u.Want(t, 201, "POST", "/user/main/users", map[string]any{"userName": "nobody", "password": "Nobody-12345", "email": "nobody@example.com"}, nil)
	nobody := rig.User{URL: u.URL, Name: "main/nobody", Password: "Nobody-12345"}
	event := map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": "x", "text": "x", "severity": "MINOR"}
	for _, c := range []struct {
		by                 rig.User
		method, path, mode string
		body               any
		status             int
	}{
		{u, "POST", "/event/events", "LOUD", event, 422},
		{u, "POST", "/alarm/alarms", "TRANSIENT", map[string]any{"type": "x"}, 422},
		{u, "PUT", "/inventory/managedObjects/99999999", "TRANSIENT", map[string]any{"x": 1}, 404},
		{u, "GET", "/inventory/managedObjects/" + device, "LOUD", nil, 200},
		{nobody, "POST", "/event/events", "TRANSIENT", event, 403},
		{nobody, "POST", "/alarm/alarms", "CEP", event, 403},
		{nobody, "PUT", "/inventory/managedObjects/" + device, "TRANSIENT", map[string]any{"x": 1}, 403},
		{u, "PUT", "/inventory/managedObjects/" + device, "TRANSIENT", map[string]any{"name": "told"}, 200},
	} {
		a, err := c.by.Do(c.method, c.path, c.body, modeHeader, c.mode)
		if err != nil || a.Status != c.status {
			t.Errorf("%s %s as %s, %s: %d %v, want %d\n%s", c.method, c.path, c.by.Name, c.mode, a.Status, err, c.status, a.Body)
		}
	}
	var o struct{ Name string }
	u.Want(t, http.StatusOK, "GET", "/inventory/managedObjects/"+device, nil, &o)
	if o.Name != "modes" {
		t.Errorf("a transient change was stored: %q", o.Name)
	}
}
