package seriespebble

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Catalog implements series.Store.
func (s *Store) Catalog(ctx context.Context, tenant iot.TenantID, source iot.ID) ([]series.Info, error) {
	const op = fault.Op("series.Catalog")
	if err := s.enter(); err != nil {
		return nil, wrap(op, tenant, err)
	}
	defer s.leave()
	out, err := s.catalog(ctx, tenant, source)
	return out, s.finish(op, tenant, err)
}

func (s *Store) catalog(ctx context.Context, tenant iot.TenantID, source iot.ID) ([]series.Info, error) {
	q := &series.Query{Source: source}
	all, err := s.usage(ctx, tenant, q)
	if err != nil {
		return nil, err
	}
	units := map[series.Key][]string{}
	for number := range numbers(all) {
		sh, err := s.dict.shape(tenant, number)
		if err != nil {
			return nil, err
		}
		for _, i := range sh.series {
			if !slices.Contains(units[i.Key], i.Unit) {
				units[i.Key] = append(units[i.Key], i.Unit)
			}
		}
	}
	out := make([]series.Info, 0, len(units))
	for key, of := range units {
		unit := of[0]
		if len(of) > 1 {
			if unit, err = s.newestUnit(ctx, tenant, source, key); err != nil {
				return nil, err
			}
		}
		out = append(out, series.Info{Key: key, Unit: unit})
	}
	slices.SortFunc(out, func(a, b series.Info) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Series, b.Series))
	})
	return out, nil
}

func numbers(all []used) map[uint32]struct{} {
	out := map[uint32]struct{}{}
	for _, u := range all {
		for _, n := range u.shapes {
			out[n] = struct{}{}
		}
	}
	return out
}

// newestUnit decides between several units that a series has had.
func (s *Store) newestUnit(ctx context.Context, tenant iot.TenantID, source iot.ID, key series.Key) (unit string, err error) {
	q := series.Query{Source: source, Fragment: key.Fragment, Series: key.Series, Reverse: true, Limit: 1}
	err = s.scan(ctx, tenant, &q, func(m *iot.Measurement) bool {
		for i := range m.Samples {
			if at := &m.Samples[i]; at.Fragment == key.Fragment && at.Series == key.Series {
				unit = at.Unit
			}
		}
		return false
	})
	return unit, err
}

// usage reads which sources may have measurements that match a query, and of which shapes.
func (s *Store) usage(ctx context.Context, tenant iot.TenantID, q *series.Query) (all []used, err error) {
	v := &view{ctx: ctx, s: s, tenant: tenant, q: q, not: sift(q), shapes: map[uint32]wanted{}}
	low := appendTenant(nil, tagCatalog, tenant)
	if q.Source != 0 {
		low = appendSource(nil, tagCatalog, tenant, q.Source)
	}
	if v.packed, err = s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: after(low)}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	return v.catalog()
}
