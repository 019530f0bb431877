// Package registrysql is the SQL driver of platform/registry, on SQLite and PostgreSQL.
//
// Conditions of the query language become SQL. What leads into a document is evaluated by PostgreSQL as a lax JSON path over a stored
// JSONB column, and by SQLite through a function of ours over the document's text; the conformance suite holds both to the same meaning.
package registrysql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"maps"
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

	positions *positions
}

var _ registry.Driver = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	if err := registerFunctions(); err != nil {
		return nil, err
	}
	db.RenewReaders() // connections learn of functions when they are opened
	if err := db.Migrate(ctx, "registry", migrations); err != nil {
		return nil, err
	}
	return &Store{db, smallReach, newPositions()}, fill(ctx, db)
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
	defer s.moved(t, structure|marks|documents|states)
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
		_, err := link(ctx, tx, t, n.Parent, n.Kind, []iot.ID{o.ID}, rev)
		return err
	}
	return nil
}

// setFragments keeps the indexes of top-level fragments and of texts.
func setFragments(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	was, is := names(old), names(now)
	for _, m := range old {
		if is[m.Name] {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM object_fragment WHERE tenant = ? AND fragment = ? AND id = ?`, string(t), m.Name, int64(id)); err != nil {
			return err
		}
	}
	var args []any
	for _, m := range now {
		if !was[m.Name] {
			args = append(args, string(t), m.Name, int64(id))
		}
	}
	if err := insertRows(ctx, tx, "object_fragment (tenant, fragment, id)", 3, args); err != nil {
		return err
	}
	return setValues(ctx, tx, t, id, old, now)
}

func names(d iot.Doc) map[string]bool {
	out := make(map[string]bool, len(d))
	for _, m := range d {
		out[m.Name] = true
	}
	return out
}

// setRequired copies the required interval to where overdue devices are looked for.
func setRequired(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	minutes, availability, changed := required(old, now)
	if !changed {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO object_state (tenant, id, required, availability) VALUES (?,?,?,?)
		ON CONFLICT (tenant, id) DO UPDATE SET required = excluded.required, availability = excluded.availability`, string(t), int64(id), int64(minutes), availability)
	return err
}

// required returns the required interval of a version, negative in maintenance, and the availability that begins with it; changed is false if both stay as they were.
func required(old, now iot.Doc) (minutes int, availability string, changed bool) {
	before, was := registry.RequiredInterval(old)
	minutes, is := registry.RequiredInterval(now)
	switch {
	case was == is && before == minutes:
		return minutes, "", false
	case is && minutes <= 0:
		return -1, registry.Maintenance, true
	case is:
		return minutes, registry.Available, true // until it is overdue
	}
	return minutes, "", true
}

// Update implements registry.Store.
func (s *Store) Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.ManagedObject) (iot.ManagedObject, error)) (out registry.Object, written bool, err error) {
	moved := documents | states
	defer func() { s.moved(t, moved) }()
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) (err error) {
		out, written, err = s.update(ctx, tx, t, id, rev, &moved, change)
		return err
	})
	return out, written, err
}

// UpdateAll implements registry.Store. Objects are locked in the order of their ids, so that two of them do not wait for each other.
func (s *Store) UpdateAll(ctx context.Context, t iot.TenantID, ids []iot.ID, rev sqlkit.Revision, change func(int, iot.ManagedObject) (iot.ManagedObject, error)) (out []registry.Object, written []bool, err error) {
	order := make([]int, len(ids))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ids[a], ids[b]) })
	moved := documents | states
	defer func() { s.moved(t, moved) }()
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) (err error) {
		out, written = make([]registry.Object, len(ids)), make([]bool, len(ids))
		for _, i := range order {
			out[i], written[i], err = s.update(ctx, tx, t, ids[i], rev, &moved, func(o iot.ManagedObject) (iot.ManagedObject, error) { return change(i, o) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, written, err
}

// update is Update inside a transaction. It adds to moved what it changes beside documents and states.
func (s *Store) update(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, rev sqlkit.Revision, moved *what, change func(iot.ManagedObject) (iot.ManagedObject, error)) (out registry.Object, written bool, err error) {
	found, err := get(ctx, tx, t, []iot.ID{id}, forUpdateOf(s.db))
	if err != nil {
		return out, false, err
	}
	if len(found) == 0 {
		return out, false, sql.ErrNoRows
	}
	out = found[0]
	old := out.ManagedObject
	next, err := change(old)
	if err != nil {
		return out, false, err
	}
	if next.Type == old.Type && next.Name == old.Name && next.Owner == old.Owner && next.Fragments.Equal(old.Fragments) {
		return out, false, nil
	}
	next.ID, next.CreationTime, next.LastUpdated = old.ID, old.CreationTime, rev.At
	if err := replace(ctx, tx, t, old, next, rev); err != nil {
		return out, false, err
	}
	if old.Type != next.Type || old.Name != next.Name || old.Owner != next.Owner || !maps.Equal(names(old.Fragments), names(next.Fragments)) || !maps.Equal(entries(old.Fragments), entries(next.Fragments)) {
		*moved |= marks
	}
	out.ManagedObject = next
	if _, availability, changed := required(old.Fragments, next.Fragments); changed {
		out.State.Availability = availability
	}
	return out, true, tx.Note(ctx, registry.Fact(t, iot.Updated, out))
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
func (s *Store) Delete(ctx context.Context, t iot.TenantID, doomed []iot.ID, rev sqlkit.Revision, may func(iot.ManagedObject) error) (out []iot.ManagedObject, err error) {
	defer s.moved(t, structure|marks|documents|states)
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
			if may != nil {
				if err := may(o.ManagedObject); err != nil {
					return err
				}
			}
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
	for _, end := range []string{"parent", "child"} {
		if _, err := unlink(ctx, tx, rev, "m.tenant = ? AND m."+end+" = ?", string(t), int64(o.ID)); err != nil {
			return err
		}
	}
	for _, q := range []string{`DELETE FROM managed_object WHERE tenant = ? AND id = ?`, `DELETE FROM object_state WHERE tenant = ? AND id = ?`, `DELETE FROM external_id WHERE tenant = ? AND id = ?`} {
		if _, err := tx.Exec(ctx, q, string(t), int64(o.ID)); err != nil {
			return err
		}
	}
	if err := bury(ctx, tx, t, o.ID); err != nil {
		return err
	}
	return setFragments(ctx, tx, t, o.ID, o.Fragments, nil)
}
