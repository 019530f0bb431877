package bayeux_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/bayeux"
)

const (
	acme  = iot.TenantID("acme")
	other = iot.TenantID("other")
)

// patience is how long anything may take on a slow machine.
const patience = 30 * time.Second

type fixture struct {
	t        *testing.T
	bus      *bus.Bus
	registry *registry.Registry
	clock    *clock.Manual
	users    *directory
	server   *bayeux.Server
	metrics  *prometheus.Registry
	url      string
}

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

// setup starts a server on a real bus and registry. A connect without a timeout is held until something happens.
func setup(t *testing.T, change ...func(*bayeux.Deps)) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), users: newDirectory(), metrics: prometheus.NewRegistry()}
	log := slog.New(slog.DiscardHandler)
	var err error
	f.bus, err = bus.Open(bus.Config{Log: log})
	f.must(err)
	t.Cleanup(f.bus.Close)
	store, err := registrysql.New(t.Context(), sqltest.SQLite(t))
	f.must(err)
	f.registry, err = registry.NewRegistry(registry.Deps{Store: store, Policy: &access.Policy{}, Audit: silent{}, Bus: f.bus, Clock: f.clock, Log: log})
	f.must(err)
	t.Cleanup(f.registry.Close)
	d := bayeux.Deps{Bus: f.bus, Registry: f.registry, Policy: &access.Policy{}, Authenticate: f.users.authenticate, Clock: f.clock, Log: log,
		Reg: f.metrics, Hold: time.Hour}
	for _, c := range change {
		c(&d)
	}
	f.server, err = bayeux.New(d)
	f.must(err)
	h := httptest.NewServer(f.server)
	t.Cleanup(func() { f.server.Close(); h.Close() })
	f.url = h.URL
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// directory is who may come in: users named "tenant/user", the password is "pw", the token of the cookie and of bearers is "j.<name>.t".
type directory struct {
	mu    sync.Mutex // guards roles
	roles map[string][]string
}

func newDirectory() *directory {
	return &directory{roles: map[string][]string{
		"acme/reader":   {"ROLE_ALARM_READ", "ROLE_DEVICE_CONTROL_READ", "ROLE_EVENT_READ", "ROLE_INVENTORY_READ", "ROLE_MEASUREMENT_READ"},
		"acme/nobody":   {},
		"acme/device_d": {"ROLE_INVENTORY_CREATE"},
		"other/reader":  {"ROLE_ALARM_READ", "ROLE_DEVICE_CONTROL_READ", "ROLE_EVENT_READ", "ROLE_INVENTORY_READ", "ROLE_MEASUREMENT_READ"},
	}}
}

func (d *directory) set(name string, roles ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.roles[name] = roles
}

func (d *directory) authenticate(r *http.Request) (iot.Principal, error) {
	denied := fault.E(fault.Op("test.Authenticate"), fault.Unauthenticated)
	name, password, basic := r.BasicAuth()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	cookie, err := r.Cookie("authorization")
	switch {
	case basic && password == "pw":
	case basic:
		return iot.Principal{}, denied
	case bearer:
		name = strings.TrimSuffix(strings.TrimPrefix(token, "j."), ".t")
	case err == nil && r.Header.Get("X-XSRF-TOKEN") == "xsrf":
		name = strings.TrimSuffix(strings.TrimPrefix(cookie.Value, "j."), ".t")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	roles, ok := d.roles[name]
	if !ok {
		return iot.Principal{}, denied
	}
	tenant, user, _ := strings.Cut(name, "/")
	return iot.Principal{Tenant: iot.TenantID(tenant), User: iot.UserName(user), Roles: roles}, nil
}

// device creates an object in the registry that belongs to a user.
func (f *fixture) device(owner iot.UserName, doc string) iot.ID {
	f.t.Helper()
	return f.deviceOf(acme, owner, doc)
}

func (f *fixture) deviceOf(t iot.TenantID, owner iot.UserName, doc string) iot.ID {
	f.t.Helper()
	d, err := iot.ParseDoc([]byte(doc), iot.MaxDepth)
	f.must(err)
	draft, err := registry.DraftOf(d)
	f.must(err)
	p := iot.Principal{Tenant: t, User: owner, Roles: []string{"ROLE_INVENTORY_CREATE"}}
	objects, err := f.registry.Create(f.t.Context(), p, registry.Place{}, draft)
	f.must(err)
	return objects[0].ID
}

func (f *fixture) publish(t iot.TenantID, kind iot.Kind, a iot.Action, id iot.ID, change any) {
	f.t.Helper()
	data, err := json.Marshal(change)
	f.must(err)
	f.bus.Publish(bus.Subject(t, string(kind), string(a), id.String()), data)
}

func (f *fixture) event(t iot.TenantID, a iot.Action, source, id iot.ID, text string) {
	f.t.Helper()
	f.publish(t, iot.KindEvent, a, source, telemetry.EventChange{Action: a, Event: iot.Event{ID: id, Source: source, Type: "e", Text: text, Time: f.clock.Now()}})
}

func (f *fixture) alarm(a iot.Action, source, id iot.ID) {
	f.t.Helper()
	f.publish(acme, iot.KindAlarm, a, source, telemetry.AlarmChange{Action: a, Alarm: iot.Alarm{ID: id, Source: source, Type: "a", Severity: iot.Major, Status: iot.Active, Count: 1}})
}

func (f *fixture) operation(a iot.Action, agent, device, id iot.ID) {
	f.t.Helper()
	f.publish(acme, iot.KindOperation, a, agent, devicemgmt.OperationChange{Action: a, Operation: iot.Operation{ID: id, Agent: agent, Device: device, Status: iot.Pending}})
}

func (f *fixture) measurement(a iot.Action, ms ...iot.Measurement) {
	f.bus.Publish(bus.Subject(acme, "measurement", string(a)), telemetry.MeasurementBatch{Action: a, Measurements: ms}.AppendTo(nil))
}

// msg is a message in either direction.
type msg map[string]any

func (m msg) ok() bool { b, _ := m["successful"].(bool); return b }

func (m msg) text(k string) string { s, _ := m[k].(string); return s }

// client is a long-polling client.
type client struct {
	f    *fixture
	path string
	head http.Header
	id   string
}

func (f *fixture) client(user string) *client {
	c := &client{f: f, path: "/notification/realtime", head: http.Header{}}
	if user != "" {
		c.head.Set("Authorization", "Basic "+basic(user))
	}
	return c
}

// basic is the token of a user, as in Basic authentication.
func basic(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":pw")) }

// open shakes hands as a user and subscribes to channels.
func (f *fixture) open(user string, channels ...string) *client {
	f.t.Helper()
	c := f.client(user)
	c.open(channels...)
	return c
}

func (c *client) open(channels ...string) {
	c.f.t.Helper()
	c.handshake(nil)
	for _, name := range channels {
		if r := c.subscribe(name); !r.ok() {
			c.f.t.Fatalf("subscribe %s: %v", name, r)
		}
	}
}

func (c *client) post(body string) (int, []byte) {
	c.f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.f.url+c.path, strings.NewReader(body))
	c.f.must(err)
	r.Header = c.head.Clone()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.f.t.Error(err) // not Fatal: clients also run on goroutines of their own
		return 0, nil
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		c.f.t.Error(err)
	}
	return answer.StatusCode, b
}

// send sends messages and returns what comes back.
func (c *client) send(ms ...msg) []msg {
	c.f.t.Helper()
	body, err := json.Marshal(ms)
	c.f.must(err)
	_, b := c.post(string(body))
	var out []msg
	if err := json.Unmarshal(bytes.TrimSpace(b), &out); err != nil {
		c.f.t.Errorf("%s: %v", b, err)
		return []msg{{}}
	}
	return out
}

func (c *client) handshake(ext msg) msg {
	c.f.t.Helper()
	m := msg{"id": "1", "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}}
	if ext != nil {
		m["ext"] = msg{"com.cumulocity.authn": ext}
	}
	r := c.send(m)[0]
	c.id = r.text("clientId")
	return r
}

func (c *client) subscribe(channel any) msg {
	c.f.t.Helper()
	return c.send(msg{"id": "2", "channel": "/meta/subscribe", "clientId": c.id, "subscription": channel})[0]
}

// connect sends one connect and returns the data messages and the reply.
func (c *client) connect(timeout any) ([]msg, msg) {
	c.f.t.Helper()
	m := msg{"id": "3", "channel": "/meta/connect", "clientId": c.id, "connectionType": "long-polling"}
	if timeout != nil {
		m["advice"] = msg{"timeout": timeout}
	}
	ms := c.send(m)
	return ms[:len(ms)-1], ms[len(ms)-1]
}

// next polls until n data messages came.
func (c *client) next(n int) (out []msg) {
	c.f.t.Helper()
	for len(out) < n {
		data, r := c.connect(nil)
		if !r.ok() {
			c.f.t.Fatalf("connect: %v", r)
		}
		out = append(out, data...)
	}
	return out
}

// data returns the inner parts of a data message.
func (m msg) data() (action string, data any) {
	d, _ := m["data"].(map[string]any)
	action, _ = d["realtimeAction"].(string)
	return action, d["data"]
}

// want compares anything with its JSON.
func want(t *testing.T, got any, json_ string) {
	t.Helper()
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var normal any
	if err := json.Unmarshal([]byte(json_), &normal); err != nil {
		t.Fatalf("%s: %v", json_, err)
	}
	if w, _ := json.Marshal(normal); !bytes.Equal(b, w) {
		t.Errorf("got  %s\nwant %s", b, w)
	}
}

// counter returns the value of a metric.
func (f *fixture) counter(name string) float64 {
	f.t.Helper()
	families, err := f.metrics.Gather()
	f.must(err)
	for _, x := range families {
		if x.GetName() == name {
			return x.GetMetric()[0].GetCounter().GetValue() + x.GetMetric()[0].GetGauge().GetValue()
		}
	}
	f.t.Fatalf("no metric %s", name)
	return 0
}
