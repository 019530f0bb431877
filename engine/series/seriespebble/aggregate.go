package seriespebble

import (
	"cmp"
	"context"
	"errors"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// Aggregate implements series.Aggregator: chunks that lie in one bucket are answered from their statistics, without unpacking.
func (s *Store) Aggregate(ctx context.Context, tenant iot.TenantID, a series.Aggregation) (series.Chart, error) {
	var chart series.Chart
	err := s.enter()
	if err == nil {
		defer s.leave()
		chart, err = s.aggregate(ctx, tenant, a)
	}
	return chart, s.finish("series.Aggregate", tenant, err)
}

func (s *Store) aggregate(ctx context.Context, tenant iot.TenantID, a series.Aggregation) (chart series.Chart, err error) {
	if err := cmp.Or(ctx.Err(), a.Check()); err != nil {
		return chart, err
	}
	q := series.Query{Source: a.Source, From: a.From, To: a.To, Reverse: a.Reverse}
	sum := summing{b: series.NewBuilder(a), cols: map[*shape][]int{}}
	v := &view{ctx: ctx, s: s, tenant: tenant, q: &q, keys: a.Series}
	if sum.b.Merges() {
		v.whole, v.bucket = sum.b.Within, sum.b.Bucket
	}
	if v, err = v.opened(); err != nil {
		return chart, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	for {
		r, err := v.next()
		if err != nil {
			return chart, err
		}
		if r == nil || !sum.add(r) {
			return sum.b.Chart(), nil
		}
	}
}

// summing feeds records to a builder.
type summing struct {
	b    *series.Builder
	cols map[*shape][]int
	last *shape
	at   []int // columns of last
}

func (s *summing) add(r *record) bool {
	if r.shape != s.last {
		s.last, s.at = r.shape, s.columns(r.shape)
	}
	newest := r.at.ms
	if r.stats != nil {
		newest = r.newest
	}
	for i, col := range s.at {
		if col < 0 {
			continue
		}
		s.b.Unit(col, r.shape.series[i].Unit, newest)
		if !s.value(r, i, col) {
			return false
		}
	}
	return true
}

func (s *summing) value(r *record, i, col int) bool {
	if r.stats != nil {
		return s.b.Merge(r.at.ms, col, r.stats[i])
	}
	return s.b.Add(series.Stamp{MS: r.at.ms, Seq: r.at.seq}, col, r.nums[i])
}

func (s *summing) columns(sh *shape) []int {
	at, ok := s.cols[sh]
	if !ok {
		for _, i := range sh.series {
			at = append(at, s.b.Column(i.Key))
		}
		s.cols[sh] = at
	}
	return at
}
