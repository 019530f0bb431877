package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/app"
)

const adminPassword = "Secret-12345678"

// TestAuditVerify starts a platform, which writes audit records by itself, and verifies its folder while it runs, stopped, and tampered with.
func TestAuditVerify(t *testing.T) {
	data := t.TempDir()
	pf, err := app.Start(context.Background(), app.Config{Data: data, HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+pf.Addr("http")+"/audit/auditRecords", strings.NewReader(`{"type":"t","activity":"a","text":"x","time":"2026-01-02T03:04:05Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("main/admin", adminPassword)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("POST: %s", res.Status)
	}
	run := func(args ...string) (code int, out string) {
		var stdout, stderr bytes.Buffer
		code = app.Main(context.Background(), append([]string{"audit", "verify"}, args...), []string{"ISOBAR_DATA=" + data}, nil, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	if code, out := run(); code != 0 || !strings.Contains(out, "GOOD") || !strings.Contains(out, "tenant main:") {
		t.Errorf("while it runs: %d\n%s", code, out)
	}
	if err := pf.Stop(); err != nil {
		t.Fatal(err)
	}
	code, out := run("--json", "--tenant", "main")
	var report struct {
		Good    bool
		Tenants []struct {
			Tenant  string
			Records int
		}
	}
	if err := json.Unmarshal([]byte(out), &report); code != 0 || err != nil || !report.Good || len(report.Tenants) != 1 || report.Tenants[0].Records == 0 {
		t.Errorf("as JSON: %d %v\n%s", code, err, out)
	}
	if code, out := run("--data", t.TempDir()); code < 2 {
		t.Errorf("an empty folder: %d\n%s", code, out)
	}
	if info, err := os.Stat(filepath.Join(data, "keys", "audit.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info, err)
	}
	trail := filepath.Join(data, "audit", "checkpoints.jsonl")
	text, err := os.ReadFile(trail)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(trail, bytes.Replace(text, []byte(`"tenant":"main"`), []byte(`"tenant":"mein"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := run(); code != 1 || !strings.Contains(out, "was changed") || !strings.Contains(out, "BAD") {
		t.Errorf("tampered with: %d\n%s", code, out)
	}
}
