package series

import (
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// DefaultLimit is the largest number of rows of a Chart when the request names none.
// c8y: a series request returns at most 5000 values and then says "truncated".
const DefaultLimit = 5000

// Aggregation asks for the values of some series of one source over a range of time.
type Aggregation struct {
	Source   iot.ID         // required
	From, To int64          // as in Query
	Series   []Key          // wanted series; empty means all that have values in the range
	Interval Interval       // width of the buckets; zero means raw points
	Zone     *time.Location // whose clocks bound the buckets, see Interval.BucketIn; nil means UTC
	Reverse  bool           // newest first; also decides which end survives truncation
	Limit    int            // most rows; zero means DefaultLimit
	// Percentiles are ranks from 0 to 100, at most MaxPercentiles, of which Row.Percentiles tells the values. They are exact for up to
	// 16,384 values of a series in a bucket; beyond, each is off by at most 0.1 % of its value, as long as the magnitudes of the values
	// that are not zero lie within a factor of 3,600, and by twice as much for each squaring of that factor.
	Percentiles []float64
	// MaxPoints, if not zero, asks for a drawing of the raw points with at most that many of each series, from MinPoints to MaxMaxPoints,
	// chosen by Method. Interval must be zero then; Limit does not count.
	MaxPoints int
	Method    Method
	// Grid divides time into equal parts instead of Interval. Down-sampling uses it; others leave it zero.
	Grid Grid
}

// MaxPercentiles is the largest number of percentiles of one Aggregation.
const MaxPercentiles = 20

// Chart is the answer to an Aggregation: a table of one row per bucket (or point in time) and one column per series.
type Chart struct {
	// Series describes the columns: in the order of the request, or sorted if it named none. A wanted series without values
	// in the range is there, with empty columns and without unit.
	Series []Info
	// Rows are in order of time, newest first if Reverse was asked for. Buckets without any value are left out.
	Rows []Row
	// Truncated says that there was more than Limit.
	Truncated bool
}

// Row holds the values of all series in one bucket.
type Row struct {
	Time  int64  // Unix milliseconds: the start of the bucket or, without interval, the time of the points
	Stats []Stat // one per column of the Chart; Count is zero where the series has no value
	// Percentiles has one entry per column, nil where the series has no value, with a value for each rank of the Aggregation.
	// It is nil if none was asked for.
	Percentiles [][]float64
}

// Aggregator is the optional ability of a Store to aggregate faster than by Scan. The result is that of Aggregate.
type Aggregator interface {
	Aggregate(ctx context.Context, tenant iot.TenantID, a Aggregation) (Chart, error)
}

// Check returns fault.Invalid if the request names no source or an impossible interval or limit.
func (a *Aggregation) Check() error {
	op := fault.Op("series.Aggregate")
	switch {
	case a.Source == 0:
		return fault.E(op, fault.Invalid, "a source is required")
	case a.Interval != (Interval{}) && !a.Interval.valid():
		return fault.E(op, fault.Invalid, "the interval is not valid")
	case a.Limit < 0:
		return fault.E(op, fault.Invalid, "the limit must not be negative")
	case len(a.Percentiles) > MaxPercentiles:
		return fault.Errorf(op, fault.Invalid, "at most %d percentiles can be asked for at once", MaxPercentiles)
	case slices.ContainsFunc(a.Percentiles, func(p float64) bool { return !(p >= 0 && p <= 100) }):
		return fault.E(op, fault.Invalid, "a percentile must lie between 0 and 100")
	case a.MaxPoints == 0:
		return nil
	case a.MaxPoints < MinPoints || a.MaxPoints > MaxMaxPoints:
		return fault.Errorf(op, fault.Invalid, "the number of points must lie between %d and %d", MinPoints, MaxMaxPoints)
	case a.Interval != (Interval{}) || len(a.Percentiles) > 0:
		return fault.E(op, fault.Invalid, "points are drawn either down-sampled or aggregated by an interval, not both")
	}
	return nil
}

// Query returns the query whose measurements contain the values of a.
func (a *Aggregation) Query() Query {
	q := Query{Source: a.Source, From: a.From, To: a.To, Reverse: a.Reverse}
	if len(a.Series) == 1 {
		q.Fragment, q.Series = a.Series[0].Fragment, a.Series[0].Series
	}
	return q
}

// Aggregate sums up the values of series per bucket, or returns raw points if a has no interval; points at the same millisecond
// share a row. It uses the store's own Aggregator if there is one.
func Aggregate(ctx context.Context, s Store, tenant iot.TenantID, a Aggregation) (Chart, error) {
	if a.MaxPoints != 0 {
		return downsample(ctx, s, tenant, a)
	}
	if fast, ok := s.(Aggregator); ok {
		return fast.Aggregate(ctx, tenant, a)
	}
	if err := a.Check(); err != nil {
		return Chart{}, err
	}
	b := NewBuilder(a)
	var cols columns
	err := s.Scan(ctx, tenant, a.Query(), func(m *iot.Measurement) bool {
		at := Stamp{m.Time.UnixMilli(), m.Seq}
		for i := range m.Samples {
			s := &m.Samples[i]
			if col := cols.find(b, i, s, at.MS); col >= 0 && !b.Add(at, col, s.Value) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return Chart{}, err
	}
	return b.Chart(), nil
}

// columns remembers the column of each sample position, because neighbours mostly have the same shape.
type columns []struct {
	key  Key
	unit string
	col  int
}

func (c *columns) find(b *Builder, i int, s *iot.Sample, ms int64) int {
	for len(*c) <= i {
		*c = append(*c, columns{{col: -1}}...)
	}
	at := &(*c)[i]
	if at.key.Fragment != s.Fragment || at.key.Series != s.Series || at.unit != s.Unit || at.col < 0 {
		at.key, at.unit = Key{s.Fragment, s.Series}, s.Unit
		at.col = b.Column(at.key)
	}
	if at.col >= 0 {
		b.Unit(at.col, s.Unit, ms)
	}
	return at.col
}
