package compat_test

import (
	"fmt"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestManyAlarmsAreChanged changes many alarms with one request: 200 when it is done within half a second; 202 when it goes on after the answer, as on a disk
// that is slow.
func TestManyAlarmsAreChanged(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	u := s.Admin()
	device := u.Create(t, "/inventory/managedObjects", map[string]any{"name": "many alarms", "c8y_IsDevice": map[string]any{}})
	const count = 20
	for i := range count {
		u.Create(t, "/alarm/alarms", map[string]any{"source": map[string]string{"id": device}, "time": "2026-01-01T00:00:00Z", "type": fmt.Sprint("compat_", i), "text": "x", "severity": "MINOR"})
	}
	change := func(from, to string, status int) {
		t.Helper()
		a, err := u.Do("PUT", "/alarm/alarms?source="+device+"&status="+from, map[string]string{"status": to})
		if err != nil || a.Status != status || len(a.Body) > 0 {
			t.Errorf("to %s: %v, status %d, want %d: %s", to, err, a.Status, status, a.Body)
		}
	}
	all := func(status string) bool {
		var list struct{ Alarms []struct{ Status string } }
		u.Want(t, 200, "GET", "/alarm/alarms?pageSize=100&status="+status+"&source="+device, nil, &list)
		return len(list.Alarms) == count
	}
	change("ACTIVE", "ACKNOWLEDGED", 200)
	if !all("ACKNOWLEDGED") {
		t.Error("answered with 200 before all were changed")
	}
	stop := rig.Inject(t, s.Process, "fsync,fdatasync:delay_exit=1500000")
	change("ACKNOWLEDGED", "CLEARED", 202)
	rig.Eventually(t, "all alarms being cleared after the answer", func() bool { return all("CLEARED") })
	stop()
	noDefects(t, s)
}
