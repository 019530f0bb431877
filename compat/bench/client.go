package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// client is the least of an MQTT 3.1.1 client that can publish with QoS 1 and count acknowledgements.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func frame(kind byte, body []byte) []byte {
	b := []byte{kind}
	for n := len(body); ; {
		c := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b = append(b, c|0x80)
			continue
		}
		return append(append(b, c), body...)
	}
}

func dial(addr, id string) (*client, error) { return dialAs(addr, id, "main/admin", password) }

func dialAs(addr, id, user, pw string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReaderSize(conn, 4096)}
	body := field(nil, "MQTT")
	body = append(body, 4, 0xC2, 0, 0) // level 4; user, password, clean session; no keep alive
	body = field(field(field(body, id), user), pw)
	if _, err := conn.Write(frame(0x10, body)); err != nil {
		return nil, err
	}
	kind, reply, err := c.read()
	if err != nil || kind != 0x20 || reply[1] != 0 {
		return nil, fmt.Errorf("connect %s: %v %v", id, reply, err)
	}
	return c, nil
}

func (c *client) read() (kind byte, body []byte, err error) {
	if kind, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, shift := 0, 0
	for {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		n |= int(b&0x7f) << shift
		if shift += 7; b < 0x80 {
			break
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return kind & 0xF0, body, err
}

// event sends one with QoS 1 and waits for its acknowledgement.
func (c *client) event() error {
	body := append(field(nil, "s/us"), 0, 9)
	if _, err := c.conn.Write(frame(0x32, append(body, "400,herd,back"...))); err != nil {
		return err
	}
	for {
		kind, body, err := c.read()
		if err != nil || kind == 0x40 && len(body) == 2 && body[1] == 9 {
			return err
		}
	}
}

func (c *client) subscribe(filter string) error {
	if _, err := c.conn.Write(frame(0x82, append(field([]byte{0, 1}, filter), 1))); err != nil {
		return err
	}
	_, _, err := c.read()
	return err
}

func publish(id uint16, topic, payload string) []byte {
	b := field(nil, topic)
	b = binary.BigEndian.AppendUint16(b, id)
	return frame(0x32, append(b, payload...))
}

// flood publishes with a window of unacknowledged messages until the deadline and returns the time of each acknowledgement.
func (c *client) flood(window int, deadline time.Time, payload func(n int) string) ([]time.Duration, error) {
	sent := make(chan time.Time, window)
	var took []time.Duration
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		for at := range sent {
			for {
				kind, _, err := c.read()
				if err != nil {
					readErr = err
					return
				}
				if kind == 0x40 {
					break
				}
			}
			took = append(took, time.Since(at))
		}
	})
	var err error
	for n := 0; err == nil && time.Now().Before(deadline); n++ {
		at := time.Now()
		select {
		case sent <- at:
		case <-time.After(10 * time.Second):
			err = fmt.Errorf("no acknowledgement for 10 s")
			continue
		}
		_, err = c.conn.Write(publish(uint16(n%65535)+1, "s/us", payload(n)))
	}
	close(sent)
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	wg.Wait()
	_ = c.conn.SetReadDeadline(time.Time{})
	if err == nil {
		err = readErr
	}
	return took, err
}

func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(float64(len(d))*p), len(d)-1)]
}
