package chunk

import (
	"encoding/binary"
	"math"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// reader consumes a byte slice. After the first impossible read it is bad and returns zeros.
type reader struct {
	b       []byte
	bad     bool
	version byte
	scratch
}

// scratch is memory that one chunk leaves to the next.
type scratch struct {
	list   []uint64
	values []int64
	odd    []exception
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 { return unzigzag(r.uvarint()) }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) fail() { r.bad, r.b = true, nil }

// stat1 reads the statistics of a column in version 1, which do not know first and last.
func (r *reader) stat1(h Head) series.Stat {
	s := series.Stat{Count: int64(h.Count)}
	s.Min, s.Max = r.number(), r.number()
	s.Sum, s.M2 = math.Float64frombits(r.uint64()), math.Float64frombits(r.uint64())
	return s
}

func (r *reader) stat(h Head) series.Stat {
	if r.version == 1 {
		return r.stat1(h)
	}
	s := series.Stat{Count: int64(h.Count), FirstAt: series.Stamp{MS: h.First, Seq: h.firstSeq}, LastAt: series.Stamp{MS: h.Last, Seq: h.lastSeq}}
	switch r.byte() {
	case statConstant:
		n := r.number()
		s.Min, s.Max, s.First, s.Last, s.MinAt, s.MaxAt, s.Sum = n, n, n, n, h.First, h.First, n.Float()*float64(h.Count)
	case statFull:
		s.Min, s.Max, s.First, s.Last = r.number(), r.number(), r.number(), r.number()
		low, high, span := r.uvarint(), r.uvarint(), uint64(h.Last-h.First)
		if low > span || high > span {
			r.fail()
		}
		s.MinAt, s.MaxAt = h.First+int64(low), h.First+int64(high)
		s.Sum, s.M2 = math.Float64frombits(r.uint64()), math.Float64frombits(r.uint64())
	default:
		r.fail()
	}
	return s
}

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

const maxDecimalScale = 18

// AppendNumber appends one number: a byte with its scale plus one, then the mantissa as varint or the eight bytes of a float64.
func AppendNumber(dst []byte, n iot.Number) []byte {
	dst = append(dst, byte(n.Scale+1))
	if n.Scale == iot.Float64 {
		return binary.LittleEndian.AppendUint64(dst, uint64(n.Mant))
	}
	return binary.AppendVarint(dst, n.Mant)
}

// ReadNumber reverses AppendNumber and returns what follows; ok is false if b does not start with a number.
func ReadNumber(b []byte) (n iot.Number, rest []byte, ok bool) {
	r := reader{b: b}
	n = r.number()
	return n, r.b, !r.bad
}

func (r *reader) number() iot.Number {
	switch c := r.byte(); {
	case c == 0:
		return r.float(r.uint64())
	case c <= maxDecimalScale+1:
		return iot.Number{Mant: r.varint(), Scale: int8(c) - 1}
	}
	r.fail()
	return iot.Number{}
}

func (r *reader) float(bits uint64) iot.Number {
	if bits>>52&0x7ff == 0x7ff { // infinity or NaN: Append refuses them
		r.fail()
		return iot.Number{}
	}
	return iot.Number{Mant: int64(bits), Scale: iot.Float64}
}
