package compat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// rssOf returns the resident memory of a process in MiB, zero where that is not to be had.
func rssOf(s *rig.Server) int {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.Pid()), "status"))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return kib >> 10
}

// TestAlarmsPassWhileMeasurementsFlood lets devices send as many measurements as they can, far beyond what the server takes, while another one
// raises alarms and gets operations: these may not wait long, memory stays bounded, and no measurement that was acknowledged is missing.
func TestAlarmsPassWhileMeasurementsFlood(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	const flooders, lines = 12, 40
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var acked [flooders]atomic.Int64
	var devices []rig.Device
	for i := range flooders {
		d := s.Register(t, fmt.Sprintf("flood-%d", i))
		devices = append(devices, d)
		c := s.Connect(t, d)
		payload := strings.TrimSuffix(strings.Repeat("200,compat_Flood,v,1\n", lines), "\n")
		wg.Go(func() {
			window := make(chan struct{}, 200)
			var pending sync.WaitGroup
			defer pending.Wait()
			for {
				select {
				case <-stop:
					return
				case window <- struct{}{}:
				}
				token := c.Publish("s/us", 1, false, payload)
				pending.Go(func() {
					if token.WaitTimeout(30*time.Second) && token.Error() == nil {
						acked[i].Add(1)
					} else {
						t.Errorf("a publish was not acknowledged: %v", token.Error())
					}
					<-window
				})
			}
		})
	}
	vip := s.Register(t, "flood-alarms")
	client, admin := s.Connect(t, vip, "s/ds"), s.Admin()
	client.Send(t, "s/us", "114,c8y_Restart")
	var alarms, operations []time.Duration
	before, most := rssOf(s), 0
	for n, end := 0, time.Now().Add(time.Duration(size(t, "ISOBAR_SOAK_OVERLOAD", 4, 2))*time.Second); time.Now().Before(end); n++ {
		began := time.Now()
		client.Send(t, "s/us", fmt.Sprintf("301,compat_Alarm%d,text", n))
		alarms = append(alarms, time.Since(began))
		began = time.Now()
		admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": vip.ID, "c8y_Restart": map[string]any{}})
		client.Next(t, "s/ds")
		operations = append(operations, time.Since(began))
		most = max(most, rssOf(s))
		client.Send(t, "s/us", "501,c8y_Restart")
		client.Send(t, "s/us", "503,c8y_Restart")
	}
	close(stop)
	wg.Wait()
	total := int64(0)
	for i := range acked {
		total += acked[i].Load() * lines
	}
	slices.Sort(alarms)
	slices.Sort(operations)
	p99 := func(d []time.Duration) time.Duration { return d[len(d)*99/100] }
	t.Logf("%d measurements acknowledged; %d alarms: median %s, p99 %s; operations: median %s, p99 %s; memory %d -> %d MiB", total, len(alarms),
		alarms[len(alarms)/2].Round(time.Millisecond), p99(alarms).Round(time.Millisecond), operations[len(operations)/2].Round(time.Millisecond),
		p99(operations).Round(time.Millisecond), before, most)
	if p99(alarms) > time.Second || p99(operations) > time.Second {
		t.Errorf("alarms take up to %s and operations up to %s (p99) while measurements flood", p99(alarms), p99(operations))
	}
	if most > 1024 {
		t.Errorf("the server takes %d MiB", most)
	}
	var page struct{ Statistics struct{ TotalPages int64 } }
	admin.Want(t, 200, "GET", "/measurement/measurements?pageSize=1&withTotalPages=true&source="+devices[0].ID, nil, &page)
	if want := acked[0].Load() * lines; page.Statistics.TotalPages < want {
		t.Errorf("%d measurements of a device are there, %d were acknowledged", page.Statistics.TotalPages, want)
	}
}
