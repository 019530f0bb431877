package c8yrest

import (
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// columns are the columns of measurements in a table: c8y.
var columns = []string{"time", "source", "device_name", "fragment.series", "value", "unit"}

// heads makes the first row of a table.
func heads(names []string) []cell {
	out := make([]cell, len(names))
	for i, n := range names {
		out[i].text = n
	}
	return out
}

// names finds the names of sources, and remembers some of them.
type names struct {
	c     *call
	known map[iot.ID]string
}

// mostNames bounds what is remembered.
const mostNames = 10_000

func (n *names) of(id iot.ID) (string, error) {
	if name, ok := n.known[id]; ok {
		return name, nil
	}
	src, err := n.c.s.Registry.Source(n.c.ctx, n.c.p.Tenant, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	if n.known == nil || len(n.known) == mostNames {
		n.known = map[iot.ID]string{}
	}
	n.known[id] = src.Name
	return src.Name, nil
}

// measurementTable answers with a row for each value of all measurements that were asked for: only a pageSize makes pages of them, of any size.
func (c *call) measurementTable(kind *tableKind) error {
	q, err := c.measurementQuery()
	if err != nil {
		return err
	}
	if c.query.Has("pageSize") {
		p, err := c.pageOf(maxOffset)
		if err != nil {
			return err
		}
		q.Offset, q.Limit = p.offset(), p.size
		if p.size == 0 {
			out := c.stream(kind)
			return out.end(out.begin().row(heads(columns)))
		}
	}
	return c.sampleTable(kind, q, nil)
}

// sampleTable writes the values of measurements: those of some series, or of all.
func (c *call) sampleTable(kind *tableKind, q telemetry.MeasurementQuery, keys []series.Key) error {
	out, named := c.stream(kind), names{c: c}
	if c.onlyHead() {
		q.Offset, q.Limit = 0, 1
		_, _, err := c.s.Telemetry.Measurements(c.ctx, c.p, q) // who may not, is told so
		return out.end(err)
	}
	row := make([]cell, len(columns))
	err := c.s.Telemetry.EachMeasurement(c.ctx, c.p, q, func(page []iot.Measurement) error {
		if out.t == nil {
			if err := out.begin().row(heads(columns)); err != nil {
				return err
			}
		}
		for i := range page {
			m := c.inUnits(page[i])
			name, err := named.of(m.Source)
			if err != nil {
				return err
			}
			for _, s := range m.Samples {
				if keys != nil && !slices.Contains(keys, series.Key{Fragment: s.Fragment, Series: s.Series}) {
					continue
				}
				row[0], row[1], row[2] = cell{text: iot.FormatTime(m.Time)}, cell{m.Source.String(), true}, cell{text: name}
				row[3], row[4], row[5] = cell{text: s.Fragment + "." + s.Series}, cell{s.Value.String(), true}, cell{text: s.Unit}
				if err := out.t.row(row); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return out.end(err)
}

// seriesTable answers with a row for each value, or for each bucket and series with what was asked for of it. All of them: nothing is truncated.
func (c *call) seriesTable(kind *tableKind, a telemetry.SeriesQuery, wanted []string) error {
	if a.Interval != (series.Interval{}) || a.MaxPoints > 0 {
		return c.bucketTable(kind, a, wanted)
	}
	first := a
	first.Limit = 1
	if _, err := c.s.Telemetry.Series(c.ctx, c.p, first); err != nil { // who may not, is told so
		return err
	}
	q := telemetry.MeasurementQuery{Source: a.Source, From: a.From, To: a.To, Reverse: a.Reverse}
	if len(a.Series) == 1 {
		q.Fragment, q.Series = a.Series[0].Fragment, a.Series[0].Series
	}
	return c.sampleTable(kind, q, a.Series)
}

func (c *call) bucketTable(kind *tableKind, a telemetry.SeriesQuery, wanted []string) error {
	out, named := c.stream(kind), names{c: c}
	if c.onlyHead() {
		a.Limit = 1 // who may not, is told so
	}
	head := append(append(slices.Clone(columns[:4]), wanted...), "unit")
	if a.MaxPoints > 0 {
		head, wanted = columns, []string{"min"} // points have one value
	}
	for {
		chart, err := c.s.Telemetry.Series(c.ctx, c.p, a)
		if err != nil {
			return out.end(err)
		}
		name, err := named.of(a.Source)
		if err != nil {
			return out.end(err)
		}
		if c.onlyHead() {
			return out.end(nil)
		}
		if out.t == nil {
			if err := out.begin().row(heads(head)); err != nil {
				return out.end(err)
			}
		}
		for _, r := range chart.Rows {
			if err := c.bucketRow(out.t, a, &r, chart.Series, name, wanted); err != nil {
				return out.end(err)
			}
		}
		if !chart.Truncated || len(chart.Rows) == 0 {
			return out.end(nil)
		}
		a.Series = keysOf(chart.Series)
		last := chart.Rows[len(chart.Rows)-1].Time
		if a.Reverse {
			a.To = iot.FromMillis(last)
		} else {
			a.From = c.s.Telemetry.NextBucket(c.ctx, c.p.Tenant, a, last)
		}
		if !a.From.Before(a.To) { // equal bounds would mean that instant
			return out.end(nil)
		}
	}
}

func keysOf(infos []series.Info) []series.Key {
	out := make([]series.Key, len(infos))
	for i, x := range infos {
		out[i] = x.Key
	}
	return out
}

// bucketRow writes the values of one bucket, a row for each series that has some.
func (c *call) bucketRow(t table, a telemetry.SeriesQuery, r *series.Row, infos []series.Info, name string, wanted []string) error {
	for i, info := range infos {
		if r.Stats[i].Count == 0 {
			continue
		}
		row := []cell{{text: iot.FormatTime(iot.FromMillis(r.Time))}, {a.Source.String(), true}, {text: name}, {text: info.Fragment + "." + info.Series}}
		ranks := 0
		for _, f := range wanted {
			row = append(row, valueCell(f, &ranks, r, i))
		}
		if err := t.row(append(row, cell{text: info.Unit})); err != nil {
			return err
		}
	}
	return nil
}

// valueCell is the value of an aggregation function; what is none, is empty.
func valueCell(name string, ranks *int, r *series.Row, col int) cell {
	var raw []byte
	if f := functions[name]; f != nil {
		raw = f(&r.Stats[col])
	} else {
		raw = finite(r.Percentiles[col][*ranks])
		*ranks++
	}
	if string(raw) == "null" {
		return cell{}
	}
	return cell{string(raw), true}
}
