package chunk

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// Encode1 writes a chunk of version 1, as folders of older releases have them.
func Encode1(dst, key []byte, b *Block) []byte {
	at := len(dst)
	dst = append(dst, 1, 0, 0, 0, 0)
	n := b.Len()
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(b.Width))
	dst = binary.AppendVarint(dst, b.Times[0])
	dst = binary.AppendUvarint(dst, uint64(b.Times[n-1]-b.Times[0]))
	col := make([]iot.Number, n)
	for c := range b.Width {
		dst = appendStat1(dst, b.column(col, c))
	}
	dst = appendTimes1(dst, b.Times)
	dst = appendSeqs1(dst, b.Seqs)
	for c := range b.Width {
		dst = appendColumn1(dst, b.column(col, c))
	}
	binary.LittleEndian.PutUint32(dst[at+1:], sum(key, dst[at+1+crcBytes:]))
	return dst
}

func appendStat1(dst []byte, col []iot.Number) []byte {
	var s series.Stat
	for _, n := range col {
		s.Add(series.Stamp{}, n)
	}
	dst = AppendNumber(dst, s.Min)
	dst = AppendNumber(dst, s.Max)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Sum))
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.M2))
}

func appendTimes1(dst []byte, t []int64) []byte {
	if len(t) == 1 {
		return dst
	}
	at := len(dst)
	median := medianStep(t)
	dst = append(dst, times1Step)
	dst = binary.AppendVarint(dst, median)
	for i := 1; i < len(t); i++ {
		dst = binary.AppendVarint(dst, t[i]-t[i-1]-median)
	}
	end := len(dst)
	dst = append(dst, times1Bend)
	var step int64
	for i := 1; i < len(t); i++ {
		dst = binary.AppendVarint(dst, t[i]-t[i-1]-step)
		step = t[i] - t[i-1]
	}
	if len(dst)-end >= end-at {
		return dst[:end]
	}
	return append(dst[:at], dst[end:]...)
}

func appendSeqs1(dst []byte, seqs []uint32) []byte {
	if !slices.ContainsFunc(seqs, func(s uint32) bool { return s != 0 }) {
		return append(dst, seqsZero)
	}
	dst = append(dst, seqsList)
	for _, s := range seqs {
		dst = binary.AppendUvarint(dst, uint64(s))
	}
	return dst
}

func appendColumn1(dst []byte, col []iot.Number) []byte {
	traits := study1(col)
	switch {
	case traits.constant:
		return AppendNumber(append(dst, col1Constant), col[0])
	case traits.floats == len(col):
		return appendFloats1(dst, col)
	case traits.floats > 0 || !traits.fits:
		return appendVerbatim1(dst, col)
	case traits.min == traits.max:
		dst = append(dst, col1Fixed, byte(traits.max))
	case traits.trimmed:
		dst = append(dst, col1Trimmed, byte(traits.max))
	default:
		dst = append(dst, col1Scales, byte(traits.max))
		dst = appendScales1(dst, col)
	}
	var last int64
	for _, n := range col {
		m := n.Mant * pow10[traits.max-n.Scale]
		dst = binary.AppendVarint(dst, m-last)
		last = m
	}
	return dst
}

type traits1 struct {
	min, max int8 // scales
	floats   int
	constant bool
	trimmed  bool // the scale of every number is the smallest that expresses it
	fits     bool // every mantissa can be brought to the largest scale
}

func study1(col []iot.Number) traits1 {
	t := traits1{min: maxDecimalScale, max: 0, constant: true, trimmed: true, fits: true}
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

func appendVerbatim1(dst []byte, col []iot.Number) []byte {
	dst = append(dst, col1Verbatim)
	for _, n := range col {
		dst = AppendNumber(dst, n)
	}
	return dst
}

func appendScales1(dst []byte, col []iot.Number) []byte {
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

func appendFloats1(dst []byte, col []iot.Number) []byte {
	if scale, ok := floatScale1(col); ok {
		dst = append(dst, col1Decimal, byte(scale))
		var last int64
		for _, n := range col {
			m := int64(math.Round(n.Float() * float64(pow10[scale])))
			dst = binary.AppendVarint(dst, m-last)
			last = m
		}
		return dst
	}
	dst = append(dst, col1Xor)
	var last uint64
	for _, n := range col {
		x := uint64(n.Mant)
		dst = binary.AppendUvarint(dst, bits.Reverse64(x^last))
		last = x
	}
	return dst
}

// floatScale finds a scale at which every float is exactly a decimal of at most 53 bits.
func floatScale1(col []iot.Number) (scale int, ok bool) {
	for _, n := range col {
		for !decimalAt1(n, scale) {
			if scale++; scale > maxFloatScale1 {
				return 0, false
			}
		}
	}
	for _, n := range col { // an earlier number may not survive a later, larger scale
		if !decimalAt1(n, scale) {
			return 0, false
		}
	}
	return scale, true
}

func decimalAt1(n iot.Number, scale int) bool {
	m := math.Round(n.Float() * float64(pow10[scale]))
	return math.Abs(m) < 1<<53 && math.Float64bits(float64(int64(m))/float64(pow10[scale])) == uint64(n.Mant)
}
