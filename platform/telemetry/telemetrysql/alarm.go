package telemetrysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

const alarmColumns = `x.id, x.source, x.type, x.text, x.severity, x.status, x.time, x.first, x.count, x.created, x.updated, x.doc`

func scanAlarm(r interface{ Scan(...any) error }) (a iot.Alarm, err error) {
	var id, source, at, created, updated int64
	var first sql.NullInt64
	var doc []byte
	if err = r.Scan(&id, &source, &a.Type, &a.Text, &a.Severity, &a.Status, &at, &first, &a.Count, &created, &updated, &doc); err != nil {
		return a, err
	}
	a.ID, a.Source, a.Time, a.CreationTime, a.LastUpdated = iot.ID(id), iot.ID(source), iot.FromMillis(at), iot.FromMillis(created), iot.FromMillis(updated)
	if first.Valid {
		a.FirstOccurrence = iot.FromMillis(first.Int64)
	}
	a.Fragments, err = iot.ParseDoc(doc, iot.MaxDepth+1)
	return a, err
}

func firstOf(a iot.Alarm) any {
	if a.FirstOccurrence.IsZero() {
		return nil
	}
	return a.FirstOccurrence.UnixMilli()
}

// rank orders statuses as they follow each other.
const rank = `CASE x.status WHEN 'ACTIVE' THEN 1 WHEN 'ACKNOWLEDGED' THEN 2 ELSE 3 END`

// Raise implements telemetry.Alarms.
func (s *Store) Raise(ctx context.Context, t iot.TenantID, a iot.Alarm, rev sqlkit.Revision, merge func(open iot.Alarm) iot.Alarm) (before *iot.Alarm, after iot.Alarm, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		before, after = nil, a
		// The row to find may not exist yet: only a lock on its name keeps two nodes from making it twice.
		if err := tx.Lock(ctx, "alarm", string(t), a.Source.String(), a.Type); err != nil {
			return err
		}
		open, err := scanAlarm(tx.QueryRow(ctx, `SELECT `+alarmColumns+` FROM alarm x WHERE x.tenant = ? AND x.source = ? AND x.type = ? AND x.status <> 'CLEARED'
			ORDER BY `+rank+`, x.time DESC, x.id DESC LIMIT 1`+tx.ForUpdate(), string(t), int64(a.Source), a.Type))
		if errors.Is(err, sql.ErrNoRows) {
			return insertAlarm(ctx, tx, t, a, rev)
		}
		if err != nil {
			return err
		}
		before = &open
		after, _, err = replace(ctx, tx, t, open, merge(open), rev)
		return err
	})
	return before, after, err
}

func insertAlarm(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, a iot.Alarm, rev sqlkit.Revision) error {
	if _, err := tx.Exec(ctx, `INSERT INTO alarm (tenant, id, source, type, text, severity, status, time, first, count, created, updated, doc, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		string(t), int64(a.ID), int64(a.Source), a.Type, a.Text, string(a.Severity), string(a.Status), a.Time.UnixMilli(), firstOf(a), a.Count,
		a.CreationTime.UnixMilli(), a.LastUpdated.UnixMilli(), string(a.Fragments.AppendTo(nil)), rev.By, rev.Set); err != nil {
		return err
	}
	return tx.Note(ctx, telemetry.AlarmFact(t, iot.Created, a))
}

// replace stores next in the place of old, unless they are equal.
func replace(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old, next iot.Alarm, rev sqlkit.Revision) (iot.Alarm, bool, error) {
	if next.Text == old.Text && next.Severity == old.Severity && next.Status == old.Status && next.Time.Equal(old.Time) && next.Count == old.Count &&
		next.FirstOccurrence.Equal(old.FirstOccurrence) && next.Fragments.Equal(old.Fragments) {
		return old, false, nil
	}
	next.ID, next.Source, next.Type, next.CreationTime, next.LastUpdated = old.ID, old.Source, old.Type, old.CreationTime, iot.FromMillis(rev.At.UnixMilli())
	if err := supersede(ctx, tx, t, iot.KindAlarm, old.ID, old.Source, old.LastUpdated, old, rev, false); err != nil {
		return old, false, err
	}
	if _, err := tx.Exec(ctx, `UPDATE alarm SET text = ?, severity = ?, status = ?, time = ?, first = ?, count = ?, updated = ?, doc = ?, rev_by = ?, rev_set = ?, returned = 0 WHERE tenant = ? AND id = ?`,
		next.Text, string(next.Severity), string(next.Status), next.Time.UnixMilli(), firstOf(next), next.Count, rev.At.UnixMilli(), string(next.Fragments.AppendTo(nil)),
		rev.By, rev.Set, string(t), int64(old.ID)); err != nil {
		return old, false, err
	}
	return next, true, tx.Note(ctx, telemetry.AlarmFact(t, iot.Updated, next))
}

// Alarm implements telemetry.Alarms.
func (s *Store) Alarm(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Alarm, error) {
	return scanAlarm(s.db.QueryRow(ctx, `SELECT `+alarmColumns+` FROM alarm x WHERE x.tenant = ? AND x.id = ?`, string(t), int64(id)))
}

// UpdateAlarms implements telemetry.Alarms.
func (s *Store) UpdateAlarms(ctx context.Context, t iot.TenantID, ids []iot.ID, rev sqlkit.Revision, change func(iot.Alarm) iot.Alarm) (out []telemetry.AlarmUpdate, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	b := s.builder(t, access.Scope{All: true})
	b.anyID("x.id", ids)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		out = nil
		found, err := listAlarms(ctx, tx, b.sql()+` ORDER BY x.id`+tx.ForUpdate(), b.args)
		if err != nil {
			return err
		}
		for _, old := range found {
			after, written, err := replace(ctx, tx, t, old, change(old), rev)
			if err != nil {
				return err
			}
			out = append(out, telemetry.AlarmUpdate{Before: old, After: after, Written: written})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteAlarms implements telemetry.Alarms.
func (s *Store) DeleteAlarms(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery, rev sqlkit.Revision) ([]iot.Alarm, error) {
	return s.removeAlarms(ctx, t, scope, q, func(tx *sqlkit.Tx, a iot.Alarm) error {
		return supersede(ctx, tx, t, iot.KindAlarm, a.ID, a.Source, a.LastUpdated, a, rev, true)
	})
}

// ExpireAlarms implements telemetry.Alarms.
func (s *Store) ExpireAlarms(ctx context.Context, t iot.TenantID, q telemetry.AlarmQuery) ([]iot.Alarm, error) {
	return s.removeAlarms(ctx, t, access.Scope{All: true}, q, func(tx *sqlkit.Tx, a iot.Alarm) error {
		return tx.Forget(ctx, string(t), string(iot.KindAlarm), a.ID.String())
	})
}

// HeldAlarms implements telemetry.Alarms.
func (s *Store) HeldAlarms(ctx context.Context, t iot.TenantID, q telemetry.AlarmQuery) (h telemetry.Held, err error) {
	b := s.alarmQuery(t, access.Scope{All: true}, q)
	err = s.db.QueryRow(ctx, held+` FROM alarm x`+b.sql(), b.args...).Scan(&h.Documents, &h.Sources, &h.Bytes)
	return h, err
}

// removeAlarms is removeEvents for alarms.
func (s *Store) removeAlarms(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery, each func(*sqlkit.Tx, iot.Alarm) error) (gone []iot.Alarm, err error) {
	b := s.alarmQuery(t, scope, q)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		gone, err = listAlarms(ctx, tx, b.sql()+` ORDER BY x.time, x.id LIMIT ?`+s.lockRow(), append(b.args[:len(b.args):len(b.args)], telemetry.DeleteBatch))
		if err != nil || len(gone) == 0 {
			return err
		}
		ids := make([]iot.ID, len(gone))
		for i, a := range gone {
			ids[i] = a.ID
			if err := each(tx, a); err != nil {
				return err
			}
			if err := tx.Note(ctx, telemetry.AlarmFact(t, iot.Deleted, a)); err != nil {
				return err
			}
		}
		return s.removeRows(ctx, tx, t, ids, "alarm")
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// OpenAlarms implements telemetry.Alarms.
func (s *Store) OpenAlarms(ctx context.Context, t iot.TenantID, source iot.ID) (c registry.Counters, err error) {
	to := map[iot.Severity]*int64{iot.Critical: &c.Critical, iot.Major: &c.Major, iot.Minor: &c.Minor, iot.Warning: &c.Warning}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var sev iot.Severity
		var n int64
		err := r.Scan(&sev, &n)
		if p := to[sev]; p != nil {
			*p = n
		}
		return err
	}, `SELECT severity, count(*) FROM alarm WHERE tenant = ? AND source = ? AND status <> 'CLEARED' GROUP BY severity`, string(t), int64(source))
	return c, err
}

// AlarmHistory implements telemetry.Alarms.
func (s *Store) AlarmHistory(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]telemetry.Version[iot.Alarm], error) {
	return history[iot.Alarm](ctx, s, t, iot.KindAlarm, id, at)
}
