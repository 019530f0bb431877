package seriespebble

import (
	"bytes"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// record is a measurement on its way out of the store. Its slices are valid until the stream moves on.
type record struct {
	source iot.ID
	at     stamp
	shape  *shape
	nums   []iot.Number
	extra  []byte // the free members as a JSON object, empty if there are none

	// stats, if not nil, makes the record stand for a whole chunk that starts (backwards: ends) at this stamp and whose last row
	// is at newest.
	stats  []series.Stat
	newest int64
}

// less orders records as Scan does.
func (r *record) less(o *record, reverse bool) bool {
	if reverse {
		r, o = o, r
	}
	switch {
	case r.at.ms != o.at.ms:
		return r.at.ms < o.at.ms
	case r.source != o.source:
		return r.source < o.source
	}
	return r.at.seq < o.at.seq
}

func (r *record) clone() record {
	c := *r
	c.nums, c.extra = slices.Clone(r.nums), bytes.Clone(r.extra)
	return c
}

// stream yields records in the order of a query.
type stream interface {
	// next moves to the next record; false at the end.
	next() (bool, error)
	record() *record
}

// merge is a stream of streams: a binary heap whose top has the next record.
type merge struct {
	heap    []stream
	reverse bool
	started bool
}

func newMerge(streams []stream, reverse bool) *merge {
	return &merge{heap: streams, reverse: reverse}
}

func (m *merge) record() *record { return m.heap[0].record() }

func (m *merge) next() (bool, error) {
	if !m.started {
		return m.start()
	}
	if len(m.heap) == 0 {
		return false, nil
	}
	ok, err := m.heap[0].next()
	if err != nil {
		return false, err
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[0], m.heap = m.heap[last], m.heap[:last]
	}
	m.down(0)
	return len(m.heap) > 0, nil
}

func (m *merge) start() (bool, error) {
	m.started = true
	live := m.heap[:0]
	for _, s := range m.heap {
		ok, err := s.next()
		if err != nil {
			return false, err
		}
		if ok {
			live = append(live, s)
		}
	}
	m.heap = live
	for i := len(live)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return len(live) > 0, nil
}

func (m *merge) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(m.heap); c++ {
			if m.heap[c].record().less(m.heap[least].record(), m.reverse) {
				least = c
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}
