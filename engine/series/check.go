package series

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// The limits of a measurement, those of the weakest driver, imposed on all.
const (
	// MaxSamples is the largest number of samples of one measurement.
	MaxSamples = 10_000
	// MaxName is the largest length in bytes of a type, fragment, series or unit.
	MaxName = 1024
	// MinTime and MaxTime bound the time in Unix milliseconds: the years 1 to 9999.
	MinTime = -62135596800000
	MaxTime = 253402300799999
)

const (
	maxDecimalScale = 18
	maxTenant       = 64
)

// Check returns fault.Invalid, naming the entry, if a driver cannot store one of the entries. Drivers call it first in Append.
func Check(entries []Entry) error {
	for i := range entries {
		if why := reject(&entries[i]); why != "" {
			return fault.E(fault.Op("series.Append"), fault.Invalid, entries[i].Tenant, fault.Subject(fmt.Sprintf("entry %d", i)), why)
		}
	}
	return nil
}

func reject(e *Entry) string {
	m := e.M
	switch {
	case e.Tenant == "" || len(e.Tenant) > maxTenant || !plain(string(e.Tenant)):
		return "the tenant must be named"
	case m == nil || m.Source == 0 || m.Source > math.MaxInt64:
		return "the source must be an id"
	case len(m.Samples) > MaxSamples:
		return "the measurement has too many series"
	case !plain(m.Type):
		return "the type is too long or not valid UTF-8"
	}
	if ms := m.Time.UnixMilli(); ms < MinTime || ms > MaxTime {
		return "the time must be within the years 1 to 9999"
	}
	for i := range m.Samples {
		s := &m.Samples[i]
		if !plain(s.Fragment) || !plain(s.Series) || !plain(s.Unit) {
			return "a fragment, series or unit is too long or not valid UTF-8"
		}
		if !finite(s.Value) {
			return "a value is not a finite number"
		}
	}
	return ""
}

func finite(n iot.Number) bool {
	if n.Scale == iot.Float64 {
		f := n.Float()
		return !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return n.Scale >= 0 && n.Scale <= maxDecimalScale
}

func plain(s string) bool {
	if len(s) > MaxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
		}
	}
	return true
}
