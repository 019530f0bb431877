package changessql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// step is one change in the life of a document.
type step struct {
	changes.Change
	set string
}

// life reads the part of the life of a document that begins with the first change of a set. It ends with the last one, or, if whole, with the first
// change of another set after it or with the present: a document may have changed a million times before and since.
type life struct {
	s      *Store
	view   changes.View
	tenant iot.TenantID
	set    string
	whole  bool

	uncounted bool // the first version that is read came in by itself, which is no change
	steps     []step
	before    json.RawMessage // nil: there is no document at this point
}

// errEnough ends the reading of rows.
var errEnough = errors.New("enough was read")

// version is a row of the table history.
type version struct {
	seq          int64
	made, ended  sqlkit.Revision
	deleted      bool
	raw          []byte
	object, peer int64
}

// read returns at least one step, of which the first belongs to the set.
func (l *life) read(ctx context.Context, q sqlkit.Queryer, id string) ([]step, error) {
	args := []any{string(l.tenant), string(l.view.Kind), id}
	var oldest, first, last sql.NullInt64
	if err := q.QueryRow(ctx, `SELECT MIN(seq), MIN(CASE WHEN change_set = ? OR from_set = ? THEN seq END), MAX(CASE WHEN change_set = ? OR from_set = ? THEN seq END)
		FROM history WHERE tenant = ? AND kind = ? AND id = ?`, append([]any{l.set, l.set, l.set, l.set}, args...)...).Scan(&oldest, &first, &last); err != nil {
		return nil, err
	}
	l.uncounted = l.view.Documents.Table().Births != "" && first == oldest
	if first.Valid {
		err := sqlkit.Each(ctx, q, func(r *sql.Rows) error {
			var x version
			var from, to, deleted int64
			if err := r.Scan(&x.seq, &from, &x.made.By, &x.made.Set, &to, &x.ended.By, &x.ended.Set, &deleted, &x.raw, &x.object, &x.peer); err != nil {
				return err
			}
			x.made.At, x.ended.At, x.deleted = sqlkit.Time(from), sqlkit.Time(to), deleted != 0
			return l.add(id, x, last.Int64)
		}, `SELECT seq, valid_from, from_by, from_set, valid_to, changed_by, change_set, deleted, doc, object, peer FROM history WHERE tenant = ? AND kind = ? AND id = ? AND seq >= ? ORDER BY seq`,
			append(args, first.Int64)...)
		switch {
		case errors.Is(err, errEnough):
			return l.steps, nil
		case err != nil:
			return nil, err
		}
	}
	now, err := l.view.Documents.Current(ctx, q, l.tenant, id)
	if err != nil {
		return nil, err
	}
	if now != nil {
		l.begin(id, now.Raw, now.Rev, int64(now.Object), int64(now.Peer))
	}
	if len(l.steps) == 0 { // it went between two reads
		return []step{{Change: changes.Change{Kind: l.view.Kind, ID: id}}}, nil
	}
	return l.steps, nil
}

// add continues a life by a superseded version. latest is the last row that names the set.
func (l *life) add(id string, x version, latest int64) error {
	if len(l.steps) == 0 && (x.made.Set != l.set || l.uncounted) { // what it was before the set touched it
		l.before = x.raw
	} else {
		l.begin(id, x.raw, x.made, x.object, x.peer)
	}
	if x.seq > latest && !l.whole {
		return errEnough
	}
	c := step{changes.Change{Kind: l.view.Kind, ID: id, Object: iot.ID(x.object), Peer: iot.ID(x.peer), Action: iot.Updated, At: x.ended.At, By: x.ended.By, Before: x.raw}, x.ended.Set}
	if x.deleted {
		c.Action, l.before = iot.Deleted, nil
	}
	l.steps = append(l.steps, c)
	if l.whole && x.ended.Set != l.set {
		return errEnough
	}
	return nil
}

// begin continues a life by a version that begins: by the change that ended the one before, or, if there is none, by a change of its own.
func (l *life) begin(id string, raw []byte, made sqlkit.Revision, object, peer int64) {
	if l.before == nil {
		l.steps = append(l.steps, step{changes.Change{Kind: l.view.Kind, ID: id, Object: iot.ID(object), Peer: iot.ID(peer), Action: iot.Created, At: made.At, By: made.By, After: raw}, made.Set})
	} else {
		l.steps[len(l.steps)-1].After = raw
	}
	l.before = raw
}
