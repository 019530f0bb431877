package iot

import (
	"errors"
	"strings"
	"time"
)

var errNotTime = errors.New("not an ISO 8601 date or date-time")

// timeLayouts are the forms that clients send, most frequent first. A value without zone means UTC.
var timeLayouts = [...]string{
	"2006-01-02T15:04:05Z07:00", // fractions of a second are accepted by time.Parse after any seconds field
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02",
	"2006-01-02Z07:00",
	"2006-01-02 15:04:05",
}

// ParseTime reads a date or date-time as clients of the API send it: with or without seconds, fraction and zone, and with
// a blank where a '+' was not percent-encoded. The result is UTC, cut to milliseconds, within the years 1 to 9999.
func ParseTime(s string) (time.Time, error) {
	if len(s) > 19 && s[len(s)-6] == ' ' { // "...T00:00:00 01:00": '+' decoded from a query
		s = s[:len(s)-6] + "+" + s[len(s)-5:]
	}
	if i := strings.IndexByte(s, ','); i > 0 { // ISO 8601 also allows a comma before the fraction
		s = s[:i] + "." + s[i+1:]
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			t = t.UTC().Truncate(time.Millisecond)
			if t.Year() < 1 || t.Year() > 9999 {
				return time.Time{}, errNotTime
			}
			return t, nil
		}
	}
	return time.Time{}, errNotTime
}

// FormatTime returns the form that the API emits: UTC with milliseconds and 'Z'.
func FormatTime(t time.Time) string { return string(AppendTime(nil, t)) }

// AppendTime appends the form of FormatTime.
func AppendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// FromMillis returns the UTC time of Unix milliseconds.
func FromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
