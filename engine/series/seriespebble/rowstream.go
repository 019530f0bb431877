package seriespebble

import (
	"slices"

	"github.com/isobar-iot/isobar/iot"
)

// rowStream yields the rows of one source.
type rowStream struct {
	v       *view
	prefix  int // bytes of the key before the source
	started bool
	rec     record
}

func newRowStream(v *view, source iot.ID, in span) *rowStream {
	v.rows.SetBounds(rowKey(nil, v.tenant, source, in.lo), rowKey(nil, v.tenant, source, in.hi))
	return &rowStream{v: v, prefix: 2 + len(v.tenant)}
}

func (r *rowStream) record() *record { return &r.rec }

func (r *rowStream) next() (bool, error) {
	for r.move() {
		ok, err := r.read()
		if ok || err != nil {
			return ok, err
		}
		if err := r.v.alive(); err != nil {
			return false, err
		}
	}
	return false, r.v.rows.Error()
}

func (r *rowStream) move() bool {
	it, reverse := r.v.rows, r.v.q.Reverse
	switch {
	case !r.started && reverse:
		r.started = true
		return it.Last()
	case !r.started:
		r.started = true
		return it.First()
	case reverse:
		return it.Prev()
	}
	return it.Next()
}

// read unpacks the row under the iterator; false if the query does not want it.
func (r *rowStream) read() (bool, error) {
	key := r.v.rows.Key()
	value, err := r.v.rows.ValueAndErr()
	if err != nil {
		return false, err
	}
	number, rest, err := rowShape(key, value)
	if err != nil {
		return false, err
	}
	w, err := r.v.shape(number)
	if err != nil {
		return false, err
	}
	if !w.typ || !w.named && !r.v.q.FreeMember() {
		return false, nil
	}
	r.rec.shape = w.shape
	if r.rec.source, r.rec.at, err = parseRowKey(key, r.prefix); err != nil {
		return false, err
	}
	r.rec.nums, r.rec.extra, err = rowNumbers(key, r.rec.nums, len(w.series), rest)
	if err != nil {
		return false, err
	}
	if r.v.not != nil {
		if spared, err := r.spared(w, key); spared || err != nil {
			return false, err
		}
	}
	if w.named {
		return true, nil
	}
	return r.hasMember(key, r.v.q.Fragment)
}

// spared reports whether the query leaves the row out.
func (r *rowStream) spared(w wanted, key []byte) (bool, error) {
	s := r.v.spared(w, r.rec.source)
	if s.all || len(s.members) == 0 {
		return s.all, nil
	}
	return r.hasMember(key, s.members...)
}

// hasMember reports whether the row has one of some free members.
func (r *rowStream) hasMember(key []byte, names ...string) (bool, error) {
	if len(r.rec.extra) == 0 {
		return false, nil
	}
	doc, err := iot.ParseDoc(r.rec.extra, iot.MaxDepth)
	if err != nil {
		return false, damaged(key, "free members: "+err.Error())
	}
	return slices.ContainsFunc(names, doc.Has), nil
}
