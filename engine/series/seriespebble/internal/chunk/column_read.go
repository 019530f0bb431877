package chunk

import (
	"math"
	"math/bits"

	"github.com/isobar-iot/isobar/iot"
)

// column unpacks column c of a row-major table of the given width.
func (r *reader) column(vals []iot.Number, c, width int) {
	switch mode := r.byte(); mode {
	case colFixed, colTrimmed, colScales:
		r.decimals(mode, vals, c, width)
	case colDecimal:
		r.disguised(vals, c, width)
	case colXor:
		var last uint64
		for i := c; i < len(vals) && !r.bad; i += width {
			last ^= bits.Reverse64(r.uvarint())
			vals[i] = r.float(last)
		}
	case colVerbatim:
		for i := c; i < len(vals) && !r.bad; i += width {
			vals[i] = r.number()
		}
	case colConstant:
		n := r.number()
		for i := c; i < len(vals); i += width {
			vals[i] = n
		}
	default:
		r.fail()
	}
}

func (r *reader) decimals(mode byte, vals []iot.Number, c, width int) {
	scale := r.byte()
	if scale > maxDecimalScale {
		r.fail()
		return
	}
	if mode == colScales {
		r.scales(int8(scale), vals, c, width)
	}
	var m int64
	for i := c; i < len(vals) && !r.bad; i += width {
		m += r.varint()
		switch mode {
		case colFixed:
			vals[i] = iot.Number{Mant: m, Scale: int8(scale)}
		case colTrimmed:
			vals[i] = trim(m, int8(scale))
		default:
			vals[i].Mant = m / pow10[int8(scale)-vals[i].Scale]
		}
	}
}

func (r *reader) scales(largest int8, vals []iot.Number, c, width int) {
	for i := c; i < len(vals) && !r.bad; {
		scale, run := r.byte(), r.uvarint()
		if scale > maxDecimalScale || int8(scale) > largest || run == 0 || run > MaxRows {
			r.fail()
			return
		}
		for ; run > 0; run-- {
			if i >= len(vals) {
				r.fail()
				return
			}
			vals[i].Scale = int8(scale)
			i += width
		}
	}
}

func trim(m int64, scale int8) iot.Number {
	for scale > 0 && m%10 == 0 {
		m /= 10
		scale--
	}
	return iot.Number{Mant: m, Scale: scale}
}

func (r *reader) disguised(vals []iot.Number, c, width int) {
	scale := r.byte()
	if scale > maxFloatScale {
		r.fail()
		return
	}
	var m int64
	for i := c; i < len(vals) && !r.bad; i += width {
		m += r.varint()
		vals[i] = iot.Number{Mant: int64(math.Float64bits(float64(m) / float64(pow10[scale]))), Scale: iot.Float64}
	}
}
