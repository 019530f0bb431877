package smartrest

import (
	"bytes"
	"iter"
	"strings"
	"unicode/utf8"
)

// Limits bounds one publish. A zero member means its default.
type Limits struct {
	Bytes  int // of the whole payload; default 16 KiB
	Lines  int // messages per payload; default 10,000
	Fields int // per message; default 5,000
}

const (
	defaultBytes  = 16 << 10
	defaultLines  = 10_000
	defaultFields = 5_000
)

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Lines <= 0 {
		l.Lines = defaultLines
	}
	if l.Fields <= 0 {
		l.Fields = defaultFields
	}
	return l
}

// Split yields the messages of one payload, static or custom: for each line that is not empty either its fields or what is
// wrong with it. A quote that is never closed takes the rest of the payload with it, because the lines that follow may be
// part of the value.
func Split(payload []byte, limits Limits) iter.Seq2[Fields, *LineError] {
	return func(yield func(Fields, *LineError) bool) {
		s := splitter{rest: payload, limits: limits.orDefault()}
		for {
			raw, err, ok := s.next()
			if !ok {
				return
			}
			f := Fields{done: true}
			if err == nil {
				f = SplitFields(string(raw))
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// splitter cuts a payload into lines.
type splitter struct {
	rest   []byte
	limits Limits
	lines  int
}

// next returns the next line that is not empty, without its line break, or what is wrong with it.
func (s *splitter) next() (line []byte, err *LineError, ok bool) {
	if len(s.rest) > s.limits.Bytes {
		s.rest = nil
		return nil, malformed(nil, "the message is larger than %d bytes", s.limits.Bytes), true
	}
	for len(s.rest) > 0 {
		end, closed := lineEnd(s.rest)
		line = s.rest[:end]
		s.rest = s.rest[min(end+1, len(s.rest)):]
		if blank(line) {
			continue
		}
		if s.lines++; s.lines > s.limits.Lines {
			s.rest = nil
			return nil, malformed(nil, "the message has more than %d lines", s.limits.Lines), true
		}
		if !closed {
			return nil, malformed(line, "a quoted field is not closed"), true
		}
		return line, s.check(line), true
	}
	return nil, nil, false
}

func (s *splitter) check(line []byte) *LineError {
	switch {
	case !utf8.Valid(line):
		return malformed(line, "the line is not valid UTF-8")
	case bytes.IndexByte(line, 0) >= 0: // no store keeps it, see iot.ParseDoc
		return malformed(line, "the line contains the character U+0000")
	case len(line) >= s.limits.Fields && countFields(line) > s.limits.Fields:
		return malformed(line, "the line has more than %d fields", s.limits.Fields)
	}
	return nil
}

func countFields(line []byte) int {
	n := bytes.Count(line, []byte{','}) + 1
	if bytes.IndexByte(line, '"') < 0 {
		return n
	}
	f := SplitFields(string(line))
	for n = 0; ; n++ {
		if _, ok := f.Next(); !ok {
			return n
		}
	}
}

// lineEnd returns where the line at the start of b ends; closed is false if a quote is left open.
func lineEnd(b []byte) (end int, closed bool) {
	end = bytes.IndexByte(b, '\n')
	if end < 0 {
		end = len(b)
	}
	if bytes.IndexByte(b[:end], '"') < 0 {
		return end, true
	}
	for i := 0; ; i++ { // i is at the start of a field
		i = skipBlanks(b, i)
		if i < len(b) && b[i] == '"' {
			if i = quoteEnd(b, i); i < 0 {
				return len(b), false
			}
		}
		for i < len(b) && b[i] != ',' && b[i] != '\n' {
			i++
		}
		if i == len(b) || b[i] == '\n' {
			return i, true
		}
	}
}

func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func skipBlanks[T string | []byte](s T, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

// quoteEnd returns the position behind the quote that closes the one at s[at], -1 if there is none.
//
// c8y: the documentation of SmartREST 2 escapes a quote as \", the clients in use send "". Both are understood.
func quoteEnd[T string | []byte](s T, at int) int {
	for i := at + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
				i++
			}
		case '"':
			if i+1 >= len(s) || s[i+1] != '"' {
				return i + 1
			}
			i++
		}
	}
	return -1
}

// Fields reads the fields of one line from left to right. The zero value has one empty field; a copy reads on independently.
type Fields struct {
	line string
	at   int
	done bool
}

// SplitFields returns the fields of one line. The fields share the memory of the line.
func SplitFields(line string) Fields { return Fields{line: line} }

// Next returns the next field: without the blanks around it if it is not quoted, without quotes and escapes if it is.
// It returns false behind the last one. "a," has two fields, the second of which is empty.
func (f *Fields) Next() (field string, ok bool) {
	if f.done {
		return "", false
	}
	s := f.line
	i := skipBlanks(s, f.at)
	if i < len(s) && s[i] == '"' {
		return f.quoted(i), true
	}
	end := i
	for end < len(s) && s[end] != ',' {
		end++
	}
	f.at, f.done = end+1, end == len(s)
	return trimRight(s[i:end]), true
}

// quoted reads the field whose opening quote is at i. Text between the closing quote and the next comma is appended as it is,
// which is what the splitters of real clients do.
func (f *Fields) quoted(i int) string {
	s := f.line
	end := quoteEnd(s, i)
	if end < 0 { // lineEnd has refused it; be total for callers that did not ask it
		f.at, f.done = len(s), true
		return unescape(s[i+1:])
	}
	stop := end
	for stop < len(s) && s[stop] != ',' {
		stop++
	}
	f.at, f.done = stop+1, stop == len(s)
	value := unescape(s[i+1 : end-1])
	if tail := trimRight(s[end:stop]); tail != "" {
		value += tail
	}
	return value
}

func trimRight(s string) string {
	for len(s) > 0 {
		if c := s[len(s)-1]; c != ' ' && c != '\t' && c != '\r' {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}

// unescape resolves the escapes inside quotes: \" and "" to a quote, \\ to a backslash. Any other backslash stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c == '\\' || c == '"') && i+1 < len(s) && (s[i+1] == '"' || c == '\\' && s[i+1] == '\\') {
			i++
			c = s[i]
		}
		b = append(b, c)
	}
	return string(b)
}
