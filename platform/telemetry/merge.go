package telemetry

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// mergeStep bounds the measurements that are held, beside the page, while those of several sources are put in one order.
const mergeStep = 2000

// merged returns a page of what several sources have together. However far back the page lies, it holds no more than mergeStep measurements beside it: it
// goes through them from one end, so many at a time.
func (tm *Telemetry) merged(ctx context.Context, t iot.TenantID, q MeasurementQuery, eyes []eye) (page []iot.Measurement, total int, err error) {
	if q.Count {
		for _, e := range eyes {
			one := q
			one.Source = e.source
			n, err := tm.scan(ctx, t, one, e, 0, 0, &page)
			if err != nil {
				return nil, 0, err
			}
			total += n
		}
	}
	skip := q.Offset
	var after *iot.Measurement
	for len(page) < q.Limit {
		n := min(mergeStep, skip+q.Limit-len(page))
		some, err := tm.first(ctx, t, q, eyes, after, n)
		if err != nil {
			return nil, 0, err
		}
		passed := min(skip, len(some))
		skip -= passed
		page = append(page, some[passed:]...)
		if len(some) < n {
			break
		}
		last := some[n-1] // not the list it is in
		after = &last
	}
	return page, total, nil
}

// first returns the first n measurements of several sources that come after one, or of all if it is nil, in their order.
func (tm *Telemetry) first(ctx context.Context, t iot.TenantID, q MeasurementQuery, eyes []eye, after *iot.Measurement, n int) ([]iot.Measurement, error) {
	h := &ahead{reverse: q.Reverse}
	for _, e := range eyes {
		q.Source = e.source
		sq := q.query()
		switch {
		case after != nil && q.Reverse:
			sq.To = series.Bound(after.Time.Add(time.Millisecond))
		case after != nil:
			sq.From = series.Bound(after.Time)
		}
		err := tm.d.Series.Scan(ctx, t, sq, func(m *iot.Measurement) bool {
			if after != nil && !h.before(after, m) {
				return true
			}
			full := len(h.list) == n
			if full && !h.before(m, &h.list[0]) {
				return m.Time.Equal(h.list[0].Time) // all others of the source are later still
			}
			seen := series.Copy(m)
			if !e.all && (!e.see(&seen) || !sq.Match(&seen)) { // what was taken from it must not be found either
				return true
			}
			if full {
				h.list[0] = seen
				heap.Fix(h, 0)
			} else {
				heap.Push(h, seen)
			}
			return true
		})
		if err != nil {
			return nil, sqlkit.Fault("telemetry.Measurements", err)
		}
	}
	slices.SortFunc(h.list, func(a, b iot.Measurement) int { return h.compare(&a, &b) })
	return h.list, nil
}

// ahead is a heap of the first measurements so far, with the last of them on top.
type ahead struct {
	list    []iot.Measurement
	reverse bool
}

func (h *ahead) compare(a, b *iot.Measurement) int {
	c := a.Time.Compare(b.Time)
	if c == 0 {
		c = compareIDs(*a, *b)
	}
	if h.reverse {
		return -c
	}
	return c
}

func (h *ahead) before(a, b *iot.Measurement) bool { return h.compare(a, b) < 0 }

func (h *ahead) Len() int           { return len(h.list) }
func (h *ahead) Less(i, j int) bool { return h.before(&h.list[j], &h.list[i]) }
func (h *ahead) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *ahead) Push(x any)         { h.list = append(h.list, x.(iot.Measurement)) }

func (h *ahead) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}
