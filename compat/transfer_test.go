package compat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// fleet fills a tenant with something of every kind, and returns how many documents of each there are.
func fleet(t *testing.T, u rig.User, devices int) map[string]int64 {
	t.Helper()
	n := map[string]int64{}
	group := u.Create(t, "/inventory/managedObjects", map[string]any{"name": "all", "type": "c8y_DeviceGroup", "c8y_IsDeviceGroup": map[string]any{}})
	n["objects"]++
	for i := range devices {
		device := u.Create(t, "/inventory/managedObjects", map[string]any{"name": fmt.Sprint("pump ", i), "type": "acme_Pump", "c8y_IsDevice": map[string]any{},
			"com_cumulocity_model_Agent": map[string]any{}, "acme_Config": map[string]any{"group": map[string]any{"id": group}, "plan": "/inventory/managedObjects/" + group, "ratio": 1.0, "length": 7}})
		u.Want(t, http.StatusCreated, "POST", "/identity/globalIds/"+device+"/externalIds", map[string]any{"type": "c8y_Serial", "externalId": fmt.Sprint("sn-", i)}, nil)
		u.Want(t, http.StatusCreated, "POST", "/inventory/managedObjects/"+group+"/childAssets", map[string]any{"managedObject": map[string]any{"id": device}}, nil)
		var values []any
		for k := range 50 {
			values = append(values, map[string]any{"source": map[string]any{"id": device}, "type": "acme_T", "time": time.Date(2026, 1, 1, 0, 0, k, i*1e6, time.UTC).Format(time.RFC3339Nano),
				"acme_T": map[string]any{"T": map[string]any{"value": float64(k) / 4, "unit": "C"}}})
		}
		u.Want(t, http.StatusCreated, "POST", "/measurement/measurements", map[string]any{"measurements": values}, nil)
		at := func(kind string, more map[string]any) string {
			body := map[string]any{"source": map[string]any{"id": device}, "type": "acme_E", "text": "same", "time": "2026-01-02T03:04:05.000Z"}
			for k, v := range more {
				body[k] = v
			}
			return u.Create(t, kind, body)
		}
		event := at("/event/events", nil)
		at("/event/events", nil) // the same again: both must arrive
		a, err := u.Do("POST", "/event/events/"+event+"/binaries", bytes.Repeat([]byte{byte(i)}, 1000*i), "Content-Type", "text/plain", "Content-Disposition", `attachment; filename="log ä.txt"`)
		if err != nil || a.Status != http.StatusCreated {
			t.Fatal(err, string(a.Body))
		}
		at("/alarm/alarms", map[string]any{"severity": "MAJOR", "status": "CLEARED"})
		at("/alarm/alarms", map[string]any{"severity": "MINOR", "status": "ACTIVE"})
		op := u.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": device, "c8y_Restart": map[string]any{}})
		u.Want(t, http.StatusOK, "PUT", "/devicecontrol/operations/"+op, map[string]any{"status": "EXECUTING"}, nil)
		u.Want(t, http.StatusOK, "PUT", "/devicecontrol/operations/"+op, map[string]any{"status": "FAILED", "failureReason": "no"}, nil)
		u.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": device, "c8y_Command": map[string]any{"text": "x"}})
		for kind, more := range map[string]int64{"objects": 1, "identities": 1, "children": 1, "measurements": 50, "events": 2, "alarms": 2, "operations": 2, "files": 1} {
			n[kind] += more
		}
	}
	body := "--B\r\nContent-Disposition: form-data; name=\"object\"\r\n\r\n{\"name\":\"fw.bin\",\"type\":\"acme_Firmware\"}\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fw.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n" +
		strings.Repeat("firmware", 100<<10) + "\r\n--B--\r\n"
	a, err := u.Do("POST", "/inventory/binaries", body, "Content-Type", "multipart/form-data; boundary=B")
	if err != nil || a.Status != http.StatusCreated {
		t.Fatal(err, string(a.Body))
	}
	n["objects"]++
	n["files"]++
	u.Want(t, http.StatusCreated, "POST", "/user/main/users", map[string]any{"userName": "ann", "email": "ann@example.com", "password": "Secret-123"}, nil)
	return n
}

// expectReceipt demands that both sides match, and have what was made.
func expectReceipt(t *testing.T, dir string, want map[string]int64) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "receipt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Matches bool
		Kinds   map[string]struct {
			Source, Target             int64
			SourceSHA256, TargetSHA256 string
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	for kind, n := range want {
		if k := r.Kinds[kind]; k.Source != n || k.Target != n || k.SourceSHA256 != k.TargetSHA256 {
			t.Errorf("%s: %+v, want %d", kind, k, n)
		}
	}
	if !r.Matches {
		t.Errorf("the receipt does not match: %s", raw)
	}
}

// TestMoveATenant exports a tenant, imports it twice into a fresh platform, and damages the export.
func TestMoveATenant(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			from, to := rig.Start(t, e.options(t)), rig.Start(t, e.options(t))
			want := fleet(t, from.Admin(), 12)
			dir := filepath.Join(t.TempDir(), "export")
			env := []string{"ISOBAR_PASSWORD=" + rig.AdminPassword}
			run := func(code int, says string, args ...string) {
				t.Helper()
				p := rig.Run(t, env, args...)
				got := p.Exit(t, 60*time.Second)
				if said := p.Out.String() + p.Err.String(); got != code || !strings.Contains(said, says) {
					t.Fatalf("%v: exit code %d, want %d and %q\n%s", args, got, code, says, said)
				}
			}
			run(0, "is in "+dir, "export", dir, "--url", from.URL, "--user", "main/admin", "--rate", "2000")
			run(0, "as it was written", "export", dir, "--verify")
			for range 2 {
				run(0, "not carried over", "import", dir, "--url", to.URL, "--user", "main/admin", "--rate", "2000")
				expectReceipt(t, dir, want)
			}
			references(t, to.Admin())
			noSecrets(t, dir)
			raw, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "events.jsonl"), bytes.Replace(raw, []byte("same"), []byte("sane"), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			run(6, "DAMAGED events", "export", dir, "--verify")
			run(6, "the export is damaged", "import", dir, "--url", to.URL, "--user", "main/admin")
		})
	}
}

// references demands that ids within documents were rewritten.
func references(t *testing.T, u rig.User) {
	t.Helper()
	var group string
	u.Each(t, "/inventory/managedObjects?type=c8y_DeviceGroup", "managedObjects", func(raw json.RawMessage) {
		var o rig.Object
		if err := json.Unmarshal(raw, &o); err != nil {
			t.Fatal(err)
		}
		group = o.ID
	})
	n := 0
	u.Each(t, "/inventory/managedObjects?type=acme_Pump", "managedObjects", func(raw json.RawMessage) {
		var o struct {
			Config struct {
				Group  rig.Object
				Plan   string
				Length int
			} `json:"acme_Config"`
		}
		if err := json.Unmarshal(raw, &o); err != nil || o.Config.Group.ID != group || o.Config.Plan != "/inventory/managedObjects/"+group || o.Config.Length != 7 {
			t.Errorf("%s: %v", raw, err)
		}
		n++
	})
	if n == 0 {
		t.Error("there are no pumps")
	}
}

func noSecrets(t *testing.T, dir string) {
	t.Helper()
	for _, name := range rig.Files(t, dir) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(rig.AdminPassword)) || bytes.Contains(raw, []byte("Secret-123")) {
			t.Errorf("%s holds a password", name)
		}
	}
}

// TestMoveIsResumed kills an import from another platform again and again, and lets a proxy lose answers and refuse requests, until it comes through.
func TestMoveIsResumed(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			from, to := rig.Start(t, e.options(t)), rig.Start(t, e.options(t))
			want := fleet(t, from.Admin(), 12)
			dir := filepath.Join(t.TempDir(), "export")
			env := []string{"ISOBAR_PASSWORD=" + rig.AdminPassword, "ISOBAR_FROM_PASSWORD=" + rig.AdminPassword}
			var requests, limit atomic.Int64
			near, far := badProxy(t, from.URL, &requests), badProxy(t, to.URL, &requests)
			for run := int64(1); ; run++ {
				limit.Store(requests.Load() + 60*run)
				p := rig.Run(t, env, "import", dir, "--from-url", near, "--from-user", "main/admin", "--from-rate", "2000", "--url", far, "--user", "main/admin", "--rate", "2000")
				rig.Eventually(t, "the moment to kill", func() bool {
					select {
					case <-p.Done():
						return true
					default:
						return requests.Load() >= limit.Load()
					}
				})
				select {
				case <-p.Done():
				default:
					p.Kill()
					if run < 20 {
						continue
					}
				}
				if code := p.Exit(t, 60*time.Second); code != 0 || run < 4 {
					t.Fatalf("run %d ended with %d\n%s%s", run, code, p.Out.String(), p.Err.String())
				}
				break
			}
			expectReceipt(t, dir, want)
			devices := 0
			to.Admin().Each(t, "/inventory/managedObjects?type=acme_Pump", "managedObjects", func(json.RawMessage) { devices++ })
			if devices != 12 {
				t.Errorf("%d devices", devices)
			}
		})
	}
}

// badProxy passes requests on, refuses every 17th with 429, and loses the answer of every 23rd.
func badProxy(t *testing.T, to string, requests *atomic.Int64) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := requests.Add(1); {
		case n%17 == 0:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case n%23 == 0:
			lost := httptest.NewRecorder()
			proxy.ServeHTTP(lost, r)
			_, _ = io.Copy(io.Discard, lost.Body)
			w.WriteHeader(http.StatusBadGateway)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}
