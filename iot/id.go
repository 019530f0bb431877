package iot

import (
	"strconv"
	"strings"
)

// TenantID names a tenant (a realm of users, devices and data that never meets another one).
// It is the first part of every key, table key and bus subject.
type TenantID string

// The two tenants that exist on every installation.
const (
	// Management is the tenant that administers all the others.
	Management TenantID = "management"
	// DefaultTenant answers requests that name no tenant.
	DefaultTenant TenantID = "main"
)

// Valid reports whether t can be a tenant id: 2 to 64 lower-case letters, digits and hyphens, starting with a letter.
// Such an id is safe inside a bus subject, a file name and a host name.
func (t TenantID) Valid() bool {
	if len(t) < 2 || len(t) > 64 || t[0] < 'a' || t[0] > 'z' {
		return false
	}
	for i := 0; i < len(t); i++ {
		c := t[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ID identifies a document within its tenant: a managed object, an event, an alarm, an operation or an audit record.
// Zero means "none". On the wire it is a string of decimal digits.
type ID uint64

// ParseID reads decimal digits; ok is false for anything else, for zero and for values beyond 63 bits
// (the range that both SQL engines store).
func ParseID(s string) (id ID, ok bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, false
	}
	return ID(n), true
}

// String returns the decimal digits of the id.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// MeasurementID locates one measurement: it carries the key itself, so that no index from id to key is needed.
type MeasurementID struct {
	Source ID
	Time   int64  // Unix milliseconds
	Seq    uint32 // tells apart measurements of one source in one millisecond
}

const (
	// measurementEpoch shifts the year 1 to zero, so that 15 digits hold every time up to the year 9999.
	measurementEpoch = 62135596800000
	timeDigits       = 15
	seqDigits        = 6
)

// MaxSeq is the largest Seq that a MeasurementID can carry.
const MaxSeq = 999_999

// String returns decimal digits: the source, then 15 digits of time, then 6 digits of sequence.
func (m MeasurementID) String() string {
	return string(m.AppendTo(make([]byte, 0, 32)))
}

// AppendTo appends the decimal form to b.
func (m MeasurementID) AppendTo(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(m.Source), 10)
	b = appendPadded(b, uint64(m.Time+measurementEpoch), timeDigits)
	return appendPadded(b, uint64(m.Seq), seqDigits)
}

func appendPadded(b []byte, n uint64, width int) []byte {
	at := len(b)
	for range width {
		b = append(b, '0')
	}
	for i := at + width - 1; i >= at && n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// ParseMeasurementID reverses MeasurementID.String; ok is false for anything that it cannot have produced.
func ParseMeasurementID(s string) (m MeasurementID, ok bool) {
	cut := len(s) - timeDigits - seqDigits
	if cut < 1 || strings.Trim(s, "0123456789") != "" || s[0] == '0' {
		return m, false
	}
	src, ok := ParseID(s[:cut])
	if !ok {
		return m, false
	}
	t, err1 := strconv.ParseInt(s[cut:cut+timeDigits], 10, 64)
	q, err2 := strconv.ParseUint(s[cut+timeDigits:], 10, 32)
	if err1 != nil || err2 != nil {
		return m, false
	}
	return MeasurementID{Source: src, Time: t - measurementEpoch, Seq: uint32(q)}, true
}
