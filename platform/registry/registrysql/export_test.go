package registrysql

import (
	"context"
	"database/sql"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// NameAtMost makes lists name no more objects of a scope one by one, so that small stores try the other ways.
func (s *Store) NameAtMost(n int) *Store { s.small = n; return s }

// Plan returns the steps in which the engine finds the page of a list.
func (s *Store) Plan(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.Query) (out []string, err error) {
	b, along, err := s.prepare(ctx, t, scope, &q)
	if err != nil {
		return nil, err
	}
	l := listing{}
	if along != nil {
		l = b.along(along, q)
	} else {
		l = b.listing(q)
	}
	explain := "EXPLAIN "
	if s.db.Dialect == sqlkit.SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var id, parent, unused int64
		var step string
		var err error
		if s.db.Dialect == sqlkit.SQLite {
			err = r.Scan(&id, &parent, &unused, &step)
		} else {
			err = r.Scan(&step)
		}
		out = append(out, step)
		return err
	}, explain+l.page, l.pageArgs...)
	return out, err
}

// Forget makes lists count to their pages again.
func (s *Store) Forget() { s.positions = newPositions() }

// Unfill takes back what New entered for objects that are older than the index of texts.
func Unfill(ctx context.Context, db *sqlkit.DB) error {
	return db.Write(ctx, func(tx *sqlkit.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM object_value`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO object_value_filled (one, of_tenant, id) VALUES (1, '', 0)`)
		return err
	})
}
