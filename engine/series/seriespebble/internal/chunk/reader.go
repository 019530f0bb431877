package chunk

import (
	"encoding/binary"
	"math"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// reader consumes a byte slice. After the first impossible read it is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
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

func (r *reader) stat(count int) series.Stat {
	s := series.Stat{Count: int64(count)}
	s.Min, s.Max = r.number(), r.number()
	s.Sum, s.M2 = math.Float64frombits(r.uint64()), math.Float64frombits(r.uint64())
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
