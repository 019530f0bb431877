package telemetrysql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

// Alarms implements telemetry.Alarms.
func (s *Store) Alarms(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery) ([]iot.Alarm, int, error) {
	b := s.alarmQuery(t, scope, q)
	n := 0
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM alarm x`+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	alarms, err := listAlarms(ctx, s.db, b.sql()+alarmOrder(q)+` LIMIT ? OFFSET ?`, append(b.args, q.Limit, q.Offset))
	return alarms, n, err
}

// eachPage is how many alarms EachAlarm reads at a time.
const eachPage = 1000

// EachAlarm implements telemetry.Alarms.
func (s *Store) EachAlarm(ctx context.Context, t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery, each func(iot.Alarm, []telemetry.Version[iot.Alarm]) error) error {
	b := s.alarmQuery(t, scope, q)
	where, args := b.sql(), b.args
	for next := ""; ; next = ` AND (x.time, x.id) > (?, ?)` {
		page, err := listAlarms(ctx, s.db, where+next+` ORDER BY x.time, x.id LIMIT ?`, append(args[:len(args):len(args)], eachPage))
		if err == nil {
			err = s.withVersions(ctx, t, page, each)
		}
		if err != nil || len(page) < eachPage {
			return err
		}
		last := page[len(page)-1]
		args = append(b.args[:len(b.args):len(b.args)], last.Time.UnixMilli(), int64(last.ID))
	}
}

// withVersions calls each with alarms and their versions, those that have none first.
func (s *Store) withVersions(ctx context.Context, t iot.TenantID, page []iot.Alarm, each func(iot.Alarm, []telemetry.Version[iot.Alarm]) error) error {
	changed := map[string]iot.Alarm{}
	var ids []iot.ID
	for _, a := range page {
		if a.LastUpdated.Equal(a.CreationTime) {
			if err := each(a, nil); err != nil {
				return err
			}
			continue
		}
		changed[a.ID.String()] = a
		ids = append(ids, a.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	var versions []telemetry.Version[iot.Alarm]
	at := ""
	flush := func() error {
		a, ok := changed[at]
		if !ok {
			return nil
		}
		delete(changed, at)
		return each(a, versions)
	}
	err := sqlkit.EachOf(ctx, s.db, string(t), string(iot.KindAlarm), ids, func(row sqlkit.Superseded) error {
		if row.ID != at {
			if err := flush(); err != nil {
				return err
			}
			at, versions = row.ID, nil
		}
		v, err := version[iot.Alarm](row)
		versions = append(versions, v)
		return err
	})
	if err == nil {
		err = flush()
	}
	for _, a := range changed { // their versions were removed
		if err == nil {
			err = each(a, nil)
		}
	}
	return err
}

func listAlarms(ctx context.Context, q sqlkit.Queryer, rest string, args []any) (out []iot.Alarm, err error) {
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		a, err := scanAlarm(r)
		out = append(out, a)
		return err
	}, `SELECT `+alarmColumns+` FROM alarm x`+rest, args...)
	return out, err
}

func (s *Store) alarmQuery(t iot.TenantID, scope access.Scope, q telemetry.AlarmQuery) *builder {
	b := s.builder(t, scope)
	b.anyID("x.source", q.Sources)
	b.anyID("x.id", q.IDs)
	statuses := q.Statuses
	if q.Resolved != nil {
		statuses = []iot.AlarmStatus{iot.Cleared}
		if !*q.Resolved {
			statuses = []iot.AlarmStatus{iot.Active, iot.Acknowledged}
		}
	}
	open := slices.Contains(statuses, iot.Active) && slices.Contains(statuses, iot.Acknowledged)
	switch {
	case statuses == nil || open && slices.Contains(statuses, iot.Cleared):
	case open:
		b.where("x.status <> 'CLEARED'") // the literal condition of the indexes
	default:
		if !slices.Contains(statuses, iot.Cleared) {
			b.where("x.status <> 'CLEARED'")
		}
		anyText(b, "x.status", statuses)
	}
	anyText(b, "x.severity", q.Severities)
	anyText(b, "x.type", q.Types)
	b.except(q.Except, "")
	b.between("x.time", q.From, q.To)
	b.between("x.created", q.CreatedFrom, q.CreatedTo)
	b.between("x.updated", q.UpdatedFrom, q.UpdatedTo)
	return b
}

func alarmOrder(q telemetry.AlarmQuery) string {
	columns := map[string]string{"status": rank, "time": "x.time", "text": "x.text", "type": "x.type", "creationTime": "x.created", "lastUpdated": "x.updated",
		"severity": `CASE x.severity WHEN 'CRITICAL' THEN 1 WHEN 'MAJOR' THEN 2 WHEN 'MINOR' THEN 3 ELSE 4 END`}
	var keys []string
	for _, o := range q.Order {
		if c := columns[o.Field]; c != "" {
			keys = append(keys, c+direction(!o.Desc))
		}
	}
	dir := direction(q.Ascending)
	return " ORDER BY " + strings.Join(append(keys, "x.time"+dir, "x.id"+dir), ", ")
}
