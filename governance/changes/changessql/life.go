package changessql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// step is one change in the life of a document.
type step struct {
	changes.Change
	set string
}

// life reads what a set did to a document, which may have changed a million times before and since.
type life struct {
	view   changes.View
	tenant iot.TenantID
	set    string

	steps  []step
	before json.RawMessage // nil: there is no document at this point
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

const versionColumns = `seq, valid_from, from_by, from_set, valid_to, changed_by, change_set, deleted, doc, object, peer`

func scanVersion(r *sql.Rows) (x version, err error) {
	var from, to, deleted int64
	err = r.Scan(&x.seq, &from, &x.made.By, &x.made.Set, &to, &x.ended.By, &x.ended.Set, &deleted, &x.raw, &x.object, &x.peer)
	x.made.At, x.ended.At, x.deleted = sqlkit.Time(from), sqlkit.Time(to), deleted != 0
	return x, err
}

// named returns the versions of a document that the set made or ended, oldest first. The sets, not the document, must lead to them: it may have many versions.
func (l *life) named(ctx context.Context, q sqlkit.Queryer, id string) (out []version, err error) {
	for _, column := range []string{"change_set", "from_set"} {
		err := sqlkit.Each(ctx, q, func(r *sql.Rows) error {
			x, err := scanVersion(r)
			if !slices.ContainsFunc(out, func(y version) bool { return y.seq == x.seq }) {
				out = append(out, x)
			}
			return err
		}, `SELECT `+versionColumns+` FROM history WHERE tenant = ? AND `+column+` = ? AND kind = ? AND id || '' = ?`, string(l.tenant), l.set, string(l.view.Kind), id)
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b version) int { return cmp.Compare(a.seq, b.seq) })
	return out, nil
}

// cameIn reports whether a version is the first one of a document of a kind of which that is no change.
func (l *life) cameIn(ctx context.Context, q sqlkit.Queryer, id string, x version) (bool, error) {
	if l.view.Documents.Table().Births == "" {
		return false, nil
	}
	var earlier int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM history WHERE tenant = ? AND kind = ? AND id = ? AND seq < ? LIMIT 1) e`,
		string(l.tenant), string(l.view.Kind), id, x.seq).Scan(&earlier)
	return earlier == 0, err
}

// shown returns the changes that the set made.
func (l *life) shown(ctx context.Context, q sqlkit.Queryer, id string) ([]step, error) {
	versions, err := l.named(ctx, q, id)
	if err != nil {
		return nil, err
	}
	for i, x := range versions {
		came := false
		if i == 0 {
			if came, err = l.cameIn(ctx, q, id, x); err != nil {
				return nil, err
			}
		}
		next := l.before != nil && x.made.At.Equal(l.steps[len(l.steps)-1].At) // versions from before may not know who made them
		if next || x.made.Set == l.set && !came {                              // else it is what the set found
			l.begin(id, x.raw, x.made, x.object, x.peer)
		}
		l.before = nil
		if x.ended.Set == l.set {
			l.end(id, x)
		}
	}
	now, err := l.view.Documents.Current(ctx, q, l.tenant, id)
	if err == nil && now != nil && now.Rev.Set == l.set {
		l.begin(id, now.Raw, now.Rev, int64(now.Object), int64(now.Peer))
	}
	return l.steps, err
}

// whole returns all changes from the first one of the set to the present, or to the first one of another set. It returns at least one step.
func (l *life) whole(ctx context.Context, q sqlkit.Queryer, id string) ([]step, error) {
	versions, err := l.named(ctx, q, id)
	if err != nil {
		return nil, err
	}
	if len(versions) > 0 {
		came, err := l.cameIn(ctx, q, id, versions[0])
		if err != nil {
			return nil, err
		}
		err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
			x, err := scanVersion(r)
			if err != nil {
				return err
			}
			if len(l.steps) > 0 || x.made.Set == l.set && !came { // else it is what the set found
				l.begin(id, x.raw, x.made, x.object, x.peer)
			}
			l.end(id, x)
			if x.ended.Set != l.set {
				return errEnough
			}
			return nil
		}, `SELECT `+versionColumns+` FROM history WHERE tenant = ? AND kind = ? AND id = ? AND seq >= ? ORDER BY seq`, string(l.tenant), string(l.view.Kind), id, versions[0].seq)
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
		return []step{{changes.Change{Kind: l.view.Kind, ID: id}, l.set}}, nil
	}
	return l.steps, nil
}

// end continues a life by the change that ends a version.
func (l *life) end(id string, x version) {
	c := step{changes.Change{Kind: l.view.Kind, ID: id, Object: iot.ID(x.object), Peer: iot.ID(x.peer), Action: iot.Updated, At: x.ended.At, By: x.ended.By, Before: x.raw}, x.ended.Set}
	l.before = x.raw
	if x.deleted {
		c.Action, l.before = iot.Deleted, nil
	}
	l.steps = append(l.steps, c)
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
