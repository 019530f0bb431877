package seriessql

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// clauses builds a WHERE with numbered arguments.
type clauses struct {
	text []string
	args []any
}

// add appends a condition in which $ stands for the argument.
func (c *clauses) add(condition string, arg any) {
	c.args = append(c.args, arg)
	c.text = append(c.text, strings.ReplaceAll(condition, "$", fmt.Sprintf("$%d", len(c.args))))
}

func (c *clauses) String() string { return strings.Join(c.text, " AND ") }

// where translates a query. Names are resolved to shapes first, so that the large table is filtered by number.
func (s *Store) where(ctx context.Context, t iot.TenantID, q *series.Query) (*clauses, error) {
	c := &clauses{}
	c.add("tenant = $", string(t))
	lo, hi := q.Range()
	c.add("ms >= $", lo)
	c.add("ms < $", hi)
	if q.Source != 0 {
		c.add("source = $", int64(q.Source))
	}
	if q.Seq != nil {
		c.add("seq = $", int64(*q.Seq))
	}
	if len(q.Except) > 0 {
		if err := s.except(ctx, t, q, c); err != nil {
			return nil, err
		}
	}
	if q.Type == "" && q.Fragment == "" && q.Series == "" {
		return c, nil
	}
	typed, named, err := s.selected(ctx, t, q)
	if err != nil {
		return nil, err
	}
	if !q.FreeMember() {
		c.add("shape = ANY($)", named)
		return c, nil
	}
	c.add("shape = ANY($)", typed)
	c.args = append(c.args, named, q.Fragment)
	n := len(c.args)
	c.text = append(c.text, fmt.Sprintf("(shape = ANY($%d) OR $%d = ANY(members))", n-1, n))
	return c, nil
}

// selected returns the shapes that have the type, and those among them that have the series, too.
func (s *Store) selected(ctx context.Context, t iot.TenantID, q *series.Query) (typed, named []int64, err error) {
	found, err := s.known(ctx, t, q.Type)
	typed, named = sorted(found, q)
	return typed, named, err
}

// known returns the shapes of a type; empty: of any.
func (s *Store) known(ctx context.Context, t iot.TenantID, typ string) ([]*shape, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, type, fragments, series, units FROM series_shape WHERE tenant = $1 AND ($2 = '' OR type = $2)`, string(t), typ)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, readShape)
}

// sorted returns the numbers of the shapes that have the type of a query, and of those among them that have its series, too.
func sorted(known []*shape, q *series.Query) (typed, named []int64) {
	typed, named = []int64{}, []int64{}
	for _, sh := range known {
		if q.Type != "" && q.Type != sh.typ {
			continue
		}
		typed = append(typed, sh.id)
		if sh.matches(q) {
			named = append(named, sh.id)
		}
	}
	return typed, named
}

func (sh *shape) matches(q *series.Query) bool {
	if q.Fragment == "" && q.Series == "" {
		return true
	}
	for _, i := range sh.series {
		if q.MatchSeries(i.Fragment, i.Series) {
			return true
		}
	}
	return false
}

// Scan implements series.Store. Rows stream from the server; a connection is in use until Scan returns.
func (s *Store) Scan(ctx context.Context, tenant iot.TenantID, q series.Query, fn func(m *iot.Measurement) bool) error {
	err := cmp.Or(s.alive(), ctx.Err(), q.Check())
	if err == nil {
		err = s.scan(ctx, tenant, &q, fn)
	}
	return s.finish("series.Scan", tenant, err)
}

func (s *Store) scan(ctx context.Context, t iot.TenantID, q *series.Query, fn func(m *iot.Measurement) bool) error {
	c, err := s.where(ctx, t, q)
	if err != nil {
		return err
	}
	order := "ms, source, seq"
	if q.Reverse {
		order = "ms DESC, source DESC, seq DESC"
	}
	text := "SELECT source, ms, seq, shape, mants, scales, extra FROM series_measurement WHERE " + c.String() + " ORDER BY " + order
	if q.Limit > 0 {
		text += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	rows, err := s.pool.Query(ctx, text+fmt.Sprintf(" OFFSET %d", q.Offset), c.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var out output
	for rows.Next() {
		if err := cmp.Or(ctx.Err(), out.read(ctx, s, t, rows)); err != nil {
			return err
		}
		if !fn(&out.m) {
			return nil
		}
	}
	return rows.Err()
}

// output is the measurement that Scan shows, made anew of each row in the same memory.
type output struct {
	m      iot.Measurement
	shape  *shape
	mants  []int64
	scales []int16
}

func (o *output) read(ctx context.Context, s *Store, t iot.TenantID, rows pgx.Rows) error {
	var source, ms, number int64
	var seq int32
	var extra *string
	if err := rows.Scan(&source, &ms, &seq, &number, &o.mants, &o.scales, &extra); err != nil {
		return err
	}
	if o.shape == nil || o.shape.id != number {
		sh, err := s.shape(ctx, t, number)
		if err != nil {
			return err
		}
		o.take(sh)
	}
	if len(o.mants) != len(o.shape.series) || len(o.scales) != len(o.mants) {
		return damaged(t, fmt.Sprintf("a measurement of source %d at %d ms does not fit its shape", source, ms))
	}
	for i := range o.mants {
		o.m.Samples[i].Value = iot.Number{Mant: o.mants[i], Scale: int8(o.scales[i])}
	}
	o.m.Source, o.m.Time, o.m.Seq, o.m.Extra = iot.ID(source), iot.FromMillis(ms), uint32(seq), nil
	if extra == nil {
		return nil
	}
	doc, err := iot.ParseDoc([]byte(*extra), iot.MaxDepth)
	if err != nil {
		return damaged(t, fmt.Sprintf("the free members of source %d at %d ms: %v", source, ms, err))
	}
	o.m.Extra = doc
	return nil
}

func (o *output) take(sh *shape) {
	o.shape, o.m.Type, o.m.Samples = sh, sh.typ, o.m.Samples[:0]
	for _, i := range sh.series {
		o.m.Samples = append(o.m.Samples, iot.Sample{Fragment: i.Fragment, Series: i.Series, Unit: i.Unit})
	}
}

func damaged(t iot.TenantID, what string) error {
	return fault.E(fault.Corrupt, t, fault.Subject(what))
}

// Get implements series.Store.
func (s *Store) Get(ctx context.Context, tenant iot.TenantID, id iot.MeasurementID) (iot.Measurement, error) {
	const op = fault.Op("series.Get")
	var out iot.Measurement
	found := false
	if id.Source != 0 {
		err := s.Scan(ctx, tenant, series.One(id), func(m *iot.Measurement) bool {
			out, found = series.Copy(m), true
			return false
		})
		if err != nil {
			return out, fault.E(op, tenant, err)
		}
	}
	if !found {
		return out, fault.E(op, fault.NotFound, tenant, fault.Subject(id.String()))
	}
	return out, nil
}
