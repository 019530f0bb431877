package telemetry_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/security/access"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func user(name string, roles ...string) iot.Principal {
	slices.Sort(roles)
	return iot.Principal{Tenant: "acme", User: iot.UserName(name), Roles: roles}
}

var (
	admin   = user("admin", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ", "ROLE_ALARM_ADMIN", "ROLE_ALARM_READ", "ROLE_EVENT_ADMIN", "ROLE_EVENT_READ", "ROLE_MEASUREMENT_ADMIN", "ROLE_MEASUREMENT_READ")
	device  = user("device_1", "ROLE_INVENTORY_CREATE")
	nobody  = user("nobody")
	foreign = iot.Principal{Tenant: "other", User: "admin", Roles: admin.Roles}
)

// auditor keeps what was recorded.
type auditor struct {
	mu      sync.Mutex // guards records
	records []iot.AuditRecord
}

func (a *auditor) Record(_ context.Context, _ iot.Principal, r iot.AuditRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, r)
}

func (a *auditor) take() []iot.AuditRecord {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.records
	a.records = nil
	return out
}

type fixture struct {
	t       *testing.T
	tm      *telemetry.Telemetry
	reg     *registry.Registry
	audit   *auditor
	bus     *bus.Bus
	clock   *clock.Manual
	series  series.Store
	options map[string]string
	deps    telemetry.Deps
	dev     iot.ID // owned by device
	other   iot.ID // owned by admin
}

func setup(t *testing.T, store series.Store) *fixture {
	t.Helper()
	return setupOn(t, store, sqltest.SQLite(t))
}

func setupOn(t *testing.T, store series.Store, db *sqlkit.DB) *fixture {
	t.Helper()
	f := &fixture{t: t, audit: &auditor{}, clock: clock.NewManual(start), series: store, options: map[string]string{}}
	log := slog.New(slog.DiscardHandler)
	policy := &access.Policy{}
	var err error
	f.bus, err = bus.Open(bus.Config{Log: log})
	f.must(err)
	t.Cleanup(f.bus.Close)
	objects, err := registrysql.New(ctx, db)
	f.must(err)
	f.reg, err = registry.NewRegistry(registry.Deps{Store: objects, Policy: policy, Audit: f.audit, Bus: f.bus, Clock: f.clock, Log: log})
	f.must(err)
	t.Cleanup(f.reg.Close)
	documents, err := telemetrysql.New(ctx, db)
	f.must(err)
	blobs, err := blob.New(ctx, db, f.clock)
	f.must(err)
	f.deps = telemetry.Deps{Series: store, Store: documents, Blobs: blobs, Registry: f.reg, Policy: policy, Audit: f.audit, Bus: f.bus,
		Clock: f.clock, Log: log, Option: func(_ context.Context, t iot.TenantID, category, key string) (string, bool) {
			v, ok := f.options[category+"/"+key]
			return v, ok
		}}
	f.start()
	f.dev = f.object(device, `{"name":"dev","c8y_IsDevice":{}}`)
	f.other = f.object(admin, `{"name":"other","c8y_IsDevice":{}}`)
	return f
}

func (f *fixture) start() {
	f.t.Helper()
	f.deps.Reg = prometheus.NewRegistry()
	var err error
	f.tm, err = telemetry.New(f.deps)
	f.must(err)
	f.t.Cleanup(f.tm.Close)
}

// restart goes on with the same stores.
func (f *fixture) restart() {
	f.t.Helper()
	f.tm.Close()
	f.start()
}

func simple(t *testing.T) *fixture { return setup(t, seriesmem.New()) }

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) denied(what string, err error) {
	f.t.Helper()
	if !fault.Is(err, fault.Denied) {
		f.t.Errorf("%s: %v, want denied", what, err)
	}
}

func (f *fixture) kind(what string, err error, k fault.Kind) {
	f.t.Helper()
	if !fault.Is(err, k) {
		f.t.Errorf("%s: %v, want %v", what, err, k)
	}
}

func parse(t testing.TB, text string) iot.Doc {
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (f *fixture) object(p iot.Principal, text string) iot.ID {
	f.t.Helper()
	d, err := registry.DraftOf(parse(f.t, text))
	f.must(err)
	o, err := f.reg.Create(ctx, p, registry.Place{}, d)
	f.must(err)
	return o[0].ID
}

// fact is a message of the bus.
type fact struct {
	subject string
	data    []byte
}

// listen returns what is published on a subject, with the tenant's prefix left out.
func (f *fixture) listen(subject string) <-chan fact {
	f.t.Helper()
	out := make(chan fact, 1000)
	stop, err := f.bus.Subscribe("isobar.acme."+subject, func(_ iot.TenantID, subject string, data []byte) {
		out <- fact{subject[len("isobar.acme."):], data}
	})
	f.must(err)
	f.t.Cleanup(stop)
	return out
}

// next returns the next fact.
func (f *fixture) next(c <-chan fact) fact {
	f.t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(10 * time.Second):
		f.t.Fatal("nothing was published")
		return fact{}
	}
}

// quiet checks that nothing else was published: facts of one publisher keep their order, so a mark that arrives first proves it.
func (f *fixture) quiet(c <-chan fact, subject string) {
	f.t.Helper()
	f.bus.Publish("isobar.acme."+subject, []byte("mark"))
	if m := f.next(c); string(m.data) != "mark" {
		f.t.Errorf("unexpected fact %s %s", m.subject, m.data)
	}
}
