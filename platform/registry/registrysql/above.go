package registrysql

import (
	"context"
	"database/sql"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// The table object_above holds every pair of an object and one above it through any relation, and each object above itself. It makes
// inherited access a look-up, at the price of a row per pair when relations change.

// raise adds what a new relation makes: all above the parent is now above all below the child.
func raise(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, parent, child iot.ID) error {
	_, err := tx.Exec(ctx, `INSERT INTO object_above (tenant, ancestor, id)
		SELECT a.tenant, a.ancestor, d.id FROM object_above a CROSS JOIN object_above d WHERE a.tenant = ? AND a.id = ? AND d.tenant = ? AND d.ancestor = ?
		ON CONFLICT (tenant, ancestor, id) DO NOTHING`, string(t), int64(parent), string(t), int64(child))
	return err
}

// lower mends the pairs after relations of child to what is above it went: what was above parent is above all from child downwards only if
// another way leads there. parent may be child itself, which then must have no relation upwards left: all above it is looked at.
//
// Pairs within what hangs from child do not change. Everything else above it now comes through a relation that enters from outside, of which
// there are few or none: each is raised anew.
func lower(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, parent, child iot.ID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM object_above WHERE tenant = ? AND id IN (SELECT d.id FROM object_above d WHERE d.tenant = ? AND d.ancestor = ?)
		AND ancestor IN (SELECT a.ancestor FROM object_above a WHERE a.tenant = ? AND a.id = ? AND a.ancestor <> ?)`,
		string(t), string(t), int64(child), string(t), int64(parent), int64(child)); err != nil {
		return err
	}
	var entries [][2]iot.ID
	err := sqlkit.Each(ctx, tx, func(r *sql.Rows) error {
		var above, below int64
		err := r.Scan(&above, &below)
		entries = append(entries, [2]iot.ID{iot.ID(above), iot.ID(below)})
		return err
	}, `SELECT DISTINCT c.parent, c.child FROM object_above d CROSS JOIN object_child c WHERE d.tenant = ? AND d.ancestor = ? AND c.tenant = ? AND c.child = d.id
		AND NOT EXISTS (SELECT 1 FROM object_above i WHERE i.tenant = ? AND i.ancestor = ? AND i.id = c.parent)`,
		string(t), int64(child), string(t), string(t), int64(child))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := raise(ctx, tx, t, e[0], e[1]); err != nil {
			return err
		}
	}
	return nil
}

// bury removes an object whose relations are gone already; what was above it may be above what was below it no more.
func bury(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID) error {
	if err := lower(ctx, tx, t, id, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM object_above WHERE tenant = ? AND (id = ? OR ancestor = ?)`, string(t), int64(id), int64(id))
	return err
}

// Ancestors implements registry.Relations.
func (s *Store) Ancestors(ctx context.Context, t iot.TenantID, id iot.ID) (out []iot.ID, err error) {
	err = s.eachID(ctx, func(id iot.ID) { out = append(out, id) }, `SELECT ancestor FROM object_above WHERE tenant = ? AND id = ? AND ancestor <> ?`, string(t), int64(id), int64(id))
	return out, err
}

func (s *Store) eachID(ctx context.Context, fn func(iot.ID), query string, args ...any) error {
	return sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		fn(iot.ID(id))
		return err
	}, query, args...)
}

// way is one way into a scope: the rows of a table that an index gives in the order of id.
type way struct {
	from string // with the alias w, whose column id is the object
	cond string
	args []any
}

// ways returns the ways into a scope, each for itself, so that each reads an index in the order of id.
func ways(t iot.TenantID, scope access.Scope) (out []way) {
	below, alone := scope.Roots()
	for _, root := range below {
		out = append(out, way{"object_above w", "w.tenant = ? AND w.ancestor = ?", []any{string(t), int64(root)}})
	}
	for _, id := range alone {
		out = append(out, way{"managed_object w", "w.tenant = ? AND w.id = ?", []any{string(t), int64(id)}})
	}
	if scope.Owner != "" {
		out = append(out, way{"managed_object w", "w.tenant = ? AND w.owner = ?", []any{string(t), string(scope.Owner)}})
	}
	if scope.Global {
		out = append(out, way{"managed_object w", "w.tenant = ? AND w.is_global = 1", []any{string(t)}})
	}
	return out
}

// Reach implements registry.Store.
func (s *Store) Reach(ctx context.Context, t iot.TenantID, scope access.Scope, limit int) (out []iot.ID, complete bool, err error) {
	if scope.Wide() {
		return nil, false, nil
	}
	together := ways(t, access.Scope{Owner: scope.Owner, Global: scope.Global})
	below, alone := scope.Roots()
	for _, part := range []struct {
		way  way
		key  string
		list []iot.ID
	}{{way{from: "object_above w"}, "w.ancestor", below}, {way{from: "managed_object w"}, "w.id", alone}} {
		if len(part.list) > 0 {
			cond, list := sqlkit.AnyID(s.db.Dialect, part.key, part.list)
			part.way.cond, part.way.args = "w.tenant = ? AND "+cond, []any{string(t), list}
			together = append(together, part.way)
		}
	}
	seen := map[iot.ID]bool{}
	for _, w := range together {
		n := 0
		err := s.eachID(ctx, func(id iot.ID) {
			n++
			if !seen[id] {
				seen[id] = true
				out = append(out, id)
			}
		}, `SELECT w.id FROM `+w.from+` WHERE `+w.cond+` LIMIT ?`, append(w.args, limit+1)...)
		if err != nil || n > limit || len(out) > limit { // n counts an object as often as it is below a root: near enough
			return nil, false, err
		}
	}
	return out, true, nil
}
