// Package registrysql is the SQL driver of platform/registry, on SQLite and PostgreSQL.
//
// Conditions of the query language become SQL. What leads into a document is evaluated by PostgreSQL as a lax JSON path over a stored
// JSONB column, and by SQLite through a function of ours over the document's text; the conformance suite holds both to the same meaning.
package registrysql

import (
	"context"
	"database/sql"
	"embed"
	"slices"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements registry.Driver.
type Store struct {
	db    *sqlkit.DB
	small int // how many objects of a scope a list names one by one
}

var _ registry.Driver = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	if err := registerFunctions(); err != nil {
		return nil, err
	}
	db.RenewReaders() // connections learn of functions when they are opened
	return &Store{db, smallReach}, db.Migrate(ctx, "registry", migrations)
}

// NextID implements registry.Store.
func (s *Store) NextID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(t), "document")
	return iot.ID(n), err
}

const columns = `m.id, m.type, m.name, m.owner, m.created, m.updated, m.doc,
	COALESCE(s.last_message, 0), COALESCE(s.availability, ''), COALESCE(s.connection, ''), COALESCE(s.has_alarms, 0),
	COALESCE(s.critical, 0), COALESCE(s.major, 0), COALESCE(s.minor, 0), COALESCE(s.warning, 0)`

const from = ` FROM managed_object m LEFT JOIN object_state s ON s.tenant = m.tenant AND s.id = m.id`

func scanObject(r interface{ Scan(...any) error }) (o registry.Object, err error) {
	var id, created, updated, last, hasAlarms int64
	var doc []byte
	c := &o.State.Alarms
	err = r.Scan(&id, &o.Type, &o.Name, &o.Owner, &created, &updated, &doc, &last, &o.State.Availability, &o.State.Connection, &hasAlarms,
		&c.Critical, &c.Major, &c.Minor, &c.Warning)
	if err != nil {
		return o, err
	}
	o.ID, o.CreationTime, o.LastUpdated = iot.ID(id), sqlkit.Time(created), sqlkit.Time(updated)
	o.State.LastMessage, o.State.HasAlarms = sqlkit.Time(last), hasAlarms != 0
	o.Fragments, err = iot.ParseDoc(doc, iot.MaxDepth+1)
	return o, err
}

func ids(in []iot.ID) []any {
	out := make([]any, len(in))
	for i, id := range in {
		out[i] = int64(id)
	}
	return out
}

// chunk is how many ids one statement names: both engines allow more, but statements stay small.
const chunk = 500

// Get implements registry.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, want ...iot.ID) ([]registry.Object, error) {
	return get(ctx, s.db, t, want, "")
}

func get(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, want []iot.ID, lock string) ([]registry.Object, error) {
	byID := make(map[iot.ID]registry.Object, len(want))
	for part := range slices.Chunk(want, chunk) {
		err := sqlkit.Each(ctx, q, func(r *sql.Rows) error {
			o, err := scanObject(r)
			byID[o.ID] = o
			return err
		}, `SELECT `+columns+from+` WHERE m.tenant = ? AND m.id IN `+sqlkit.In(len(part))+lock, append([]any{string(t)}, ids(part)...)...)
		if err != nil {
			return nil, err
		}
	}
	out := make([]registry.Object, 0, len(byID))
	for _, id := range want {
		if o, ok := byID[id]; ok {
			out = append(out, o)
			delete(byID, id)
		}
	}
	return out, nil
}

// Create implements registry.Store.
func (s *Store) Create(ctx context.Context, t iot.TenantID, objects []registry.New, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, n := range objects {
			if err := insert(ctx, tx, t, n, rev); err != nil {
				return err
			}
			if err := tx.Note(ctx, registry.Fact(t, iot.Created, registry.Object{ManagedObject: n.Object})); err != nil {
				return err
			}
		}
		return nil
	})
}

func insert(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, n registry.New, rev sqlkit.Revision) error {
	o := n.Object
	_, err := tx.Exec(ctx, `INSERT INTO managed_object (tenant, id, type, name, owner, is_device, is_global, created, updated, doc, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		string(t), int64(o.ID), o.Type, o.Name, string(o.Owner), sqlkit.Bool(o.Fragments.Has(iot.FragmentIsDevice)), sqlkit.Bool(o.Fragments.Has(iot.FragmentGlobal)),
		o.CreationTime.UnixMilli(), o.LastUpdated.UnixMilli(), string(o.Fragments.AppendTo(nil)), rev.By, rev.Set)
	if err != nil {
		return err
	}
	if err := setFragments(ctx, tx, t, o.ID, nil, o.Fragments); err != nil {
		return err
	}
	if err := setRequired(ctx, tx, t, o.ID, nil, o.Fragments); err != nil {
		return err
	}
	for _, x := range n.ExternalIDs {
		if err := bind(ctx, tx, t, x); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `INSERT INTO object_above (tenant, ancestor, id) VALUES (?,?,?)`, string(t), int64(o.ID), int64(o.ID)); err != nil {
		return err
	}
	if n.Parent != 0 {
		_, err := link(ctx, tx, t, n.Parent, n.Kind, []iot.ID{o.ID})
		return err
	}
	return nil
}

// setFragments keeps the index of top-level fragments.
func setFragments(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	for _, m := range old {
		if now.Has(m.Name) {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM object_fragment WHERE tenant = ? AND fragment = ? AND id = ?`, string(t), m.Name, int64(id)); err != nil {
			return err
		}
	}
	for _, m := range now {
		if old.Has(m.Name) {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO object_fragment (tenant, fragment, id) VALUES (?,?,?)`, string(t), m.Name, int64(id)); err != nil {
			return err
		}
	}
	return nil
}

// setRequired copies the required interval to where overdue devices are looked for.
func setRequired(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	before, was := registry.RequiredInterval(old)
	minutes, is := registry.RequiredInterval(now)
	if was == is && before == minutes {
		return nil
	}
	availability := ""
	switch {
	case is && minutes <= 0:
		minutes, availability = -1, registry.Maintenance
	case is:
		availability = registry.Available // until it is overdue
	}
	_, err := tx.Exec(ctx, `INSERT INTO object_state (tenant, id, required, availability) VALUES (?,?,?,?)
		ON CONFLICT (tenant, id) DO UPDATE SET required = excluded.required, availability = excluded.availability`, string(t), int64(id), int64(minutes), availability)
	return err
}

// Update implements registry.Store.
func (s *Store) Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.ManagedObject) (iot.ManagedObject, error)) (out registry.Object, written bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		written = false
		found, err := get(ctx, tx, t, []iot.ID{id}, forUpdateOf(s.db))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return sql.ErrNoRows
		}
		out = found[0]
		old := out.ManagedObject
		next, err := change(old)
		if err != nil {
			return err
		}
		if next.Type == old.Type && next.Name == old.Name && next.Owner == old.Owner && next.Fragments.Equal(old.Fragments) {
			return nil
		}
		next.ID, next.CreationTime, next.LastUpdated = old.ID, old.CreationTime, rev.At
		if err := replace(ctx, tx, t, old, next, rev); err != nil {
			return err
		}
		out.ManagedObject, written = next, true
		return tx.Note(ctx, registry.Fact(t, iot.Updated, out))
	})
	return out, written, err
}

// replace puts one version in the place of another.
func replace(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old, next iot.ManagedObject, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, t, old, rev, false); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE managed_object SET type = ?, name = ?, owner = ?, is_device = ?, is_global = ?, updated = ?, doc = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`,
		next.Type, next.Name, string(next.Owner), sqlkit.Bool(next.Fragments.Has(iot.FragmentIsDevice)), sqlkit.Bool(next.Fragments.Has(iot.FragmentGlobal)),
		rev.At.UnixMilli(), string(next.Fragments.AppendTo(nil)), rev.By, rev.Set, string(t), int64(old.ID))
	if err != nil {
		return err
	}
	if err := setFragments(ctx, tx, t, old.ID, old.Fragments, next.Fragments); err != nil {
		return err
	}
	return setRequired(ctx, tx, t, old.ID, old.Fragments, next.Fragments)
}

// forUpdateOf locks only the object's own row: the state beside it is an outer join, which PostgreSQL cannot lock.
func forUpdateOf(db *sqlkit.DB) string {
	if db.Dialect == sqlkit.Postgres {
		return " FOR UPDATE OF m"
	}
	return ""
}

// Delete implements registry.Store.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, doomed []iot.ID, rev sqlkit.Revision) (out []iot.ManagedObject, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		out = nil
		if err := tx.Lock(ctx, "relations", string(t)); err != nil {
			return err
		}
		found, err := get(ctx, tx, t, doomed, forUpdateOf(s.db))
		if err != nil {
			return err
		}
		for _, o := range found {
			if err := remove(ctx, tx, t, o.ManagedObject, rev); err != nil {
				return err
			}
			out = append(out, o.ManagedObject)
			if err := tx.Note(ctx, registry.Fact(t, iot.Deleted, o)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// remove deletes an object with what belongs to it.
func remove(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, o iot.ManagedObject, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, t, o, rev, true); err != nil {
		return err
	}
	for _, q := range []string{`DELETE FROM managed_object WHERE tenant = ? AND id = ?`, `DELETE FROM object_state WHERE tenant = ? AND id = ?`,
		`DELETE FROM object_child WHERE tenant = ? AND parent = ?`, `DELETE FROM object_child WHERE tenant = ? AND child = ?`, `DELETE FROM external_id WHERE tenant = ? AND id = ?`} {
		if _, err := tx.Exec(ctx, q, string(t), int64(o.ID)); err != nil {
			return err
		}
	}
	if err := bury(ctx, tx, t, o.ID); err != nil {
		return err
	}
	return setFragments(ctx, tx, t, o.ID, o.Fragments, nil)
}
