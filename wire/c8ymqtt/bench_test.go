package c8ymqtt_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/identity/identitysql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
	"github.com/isobar-iot/isobar/wire/c8ymqtt"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

// bench is a platform without listeners: real components on SQLite, time and timers in the hands of the test.
type bench struct {
	t     testing.TB
	clock *clock.Manual
	db    *sqlkit.DB
	bus   *bus.Bus

	tenants       *tenancy.Tenants
	users         *access.Users
	registry      *registry.Registry
	telemetry     *telemetry.Telemetry
	operations    *devicemgmt.Operations
	registrations *identity.Registrations
	connectivity  *connectivity.Connectivity
	topics        *access.Topics
	gate          *c8ymqtt.Gate
	collections   *c8ymqtt.Collections

	flushes, overdues chan time.Time

	mu     sync.Mutex // guards the fields below
	timers []func()
	secret map[string]string // passwords by tenant/user
}

func newBench(t testing.TB, store series.Store) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewManual(start), db: sqltest.SQLite(t), secret: map[string]string{}}
	log, policy := slog.New(slog.DiscardHandler), &access.Policy{}
	b.bus = must(bus.Open(bus.Config{Log: log}))(t)
	t.Cleanup(b.bus.Close)
	b.tenants = must(tenancy.New(tenancy.Deps{Store: must(tenancysql.New(ctx, b.db))(t), Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log}))(t)
	t.Cleanup(b.tenants.Close)
	accounts := must(accesssql.New(ctx, b.db))(t)
	b.users = must(access.New(ctx, access.Deps{Store: accounts, Sessions: accounts, Grants: accounts, Tenants: b.tenants, Audit: silent{}, Bus: b.bus, Policy: policy, Clock: b.clock, Log: log}))(t)
	t.Cleanup(b.users.Close)
	b.topics = must(access.NewTopics(access.TopicDeps{Store: accounts, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock}))(t)
	t.Cleanup(b.topics.Close)
	b.registry = must(registry.NewRegistry(registry.Deps{Store: must(registrysql.New(ctx, b.db))(t), Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log}))(t)
	t.Cleanup(b.registry.Close)
	b.telemetry = must(telemetry.New(telemetry.Deps{Series: store, Store: must(telemetrysql.New(ctx, b.db))(t), Blobs: must(blob.New(ctx, b.db, b.clock))(t),
		Registry: b.registry, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log}))(t)
	t.Cleanup(b.telemetry.Close)
	b.operations = devicemgmt.New(devicemgmt.Deps{Store: must(devicemgmtsql.New(ctx, b.db))(t), Registry: b.registry, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log})
	b.registrations = identity.New(identity.Deps{Store: must(identitysql.New(ctx, b.db))(t), Users: b.users, Registry: b.registry, Policy: policy, Audit: silent{}, Clock: b.clock, Log: log})
	b.tenant(iot.Management)
	b.tenant(iot.DefaultTenant)
	b.startConnectivity()
	t.Cleanup(func() { b.connectivity.Close() })
	return b
}

// startConnectivity starts what a restart of the process would start anew.
func (b *bench) startConnectivity() {
	b.t.Helper()
	log := slog.New(slog.DiscardHandler)
	b.flushes, b.overdues = make(chan time.Time), make(chan time.Time)
	ticks := []chan time.Time{b.flushes, b.overdues} // in the order in which they are asked for
	b.connectivity = must(connectivity.New(connectivity.Deps{Users: b.users, Registry: b.registry, Telemetry: b.telemetry, Operations: b.operations, Bus: b.bus,
		Group: b.registrations.GroupOf, Tenants: b.tenantIDs, Sole: true, Clock: b.clock, Log: log,
		Tick: func(time.Duration) (<-chan time.Time, func()) { c := ticks[0]; ticks = ticks[1:]; return c, func() {} }}))(b.t)
	rest := c8yrest.New(c8yrest.Deps{Registry: b.registry, Telemetry: b.telemetry, Operations: b.operations, Registrations: b.registrations, Users: b.users, Tenants: b.tenants,
		Presence: b.connectivity, Clock: b.clock, Log: log})
	b.collections = must(c8ymqtt.NewCollections(b.registry, b.bus))(b.t)
	b.t.Cleanup(b.collections.Close)
	engine := must(one.New(one.Deps{Registry: b.registry, Bus: b.bus, Clock: b.clock, API: rest.Inside}))(b.t)
	b.t.Cleanup(engine.Close)
	b.gate = c8ymqtt.New(c8ymqtt.Deps{Users: b.users, Registry: b.registry, Telemetry: b.telemetry, Operations: b.operations, Registrations: b.registrations,
		Topics: b.topics, Connectivity: b.connectivity, Collections: b.collections, One: engine, Clock: b.clock, Log: log, Version: "1.2.3", After: b.after})
}

func (b *bench) tenantIDs(ctx context.Context) ([]iot.TenantID, error) {
	all, err := b.tenants.List(ctx, iot.System(iot.Management))
	out := make([]iot.TenantID, len(all))
	for i, t := range all {
		out[i] = t.ID
	}
	return out, err
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func simple(t testing.TB) *bench { return newBench(t, seriesmem.New()) }

// after runs what is due at once, and keeps the rest for fire.
func (b *bench) after(d time.Duration, f func()) func() bool {
	if d == 0 {
		f()
		return func() bool { return false }
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	stopped := false
	b.timers = append(b.timers, func() {
		b.mu.Lock()
		run := !stopped
		b.mu.Unlock()
		if run {
			f()
		}
	})
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		stopped = true
		return true
	}
}

// fire lets all timers run out.
func (b *bench) fire() {
	b.mu.Lock()
	due := b.timers
	b.timers = nil
	b.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// flush writes the signs of life; the second tick is taken when the first one has been handled.
func (b *bench) flush() {
	b.flushes <- b.clock.Now()
	b.flushes <- b.clock.Now()
}

// overdue looks for overdue devices.
func (b *bench) overdue() {
	b.overdues <- b.clock.Now()
	b.flush()
}

// sink takes the mark with which settle finds out that the bus was read.
type sink chan iot.ID

func (s sink) Deliver(op iot.Operation) { s <- op.ID }

// settle waits until connectivity has handled the operations that were published so far: facts of one subscription keep their order.
func (b *bench) settle() {
	b.t.Helper()
	const nobody = 1 << 40
	got := make(sink, 1)
	defer b.connectivity.Attach("main", nobody, got)()
	b.bus.Publish(bus.Subject("main", string(iot.KindOperation), string(iot.Created), "0"), []byte(`{"Operation":{"ID":1,"Agent":1099511627776}}`))
	receive(b.t, got)
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

// tenant makes a realm with its built-in groups and the accounts that tests use: admin, reader and, in management, devicebootstrap.
func (b *bench) tenant(t iot.TenantID) {
	b.t.Helper()
	if err := b.tenants.Ensure(ctx, tenancy.Tenant{ID: t}); err != nil {
		b.t.Fatal(err)
	}
	must(b.users.Bootstrap(ctx, t, "root", "Unused-12345"))(b.t)
	b.user(t, "admin", "ROLE_ALARM_ADMIN", "ROLE_ALARM_READ", "ROLE_DEVICE_CONTROL_ADMIN", "ROLE_DEVICE_CONTROL_READ", "ROLE_EVENT_ADMIN", "ROLE_EVENT_READ",
		"ROLE_IDENTITY_ADMIN", "ROLE_IDENTITY_READ", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ", "ROLE_MEASUREMENT_ADMIN", "ROLE_MEASUREMENT_READ", "ROLE_MQTT_SERVICE_ADMIN", "ROLE_MQTT_SERVICE_READ")
	b.user(t, "reader", "ROLE_INVENTORY_READ")
	if t == iot.Management {
		b.user(t, "devicebootstrap", "ROLE_DEVICE_BOOTSTRAP")
	}
}

func (b *bench) user(t iot.TenantID, name iot.UserName, roles ...string) {
	b.t.Helper()
	must(b.users.EnsureSystemUser(ctx, t, name, "Secret-12345", roles...))(b.t)
	b.secret[string(t)+"/"+string(name)] = "Secret-12345"
}

// device makes the account of a device, once.
func (b *bench) device(t iot.TenantID, serial string) string {
	b.t.Helper()
	name := string(t) + "/" + string(iot.DeviceUser(serial))
	if b.secret[name] == "" {
		_, password, err := b.users.DeviceAccount(ctx, iot.System(t), serial)
		if err != nil {
			b.t.Fatal(err)
		}
		b.secret[name] = password
	}
	return name
}
