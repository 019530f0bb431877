package c8yrest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/app"
)

// TestCountersAreTrueAfterARestart does a known number of things, before and after the platform was stopped and started, and compares.
func TestCountersAreTrueAfterARestart(t *testing.T) {
	if now := time.Now().UTC(); now.Hour() == 23 && now.Minute() >= 58 {
		t.Skip("midnight would divide the figures")
	}
	config := app.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword, BootstrapPassword: bootstrapPassword}
	run := func(do func(s *server)) {
		t.Helper()
		pf, err := app.Start(context.Background(), config, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s := &server{url: "http://" + pf.Addr("http"), client: &http.Client{}}
		do(s)
		s.client.CloseIdleConnections()
		if err := pf.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{}
	requests := func(s *server, method, path, body string) answer {
		t.Helper()
		want["requestCount"]++
		if !strings.HasPrefix(path, "/tenant") && !strings.HasPrefix(path, "/user") {
			want["deviceRequestCount"]++
		}
		return s.send(t, "admin", method, path, http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body)
	}
	made := func(s *server, counter, method, path, body string) string {
		t.Helper()
		want[counter]++
		a := requests(s, method, path, body)
		if a.status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		id, _ := lookup([]byte(a.body), ".id")
		return id
	}
	perDevice := map[string]int64{}
	var dev, child string
	work := func(s *server, round int) {
		if dev == "" {
			dev = made(s, "inventoriesCreatedCount", "POST", "/inventory/managedObjects", `{"name":"d","type":"pump","c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`)
			child = made(s, "inventoriesCreatedCount", "POST", "/inventory/managedObjects/"+dev+"/childDevices", `{"name":"c","type":"valve","c8y_IsDevice":{}}`)
		}
		made(s, "inventoriesUpdatedCount", "PUT", "/inventory/managedObjects/"+dev, fmt.Sprintf(`{"round":%d}`, round))
		requests(s, "PUT", "/inventory/managedObjects/"+dev, fmt.Sprintf(`{"round":%d}`, round)) // changes nothing
		event := made(s, "eventsCreatedCount", "POST", "/event/events", `{"source":{"id":"`+dev+`"},"type":"t","text":"x","time":"2024-01-01"}`)
		made(s, "eventsUpdatedCount", "PUT", "/event/events/"+event, `{"text":"y"}`)
		alarm := made(s, "alarmsCreatedCount", "POST", "/alarm/alarms", fmt.Sprintf(`{"source":{"id":"%s"},"type":"t%d","text":"x","severity":"MAJOR","time":"2024-01-01"}`, dev, round))
		made(s, "alarmsUpdatedCount", "PUT", "/alarm/alarms/"+alarm, `{"status":"CLEARED"}`)
		op := made(s, "operationsCreatedCount", "POST", "/devicecontrol/operations", `{"deviceId":"`+dev+`","c8y_Restart":{}}`)
		made(s, "operationsUpdatedCount", "PUT", "/devicecontrol/operations/"+op, `{"status":"FAILED"}`)
		perDevice[dev] += 4
		for i := range 7 {
			made(s, "measurementsCreatedCount", "POST", "/measurement/measurements", fmt.Sprintf(`{"source":{"id":"%s"},"type":"t","time":"2024-01-0%d","a":{"b":{"value":%d}}}`, child, i+1, round))
			perDevice[child]++
		}
		made(s, "measurementsCreatedCount", "POST", "/measurement/measurements", `{"measurements":[{"source":{"id":"`+dev+`"},"type":"t","time":"2024-02-01","a":{"b":{"value":1}}},{"source":{"id":"`+child+`"},"type":"t","time":"2024-02-02","a":{"b":{"value":1}}}]}`)
		want["measurementsCreatedCount"]++ // a collection is one request
		perDevice[dev]++
		perDevice[child]++
		requests(s, "POST", "/measurement/measurements", `{"broken`)                          // a request all the same
		requests(s, "GET", "/inventory/managedObjects/0", "")                                 // as well
		s.send(t, "bootstrap", "POST", "/devicecontrol/deviceCredentials", nil, `{"id":"x"}`) // of another tenant, and never counted
		s.send(t, "anonymous", "GET", "/inventory/managedObjects", nil, "")                   // nobody's
		s.send(t, "admin", "GET", "/tenant/limit", nil, "")                                   // not counted
		s.send(t, "admin", "POST", "/measurement/measurements", http.Header{"X-Cumulocity-Processing-Mode": {"TRANSIENT"}}, `{"source":{"id":"`+dev+`"},"type":"t","time":"2024-01-01","a":{"b":{"value":1}}}`)
		want["requestCount"]++ // for the last one, which is not stored
		want["deviceRequestCount"]++
	}
	check := func(s *server) {
		t.Helper()
		a := requests(s, "GET", "/tenant/statistics/summary", "")
		want["requestCount"]-- // counted when it is over
		var got map[string]any
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		var total int64
		for name, n := range want {
			if got[name] != float64(n) {
				t.Errorf("%s is %v, want %d", name, got[name], n)
			}
			if !strings.Contains(name, "equest") {
				total += n
			}
		}
		want["requestCount"]++
		if got["totalResourceCreateAndUpdateCount"] != float64(total) || got["deviceCount"] != 2.0 || got["deviceWithChildrenCount"] != 2.0 || got["deviceEndpointCount"] != 1.0 || got["storageSize"].(float64) < 500 {
			t.Errorf("want %d in total: %s", total, a.body)
		}
		today := time.Now().UTC().Format(time.DateOnly)
		for _, kind := range []string{"daily", "monthly"} {
			b := requests(s, "GET", "/tenant/statistics/device/main/"+kind+"/"+today, "").body
			for i, id := range []string{dev, child} {
				if got, _ := lookup([]byte(b), fmt.Sprintf(".statistics.%d.count", i)); got != fmt.Sprint(perDevice[id]) {
					t.Errorf("%s of %s: %s, want %d", kind, id, b, perDevice[id])
				}
			}
			if parent, _ := lookup([]byte(b), ".statistics.1.deviceParents.0"); kind == "monthly" && parent != dev {
				t.Errorf("the parent of the child is %q in %s", parent, b)
			}
		}
		if b := requests(s, "GET", "/tenant/statistics?dateFrom="+today+"&dateTo="+today, "").body; !strings.Contains(b, fmt.Sprintf(`"measurementsCreatedCount":%d,`, want["measurementsCreatedCount"])) {
			t.Errorf("the day: %s", b)
		}
	}
	run(func(s *server) { work(s, 1); check(s); work(s, 2) }) // the second work is only in memory when the platform stops
	run(func(s *server) { check(s); work(s, 3); check(s) })
}
