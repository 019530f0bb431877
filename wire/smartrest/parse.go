package smartrest

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Line is what became of one line: a command, or the error that keeps it from being one.
type Line struct {
	ID      string // the message id, "200"
	Message Message
	Err     *LineError
}

// Parse yields the commands of one publish to s/us in order. A time that is left out means now.
func Parse(payload []byte, now time.Time, limits Limits) iter.Seq[Line] {
	return func(yield func(Line) bool) { parse(payload, now, limits, yield) }
}

func parse(payload []byte, now time.Time, limits Limits, yield func(Line) bool) {
	now = now.UTC().Truncate(time.Millisecond)
	s := splitter{rest: payload, limits: limits.orDefault()}
	for {
		raw, err, ok := s.next()
		if !ok {
			return
		}
		var l Line
		if err != nil {
			l = Line{ID: err.MessageID, Err: err}
		} else {
			l = decode(string(raw), now)
		}
		if !yield(l) {
			return
		}
	}
}

func decode(line string, now time.Time) Line {
	a := args{fields: SplitFields(line), now: now}
	a.id, _ = a.fields.Next()
	t := find(a.id)
	if t == nil {
		err := unknown(a.id)
		return Line{ID: err.MessageID, Err: err}
	}
	m, err := t.decode(a)
	if err != nil {
		return Line{ID: a.id, Err: err}
	}
	return Line{ID: a.id, Message: m}
}

// args are the parameters of one line. The methods take them from left to right; the first one that is not acceptable
// is remembered in err.
type args struct {
	id     string
	fields Fields
	now    time.Time
	err    *LineError
}

func (a *args) fail(format string, args ...any) {
	if a.err == nil {
		a.err = &LineError{Code: CodeArgument, MessageID: a.id, Text: fmt.Sprintf(format, args...)}
	}
}

// text returns an optional parameter.
func (a *args) text() string {
	s, _ := a.fields.Next()
	return s
}

// textOr returns an optional parameter with a default.
func (a *args) textOr(def string) string {
	if s := a.text(); s != "" {
		return s
	}
	return def
}

// need returns a mandatory parameter.
func (a *args) need(name string) string {
	s, _ := a.fields.Next()
	if s == "" {
		a.missing(name)
	}
	return s
}

func (a *args) missing(name string) { a.fail("the parameter %s is missing", name) }

// time returns an optional time, by default now.
func (a *args) time() time.Time {
	s := a.text()
	if s == "" {
		return a.now
	}
	t, err := iot.ParseTime(s)
	if err != nil {
		a.fail("the time is not an ISO 8601 date-time")
	}
	return t
}

// number returns an optional number; ok is false if it is left out.
func (a *args) number(name string) (n iot.Number, ok bool) {
	s := a.text()
	if s == "" {
		return n, false
	}
	return a.parseNumber(name, s), true
}

func (a *args) parseNumber(name, s string) iot.Number {
	n, err := iot.ParseNumber(s)
	if err != nil {
		a.fail("the parameter %s is not a number", name)
	}
	return n
}

// operationID returns the mandatory id of an operation.
func (a *args) operationID() iot.ID {
	s := a.need("operation id")
	id, ok := iot.ParseID(s)
	if !ok {
		a.fail("the operation id is not a number")
	}
	return id
}

// list returns the remaining parameters without the empty ones; it is never nil.
func (a *args) list() []string {
	out := []string{}
	for {
		s, ok := a.fields.Next()
		if !ok {
			return out
		}
		if s != "" {
			out = append(out, s)
		}
	}
}

// needList is list with at least one element.
func (a *args) needList(name string) []string {
	out := a.list()
	if len(out) == 0 {
		a.missing(name)
	}
	return out
}

// results returns the remaining parameters. Empty ones at the end are dropped (trailing commas mean nothing), but not the first.
func (a *args) results() []string {
	var out []string
	for {
		s, ok := a.fields.Next()
		if !ok {
			break
		}
		out = append(out, s)
	}
	for len(out) > 1 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// group fills g with the next parameters; ok is false at the end of the line. Groups that are empty altogether are skipped,
// the last one may be cut short.
func (a *args) group(g []string) (ok bool) {
	for {
		empty := true
		for i := range g {
			s, more := a.fields.Next()
			if i == 0 && !more {
				return false
			}
			g[i] = s
			empty = empty && s == ""
		}
		if !empty {
			return true
		}
	}
}

// minutes returns a mandatory whole number.
func (a *args) minutes() int {
	s := a.need("minutes")
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		a.fail("the parameter minutes is not a whole number")
	}
	return int(n)
}
