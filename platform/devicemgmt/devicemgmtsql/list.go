package devicemgmtsql

import (
	"context"
	"database/sql"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/security/access"
)

// List implements devicemgmt.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, scope access.Scope, q devicemgmt.Query) ([]iot.Operation, int, error) {
	b := s.conditions(t, scope, q)
	n := 0
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM operation x`+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	dir := ""
	if q.Descending {
		dir = " DESC"
	}
	out, err := list(ctx, s.db, b.sql()+` ORDER BY x.created`+dir+`, x.id`+dir+` LIMIT ? OFFSET ?`, append(b.args, q.Limit, q.Offset))
	return out, n, err
}

func list(ctx context.Context, q sqlkit.Queryer, rest string, args []any) (out []iot.Operation, err error) {
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		o, err := scan(r)
		out = append(out, o)
		return err
	}, `SELECT `+columns+` FROM operation x`+rest, args...)
	return out, err
}

// builder collects the conditions on the table x.
type builder struct {
	conds []string
	args  []any
}

func (b *builder) where(cond string, args ...any) {
	b.conds = append(b.conds, cond)
	b.args = append(b.args, args...)
}

func (b *builder) sql() string { return " WHERE " + strings.Join(b.conds, " AND ") }

func (s *Store) conditions(t iot.TenantID, scope access.Scope, q devicemgmt.Query) *builder {
	b := &builder{}
	b.where("x.tenant = ?", string(t))
	if !scope.All {
		cond, args := scope.SQL(s.db.Dialect, "x.tenant", "x.device", "x.doc")
		b.where(cond, args...)
	}
	for _, c := range []struct {
		column string
		id     iot.ID
	}{{"x.device", q.Device}, {"x.agent", q.Receiver}, {"x.bulk", q.BulkID}} {
		if c.id != 0 {
			b.where(c.column+" = ?", int64(c.id))
		}
	}
	if q.Devices != nil {
		cond, arg := sqlkit.AnyID(s.db.Dialect, "x.device", q.Devices)
		b.where(cond, arg)
	}
	if q.Status != "" {
		b.where("x.status = ?", string(q.Status))
	}
	if q.Fragment != "" {
		b.where("EXISTS (SELECT 1 FROM operation_fragment f WHERE f.tenant = x.tenant AND f.id = x.id AND f.fragment = ?)", q.Fragment)
	}
	if c := sqlkit.Except(q.Except, "x.device", "", "EXISTS (SELECT 1 FROM operation_fragment n WHERE n.tenant = x.tenant AND n.id = x.id AND n.fragment = ?)"); c.SQL != "" {
		b.where(c.SQL, c.Args...)
	}
	if !q.From.IsZero() {
		b.where("x.created >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		b.where("x.created < ?", q.To.UnixMilli())
	}
	return b
}
