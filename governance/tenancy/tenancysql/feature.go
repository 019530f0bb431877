package tenancysql

import (
	"context"
	"database/sql"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Overrides implements tenancy.Store.
func (s *Store) Overrides(ctx context.Context, feature string) (map[iot.TenantID]bool, error) {
	out := map[iot.TenantID]bool{}
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var t iot.TenantID
		var active int64
		err := r.Scan(&t, &active)
		out[t] = active != 0
		return err
	}, `SELECT tenant, active FROM tenant_feature WHERE feature = ?`, feature)
	return out, err
}

// SetOverride implements tenancy.Store.
func (s *Store) SetOverride(ctx context.Context, t iot.TenantID, feature string, active *bool) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if active == nil {
			_, err := tx.Exec(ctx, `DELETE FROM tenant_feature WHERE tenant = ? AND feature = ?`, string(t), feature)
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO tenant_feature (tenant, feature, active) VALUES (?,?,?)
			ON CONFLICT (tenant, feature) DO UPDATE SET active = excluded.active`, string(t), feature, sqlkit.Bool(*active))
		return err
	})
}

// LockOption implements tenancy.Store.
func (s *Store) LockOption(ctx context.Context, t iot.TenantID, key tenancy.OptionKey, locked bool) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE tenant_option SET locked = ? WHERE tenant = ? AND category = ? AND key = ?`, sqlkit.Bool(locked), string(t), key.Category, key.Key)
		if err == nil && n == 0 {
			err = sql.ErrNoRows
		}
		return err
	})
}

// Reseal implements tenancy.Store.
func (s *Store) Reseal(ctx context.Context, t iot.TenantID, key tenancy.OptionKey, before, after string) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM history WHERE tenant = ? AND kind = ? AND id = ?`, string(t), string(iot.KindOption), key.Category+"/"+key.Key); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tenant_option SET value = ? WHERE tenant = ? AND category = ? AND key = ? AND value = ?`, after, string(t), key.Category, key.Key, before)
		return err
	})
}
