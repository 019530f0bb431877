package exchange_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/exchange/exchangesql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/security/access"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	admin = iot.Principal{Tenant: "acme", User: "admin", Roles: []string{"ROLE_EVENT_ADMIN", "ROLE_EVENT_READ", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ", "ROLE_MEASUREMENT_ADMIN",
		"ROLE_MEASUREMENT_READ", "ROLE_NOTIFICATION_2_ADMIN"}}
)

var one = func() iot.Number {
	n, err := iot.ParseNumber("1")
	if err != nil {
		panic(err)
	}
	return n
}()

var pass = exchange.Pass{Tenant: admin.Tenant, Topic: "topic", Subscriber: "me"}

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

// plain signs nothing.
type plain struct{}

func (plain) SignClaims(body []byte) (string, error) { return string(body), nil }

func (plain) VerifyClaims(token string) ([]byte, error) { return []byte(token), nil }

// tenants are all active until they end.
type tenants struct{ err atomic.Pointer[error] }

func (t *tenants) Active(context.Context, iot.TenantID) error {
	if err := t.err.Load(); err != nil {
		return *err
	}
	return nil
}

// faulty is a store whose notes of measurements can be refused. It counts the rows that were read.
type faulty struct {
	exchange.Store
	rows atomic.Int64
	mu   sync.Mutex // guards err
	err  error
}

func (f *faulty) List(ctx context.Context, t iot.TenantID, q exchange.Query) ([]exchange.Subscription, int, error) {
	out, n, err := f.Store.List(ctx, t, q)
	f.rows.Add(int64(len(out)) + 1)
	return out, n, err
}

func (f *faulty) Places(ctx context.Context, t iot.TenantID) ([]exchange.Place, error) {
	out, err := f.Store.Places(ctx, t)
	f.rows.Add(int64(len(out)) + 1)
	return out, err
}

func (f *faulty) LeaveNote(ctx context.Context, n *sqlkit.Notes, subject string, data []byte) (int64, error) {
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Store.LeaveNote(ctx, n, subject, data)
}

func (f *faulty) refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// fixture is the component with all that it needs, on one data folder.
type fixture struct {
	*testing.T
	db     *sqlkit.DB
	dir    string
	store  *faulty
	series series.Store
	clock  *clock.Manual
	bus    *bus.Bus
	reg    *registry.Registry
	tm     *telemetry.Telemetry
	x      *exchange.Exchange
	conf   exchange.Deps // limits
	count  *prometheus.Registry
	tenant tenants
	dev    iot.ID
}

// each runs a test on both engines.
func each(t *testing.T, test func(f *fixture)) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := &fixture{T: t, db: db, dir: t.TempDir(), series: seriesmem.New(), clock: clock.NewManual(start)}
		f.start()
		d, err := iot.ParseDoc([]byte(`{"name":"dev","c8y_IsDevice":{}}`), iot.MaxDepth)
		f.must(err)
		draft, err := registry.DraftOf(d)
		f.must(err)
		o, err := f.reg.Create(ctx, admin, registry.Place{}, draft)
		f.must(err)
		f.dev = o[0].ID
		defer f.stop()
		test(f)
	})
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) start() {
	f.Helper()
	log, policy := slog.New(slog.DiscardHandler), &access.Policy{}
	var err error
	f.bus, err = bus.Open(bus.Config{Log: log, Dir: f.dir})
	f.must(err)
	objects, err := registrysql.New(ctx, f.db)
	f.must(err)
	f.reg, err = registry.NewRegistry(registry.Deps{Store: objects, Policy: policy, Audit: silent{}, Bus: f.bus, Clock: f.clock, Log: log})
	f.must(err)
	documents, err := telemetrysql.New(ctx, f.db)
	f.must(err)
	blobs, err := blob.New(ctx, f.db, f.clock)
	f.must(err)
	f.tm, err = telemetry.New(telemetry.Deps{Series: f.series, Store: documents, Blobs: blobs, Registry: f.reg, Policy: policy, Audit: silent{}, Bus: f.bus, Clock: f.clock, Log: log})
	f.must(err)
	store, err := exchangesql.New(ctx, f.db)
	f.must(err)
	f.store = &faulty{Store: store}
	f.count = prometheus.NewRegistry()
	f.x, err = exchange.New(ctx, exchange.Deps{Store: f.store, Registry: f.reg, Telemetry: f.tm, Tenants: &f.tenant, Policy: policy, Audit: silent{}, Signer: plain{}, Bus: f.bus, Clock: f.clock, Log: log, Reg: f.count, Sole: true,
		MaxHeld: f.conf.MaxHeld, Patience: f.conf.Patience})
	f.must(err)
}

func (f *fixture) stop() {
	f.tm.Close()
	f.x.Close()
	f.reg.Close()
	f.bus.Close()
}

func (f *fixture) restart() {
	f.Helper()
	f.stop()
	f.start()
}

// subscribe subscribes to all that happens to the device and connects the consumer.
func (f *fixture) subscribe() *exchange.Consumer {
	f.Helper()
	_, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfObject, Source: f.dev, Name: "topic"})
	f.must(err)
	return f.attach()
}

func (f *fixture) attach() *exchange.Consumer {
	f.Helper()
	c, err := f.x.Attach(ctx, pass, "")
	f.must(err)
	return c
}

// reading is the nth measurement of the device.
func (f *fixture) reading(n int) iot.Measurement {
	return iot.Measurement{Source: f.dev, Type: fmt.Sprint("m", n), Time: start.Add(time.Duration(n) * time.Second),
		Samples: []iot.Sample{{Fragment: "f", Series: "s", Value: one}}}
}

func batch(m ...iot.Measurement) []byte {
	return telemetry.MeasurementBatch{Action: iot.Created, Measurements: m}.AppendTo(nil)
}

// types reads messages of measurements until there are n, and acknowledges them.
func (f *fixture) types(c *exchange.Consumer, n int) (out []string) {
	f.Helper()
	within, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for len(out) < n {
		got, err := c.Next(within)
		if err != nil {
			f.Fatalf("after %v: %v", out, err)
		}
		for _, m := range got {
			if m.API != exchange.Measurements {
				out = append(out, string(m.API)+" "+string(m.Action))
			} else {
				b, err := telemetry.DecodeMeasurements(m.Doc)
				f.must(err)
				out = append(out, b.Measurements[0].Type)
			}
			c.Acknowledge(m.ID)
		}
	}
	f.must(c.Flush(within))
	return out
}
