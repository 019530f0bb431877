package chunk

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/isobar-iot/isobar/iot"
)

// Ways to store a column. All of them give back every number exactly, with its text.
const (
	colFixed    = 0 // all decimals of one scale: scale, deltas of the mantissas
	colTrimmed  = 1 // decimals without trailing zeros: the largest scale, deltas at that scale
	colScales   = 2 // decimals of any scale: the largest scale, runs of scales, deltas at the largest scale
	colDecimal  = 3 // floats that are decimals in disguise (21.3): scale, deltas
	colXor      = 4 // floats: XOR with the one before, reversed so that the equal leading bits cost nothing
	colVerbatim = 5 // anything else, number after number
	colConstant = 6 // one number, all rows
)

// maxFloatScale is the largest scale tried for floats; sensors rarely have more digits.
const maxFloatScale = 6

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func appendColumn(dst []byte, col []iot.Number) []byte {
	traits := study(col)
	switch {
	case traits.constant:
		return AppendNumber(append(dst, colConstant), col[0])
	case traits.floats == len(col):
		return appendFloats(dst, col)
	case traits.floats > 0 || !traits.fits:
		return appendVerbatim(dst, col)
	case traits.min == traits.max:
		dst = append(dst, colFixed, byte(traits.max))
	case traits.trimmed:
		dst = append(dst, colTrimmed, byte(traits.max))
	default:
		dst = append(dst, colScales, byte(traits.max))
		dst = appendScales(dst, col)
	}
	var last int64
	for _, n := range col {
		m := n.Mant * pow10[traits.max-n.Scale]
		dst = binary.AppendVarint(dst, m-last)
		last = m
	}
	return dst
}

type traits struct {
	min, max int8 // scales
	floats   int
	constant bool
	trimmed  bool // the scale of every number is the smallest that expresses it
	fits     bool // every mantissa can be brought to the largest scale
}

func study(col []iot.Number) traits {
	t := traits{min: maxDecimalScale, max: 0, constant: true, trimmed: true, fits: true}
	for _, n := range col {
		if n != col[0] {
			t.constant = false
		}
		if n.Scale == iot.Float64 {
			t.floats++
			continue
		}
		t.min, t.max = min(t.min, n.Scale), max(t.max, n.Scale)
		if n.Scale > 0 && n.Mant%10 == 0 {
			t.trimmed = false
		}
	}
	for _, n := range col {
		if n.Scale != iot.Float64 {
			up := pow10[t.max-n.Scale]
			t.fits = t.fits && n.Mant <= math.MaxInt64/up && n.Mant >= math.MinInt64/up
		}
	}
	return t
}

func appendVerbatim(dst []byte, col []iot.Number) []byte {
	dst = append(dst, colVerbatim)
	for _, n := range col {
		dst = AppendNumber(dst, n)
	}
	return dst
}

func appendScales(dst []byte, col []iot.Number) []byte {
	for i := 0; i < len(col); {
		j := i + 1
		for j < len(col) && col[j].Scale == col[i].Scale {
			j++
		}
		dst = binary.AppendUvarint(append(dst, byte(col[i].Scale)), uint64(j-i))
		i = j
	}
	return dst
}

func appendFloats(dst []byte, col []iot.Number) []byte {
	if scale, ok := floatScale(col); ok {
		dst = append(dst, colDecimal, byte(scale))
		var last int64
		for _, n := range col {
			m := int64(math.Round(n.Float() * float64(pow10[scale])))
			dst = binary.AppendVarint(dst, m-last)
			last = m
		}
		return dst
	}
	dst = append(dst, colXor)
	var last uint64
	for _, n := range col {
		x := uint64(n.Mant)
		dst = binary.AppendUvarint(dst, bits.Reverse64(x^last))
		last = x
	}
	return dst
}

// floatScale finds a scale at which every float is exactly a decimal of at most 53 bits.
func floatScale(col []iot.Number) (scale int, ok bool) {
	for _, n := range col {
		for !decimalAt(n, scale) {
			if scale++; scale > maxFloatScale {
				return 0, false
			}
		}
	}
	for _, n := range col { // an earlier number may not survive a later, larger scale
		if !decimalAt(n, scale) {
			return 0, false
		}
	}
	return scale, true
}

func decimalAt(n iot.Number, scale int) bool {
	m := math.Round(n.Float() * float64(pow10[scale]))
	return math.Abs(m) < 1<<53 && math.Float64bits(float64(int64(m))/float64(pow10[scale])) == uint64(n.Mant)
}
