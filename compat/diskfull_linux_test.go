package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// flood writes in every way without end and notes what was acknowledged and what was refused.
type flood struct {
	*crash
	other   rig.Device     // that is not flooded
	mu      sync.Mutex     // guards what follows
	refused map[string]int // by way
	odd     map[string]int // other answers
	taken   map[string]time.Time
	stop    chan struct{}
	wg      sync.WaitGroup
}

const (
	byMQTT    = "MQTT measurement"
	byTopic   = "MQTT free topic"
	byHTTP    = "HTTP measurement"
	byEvent   = "HTTP event"
	byQoS2    = "MQTT event with QoS 2"
	mqttFull  = 0x97
	eventSize = 30_000
)

var ways = []string{byMQTT, byTopic, byHTTP, byEvent, byQoS2}

func (f *flood) note(way, kind, marker, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch answer {
	case "stored":
		f.cycle.add(kind, marker)
		f.taken[way] = time.Now()
	case "refused":
		f.refused[way]++
	default:
		f.odd[way+": "+answer]++
	}
}

func (f *flood) begin(s *rig.Server) {
	f.refused, f.odd, f.taken, f.stop = map[string]int{}, map[string]int{}, map[string]time.Time{}, make(chan struct{})
	for _, way := range ways {
		d := f.devices[0]
		switch way {
		case byTopic:
			d = f.devices[1]
		case byQoS2:
			d = f.devices[2]
		}
		send := f.sender(s, way, d)
		f.wg.Go(func() {
			for {
				select {
				case <-f.stop:
					return
				default:
				}
				send()
			}
		})
	}
}

func (f *flood) end() {
	close(f.stop)
	f.wg.Wait()
}

func answerOf(reason byte, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case reason == mqttFull:
		return "refused"
	case reason != 0:
		return fmt.Sprintf("reason %#x", reason)
	}
	return "stored"
}

// sender returns what sends one message in a way.
func (f *flood) sender(s *rig.Server, way string, d rig.Device) func() {
	me := rig.User{URL: s.URL, Name: d.User, Password: d.Password}
	post := func(kind, path, name string, body func(m string) any) func() {
		return func() {
			m := f.all.marker()
			a, err := me.Do("POST", path, body(m))
			answer := "stored"
			switch {
			case err != nil:
				answer = err.Error()
			case a.Status == http.StatusInsufficientStorage && strings.Contains(string(a.Body), `"error":"`+name+`/Insufficient Storage"`) && a.Header.Get("Retry-After") != "":
				answer = "refused"
			case a.Status != http.StatusCreated:
				answer = fmt.Sprintf("%d %.200s", a.Status, a.Body)
			}
			f.note(way, kind, m, answer)
		}
	}
	publish := func(kind, topic string, qos byte, payload func(m string) string) func() {
		c := s.Connect5(f.t, d)
		return func() {
			m := f.all.marker()
			f.note(way, kind, m, answerOf(c.Publish(topic, qos, payload(m))))
		}
	}
	now := func() string { return time.Now().UTC().Format(time.RFC3339Nano) }
	switch way {
	case byMQTT:
		return publish(measurementMQTT, "s/us", 1, func(m string) string { return "200,compat_Crash,v," + m })
	case byQoS2:
		return publish(event, "s/us", 2, func(m string) string { return "400,compat_Crash," + m })
	case byTopic:
		return publish(routed, "compat/crash", 1, func(m string) string { return m })
	case byHTTP:
		return post(measurementHTTP, "/measurement/measurements", "measurement", func(m string) any {
			n, _ := strconv.Atoi(m)
			return map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Crash", "time": now(), "compat_Crash": map[string]any{"http": map[string]any{"value": n}}}
		})
	}
	return post(event, "/event/events", "event", func(m string) any {
		return map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Crash", "time": now(), "text": m, "compat_Fill": strings.Repeat("x", eventSize)}
	})
}

// allRefused reports whether every way has been refused.
func (f *flood) allRefused() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, way := range ways {
		if f.refused[way] == 0 {
			return false
		}
	}
	return true
}

// takenSince reports whether every way has stored something after a time.
func (f *flood) takenSince(when time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, way := range ways {
		if !f.taken[way].After(when) {
			return false
		}
	}
	return true
}

func (f *flood) demandNothingOdd(when string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for what, n := range f.odd {
		f.t.Errorf("%s: %d times %s", when, n, what)
	}
}

// recovers demands that all ways store again within 5 seconds after the space came back.
func (f *flood) recovers(free func()) {
	f.t.Helper()
	free()
	began := time.Now()
	rig.Eventually(f.t, "data being accepted again", func() bool { return f.takenSince(began) })
	took := time.Since(began)
	f.t.Logf("writes were back %s after the space", took.Round(time.Millisecond))
	if took > 5*time.Second {
		f.t.Errorf("writes were back only after %s", took)
	}
}

// TestDiskFull fills a small disk by load in every way until the platform refuses, and then by force until not a byte is left. Every refusal
// is explicit, what was acknowledged stays, reading and deleting go on, and writing does when there is space again, without a restart.
func TestDiskFull(t *testing.T) {
	disk := rig.Tmpfs(t, "128")
	options := rig.Options{Data: filepath.Join(disk, "data")}
	filler, stuffing := filepath.Join(disk, "filler"), filepath.Join(disk, "stuffing")
	if err := os.WriteFile(filler, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &flood{crash: &crash{t: t, all: ledger{acked: map[string]map[string]bool{}}, cycle: ledger{acked: map[string]map[string]bool{}}}}
	s := rig.Start(t, options)
	f.register(s)
	f.other = s.Register(t, "crash-other")

	f.begin(s)
	rig.Eventually(t, "all ways being refused", f.allRefused)
	full := fullState(t, s)
	f.demandWorking(s)
	f.end()
	f.demandNothingOdd("filled by load")
	f.verify(s, "while it is full", &f.cycle, time.Unix(0, 0))
	if full.Status != "ACTIVE" || full.Severity != "CRITICAL" {
		t.Errorf("the alarm: %+v", full)
	}
	s.Kill()
	s = rig.Start(t, options) // must be able to start
	f.verify(s, "after a restart while it is full", &f.cycle, time.Unix(0, 0))

	f.begin(s) // a start folds logs up, so that there may be a little space
	rig.Eventually(t, "all ways being refused again", f.allRefused)
	f.demandRefused(s)
	f.recovers(func() { _ = os.Remove(filler) })
	rig.Eventually(t, "the alarm being cleared", func() bool { return len(diskAlarms(t, s, "CLEARED")) > 0 })

	rig.Fill(t, stuffing) // faster than any watch: stores meet the end of the disk
	rig.Eventually(t, "refusals", func() bool { return f.allRefused() })
	rig.Fill(t, stuffing+"2") // the ballast's space, too
	time.Sleep(time.Second)   // a load of refused writes, not a wait
	f.recovers(func() { _, _ = os.Remove(stuffing), os.Remove(stuffing+"2") })
	f.end()
	select {
	case <-s.Done():
		t.Fatalf("the process ended:\n%s", s.Err.String())
	default:
	}
	f.verify(s, "in the end", &f.cycle, time.Unix(0, 0))
	s.Kill()
	s = rig.Start(t, options)
	f.verify(s, "after a last restart", &f.cycle, time.Unix(0, 0))
	for _, kind := range []string{measurementMQTT, measurementHTTP, event, routed} {
		t.Logf("%7d %s", len(f.cycle.acked[kind]), kind)
	}
}

type alarmState struct{ ID, Status, Severity string }

func diskAlarms(t *testing.T, s *rig.Server, status string) (out []alarmState) {
	t.Helper()
	u := rig.User{URL: s.URL, Name: "management/admin", Password: rig.AdminPassword}
	u.Each(t, "/alarm/alarms?type=isobar_DiskNearlyFull&status="+status, "alarms", func(raw json.RawMessage) {
		var a alarmState
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	})
	return out
}

// fullState demands that everything tells of the full disk, and returns the alarm.
func fullState(t *testing.T, s *rig.Server) alarmState {
	t.Helper()
	rig.Eventually(t, "the alarm", func() bool { return len(diskAlarms(t, s, "ACTIVE")) == 1 })
	anybody := rig.User{URL: s.URL}
	ready, err := anybody.Do("GET", "/readyz", nil)
	if err != nil || ready.Status != http.StatusOK || !strings.Contains(string(ready.Body), "disk is nearly full") {
		t.Errorf("/readyz: %v %d %s", err, ready.Status, ready.Body)
	}
	metrics, err := anybody.Do("GET", "/metrics", nil)
	if err != nil || !strings.Contains(string(metrics.Body), "\nisobar_disk_full 1\n") {
		t.Errorf("/metrics does not tell: %v", err)
	}
	return diskAlarms(t, s, "ACTIVE")[0]
}

// demandRefused demands that an MQTT 3.1.1 client, which cannot be told of a refusal, is not told either that its message was stored.
func (f *flood) demandRefused(s *rig.Server) {
	f.t.Helper()
	old := s.Connect(f.t, f.other)
	if k := old.Publish("s/us", 1, false, "200,compat_Crash,old,1"); k.WaitTimeout(5*time.Second) && k.Error() == nil {
		f.t.Error("an MQTT 3.1.1 client was told that its measurement is stored")
	}
}

// demandWorking demands what must go on: logins, questions of devices, reading, administration, deleting.
func (f *flood) demandWorking(s *rig.Server) {
	t, admin, d := f.t, s.Admin(), f.devices[0]
	t.Helper()
	admin.Want(t, 200, "GET", "/user/currentUser", nil, nil)
	admin.Want(t, 200, "GET", "/inventory/managedObjects/"+d.ID, nil, nil)
	admin.Want(t, 201, "POST", "/user/main/users", map[string]string{"userName": "helper", "password": "Compat-Helper-1!", "email": "h@example.org"}, nil)
	rig.User{URL: s.URL, Name: "main/helper", Password: "Compat-Helper-1!"}.Want(t, 200, "GET", "/user/currentUser", nil, nil)
	asking := s.Connect(t, f.other, "s/ds")
	asking.Send(t, "s/us", "123")
	if got := asking.Next(t, "s/ds"); !strings.HasPrefix(got, "124,") {
		t.Errorf("a device that asks for its id while the disk is full gets %q", got)
	}
	asking.Disconnect(0)
	admin.Want(t, 204, "DELETE", "/measurement/measurements?source="+d.ID+"&type=compat_None", nil, nil)
	admin.Want(t, 204, "DELETE", "/event/events?source="+d.ID+"&type=compat_None", nil, nil)
}
