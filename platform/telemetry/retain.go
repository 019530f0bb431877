package telemetry

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// RetentionQuery selects the documents whose time of keeping is over. Zero values are no condition.
type RetentionQuery struct {
	Before         time.Time // required: older ones go
	Source         iot.ID
	Type, Fragment string
	Except         []iot.Selector // these are kept
}

func (q RetentionQuery) check(op fault.Op) error {
	if q.Before.IsZero() {
		return fault.E(op, fault.Invalid, "a rule of retention needs an age")
	}
	return nil
}

func (q RetentionQuery) series() series.Query {
	return series.Query{Source: q.Source, To: series.Bound(q.Before), Type: q.Type, Fragment: q.Fragment, Except: q.Except}
}

// Retain removes the measurements that a rule of retention no longer wants and returns how many; it is for the system, without a principal.
// The work grows with the number of sources and with what goes, not with what stays. The fact that it publishes names no measurement.
func (tm *Telemetry) Retain(ctx context.Context, t iot.TenantID, q RetentionQuery) (int64, error) {
	const op = fault.Op("telemetry.Retain")
	if err := q.check(op); err != nil {
		return 0, err
	}
	n, err := tm.d.Series.Delete(ctx, t, q.series())
	if n > 0 {
		gone := MeasurementBatch{Action: iot.Deleted}
		tm.d.Bus.Publish(bus.Subject(t, string(iot.KindMeasurement), string(iot.Deleted)), gone.AppendTo(nil))
	}
	return n, sqlkit.Fault(op, err)
}

// Held is how many documents a query of retention selects, and of how many sources.
type Held struct {
	Documents, Sources int64
	Bytes              int64 // of names, units, texts and values, as they are written in JSON
	More               bool  // counting ended at MaxHeld
}

// MaxHeld is how many measurements HeldMeasurements counts at most, since it has to read them.
const MaxHeld = 1 << 20

// HeldMeasurements counts what Retain would remove, up to MaxHeld. It acts for the platform.
func (tm *Telemetry) HeldMeasurements(ctx context.Context, t iot.TenantID, q RetentionQuery) (h Held, err error) {
	const op = fault.Op("telemetry.HeldMeasurements")
	if err := q.check(op); err != nil {
		return h, err
	}
	sources := map[iot.ID]struct{}{}
	err = tm.d.Series.Scan(ctx, t, q.series(), func(m *iot.Measurement) bool {
		if h.Documents == MaxHeld {
			h.More = true
			return false
		}
		h.Documents++
		h.Bytes += sizeOf(m)
		sources[m.Source] = struct{}{}
		return true
	})
	h.Sources = int64(len(sources))
	return h, sqlkit.Fault(op, err)
}

func sizeOf(m *iot.Measurement) int64 {
	var number [40]byte
	n := len(m.Type)
	for i := range m.Samples {
		s := &m.Samples[i]
		n += len(s.Fragment) + len(s.Series) + len(s.Unit) + len(s.Value.AppendTo(number[:0]))
	}
	for _, x := range m.Extra {
		n += len(x.Name) + len(x.Raw)
	}
	return int64(n)
}

func (q RetentionQuery) sources() []iot.ID {
	if q.Source == 0 {
		return nil
	}
	return []iot.ID{q.Source}
}

func (q RetentionQuery) events() EventQuery {
	return EventQuery{Sources: q.sources(), Type: q.Type, Fragment: q.Fragment, Except: q.Except, To: q.Before, Ascending: true}
}

// alarms selects cleared ones: what is still wrong is never too old.
func (q RetentionQuery) alarms() AlarmQuery {
	a := AlarmQuery{Sources: q.sources(), Statuses: []iot.AlarmStatus{iot.Cleared}, Except: q.Except, To: q.Before}
	if q.Type != "" {
		a.Types = []string{q.Type}
	}
	return a
}

// RetainEvents is Retain for events: it removes them with their attachments and their versions, in batches of DeleteBatch. Nothing is published.
func (tm *Telemetry) RetainEvents(ctx context.Context, t iot.TenantID, q RetentionQuery) (n int64, err error) {
	const op = fault.Op("telemetry.RetainEvents")
	if err := q.check(op); err != nil {
		return 0, err
	}
	for old := q.events(); ; {
		gone, err := tm.d.Store.ExpireEvents(ctx, t, old)
		n += int64(len(gone))
		detach(context.WithoutCancel(ctx), tm.d, t, gone)
		if err != nil || len(gone) < DeleteBatch {
			return n, sqlkit.Fault(op, err)
		}
		old.From = gone[len(gone)-1].Time // what is kept before that is not looked at again
	}
}

// HeldEvents counts what RetainEvents would remove.
func (tm *Telemetry) HeldEvents(ctx context.Context, t iot.TenantID, q RetentionQuery) (Held, error) {
	h, err := tm.d.Store.HeldEvents(ctx, t, q.events())
	return h, sqlkit.Fault("telemetry.HeldEvents", err)
}

// RetainAlarms is RetainEvents for alarms that are cleared. They have no fragment.
func (tm *Telemetry) RetainAlarms(ctx context.Context, t iot.TenantID, q RetentionQuery) (n int64, err error) {
	const op = fault.Op("telemetry.RetainAlarms")
	if q.Before.IsZero() || q.Fragment != "" {
		return 0, fault.E(op, fault.Invalid, "a rule of retention for alarms needs an age and no fragment")
	}
	for old := q.alarms(); ; {
		gone, err := tm.d.Store.ExpireAlarms(ctx, t, old)
		n += int64(len(gone))
		if err != nil || len(gone) < DeleteBatch {
			return n, sqlkit.Fault(op, err)
		}
		old.From = gone[len(gone)-1].Time
	}
}

// HeldAlarms counts what RetainAlarms would remove.
func (tm *Telemetry) HeldAlarms(ctx context.Context, t iot.TenantID, q RetentionQuery) (Held, error) {
	h, err := tm.d.Store.HeldAlarms(ctx, t, q.alarms())
	return h, sqlkit.Fault("telemetry.HeldAlarms", err)
}
