// Package changessql is the SQL driver of governance/changes, on SQLite and PostgreSQL. It reads the table history, which kit/sqlkit owns, and the
// tables of current documents, of which each kind says what must be known (changes.Table).
package changessql

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Store implements changes.Store.
type Store struct{ db *sqlkit.DB }

var _ changes.Store = (*Store)(nil)

// New returns the driver. It has no tables of its own.
func New(db *sqlkit.DB) *Store { return &Store{db} }

// NameSet implements changes.Store.
func (s *Store) NameSet(ctx context.Context, t iot.TenantID, set sqlkit.ChangeSet) (out sqlkit.ChangeSet, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		out, err = tx.NameSet(ctx, string(t), set)
		return err
	})
	return out, err
}

// ChangeSets implements changes.Store. The latest are looked for among the latest changes first, and only if there are too few of them, further back.
func (s *Store) ChangeSets(ctx context.Context, t iot.TenantID, views []changes.View, q changes.Query) (out []changes.Summary, n int, err error) {
	if q.Count {
		text, args := s.meeting(t, views, part{object: q.Object}, q)
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
			if since, err = s.latest(ctx, t, views, rows); err != nil {
				return nil, 0, err
			}
		}
		if out, err = s.setsSince(ctx, t, views, q, since); err != nil || len(out) == q.Limit || since == 0 {
			break
		}
	}
	if err != nil {
		return nil, 0, err
	}
	return out, n, s.count(ctx, t, views, q, out)
}

// count counts the changes of some sets that a query asks for: the looks may have cut off the beginning of a set.
func (s *Store) count(ctx context.Context, t iot.TenantID, views []changes.View, q changes.Query, sets []changes.Summary) error {
	const most = 100 // sets per statement
	counts := make(map[string]int, len(sets))
	for some := range slices.Chunk(sets, most) {
		p := part{object: q.Object}
		for _, x := range some {
			p.sets = append(p.sets, x.ID)
		}
		text, args := s.meeting(t, views, p, q)
		err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
			var id string
			var n int
			err := r.Scan(&id, &n)
			counts[id] = n
			return err
		}, `SELECT c.sid, COUNT(*)`+text+` GROUP BY c.sid`, args...)
		if err != nil {
			return err
		}
	}
	for i := range sets {
		sets[i].Changes = counts[sets[i].ID]
	}
	return nil
}

// latest returns a time since when there are at least so many changes, zero if there are fewer.
func (s *Store) latest(ctx context.Context, t iot.TenantID, views []changes.View, rows int) (since int64, err error) {
	look := func(query string) error {
		var at int64
		err := s.db.QueryRow(ctx, query, string(t), rows).Scan(&at)
		if since = max(since, at); errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	for _, v := range views {
		if err := look(`SELECT valid_to FROM history WHERE tenant = ? AND kind = ` + quoted(v.Kind) + ` ORDER BY valid_to DESC LIMIT 1 OFFSET ?`); err != nil {
			return 0, err
		}
		tb := v.Documents.Table()
		if err := look(`SELECT ` + born(tb) + ` FROM ` + tb.Name + ` m WHERE m.tenant = ?` + births(tb) + ` ORDER BY ` + born(tb) + ` DESC LIMIT 1 OFFSET ?`); err != nil {
			return 0, err
		}
	}
	return since, nil
}

// setsSince returns a page of the sets with changes since a time, zero for all, the latest first.
func (s *Store) setsSince(ctx context.Context, t iot.TenantID, views []changes.View, q changes.Query, since int64) (out []changes.Summary, err error) {
	text, args := s.meeting(t, views, part{since: since, object: q.Object}, q)
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var x changes.Summary
		var at int64
		err := r.Scan(&x.ID, &at, &x.By, &x.Reason, &x.Undoes)
		x.At = sqlkit.Time(at)
		out = append(out, x)
		return err
	}, `SELECT g.sid, g.at, g.author, COALESCE(x.reason, ''), COALESCE(x.undoes, '') FROM (SELECT c.sid AS sid, MAX(c.at) AS at, MAX(c.author) AS author`+text+` GROUP BY c.sid
		ORDER BY MAX(c.at) DESC, c.sid LIMIT ? OFFSET ?) g LEFT JOIN change_set x ON x.tenant = ? AND x.id = g.sid ORDER BY g.at DESC, g.sid`, append(args, q.Limit, q.Offset, string(t))...)
	return out, err
}

// ChangeSet implements changes.Store.
func (s *Store) ChangeSet(ctx context.Context, t iot.TenantID, views []changes.View, set string, limit int) (out changes.Summary, all []changes.Change, err error) {
	n := 0
	for _, v := range views {
		ids, err := s.touched(ctx, s.db, t, v, set, limit-n)
		if err != nil {
			return out, nil, err
		}
		n += len(ids)
		for _, id := range ids {
			l := life{view: v, tenant: t, set: set}
			steps, err := l.shown(ctx, s.db, id)
			if err != nil {
				return out, nil, err
			}
			for _, c := range steps {
				all = append(all, c.Change)
			}
		}
	}
	if len(all) == 0 {
		return out, nil, nil
	}
	out.ID, out.Changes = set, len(all)
	for _, c := range all {
		if c.At.After(out.At) {
			out.At, out.By = c.At, c.By
		}
	}
	err = s.db.QueryRow(ctx, `SELECT reason, undoes FROM change_set WHERE tenant = ? AND id = ?`, string(t), set).Scan(&out.Reason, &out.Undoes)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return out, all, err
}

// Undo implements changes.Store.
func (s *Store) Undo(ctx context.Context, t iot.TenantID, u changes.Undo) (done []changes.Change, conflicts []changes.Conflict, err error) {
	defer func() {
		for _, v := range u.Views {
			v.Documents.Restored(t)
		}
	}()
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		done, conflicts, err = s.reversed(ctx, tx, t, u)
		if err != nil {
			return err
		}
		if err := u.Decide(done, conflicts); err != nil {
			return err
		}
		if err := restore(ctx, tx, t, u, done); err != nil {
			return err
		}
		_, err := tx.NameSet(ctx, string(t), sqlkit.ChangeSet{ID: u.Rev.Set, At: u.Rev.At, By: u.Rev.By, Reason: u.Reason, Undoes: u.Set})
		return err
	})
	return done, conflicts, err
}

// reversed returns the changes that take back those of a set, and what stands against it.
func (s *Store) reversed(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, u changes.Undo) (done []changes.Change, conflicts []changes.Conflict, err error) {
	for _, v := range u.Views {
		if err := v.Documents.Lock(ctx, tx, t); err != nil {
			return nil, nil, err
		}
	}
	documents := map[iot.Kind]changes.Documents{}
	for _, v := range u.Views {
		documents[v.Kind] = v.Documents
		ids, err := s.touched(ctx, tx, t, v, u.Set, changes.MaxUndo+1)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range ids {
			l := life{view: v, tenant: t, set: u.Set}
			steps, err := l.whole(ctx, tx, id)
			if err != nil {
				return nil, nil, err
			}
			c, conflict := reverse(steps, u.Set)
			if conflict != nil {
				conflicts = append(conflicts, *conflict)
				continue
			}
			c.At, c.By = u.Rev.At, u.Rev.By
			done = append(done, c)
		}
	}
	for _, c := range done {
		conflict, err := documents[c.Kind].Hindrance(ctx, tx, t, c, done)
		if err != nil {
			return nil, nil, err
		}
		if conflict != nil {
			conflicts = append(conflicts, *conflict)
		}
	}
	return done, conflicts, nil
}

// reverse returns the change that takes back what a set did to a document, or why that cannot be.
func reverse(steps []step, set string) (changes.Change, *changes.Conflict) {
	first, last := steps[0], steps[len(steps)-1]
	c := last.Change
	c.Before, c.After, c.Action = last.After, first.Before, iot.Updated
	for _, x := range steps {
		if x.set != set {
			return c, &changes.Conflict{Kind: c.Kind, ID: c.ID, Set: x.set, By: x.By, At: x.At, Reason: "changed since"}
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

// restore makes the changes of an undo: what goes first, from the last kind to the first, then the others from the first to the last, so that nothing
// depends on what is not there.
func restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, u changes.Undo, done []changes.Change) error {
	one := func(v changes.View, deleting bool) error {
		for i := range done {
			c := &done[i]
			if c.Kind != v.Kind || (c.After == nil) != deleting || c.Before == nil && c.After == nil { // made and deleted in one set
				continue
			}
			if err := v.Documents.Restore(ctx, tx, t, c, u.Rev); err != nil {
				return err
			}
		}
		return nil
	}
	for _, v := range slices.Backward(u.Views) {
		if err := one(v, true); err != nil {
			return err
		}
	}
	for _, v := range u.Views {
		if err := one(v, false); err != nil {
			return err
		}
	}
	return nil
}
