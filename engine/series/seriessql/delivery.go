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

// remember writes what the entries brought of each client into the next slot of its ring.
func remember(ctx context.Context, tx pgx.Tx, entries []series.Entry) error {
	var from []series.Entry
	for _, e := range entries {
		if e.From != nil {
			from = append(from, e)
		}
	}
	if len(from) == 0 {
		return nil
	}
	slices.SortStableFunc(from, func(x, y series.Entry) int {
		return cmp.Or(cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(int64(x.From.Client), int64(y.From.Client)))
	})
	var tenants []string
	var clients []int64
	var what [][]byte
	for i, e := range from {
		if i == 0 || e.Tenant != from[i-1].Tenant || e.From.Client != from[i-1].From.Client {
			tenants, clients, what = append(tenants, string(e.Tenant)), append(clients, int64(e.From.Client)), append(what, nil)
		}
		what[len(what)-1] = series.AppendDelivery(what[len(what)-1], e.From)
	}
	_, err := tx.Exec(ctx, `INSERT INTO series_delivery AS d (tenant, client, slot, round, what)
		SELECT tenant, client, round % $4, round, what FROM (
			SELECT b.tenant, b.client, b.what, coalesce((SELECT max(o.round) FROM series_delivery o WHERE o.tenant = b.tenant AND o.client = b.client), 0) + 1 AS round
			FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS b(tenant, client, what)) AS n
		ON CONFLICT (tenant, client, slot) DO UPDATE SET round = excluded.round, what = excluded.what`, tenants, clients, what, series.Remembered)
	return err
}

// Connected implements series.Store.
func (s *Store) Connected(ctx context.Context, tenant iot.TenantID, client uint64, conn int64) error {
	const op = fault.Op("series.Connected")
	if err := cmp.Or(s.alive(), ctx.Err()); err != nil {
		return s.finish(op, tenant, err)
	}
	what := series.AppendDelivery(nil, &series.Delivery{Client: client, Conn: conn})
	_, err := s.pool.Exec(ctx, `INSERT INTO series_delivery AS d (tenant, client, slot, round, what)
		SELECT tenant, client, (max(round) + 1) % $4, max(round) + 1, $3 FROM series_delivery WHERE tenant = $1 AND client = $2 GROUP BY tenant, client
		ON CONFLICT (tenant, client, slot) DO UPDATE SET round = excluded.round, what = excluded.what`, string(tenant), int64(client), what, series.Remembered)
	return s.finish(op, tenant, err)
}

// Deliveries implements series.Store.
func (s *Store) Deliveries(ctx context.Context, tenant iot.TenantID, client uint64) (out []series.Delivery, err error) {
	const op = fault.Op("series.Deliveries")
	if err := cmp.Or(s.alive(), ctx.Err()); err != nil {
		return nil, s.finish(op, tenant, err)
	}
	rows, err := s.pool.Query(ctx, `SELECT what FROM series_delivery WHERE tenant = $1 AND client = $2 ORDER BY round`, string(tenant), int64(client))
	if err != nil {
		return nil, s.finish(op, tenant, err)
	}
	var what []byte
	_, err = pgx.ForEachRow(rows, []any{&what}, func() error {
		var ok bool
		if out, ok = series.ParseDeliveries(out, client, what); !ok {
			return fault.E(fault.Corrupt, "what a client delivered has a wrong length")
		}
		return nil
	})
	return out, s.finish(op, tenant, err)
}
