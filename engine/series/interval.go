package series

import (
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Interval is the width of a bucket: N units. The zero Interval means raw points, no buckets.
// Buckets of s, m, h and d start at multiples counted from 1970, weeks on Mondays, months, quarters and years by the calendar: in UTC with
// Bucket, by local clocks with BucketIn.
type Interval struct {
	N    int  // 1 to 999
	Unit Unit // one of the constants
}

// Unit is a unit of time as one letter of the API.
type Unit byte

// The units.
const (
	Second  Unit = 's'
	Minute  Unit = 'm'
	Hour    Unit = 'h'
	Day     Unit = 'd'
	Week    Unit = 'w'
	Month   Unit = 'M'
	Quarter Unit = 'q'
	Year    Unit = 'y'
)

const (
	maxIntervalN = 999
	hourMillis   = 60 * 60 * 1000
	dayMillis    = 24 * hourMillis
	// firstMonday is 1970-01-05.
	firstMonday = 4 * dayMillis
)

// ParseInterval reads a number from 1 to 999 followed by a unit, as in "15m"; anything else is fault.Invalid.
func ParseInterval(s string) (Interval, error) {
	if len(s) >= 2 && s[0] != '+' {
		n, err := strconv.Atoi(s[:len(s)-1])
		v := Interval{N: n, Unit: Unit(s[len(s)-1])}
		if err == nil && v.valid() {
			return v, nil
		}
	}
	return Interval{}, fault.E(fault.Op("series.ParseInterval"), fault.Invalid, fault.Subject(s), "the interval must be 1 to 999 followed by s, m, h, d, w, M, q or y")
}

// String returns the form that ParseInterval reads, empty for the zero Interval.
func (v Interval) String() string {
	if v == (Interval{}) {
		return ""
	}
	return strconv.Itoa(v.N) + string(rune(v.Unit))
}

func (v Interval) valid() bool {
	return v.N >= 1 && v.N <= maxIntervalN && (v.millis() > 0 || v.months() > 0)
}

// millis returns the width of units that always last equally long, else zero.
func (v Interval) millis() int64 {
	n := int64(v.N)
	switch v.Unit {
	case Second:
		return n * 1000
	case Minute:
		return n * 60_000
	case Hour:
		return n * hourMillis
	case Day:
		return n * dayMillis
	case Week:
		return n * 7 * dayMillis
	}
	return 0
}

// months returns the width of calendar units, else zero.
func (v Interval) months() int64 {
	switch v.Unit {
	case Month:
		return int64(v.N)
	case Quarter:
		return int64(v.N) * 3
	case Year:
		return int64(v.N) * 12
	}
	return 0
}

// Bucket returns the start and the end of the bucket that holds the time, in Unix milliseconds, end exclusive.
// The zero Interval has buckets of one millisecond.
func (v Interval) Bucket(ms int64) (start, end int64) {
	if width := v.millis(); width > 0 {
		var origin int64
		if v.Unit == Week {
			origin = firstMonday
		}
		start = floorDiv(ms-origin, width)*width + origin
		return start, start + width
	}
	if width := v.months(); width > 0 {
		t := time.UnixMilli(ms).UTC()
		first := floorDiv(int64(t.Year()-1970)*12+int64(t.Month()-1), width) * width
		return monthStart(first), monthStart(first + width)
	}
	return ms, ms + 1
}

func monthStart(sinceEpoch int64) int64 {
	return time.Date(1970, time.Month(1+sinceEpoch), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
