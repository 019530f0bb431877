package telemetry

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// MeasurementQuery selects measurements, oldest first unless Reverse. All conditions must hold, zero values are none.
type MeasurementQuery struct {
	Source                 iot.ID
	Type, Fragment, Series string
	From, To               time.Time // half-open; equal bounds mean that instant
	Reverse                bool
	Offset, Limit          int
	Count                  bool // also count all that match, which reads all of them
}

// SeriesQuery asks for the values of series of one source, raw, per bucket or drawn with few points. See series.Aggregation.
type SeriesQuery struct {
	Source   iot.ID
	From, To time.Time // as in MeasurementQuery
	Series   []series.Key
	Interval series.Interval
	// Zone is whose clocks bound the buckets; nil means that of the tenant, see Zone.
	Zone        *time.Location
	Percentiles []float64
	MaxPoints   int
	Method      series.Method
	Reverse     bool
	Limit       int
}

// ZoneCategory and ZoneKey name the tenant's option with the IANA name of its time zone, which bounds the buckets of aggregates; UTC without it.
const (
	ZoneCategory = "configuration"
	ZoneKey      = "timezone"
)

func (q MeasurementQuery) query() series.Query {
	window(&q.From, &q.To)
	return series.Query{Source: q.Source, From: series.Bound(q.From), To: series.Bound(q.To), Type: q.Type, Fragment: q.Fragment, Series: q.Series,
		Reverse: q.Reverse}
}

// Submit hands one measurement, whose writer was authorized already, to the batcher of the process and returns. done is called once, with
// nil when the measurement is durable and published, from the batcher's goroutine: it must not block. m and what it points to must not
// change until then; its Seq is set. Submit blocks while the queue is full; if ctx ends meanwhile, done is called at once. from, which may be
// nil, names the delivery that brought the measurement, so that Delivered finds it once it is stored.
func (tm *Telemetry) Submit(ctx context.Context, t iot.TenantID, m *iot.Measurement, mode iot.ProcessingMode, from *series.Delivery, done func(error)) {
	// What no driver takes must not spoil the batch of the others.
	err := series.Check([]series.Entry{{Tenant: t, M: m}})
	if err == nil {
		err = tm.timely(ctx, t, m)
	}
	if err != nil {
		tm.Refused(t, m.Source, err)
		done(err)
		return
	}
	tm.batch.submit(ctx, submission{tenant: t, first: m, from: from, mode: mode, done: done})
}

// Delivered returns the deliveries of a client that are known to be stored, the latest series.Remembered commits of it at least, oldest first.
func (tm *Telemetry) Delivered(ctx context.Context, t iot.TenantID, client uint64) ([]series.Delivery, error) {
	return tm.d.Series.Deliveries(ctx, t, client)
}

// patience is how long Record waits for a place in the queue before it tells the caller to come again.
const patience = 2 * time.Second

// Connected says that a client has a new connection, by which Delivered tells what was delivered on the one before.
func (tm *Telemetry) Connected(ctx context.Context, t iot.TenantID, client uint64, conn int64) error {
	if err := tm.d.Series.Connected(ctx, t, client, conn); err != nil {
		return err
	}
	return sqlkit.Fault("telemetry.Connected", tm.d.Store.Connected(ctx, t, client, conn))
}

// Record stores measurements, all or none, and returns when they are durable. While the queue stays full it is Exhausted. It needs ROLE_MEASUREMENT_ADMIN or ownership of each source.
func (tm *Telemetry) Record(ctx context.Context, p iot.Principal, mode iot.ProcessingMode, ms []iot.Measurement) ([]iot.Measurement, error) {
	if len(ms) == 0 {
		return ms, nil
	}
	checked := map[iot.ID]bool{}
	for i := range ms {
		if len(p.Grants) > 0 {
			clear(checked) // what the decision depends on differs from one to the next
		}
		if err := tm.acceptable(ctx, p, &ms[i], checked); err != nil {
			if checked[ms[i].Source] { // it exists, and p may write to it
				tm.Refused(p.Tenant, ms[i].Source, err)
			}
			return nil, err
		}
	}
	result := make(chan error, 1)
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tm.batch.submit(wait, submission{tenant: p.Tenant, first: &ms[0], rest: ms[1:], mode: mode, done: func(err error) { result <- err }})
	// Once accepted it is committed whether the client waits or not, and ms must not change before that.
	if err := <-result; err != nil {
		return nil, err
	}
	return ms, nil
}

func (tm *Telemetry) acceptable(ctx context.Context, p iot.Principal, m *iot.Measurement, checked map[iot.ID]bool) error {
	const op = fault.Op("telemetry.Record")
	err := mandatory(op, unless(m.Source != 0, "source"), unless(!m.Time.IsZero(), "time"), unless(m.Type != "", "type"))
	if err != nil {
		return err
	}
	if !checked[m.Source] {
		if _, err := tm.d.Registry.Check(ctx, p, m.Source, access.Measurement, access.Admin, access.MeasuredNames(p, m)...); err != nil {
			return err
		}
		checked[m.Source] = true
	}
	m.Time, m.Seq = iot.FromMillis(m.Time.UnixMilli()), 0
	if err := series.Check([]series.Entry{{Tenant: p.Tenant, M: m}}); err != nil {
		return err
	}
	return tm.timely(ctx, p.Tenant, m)
}

// Measurement returns one measurement.
func (tm *Telemetry) Measurement(ctx context.Context, p iot.Principal, id iot.MeasurementID) (iot.Measurement, error) {
	m, err := tm.d.Series.Get(ctx, p.Tenant, id)
	if err != nil {
		return iot.Measurement{}, noDocument("telemetry.Measurement", "measurement", id.String(), err)
	}
	if err := tm.checkSource(ctx, p, m.Source, access.Measurement, access.Read, access.MeasuredNames(p, &m)...); err != nil {
		eye, lost := tm.eyeOn(ctx, p, m.Source)
		if lost != nil || !eye.see(&m) {
			return iot.Measurement{}, err
		}
	}
	return m, nil
}

// Measurements returns a page of what p may read, and the number of all of it if q.Count.
func (tm *Telemetry) Measurements(ctx context.Context, p iot.Principal, q MeasurementQuery) ([]iot.Measurement, int, error) {
	eyes, err := tm.eyes(ctx, p, q.Source)
	if err != nil {
		return nil, 0, err
	}
	var page []iot.Measurement
	switch len(eyes) {
	case 0:
		return nil, 0, nil
	case 1:
		q.Source = eyes[0].source
		total, err := tm.scan(ctx, p.Tenant, q, eyes[0], q.Offset, q.Limit, &page)
		return page, total, err
	}
	return tm.merged(ctx, p.Tenant, q, eyes)
}

// scan adds up to limit measurements to page and returns the number of all that match if q.Count.
func (tm *Telemetry) scan(ctx context.Context, t iot.TenantID, q MeasurementQuery, e eye, offset, limit int, page *[]iot.Measurement) (int, error) {
	sq, n := q.query(), 0
	if !q.Count {
		if limit <= 0 {
			return 0, nil
		}
		if e.all {
			sq.Offset, sq.Limit, offset = offset, limit, 0
		}
	}
	err := tm.d.Series.Scan(ctx, t, sq, func(m *iot.Measurement) bool {
		if e.all {
			if n >= offset && n < offset+limit {
				*page = append(*page, series.Copy(m))
			}
			n++
			return true
		}
		seen := series.Copy(m)
		if !e.see(&seen) || !sq.Match(&seen) { // what was taken from it must not be found either
			return true
		}
		if n >= offset && n < offset+limit {
			*page = append(*page, seen)
		}
		n++
		return q.Count || n < offset+limit
	})
	return n, sqlkit.Fault("telemetry.Measurements", err)
}

// DeleteMeasurements removes what q selects; it must name a source or a bound of time. It needs ROLE_MEASUREMENT_ADMIN, or ownership of
// the source that it names.
func (tm *Telemetry) DeleteMeasurements(ctx context.Context, p iot.Principal, q MeasurementQuery) error {
	const op = fault.Op("telemetry.DeleteMeasurements")
	if q.Source == 0 && q.From.IsZero() && q.To.IsZero() {
		return fault.E(op, fault.Invalid, "a deletion must name a source, dateFrom or dateTo")
	}
	if _, err := tm.writable(ctx, p, access.Measurement, q.Source); err != nil {
		return err
	}
	return tm.remove(ctx, op, p.Tenant, q.query())
}

// DeleteMeasurement removes one measurement.
func (tm *Telemetry) DeleteMeasurement(ctx context.Context, p iot.Principal, id iot.MeasurementID) error {
	const op = fault.Op("telemetry.DeleteMeasurement")
	m, err := tm.d.Series.Get(ctx, p.Tenant, id)
	if err != nil {
		return noDocument(op, "measurement", id.String(), err)
	}
	if err := tm.checkSource(ctx, p, id.Source, access.Measurement, access.Admin, access.MeasuredNames(p, &m)...); err != nil {
		return err
	}
	return tm.remove(ctx, op, p.Tenant, series.One(id))
}

// maxNamed is how many deleted measurements a fact names.
const maxNamed = 1000

func (tm *Telemetry) remove(ctx context.Context, op fault.Op, t iot.TenantID, q series.Query) error {
	gone := MeasurementBatch{Action: iot.Deleted}
	first := q
	first.Limit = maxNamed + 1
	err := tm.d.Series.Scan(ctx, t, first, func(m *iot.Measurement) bool {
		gone.Measurements = append(gone.Measurements, iot.Measurement{Source: m.Source, Time: m.Time, Seq: m.Seq})
		return true
	})
	if err != nil || len(gone.Measurements) == 0 {
		return sqlkit.Fault(op, err)
	}
	if len(gone.Measurements) > maxNamed {
		gone.Measurements = nil
	}
	fact := gone.AppendTo(nil)
	happened, err := tm.intendRemoval(ctx, t, gone, fact)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	_, err = tm.d.Series.Delete(ctx, t, q)
	happened(err)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	tm.d.Bus.Publish(bus.Subject(t, string(iot.KindMeasurement), string(iot.Deleted)), fact)
	return nil
}

// Series returns the values of series of one source, out of the measurements that p may see.
func (tm *Telemetry) Series(ctx context.Context, p iot.Principal, q SeriesQuery) (series.Chart, error) {
	const op = fault.Op("telemetry.Series")
	store, keys, err := tm.sightOf(ctx, p, q.Source, q.Series)
	if err != nil {
		return series.Chart{}, err
	}
	if q.Zone == nil && q.Interval != (series.Interval{}) {
		q.Zone = tm.zone(ctx, p.Tenant)
	}
	window(&q.From, &q.To)
	chart, err := series.Aggregate(ctx, store, p.Tenant, series.Aggregation{Source: q.Source, From: series.Bound(q.From), To: series.Bound(q.To),
		Series: keys, Interval: q.Interval, Zone: q.Zone, Percentiles: q.Percentiles, MaxPoints: q.MaxPoints, Method: q.Method, Reverse: q.Reverse, Limit: q.Limit})
	return chart, sqlkit.Fault(op, err)
}

// NextBucket returns when the bucket of q ends that holds a time, in Unix milliseconds.
func (tm *Telemetry) NextBucket(ctx context.Context, t iot.TenantID, q SeriesQuery, ms int64) time.Time {
	if q.Zone == nil {
		q.Zone = tm.zone(ctx, t)
	}
	_, end := q.Interval.BucketIn(ms, q.Zone)
	return iot.FromMillis(end)
}

// sightOf returns a store with what p may see of the measurements of a source, and which of the series asked for are among them.
func (tm *Telemetry) sightOf(ctx context.Context, p iot.Principal, source iot.ID, keys []series.Key) (series.Store, []series.Key, error) {
	_, err := tm.d.Registry.Check(ctx, p, source, access.Measurement, access.Read)
	if err == nil {
		return tm.d.Series, keys, nil
	}
	if !fault.Is(err, fault.Denied) || len(p.Grants) == 0 {
		return nil, nil, err
	}
	e, lost := tm.eyeOn(ctx, p, source)
	if lost != nil {
		return nil, nil, lost
	}
	if keys, lost = tm.seriesSeen(ctx, p.Tenant, source, keys, e); lost != nil {
		return nil, nil, lost
	}
	if len(keys) == 0 {
		return nil, nil, err
	}
	return seen{tm.d.Series, e}, keys, nil
}

// zone returns the time zone of a tenant. An option that is none is reported and taken for UTC.
func (tm *Telemetry) zone(ctx context.Context, t iot.TenantID) *time.Location {
	if tm.d.Option == nil {
		return time.UTC
	}
	name, ok := tm.d.Option(ctx, t, ZoneCategory, ZoneKey)
	if !ok || name == "" {
		return time.UTC
	}
	z, err := series.ParseZone(name)
	if err != nil {
		tm.d.Log.Warn("the time zone of a tenant", "tenant", t, "err", err)
		return time.UTC
	}
	return z
}

// Latest returns the newest values of series of some sources, by the time of their measurements, out of the measurements that p may see:
// of all series if keys is empty. It fails if there is a source of which p may see nothing.
func (tm *Telemetry) Latest(ctx context.Context, p iot.Principal, sources []iot.ID, keys []series.Key) ([]series.Latest, error) {
	var out []series.Latest
	for _, id := range sources {
		store, of, err := tm.sightOf(ctx, p, id, keys)
		if err != nil {
			return nil, err
		}
		values, err := series.Recall(ctx, store, p.Tenant, id, of)
		if err != nil {
			return nil, sqlkit.Fault("telemetry.Latest", err)
		}
		out = append(out, values...)
	}
	return out, nil
}

// SupportedSeries lists the series that a source has values of, for who may read the object or its measurements.
func (tm *Telemetry) SupportedSeries(ctx context.Context, p iot.Principal, source iot.ID) ([]series.Info, error) {
	if _, err := tm.d.Registry.Check(ctx, p, source, access.ManagedObject, access.Read); err != nil {
		if _, err := tm.d.Registry.Check(ctx, p, source, access.Measurement, access.Read); err != nil {
			return nil, err
		}
	}
	infos, err := tm.d.Series.Catalog(ctx, p.Tenant, source)
	return infos, sqlkit.Fault("telemetry.SupportedSeries", err)
}
