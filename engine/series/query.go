package series

import (
	"math"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Epoch is the bound 1970-01-01T00:00:00.000Z of a Query, in which zero means "no bound".
const Epoch = math.MinInt64

// Query selects measurements. The zero Query selects all measurements of a tenant.
type Query struct {
	// Source selects one source; zero means all sources.
	Source iot.ID
	// From and To are Unix milliseconds, negative before 1970: From <= time < To. Zero means no bound, Epoch means 1970 itself;
	// Bound converts a time.
	From, To int64
	// Type selects by the type of the measurement; empty means any.
	Type string
	// Fragment selects measurements that have a series in that fragment or, if Series is empty, a free member of that name.
	Fragment string
	// Series selects measurements that have that series (in Fragment, if given). Whole measurements are returned.
	Series string
	// Seq selects one of the measurements of a source in one millisecond; nil means all. See One.
	Seq *uint32
	// Except are selections that are left out. A measurement has a fragment as Fragment says. Aggregations do not know them.
	Except []iot.Selector
	// Reverse returns the newest first.
	Reverse bool
	// Offset skips that many measurements, Limit ends after that many; zero means no limit.
	Offset, Limit int
}

// Bound returns t as a bound of a Query or an Aggregation. The zero time means no bound.
func Bound(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if ms := t.UnixMilli(); ms != 0 {
		return ms
	}
	return Epoch
}

// One returns the query that selects a single measurement.
func One(id iot.MeasurementID) Query {
	return Query{Source: id.Source, From: Bound(iot.FromMillis(id.Time)), To: Bound(iot.FromMillis(id.Time + 1)), Seq: &id.Seq}
}

// Range returns the bounds as they are compared with times: lo <= time < hi.
func (q *Query) Range() (lo, hi int64) { return bounds(q.From, q.To) }

func bounds(from, to int64) (lo, hi int64) {
	lo, hi = from, to
	switch from {
	case 0:
		lo = math.MinInt64
	case Epoch:
		lo = 0
	}
	switch to {
	case 0:
		hi = math.MaxInt64
	case Epoch:
		hi = 0
	}
	return lo, hi
}

// Check returns fault.Invalid if q asks for what no driver does.
func (q *Query) Check() error {
	if q.Offset < 0 || q.Limit < 0 {
		return fault.E(fault.Op("series.Query"), fault.Invalid, "offset and limit must not be negative")
	}
	return nil
}

// CheckDelete is Check for Delete.
func (q *Query) CheckDelete() error {
	if q.Offset != 0 || q.Limit != 0 {
		return fault.E(fault.Op("series.Query"), fault.Invalid, "a deletion takes neither offset nor limit")
	}
	return nil
}

// Match reports whether q selects m. Source, bounds, Seq, type, names and Except are compared; Offset and Limit are the caller's.
func (q *Query) Match(m *iot.Measurement) bool {
	lo, hi := q.Range()
	ms := m.Time.UnixMilli()
	switch {
	case q.Source != 0 && q.Source != m.Source, ms < lo, ms >= hi, q.Seq != nil && *q.Seq != m.Seq, q.Type != "" && q.Type != m.Type:
		return false
	case q.excepts(m):
		return false
	case q.Fragment == "" && q.Series == "":
		return true
	}
	for i := range m.Samples {
		if q.MatchSeries(m.Samples[i].Fragment, m.Samples[i].Series) {
			return true
		}
	}
	return q.FreeMember() && m.Extra.Has(q.Fragment)
}

// excepts reports whether m is left out.
func (q *Query) excepts(m *iot.Measurement) bool {
	has := func(fragment string) bool {
		return m.Extra.Has(fragment) || slices.ContainsFunc(m.Samples, func(s iot.Sample) bool { return s.Fragment == fragment })
	}
	return slices.ContainsFunc(q.Except, func(s iot.Selector) bool { return s.Matches(m.Source, m.Type, has) })
}

// MatchSeries reports whether a sample of that name satisfies Fragment and Series.
func (q *Query) MatchSeries(fragment, series string) bool {
	return (q.Fragment == "" || q.Fragment == fragment) && (q.Series == "" || q.Series == series)
}

// FreeMember reports whether a free member named q.Fragment satisfies q.
func (q *Query) FreeMember() bool { return q.Fragment != "" && q.Series == "" }
