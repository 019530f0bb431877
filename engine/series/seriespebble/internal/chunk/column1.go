package chunk

import (
	"math"
	"math/bits"

	"github.com/isobar-iot/isobar/iot"
)

// Ways in which chunks of version 1 store a column. They are read, no longer written: later versions pack bits.
const (
	col1Fixed    = 0 // all decimals of one scale: scale, deltas of the mantissas
	col1Trimmed  = 1 // decimals without trailing zeros: the largest scale, deltas at that scale
	col1Scales   = 2 // decimals of any scale: the largest scale, runs of scales, deltas at the largest scale
	col1Decimal  = 3 // floats that are decimals in disguise (21.3): scale, deltas
	col1Xor      = 4 // floats: XOR with the one before, reversed so that the equal leading bits cost nothing
	col1Verbatim = 5 // anything else, number after number
	col1Constant = 6 // one number, all rows
)

const maxFloatScale1 = 6

// column1 unpacks column c of a row-major table of the given width.
func (r *reader) column1(vals []iot.Number, c, width int) {
	switch mode := r.byte(); mode {
	case col1Fixed, col1Trimmed, col1Scales:
		r.decimals1(mode, vals, c, width)
	case col1Decimal:
		r.disguised1(vals, c, width)
	case col1Xor:
		var last uint64
		for i := c; i < len(vals) && !r.bad; i += width {
			last ^= bits.Reverse64(r.uvarint())
			vals[i] = r.float(last)
		}
	case col1Verbatim:
		for i := c; i < len(vals) && !r.bad; i += width {
			vals[i] = r.number()
		}
	case col1Constant:
		n := r.number()
		for i := c; i < len(vals); i += width {
			vals[i] = n
		}
	default:
		r.fail()
	}
}

func (r *reader) decimals1(mode byte, vals []iot.Number, c, width int) {
	scale := r.byte()
	if scale > maxDecimalScale {
		r.fail()
		return
	}
	if mode == col1Scales {
		r.scales1(int8(scale), vals, c, width)
	}
	var m int64
	for i := c; i < len(vals) && !r.bad; i += width {
		m += r.varint()
		switch mode {
		case col1Fixed:
			vals[i] = iot.Number{Mant: m, Scale: int8(scale)}
		case col1Trimmed:
			vals[i] = trim(m, int8(scale))
		default:
			vals[i].Mant = m / pow10[int8(scale)-vals[i].Scale]
		}
	}
}

func (r *reader) scales1(largest int8, vals []iot.Number, c, width int) {
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

func (r *reader) disguised1(vals []iot.Number, c, width int) {
	scale := r.byte()
	if scale > maxFloatScale1 {
		r.fail()
		return
	}
	var m int64
	for i := c; i < len(vals) && !r.bad; i += width {
		m += r.varint()
		vals[i] = iot.Number{Mant: int64(math.Float64bits(float64(m) / float64(pow10[scale]))), Scale: iot.Float64}
	}
}

// Ways in which version 1 stores the times after the first: as distance from the median step or from the step before.
const (
	times1Step = 0
	times1Bend = 1
)

func (r *reader) times1(t []int64, h Head) []int64 {
	at := h.First
	t = append(t, at)
	if h.Count == 1 {
		return t
	}
	var step, base int64
	mode := r.byte()
	switch mode {
	case times1Step:
		base = r.varint()
	case times1Bend:
	default:
		r.fail()
	}
	for i := 1; i < h.Count && !r.bad; i++ {
		d := r.varint()
		if mode == times1Step {
			step = base + d
		} else {
			step += d
		}
		at += step
		t = append(t, at)
	}
	return t
}

func (r *reader) seqs1(seqs []uint32, n int) []uint32 {
	mode := r.byte()
	if mode > seqsList {
		r.fail()
	}
	for i := 0; i < n && !r.bad; i++ {
		var s uint64
		if mode == seqsList {
			s = r.uvarint()
		}
		if s > 1<<32-1 {
			r.fail()
		}
		seqs = append(seqs, uint32(s))
	}
	return seqs
}
