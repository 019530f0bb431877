package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

const maxText = 65_535

// cursor walks over the body of a packet. The first error sticks, and every later read returns zero:
// decoders read all fields in a row and look at err once.
type cursor struct {
	b   []byte
	err *Error
}

func (c *cursor) fail(e *Error) {
	if c.err == nil {
		c.err = e
		c.b = nil
	}
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.fail(malformed("packet ends inside a field"))
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if v := c.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// varint reads a variable byte integer; a longer form than needed is malformed (MQTT-1.5.5-1).
func (c *cursor) varint() uint32 {
	var v uint32
	for i := 0; i < 4; i++ {
		d := c.byte()
		v |= uint32(d&127) << (7 * i)
		if d&128 == 0 {
			if d == 0 && i > 0 {
				c.fail(malformed("variable byte integer is longer than needed"))
				return 0
			}
			return v
		}
	}
	c.fail(malformed("variable byte integer is longer than four bytes"))
	return 0
}

func (c *cursor) binary() []byte { return c.take(int(c.uint16())) }

// text reads a UTF-8 string as a view and checks it (MQTT 5.0 section 1.5.4).
func (c *cursor) text() []byte {
	v := c.binary()
	if !validText(v) {
		c.fail(malformed("text is not valid UTF-8 or holds U+0000"))
		return nil
	}
	return v
}

func (c *cursor) packetID() uint16 {
	id := c.uint16()
	if id == 0 {
		// MQTT-2.2.1-3: a protocol error in the words of the specification, not a malformed packet.
		c.fail(protocol("packet identifier is zero"))
	}
	return id
}

// end checks that nothing is left over.
func (c *cursor) end() {
	if len(c.b) != 0 {
		c.fail(malformed("bytes left after the last field"))
	}
}

func (c *cursor) result() error {
	if c.err != nil {
		return c.err
	}
	return nil
}

// validText: utf8.Valid refuses surrogates and overlong forms, U+0000 is refused by MQTT-1.5.4-2.
func validText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	if len(s) > maxText {
		s = s[:maxText]
	}
	b = append(b, byte(len(s)>>8), byte(len(s)))
	return append(b, s...)
}

func appendUint16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }

func appendVarint(b []byte, v uint32) []byte {
	for v >= 128 {
		b = append(b, byte(v)|128)
		v >>= 7
	}
	return append(b, byte(v))
}

func varintSize(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	default:
		return 4
	}
}

// open starts a packet: the first byte and room for the longest remaining length. seal closes the gap.
func open(b []byte, t Type, flags byte) ([]byte, int) {
	return append(b, byte(t)<<4|flags, 0, 0, 0, 0), len(b)
}

func seal(b []byte, start int) []byte {
	body := b[start+5:]
	n := varintSize(uint32(len(body)))
	appendVarint(b[:start+1], uint32(len(body)))
	if n < 4 {
		copy(b[start+1+n:], body)
	}
	return b[:len(b)-4+n]
}
