package registrysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
	var rows []sqlkit.Superseded
	var err error
	if at.IsZero() {
		rows, err = s.db.History(ctx, string(t), string(iot.KindManagedObject), id.String())
	} else {
		rows = make([]sqlkit.Superseded, 1)
		if rows[0], err = s.db.AsOf(ctx, string(t), string(iot.KindManagedObject), id.String(), at); errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
	}
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
