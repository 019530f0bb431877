package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// largeBody sends a file as the body of a POST and returns the status and the body of the answer, on a line each.
type largeBody struct {
	name, tool string
	args       func(url, file string) []string
}

var largeBodies = []largeBody{
	{"curl, which asks first", "curl", func(url, file string) []string { return curlUpload(url, file) }},
	{"curl, which does not ask", "curl", func(url, file string) []string { return curlUpload(url, file, "-H", "Expect:") }},
	{"curl in chunks", "curl", func(url, file string) []string {
		return curlUpload(url, file, "-H", "Expect:", "-H", "Transfer-Encoding: chunked")
	}},
	{"curl with a wrong password", "curl", func(url, file string) []string {
		return curlUpload(url, file, "-H", "Expect:", "-u", "main/admin:wrong")
	}},
	{"node", "node", func(url, file string) []string {
		return []string{"--input-type=module", "-e", `
			import { readFileSync } from "node:fs";
			const [url, file, auth] = process.argv.slice(1);
			const res = await fetch(url, { method: "POST", body: readFileSync(file), headers: { "Content-Type": "application/json", Authorization: "Basic " + btoa(auth) } });
			console.log(res.status + "\n" + await res.text());`, url, file, "main/admin:" + rig.AdminPassword}
	}},
	{"python", "python3", func(url, file string) []string { return pythonUpload(url, file, rig.AdminPassword) }},
	{"python with a wrong password", "python3", func(url, file string) []string { return pythonUpload(url, file, "wrong") }},
}

// pythonUpload uses http.client, on which requests and urllib3 stand: it sends everything before it reads anything.
func pythonUpload(url, file, password string) []string {
	return []string{"-c", `
import base64, http.client, sys, urllib.parse
url, file, auth = sys.argv[1:]
u = urllib.parse.urlsplit(url)
c = http.client.HTTPConnection(u.hostname, u.port, timeout=60)
c.request("POST", u.path, open(file, "rb").read(), {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(auth.encode()).decode()})
r = c.getresponse()
print(r.status)
print(r.read().decode())`, url, file, "main/admin:" + password}
}

func curlUpload(url, file string, more ...string) []string {
	return append([]string{"-sS", "--max-time", "60", "-u", "main/admin:" + rig.AdminPassword, "-X", "POST", "-H", "Content-Type: application/json", "--data-binary", "@" + file, "-w", "\n", "-D", "-", url}, more...)
}

// TestBodiesOverTheLimit sends more than is taken with clients that others wrote. Each must read why it was refused, also those that send everything before
// they read.
func TestBodiesOverTheLimit(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	file := filepath.Join(t.TempDir(), "large.json")
	body := []byte(`{"name":"` + strings.Repeat("x", 40<<20) + `"}`) // much more than the buffers of a connection hide
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	url := s.URL + "/inventory/managedObjects"
	for _, c := range largeBodies {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skip(c.tool + " is not installed")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, c.tool, c.args(url, file)...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s\n%s", err, errs.String(), out.String())
			}
			want := "413"
			if strings.Contains(c.name, "password") {
				want = "401"
			}
			text := strings.TrimSpace(out.String())
			first, _, _ := strings.Cut(text, "\n")
			if !strings.Contains(first, want) {
				t.Errorf("status %q, want %s", first, want)
			}
			refusal(t, want, text[strings.LastIndexByte(text, '\n')+1:])
		})
	}
	t.Run("Go", func(t *testing.T) {
		for range 5 {
			a, err := s.Admin().Do("POST", "/inventory/managedObjects", string(body))
			if err != nil || a.Status != 413 {
				t.Fatalf("%v, status %d", err, a.Status)
			}
			refusal(t, "413", string(a.Body))
		}
	})
	t.Run("asking first", func(t *testing.T) { asksFirst(t, s) })
	noDefects(t, s)
}

func refusal(t *testing.T, status, body string) {
	t.Helper()
	var e struct{ Error, Message, Info string }
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error == "" || e.Message == "" || e.Info == "" {
		t.Errorf("%s without the body of an error: %v: %.200q", status, err, body)
	}
}

// asksFirst is a client with Expect: 100-continue that means it: what is refused by its head alone must be refused without asking for the body.
func asksFirst(t *testing.T, s *rig.Server) {
	for _, c := range []struct {
		length int
		auth   string
		status int
	}{{20 << 20, rig.AdminPassword, 413}, {20 << 20, "wrong", 401}, {100, "wrong", 401}} {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.URL, "http://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		req, _ := http.NewRequest("POST", s.URL, nil)
		req.SetBasicAuth("main/admin", c.auth)
		fmt.Fprintf(conn, "POST /inventory/managedObjects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\nAuthorization: %s\r\n\r\n",
			c.length, req.Header.Get("Authorization"))
		began := time.Now()
		all, err := io.ReadAll(conn) // the server must end it: what would come now is not a request
		if err != nil {
			t.Errorf("%d bytes: %v", c.length, err)
		}
		head, text, _ := strings.Cut(string(all), "\r\n\r\n")
		if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || !strings.Contains(head, "Connection: close") {
			t.Errorf("%d bytes: answered %q", c.length, head)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%d bytes: the connection ended after %v only", c.length, took)
		}
		refusal(t, fmt.Sprint(c.status), text)
	}
}
