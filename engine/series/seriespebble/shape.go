package seriespebble

import (
	"encoding/binary"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// shape is what measurements of one kind have in common: the type and the ordered series with their units.
// It is written once per tenant; rows and chunks carry its number. A shape never changes.
type shape struct {
	id     uint32
	typ    string
	series []series.Info
}

// appendShape appends the canonical form of a measurement's shape, by which it is found.
func appendShape(b []byte, m *iot.Measurement) []byte {
	b = appendText(b, m.Type)
	for i := range m.Samples {
		s := &m.Samples[i]
		b = appendText(appendText(appendText(b, s.Fragment), s.Series), s.Unit)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// parseShape reverses appendShape; key is only named in the error.
func parseShape(key, b []byte, id uint32) (*shape, error) {
	var texts []string
	for len(b) > 0 {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, damaged(key, "shape is cut short")
		}
		texts = append(texts, string(b[w:w+int(n)]))
		b = b[w+int(n):]
	}
	if len(texts)%3 != 1 {
		return nil, damaged(key, "shape is not complete")
	}
	s := &shape{id: id, typ: texts[0], series: make([]series.Info, len(texts)/3)}
	for i := range s.series {
		at := texts[1+3*i:]
		s.series[i] = series.Info{Key: series.Key{Fragment: at[0], Series: at[1]}, Unit: at[2]}
	}
	return s, nil
}

// match reports whether q selects every measurement of the shape (series) or none by its shape alone (type).
func (s *shape) match(q *series.Query) (typ, named bool) {
	typ = q.Type == "" || q.Type == s.typ
	named = q.Fragment == "" && q.Series == ""
	for i := range s.series {
		named = named || q.MatchSeries(s.series[i].Fragment, s.series[i].Series)
	}
	return typ, named
}
