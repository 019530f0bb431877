package simulator

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

func TestFleetConnectsReportsAndObeys(t *testing.T) {
	s := newFakeServer()
	var stats Stats
	file := filepath.Join(t.TempDir(), "fleet.json")
	stop := startFleet(t, s, Config{Homes: 1, Machines: 1, StateFile: file, Stats: &stats, Interval: 100 * time.Millisecond})
	s.await(t, "s/us 500", 2)
	s.await(t, "201,isobar_WaterFlow", 144+3)
	s.await(t, "201,isobar_Machine", 288+3)
	s.client("sim-home-01").send(downTopic, "511,sim-home-01,status\n510,somebody-else")
	s.await(t, "503,c8y_Command,\"valve open", 1)
	s.client("sim-home-01").send(downTopic, "518,sim-home-01-valve,CLOSED")
	s.await(t, "s/us/sim-home-01-valve 503,c8y_Relay", 1)
	wantNoLine(t, s.lines(), "somebody-else")
	stop()
	if stats.Operations.Load() != 2 || stats.Acked.Load() == 0 || stats.Connected.Load() != 0 {
		t.Error(stats.String())
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("state file: %v, %v", info, err)
	}

	again := newFakeServer()
	asked := false
	stop = startFleet(t, again, Config{Homes: 1, Machines: -1, StateFile: file, Interval: 100 * time.Millisecond,
		Credentials: func(context.Context, string) (string, string, string, error) { asked = true; return "", "", "", nil }})
	again.await(t, "201,isobar_WaterFlow", 3)
	stop()
	if asked {
		t.Error("a known device was registered again")
	}
	if n := count(again.lines(), "201,isobar_WaterFlow"); n > 100 {
		t.Errorf("the history was sent again: %d reports", n)
	}
	if l := again.logins[0]; l != (login{"sim-home-01", "main/device_sim-home-01", "pw"}) {
		t.Errorf("login %+v", l)
	}
}

func TestDeviceComesBackAfterALostConnection(t *testing.T) {
	s := newFakeServer()
	var stats Stats
	startFleet(t, s, Config{Homes: -1, Machines: 1, History: -1, Stats: &stats, Interval: 100 * time.Millisecond})
	s.await(t, "201,isobar_Machine", 1)
	s.client("sim-machine-01").cut()
	s.await(t, "s/us 500", 2)
	s.await(t, "201,isobar_Machine", 5)
	if n := count(s.lines(), "isobar_Started"); n != 1 {
		t.Errorf("a lost connection looks like %d starts", n)
	}
	if stats.Reconnects.Load() != 1 {
		t.Error(stats.String())
	}
}

func TestDeviceRestartsOnOperation(t *testing.T) {
	s := newFakeServer()
	startFleet(t, s, Config{Homes: -1, Machines: 1, History: -1})
	s.await(t, "s/us 500", 1)
	before := s.client("sim-machine-01")
	before.send(downTopic, "510,sim-machine-01")
	s.await(t, "503,c8y_Restart", 1)
	if s.client("sim-machine-01") == before {
		t.Error("the device did not disconnect")
	}
	if n := count(s.lines(), "isobar_Started"); n != 2 {
		t.Errorf("%d starts reported", n)
	}
}

func TestServerWithoutJSONIsTolerated(t *testing.T) {
	s := newFakeServer()
	s.deaf = message.isTwin
	startFleet(t, s, Config{Homes: 1, Machines: -1, History: -1, Interval: 100 * time.Millisecond})
	s.await(t, "201,isobar_WaterFlow", 3)
}

func TestRefusedCredentialsAreRenewed(t *testing.T) {
	s := newFakeServer()
	s.refuse = func(l login) error {
		if l.password == "old" {
			return fault.E(fault.Unauthenticated, "refused")
		}
		return nil
	}
	var mu sync.Mutex
	calls := 0
	startFleet(t, s, Config{Homes: -1, Machines: 1, History: -1, Credentials: func(context.Context, string) (string, string, string, error) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return "t", "u", map[bool]string{true: "old", false: "new"}[calls == 1], nil
	}})
	s.await(t, "s/us 500", 1)
}

// fakePlatform is the operator's side of the registration.
type fakePlatform struct {
	mu    sync.Mutex // guards state
	state string
}

func (p *fakePlatform) set(state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

func (p *fakePlatform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, password, _ := r.BasicAuth()
	var body struct{ ID, Status string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case user != "main/admin" || password != "secret":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodPost && r.URL.Path == "/devicecontrol/newDeviceRequests" && body.ID != "":
		p.state = "WAITING_FOR_CONNECTION"
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/d1") && body.Status == "ACCEPTED" && p.state == "PENDING_ACCEPTANCE":
		p.state = "ACCEPTED"
	default:
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"message":"wrong state"}`))
	}
}

func newBootstrap(t *testing.T, s *fakeServer, password string) (*bootstrap, *fakePlatform) {
	t.Helper()
	p := &fakePlatform{}
	h := httptest.NewServer(p)
	t.Cleanup(h.Close)
	base, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	conf := Config{Tenant: "main", User: "admin", Password: password, BootstrapPassword: "boot"}.withDefaults()
	return &bootstrap{conf: conf, base: base, http: h.Client(), dial: s.dial, poll: 10 * time.Millisecond}, p
}

func TestBootstrap(t *testing.T) {
	s := newFakeServer()
	b, p := newBootstrap(t, s, "secret")
	polls := 0
	s.onPublish = func(c *fakeClient, m message) {
		if m.topic != "s/ucr" {
			return
		}
		if polls++; polls == 2 { // the first question is lost on the way
			p.set("PENDING_ACCEPTANCE")
		}
		if p.mu.Lock(); p.state == "ACCEPTED" {
			go c.send("s/dcr", `70,main,device_d1,"p,w"`)
		}
		p.mu.Unlock()
	}
	k, err := b.obtain(context.Background(), "d1")
	if err != nil {
		t.Fatal(err)
	}
	if k != (known{Tenant: "main", User: "device_d1", Password: "p,w"}) {
		t.Errorf("%+v", k)
	}
	if l := s.logins[0]; l != (login{"d1", "management/devicebootstrap", "boot"}) {
		t.Errorf("login %+v", l)
	}
}

func TestBootstrapTellsWhatIsWrong(t *testing.T) {
	t.Run("the operator's password", func(t *testing.T) {
		b, _ := newBootstrap(t, newFakeServer(), "wrong")
		_, err := b.obtain(context.Background(), "d1")
		if !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), "main/admin") {
			t.Error(err)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		b, _ := newBootstrap(t, newFakeServer(), "secret")
		b.base = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
		if _, err := b.obtain(context.Background(), "d1"); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	})
	t.Run("the server closes the connection", func(t *testing.T) {
		s := newFakeServer()
		s.onPublish = func(c *fakeClient, _ message) { c.cut() }
		b, _ := newBootstrap(t, s, "secret")
		if _, err := b.obtain(context.Background(), "d1"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "wrong state") {
			t.Error(err)
		}
	})
}

func TestCheck(t *testing.T) {
	given := func(context.Context, string) (string, string, string, error) { return "", "", "", nil }
	for _, c := range []struct {
		name string
		conf Config
		want string // empty for no error
	}{
		{"MQTT with credentials", Config{MQTT: "localhost", Credentials: given}, ""},
		{"URL with operator", Config{URL: "http://localhost:8080", User: "a", Password: "b", BootstrapPassword: "c"}, ""},
		{"nothing", Config{}, "address of the server is missing"},
		{"no operator", Config{URL: "http://h"}, "operator"},
		{"no bootstrap password", Config{URL: "http://h", User: "a", Password: "b"}, "bootstrap password"},
		{"MQTT without URL", Config{MQTT: "h"}, "URL of the server is needed"},
		{"URL without scheme", Config{URL: "localhost:8080"}, "must look like http://"},
		{"HTTP as MQTT", Config{MQTT: "http://h", Credentials: given}, "must begin with tcp://"},
		{"path in MQTT", Config{MQTT: "tcp://h/x", Credentials: given}, "must look like tcp://"},
		{"prefix", Config{MQTT: "h", Credentials: given, Prefix: "a/b"}, "prefix"},
		{"no devices", Config{MQTT: "h", Credentials: given, Homes: -1, Machines: -1}, "at least one"},
		{"speed", Config{MQTT: "h", Credentials: given, Speed: -1}, "speed"},
		{"interval", Config{MQTT: "h", Credentials: given, Interval: time.Millisecond}, "interval"},
		{"jams", Config{MQTT: "h", Credentials: given, JamRate: 2}, "jams"},
	} {
		err := c.conf.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestBroker(t *testing.T) {
	for _, c := range []struct{ mqtt, url, want string }{
		{"localhost", "", "tcp://localhost:1883"},
		{"localhost:2000", "", "tcp://localhost:2000"},
		{"mqtts://h", "", "tls://h:8883"},
		{"tls://h:1", "", "tls://h:1"},
		{"", "http://h:8080", "tcp://h:1883"},
		{"", "https://h/", "tls://h:8883"},
		{"", "http://[::1]:8080", "tcp://[::1]:1883"},
	} {
		b, err := Config{MQTT: c.mqtt, URL: c.url}.broker()
		if err != nil || b.String() != c.want {
			t.Errorf("%q %q: %v, %v", c.mqtt, c.url, b, err)
		}
	}
}

func TestRunTellsThatNobodyListens(t *testing.T) {
	err := Run(t.Context(), Config{MQTT: "127.0.0.1:1", Credentials: func(context.Context, string) (string, string, string, error) { return "", "u", "p", nil }}, quiet())
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Error(err)
	}
}

func TestDamagedStateFileIsNotOverwritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openState(file, "tcp://h"); !fault.Is(err, fault.Corrupt) {
		t.Error(err)
	}
}
