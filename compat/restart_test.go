package compat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestRestartIsQuick fills a platform with messages of many devices, kills it, and measures how long the next start takes.
func TestRestartIsQuick(t *testing.T) {
	messages, devices := size(t, "ISOBAR_SOAK_MESSAGES", 60_000, 10_000), size(t, "ISOBAR_SOAK_DEVICES", 1_000, 200)
	options := rig.Options{Data: t.TempDir(), Args: []string{"--limit-requests-address", "0", "--limit-requests-user", "0", "--limit-requests-tenant", "0"}}
	s := rig.Start(t, options)
	admin := s.Admin()
	ids, began := make([]string, devices), time.Now()
	parallel(devices, func(i int) {
		var o rig.Object
		a, err := admin.Do("POST", "/inventory/managedObjects", map[string]any{"name": fmt.Sprint("pump ", i), "type": "compat_Pump", "c8y_IsDevice": map[string]any{}})
		if err != nil || a.Status != 201 || json.Unmarshal(a.Body, &o) != nil {
			t.Errorf("device %d: %v %d", i, err, a.Status)
			return
		}
		ids[i] = o.ID
	})
	if t.Failed() {
		t.FailNow()
	}
	const bulk = 200
	parallel((messages+bulk-1)/bulk, func(n int) {
		var b strings.Builder
		b.WriteString(`{"measurements":[`)
		for i := range bulk {
			if i > 0 {
				b.WriteByte(',')
			}
			at := began.Add(time.Duration(n) * time.Millisecond).UTC().Format(time.RFC3339Nano)
			fmt.Fprintf(&b, `{"source":{"id":"%s"},"type":"compat_M","time":"%s","compat_M":{"v":{"value":%d}}}`, ids[(n*bulk+i)%devices], at, i)
		}
		b.WriteString("]}")
		a, err := admin.Do("POST", "/measurement/measurements", b.String(), "Content-Type", "application/vnd.com.nsn.cumulocity.measurementcollection+json")
		if err != nil || a.Status != 201 {
			t.Errorf("measurements: %v %d %.200s", err, a.Status, a.Body)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	filled := time.Since(began)
	s.Kill()
	s = rig.Start(t, options)
	var got struct {
		Statistics struct{ TotalPages int }
	}
	s.Admin().Want(t, 200, "GET", "/measurement/measurements?pageSize=1&withTotalPages=true&source="+ids[0], nil, &got)
	if want := messages / devices; got.Statistics.TotalPages < want {
		t.Errorf("the first device has %d measurements, want %d", got.Statistics.TotalPages, want)
	}
	t.Logf("%d messages of %d devices in %s; ready %s after the kill", messages, devices, filled.Round(time.Second), s.Ready.Round(time.Millisecond))
	if s.Ready > 3*time.Second {
		t.Errorf("the restart took %s, promised are 3 seconds", s.Ready)
	}
}

// parallel runs f for 0 to n-1 on a few goroutines.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
