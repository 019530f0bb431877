package registrysql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

func supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old iot.ManagedObject, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindManagedObject), ID: old.ID.String(), From: old.LastUpdated, Until: rev, Deleted: deleted, Doc: doc,
		Row: sqlkit.Row{Table: "managed_object", ID: int64(old.ID)}, Object: int64(old.ID)})
}

// History implements registry.Store.
func (s *Store) History(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]registry.Version, error) {
	rows, err := s.db.Versions(ctx, string(t), string(iot.KindManagedObject), id.String(), at)
	if err != nil {
		return nil, err
	}
	out := make([]registry.Version, len(rows))
	for i, r := range rows {
		out[i] = registry.Version{From: r.From, Until: r.Until, Deleted: r.Deleted}
		if err := json.Unmarshal(r.Doc, &out[i].Object); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Former implements registry.Store.
func (s *Store) Former(ctx context.Context, t iot.TenantID, at time.Time, limit int, match func(iot.ManagedObject) bool) (out []iot.ManagedObject, looked int, err error) {
	err = s.db.EachAsOf(ctx, string(t), string(iot.KindManagedObject), at, limit, func(v sqlkit.Superseded) error {
		looked++
		var o iot.ManagedObject
		if err := json.Unmarshal(v.Doc, &o); err != nil {
			return err
		}
		if match(o) {
			out = append(out, o)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b iot.ManagedObject) int { return cmp.Compare(a.ID, b.ID) })
	out = slices.CompactFunc(out, func(a, b iot.ManagedObject) bool { return a.ID == b.ID }) // clocks of nodes may have disagreed
	return out, looked, err
}

// Ended implements registry.Store.
func (s *Store) Ended(ctx context.Context, t iot.TenantID, after time.Time, limit int) (int, error) {
	return s.db.Ended(ctx, string(t), string(iot.KindManagedObject), after, limit)
}

// AsOf implements registry.Store.
func (s *Store) AsOf(ctx context.Context, t iot.TenantID, want []iot.ID, at time.Time) (out []iot.ManagedObject, err error) {
	found := make(map[iot.ID]iot.ManagedObject, len(want))
	for part := range slices.Chunk(want, chunk) {
		now, err := s.Get(ctx, t, part...) // first, as in NeighboursAsOf
		if err != nil {
			return nil, err
		}
		for _, o := range now {
			if !o.LastUpdated.After(at) {
				found[o.ID] = o.ManagedObject
			}
		}
		args := append(append([]any{string(t)}, ids(part)...), at.UnixMilli(), at.UnixMilli())
		err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
			var doc []byte
			if err := r.Scan(&doc); err != nil {
				return err
			}
			var o iot.ManagedObject
			err := json.Unmarshal(doc, &o)
			found[o.ID] = o
			return err
		}, `SELECT doc FROM history WHERE tenant = ? AND object <> 0 AND object IN `+sqlkit.In(len(part))+` AND kind = '`+string(iot.KindManagedObject)+`' AND valid_to > ? AND valid_from <= ? ORDER BY seq`, args...)
		if err != nil {
			return nil, err
		}
	}
	for _, id := range want {
		if o, ok := found[id]; ok {
			out = append(out, o)
			delete(found, id)
		}
	}
	return out, nil
}
