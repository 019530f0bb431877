package telemetrysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// documents is what alarms and events have in common in the change log: they are rows of a table that is called like their kind. That one came in is no
// change: there may be millions, and nobody looks for them by who sent them.
type documents struct {
	changes.Unhindered
	s    *Store
	kind iot.Kind
}

// Table implements changes.Documents.
func (d documents) Table() changes.Table {
	table := string(d.kind)
	return changes.Table{Name: table, ID: "CAST(m.id AS TEXT)", Object: "m.source", Updated: "m.updated", Births: "m.returned = 1",
		Alive: "EXISTS (SELECT 1 FROM " + table + " x WHERE x.tenant = h.tenant AND x.id = CASE WHEN h.kind = '" + table + "' THEN CAST(h.id AS BIGINT) END)"}
}

// current reads a document and who made it; nil if there is none.
func current[D any](ctx context.Context, q sqlkit.Queryer, d documents, t iot.TenantID, text, columns string, scan func(interface{ Scan(...any) error }) (D, error),
	describe func(D) (iot.ID, sqlkit.Revision)) (*changes.Document, error) {
	id, _ := iot.ParseID(text)
	x, err := scan(q.QueryRow(ctx, `SELECT `+columns+` FROM `+string(d.kind)+` x WHERE x.tenant = ? AND x.id = ?`+sqlkit.LockIn(q), string(t), int64(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &changes.Document{}
	out.Object, out.Rev = describe(x)
	if out.Raw, err = json.Marshal(x); err != nil {
		return nil, err
	}
	out.Rev.By, out.Rev.Set, err = sqlkit.Row{Table: string(d.kind), ID: int64(id)}.Made(ctx, q, string(t))
	return out, err
}

// returned marks what came back.
func (d documents) returned(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID) error {
	_, err := tx.Exec(ctx, `UPDATE `+string(d.kind)+` SET returned = 1 WHERE tenant = ? AND id = ?`, string(t), int64(id))
	return err
}

// alarms implements changes.Documents.
type alarms struct{ documents }

// AlarmDocuments implements telemetry.Alarms.
func (s *Store) AlarmDocuments() changes.Documents {
	return alarms{documents{s: s, kind: iot.KindAlarm}}
}

// Current implements changes.Documents.
func (d alarms) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id string) (*changes.Document, error) {
	return current(ctx, q, d.documents, t, id, alarmColumns, scanAlarm, func(a iot.Alarm) (iot.ID, sqlkit.Revision) { return a.Source, sqlkit.Revision{At: a.LastUpdated} })
}

// Restore implements changes.Documents.
func (d alarms) Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *changes.Change, rev sqlkit.Revision) error {
	return changes.Apply(c, func(a iot.Alarm) error {
		if err := supersede(ctx, tx, t, iot.KindAlarm, a.ID, a.Source, a.LastUpdated, a, rev, true); err != nil {
			return err
		}
		if err := d.s.removeRows(ctx, tx, t, []iot.ID{a.ID}, "alarm"); err != nil {
			return err
		}
		return tx.Note(ctx, telemetry.AlarmFact(t, iot.Deleted, a))
	}, func(before *iot.Alarm, next iot.Alarm) (iot.Alarm, error) {
		if before != nil {
			stored, _, err := replace(ctx, tx, t, *before, next, rev)
			return stored, err
		}
		next.LastUpdated = iot.FromMillis(rev.At.UnixMilli())
		if err := insertAlarm(ctx, tx, t, next, rev); err != nil {
			return next, err
		}
		return next, d.returned(ctx, tx, t, next.ID)
	})
}

// events implements changes.Documents.
type events struct{ documents }

// EventDocuments implements telemetry.Events.
func (s *Store) EventDocuments() changes.Documents {
	return events{documents{s: s, kind: iot.KindEvent}}
}

// Current implements changes.Documents.
func (d events) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id string) (*changes.Document, error) {
	return current(ctx, q, d.documents, t, id, eventColumns, scanEvent, func(e iot.Event) (iot.ID, sqlkit.Revision) { return e.Source, sqlkit.Revision{At: e.LastUpdated} })
}

// Hindrance implements changes.Documents: what was attached to an event is gone with it, and has no history.
func (events) Hindrance(_ context.Context, _ *sqlkit.Tx, _ iot.TenantID, c changes.Change, _ []changes.Change) (*changes.Conflict, error) {
	before, after, err := changes.Versions[iot.Event](c)
	if err != nil {
		return nil, err
	}
	attached := func(e *iot.Event) string {
		if e == nil {
			return ""
		}
		return string(e.Fragments.Get(iot.FragmentIsBinary))
	}
	if attached(before) != attached(after) {
		return &changes.Conflict{Kind: c.Kind, ID: c.ID, Reason: "what was attached to it cannot be brought back"}, nil
	}
	return nil, nil
}

// Restore implements changes.Documents.
func (d events) Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *changes.Change, rev sqlkit.Revision) error {
	return changes.Apply(c, func(e iot.Event) error {
		if err := supersede(ctx, tx, t, iot.KindEvent, e.ID, e.Source, e.LastUpdated, e, rev, true); err != nil {
			return err
		}
		if err := d.s.removeRows(ctx, tx, t, []iot.ID{e.ID}, "event", "event_fragment"); err != nil {
			return err
		}
		return tx.Note(ctx, telemetry.EventFact(t, iot.Deleted, e))
	}, func(before *iot.Event, next iot.Event) (iot.Event, error) {
		next.LastUpdated = iot.FromMillis(rev.At.UnixMilli())
		if before != nil {
			return next, replaceEvent(ctx, tx, t, *before, next, rev)
		}
		if err := insertEvent(ctx, tx, t, next, rev); err != nil {
			return next, err
		}
		return next, d.returned(ctx, tx, t, next.ID)
	})
}
