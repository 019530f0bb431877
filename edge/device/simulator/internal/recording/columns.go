package recording

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// columns tells where in a line the time and the value stand.
type columns struct {
	separator    string
	time, value  int
	series, unit string
}

type verdict uint8

const (
	usable verdict = iota
	missing
	bad
)

// timeNames and valueNames are the headers seen in public data sets (Numenta, Prophet, UCI, Grafana exports).
var (
	timeNames  = []string{"timestamp", "time", "datetime", "date", "ds", "ts", "t"}
	valueNames = []string{"value", "y", "v", "val", "x", "reading", "data"}
)

// detect finds the separator and the columns from the first line; header tells that the line names them and is no row itself.
func detect(line string) (c *columns, header bool) {
	line = strings.TrimPrefix(line, "\ufeff")
	c = &columns{separator: ",", time: 0, value: 1}
	for _, s := range []string{";", "\t", "|"} { // a comma may also be a decimal sign, so it is the last guess
		if strings.Contains(line, s) {
			c.separator = s
			break
		}
	}
	fields := c.split(line)
	for _, f := range fields {
		if _, ok := parseTime(f); ok {
			return c, false
		}
	}
	c.time = max(0, find(fields, timeNames))
	c.value = find(fields, valueNames)
	if c.value < 0 || c.value == c.time {
		c.value = 0
		if c.time == 0 {
			c.value = 1
		}
	}
	if c.value < len(fields) {
		c.series, c.unit = label(fields[c.value])
	}
	return c, true
}

// find returns the first field that is one of names, -1 if none is.
func find(fields, names []string) int {
	for _, n := range names {
		for i, f := range fields {
			if strings.EqualFold(f, n) {
				return i
			}
		}
	}
	return -1
}

// label splits "Oil pressure [bar]" into a series name and a unit. A name that says nothing gives an empty series.
func label(header string) (series, unit string) {
	name := header
	if i := strings.IndexAny(header, "[("); i >= 0 {
		name = header[:i]
		unit = strings.Trim(header[i:], "[]() ")
	}
	name = strings.TrimSpace(name)
	if find([]string{name}, valueNames) == 0 {
		return "", unit
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		case r == ' ' || r == '-' || r == '.':
			return '_'
		}
		return -1
	}, name), unit
}

func (c *columns) split(line string) []string {
	fields := strings.Split(line, c.separator)
	for i, f := range fields {
		fields[i] = strings.TrimSpace(strings.Trim(strings.TrimSpace(f), `"'`))
	}
	return fields
}

func (c *columns) row(line string) (Row, verdict) {
	fields := c.split(line)
	if c.time >= len(fields) {
		return Row{}, bad
	}
	at, ok := parseTime(fields[c.time])
	if !ok {
		return Row{}, bad
	}
	if c.value >= len(fields) || absent(fields[c.value]) {
		return Row{}, missing
	}
	text := fields[c.value]
	if c.separator != "," {
		text = strings.Replace(text, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.Abs(v) > 1e15: // beyond that no sensor measures, and no chart can draw
		return Row{}, bad
	case math.IsNaN(v):
		return Row{}, missing
	}
	return Row{Time: at, Value: v}, usable
}

func absent(field string) bool {
	switch strings.ToLower(field) {
	case "", "nan", "na", "n/a", "null", "none", "-", "?":
		return true
	}
	return false
}

func blank(line string) bool {
	trimmed := strings.TrimSpace(line)
	return trimmed == "" || strings.HasPrefix(trimmed, "#")
}

// parseTime reads what the API reads, and Unix seconds or milliseconds of this era.
func parseTime(s string) (time.Time, bool) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n >= 1e8 && n < 1e11:
			return time.UnixMilli(int64(n * 1000)).UTC(), true
		case n >= 1e11 && n < 1e14:
			return time.UnixMilli(int64(n)).UTC(), true
		}
		return time.Time{}, false
	}
	if len(s) > len("2006-01-02") && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	t, err := iot.ParseTime(s)
	return t, err == nil
}
