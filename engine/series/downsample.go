package series

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Method is a way to choose the points of a drawing.
type Method uint8

// The methods. Both keep the first and the last point of each series, and return points as they were stored.
const (
	// LTTB keeps the look of a line: Largest Triangle Three Buckets (Steinarsson, 2013) among the extremes of four times as many
	// parts of the range as points are wanted (MinMaxLTTB: Van Der Donckt et al., 2023), which is all points if they are few.
	LTTB Method = iota
	// MinMax keeps every extreme: the smallest and the largest value of each of MaxPoints/2 - 1 equal parts of the range.
	MinMax
)

// The bounds of Aggregation.MaxPoints.
const (
	MinPoints    = 4
	MaxMaxPoints = 5000
)

// Grid divides time into parts of equal width, counted from a start.
type Grid struct {
	Start, Width int64 // milliseconds; a width of zero is no grid
}

func (g Grid) bucket(ms int64) (start, end int64) {
	start = g.Start + floorDiv(ms-g.Start, g.Width)*g.Width
	return start, start + g.Width
}

// parts is how many parts of the range the points are chosen from.
func (a *Aggregation) parts() int64 {
	if a.Method == MinMax {
		return int64(max(1, a.MaxPoints/2-1))
	}
	return int64(4 * a.MaxPoints)
}

// downsample answers a request with MaxPoints from the extremes of a grid, which a store may know without reading every point.
func downsample(ctx context.Context, s Store, tenant iot.TenantID, a Aggregation) (Chart, error) {
	if err := a.Check(); err != nil {
		return Chart{}, err
	}
	first, last, ok, err := extent(ctx, s, tenant, a.Query())
	if err != nil || !ok {
		return NewBuilder(a).Chart(), err
	}
	parts, inner := a.parts(), a
	inner.MaxPoints, inner.Reverse, inner.Limit = 0, false, int(parts)+1
	inner.Grid = Grid{Start: first, Width: (last-first)/parts + 1}
	chart, err := Aggregate(ctx, s, tenant, inner)
	if err != nil {
		return Chart{}, err
	}
	if chart.Truncated {
		return Chart{}, fault.E(fault.Op("series.Aggregate"), fault.Invalid, "that many points of that many series are too much for one drawing: "+
			"name fewer series or ask for fewer points")
	}
	return a.draw(chart), nil
}

// extent returns the times of the first and the last measurement that a query selects.
func extent(ctx context.Context, s Store, tenant iot.TenantID, q Query) (first, last int64, ok bool, err error) {
	q.Limit, q.Reverse = 1, false
	for _, at := range []*int64{&first, &last} {
		err = s.Scan(ctx, tenant, q, func(m *iot.Measurement) bool {
			*at, ok = m.Time.UnixMilli(), true
			return false
		})
		if err != nil || !ok {
			return 0, 0, false, err
		}
		q.Reverse = true
	}
	// A measurement may have come in, or gone, between the two reads.
	return first, max(first, last), true, nil
}

// point is one value of a drawing.
type point struct {
	at  int64
	col int
	n   iot.Number
}

// draw makes the chart of single points out of the chart of the parts.
func (a Aggregation) draw(parts Chart) Chart {
	var all []point
	for col := range parts.Series {
		points := extremes(parts.Rows, col)
		if a.Method == LTTB {
			points = triangles(points, a.MaxPoints)
		}
		all = append(all, points...)
	}
	slices.SortStableFunc(all, func(x, y point) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.col, y.col)) })
	if a.Reverse {
		slices.Reverse(all)
	}
	plain := Aggregation{Limit: len(all) + 1}
	for _, info := range parts.Series {
		plain.Series = append(plain.Series, info.Key)
	}
	b := NewBuilder(plain)
	for _, p := range all {
		b.Add(Stamp{MS: p.at}, p.col, p.n)
	}
	chart := b.Chart()
	chart.Series = parts.Series
	return chart
}

// extremes returns the first and last point of a column and the extremes of each row, in order of time, each once.
func extremes(rows []Row, col int) []point {
	var out []point
	add := func(at int64, n iot.Number) {
		if k := len(out); k == 0 || out[k-1].at != at || Compare(out[k-1].n, n) != 0 {
			out = append(out, point{at, col, n})
		}
	}
	var last *Stat
	for i := range rows {
		s := &rows[i].Stats[col]
		if s.Count == 0 {
			continue
		}
		if last == nil {
			add(s.FirstAt.MS, s.First)
		}
		if last = s; s.MinAt <= s.MaxAt {
			add(s.MinAt, s.Min)
			add(s.MaxAt, s.Max)
		} else {
			add(s.MaxAt, s.Max)
			add(s.MinAt, s.Min)
		}
	}
	if last != nil {
		add(last.LastAt.MS, last.Last)
	}
	return out
}

// triangles reduces points to at most n with Largest Triangle Three Buckets.
func triangles(points []point, n int) []point {
	if len(points) <= n {
		return points
	}
	out := append(make([]point, 0, n), points[0])
	width := float64(len(points)-2) / float64(n-2)
	edge := func(i int) int { return 1 + int(float64(i)*width) }
	for i := range n - 2 {
		from, to, end := edge(i), edge(i+1), min(edge(i+2), len(points))
		if i == n-3 {
			to, end = len(points)-1, len(points)
		}
		out = append(out, largest(out[i], points[from:to], points[to:end]))
	}
	return append(out, points[len(points)-1])
}

// largest returns the candidate that makes the largest triangle with the point before and the mean of the points that follow.
func largest(before point, candidates, after []point) point {
	var x, y float64
	for _, p := range after {
		x += float64(p.at-before.at) / float64(len(after))
		y += p.n.Float() / float64(len(after))
	}
	best, area := candidates[0], -1.0
	y0 := before.n.Float()
	for _, p := range candidates {
		if s := math.Abs(float64(p.at-before.at)*(y-y0) - x*(p.n.Float()-y0)); s > area {
			best, area = p, s
		}
	}
	return best
}
