package changessql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// quoted is a kind as a literal: kinds are constants of ours.
func quoted(k iot.Kind) string { return "'" + string(k) + "'" }

// born is the column by which first versions are found.
func born(t changes.Table) string {
	if t.Born != "" {
		return t.Born
	}
	return t.Updated
}

// births is the condition on m that its first version counts.
func births(t changes.Table) string {
	if t.Births == "" {
		return ""
	}
	return " AND " + t.Births
}

// part says which part of all changes is looked at. Zero values leave nothing out.
type part struct {
	since  int64    // changes from then on
	sets   []string // of these sets
	object iot.ID   // of this managed object, or of what belongs to it
}

// seen returns the conditions on h and m that a change is in view.
func (s *Store) seen(v changes.View) (old string, oldArgs []any, now string, nowArgs []any) {
	tb := v.Documents.Table()
	column, expr := "h.object", tb.Object
	if tb.ByPeer {
		column, expr = "h.peer", tb.Peer
	}
	if expr == "" && !v.Scope.All {
		return "1=0", nil, "1=0", nil
	}
	old, oldArgs = v.Scope.SQL(s.db.Dialect, "h.tenant", column, "")
	now, nowArgs = v.Scope.SQL(s.db.Dialect, "m.tenant", expr, "")
	if tb.Alive != "" && !v.Scope.All {
		old += " AND " + tb.Alive
	}
	return old, oldArgs, now, nowArgs
}

// changed returns the table of the changes of a kind in view, one row each: sid, at, author. A version came into being by a change of its own if none
// ended when it began; all others by the change that ended the one before.
func (s *Store) changed(t iot.TenantID, v changes.View, p part) (string, []any) {
	tb, kind := v.Documents.Table(), quoted(v.Kind)
	old, oldArgs, now, nowArgs := s.seen(v)
	ended, made, is := []any{string(t)}, []any{string(t)}, []any{string(t)}
	endedCond, madeCond, isCond := "", "", births(tb)
	if p.since > 0 { // what began later than that also ended later
		endedCond, madeCond, isCond = " AND h.valid_to >= ?", " AND h.valid_to >= ? AND h.valid_from >= ?", isCond+" AND "+born(tb)+" >= ?"
		ended, made, is = append(ended, p.since), append(made, p.since, p.since), append(is, p.since)
	}
	if len(p.sets) > 0 {
		in := " IN " + sqlkit.In(len(p.sets))
		endedCond, madeCond, isCond = endedCond+" AND h.change_set"+in, madeCond+" AND h.from_set"+in, isCond+" AND m.rev_set"+in
		for _, id := range p.sets {
			ended, made, is = append(ended, id), append(made, id), append(is, id)
		}
	}
	if p.object != 0 {
		of, ofNow, n := "h.object = ? AND h.object <> 0", tb.Object+" = ?", 1 // the index is for those only
		switch {
		case tb.Object == "":
			of, ofNow, n = "1=0", "1=0", 0
		case tb.Peer != "":
			of, ofNow, n = "("+of+" OR h.peer = ? AND h.peer <> 0)", "("+ofNow+" OR "+tb.Peer+" = ?)", 2
		}
		endedCond, madeCond, isCond = endedCond+" AND "+of, madeCond+" AND "+of, isCond+" AND "+ofNow
		for range n {
			ended, made, is = append(ended, int64(p.object)), append(made, int64(p.object)), append(is, int64(p.object))
		}
	}
	// Two versions of one millisecond follow each other in the order of rows.
	follows := func(id, at, seq string) string {
		return "EXISTS (SELECT 1 FROM history p WHERE p.tenant = ? AND p.kind = " + kind + " AND p.id = " + id + " AND p.valid_to = " + at + " AND p.deleted = 0" + seq + ")"
	}
	first := "NOT " + follows("h.id", "h.valid_from", " AND p.seq < h.seq")
	firstArgs := []any{string(t)}
	if tb.Births != "" { // only what an undo brought back
		first += " AND EXISTS (SELECT 1 FROM history p WHERE p.tenant = ? AND p.kind = " + kind + " AND p.id = h.id AND p.deleted = 1 AND p.seq < h.seq)"
		firstArgs = append(firstArgs, string(t))
	}
	text := `SELECT h.change_set AS sid, h.valid_to AS at, h.changed_by AS author FROM history h WHERE h.tenant = ? AND h.kind = ` + kind + endedCond + ` AND ` + old + `
		UNION ALL SELECT h.from_set, h.valid_from, h.from_by FROM history h WHERE h.tenant = ? AND h.kind = ` + kind + madeCond + ` AND h.from_set <> '' AND ` + first + ` AND ` + old + `
		UNION ALL SELECT m.rev_set, ` + tb.Updated + `, m.rev_by FROM ` + tb.Name + ` m WHERE m.tenant = ?` + isCond + ` AND m.rev_set <> '' AND NOT ` + follows(tb.ID, tb.Updated, "") + ` AND ` + now
	return text, slices.Concat(ended, oldArgs, made, firstArgs, oldArgs, is, []any{string(t)}, nowArgs)
}

// meeting returns the FROM of the changes of all views that a query asks for.
func (s *Store) meeting(t iot.TenantID, views []changes.View, p part, q changes.Query) (string, []any) {
	var parts []string
	var args []any
	for _, v := range views {
		text, more := s.changed(t, v, p)
		parts, args = append(parts, text), append(args, more...)
	}
	text := ` FROM (` + strings.Join(parts, " UNION ALL ") + `) c WHERE 1=1`
	if !q.From.IsZero() {
		text, args = text+" AND c.at >= ?", append(args, q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		text, args = text+" AND c.at < ?", append(args, q.To.UnixMilli())
	}
	if q.By != "" {
		text, args = text+" AND c.author = ?", append(args, q.By)
	}
	return text, args
}

// touched returns the ids of the documents of a kind in view that a change set changed, at most limit, in order.
func (s *Store) touched(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, v changes.View, set string, limit int) (ids []string, err error) {
	tb, kind := v.Documents.Table(), quoted(v.Kind)
	old, oldArgs, now, nowArgs := s.seen(v)
	first := ""
	args := slices.Concat([]any{string(t), set}, oldArgs, []any{string(t), set}, oldArgs)
	if tb.Births != "" {
		first = " AND EXISTS (SELECT 1 FROM history p WHERE p.tenant = ? AND p.kind = " + kind + " AND p.id = h.id AND p.seq < h.seq)"
		args = slices.Concat([]any{string(t), set}, oldArgs, []any{string(t), set, string(t)}, oldArgs)
	}
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		var id string
		var object int64
		err := r.Scan(&id, &object)
		if !slices.Contains(ids, id) { // versions from before may not know their object
			ids = append(ids, id)
		}
		return err
	}, `SELECT id, object FROM (SELECT h.id AS id, h.object AS object FROM history h WHERE h.tenant = ? AND h.change_set = ? AND h.kind = `+kind+` AND `+old+`
		UNION SELECT h.id, h.object FROM history h WHERE h.tenant = ? AND h.from_set = ? AND h.kind = `+kind+first+` AND `+old+`
		UNION SELECT `+tb.ID+`, `+zero(tb.Object)+` FROM `+tb.Name+` m WHERE m.tenant = ? AND m.rev_set = ?`+births(tb)+` AND `+now+`) x ORDER BY object, id LIMIT ?`,
		slices.Concat(args, []any{string(t), set}, nowArgs, []any{max(limit, 0)})...)
	return ids, err
}

// zero is a column, or no object.
func zero(column string) string {
	if column == "" {
		return "0"
	}
	return column
}
