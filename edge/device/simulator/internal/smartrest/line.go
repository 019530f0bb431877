package smartrest

import (
	"strconv"
	"strings"
)

// MaxPayload is the size that no publish may exceed; real clients keep to it because servers cut off at 16,184 bytes with header.
const MaxPayload = 16000

// Line joins fields to one line. Fields are quoted where the grammar asks for it; empty fields at the end are left off.
func Line(fields ...string) string {
	for len(fields) > 1 && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1]
	}
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		writeField(&b, f)
	}
	return b.String()
}

func writeField(b *strings.Builder, f string) {
	if !strings.ContainsAny(f, "\",\r\n\t") && strings.TrimSpace(f) == f {
		b.WriteString(f)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(f, `"`, `""`)) // c8y: documents say \", all clients send ""
	b.WriteByte('"')
}

// Decimal formats a value with a number of decimals, without zeros at the end.
func Decimal(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// Parse reads a payload of one or more lines into their fields. It takes both ways to escape a quote ("" and \"), line breaks inside
// quotes and CRLF; unquoted fields are trimmed, empty lines left out. It never fails: what it cannot make sense of stays text.
func Parse(payload string) [][]string {
	p := parser{rest: payload}
	var lines [][]string
	for p.rest != "" {
		if fields := p.line(); len(fields) > 1 || fields[0] != "" {
			lines = append(lines, fields)
		}
	}
	return lines
}

type parser struct{ rest string }

// line reads up to and including the next line break outside quotes.
func (p *parser) line() []string {
	var fields []string
	for {
		field, end := p.field()
		fields = append(fields, field)
		if end {
			return fields
		}
	}
}

// field reads up to and including the next separator; end tells that it was the last one of its line.
func (p *parser) field() (field string, end bool) {
	if trimmed := strings.TrimLeft(p.rest, " \t"); strings.HasPrefix(trimmed, `"`) {
		p.rest = trimmed[1:]
		field = p.quoted()
		_, end = p.until() // what follows a closing quote before the separator is noise
		return field, end
	}
	raw, end := p.until()
	return strings.TrimSpace(raw), end
}

func (p *parser) until() (raw string, end bool) {
	i := strings.IndexAny(p.rest, ",\n")
	if i < 0 {
		raw, p.rest = p.rest, ""
		return raw, true
	}
	raw, end = p.rest[:i], p.rest[i] == '\n'
	p.rest = p.rest[i+1:]
	return raw, end
}

// quoted reads up to and including the closing quote.
func (p *parser) quoted() string {
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == '\\' && i+1 < len(p.rest) && (p.rest[i+1] == '"' || p.rest[i+1] == '\\'),
			c == '"' && i+1 < len(p.rest) && p.rest[i+1] == '"':
			i++
			b.WriteByte(p.rest[i])
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	p.rest = ""
	return b.String()
}
