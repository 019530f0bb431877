package seriespebble

import (
	"cmp"
	"context"
	"errors"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Scan implements series.Store.
func (s *Store) Scan(ctx context.Context, tenant iot.TenantID, q series.Query, fn func(m *iot.Measurement) bool) error {
	err := s.enter()
	if err == nil {
		defer s.leave()
		err = s.scan(ctx, tenant, &q, fn)
	}
	return s.finish("series.Scan", tenant, err)
}

func (s *Store) scan(ctx context.Context, tenant iot.TenantID, q *series.Query, fn func(m *iot.Measurement) bool) (err error) {
	if err := cmp.Or(ctx.Err(), q.Check()); err != nil {
		return err
	}
	v, err := s.view(ctx, tenant, q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	var out output
	for n := 0; q.Limit == 0 || n < q.Offset+q.Limit; n++ {
		r, err := v.next()
		if err != nil || r == nil {
			return err
		}
		if n < q.Offset {
			continue
		}
		if err := out.set(r, tenant); err != nil {
			return err
		}
		if !fn(&out.m) {
			return nil
		}
	}
	return nil
}

// output is the measurement that Scan shows, made anew of each record in the same memory.
type output struct {
	m     iot.Measurement
	shape *shape
}

func (o *output) set(r *record, tenant iot.TenantID) error {
	if o.shape != r.shape {
		o.shape = r.shape
		o.m.Type = r.shape.typ
		o.m.Samples = o.m.Samples[:0]
		for _, s := range r.shape.series {
			o.m.Samples = append(o.m.Samples, iot.Sample{Fragment: s.Fragment, Series: s.Series, Unit: s.Unit})
		}
	}
	for i, n := range r.nums {
		o.m.Samples[i].Value = n
	}
	o.m.Source, o.m.Time, o.m.Seq, o.m.Extra = r.source, iot.FromMillis(r.at.ms), r.at.seq, nil
	if len(r.extra) == 0 {
		return nil
	}
	doc, err := iot.ParseDoc(r.extra, iot.MaxDepth)
	if err != nil {
		return damaged(rowKey(nil, tenant, r.source, r.at), "free members: "+err.Error())
	}
	o.m.Extra = doc
	return nil
}

// Get implements series.Store.
func (s *Store) Get(ctx context.Context, tenant iot.TenantID, id iot.MeasurementID) (iot.Measurement, error) {
	const op = fault.Op("series.Get")
	var out iot.Measurement
	found := false
	if id.Source != 0 {
		err := s.Scan(ctx, tenant, series.One(id), func(m *iot.Measurement) bool {
			out, found = series.Copy(m), true
			return false
		})
		if err != nil {
			return out, fault.E(op, tenant, err)
		}
	}
	if !found {
		return out, fault.E(op, fault.NotFound, tenant, fault.Subject(id.String()))
	}
	return out, nil
}
