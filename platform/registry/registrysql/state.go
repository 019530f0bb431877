package registrysql

import (
	"context"
	"database/sql"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// Touch implements registry.States.
func (s *Store) Touch(ctx context.Context, t iot.TenantID, touches map[iot.ID]registry.Touch) error {
	defer s.moved(t, states)
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for id, x := range touches {
			_, err := tx.Exec(ctx, `INSERT INTO object_state (tenant, id, last_message, availability, connection)
				SELECT m.tenant, m.id, CAST(? AS BIGINT), ?, ? FROM managed_object m WHERE m.tenant = ? AND m.id = ?
				ON CONFLICT (tenant, id) DO UPDATE SET
					last_message = CASE WHEN excluded.last_message > object_state.last_message THEN excluded.last_message ELSE object_state.last_message END,
					availability = CASE WHEN excluded.availability = '' THEN object_state.availability ELSE excluded.availability END,
					connection = CASE WHEN excluded.connection = '' THEN object_state.connection ELSE excluded.connection END`,
				sqlkit.Millis(x.LastMessage), x.Availability, x.Connection, string(t), int64(id))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SetAlarms implements registry.States.
func (s *Store) SetAlarms(ctx context.Context, t iot.TenantID, id iot.ID, c registry.Counters) error {
	defer s.moved(t, states)
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO object_state (tenant, id, has_alarms, critical, major, minor, warning)
			SELECT m.tenant, m.id, 1, CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT) FROM managed_object m WHERE m.tenant = ? AND m.id = ?
			ON CONFLICT (tenant, id) DO UPDATE SET has_alarms = 1, critical = excluded.critical, major = excluded.major, minor = excluded.minor, warning = excluded.warning`,
			c.Critical, c.Major, c.Minor, c.Warning, string(t), int64(id))
		return err
	})
}

// Overdue implements registry.States. An object that was never heard of counts from its creation.
func (s *Store) Overdue(ctx context.Context, t iot.TenantID, now time.Time) (out []iot.ID, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		out = append(out, iot.ID(id))
		return err
	}, `SELECT s.id FROM object_state s JOIN managed_object m ON m.tenant = s.tenant AND m.id = s.id
		WHERE s.tenant = ? AND s.required > 0 AND s.availability <> 'UNAVAILABLE'
		AND CASE WHEN s.last_message > 0 THEN s.last_message ELSE m.created END + s.required * 60000 < ? ORDER BY s.id`, string(t), now.UnixMilli())
	return out, err
}
