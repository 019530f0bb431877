package telemetrysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"math/bits"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

const addLedger = `INSERT INTO ledger (tenant, source, since, received, stored, refused, duplicate, expired, late, skewed, gap_count, arrived, newest, step, lag, gaps)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (tenant, source) DO UPDATE SET received = ledger.received + excluded.received, stored = ledger.stored + excluded.stored,
		refused = ledger.refused + excluded.refused, duplicate = ledger.duplicate + excluded.duplicate, expired = ledger.expired + excluded.expired,
		late = ledger.late + excluded.late, skewed = ledger.skewed + excluded.skewed, gap_count = ledger.gap_count + excluded.gap_count,
		arrived = CASE WHEN excluded.arrived > ledger.arrived THEN excluded.arrived ELSE ledger.arrived END,
		newest = CASE WHEN excluded.newest > ledger.newest THEN excluded.newest ELSE ledger.newest END,
		step = CASE WHEN excluded.step > 0 THEN excluded.step ELSE ledger.step END, lag = excluded.lag, gaps = excluded.gaps`

// AddLedgers implements telemetry.Ledgers.
func (s *Store) AddLedgers(ctx context.Context, t iot.TenantID, add []telemetry.Ledger) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, l := range add {
			gaps, err := json.Marshal(gapList(l.Gaps))
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, addLedger, string(t), int64(l.Source), ms(l.LastReceived), l.Received, l.Stored, l.Refused, l.Duplicate, l.Expired, l.Late,
				l.Skewed, l.Counts.Gaps, ms(l.LastReceived), ms(l.Newest), l.Step.Milliseconds(), l.Lag.Milliseconds(), string(gaps)); err != nil {
				return err
			}
			for reason, n := range l.Reasons {
				if _, err := tx.Exec(ctx, `INSERT INTO ledger_reason (tenant, source, reason, n) VALUES (?, ?, ?, ?)
					ON CONFLICT (tenant, source, reason) DO UPDATE SET n = ledger_reason.n + excluded.n`, string(t), int64(l.Source), reason, n); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// ms is a time as it is stored; zero is none.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return iot.FromMillis(n)
}

func gapList(gaps []telemetry.Gap) [][3]int64 {
	out := make([][3]int64, len(gaps))
	for i, g := range gaps {
		out[i] = [3]int64{g.From.UnixMilli(), g.To.UnixMilli(), g.Filled}
	}
	return out
}

// Ledgers implements telemetry.Ledgers.
func (s *Store) Ledgers(ctx context.Context, t iot.TenantID, sources []iot.ID, offset, limit int) ([]telemetry.Ledger, error) {
	where, args := "tenant = ?", []any{string(t)}
	if len(sources) > 0 {
		// As many parameters as the next power of two, so that there are few statements to be prepared.
		n := 1 << bits.Len(uint(len(sources)-1))
		where += " AND source IN (?" + strings.Repeat(", ?", n-1) + ")"
		for i := range n {
			args = append(args, int64(sources[min(i, len(sources)-1)]))
		}
	}
	var out []telemetry.Ledger
	err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		l, err := scanLedger(r)
		out = append(out, l)
		return err
	}, `SELECT source, since, received, stored, refused, duplicate, expired, late, skewed, gap_count, arrived, newest, step, lag, gaps
		FROM ledger WHERE `+where+` ORDER BY source LIMIT ? OFFSET ?`, append(args, limit, offset)...)
	if err != nil {
		return nil, err
	}
	return out, s.reasons(ctx, t, out)
}

func scanLedger(r *sql.Rows) (l telemetry.Ledger, err error) {
	var source, since, arrived, newest, step, lag int64
	var gaps string
	if err = r.Scan(&source, &since, &l.Received, &l.Stored, &l.Refused, &l.Duplicate, &l.Expired, &l.Late, &l.Skewed, &l.Counts.Gaps, &arrived, &newest, &step, &lag, &gaps); err != nil {
		return l, err
	}
	l.Source, l.Since, l.LastReceived, l.Newest = iot.ID(source), fromMS(since), fromMS(arrived), fromMS(newest)
	l.Step, l.Lag = time.Duration(step)*time.Millisecond, time.Duration(lag)*time.Millisecond
	var list [][3]int64
	if err = json.Unmarshal([]byte(gaps), &list); err != nil {
		return l, err
	}
	for _, g := range list {
		l.Gaps = append(l.Gaps, telemetry.Gap{From: iot.FromMillis(g[0]), To: iot.FromMillis(g[1]), Filled: g[2]})
	}
	return l, nil
}

// reasons adds the reasons to those ledgers that have refusals.
func (s *Store) reasons(ctx context.Context, t iot.TenantID, all []telemetry.Ledger) error {
	for i := range all {
		if all[i].Refused == 0 {
			continue
		}
		all[i].Reasons = map[string]int64{}
		if err := sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
			var reason string
			var n int64
			err := r.Scan(&reason, &n)
			all[i].Reasons[reason] = n
			return err
		}, `SELECT reason, n FROM ledger_reason WHERE tenant = ? AND source = ?`, string(t), int64(all[i].Source)); err != nil {
			return err
		}
	}
	return nil
}

// DropLedger implements telemetry.Ledgers.
func (s *Store) DropLedger(ctx context.Context, t iot.TenantID, source iot.ID) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, table := range []string{"ledger", "ledger_reason"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE tenant = ? AND source = ?`, string(t), int64(source)); err != nil {
				return err
			}
		}
		return nil
	})
}
