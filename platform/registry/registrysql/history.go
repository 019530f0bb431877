package registrysql

import (
	"cmp"
	"context"
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
	var by, set string
	if err := tx.QueryRow(ctx, `SELECT rev_by, rev_set FROM managed_object WHERE tenant = ? AND id = ?`, string(t), int64(old.ID)).Scan(&by, &set); err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindManagedObject), ID: old.ID.String(), From: old.LastUpdated, Until: rev, Deleted: deleted, Doc: doc, FromBy: by, FromSet: set})
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
