package c8yrest

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// object writes JSON by appending. The zero value is an empty buffer.
type object struct {
	b     []byte
	comma bool
}

func (o *object) sep() {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
}

func (o *object) open()  { o.sep(); o.b = append(o.b, '{'); o.comma = false }
func (o *object) close() { o.b = append(o.b, '}'); o.comma = true }

func (o *object) key(k string) {
	o.sep()
	o.b = iot.AppendText(o.b, k)
	o.b = append(o.b, ':')
	o.comma = false
}

func (o *object) begin(k string)   { o.key(k); o.open() }
func (o *object) list(k string)    { o.key(k); o.b = append(o.b, '['); o.comma = false }
func (o *object) endList()         { o.b = append(o.b, ']'); o.comma = true }
func (o *object) text(k, v string) { o.key(k); o.b = iot.AppendText(o.b, v); o.comma = true }

// beginURL writes an address up to its last part, which the caller appends together with the closing quote.
func (o *object) beginURL(k, base, path string) {
	o.key(k)
	o.b = iot.AppendText(o.b, base)
	o.b = append(o.b[:len(o.b)-1], path...)
	o.comma = true
}

// some writes a text that is not empty.
func (o *object) some(k, v string) {
	if v != "" {
		o.text(k, v)
	}
}

func (o *object) id(k string, v iot.ID) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = strconv.AppendUint(o.b, uint64(v), 10)
	o.b = append(o.b, '"')
	o.comma = true
}

func (o *object) int(k string, v int64) {
	o.key(k)
	o.b = strconv.AppendInt(o.b, v, 10)
	o.comma = true
}

func (o *object) bool(k string, v bool) {
	o.key(k)
	o.b = strconv.AppendBool(o.b, v)
	o.comma = true
}

func (o *object) time(k string, v time.Time) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = iot.AppendTime(o.b, v)
	o.b = append(o.b, '"')
	o.comma = true
}

func (o *object) raw(k string, v json.RawMessage) {
	o.key(k)
	o.b = append(o.b, v...)
	o.comma = true
}

// item writes an element of a list.
func (o *object) item(v []byte) {
	o.sep()
	o.b = append(o.b, v...)
}

// members writes free members, without those that the representation itself has.
func (o *object) members(d iot.Doc) {
	for _, m := range d {
		o.raw(m.Name, m.Raw)
	}
}
