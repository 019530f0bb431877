package telemetrysql

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

const eventColumns = `x.id, x.source, x.type, x.text, x.time, x.created, x.updated, x.doc`

func scanEvent(r interface{ Scan(...any) error }) (e iot.Event, err error) {
	var id, source, at, created, updated int64
	var doc []byte
	if err = r.Scan(&id, &source, &e.Type, &e.Text, &at, &created, &updated, &doc); err != nil {
		return e, err
	}
	e.ID, e.Source, e.Time, e.CreationTime, e.LastUpdated = iot.ID(id), iot.ID(source), iot.FromMillis(at), iot.FromMillis(created), iot.FromMillis(updated)
	e.Fragments, err = iot.ParseDoc(doc, iot.MaxDepth+1)
	return e, err
}

// CreateEvent implements telemetry.Events.
func (s *Store) CreateEvent(ctx context.Context, t iot.TenantID, e iot.Event, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error { return insertEvent(ctx, tx, t, e, rev) })
}

func insertEvent(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, e iot.Event, rev sqlkit.Revision) error {
	_, err := tx.Exec(ctx, `INSERT INTO event (tenant, id, source, type, text, time, created, updated, doc, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
		string(t), int64(e.ID), int64(e.Source), e.Type, e.Text, e.Time.UnixMilli(), e.CreationTime.UnixMilli(), e.LastUpdated.UnixMilli(),
		string(e.Fragments.AppendTo(nil)), rev.By, rev.Set)
	if err != nil {
		return err
	}
	if err := insertFragments(ctx, tx, t, e); err != nil {
		return err
	}
	return tx.Note(ctx, telemetry.EventFact(t, iot.Created, e))
}

// insertFragments keeps the index of top-level fragments. Rows per statement are bounded, so that texts of statements stay few.
func insertFragments(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, e iot.Event) error {
	const most = 8
	for d := e.Fragments; len(d) > 0; {
		n := min(len(d), most)
		args := make([]any, 0, 5*n)
		for _, m := range d[:n] {
			var value any
			if s, ok := iot.RawText(m.Raw); ok {
				value = s
			}
			args = append(args, string(t), int64(e.ID), m.Name, e.Time.UnixMilli(), value)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO event_fragment (tenant, id, fragment, time, value) VALUES (?,?,?,?,?)`+strings.Repeat(",(?,?,?,?,?)", n-1), args...); err != nil {
			return err
		}
		d = d[n:]
	}
	return nil
}

// Event implements telemetry.Events.
func (s *Store) Event(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Event, error) {
	return scanEvent(s.db.QueryRow(ctx, `SELECT `+eventColumns+` FROM event x WHERE x.tenant = ? AND x.id = ?`, string(t), int64(id)))
}

// Events implements telemetry.Events.
func (s *Store) Events(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.EventQuery) ([]iot.Event, int, error) {
	from, b, order := s.eventQuery(t, scope, q)
	n := 0
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*)`+from+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	events, err := s.listEvents(ctx, s.db, from+b.sql()+order+` LIMIT ? OFFSET ?`, append(b.args, q.Limit, q.Offset))
	return events, n, err
}

func (s *Store) listEvents(ctx context.Context, q sqlkit.Queryer, rest string, args []any) (out []iot.Event, err error) {
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		e, err := scanEvent(r)
		out = append(out, e)
		return err
	}, `SELECT `+eventColumns+rest, args...)
	return out, err
}

// eventQuery returns tables, conditions and order. A fragment without a source is looked for in the order of the fragment's own index.
func (s *Store) eventQuery(t iot.TenantID, scope access.Scope, q telemetry.EventQuery) (from string, b *builder, order string) {
	from, b = ` FROM event x`, s.builder(t, scope)
	key := "x"
	b.anyID("x.source", q.Sources)
	b.anyID("x.id", q.IDs)
	if q.Type != "" {
		b.where("x.type = ?", q.Type)
	}
	b.between("x.time", q.From, q.To)
	b.between("x.created", q.CreatedFrom, q.CreatedTo)
	b.between("x.updated", q.UpdatedFrom, q.UpdatedTo)
	if q.Fragment != "" {
		cond, args := "f.fragment = ?", []any{q.Fragment}
		if q.FragmentValue != "" {
			cond, args = cond+" AND f.value = ?", append(args, q.FragmentValue)
		}
		if q.Sources == nil && q.IDs == nil && q.Type == "" {
			key, from = "f", ` FROM event_fragment f CROSS JOIN event x` // SQLite keeps the order of a CROSS JOIN
			b.where("f.tenant = ? AND x.id = f.id", string(t))
			b.between("f.time", q.From, q.To)
			b.where(cond, args...)
		} else {
			b.where("EXISTS (SELECT 1 FROM event_fragment f WHERE f.tenant = x.tenant AND f.id = x.id AND "+cond+")", args...)
		}
	}
	b.except(q.Except, "EXISTS (SELECT 1 FROM event_fragment n WHERE n.tenant = x.tenant AND n.id = x.id AND n.fragment = ?)")
	dir := direction(q.Ascending)
	return from, b, " ORDER BY " + key + ".time" + dir + ", " + key + ".id" + dir
}

// UpdateEvent implements telemetry.Events.
func (s *Store) UpdateEvent(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.Event) (iot.Event, error)) (out iot.Event, written bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		written = false
		old, err := scanEvent(tx.QueryRow(ctx, `SELECT `+eventColumns+` FROM event x WHERE x.tenant = ? AND x.id = ?`+tx.ForUpdate(), string(t), int64(id)))
		if err != nil {
			return err
		}
		next, err := change(old)
		if err != nil {
			return err
		}
		out = old
		if next.Text == old.Text && next.Fragments.Equal(old.Fragments) {
			return nil
		}
		out.Text, out.Fragments, out.LastUpdated, written = next.Text, next.Fragments, iot.FromMillis(rev.At.UnixMilli()), true
		return replaceEvent(ctx, tx, t, old, out, rev)
	})
	return out, written, err
}

// replaceEvent puts one version of an event in the place of another.
func replaceEvent(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old, next iot.Event, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, t, iot.KindEvent, old.ID, old.Source, old.LastUpdated, old, rev, false); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE event SET text = ?, updated = ?, doc = ?, rev_by = ?, rev_set = ?, returned = 0 WHERE tenant = ? AND id = ?`,
		next.Text, rev.At.UnixMilli(), string(next.Fragments.AppendTo(nil)), rev.By, rev.Set, string(t), int64(old.ID)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM event_fragment WHERE tenant = ? AND id = ?`, string(t), int64(old.ID)); err != nil {
		return err
	}
	if err := insertFragments(ctx, tx, t, next); err != nil {
		return err
	}
	return tx.Note(ctx, telemetry.EventFact(t, iot.Updated, next))
}

// DeleteEvents implements telemetry.Events.
func (s *Store) DeleteEvents(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.EventQuery, rev sqlkit.Revision) ([]iot.Event, error) {
	return s.removeEvents(ctx, t, scope, q, func(tx *sqlkit.Tx, e iot.Event) error {
		return supersede(ctx, tx, t, iot.KindEvent, e.ID, e.Source, e.LastUpdated, e, rev, true)
	})
}

// ExpireEvents implements telemetry.Events.
func (s *Store) ExpireEvents(ctx context.Context, t iot.TenantID, q telemetry.EventQuery) ([]iot.Event, error) {
	return s.removeEvents(ctx, t, access.Scope{All: true}, q, func(tx *sqlkit.Tx, e iot.Event) error {
		return tx.Forget(ctx, string(t), string(iot.KindEvent), e.ID.String())
	})
}

// HeldEvents implements telemetry.Events.
func (s *Store) HeldEvents(ctx context.Context, t iot.TenantID, q telemetry.EventQuery) (h telemetry.Held, err error) {
	from, b, _ := s.eventQuery(t, access.Scope{All: true}, q)
	err = s.db.QueryRow(ctx, held+from+b.sql(), b.args...).Scan(&h.Documents, &h.Sources, &h.Bytes)
	return h, err
}

// held counts documents, and the bytes of what they say.
const held = `SELECT COUNT(*), COUNT(DISTINCT x.source), COALESCE(SUM(OCTET_LENGTH(x.doc) + OCTET_LENGTH(x.text) + OCTET_LENGTH(x.type)), 0)`

// removeEvents removes up to telemetry.DeleteBatch events, after what each does with every one of them.
func (s *Store) removeEvents(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.EventQuery, each func(*sqlkit.Tx, iot.Event) error) (gone []iot.Event, err error) {
	from, b, order := s.eventQuery(t, scope, q)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		gone, err = s.listEvents(ctx, tx, from+b.sql()+order+` LIMIT ?`+s.lockRow(), append(b.args[:len(b.args):len(b.args)], telemetry.DeleteBatch))
		if err != nil || len(gone) == 0 {
			return err
		}
		ids := make([]iot.ID, len(gone))
		for i, e := range gone {
			ids[i] = e.ID
			if err := each(tx, e); err != nil {
				return err
			}
			if err := tx.Note(ctx, telemetry.EventFact(t, iot.Deleted, e)); err != nil {
				return err
			}
		}
		return s.removeRows(ctx, tx, t, ids, "event", "event_fragment")
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// lockRow locks the rows of x only.
func (s *Store) lockRow() string {
	if s.db.Dialect == sqlkit.Postgres {
		return " FOR UPDATE OF x"
	}
	return ""
}

// EventHistory implements telemetry.Events.
func (s *Store) EventHistory(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]telemetry.Version[iot.Event], error) {
	return history[iot.Event](ctx, s, t, iot.KindEvent, id, at)
}
