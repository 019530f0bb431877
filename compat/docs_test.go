package compat_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestDocsCommands runs the commands of the how-to pages in order against a fresh server: what a page says must work.
func TestDocsCommands(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_pub"); err != nil {
		t.Skip("mosquitto_pub is not installed: run through make test")
	}
	data := t.TempDir()
	ca := newAuthority(t)
	conf := app.Config{Data: data, HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", MQTTS: "127.0.0.1:0", TLSCert: ca.file("cert.pem"), TLSKey: ca.file("key.pem"), LogLevel: "error", LogFormat: "text", AdminPassword: "Docs-123456", BootstrapPassword: "Boot-123456"}
	pf, err := app.Start(context.Background(), conf, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer pf.Stop()
	_, port, _ := strings.Cut(pf.Addr("mqtt"), ":")
	_, secure, _ := strings.Cut(pf.Addr("mqtts"), ":")
	for page, wants := range map[string][]string{
		"backup.md":              {"backup of ", "restored ", "GOOD: every record is as it was written", "read documents.db"},
		"connect-a-device.md":    {`"name":"Pump 7"`, `"value":21.5,"unit":"C"`, `"text":"too hot"`, `"severity":"MAJOR"`},
		"applications.md":        {"My first application", `"tags":["stable","latest"]`, `"name":"servicebootstrap_weather"`, `/tenant/tenants/main/applications/`},
		"ingest.md":              {`"received":2,"stored":1,"refused":1`, `"reasons":{"invalid":1}`, `"publications":[`},
		"client-certificates.md": {`"name":"Plant"`, `"text":"by certificate"`, "not authorised"},
		"many-devices.md":        {`"numberOfCreated":2,"numberOfFailed":1`, `"status":"COMPLETED"`, `"progress":{"pending":2,`, `"c8y_Restart":{}`},
		"publish-queries.md":     {`"name":"pumps","version":1`, `"name":"Pump 1"`, `"name":"hourly-flow"`, `"truncated":false`, `"state":"DEPRECATED"`, "Sunset: Tue, 01 Jan 2030", `"/isobar/published/pumps/v1"`, `"kind":"ENDPOINT"`},
		"api-keys.md":            {`"name":"Boiler"`, `"error":"security/Forbidden"`, `"error":"security/Unauthorized"`, `"measurements":[]`, `"kind":"KEY"`},
		"files.md":               {"the files are the same", "Repr-Digest: sha-256=:", "Precondition Failed"},
		"notifications.md":       {`"subscription":"presses"`, `/main/events/`, "CREATE", `"text":"opened while nobody listened"`, `{"result":"DONE"}`, `"subscriptions":[]`},
		"history.md":             {`"speed":{"v":1}`, `"name":"Pump"`, `"value":"80"`, `"limit":"80"`, `"reason":"too fast"`, `"kind":"relation"`, `"undoes":"tune-1"`, "changed since by change set"},
		"enroll.md":              {`"tenantCertificateAuthority":true`, `"status":"ACCEPTED"`, `"text":"with its own certificate"`, "not authorised", "CN"},
		"access.md": {`"name":"Manager"`, `"text":"Yes: the inventory role Manager on Plant 1."`, `"path":[{"id":`, `{"user":"ann","allowed":true`, `"gained":["ROLE_ALARM_READ"`,
			`"adminOneTimeLogin":"` + "http://" + pf.Addr("http") + `/apps/public/login/#otp=`},
	} {
		t.Run(page, func(t *testing.T) {
			if _, err := exec.LookPath("openssl"); err != nil && page == "client-certificates.md" {
				t.Skip("openssl is not installed")
			}
			cmd := exec.Command("sh", "-c", "set -eu\n"+shellBlocks(t, "../docs/how-to/"+page))
			cmd.Env = append(os.Environ(), "URL=http://"+pf.Addr("http"), "MQTT_PORT="+port, "MQTTS_PORT="+secure, "CA="+ca.file("ca.pem"), "ADMIN="+conf.AdminPassword, "BOOTSTRAP="+conf.BootstrapPassword,
				"DATA="+data, "BACKUP="+filepath.Join(t.TempDir(), "backup"), "PATH="+filepath.Dir(named(t))+":"+os.Getenv("PATH"))
			cmd.Dir = t.TempDir() // where the page's files go
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range wants {
				if !strings.Contains(string(out), want) {
					t.Errorf("the page's commands do not show %s:\n%s", want, out)
				}
			}
		})
	}
}

// named returns the path of the program under its own name.
func named(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "isobar")
	if err := os.Symlink(rig.Binary(t), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// shellBlocks returns the commands of a page: its blocks marked sh.
func shellBlocks(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, part := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			fmt.Fprintln(&out, code)
		}
	}
	return out.String()
}
