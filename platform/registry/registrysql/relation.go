package registrysql

import (
	"context"
	"database/sql"
	"slices"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// Link implements registry.Relations.
func (s *Store) Link(ctx context.Context, t iot.TenantID, parent iot.ID, kind iot.ChildKind, children []iot.ID, rev sqlkit.Revision) (added []iot.ID, err error) {
	defer s.moved(t, structure)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		added, err = link(ctx, tx, t, parent, kind, children, rev)
		return err
	})
	return added, err
}

func link(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, parent iot.ID, kind iot.ChildKind, children []iot.ID, rev sqlkit.Revision) ([]iot.ID, error) {
	// Two links at once could close a circle that neither sees.
	if err := tx.Lock(ctx, "relations", string(t)); err != nil {
		return nil, err
	}
	all := append([]iot.ID{parent}, children...)
	slices.Sort(all)
	all = slices.Compact(all)
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM managed_object WHERE tenant = ? AND id IN `+sqlkit.In(len(all)), append([]any{string(t)}, ids(all)...)...).Scan(&n); err != nil {
		return nil, err
	}
	if n != len(all) {
		return nil, sql.ErrNoRows
	}
	above, err := walk(ctx, tx, t, parent, iot.ChildKinds[:], true)
	if err != nil {
		return nil, err
	}
	var added []iot.ID
	for _, c := range children {
		if c == parent || slices.Contains(above, c) {
			return nil, registry.ErrCycle
		}
		count, err := tx.Exec(ctx, `INSERT INTO object_child (tenant, parent, kind, child, since, rev_by, rev_set, pos)
			SELECT ?, ?, ?, ?, ?, ?, ?, COALESCE(MAX(pos), 0) + 1 FROM object_child WHERE tenant = ? AND parent = ? AND kind = ?
			ON CONFLICT (tenant, parent, kind, child) DO NOTHING`,
			string(t), int64(parent), int64(kind), int64(c), rev.At.UnixMilli(), rev.By, rev.Set, string(t), int64(parent), int64(kind))
		if err != nil {
			return nil, err
		}
		if count > 0 {
			added = append(added, c)
			if err := raise(ctx, tx, t, parent, c); err != nil {
				return nil, err
			}
		}
	}
	return added, nil
}

// Unlink implements registry.Relations.
func (s *Store) Unlink(ctx context.Context, t iot.TenantID, parent iot.ID, kind iot.ChildKind, children []iot.ID, rev sqlkit.Revision) (n int, err error) {
	defer s.moved(t, structure)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n = 0
		if err := tx.Lock(ctx, "relations", string(t)); err != nil {
			return err
		}
		for _, c := range children {
			count, err := unlink(ctx, tx, rev, `m.tenant = ? AND m.parent = ? AND m.kind = ? AND m.child = ?`, string(t), int64(parent), int64(kind), int64(c))
			if err != nil {
				return err
			}
			if n += int(count); count > 0 {
				if err := lower(ctx, tx, t, parent, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return n, err
}

// Neighbours implements registry.Relations.
func (s *Store) Neighbours(ctx context.Context, t iot.TenantID, of []iot.ID, parents bool) ([]registry.Relation, error) {
	here, there := "parent", "child"
	if parents {
		here, there = there, here
	}
	var out []registry.Relation
	for part := range slices.Chunk(of, chunk) {
		err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
			var parent, child, kind int64
			var name string
			err := r.Scan(&parent, &child, &kind, &name)
			out = append(out, registry.Relation{Parent: iot.ID(parent), Child: iot.ID(child), Kind: iot.ChildKind(kind), Name: name})
			return err
		}, `SELECT c.parent, c.child, c.kind, m.name FROM object_child c JOIN managed_object m ON m.tenant = c.tenant AND m.id = c.`+there+`
			WHERE c.tenant = ? AND c.`+here+` IN `+sqlkit.In(len(part))+` ORDER BY c.`+here+`, c.kind, c.pos, c.`+there, append([]any{string(t)}, ids(part)...)...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Descend implements registry.Relations.
func (s *Store) Descend(ctx context.Context, t iot.TenantID, root iot.ID, kinds []iot.ChildKind) ([]iot.ID, error) {
	return walk(ctx, s.db, t, root, kinds, false)
}

// Ascend implements registry.Relations.
func (s *Store) Ascend(ctx context.Context, t iot.TenantID, id iot.ID, kinds []iot.ChildKind) ([]iot.ID, error) {
	return walk(ctx, s.db, t, id, kinds, true)
}

// walk follows relations breadth first, a level per statement, so that the nearest come first.
func walk(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, start iot.ID, kinds []iot.ChildKind, up bool) ([]iot.ID, error) {
	here, there := "parent", "child"
	if up {
		here, there = there, here
	}
	seen := map[iot.ID]bool{start: true}
	level := []iot.ID{start}
	var out []iot.ID
	for len(level) > 0 {
		var next []iot.ID
		for part := range slices.Chunk(level, chunk) {
			args := append([]any{string(t)}, ids(part)...)
			for _, k := range kinds {
				args = append(args, int64(k))
			}
			err := sqlkit.Each(ctx, q, func(r *sql.Rows) error {
				var id int64
				err := r.Scan(&id)
				if !seen[iot.ID(id)] {
					seen[iot.ID(id)] = true
					next = append(next, iot.ID(id))
				}
				return err
			}, `SELECT `+there+` FROM object_child WHERE tenant = ? AND `+here+` IN `+sqlkit.In(len(part))+` AND kind IN `+sqlkit.In(len(kinds))+` ORDER BY pos, `+there, args...)
			if err != nil {
				return nil, err
			}
		}
		out = append(out, next...)
		level = next
	}
	return out, nil
}

func bind(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, x iot.ExternalID) error {
	_, err := tx.Exec(ctx, `INSERT INTO external_id (tenant, type, value, id) VALUES (?,?,?,?)`, string(t), x.Type, x.Value, int64(x.ID))
	return err
}

// Bind implements registry.Names.
func (s *Store) Bind(ctx context.Context, t iot.TenantID, x iot.ExternalID) error {
	defer s.moved(t, marks)
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error { return bind(ctx, tx, t, x) })
}

// Unbind implements registry.Names.
func (s *Store) Unbind(ctx context.Context, t iot.TenantID, typ, value string) error {
	defer s.moved(t, marks)
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM external_id WHERE tenant = ? AND type = ? AND value = ?`, string(t), typ, value)
		if err == nil && n == 0 {
			err = sql.ErrNoRows
		}
		return err
	})
}

// Resolve implements registry.Names.
func (s *Store) Resolve(ctx context.Context, t iot.TenantID, names []iot.ExternalID) ([]iot.ExternalID, error) {
	var out []iot.ExternalID
	for _, x := range names {
		var id int64
		err := s.db.QueryRow(ctx, `SELECT id FROM external_id WHERE tenant = ? AND type = ? AND value = ?`, string(t), x.Type, x.Value).Scan(&id)
		if err == sql.ErrNoRows {
			continue
		}
		if err != nil {
			return nil, err
		}
		x.ID = iot.ID(id)
		out = append(out, x)
	}
	return out, nil
}

// NamesOf implements registry.Names.
func (s *Store) NamesOf(ctx context.Context, t iot.TenantID, id iot.ID) (out []iot.ExternalID, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		x := iot.ExternalID{ID: id}
		err := r.Scan(&x.Type, &x.Value)
		out = append(out, x)
		return err
	}, `SELECT type, value FROM external_id WHERE tenant = ? AND id = ? ORDER BY type, value`, string(t), int64(id))
	return out, err
}
