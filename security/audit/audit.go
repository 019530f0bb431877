package audit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Query selects records, newest first unless Ascending.
type Query struct {
	Source      iot.ID
	Sources     []iot.ID // about one of these; nil: no condition
	Type        string
	User        string
	Application string
	From, To    time.Time // of Time; half-open; zero: unbounded
	Ascending   bool
	Offset      int
	Limit       int
}

// Old selects records whose time of keeping is over: those whose Time is before a time and, if they are given, about a source and of a type.
type Old struct {
	Before time.Time
	Source iot.ID
	Type   string
	Except []iot.Selector // these are kept; no record has a fragment
}

// Store keeps the chains. It has no way to change or delete a record, only to empty old ones. Safe for concurrent use.
type Store interface {
	// Append adds records to the end of a tenant's chain and makes them durable, all or none. It returns the head that it found and the signed
	// one that it left. Appends to one tenant take turns, across nodes.
	Append(ctx context.Context, t iot.TenantID, drafts []Draft, at time.Time) (before, after Head, err error)
	// Get returns a record; a stub is NotFound.
	Get(ctx context.Context, t iot.TenantID, id iot.ID) (iot.AuditRecord, error)
	// List returns a page and the number of all that match. Stubs match nothing.
	List(ctx context.Context, t iot.TenantID, q Query) ([]iot.AuditRecord, int, error)
	// Redact empties at most limit records that q selects, and returns how many. What stays is a signed stub.
	Redact(ctx context.Context, t iot.TenantID, q Old, limit int) (int, error)
	// Held counts what Redact would empty, the sources that it is about, and the bytes of it.
	Held(ctx context.Context, t iot.TenantID, q Old) (records, sources, bytes int64, err error)
	// Adopt moves at most limit records that were written before there was a chain to the ends of the chains, in the order of their ids, and
	// returns how many.
	Adopt(ctx context.Context, limit int, at time.Time) (int, error)
	// Heads returns the heads of all tenants.
	Heads(ctx context.Context) ([]Head, error)
	// HashOf returns the hash of a record; ok is false if there is none.
	HashOf(ctx context.Context, t iot.TenantID, seq uint64) (h Hash, ok bool, err error)
	// Witness returns what is remembered of a checkpoint file.
	Witness(ctx context.Context, file Hash) (w Witness, ok bool, err error)
	// PutWitness remembers a checkpoint file, unless more of it is known already.
	PutWitness(ctx context.Context, w Witness) error
}

// Deps is what Log needs.
type Deps struct {
	Store  Store
	Policy *access.Policy
	Clock  clock.Clock
	Log    *slog.Logger
	Reg    prometheus.Registerer

	Signer *Signer
	Trail  string // the checkpoint file; empty: none
	Keys   Keys   // of other nodes and of predecessors
	Shared bool   // other nodes may write to the same store, with keys that are not in Keys
}

// Log is the face of the audit. It is safe for concurrent use.
type Log struct {
	d      Deps
	lost   prometheus.Counter
	damage prometheus.Counter
	lanes  lanes
	marks  marks
	trail  *Trail // nil: none

	stop chan struct{} // closed by Close
	wg   sync.WaitGroup
	once sync.Once
}

// adoptBatch records get into the chain by one transaction.
const adoptBatch = 500

// New starts the log: it opens the checkpoint file, brings records from before the chain into it, and notes in the file where every chain ends.
func New(ctx context.Context, d Deps) (*Log, error) {
	l := &Log{d: d, stop: make(chan struct{}),
		lost:   prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_audit_lost_records_total", Help: "Audit records that could not be written."}),
		damage: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_audit_damage_total", Help: "Times that the audit was found changed from outside."})}
	l.lanes.init()
	l.marks.m = map[iot.TenantID]mark{}
	keys := Keys{}
	for id, k := range d.Keys {
		keys[id] = k
	}
	if err := keys.Add(d.Signer.Public()); err != nil {
		return nil, err
	}
	l.d.Keys = keys
	if d.Reg != nil {
		d.Reg.MustRegister(l.lost, l.damage)
	}
	found, err := l.openTrail(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit checkpoints: %w", err)
	}
	for {
		n, err := d.Store.Adopt(ctx, adoptBatch, d.Clock.Now())
		if err != nil {
			return nil, fmt.Errorf("bring audit records into the chain: %w", err)
		}
		if n == 0 {
			break
		}
		d.Log.Info("audit records from before the chain are in it now", "records", n)
	}
	if err := l.resume(ctx, found); err != nil {
		return nil, err
	}
	l.wg.Go(l.tick)
	return l, nil
}

// Close writes what waits, notes in the checkpoint file where every chain ends, and refuses further records.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.lanes.close()
		close(l.stop)
		l.wg.Wait()
		l.Checkpoint(context.Background())
	})
	if l.trail == nil {
		return nil
	}
	return l.trail.Close()
}

// Record writes a record for something that p did. It does not fail the caller: a record that cannot be written is logged and counted.
// It returns when the record is durable. It implements access.Auditor.
func (l *Log) Record(ctx context.Context, p iot.Principal, r iot.AuditRecord) {
	if _, err := l.write(p, r); err != nil {
		l.lost.Inc()
		l.d.Log.Error("audit record lost", "tenant", p.Tenant, "user", p.User, "activity", r.Activity, "err", err)
	}
}

func (l *Log) write(p iot.Principal, r iot.AuditRecord) (iot.AuditRecord, error) {
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
	draft, err := NewDraft(r)
	if err != nil {
		return r, fault.E(fault.Op("audit.Record"), fault.Invalid, err)
	}
	r.ID, err = l.append(p.Tenant, draft)
	return r, err
}

// Limits of a record that comes over the API, in characters and entries.
const (
	maxType     = 256
	maxActivity = 1024
	maxText     = 16 << 10
	maxName     = 1024
	maxChanges  = 1000
)

// maxAhead is how far the clocks of clients may be wrong.
const maxAhead = 24 * time.Hour

// reportedBy is the fragment that says who reported a record. What the platform itself observed has none.
const reportedBy = "isobar_ReportedBy"

// Create writes a record that an application or agent reports. subject describes the record's source to the policy, zero without source. Who
// reports a record is named in it, so that nothing that a client made up looks like what the platform observed.
func (l *Log) Create(ctx context.Context, p iot.Principal, r iot.AuditRecord, subject access.Object) (iot.AuditRecord, error) {
	const op = fault.Op("audit.Create")
	if err := l.d.Policy.Check(ctx, p, access.Audit, access.Admin, subject); err != nil {
		return r, err
	}
	if err := validate(op, &r); err != nil {
		return r, err
	}
	if r.Time.After(l.d.Clock.Now().Add(maxAhead)) {
		return r, fault.E(op, fault.Invalid, fault.Subject("time"), "time lies more than 24 hours in the future")
	}
	r.Fragments = r.Fragments.Without(reportedBy).SetText(reportedBy, string(p.User))
	r, err := l.write(p, r)
	if err != nil {
		return r, fault.E(op, err)
	}
	return r, nil
}

// validate refuses what makes no sense as a record and what is too large.
func validate(op fault.Op, r *iot.AuditRecord) error {
	if r.Type == "" || r.Activity == "" || r.Text == "" || r.Time.IsZero() {
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: type, activity, text, time")
	}
	switch r.Severity = strings.ToUpper(r.Severity); r.Severity {
	case "", "CRITICAL", "MAJOR", "MINOR", "WARNING", "INFORMATION":
	default:
		return fault.Errorf(op, fault.Invalid, "the severity %.40q is none of CRITICAL, MAJOR, MINOR, WARNING, INFORMATION", r.Severity)
	}
	for _, f := range [...]struct {
		name, value string
		max         int
	}{{"type", r.Type, maxType}, {"activity", r.Activity, maxActivity}, {"text", r.Text, maxText}, {"user", string(r.User), maxName}, {"application", r.Application, maxName}} {
		if len(f.value) > f.max && utf8.RuneCountInString(f.value) > f.max {
			return fault.E(op, fault.Invalid, fault.Subject(f.name), fmt.Sprintf("%s has more than %d characters", f.name, f.max))
		}
	}
	if len(r.Changes) > maxChanges {
		return fault.E(op, fault.Invalid, fault.Subject("changes"), fmt.Sprintf("changes has more than %d entries", maxChanges))
	}
	return nil
}

// Get returns one record. subject describes the record's source to the policy; it is asked for who has no permission to read the audit.
func (l *Log) Get(ctx context.Context, p iot.Principal, id iot.ID, subject func(source iot.ID, fragments []string) access.Object) (iot.AuditRecord, error) {
	denied := l.d.Policy.Check(ctx, p, access.Audit, access.Read, access.Object{})
	if denied != nil && len(p.Grants) == 0 {
		return iot.AuditRecord{}, denied
	}
	r, err := l.d.Store.Get(ctx, p.Tenant, id)
	if err != nil {
		if denied != nil { // which records there are is nothing to know for who may read none of them
			return r, denied
		}
		return r, sqlkit.Fault("audit.Get", err)
	}
	if denied != nil {
		if r.Source == 0 {
			return iot.AuditRecord{}, denied
		}
		if err := l.d.Policy.Check(ctx, p, access.Audit, access.Read, subject(r.Source, access.Names(p, r.Fragments))); err != nil {
			return iot.AuditRecord{}, err
		}
	}
	return r, nil
}

// List returns a page of records and the number of all that match.
func (l *Log) List(ctx context.Context, p iot.Principal, q Query) ([]iot.AuditRecord, int, error) {
	if err := l.d.Policy.Check(ctx, p, access.Audit, access.Read, access.Object{}); err != nil {
		return nil, 0, err
	}
	records, n, err := l.d.Store.List(ctx, p.Tenant, q)
	if err != nil {
		return nil, 0, sqlkit.Fault("audit.List", err)
	}
	return records, n, nil
}

// redactBatch records are emptied by one transaction.
const redactBatch = 200

// Held counts what Forget would empty, the sources that it is about, and the bytes of it. It acts for the platform.
func (l *Log) Held(ctx context.Context, t iot.TenantID, q Old) (records, sources, bytes int64, err error) {
	records, sources, bytes, err = l.d.Store.Held(ctx, t, q)
	return records, sources, bytes, sqlkit.Fault("audit.Held", err)
}

// Forget empties the records of a tenant that q selects, for the retention rules of the platform, and returns how many. Their number
// and hash stay, so that the chain still verifies, and a record says what was done, also when not all of it could be.
func (l *Log) Forget(ctx context.Context, t iot.TenantID, q Old) (int, error) {
	const op = fault.Op("audit.Forget")
	total := 0
	var failed error
	for {
		n, err := l.d.Store.Redact(ctx, t, q, redactBatch)
		total += n
		if err != nil {
			failed = sqlkit.Fault(op, err)
		}
		if err != nil || n < redactBatch {
			break
		}
	}
	if total == 0 {
		return 0, failed
	}
	_, err := l.write(iot.System(t), iot.AuditRecord{Type: "Audit", Activity: "Audit records removed",
		Text: fmt.Sprintf("%d audit records from before %s were removed by retention", total, iot.FormatTime(q.Before))})
	if failed == nil && err != nil {
		failed = fault.E(op, err)
	}
	return total, failed
}
