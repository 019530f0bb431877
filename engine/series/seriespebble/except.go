package seriespebble

import (
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// exceptions are what a query leaves out, sorted so that a source is compared with few of them.
type exceptions struct {
	all    []iot.Selector            // of any source
	source map[iot.ID][]iot.Selector // of one
}

// sift sorts the exceptions of a query that can concern it; nil if there are none, so that queries without any pay nothing.
func sift(q *series.Query) *exceptions {
	var x *exceptions
	for _, s := range q.Except {
		if q.Source != 0 && s.Source != 0 && s.Source != q.Source || q.Type != "" && s.Type != "" && s.Type != q.Type {
			continue
		}
		if x == nil {
			x = &exceptions{source: map[iot.ID][]iot.Selector{}}
		}
		if s.Source == 0 {
			x.all = append(x.all, s)
		} else {
			x.source[s.Source] = append(x.source[s.Source], s)
		}
	}
	return x
}

// of returns those that can concern a source.
func (x *exceptions) of(source iot.ID) []iot.Selector {
	if x == nil {
		return nil
	}
	if own := x.source[source]; len(own) > 0 {
		return slices.Concat(x.all, own)
	}
	return x.all
}

// spared is what a query leaves out of the measurements of one shape: all, or those with one of some free members. Rows of chunks have no free
// members, so that of the chunks of a shape all or none are left out, without a look into them.
type spared struct {
	all     bool
	members []string
}

func (s *spared) add(sh *shape, list []iot.Selector) {
	for _, x := range list {
		switch {
		case s.all || x.Type != "" && x.Type != sh.typ:
		case x.Fragment == "" || slices.ContainsFunc(sh.series, func(i series.Info) bool { return i.Fragment == x.Fragment }):
			s.all = true
		default:
			s.members = append(s.members, x.Fragment)
		}
	}
}

// spared returns what the query, which must have exceptions, leaves out of a shape of a source.
func (v *view) spared(w wanted, source iot.ID) spared {
	own := v.not.source[source]
	if len(own) == 0 {
		return w.spared
	}
	s := spared{w.spared.all, slices.Clone(w.spared.members)}
	s.add(w.shape, own)
	return s
}
