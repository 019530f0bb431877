package telemetry

import (
	"errors"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
)

var errBatch = errors.New("this is no batch of measurements")

// decoder reads the JSON form of a MeasurementBatch. The first error stops it: everything after it returns zero values.
type decoder struct {
	b     []byte
	i     int
	err   error
	names map[string]string // the few different texts of a batch, each once
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errBatch
	}
	d.i = len(d.b)
}

func (d *decoder) space() {
	for d.i < len(d.b) && (d.b[d.i] == ' ' || d.b[d.i] == '\n' || d.b[d.i] == '\r' || d.b[d.i] == '\t') {
		d.i++
	}
}

// next skips space and takes one byte.
func (d *decoder) next() byte {
	if d.space(); d.i >= len(d.b) {
		d.fail()
		return 0
	}
	d.i++
	return d.b[d.i-1]
}

func (d *decoder) peek() byte {
	if d.space(); d.i >= len(d.b) {
		return 0
	}
	return d.b[d.i]
}

// items calls fn for every comma-separated item up to the closing byte.
func (d *decoder) items(opening, closing byte, fn func()) {
	if d.next() != opening {
		d.fail()
		return
	}
	if d.peek() == closing {
		d.i++
		return
	}
	for d.err == nil {
		fn()
		switch d.next() {
		case ',':
		case closing:
			return
		default:
			d.fail()
		}
	}
}

func (d *decoder) array(fn func()) { d.items('[', ']', fn) }

func (d *decoder) object(fn func(key string)) {
	d.items('{', '}', func() {
		key := d.text()
		if d.next() != ':' {
			d.fail()
			return
		}
		fn(key)
	})
}

// raw returns the text of the value that comes next.
func (d *decoder) raw() []byte {
	d.space()
	at := d.i
	for depth := 0; d.i < len(d.b); {
		switch c := d.b[d.i]; c {
		case '"':
			d.quoted()
		case '{', '[':
			depth++
			d.i++
		case '}', ']', ',':
			if depth == 0 {
				return d.b[at:d.i]
			}
			if d.i++; c != ',' {
				depth--
			}
		default:
			d.i++
		}
	}
	return d.b[min(at, len(d.b)):]
}

// quoted moves past a string.
func (d *decoder) quoted() {
	for d.i++; d.i < len(d.b); d.i++ {
		switch d.b[d.i] {
		case '\\':
			d.i++
		case '"':
			d.i++
			return
		}
	}
	d.fail()
}

func (d *decoder) skip() { d.raw() }

func (d *decoder) text() string {
	if d.peek() != '"' {
		d.fail()
		return ""
	}
	at := d.i
	if d.quoted(); d.err != nil {
		return ""
	}
	raw := d.b[at:d.i]
	if s, ok := d.names[string(raw)]; ok {
		return s
	}
	s, ok := iot.RawText(raw)
	if !ok {
		d.fail()
	}
	const maxNames = 1000
	if len(d.names) < maxNames {
		d.names[string(raw)] = s
	}
	return s
}

func (d *decoder) token() string {
	raw := d.raw()
	for len(raw) > 0 && raw[len(raw)-1] <= ' ' {
		raw = raw[:len(raw)-1]
	}
	return string(raw)
}

func (d *decoder) integer() int64 {
	n, err := strconv.ParseInt(d.token(), 10, 64)
	if err != nil {
		d.fail()
	}
	return n
}

func (d *decoder) number() iot.Number {
	n, err := iot.ParseNumber(d.token())
	if err != nil {
		d.fail()
	}
	return n
}

func (d *decoder) doc() iot.Doc {
	doc, err := iot.ParseDoc(d.raw(), iot.MaxDepth+1)
	if err != nil {
		d.fail()
	}
	return doc
}
