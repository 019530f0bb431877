package compat_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

func TestStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, what := range []string{"a new platform", "one that was stopped", "one that was killed"} {
		s := rig.Start(t, rig.Options{Data: data})
		if s.Ready > 3*time.Second {
			t.Errorf("%s was ready after %s, more than 3 s", what, s.Ready)
		}
		t.Logf("%s was ready after %s", what, s.Ready.Round(time.Millisecond))
		for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "go_goroutines"} {
			a, err := rig.User{URL: s.URL}.Do("GET", path, nil)
			if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), want) {
				t.Errorf("%s: %v, status %d, want 200 and %q in %.200s", path, err, a.Status, want, a.Body)
			}
		}
		if what == "a new platform" {
			if code, _ := s.Stop(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		} else {
			s.Kill()
		}
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data folder is not for its owner only: %v, %v", info.Mode(), err)
	}
}

// TestStopUnderLoad sends SIGTERM while devices and users write: the program ends by itself, quickly, and keeps what it acknowledged.
func TestStopUnderLoad(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			options := engine.options(t)
			s := rig.Start(t, options)
			var mu sync.Mutex
			acked := map[string]bool{}
			ack := func(marker string) {
				mu.Lock()
				defer mu.Unlock()
				acked[marker] = true
			}
			var wg sync.WaitGroup
			enough := make(chan struct{}, 1)
			var devices []rig.Device
			for i := range 2 {
				d := s.Register(t, fmt.Sprintf("stop-%d", i))
				devices = append(devices, d)
				c := s.Connect(t, d)
				wg.Go(func() {
					for n := 0; c.IsConnected(); n++ {
						marker := fmt.Sprintf("mqtt-%d-%d", i, n)
						if k := c.Publish("s/us", 1, false, "400,compat_Stop,"+marker); k.WaitTimeout(5*time.Second) && k.Error() == nil {
							ack(marker)
						} else {
							return
						}
						if n == 50 {
							select {
							case enough <- struct{}{}:
							default:
							}
						}
					}
				})
				wg.Go(func() {
					for n := 0; ; n++ {
						marker := fmt.Sprintf("http-%d-%d", i, n)
						a, err := s.Admin().Do("POST", "/event/events", map[string]any{"source": map[string]string{"id": d.ID}, "type": "compat_Stop", "text": marker, "time": "2026-01-01T00:00:00Z"})
						if err != nil || a.Status >= 500 {
							return // it is going away
						}
						if a.Status != 201 {
							t.Errorf("status %d: %s", a.Status, a.Body)
							return
						}
						ack(marker)
					}
				})
			}
			live := listen(t, s.Admin(), "/events/*") // an open connection must not hold the end up
			<-enough
			live.next()
			code, took := s.Stop(t)
			wg.Wait()
			if code != 0 || took > 10*time.Second {
				t.Errorf("exit code %d after %s\n%s", code, took, s.Err.String())
			}
			noDefects(t, s)

			s = rig.Start(t, options)
			there := map[string]bool{}
			for _, d := range devices {
				s.Admin().Each(t, "/event/events?type=compat_Stop&source="+d.ID, "events", func(raw jsonRaw) { there[text(t, raw)] = true })
			}
			lost := 0
			for m := range acked {
				if !there[m] {
					lost++
				}
			}
			if lost > 0 || len(acked) < 50 {
				t.Errorf("%d of %d acknowledged events are lost", lost, len(acked))
			}
			t.Logf("%d events, exit after %s", len(acked), took.Round(time.Millisecond))
		})
	}
}

// TestCommandLine is what the program says to wrong usage and to configuration that cannot work. None of it may touch the disk or a port.
func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, unknown, broken := file("good.conf", "# a comment\n\nhttp = 127.0.0.1:1\n"), file("unknown.conf", "htpp = 127.0.0.1:1\n"), file("broken.conf", "http\n")
	never := filepath.Join(t.TempDir(), "never")
	for _, c := range []struct {
		name string
		args []string
		env  []string
		code int
		out  string // what is printed where it belongs: out if the code is 0, err otherwise
	}{
		{"the default is good", []string{"check"}, nil, 0, "the configuration is good"},
		{"a good file", []string{"check", "--config", good}, nil, 0, "the configuration is good"},
		{"HTTP beyond this machine", []string{"check", "--http", "0.0.0.0:8080"}, nil, 2, `http: "0.0.0.0:8080" is reachable from other machines without encryption`},
		{"HTTP on all addresses", []string{"server", "--http", ":8080"}, nil, 2, "without encryption; use --https with --tls-cert and --tls-key, or allow it with --allow-plaintext"},
		{"HTTP on a name", []string{"server", "--http", "example.com:8080"}, nil, 2, "without encryption"},
		{"MQTT beyond this machine", []string{"server", "--mqtt", "[::]:1883"}, nil, 2, `mqtt: "[::]:1883" is reachable`},
		{"demo beyond this machine", []string{"demo", "--http", "0.0.0.0:8080"}, nil, 2, "without encryption"},
		{"allowed", []string{"check", "--http", "0.0.0.0:8080", "--allow-plaintext"}, nil, 0, "good"},
		{"IPv6 loopback", []string{"check", "--http", "[::1]:8080"}, nil, 0, "good"},
		{"TLS without certificate", []string{"check", "--https", "0.0.0.0:8443"}, nil, 2, "tls-cert and tls-key are needed"},
		{"not an address", []string{"check", "--http", "localhost"}, nil, 2, `http: "localhost" is not of the form host:port`},
		{"not a port", []string{"check", "--mqtt", "localhost:99999"}, nil, 2, `mqtt: "localhost:99999" is not of the form host:port`},
		{"no way in", []string{"check", "--http", ""}, nil, 2, "http, https: at least one is needed"},
		{"no folder", []string{"check", "--data", ""}, nil, 2, "data: a folder is needed"},
		{"all mistakes at once", []string{"check", "--log-level", "loud", "--log-format", "xml"}, nil, 2, "log-level: must be debug, info, warn or error\nlog-format: must be text or json"},
		{"a mistake in the environment", []string{"check"}, []string{"ISOBAR_LOG_LEVEL=loud"}, 2, "log-level"},
		{"not a truth value in the environment", []string{"check"}, []string{"ISOBAR_ALLOW_PLAINTEXT=perhaps"}, 2, "allow-plaintext from the environment"},
		{"an unknown name in the file", []string{"check", "--config", unknown}, nil, 2, `unknown name "htpp"`},
		{"a broken file", []string{"check", "--config", broken}, nil, 2, "broken.conf:1: a line must have the form name = value"},
		{"a missing file", []string{"check", "--config", never}, nil, 2, "no such file"},
		{"an unknown flag", []string{"server", "--htpp", "x"}, nil, 2, "isobar: unknown flag: --htpp"},
		{"an unknown command", []string{"serve"}, nil, 2, `isobar: unknown command "serve" for "isobar"`},
		{"an argument too many", []string{"server", "x"}, nil, 2, `unknown command "x"`},
		{"version", []string{"version"}, nil, 0, "0."},
		{"modules", []string{"modules"}, nil, 0, "http listener"},
		{"help", []string{"--help"}, nil, 0, "Available Commands"},
		{"a database that is none", []string{"server", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--postgres", "postgres://127.0.0.1:1/x?connect_timeout=2"}, nil, -1, "isobar: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := append([]string{"ISOBAR_DATA=" + never}, c.env...)
			if c.name == "no folder" {
				env = nil
			}
			p := rig.Run(t, env, c.args...)
			code := p.Exit(t, 20*time.Second)
			got, other := p.Out.String(), p.Err.String()
			if code != 0 {
				got, other = other, got
			}
			if c.code == -1 && code == 0 || c.code >= 0 && code != c.code || !strings.Contains(got, c.out) || other != "" {
				t.Errorf("code %d, want %d\nwant %q in\n%s\nand nothing in\n%s", code, c.code, c.out, got, other)
			}
			if strings.Contains(got, "goroutine ") {
				t.Errorf("a stack trace: %s", got)
			}
			if _, err := os.Stat(never); err == nil && c.code >= 0 {
				t.Error("it made the data folder")
			}
			_ = os.RemoveAll(never)
		})
	}
}

// TestPrecedence starts servers whose address comes from four places: a flag is stronger than the environment, that than the file, that than
// the default.
func TestPrecedence(t *testing.T) {
	level := func(s *rig.Server) string {
		switch {
		case strings.Contains(s.Err.String(), "level=INFO"):
			return "text info"
		case strings.Contains(s.Err.String(), `"level":"INFO"`):
			return "json info"
		}
		return "quiet"
	}
	file := filepath.Join(t.TempDir(), "isobar.conf")
	if err := os.WriteFile(file, []byte("log-format = \"json\"\nlog-level = info\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"default", nil, nil, "text info"},
		{"file over default", []string{"--config", file}, nil, "json info"},
		{"the file by the environment", nil, []string{"ISOBAR_CONFIG=" + file}, "json info"},
		{"environment over file", []string{"--config", file}, []string{"ISOBAR_LOG_LEVEL=error"}, "quiet"},
		{"flag over environment", []string{"--config", file, "--log-level", "info", "--log-format", "text"}, []string{"ISOBAR_LOG_LEVEL=error", "ISOBAR_LOG_FORMAT=json"}, "text info"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := rig.Start(t, rig.Options{Args: c.args, Env: append([]string{"ISOBAR_ADMIN_PASSWORD=" + rig.AdminPassword}, c.env...)})
			s.Stop(t)
			if got := level(s); got != c.want {
				t.Errorf("the log is %q, want %q\n%s", got, c.want, s.Err.String())
			}
		})
	}
}

var printedPassword = regexp.MustCompile(`(?m)^  management/(admin and main/admin|devicebootstrap[^\n]*?)   (\S+)$`)

func TestPasswordsAreShownOnceAndThereIsNoDefault(t *testing.T) {
	data := t.TempDir()
	s := rig.Start(t, rig.Options{Data: data, Env: []string{"NONE=1"}})
	shown := printedPassword.FindAllStringSubmatch(s.Out.String(), -1)
	if len(shown) != 2 {
		t.Fatalf("want two passwords in\n%s", s.Out.String())
	}
	admin, boot := shown[0][2], shown[1][2]
	if len(admin) < 16 || admin == boot {
		t.Errorf("weak passwords %q, %q", admin, boot)
	}
	status := func(user, password string) int {
		a, err := rig.User{URL: s.URL, Name: user, Password: password}.Do("GET", "/inventory/managedObjects", nil)
		if err != nil {
			t.Fatal(err)
		}
		return a.Status
	}
	for _, guess := range []string{"", "admin", "password", "isobar", "admin123", "management", "main"} {
		if got := status("main/admin", guess); got != 401 && got != 429 {
			t.Errorf("password %q: status %d", guess, got)
		}
	}
	if got := status("", ""); got != 401 {
		t.Errorf("without credentials: status %d", got)
	}
	if log := s.Err.String(); strings.Contains(log, admin) || strings.Contains(log, boot) {
		t.Error("a password is in the log")
	}
	s.Stop(t)
	s = rig.Start(t, rig.Options{Data: data, Env: []string{"NONE=1"}})
	if all := s.Out.String() + s.Err.String(); strings.Contains(all, admin) || strings.Contains(all, boot) || printedPassword.MatchString(all) {
		t.Errorf("passwords are shown again:\n%s", all)
	}
	for _, tenant := range []string{"main", "management"} {
		if got := status(tenant+"/admin", admin); got != 200 {
			t.Errorf("the shown password for %s: status %d", tenant, got)
		}
	}
	// Nothing in the data folder holds a password as it is.
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(admin)) || bytes.Contains(content, []byte(boot)) {
			t.Errorf("%s holds a password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

var otpLine = regexp.MustCompile(`#otp=(\S+)`)

func TestDemo(t *testing.T) {
	s := rig.Start(t, rig.Options{Command: "demo", Args: []string{"--homes", "1", "--machines", "1", "--interval", "200ms"}})
	var otp []string
	rig.Eventually(t, "the link", func() bool { otp = otpLine.FindStringSubmatch(s.Out.String()); return otp != nil })
	login := func(code string) *http.Response {
		res, err := http.PostForm(s.URL+"/tenant/oauth", url.Values{"grant_type": {"ONE_TIME"}, "code": {code}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	if res := login("x" + otp[1]); res.StatusCode != 401 {
		t.Errorf("a wrong code: status %d", res.StatusCode)
	}
	res := login(otp[1])
	if res.StatusCode != 200 || len(res.Cookies()) != 2 {
		t.Fatalf("the code: status %d, cookies %v", res.StatusCode, res.Cookies())
	}
	if again := login(otp[1]); again.StatusCode != 401 {
		t.Errorf("the code again: status %d", again.StatusCode)
	}
	cookies := func(method, path string, body string, xsrf bool) int {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, c := range res.Cookies() {
			req.AddCookie(c)
			if c.Name == "XSRF-TOKEN" && xsrf {
				req.Header.Set("X-XSRF-TOKEN", c.Value)
			}
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if got := cookies("GET", "/user/currentUser", "", true); got != 200 {
		t.Errorf("with the cookies: status %d", got)
	}
	if got := cookies("POST", "/inventory/managedObjects", "{}", false); got != 401 && got != 403 {
		t.Errorf("without the XSRF token: status %d", got)
	}
	var token string
	for _, c := range res.Cookies() {
		if c.Name == "authorization" {
			token = c.Value
		}
	}
	get := func(path string) []byte {
		a, err := rig.User{URL: s.URL}.Do("GET", path, nil, "Authorization", "Bearer "+token)
		if err != nil || a.Status != 200 {
			t.Fatalf("%s: %v, status %d", path, err, a.Status)
		}
		return a.Body
	}
	rig.Eventually(t, "the fleet to send", func() bool {
		return bytes.Contains(get("/inventory/managedObjects?query="+url.QueryEscape("$filter=(type eq 'isobar_Machine')")), []byte("isobar_Machine")) &&
			bytes.Contains(get("/measurement/measurements?dateFrom=1970-01-01"), []byte(`"source"`))
	})
	if code, took := s.Stop(t); code != 0 || took > 10*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
	noDefects(t, s)
}

// TestTwoServersOnOneFolder: the second one must refuse, or both would damage the data.
func TestTwoServersOnOneFolder(t *testing.T) {
	data := t.TempDir()
	s := rig.Start(t, rig.Options{Data: data})
	p := rig.Run(t, nil, "server", "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	if code := p.Exit(t, 15*time.Second); code != 3 || !strings.HasPrefix(lastLine(p.Err.String()), "isobar: another server uses the data folder") {
		t.Errorf("code %d\n%s", code, p.Err.String())
	}
	s.Admin().Want(t, 200, "GET", "/inventory/managedObjects", nil, nil)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
