package seriespebble

import (
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

// gap is a stretch of time of a source: there is a measurement at last, and none after it up to end, exclusive.
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
func (s *Store) sequence(p *probe, src *source, ms int64) (uint32, error) {
	for i := range src.gaps {
		if seq, ok := src.gaps[i].take(ms); ok {
			return limit(seq)
		}
	}
	last, taken, end, err := p.gap(src.key, ms)
	if err != nil {
		return 0, err
	}
	at := &src.gaps[1]
	if end == math.MaxInt64 {
		src.gaps[1] = gap{} // after a deletion the two could overlap, and then one would not know what the other gave away
		at = &src.gaps[0]
	}
	*at = gap{last: stamp{ms: ms}, end: end, set: true}
	if taken {
		at.last = last.next()
	}
	return limit(at.last.seq)
}

func limit(seq uint32) (uint32, error) {
	if seq > iot.MaxSeq {
		return 0, fault.E(fault.Exhausted, "too many measurements of one source in one millisecond")
	}
	return seq, nil
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
