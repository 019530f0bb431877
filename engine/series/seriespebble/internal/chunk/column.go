package chunk

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
)

// Ways to store a column. All of them give back every number exactly, with its text. A column of one number has no bytes: it is known
// from the statistics.
const (
	// colFixed and colTrimmed store decimals brought to one scale as integers. What has another scale is an exception: a row, the scale
	// and, if the scale is larger, by how much the rounded integer misses the number. Without being exceptions, numbers of colFixed
	// have the scale, those of colTrimmed the smallest scale that expresses them.
	colFixed   = 0
	colTrimmed = 1
	// colDecimal stores floats as the integers to which they come at a scale; exceptions miss it by some units in the last place.
	colDecimal = 2
	// colFloat stores floats as integers in the same order.
	colFloat = 3
	// colVerbatim stores anything else, number after number.
	colVerbatim = 4
	// colShortest stores decimals that are the shortest texts of floats as those floats: best for numbers with all the digits of a float.
	colShortest = 5
)

// wideBytes is the size of a decimal from which on it is tried as a float; reading it back takes several times as long.
const wideBytes = 5

// maxFloatScale is the largest scale tried for floats: with more digits they are hardly decimals.
const maxFloatScale = 12

// spare is the part of a column, one in so many, that may be exceptions when a scale is chosen.
const spare = 8

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// appendColumn appends the shortest form of a column.
func (p *packer) appendColumn(dst []byte, col []iot.Number) []byte {
	floats := 0
	var scales [maxDecimalScale + 1]int
	for _, n := range col {
		if n.Scale == iot.Float64 {
			floats++
		} else {
			scales[n.Scale]++
		}
	}
	at := len(dst)
	switch floats {
	case 0:
		dst = p.appendDecimals(dst, col, scales[:])
		if size := len(dst) - at; size > wideBytes*len(col) {
			if other := p.appendShortest(nil, col); len(other) > 0 && len(other) < size {
				dst = append(dst[:at], other...)
			}
		}
	case len(col):
		dst = p.appendFloats(dst, col)
	}
	if size := len(dst) - at; size > 2*len(col) || size == 0 {
		if other := appendVerbatim(nil, col); size == 0 || len(other) < size {
			return append(dst[:at], other...)
		}
	}
	return dst
}

func appendVerbatim(dst []byte, col []iot.Number) []byte {
	dst = append(dst, colVerbatim)
	for _, n := range col {
		dst = AppendNumber(dst, n)
	}
	return dst
}

// appendDecimals tries the largest scale and the one that most numbers have; it appends nothing if neither is possible.
func (p *packer) appendDecimals(dst []byte, col []iot.Number, scales []int) []byte {
	largest, usual := 0, 0
	for s, n := range scales {
		if n > 0 {
			largest = s
		}
		if n > scales[usual] {
			usual = s
		}
	}
	if scales[largest] == len(col) {
		return p.appendScaled(dst, col, colFixed, largest)
	}
	at := len(dst)
	best := p.appendScaled(dst, col, colTrimmed, largest)
	if usual != largest {
		best = p.shorter(best, at, col, colTrimmed, usual)
	}
	return p.shorter(best, at, col, colFixed, usual)
}

func (p *packer) shorter(best []byte, at int, col []iot.Number, mode byte, scale int) []byte {
	other := p.appendScaled(nil, col, mode, scale)
	if len(other) > 0 && (len(best) == at || len(other) < len(best)-at) {
		return append(best[:at], other...)
	}
	return best
}

// appendScaled appends decimals brought to a scale, nothing if one of them becomes too large.
func (p *packer) appendScaled(dst []byte, col []iot.Number, mode byte, scale int) []byte {
	p.ints = p.ints[:0]
	var odd []byte
	count, last := 0, -1
	for i, n := range col {
		m, rest, ok := rescale(n, scale)
		if !ok {
			return dst
		}
		p.ints = append(p.ints, m)
		s := int(n.Scale)
		if mode == colFixed && s == scale || mode == colTrimmed && s <= scale && (s == 0 || n.Mant%10 != 0) {
			continue
		}
		odd = append(binary.AppendUvarint(odd, uint64(i-last-1)), byte(s))
		if s > scale {
			odd = binary.AppendVarint(odd, rest)
		}
		count, last = count+1, i
	}
	dst = binary.AppendUvarint(append(dst, mode, byte(scale)), uint64(count))
	return p.appendInts(append(dst, odd...), p.ints)
}

// rescale returns the nearest integer to n at a scale, and the rest at the scale of n.
func rescale(n iot.Number, scale int) (m, rest int64, ok bool) {
	if d := scale - int(n.Scale); d >= 0 {
		up := pow10[d]
		return n.Mant * up, 0, n.Mant <= math.MaxInt64/up && n.Mant >= math.MinInt64/up
	}
	down := pow10[int(n.Scale)-scale]
	m, rest = n.Mant/down, n.Mant%down
	switch half := down / 2; {
	case rest > half:
		m, rest = m+1, rest-down
	case rest < -half:
		m, rest = m-1, rest+down
	}
	return m, rest, true
}

func (p *packer) appendFloats(dst []byte, col []iot.Number) []byte {
	at := len(dst)
	p.ints = p.ints[:0]
	for _, n := range col {
		p.ints = append(p.ints, sortable(n.Mant))
	}
	dst = p.appendInts(append(dst, colFloat), p.ints)
	scale, ok := floatScale(col)
	if !ok {
		return dst
	}
	if other := p.appendDisguised(nil, col, scale); len(other) > 0 && len(other) < len(dst)-at {
		return append(dst[:at], other...)
	}
	return dst
}

// appendShortest appends nothing if some number is not the shortest text of a float.
func (p *packer) appendShortest(dst []byte, col []iot.Number) []byte {
	p.ints = p.ints[:0]
	for _, n := range col {
		f := n.Float()
		if back, ok := shortest(f); !ok || back != n {
			return dst
		}
		p.ints = append(p.ints, sortable(int64(math.Float64bits(f))))
	}
	return p.appendInts(append(dst, colShortest), p.ints)
}

// shortest returns the decimal with the fewest digits that is nearest to a float; ok is false if it has too many before or after the point.
func shortest(f float64) (n iot.Number, ok bool) {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	negative, digits, i := text[0] == '-', 0, 0
	if negative {
		i = 1
	}
	for ; text[i] != 'e'; i++ {
		if c := text[i]; c != '.' {
			n.Mant = n.Mant*10 + int64(c-'0')
			digits++
		}
	}
	exponent := 0
	for _, c := range text[i+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if text[i+1] == '-' {
		exponent = -exponent
	}
	scale := digits - 1 - exponent
	if scale > maxDecimalScale || scale < digits-maxDecimalScale {
		return n, false
	}
	if scale < 0 {
		n.Mant, scale = n.Mant*pow10[-scale], 0
	}
	if n.Scale = int8(scale); negative {
		n.Mant = -n.Mant
	}
	return n, true
}

// sortable maps the bits of a float to an integer in the same order, and back.
func sortable(bits int64) int64 {
	if bits < 0 {
		return bits ^ math.MaxInt64
	}
	return bits
}

// floatScale finds the smallest scale at which all but a few floats are exactly decimals.
func floatScale(col []iot.Number) (scale int, ok bool) {
	for scale = range maxFloatScale + 1 {
		misses := 0
		for _, n := range col {
			if m, ok := decimalAt(n, scale); !ok || disguised(m, scale) != n.Mant {
				if misses++; misses > len(col)/spare {
					break
				}
			}
		}
		if misses <= len(col)/spare {
			return scale, true
		}
	}
	return 0, false
}

// decimalAt returns the nearest integer to a float at a scale; ok is false if it is too large to be exact.
func decimalAt(n iot.Number, scale int) (m int64, ok bool) {
	f := math.Round(n.Float() * float64(pow10[scale]))
	return int64(f), math.Abs(f) < 1<<53
}

// disguised returns the bits of the float nearest to a decimal.
func disguised(m int64, scale int) int64 {
	return int64(math.Float64bits(float64(m) / float64(pow10[scale])))
}

func (p *packer) appendDisguised(dst []byte, col []iot.Number, scale int) []byte {
	p.ints = p.ints[:0]
	var odd []byte
	count, last := 0, -1
	for i, n := range col {
		m, ok := decimalAt(n, scale)
		if !ok {
			return dst
		}
		p.ints = append(p.ints, m)
		if near := disguised(m, scale); near != n.Mant {
			odd = binary.AppendUvarint(odd, uint64(i-last-1))
			odd = binary.AppendVarint(odd, sortable(n.Mant)-sortable(near))
			count, last = count+1, i
		}
	}
	dst = binary.AppendUvarint(append(dst, colDecimal, byte(scale)), uint64(count))
	return p.appendInts(append(dst, odd...), p.ints)
}
