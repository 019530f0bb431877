package seriessql

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Delete implements series.Store.
func (s *Store) Delete(ctx context.Context, tenant iot.TenantID, q series.Query) (int64, error) {
	err := cmp.Or(s.alive(), ctx.Err(), q.CheckDelete())
	var n int64
	if err == nil {
		n, err = s.delete(ctx, tenant, &q)
	}
	return n, s.finish("series.Delete", tenant, err)
}

func (s *Store) delete(ctx context.Context, t iot.TenantID, q *series.Query) (int64, error) {
	c, err := s.where(ctx, t, q)
	if err != nil {
		return 0, err
	}
	tag, err := s.pool.Exec(ctx, "DELETE FROM series_measurement WHERE "+c.String(), c.args...)
	return tag.RowsAffected(), err
}

// DropTenant implements series.Store.
func (s *Store) DropTenant(ctx context.Context, tenant iot.TenantID) error {
	err := cmp.Or(s.alive(), ctx.Err())
	if err == nil && tenant == "" {
		err = fault.E(fault.Invalid, "the tenant must be named")
	}
	if err == nil {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return drop(ctx, tx, tenant) })
		s.shapes.reset()
	}
	return s.finish("series.DropTenant", tenant, err)
}

// drop leaves the shapes, which other nodes may have cached: without measurements nobody can read them.
func drop(ctx context.Context, tx pgx.Tx, tenant iot.TenantID) error {
	for _, table := range []string{"series_measurement", "series_catalog", "series_delivery"} {
		if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE tenant = $1", string(tenant)); err != nil {
			return err
		}
	}
	return nil
}

// Catalog implements series.Store. A shape counts for a source as long as the source has any measurement of it.
func (s *Store) Catalog(ctx context.Context, tenant iot.TenantID, source iot.ID) ([]series.Info, error) {
	err := cmp.Or(s.alive(), ctx.Err())
	var out []series.Info
	if err == nil {
		out, err = s.catalog(ctx, tenant, source)
	}
	return out, s.finish("series.Catalog", tenant, err)
}

// seen is a series in one shape, and when that shape was last used.
type seen struct {
	info series.Info
	last int64
}

func (s *Store) catalog(ctx context.Context, t iot.TenantID, source iot.ID) ([]series.Info, error) {
	rows, err := s.pool.Query(ctx, `SELECT u.fragment, u.name, u.unit, max(l.ms)
		FROM series_catalog c JOIN series_shape h ON h.tenant = c.tenant AND h.id = c.shape
		CROSS JOIN LATERAL unnest(h.fragments, h.series, h.units) AS u(fragment, name, unit)
		CROSS JOIN LATERAL (SELECT m.ms FROM series_measurement m WHERE m.tenant = c.tenant AND m.source = c.source AND m.shape = c.shape
			ORDER BY m.ms DESC LIMIT 1) AS l
		WHERE c.tenant = $1 AND ($2 = 0 OR c.source = $2) GROUP BY 1, 2, 3`, string(t), int64(source))
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x seen, err error) {
		return x, row.Scan(&x.info.Fragment, &x.info.Series, &x.info.Unit, &x.last)
	})
	slices.SortFunc(all, func(a, b seen) int {
		return cmp.Or(cmp.Compare(a.info.Fragment, b.info.Fragment), cmp.Compare(a.info.Series, b.info.Series), cmp.Compare(b.last, a.last))
	})
	all = slices.CompactFunc(all, func(a, b seen) bool { return a.info.Key == b.info.Key })
	out := make([]series.Info, 0, len(all))
	for _, x := range all {
		out = append(out, x.info)
	}
	return out, err
}
