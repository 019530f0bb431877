package telemetry

import (
	"cmp"
	"context"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// StreamPage is how many measurements EachMeasurement has in memory at most.
const StreamPage = 2000

// EachMeasurement calls fn with one page after the other of all that q selects and p may read, however many they are, until fn fails. A page is valid
// until fn returns; nothing of the store is held meanwhile, so that a slow reader disturbs nobody. What is stored or removed meanwhile may be there or not;
// everything else comes exactly once. q.Offset and, unless it is zero, q.Limit count. The first page comes even if it is empty.
//
// Whoever may read some sources only should name one: without, all measurements in the range are looked at.
func (tm *Telemetry) EachMeasurement(ctx context.Context, p iot.Principal, q MeasurementQuery, fn func(page []iot.Measurement) error) error {
	all, err := tm.eyes(ctx, p, q.Source)
	if err != nil {
		return err
	}
	s := stream{query: q.query(), skip: q.Offset, limit: q.Limit, eyes: make(map[iot.ID]eye, len(all))}
	for _, e := range all {
		s.eyes[e.source] = e
		if len(all) == 1 {
			s.query.Source = e.source
		}
	}
	for more := len(all) > 0; ; {
		s.page = s.page[:0]
		if more {
			if more, err = s.fill(ctx, tm.d.Series, p.Tenant); err != nil {
				return sqlkit.Fault("telemetry.EachMeasurement", err)
			}
		}
		if err := fn(s.page); err != nil || !more {
			return err
		}
	}
}

// stream is a place in a long list of measurements.
type stream struct {
	query       series.Query // of what is left, with those of the millisecond that was reached
	eyes        map[iot.ID]eye
	skip, limit int
	shown       int
	page        []iot.Measurement
	last        iot.Measurement // the last one that was looked at: its time, source and Seq
	same        int             // how many of last's millisecond were looked at
	begun       bool
}

// fill looks at a page and says whether there may be more.
func (s *stream) fill(ctx context.Context, store series.Store, t iot.TenantID) (more bool, err error) {
	q, looked := s.query, 0
	q.Limit = StreamPage + s.same
	err = store.Scan(ctx, t, q, func(m *iot.Measurement) bool {
		looked++
		if s.seen(m) {
			return true
		}
		s.look(m)
		return s.limit == 0 || s.shown < s.limit
	})
	if s.begun {
		ms := s.last.Time.UnixMilli()
		if s.query.Reverse {
			s.query.To = series.Bound(iot.FromMillis(ms + 1))
		} else {
			s.query.From = series.Bound(iot.FromMillis(ms))
		}
	}
	return looked == q.Limit && (s.limit == 0 || s.shown < s.limit), err
}

// seen reports whether m came before, or would have.
func (s *stream) seen(m *iot.Measurement) bool {
	if !s.begun {
		return false
	}
	c := cmp.Or(m.Time.Compare(s.last.Time), cmp.Compare(m.Source, s.last.Source), cmp.Compare(m.Seq, s.last.Seq))
	if s.query.Reverse {
		c = -c
	}
	return c <= 0
}

func (s *stream) look(m *iot.Measurement) {
	if !s.begun || !m.Time.Equal(s.last.Time) {
		s.same = 0
	}
	s.same++
	s.begun, s.last.Time, s.last.Source, s.last.Seq = true, m.Time, m.Source, m.Seq
	e, ok := s.eyes[m.Source]
	if !ok {
		if e, ok = s.eyes[0]; !ok {
			return
		}
	}
	shown := series.Copy(m)
	if !e.see(&shown) || !e.all && !s.matches(&shown) {
		return
	}
	if s.skip > 0 {
		s.skip--
		return
	}
	s.shown++
	s.page = append(s.page, shown)
}

// matches asks the conditions again of what is left of a measurement: what was taken from it must not be found either.
func (s *stream) matches(m *iot.Measurement) bool {
	q := s.query
	q.From, q.To = 0, 0
	return q.Match(m)
}
