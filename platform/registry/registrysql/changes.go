package registrysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// NameSet implements registry.Log.
func (s *Store) NameSet(ctx context.Context, t iot.TenantID, set sqlkit.ChangeSet) (out sqlkit.ChangeSet, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		out, err = tx.NameSet(ctx, string(t), set)
		return err
	})
	return out, err
}

// changed is the table of all changes of objects in scope, one row each: sid, at, author, id. A version came into being by a change of its own if
// there was none before it, or if that one was deleted; all others by the change that ended the one before. The scope is told from the object
// as it is: one that was deleted is in no scope but that of all. since and only
// leave out what was changed before a time and in other sets, unless they are zero and empty.
func (s *Store) changed(t iot.TenantID, scope access.Scope, since int64, only string) (string, []any) {
	const kind = "'" + string(iot.KindManagedObject) + "'"
	first := func(seq, id string) string {
		return "COALESCE((SELECT p.deleted FROM history p WHERE p.tenant = ? AND p.kind = " + kind + " AND p.id = " + id + seq + " ORDER BY p.seq DESC LIMIT 1), 1) = 1"
	}
	old, oldArgs := scope.SQL(s.db.Dialect, "h.tenant", "CASE WHEN h.kind = "+kind+" THEN CAST(h.id AS BIGINT) END", "")
	now, nowArgs := scope.SQL(s.db.Dialect, "m.tenant", "m.id", "")
	ended, made, is := []any{string(t)}, []any{string(t)}, []any{string(t)}
	endedCond, madeCond, isCond := "", "", ""
	if since > 0 { // what began later than that also ended later
		endedCond, madeCond, isCond = " AND h.valid_to >= ?", " AND h.valid_to >= ? AND h.valid_from >= ?", " AND m.updated >= ?"
		ended, made, is = append(ended, since), append(made, since, since), append(is, since)
	}
	if only != "" {
		endedCond, madeCond, isCond = endedCond+" AND h.change_set = ?", madeCond+" AND h.from_set = ?", isCond+" AND m.rev_set = ?"
		ended, made, is = append(ended, only), append(made, only), append(is, only)
	}
	text := `SELECT h.change_set AS sid, h.valid_to AS at, h.changed_by AS author, h.id AS id FROM history h WHERE h.tenant = ? AND h.kind = ` + kind + endedCond + ` AND ` + old + `
		UNION ALL SELECT h.from_set, h.valid_from, h.from_by, h.id FROM history h WHERE h.tenant = ? AND h.kind = ` + kind + madeCond + ` AND h.from_set <> '' AND ` + first(" AND p.seq < h.seq", "h.id") + ` AND ` + old + `
		UNION ALL SELECT m.rev_set, m.updated, m.rev_by, CAST(m.id AS TEXT) FROM managed_object m WHERE m.tenant = ?` + isCond + ` AND ` + first("", "CAST(m.id AS TEXT)") + ` AND ` + now
	return text, slices.Concat(ended, oldArgs, made, []any{string(t)}, oldArgs, is, []any{string(t)}, nowArgs)
}

// meets adds what a query asks for to the table of changes.
func meets(table string, args []any, q registry.SetQuery) (string, []any) {
	table = ` FROM (` + table + `) c WHERE 1=1`
	if !q.From.IsZero() {
		table += " AND c.at >= ?"
		args = append(args, q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		table += " AND c.at < ?"
		args = append(args, q.To.UnixMilli())
	}
	if q.By != "" {
		table += " AND c.author = ?"
		args = append(args, q.By)
	}
	if q.Object != 0 {
		table += " AND c.id = ?"
		args = append(args, q.Object.String())
	}
	return table, args
}

// ChangeSets implements registry.Log. The latest are looked for among the latest changes first, and only if there are too few of them, further back.
func (s *Store) ChangeSets(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.SetQuery) (out []registry.SetSummary, n int, err error) {
	if q.Count {
		text, args := s.changed(t, scope, 0, "")
		text, args = meets(text, args, q)
		if err := s.db.QueryRow(ctx, `SELECT COUNT(DISTINCT c.sid)`+text, args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	const step = 8 // how much further each look goes
	for rows := step * (q.Offset + q.Limit); ; rows *= step {
		since := int64(0)
		if q.Object == 0 && q.From.IsZero() && q.To.IsZero() {
			if since, err = s.latest(ctx, t, rows); err != nil {
				return nil, 0, err
			}
		}
		if out, err = s.setsSince(ctx, t, scope, q, since); err != nil || len(out) == q.Limit || since == 0 {
			break
		}
	}
	if err != nil {
		return nil, 0, err
	}
	for i := range out { // the looks may have cut off the beginning of a set
		text, args := s.changed(t, scope, 0, out[i].ID)
		text, args = meets(text, args, q)
		if err := s.db.QueryRow(ctx, `SELECT COUNT(*)`+text, args...).Scan(&out[i].Changes); err != nil {
			return nil, 0, err
		}
	}
	return out, n, nil
}

// latest returns a time since when there are at least so many changes, zero if there are fewer.
func (s *Store) latest(ctx context.Context, t iot.TenantID, rows int) (since int64, err error) {
	for _, query := range []string{`SELECT valid_to FROM history WHERE tenant = ? AND kind = '` + string(iot.KindManagedObject) + `' ORDER BY valid_to DESC LIMIT 1 OFFSET ?`,
		`SELECT updated FROM managed_object WHERE tenant = ? ORDER BY updated DESC LIMIT 1 OFFSET ?`} {
		var at int64
		if err := s.db.QueryRow(ctx, query, string(t), rows).Scan(&at); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
		since = max(since, at)
	}
	return since, nil
}

// setsSince returns a page of the sets with changes since a time, zero for all, the latest first.
func (s *Store) setsSince(ctx context.Context, t iot.TenantID, scope access.Scope, q registry.SetQuery, since int64) (out []registry.SetSummary, err error) {
	text, args := s.changed(t, scope, since, "")
	text, args = meets(text, args, q)
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var x registry.SetSummary
		var at int64
		err := r.Scan(&x.ID, &at, &x.By, &x.Reason, &x.Undoes)
		x.At = sqlkit.Time(at)
		out = append(out, x)
		return err
	}, `SELECT g.sid, g.at, g.author, COALESCE(x.reason, ''), COALESCE(x.undoes, '') FROM (SELECT c.sid AS sid, MAX(c.at) AS at, MAX(c.author) AS author`+text+` GROUP BY c.sid
		ORDER BY MAX(c.at) DESC, c.sid LIMIT ? OFFSET ?) g LEFT JOIN change_set x ON x.tenant = ? AND x.id = g.sid ORDER BY g.at DESC, g.sid`, append(args, q.Limit, q.Offset, string(t))...)
	return out, err
}

// ChangeSet implements registry.Log.
func (s *Store) ChangeSet(ctx context.Context, t iot.TenantID, scope access.Scope, set string, limit int) (out registry.SetSummary, changes []registry.ObjectChange, err error) {
	ids, err := s.touched(ctx, s.db, t, scope, set, limit)
	if err != nil || len(ids) == 0 {
		return out, nil, err
	}
	for _, id := range ids {
		life, err := lifeOf(ctx, s.db, t, id, "")
		if err != nil {
			return out, nil, err
		}
		for _, c := range life {
			if c.Set == set {
				changes = append(changes, c.ObjectChange)
			}
		}
	}
	out.ID, out.Changes = set, len(changes)
	for _, c := range changes {
		if c.At.After(out.At) {
			out.At, out.By = c.At, c.By
		}
	}
	err = s.db.QueryRow(ctx, `SELECT reason, undoes FROM change_set WHERE tenant = ? AND id = ?`, string(t), set).Scan(&out.Reason, &out.Undoes)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return out, changes, err
}

// touched returns the ids in scope that a change set changed, at most limit, in order.
func (s *Store) touched(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, scope access.Scope, set string, limit int) (ids []iot.ID, err error) {
	const kind = string(iot.KindManagedObject)
	old, oldArgs := scope.SQL(s.db.Dialect, "h.tenant", "CASE WHEN h.kind = '"+kind+"' THEN CAST(h.id AS BIGINT) END", "")
	now, nowArgs := scope.SQL(s.db.Dialect, "m.tenant", "m.id", "")
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		ids = append(ids, iot.ID(id))
		return err
	}, `SELECT id FROM (SELECT CASE WHEN h.kind = '`+kind+`' THEN CAST(h.id AS BIGINT) END AS id FROM history h WHERE h.tenant = ? AND h.change_set = ? AND h.kind = '`+kind+`' AND `+old+`
		UNION SELECT CASE WHEN h.kind = '`+kind+`' THEN CAST(h.id AS BIGINT) END FROM history h WHERE h.tenant = ? AND h.from_set = ? AND h.kind = '`+kind+`' AND `+old+`
		UNION SELECT m.id FROM managed_object m WHERE m.tenant = ? AND m.rev_set = ? AND `+now+`) x ORDER BY id LIMIT ?`,
		slices.Concat([]any{string(t), set}, oldArgs, []any{string(t), set}, oldArgs, []any{string(t), set}, nowArgs, []any{limit})...)
	return ids, err
}

// step is one change in the life of an object.
type step struct {
	registry.ObjectChange
	Set string
}

// lifeOf returns all changes of an object, oldest first.
func lifeOf(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id iot.ID, lock string) (out []step, err error) {
	var before *iot.ManagedObject // nil: there was none
	add := func(o iot.ManagedObject, made sqlkit.Revision) {
		if before == nil {
			out = append(out, step{registry.ObjectChange{Object: id, Action: iot.Created, At: made.At, By: made.By, After: &o}, made.Set})
		} else {
			last := &out[len(out)-1] // the change that ended the version before
			last.After = &o
		}
		before = &o
	}
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		var from, to, deleted int64
		var made, ended sqlkit.Revision
		var doc []byte
		if err := r.Scan(&from, &made.By, &made.Set, &to, &ended.By, &ended.Set, &deleted, &doc); err != nil {
			return err
		}
		var o iot.ManagedObject
		if err := json.Unmarshal(doc, &o); err != nil {
			return err
		}
		made.At = sqlkit.Time(from)
		add(o, made)
		c := registry.ObjectChange{Object: id, Action: iot.Updated, At: sqlkit.Time(to), By: ended.By, Before: &o}
		if deleted != 0 {
			c.Action, before = iot.Deleted, nil
		}
		out = append(out, step{c, ended.Set})
		return nil
	}, `SELECT valid_from, from_by, from_set, valid_to, changed_by, change_set, deleted, doc FROM history WHERE tenant = ? AND kind = ? AND id = ? ORDER BY seq`, string(t), string(iot.KindManagedObject), id.String())
	if err != nil {
		return nil, err
	}
	found, err := get(ctx, q, t, []iot.ID{id}, lock)
	if err != nil || len(found) == 0 {
		return out, err
	}
	made := sqlkit.Revision{At: found[0].LastUpdated}
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error { return r.Scan(&made.By, &made.Set) }, `SELECT rev_by, rev_set FROM managed_object WHERE tenant = ? AND id = ?`, string(t), int64(id))
	add(found[0].ManagedObject, made)
	return out, err
}

// Undo implements registry.Log.
func (s *Store) Undo(ctx context.Context, t iot.TenantID, u registry.Undo) (done []registry.ObjectChange, conflicts []registry.Conflict, err error) {
	defer s.moved(t, structure|marks|documents|states)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		done, conflicts = nil, nil
		if err := tx.Lock(ctx, "relations", string(t)); err != nil {
			return err
		}
		ids, err := s.touched(ctx, tx, t, access.Scope{All: true}, u.Set, registry.MaxUndo+1)
		if err != nil {
			return err
		}
		for _, id := range ids {
			life, err := lifeOf(ctx, tx, t, id, forUpdateOf(s.db))
			if err != nil {
				return err
			}
			c, conflict := reverse(life, u.Set)
			if c.Action == iot.Deleted && conflict == nil {
				conflict, err = below(ctx, tx, t, id, ids)
			}
			if err != nil {
				return err
			}
			if conflict != nil {
				conflicts = append(conflicts, *conflict)
				continue
			}
			c.At, c.By = u.Rev.At, u.Rev.By
			done = append(done, c)
		}
		if err := u.Decide(done, conflicts); err != nil {
			return err
		}
		for i := range done {
			if err := apply(ctx, tx, t, &done[i], u.Rev); err != nil {
				return err
			}
			if err := note(ctx, tx, t, done[i]); err != nil {
				return err
			}
		}
		_, err = tx.NameSet(ctx, string(t), sqlkit.ChangeSet{ID: u.Rev.Set, At: u.Rev.At, By: u.Rev.By, Reason: u.Reason, Undoes: u.Set})
		return err
	})
	return done, conflicts, err
}

// reverse returns the change that takes back what a set did to an object, or why that cannot be.
func reverse(life []step, set string) (registry.ObjectChange, *registry.Conflict) {
	first := slices.IndexFunc(life, func(c step) bool { return c.Set == set })
	if first < 0 {
		return registry.ObjectChange{}, nil // cannot be: its id came from there
	}
	c := registry.ObjectChange{Object: life[first].Object, Before: life[len(life)-1].After, After: life[first].Before, Action: iot.Updated}
	for _, later := range life[first:] {
		if later.Set != set {
			return c, &registry.Conflict{Object: c.Object, Set: later.Set, By: later.By, At: later.At, Reason: "changed since"}
		}
	}
	switch {
	case c.After == nil && c.Before != nil:
		c.Action = iot.Deleted
	case c.Before == nil:
		c.Action = iot.Created
	}
	return c, nil
}

// below finds what hangs below an object that is to go, and stays itself.
func below(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, going []iot.ID) (c *registry.Conflict, err error) {
	err = sqlkit.Each(ctx, tx, func(r *sql.Rows) error {
		var child int64
		err := r.Scan(&child)
		if err == nil && c == nil && !slices.Contains(going, iot.ID(child)) {
			c = &registry.Conflict{Object: id, Reason: "object " + strconv.FormatInt(child, 10) + " hangs below it"}
		}
		return err
	}, `SELECT child FROM object_child WHERE tenant = ? AND parent = ? ORDER BY child`, string(t), int64(id))
	return c, err
}

// apply makes one change of an undo.
func apply(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *registry.ObjectChange, rev sqlkit.Revision) error {
	if c.After == nil {
		if c.Before == nil {
			return nil // made and deleted in one set
		}
		return remove(ctx, tx, t, *c.Before, rev)
	}
	next := *c.After
	next.LastUpdated = rev.At
	c.After = &next
	if c.Before == nil {
		return insert(ctx, tx, t, registry.New{Object: next}, rev)
	}
	return replace(ctx, tx, t, *c.Before, next, rev)
}

// note leaves a note of a change of an undo.
func note(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c registry.ObjectChange) error {
	switch {
	case c.After != nil:
		return tx.Note(ctx, registry.Fact(t, c.Action, registry.Object{ManagedObject: *c.After}))
	case c.Before != nil:
		return tx.Note(ctx, registry.Fact(t, iot.Deleted, registry.Object{ManagedObject: *c.Before}))
	}
	return nil
}
