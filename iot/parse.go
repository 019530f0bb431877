package iot

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting of objects and arrays that a document may have.
const MaxDepth = 64

// Errors of ParseDoc. They say what is wrong with the text, for the client that sent it.
var (
	errDepth     = errors.New("the document is nested too deeply")
	errNotObject = errors.New("a JSON object is expected")
	errNUL       = errors.New(`strings must not contain the character \u0000`)
	errSurrogate = errors.New("a string contains half of a surrogate pair")
	errUTF8      = errors.New("the document is not valid UTF-8")
	errRange     = errors.New("a number is outside the range of a 64-bit float")
)

// ParseDoc reads one JSON object (RFC 8259) and validates all of it: nesting up to maxDepth, UTF-8, no U+0000, whole surrogate
// pairs, finite numbers. These are the limits of the weakest store, imposed everywhere. A repeated member replaces the earlier one.
// The Doc aliases b, which must not be written to afterwards.
func ParseDoc(b []byte, maxDepth int) (Doc, error) {
	p := parser{b: b, depth: maxDepth}
	p.space()
	d, err := p.object()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("end of document")
	}
	return d, nil
}

// ParseArray reads one JSON array and returns its validated elements, which alias b. The limits are those of ParseDoc.
func ParseArray(b []byte, maxDepth int) ([]json.RawMessage, error) {
	p := parser{b: b, depth: maxDepth}
	p.space()
	if p.peek() != '[' {
		return nil, errors.New("a JSON array is expected")
	}
	var out []json.RawMessage
	err := p.list(']', func() error {
		at := p.i
		if err := p.value(); err != nil {
			return err
		}
		out = append(out, p.b[at:p.i])
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("end of document")
	}
	return out, nil
}

// ParseDocs reads one JSON array of objects. What it returns aliases b; the limits are those of ParseDoc.
func ParseDocs(b []byte, maxDepth int) ([]Doc, error) {
	p := parser{b: b, depth: maxDepth}
	p.space()
	if p.peek() != '[' {
		return nil, errors.New("a JSON array is expected")
	}
	var out []Doc
	err := p.list(']', func() error {
		d, err := p.object()
		out = append(out, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i != len(b) {
		return nil, p.fail("end of document")
	}
	return out, nil
}

// parser is a validating scanner over one JSON text.
type parser struct {
	b     []byte
	i     int
	depth int
}

func (p *parser) fail(want string) error {
	if p.i >= len(p.b) {
		return fmt.Errorf("unexpected end of JSON, expected %s", want)
	}
	return fmt.Errorf("unexpected %q at position %d, expected %s", rune(p.b[p.i]), p.i, want)
}

func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// object reads a top-level object into members.
func (p *parser) object() (Doc, error) {
	if p.peek() != '{' {
		if p.i >= len(p.b) {
			return nil, errors.New("the document is empty, a JSON object is expected")
		}
		return nil, errNotObject
	}
	d := make(Doc, 0, 4) // most objects within documents are no larger
	var known map[string]int
	err := p.list('}', func() error {
		raw, err := p.name()
		if err != nil {
			return err
		}
		name, at := nameOf(raw), p.i
		if err := p.value(); err != nil {
			return err
		}
		d, known = d.put(known, name, p.b[at:p.i:p.i])
		return nil
	})
	return d, err
}

// list reads comma-separated items up to the closing byte; the opening one is at p.i.
func (p *parser) list(closing byte, item func() error) error {
	if p.depth--; p.depth < 0 {
		return errDepth
	}
	p.i++
	p.space()
	if p.peek() == closing {
		p.i++
		p.depth++
		return nil
	}
	for {
		p.space()
		if err := item(); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.i++
		case closing:
			p.i++
			p.depth++
			return nil
		default:
			return p.fail("',' or '" + string(rune(closing)) + "'")
		}
	}
}

// name reads the name of a member up to its value and returns it as it is written, with quotes.
func (p *parser) name() ([]byte, error) {
	at := p.i
	if p.peek() != '"' {
		return nil, p.fail("a member name")
	}
	if err := p.text(); err != nil {
		return nil, err
	}
	name := p.b[at:p.i]
	p.space()
	if p.peek() != ':' {
		return nil, p.fail("':'")
	}
	p.i++
	p.space()
	return name, nil
}

// nameOf decodes a name. The most frequent ones are not allocated again and again.
func nameOf(raw []byte) string {
	switch string(raw) {
	case `"value"`:
		return "value"
	case `"unit"`:
		return "unit"
	case `"id"`:
		return "id"
	case `"source"`:
		return "source"
	case `"time"`:
		return "time"
	case `"type"`:
		return "type"
	case `"text"`:
		return "text"
	}
	name, _ := RawText(raw)
	return name
}

func (p *parser) value() error {
	switch c := p.peek(); {
	case c == '"':
		return p.text()
	case c == '{':
		return p.list('}', func() error {
			if _, err := p.name(); err != nil {
				return err
			}
			return p.value()
		})
	case c == '[':
		return p.list(']', p.value)
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	case c == '-' || (c >= '0' && c <= '9'):
		return p.number()
	}
	return p.fail("a value")
}

func (p *parser) word(w string) error {
	if len(p.b)-p.i < len(w) || string(p.b[p.i:p.i+len(w)]) != w {
		return p.fail(w)
	}
	p.i += len(w)
	return nil
}

func (p *parser) digits() bool {
	at := p.i
	for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
		p.i++
	}
	return p.i > at
}

func (p *parser) number() error {
	at := p.i
	if p.peek() == '-' {
		p.i++
	}
	if p.peek() == '0' {
		p.i++
	} else if !p.digits() {
		return p.fail("a digit")
	}
	if p.peek() == '.' {
		if p.i++; !p.digits() {
			return p.fail("a digit")
		}
	}
	exponent := false
	if c := p.peek(); c == 'e' || c == 'E' {
		exponent = true
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if !p.digits() {
			return p.fail("a digit")
		}
	}
	if exponent || p.i-at > 300 { // only such numbers can leave the range of a float64
		f, err := strconv.ParseFloat(string(p.b[at:p.i]), 64)
		if (err != nil && math.IsInf(f, 0)) || p.i-at > 2000 {
			return errRange
		}
	}
	return nil
}

func (p *parser) text() error {
	p.i++
	for p.i < len(p.b) {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return p.fail("an escaped control character")
		case c < 0x80:
			p.i++
		default:
			r, n := utf8.DecodeRune(p.b[p.i:])
			if r == utf8.RuneError && n == 1 {
				return errUTF8
			}
			p.i += n
		}
	}
	return p.fail("'\"'")
}

func (p *parser) escape() error {
	p.i++
	switch p.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.i++
		return nil
	case 'u':
		p.i++
	default:
		return p.fail("an escape")
	}
	r, err := p.hex4()
	switch {
	case err != nil:
		return err
	case r == 0:
		return errNUL
	case r >= 0xDC00 && r < 0xE000:
		return errSurrogate
	case r >= 0xD800 && r < 0xDC00:
		if p.peek() != '\\' || p.i+1 >= len(p.b) || p.b[p.i+1] != 'u' {
			return errSurrogate
		}
		p.i += 2
		low, err := p.hex4()
		if err != nil {
			return err
		}
		if low < 0xDC00 || low >= 0xE000 {
			return errSurrogate
		}
	}
	return nil
}

func (p *parser) hex4() (rune, error) {
	if len(p.b)-p.i < 4 {
		p.i = len(p.b)
		return 0, p.fail("four hexadecimal digits")
	}
	n, err := strconv.ParseUint(string(p.b[p.i:p.i+4]), 16, 16)
	if err != nil || p.b[p.i] == '+' {
		return 0, p.fail("four hexadecimal digits")
	}
	p.i += 4
	return rune(n), nil
}
