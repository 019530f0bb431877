package series

import (
	"cmp"
	"math"
	"slices"

	"github.com/isobar-iot/isobar/iot"
)

// Builder makes a Chart from values that come in order of time (backwards if the request is Reverse). Drivers with the Aggregator
// ability use it, so that buckets, limits and order are decided in one place. It is not safe for concurrent use.
type Builder struct {
	a          Aggregation
	chart      Chart
	index      map[Key]int
	unitAt     []int64 // time of the newest unit, per column
	start, end int64   // bucket of the last row
	slab       []Stat
	samplers   []sampler // of the last row, per column; only if percentiles are wanted
}

// maxCells bounds the memory of a Chart: rows times columns. One cell takes about 150 bytes.
const maxCells = 1 << 20

// NewBuilder returns a Builder for a request that passed Check.
func NewBuilder(a Aggregation) *Builder {
	if a.Limit == 0 {
		a.Limit = DefaultLimit
	}
	a.Percentiles = slices.Clone(a.Percentiles)
	b := &Builder{a: a, index: make(map[Key]int, len(a.Series))}
	for _, k := range a.Series {
		b.column(k)
	}
	return b
}

func (b *Builder) column(k Key) int {
	i, ok := b.index[k]
	if !ok {
		i = len(b.chart.Series)
		b.index[k] = i
		b.chart.Series = append(b.chart.Series, Info{Key: k})
		b.unitAt = append(b.unitAt, math.MinInt64)
	}
	return i
}

// Column returns the column of a series, negative if it is not wanted.
func (b *Builder) Column(k Key) int {
	if len(b.a.Series) == 0 {
		return b.column(k)
	}
	if i, ok := b.index[k]; ok {
		return i
	}
	return -1
}

// Unit notes the unit that a series had at a time; the newest wins.
func (b *Builder) Unit(col int, unit string, ms int64) {
	if ms >= b.unitAt[col] {
		b.unitAt[col], b.chart.Series[col].Unit = ms, unit
	}
}

// Add adds one value. It returns false, and the chart is truncated, if there is no room for a new row.
func (b *Builder) Add(at Stamp, col int, n iot.Number) bool {
	s := b.stat(at.MS, col)
	if s == nil {
		return false
	}
	s.Add(at, n)
	if len(b.a.Percentiles) > 0 {
		for len(b.samplers) <= col {
			b.samplers = append(b.samplers, sampler{})
		}
		b.samplers[col].add(n.Float())
	}
	return true
}

// Merge adds values that all lie in the bucket of ms; see Within.
func (b *Builder) Merge(ms int64, col int, st Stat) bool {
	s := b.stat(ms, col)
	if s == nil {
		return false
	}
	s.Merge(st)
	return true
}

// Merges reports whether Merge may be used at all: there are buckets, and nothing is wanted for which every value counts.
func (b *Builder) Merges() bool {
	return (b.a.Interval != (Interval{}) || b.a.Grid.Width > 0) && len(b.a.Percentiles) == 0
}

// Within reports whether two times lie in the same bucket.
func (b *Builder) Within(first, last int64) bool {
	if first >= b.start && first < b.end {
		return last < b.end
	}
	_, end := b.Bucket(first)
	return last < end
}

// Bucket returns the start and the end, exclusive, of the bucket that holds a time, in Unix milliseconds.
func (b *Builder) Bucket(ms int64) (start, end int64) {
	if b.a.Grid.Width > 0 {
		return b.a.Grid.bucket(ms)
	}
	return b.a.Interval.BucketIn(ms, b.a.Zone)
}

func (b *Builder) stat(ms int64, col int) *Stat {
	n := len(b.chart.Rows)
	if n == 0 || ms < b.start || ms >= b.end {
		if n >= b.a.Limit || (n+1)*len(b.chart.Series) > maxCells {
			b.chart.Truncated = true
			return nil
		}
		b.finishRow()
		b.start, b.end = b.Bucket(ms)
		b.chart.Rows = append(b.chart.Rows, Row{Time: b.start, Stats: b.take(len(b.chart.Series))})
		n++
	}
	r := &b.chart.Rows[n-1]
	if col >= len(r.Stats) {
		grown := b.take(len(b.chart.Series))
		copy(grown, r.Stats)
		r.Stats = grown
	}
	return &r.Stats[col]
}

// finishRow works out the percentiles of the last row, after which its values need not be kept.
func (b *Builder) finishRow() {
	if len(b.samplers) == 0 {
		return
	}
	r := &b.chart.Rows[len(b.chart.Rows)-1]
	r.Percentiles = make([][]float64, len(r.Stats))
	for i := range b.samplers {
		if s := &b.samplers[i]; s.n > 0 {
			r.Percentiles[i] = s.percentiles(b.a.Percentiles)
			s.reset()
		}
	}
}

// take cuts n empty Stats from a slab, so that a row costs no allocation of its own.
func (b *Builder) take(n int) []Stat {
	if len(b.slab) < n {
		b.slab = make([]Stat, max(n, min(64*n, 4096)))
	}
	out := b.slab[:n:n]
	b.slab = b.slab[n:]
	return out
}

// Chart returns the result. The Builder must not be used afterwards.
func (b *Builder) Chart() Chart {
	b.finishRow()
	to := b.order()
	for i := range b.chart.Rows {
		b.arrange(&b.chart.Rows[i], to)
	}
	return b.chart
}

// order sorts the columns if the request named none; it returns where each old column went, nil if nothing moved.
func (b *Builder) order() []int {
	byName := func(x, y Info) int {
		return cmp.Or(cmp.Compare(x.Fragment, y.Fragment), cmp.Compare(x.Series, y.Series))
	}
	if len(b.a.Series) > 0 || slices.IsSortedFunc(b.chart.Series, byName) {
		return nil
	}
	old := slices.Clone(b.chart.Series)
	slices.SortFunc(b.chart.Series, byName)
	to := make([]int, len(old))
	for i := range old {
		to[i], _ = slices.BinarySearchFunc(b.chart.Series, old[i], byName)
	}
	return to
}

func (b *Builder) arrange(r *Row, to []int) {
	if to == nil && len(r.Stats) == len(b.chart.Series) {
		return
	}
	stats, percentiles := b.take(len(b.chart.Series)), r.Percentiles
	if percentiles != nil {
		percentiles = make([][]float64, len(b.chart.Series))
	}
	for i := range r.Stats {
		at := i
		if to != nil {
			at = to[i]
		}
		stats[at] = r.Stats[i]
		if i < len(r.Percentiles) {
			percentiles[at] = r.Percentiles[i]
		}
	}
	r.Stats, r.Percentiles = stats, percentiles
}
