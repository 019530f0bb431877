package session

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// ErrCorrupt is returned for stored bytes that cannot be decoded.
var ErrCorrupt = errors.New("stored session data cannot be decoded")

// codeVersion is the first byte of every encoded value, so that the form can change without migration at start.
const codeVersion = 1

// AppendMessage appends the stored form of a message. Will is not part of it.
func AppendMessage(b []byte, m *Message) []byte {
	flags := m.QoS
	if m.Retain {
		flags |= 4
	}
	b = append(b, codeVersion, flags, m.PayloadFormat)
	expires := int64(0)
	if !m.ExpiresAt.IsZero() {
		expires = m.ExpiresAt.Unix()
	}
	b = binary.AppendVarint(b, expires)
	for _, s := range []string{m.Topic, m.ContentType, m.ResponseTopic} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(binary.AppendUvarint(b, uint64(len(m.CorrelationData))), m.CorrelationData...)
	b = binary.AppendUvarint(b, uint64(len(m.User)))
	for _, u := range m.User {
		b = append(binary.AppendUvarint(b, uint64(len(u.Key))), u.Key...)
		b = append(binary.AppendUvarint(b, uint64(len(u.Value))), u.Value...)
	}
	return append(b, m.Payload...)
}

// DecodeMessage decodes what AppendMessage wrote. The message does not refer to b.
func DecodeMessage(b []byte) (*Message, error) {
	d := decoder{b: b}
	if d.byte() != codeVersion {
		return nil, ErrCorrupt
	}
	flags := d.byte()
	m := &Message{QoS: flags & 3, Retain: flags&4 != 0, PayloadFormat: d.byte()}
	if sec := d.varint(); sec != 0 {
		m.ExpiresAt = time.Unix(sec, 0)
	}
	m.Topic, m.ContentType, m.ResponseTopic = string(d.bytes()), string(d.bytes()), string(d.bytes())
	if c := d.bytes(); len(c) > 0 {
		m.CorrelationData = append([]byte(nil), c...)
	}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		m.User = append(m.User, packet.UserProperty{Key: string(d.bytes()), Value: string(d.bytes())})
	}
	m.Payload = append([]byte(nil), d.b...)
	if d.bad {
		return nil, ErrCorrupt
	}
	return m, nil
}

// AppendEntry appends the stored form of an entry without Seq, State and PacketID, which drivers keep beside it.
func AppendEntry(b []byte, e *Entry) []byte {
	flags := e.QoS
	if e.Retain {
		flags |= 4
	}
	b = append(b, codeVersion, flags)
	b = binary.AppendUvarint(b, uint64(len(e.SubscriptionIDs)))
	for _, id := range e.SubscriptionIDs {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return AppendMessage(b, e.Message)
}

// DecodeEntry decodes what AppendEntry wrote.
func DecodeEntry(b []byte) (e Entry, err error) {
	d := decoder{b: b}
	if d.byte() != codeVersion {
		return e, ErrCorrupt
	}
	flags := d.byte()
	e.QoS, e.Retain = flags&3, flags&4 != 0
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		e.SubscriptionIDs = append(e.SubscriptionIDs, uint32(d.uvarint()))
	}
	if d.bad {
		return e, ErrCorrupt
	}
	e.Message, err = DecodeMessage(d.b)
	return e, err
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}
