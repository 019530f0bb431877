package connectivity_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/security/access"
)

var (
	ctx    = context.Background()
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	device = iot.Principal{Tenant: "main", User: "device_d1", Roles: []string{"ROLE_INVENTORY_CREATE"}}
	errNo  = errors.New("no")
)

const tenant = iot.TenantID("main")

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

// states counts what is written of states, and fails if it is told to.
type states struct {
	registry.Driver
	mu      sync.Mutex // guards the fields below
	touches int        // devices touched
	fail    error
}

func (s *states) Touch(ctx context.Context, t iot.TenantID, touches map[iot.ID]registry.Touch) error {
	s.mu.Lock()
	s.touches += len(touches)
	err := s.fail
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Driver.Touch(ctx, t, touches)
}

func (s *states) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *states) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touches
}

// alarms fails to raise if it is told to.
type alarms struct {
	telemetry.Store
	mu   sync.Mutex // guards fail
	fail error
}

func (a *alarms) Raise(ctx context.Context, t iot.TenantID, x iot.Alarm, rev sqlkit.Revision, merge func(iot.Alarm) iot.Alarm) (*iot.Alarm, iot.Alarm, error) {
	a.mu.Lock()
	err := a.fail
	a.mu.Unlock()
	if err != nil {
		return nil, iot.Alarm{}, err
	}
	return a.Store.Raise(ctx, t, x, rev, merge)
}

func (a *alarms) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = err
}

// bench is what connectivity stands on, with time in the hands of the test.
type bench struct {
	*connectivity.Connectivity
	t          *testing.T
	clock      *clock.Manual
	bus        *bus.Bus
	states     *states
	alarms     *alarms
	registry   *registry.Registry
	telemetry  *telemetry.Telemetry
	operations *devicemgmt.Operations
	group      iot.ID
	deps       connectivity.Deps

	flushes, overdues chan time.Time
}

func setup(t *testing.T, change func(*connectivity.Deps)) *bench {
	t.Helper()
	b := &bench{t: t, clock: clock.NewManual(start)}
	db, log, policy := sqltest.SQLite(t), slog.New(slog.DiscardHandler), &access.Policy{}
	var err error
	b.bus, err = bus.Open(bus.Config{Log: log})
	b.must(err)
	t.Cleanup(b.bus.Close)
	objects, err := registrysql.New(ctx, db)
	b.must(err)
	b.states = &states{Driver: objects}
	b.registry, err = registry.NewRegistry(registry.Deps{Store: b.states, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log})
	b.must(err)
	t.Cleanup(b.registry.Close)
	documents, err := telemetrysql.New(ctx, db)
	b.must(err)
	b.alarms = &alarms{Store: documents}
	blobs, err := blob.New(ctx, db, b.clock)
	b.must(err)
	b.telemetry, err = telemetry.New(telemetry.Deps{Series: seriesmem.New(), Store: b.alarms, Blobs: blobs, Registry: b.registry, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log})
	b.must(err)
	t.Cleanup(b.telemetry.Close)
	operations, err := devicemgmtsql.New(ctx, db)
	b.must(err)
	b.operations = devicemgmt.New(devicemgmt.Deps{Store: operations, Registry: b.registry, Policy: policy, Audit: silent{}, Bus: b.bus, Clock: b.clock, Log: log})
	b.deps = connectivity.Deps{Registry: b.registry, Telemetry: b.telemetry, Operations: b.operations, Bus: b.bus, Clock: b.clock, Log: log,
		Group:   func(context.Context, iot.TenantID, string) (iot.ID, error) { return b.group, nil },
		Tenants: func(context.Context) ([]iot.TenantID, error) { return []iot.TenantID{"other", tenant}, nil }}
	if change != nil {
		change(&b.deps)
	}
	b.begin()
	t.Cleanup(func() { b.Close() })
	return b
}

// begin starts connectivity as a new process would.
func (b *bench) begin() {
	b.t.Helper()
	b.flushes, b.overdues = make(chan time.Time), make(chan time.Time)
	ticks := []chan time.Time{b.flushes, b.overdues} // in the order in which they are asked for
	b.deps.Tick = func(time.Duration) (<-chan time.Time, func()) { c := ticks[0]; ticks = ticks[1:]; return c, func() {} }
	c, err := connectivity.New(b.deps)
	b.must(err)
	b.Connectivity = c
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// flush writes the signs of life; the second tick is taken when the first one has been handled.
func (b *bench) flush() {
	b.flushes <- start
	b.flushes <- start
}

func (b *bench) overdue() {
	b.overdues <- start
	b.flush()
}

// device makes an object that belongs to the device's own account.
func (b *bench) device(serial, fragments string) iot.ID {
	b.t.Helper()
	d, err := iot.ParseDoc([]byte(fragments), iot.MaxDepth)
	b.must(err)
	o, err := b.registry.Create(ctx, device, registry.Place{}, registry.Draft{Fragments: d, ExternalIDs: []iot.ExternalID{{Type: iot.SerialType, Value: serial}}})
	b.must(err)
	return o[0].ID
}

func (b *bench) state(id iot.ID) registry.State {
	b.t.Helper()
	o, err := b.registry.Get(ctx, iot.System(tenant), id)
	b.must(err)
	return o.State
}

// open returns the alarms of a device that are not cleared.
func (b *bench) open(id iot.ID) []iot.Alarm {
	b.t.Helper()
	all, _, err := b.telemetry.Alarms(ctx, iot.System(tenant), telemetry.AlarmQuery{Source: id, Limit: 100})
	b.must(err)
	return slices.DeleteFunc(all, func(a iot.Alarm) bool { return a.Status == iot.Cleared })
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}
