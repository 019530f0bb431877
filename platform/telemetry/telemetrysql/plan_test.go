package telemetrysql

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

// TestPagesAreReadOffAnIndex holds the queries of people's pages to plans that read no more than the page.
func TestPagesAreReadOffAnIndex(t *testing.T) {
	ctx, all, no := context.Background(), access.Scope{All: true}, false
	db := sqltest.SQLite(t)
	s, err := New(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	one := []iot.ID{1}
	check := func(index, text string, args []any) {
		t.Helper()
		var plan []string
		err := sqlkit.Each(ctx, db, func(r *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}, `EXPLAIN QUERY PLAN `+text, args...)
		if p := strings.Join(plan, "; "); err != nil || strings.Contains(p, "TEMP B-TREE") || strings.Contains(p, "SCAN") || !strings.Contains(p, index) {
			t.Errorf("%s: %s, %v\n%s", index, p, err, text)
		}
	}
	for _, c := range []struct {
		index string
		q     telemetry.EventQuery
	}{
		{"event_by_time", telemetry.EventQuery{}}, {"event_by_time", telemetry.EventQuery{From: iot.FromMillis(5), To: iot.FromMillis(9), Ascending: true}},
		{"event_by_source ", telemetry.EventQuery{Sources: one}}, {"event_by_source ", telemetry.EventQuery{Sources: one, From: iot.FromMillis(5), Fragment: "f"}},
		{"event_by_type", telemetry.EventQuery{Type: "x"}}, {"event_by_source_type", telemetry.EventQuery{Sources: one, Type: "x"}},
		{"event_fragment_by_name", telemetry.EventQuery{Fragment: "f", From: iot.FromMillis(5)}},
	} {
		from, b, order := s.eventQuery("acme", all, c.q)
		check(c.index, `SELECT `+eventColumns+from+b.sql()+order+` LIMIT ? OFFSET ?`, append(b.args, 5, 0))
	}
	for _, c := range []struct {
		index string
		q     telemetry.AlarmQuery
	}{
		{"alarm_by_time", telemetry.AlarmQuery{}}, {"alarm_by_source", telemetry.AlarmQuery{Sources: one}}, {"alarm_by_type", telemetry.AlarmQuery{Types: []string{"x"}}},
		{"alarm_open_by_time", telemetry.AlarmQuery{Resolved: &no}},
		{"alarm_open_by_time", telemetry.AlarmQuery{Statuses: []iot.AlarmStatus{iot.Active}, Severities: []iot.Severity{iot.Critical, iot.Major}}},
	} {
		b := s.alarmQuery("acme", all, c.q)
		check(c.index, `SELECT `+alarmColumns+` FROM alarm x`+b.sql()+alarmOrder(c.q)+` LIMIT ? OFFSET ?`, append(b.args, 5, 0))
	}
}
