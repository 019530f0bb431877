package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/access"
)

// Query selects records, newest first unless Ascending.
type Query struct {
	Source      iot.ID
	Type        string
	User        string
	Application string
	From, To    time.Time // of Time; half-open; zero: unbounded
	Ascending   bool
	Offset      int
	Limit       int
}

// Store keeps audit records. It has no way to change or delete one. Safe for concurrent use.
type Store interface {
	// Append makes the records durable.
	Append(ctx context.Context, t iot.TenantID, records []iot.AuditRecord) error
	Get(ctx context.Context, t iot.TenantID, id iot.ID) (iot.AuditRecord, error)
	// List returns a page and the number of all that match.
	List(ctx context.Context, t iot.TenantID, q Query) ([]iot.AuditRecord, int, error)
	NextID(ctx context.Context, t iot.TenantID) (iot.ID, error)
}

// Deps is what Log needs.
type Deps struct {
	Store  Store
	Policy *access.Policy
	Clock  clock.Clock
	Log    *slog.Logger
	Reg    prometheus.Registerer
}

// Log is the face of the audit. It is safe for concurrent use.
type Log struct {
	d    Deps
	lost prometheus.Counter
}

// New returns the face.
func New(d Deps) *Log {
	l := &Log{d: d, lost: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_audit_lost_records_total", Help: "Audit records that could not be written."})}
	if d.Reg != nil {
		d.Reg.MustRegister(l.lost)
	}
	return l
}

// Record writes a record for something that p did. It does not fail the caller: a record that cannot be written is logged and counted.
// It implements access.Auditor.
func (l *Log) Record(ctx context.Context, p iot.Principal, r iot.AuditRecord) {
	if _, err := l.write(context.WithoutCancel(ctx), p, r); err != nil {
		l.lost.Inc()
		l.d.Log.Error("audit record lost", "tenant", p.Tenant, "user", p.User, "activity", r.Activity, "err", err)
	}
}

func (l *Log) write(ctx context.Context, p iot.Principal, r iot.AuditRecord) (iot.AuditRecord, error) {
	now := l.d.Clock.Now().Truncate(time.Millisecond)
	r.CreationTime = now
	if r.Time.IsZero() {
		r.Time = now
	}
	if r.User == "" {
		r.User = p.User
	}
	if r.Application == "" {
		r.Application = p.Application
	}
	if r.Severity == "" {
		r.Severity = "INFORMATION"
	}
	id, err := l.d.Store.NextID(ctx, p.Tenant)
	if err != nil {
		return r, err
	}
	r.ID = id
	return r, l.d.Store.Append(ctx, p.Tenant, []iot.AuditRecord{r})
}

// Create writes a record that an application or agent reports. owner is the owner of the record's source, empty without source.
func (l *Log) Create(ctx context.Context, p iot.Principal, r iot.AuditRecord, owner iot.UserName) (iot.AuditRecord, error) {
	const op = fault.Op("audit.Create")
	if err := l.d.Policy.Check(ctx, p, access.Audit, access.Admin, access.Object{ID: r.Source, Owner: owner}); err != nil {
		return r, err
	}
	switch {
	case r.Type == "" || r.Activity == "" || r.Text == "" || r.Time.IsZero():
		return r, fault.E(op, fault.Invalid, "Following mandatory fields should be included: type, activity, text, time")
	}
	r, err := l.write(ctx, p, r)
	if err != nil {
		return r, fault.E(op, err)
	}
	return r, nil
}

// Get returns one record.
func (l *Log) Get(ctx context.Context, p iot.Principal, id iot.ID) (iot.AuditRecord, error) {
	if err := l.d.Policy.Check(ctx, p, access.Audit, access.Read, access.Object{}); err != nil {
		return iot.AuditRecord{}, err
	}
	return l.d.Store.Get(ctx, p.Tenant, id)
}

// List returns a page of records and the number of all that match.
func (l *Log) List(ctx context.Context, p iot.Principal, q Query) ([]iot.AuditRecord, int, error) {
	if err := l.d.Policy.Check(ctx, p, access.Audit, access.Read, access.Object{}); err != nil {
		return nil, 0, err
	}
	records, n, err := l.d.Store.List(ctx, p.Tenant, q)
	if err != nil {
		return nil, 0, fault.E(fault.Op("audit.List"), err)
	}
	return records, n, nil
}
