package usage

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what a Meter needs.
type Deps struct {
	Store   Store
	Policy  *access.Policy
	Tenants *tenancy.Tenants
	Blobs   *blob.Store
	Clock   clock.Clock
	Log     *slog.Logger
	Reg     prometheus.Registerer // may be nil
	// Instance is the name of this platform in statistics files.
	Instance string
}

// Meter is the face. It is safe for concurrent use.
type Meter struct {
	d       Deps
	sums    sums
	writing sync.Mutex // one writes at a time
	failed  prometheus.Counter
	dropped prometheus.Counter

	mu         sync.Mutex // guards the fields below
	collectors []func(t iot.TenantID)
	measure    func(ctx context.Context, t iot.TenantID) (Gauges, error)
	fresh      map[iot.TenantID]time.Time // until when measured gauges count as those of now

	background context.Context
	cancel     context.CancelFunc
	quit, done chan struct{}
	once       sync.Once
}

// New returns a Meter that writes what it is told.
func New(d Deps) *Meter {
	m := &Meter{d: d, fresh: map[iot.TenantID]time.Time{}, quit: make(chan struct{}), done: make(chan struct{})}
	m.background, m.cancel = context.WithCancel(context.Background())
	m.export(d.Reg)
	go m.run()
	return m
}

// Measure gives the Meter what starts after it: how the gauges of a tenant are measured.
func (m *Meter) Measure(f func(ctx context.Context, t iot.TenantID) (Gauges, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure = f
}

// restFactor is how many times as long as measuring took gauges are not measured again, leastRest the least: asking often costs little.
const (
	restFactor = 200
	leastRest  = time.Second
)

// gauge measures a tenant, unless that was done lately.
func (m *Meter) gauge(ctx context.Context, t iot.TenantID) error {
	now := m.d.Clock.Now()
	m.mu.Lock()
	measure, until := m.measure, m.fresh[t]
	if measure == nil || now.Before(until) {
		m.mu.Unlock()
		return nil
	}
	m.fresh[t] = now.Add(leastRest) // bounded by the number of tenants
	m.mu.Unlock()
	began := time.Now()
	g, err := measure(ctx, t)
	if err == nil {
		err = m.d.Store.Measured(ctx, t, DayOf(now), g)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		delete(m.fresh, t)
		return err
	}
	m.fresh[t] = now.Add(max(leastRest, restFactor*time.Since(began)))
	return nil
}

// upkeep measures all tenants, makes the file of the month before, and removes what is old.
func (m *Meter) upkeep(ctx context.Context, now time.Time) {
	tenants, err := m.d.Tenants.List(ctx, iot.System(iot.Management))
	for _, t := range tenants {
		if e := m.gauge(ctx, t.ID); e != nil && ctx.Err() == nil {
			m.d.Log.Warn("measure a tenant", "tenant", t.ID, "err", e)
		}
	}
	if err == nil {
		err = m.monthly(ctx, now)
	}
	if err == nil {
		err = m.d.Store.ForgetDevices(ctx, DayOf(now)-deviceDays)
	}
	if err != nil && ctx.Err() == nil {
		m.d.Log.Warn("upkeep of usage figures", "err", err)
	}
}

// monthly makes the file of the month before, unless it is there or there is nothing to tell.
func (m *Meter) monthly(ctx context.Context, now time.Time) error {
	first := time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	from, to := DayOf(first), DayOf(first.AddDate(0, 1, -1))
	id := "real-" + first.Format("2006-01")
	if _, err := m.d.Store.File(ctx, id); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	tenants, err := m.d.Tenants.List(ctx, iot.System(iot.Management))
	if err != nil {
		return err
	}
	some := false
	for _, t := range tenants {
		days, err := m.d.Store.Days(ctx, t.ID, from, to)
		if err != nil {
			return err
		}
		some = some || len(days) > 0
	}
	if !some {
		return nil
	}
	_, err = m.file(ctx, File{ID: id, Type: Real, From: from, To: to})
	if sqlkit.IsUnique(err) { // another node was first
		return nil
	}
	return err
}

// ready brings what is stored up to the present moment on this node.
func (m *Meter) ready(ctx context.Context, t iot.TenantID) error {
	if err := m.flush(ctx, t); err != nil {
		return err
	}
	return m.gauge(ctx, t)
}

// Span is a span of days, both ends included. The zero value is all of them.
type Span struct{ From, To Day }

func (s Span) ends() (Day, Day) {
	if s.To == 0 {
		s.To = Day(math.MaxInt32)
	}
	return s.From, s.To
}

func (s Span) check(op fault.Op) error {
	if s.To != 0 && s.From > s.To {
		return fault.E(op, fault.Invalid, "dateFrom must not be after dateTo")
	}
	return nil
}

// Daily returns the days of p's tenant that have figures. It needs ROLE_TENANT_STATISTICS_READ.
func (m *Meter) Daily(ctx context.Context, p iot.Principal, s Span) ([]Daily, error) {
	const op = fault.Op("usage.Daily")
	if err := m.d.Policy.Check(ctx, p, access.Statistics, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	if err := s.check(op); err != nil {
		return nil, err
	}
	if err := m.ready(ctx, p.Tenant); err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	from, to := s.ends()
	days, err := m.d.Store.Days(ctx, p.Tenant, from, to)
	return days, sqlkit.Fault(op, err)
}

// Summary sums up the days of a tenant: of p's own with ROLE_TENANT_STATISTICS_READ or the permission to read the inventory, of one that p
// manages with the first. Others do not exist.
func (m *Meter) Summary(ctx context.Context, p iot.Principal, t iot.TenantID, s Span) (Summary, error) {
	const op = fault.Op("usage.Summary")
	err := m.d.Policy.Check(ctx, p, access.Statistics, access.Read, access.Object{})
	if err != nil && (t != p.Tenant || !m.readsInventory(ctx, p)) {
		return Summary{}, err
	}
	if t != p.Tenant {
		if _, err := m.d.Tenants.Reach(ctx, p, t); err != nil {
			return Summary{}, err
		}
	}
	if err := s.check(op); err != nil {
		return Summary{}, err
	}
	sum, err := m.summary(ctx, t, s)
	return sum, sqlkit.Fault(op, err)
}

// readsInventory reports whether p may read objects in general, by either permission.
func (m *Meter) readsInventory(ctx context.Context, p iot.Principal) bool {
	return m.d.Policy.Check(ctx, p, access.Inventory, access.Read, access.Object{}) == nil ||
		m.d.Policy.Check(ctx, p, access.ManagedObject, access.Read, access.Object{}) == nil
}

func (m *Meter) summary(ctx context.Context, t iot.TenantID, s Span) (Summary, error) {
	from, to := s.ends()
	out := Summary{Tenant: t, Last: from}
	if err := m.ready(ctx, t); err != nil {
		return out, err
	}
	days, err := m.d.Store.Days(ctx, t, from, to)
	for _, d := range days {
		out.Last, out.Gauges = d.Day, d.Gauges
		out.Counts.add(d.Counts)
		out.Peak = out.Peak.peak(d.Peak)
	}
	return out, err
}

// Summaries sums up the days of every tenant that p manages, and of p's own. It needs ROLE_TENANT_MANAGEMENT_READ.
func (m *Meter) Summaries(ctx context.Context, p iot.Principal, s Span) ([]Summary, []tenancy.Tenant, error) {
	const op = fault.Op("usage.Summaries")
	tenants, err := m.d.Tenants.List(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if err := s.check(op); err != nil {
		return nil, nil, err
	}
	var out []Summary
	for _, t := range tenants {
		sum, err := m.summary(ctx, t.ID, s)
		if err != nil {
			return nil, nil, sqlkit.Fault(op, err)
		}
		out = append(out, sum)
	}
	return out, tenants, nil
}

// Devices returns a page of what the devices of a tenant sent, in order of id; device zero: of all. It needs ROLE_TENANT_STATISTICS_READ.
func (m *Meter) Devices(ctx context.Context, p iot.Principal, t iot.TenantID, s Span, device iot.ID, offset, limit int) ([]DeviceCount, error) {
	const op = fault.Op("usage.Devices")
	if err := m.d.Policy.Check(ctx, p, access.Statistics, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	if t != p.Tenant {
		if _, err := m.d.Tenants.Reach(ctx, p, t); err != nil {
			return nil, err
		}
	}
	if err := m.flush(ctx, t); err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	from, to := s.ends()
	out, err := m.d.Store.Devices(ctx, t, from, to, device, offset, limit)
	return out, sqlkit.Fault(op, err)
}

// files checks who may use statistics files: members of management with a permission on tenants.
func (m *Meter) files(ctx context.Context, p iot.Principal, l access.Level) error {
	if err := m.d.Policy.Check(ctx, p, access.TenantAdmin, l, access.Object{}); err != nil {
		return err
	}
	if p.Tenant != iot.Management {
		return fault.E(fault.Op("usage.Files"), fault.Denied, "statistics files belong to the tenant management")
	}
	return nil
}

// Files returns the statistics files that touch a span, the newest first. It needs ROLE_TENANT_MANAGEMENT_ADMIN in management.
func (m *Meter) Files(ctx context.Context, p iot.Principal, s Span) ([]File, error) {
	if err := m.files(ctx, p, access.Admin); err != nil {
		return nil, err
	}
	from, to := s.ends()
	out, err := m.d.Store.Files(ctx, from, to)
	return out, sqlkit.Fault("usage.Files", err)
}

// Report makes a statistics file of a span. It needs ROLE_TENANT_MANAGEMENT_CREATE or _ADMIN in management.
func (m *Meter) Report(ctx context.Context, p iot.Principal, s Span) (File, error) {
	const op = fault.Op("usage.Report")
	if err := m.files(ctx, p, access.Create); err != nil {
		return File{}, err
	}
	if err := s.check(op); err != nil {
		return File{}, err
	}
	n, err := m.d.Store.NextNumber(ctx)
	if err != nil {
		return File{}, sqlkit.Fault(op, err)
	}
	f, err := m.file(ctx, File{ID: strconv.FormatInt(n, 10), Type: Test, From: s.From, To: s.To})
	return f, sqlkit.Fault(op, err)
}

// ReadFile opens a statistics file, which the caller closes. It needs ROLE_TENANT_MANAGEMENT_ADMIN in management.
func (m *Meter) ReadFile(ctx context.Context, p iot.Principal, id string) (File, io.ReadCloser, error) {
	const op = fault.Op("usage.ReadFile")
	if err := m.files(ctx, p, access.Admin); err != nil {
		return File{}, nil, err
	}
	f, err := m.d.Store.File(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return f, nil, fault.E(op, fault.NotFound, fault.Subject(id), "no statistics file with this id")
	}
	if err != nil {
		return f, nil, sqlkit.Fault(op, err)
	}
	r, _, err := m.d.Blobs.Open(ctx, iot.Management, blobKey(id), 0)
	return f, r, err
}

// LatestFile returns the file of the month that a day lies in.
func (m *Meter) LatestFile(ctx context.Context, p iot.Principal, day Day) (File, io.ReadCloser, error) {
	return m.ReadFile(ctx, p, "real-"+day.Start().Format("2006-01"))
}

func blobKey(id string) string { return "statistics/" + id }

const maxFile = 256 << 20

// file makes a file and keeps it. Its row comes last: what has a row has its content.
func (m *Meter) file(ctx context.Context, f File) (File, error) {
	f.Generated, f.Instance = m.d.Clock.Now().Truncate(time.Millisecond).UTC(), m.d.Instance
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	head := []string{"tenantId", "company", "day", "deviceCount", "deviceWithChildrenCount", "deviceEndpointCount", "storageSize"}
	_ = w.Write(append(head, counterNames[:]...)) // into memory
	tenants, err := m.d.Tenants.List(ctx, iot.System(iot.Management))
	if err != nil {
		return f, err
	}
	for _, t := range tenants {
		if err := m.ready(ctx, t.ID); err != nil {
			return f, err
		}
		days, err := m.d.Store.Days(ctx, t.ID, f.From, f.To)
		if err != nil {
			return f, err
		}
		for _, d := range days {
			row := []string{string(t.ID), t.Company, d.Day.Start().Format(time.DateOnly)}
			for _, n := range append([]int64{d.Devices, d.All, d.Endpoints, d.Storage}, d.Counts[:]...) {
				row = append(row, strconv.FormatInt(n, 10))
			}
			_ = w.Write(row)
		}
	}
	w.Flush()
	if _, _, err := m.d.Blobs.Put(ctx, iot.Management, blobKey(f.ID), &text, maxFile); err != nil {
		return f, fmt.Errorf("keep the file: %w", err)
	}
	return f, m.d.Store.CreateFile(ctx, f)
}
