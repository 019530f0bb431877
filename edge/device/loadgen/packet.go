package loadgen

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// kinds of packets, with the flags that they must have.
const (
	kindConnect    = 0x10
	kindConnack    = 0x20
	kindPublish    = 0x30
	kindPublishQ1  = 0x32
	kindPuback     = 0x40
	kindSubscribe  = 0x82
	kindSuback     = 0x90
	maxFrame       = 1 << 20
	connectTimeout = 30 * time.Second
)

// Login says who connects and how.
type Login struct {
	ClientID       string
	User, Password string // both empty: none are sent
	Persistent     bool   // keep the session when the connection ends
}

// Conn is a connection. Its methods are for one goroutine, except Close.
type Conn struct {
	net.Conn
	r *bufio.Reader
}

// Dial connects and waits for the server's consent.
func Dial(addr string, l Login) (*Conn, error) { return dial(addr, l, time.Now().Add(connectTimeout)) }

func dial(addr string, l Login, until time.Time) (*Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, time.Until(until))
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: nc, r: newReader(nc)}
	_ = nc.SetDeadline(until)
	if err := c.connect(l); err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect %s to %s: %w", l.ClientID, addr, err)
	}
	return c, nc.SetDeadline(time.Time{})
}

func newReader(nc net.Conn) *bufio.Reader { return bufio.NewReaderSize(nc, 512) }

func (c *Conn) connect(l Login) error {
	var flags byte
	if !l.Persistent {
		flags |= 0x02
	}
	if l.User != "" {
		flags |= 0xC0
	}
	body := append(field(nil, "MQTT"), 4, flags, 0, 0) // level 4, no keep alive
	body = field(body, l.ClientID)
	if l.User != "" {
		body = field(field(body, l.User), l.Password)
	}
	if _, err := c.Write(frame(kindConnect, body)); err != nil {
		return err
	}
	kind, reply, err := c.readFrame(nil)
	if err != nil {
		return err
	}
	if kind != kindConnack || len(reply) < 2 || reply[1] != 0 {
		return fmt.Errorf("refused: %x", reply)
	}
	return nil
}

// Subscribe subscribes with QoS 1 and waits for the answer. Nothing may be published to the connection before.
func (c *Conn) Subscribe(filter string) error {
	if _, err := c.Write(frame(kindSubscribe, append(field([]byte{0, 1}, filter), 1))); err != nil {
		return err
	}
	kind, body, err := c.readFrame(nil)
	if err == nil && (kind != kindSuback || len(body) < 3 || body[2] > 1) {
		err = fmt.Errorf("subscribe %s: refused: %x", filter, body)
	}
	return err
}

// Publish sends one message with QoS 1 and waits for its acknowledgement.
func (c *Conn) Publish(topic, payload string) error {
	if err := c.Send(topic, payload); err != nil {
		return err
	}
	return c.Acknowledged()
}

// Send sends one message with QoS 1. Acknowledged must be called before the next one.
func (c *Conn) Send(topic, payload string) error {
	_, err := c.Write(publish(1, topic, payload))
	return err
}

// Acknowledged waits for the acknowledgement of what Send has sent. Messages that come before it are passed over.
func (c *Conn) Acknowledged() error {
	for {
		kind, _, err := c.readFrame(nil)
		switch {
		case err != nil || kind == kindPuback:
			return err
		case kind&0xF0 != kindPublish:
			return fmt.Errorf("publish: answered with a packet of kind %x", kind)
		}
	}
}

// Messages reads messages until the connection ends. Their parts are valid until take returns; id is zero for QoS 0.
func (c *Conn) Messages(take func(topic, payload []byte, id uint16)) error {
	c.r = bufio.NewReaderSize(io.MultiReader(io.LimitReader(c.r, int64(c.r.Buffered())), c.Conn), 256<<10)
	return c.messages(take)
}

func (c *Conn) messages(take func(topic, payload []byte, id uint16)) error {
	var buf []byte
	for {
		kind, body, err := c.readFrame(buf)
		if err != nil {
			return err
		}
		buf = body
		if kind&0xF0 != kindPublish {
			continue
		}
		if len(body) < 2 || len(body) < 4+int(binary.BigEndian.Uint16(body)) {
			return fmt.Errorf("a message is too short: %x", body)
		}
		n := 2 + int(binary.BigEndian.Uint16(body))
		topic, rest, id := body[2:n], body[n:], uint16(0)
		if kind&0x06 != 0 {
			id, rest = binary.BigEndian.Uint16(rest), rest[2:]
		}
		take(topic, rest, id)
	}
}

// AppendAck appends the acknowledgement of a message.
func AppendAck(b []byte, id uint16) []byte { return append(b, kindPuback, 2, byte(id>>8), byte(id)) }

// readFrame reads a packet into buf if it is large enough.
func (c *Conn) readFrame(buf []byte) (kind byte, body []byte, err error) {
	if kind, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n := 0
	for shift := 0; ; shift += 7 {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		if n |= int(b&0x7f) << shift; b < 0x80 {
			break
		}
		if shift >= 21 {
			return 0, nil, fmt.Errorf("the length of a packet has more than four bytes")
		}
	}
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a packet of %d bytes is too large", n)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	body = buf[:n]
	_, err = io.ReadFull(c.r, body)
	return kind, body, err
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func frame(kind byte, body []byte) []byte {
	b := []byte{kind}
	n := len(body)
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(append(b, byte(n)), body...)
}

func publish(id uint16, topic, payload string) []byte {
	b := binary.BigEndian.AppendUint16(field(nil, topic), id)
	return frame(kindPublishQ1, append(b, payload...))
}
