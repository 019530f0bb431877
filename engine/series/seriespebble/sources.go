package seriespebble

import (
	"context"
	"math"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// cachedSources bounds each of the two generations of known sources; one takes about 200 bytes.
const cachedSources = 1 << 17

type sourceKey struct {
	tenant iot.TenantID
	source iot.ID
}

// source is what Append remembers of a source, so that it need not ask the database.
type source struct {
	key    sourceKey
	shapes []uint32 // shapes that are in the catalog, at most knownShapes
	gaps   [2]gap   // the end of the source, and where late measurements were put last
	fresh  int      // rows since the last sealing
	ends   *ends    // nil: nobody asked
}

const knownShapes = 64

// gap is a stretch of time of a source: its last measurement is at last, and there is none up to end, exclusive.
// Appending only shrinks gaps at their start, deleting only widens them, so a gap stays true while it is not used.
type gap struct {
	last stamp
	end  int64
	set  bool
}

// take returns the sequence for a time that lies in the gap.
func (g *gap) take(ms int64) (seq uint32, ok bool) {
	if !g.set || ms < g.last.ms || ms >= g.end {
		return 0, false
	}
	if ms == g.last.ms {
		g.last = g.last.next()
	} else {
		g.last = stamp{ms: ms}
	}
	return g.last.seq, true
}

func (s *source) knows(shape uint32) bool { return slices.Contains(s.shapes, shape) }

func (s *source) learn(shape uint32) {
	if len(s.shapes) >= knownShapes {
		s.shapes = s.shapes[:0]
	}
	s.shapes = append(s.shapes, shape)
}

// sources is a bounded map of sources, guarded by the append lock.
type sources struct {
	young, old map[sourceKey]*source
}

func newSources() *sources { return &sources{young: map[sourceKey]*source{}} }

func (s *sources) reset() { *s = *newSources() }

func (s *sources) get(t iot.TenantID, id iot.ID) *source {
	key := sourceKey{t, id}
	if at := s.young[key]; at != nil {
		return at
	}
	at := s.old[key]
	if at == nil {
		at = &source{key: key}
	}
	if len(s.young) >= cachedSources {
		s.young, s.old = map[sourceKey]*source{}, s.young
	}
	s.young[key] = at
	return at
}

func (s *sources) drop(key sourceKey) {
	delete(s.young, key)
	delete(s.old, key)
}

// sequence returns a sequence that is free for a new measurement of the source at ms. The usual cases, newer than all or a run of
// late ones, are answered from memory.
func (s *Store) sequence(src *source, e *series.Entry, ms int64) (uint32, error) {
	for i := range src.gaps {
		if seq, ok := src.gaps[i].take(ms); ok {
			return limit(seq)
		}
	}
	g, err := s.findGap(e.Tenant, e.M.Source, ms)
	if err != nil {
		return 0, err
	}
	at := &src.gaps[1]
	if g.end == math.MaxInt64 {
		src.gaps[1] = gap{} // after a deletion the two could overlap, and then one would not know what the other gave away
		at = &src.gaps[0]
	}
	*at = g
	seq, _ := at.take(ms)
	return limit(seq)
}

func limit(seq uint32) (uint32, error) {
	if seq > iot.MaxSeq {
		return 0, fault.E(fault.Exhausted, "too many measurements of one source in one millisecond")
	}
	return seq, nil
}

// findGap reads the gap around ms: the last measurement at or before ms, and the time of the first one after it.
func (s *Store) findGap(t iot.TenantID, source iot.ID, ms int64) (gap, error) {
	g := gap{last: stamp{ms: math.MinInt64}, end: math.MaxInt64, set: true}
	before := series.Query{Source: source, To: series.Bound(iot.FromMillis(ms + 1)), Reverse: true}
	if err := s.first(t, &before, func(r *record) { g.last = r.at }); err != nil {
		return g, err
	}
	later := series.Query{Source: source, From: series.Bound(iot.FromMillis(ms + 1))}
	return g, s.first(t, &later, func(r *record) { g.end = r.at.ms })
}

// first calls fn with the first record of a query, if there is one.
func (s *Store) first(t iot.TenantID, q *series.Query, fn func(r *record)) error {
	v, err := s.view(context.Background(), t, q)
	if err != nil {
		return err
	}
	defer v.close()
	r, err := v.next()
	if err == nil && r != nil {
		fn(r)
	}
	return err
}

func points(entries []series.Entry) int {
	n := 0
	for i := range entries {
		n += len(entries[i].M.Samples)
	}
	return n
}

func firstTenant(entries []series.Entry) iot.TenantID {
	if len(entries) == 0 {
		return ""
	}
	return entries[0].Tenant
}
