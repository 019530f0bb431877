package iot

import (
	"errors"
	"math"
	"strconv"
)

// Number is one measured value. It keeps the decimal text of the device exactly ("16.0" stays "16.0", 64-bit integers
// stay exact) in 16 bytes without allocation.
//
// Scale >= 0 means the decimal Mant * 10^-Scale. Scale == Float64 means that Mant holds the bits of a float64.
// The zero Number is the integer 0.
type Number struct {
	Mant  int64
	Scale int8
}

// Float64 is the Scale of a Number whose Mant holds the bits of a float64.
const Float64 int8 = -1

const (
	maxScale  = 18
	maxDigits = 19 // what an int64 holds, if it does not overflow
)

var errNotNumber = errors.New("not a finite JSON number")

// FloatNumber returns the Number for a finite float64.
func FloatNumber(f float64) Number {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 && !(f == 0 && math.Signbit(f)) {
		return Number{Mant: int64(f)}
	}
	return Number{Mant: int64(math.Float64bits(f)), Scale: Float64}
}

// ParseNumber reads a JSON number (also with a leading plus or bare point, as devices send in CSV).
// It fails for NaN, infinities and anything that is not a number.
func ParseNumber(s string) (Number, error) {
	if n, ok := parseDecimal(s); ok {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || !numeric(s) {
		return Number{}, errNotNumber
	}
	return Number{Mant: int64(math.Float64bits(f)), Scale: Float64}, nil
}

// numeric refuses the spellings that strconv takes beyond JSON: hexadecimal, underscores, "inf".
func numeric(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return false
		}
	}
	return s != ""
}

// parseDecimal reads -?digits(.digits)? whose digits fit an int64.
func parseDecimal(s string) (Number, bool) {
	i, neg := 0, false
	if len(s) > 0 && s[0] == '-' {
		neg, i = true, 1
	}
	var mant int64
	digits, scale, point := 0, 0, false
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if mant > (math.MaxInt64-int64(c-'0'))/10 {
				return Number{}, false
			}
			mant = mant*10 + int64(c-'0')
			digits++
			if point {
				scale++
			}
		case c == '.' && !point && digits > 0:
			point = true
		default:
			return Number{}, false
		}
		if digits > maxDigits || scale > maxScale {
			return Number{}, false
		}
	}
	if digits == 0 || (point && scale == 0) || (neg && mant == 0) {
		return Number{}, false
	}
	if neg {
		mant = -mant
	}
	return Number{Mant: mant, Scale: int8(scale)}, true
}

var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// Float returns the value as a float64, rounded if it has more digits than a float64 holds.
func (n Number) Float() float64 {
	switch {
	case n.Scale == Float64:
		return math.Float64frombits(uint64(n.Mant))
	case n.Scale == 0:
		return float64(n.Mant)
	case n.Mant > -1<<53 && n.Mant < 1<<53:
		return float64(n.Mant) / pow10[n.Scale]
	}
	f, _ := strconv.ParseFloat(n.String(), 64)
	return f
}

// String returns the number as JSON text.
func (n Number) String() string { return string(n.AppendTo(nil)) }

// AppendTo appends the number as JSON text.
func (n Number) AppendTo(b []byte) []byte {
	if n.Scale == Float64 {
		return AppendFloat(b, n.Float())
	}
	if n.Scale == 0 {
		return strconv.AppendInt(b, n.Mant, 10)
	}
	m := n.Mant
	if m < 0 {
		b = append(b, '-')
		m = -m
	}
	at := len(b)
	b = strconv.AppendInt(b, m, 10)
	for len(b)-at <= int(n.Scale) { // at least one digit before the point
		b = append(b, 0)
		copy(b[at+1:], b[at:])
		b[at] = '0'
	}
	b = append(b, 0)
	cut := len(b) - 1 - int(n.Scale)
	copy(b[cut+1:], b[cut:])
	b[cut] = '.'
	return b
}

// AppendFloat appends a finite float64 as JSON text in the shortest form that reads back exactly.
func AppendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}
