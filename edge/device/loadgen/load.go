package loadgen

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// drainTimeout is how long a run waits for the acknowledgements that are missing at its end.
const drainTimeout = 30 * time.Second

// Load is a run over MQTT.
type Load struct {
	Addr    string
	Login   Login // ClientID is a prefix: the number of the connection is appended
	Conns   int
	Message Message
	Window  int // unacknowledged messages of a connection, 1 to 1024; with a rate, the most that there may be
	Burst   int // with a rate: messages that a connection sends together; zero is one
}

// Result is what a run did.
type Result struct {
	Sent, Acked int
	Late        int           // with a rate: messages that were not sent in time because the window of a connection was full
	Took        time.Duration // from the first send to the last acknowledgement
	Ack         Histogram     // from the write of a message to its acknowledgement
	Cores       float64       // what this process used, in cores
}

// PerSecond returns the acknowledged messages per second.
func (r *Result) PerSecond() float64 { return float64(r.Acked) / max(r.Took.Seconds(), 1e-9) }

// Session is the open connections of a load, so that several runs can follow each other.
type Session struct {
	load  Load
	conns []*loader
}

// loader is one connection under load.
type loader struct {
	*Conn
	ring  *ring
	buf   []byte // what was read and not yet understood
	hist  Histogram
	sent  int
	acked atomic.Int64
	late  int
	wire  // what a driver needs
}

// Open connects all, one after the other. Close must be called.
func Open(l Load) (*Session, error) {
	if l.Window < 1 || l.Window > ringSize {
		return nil, fmt.Errorf("a window of %d is not between 1 and %d", l.Window, ringSize)
	}
	if l.Conns < 1 {
		return nil, fmt.Errorf("a load needs at least one connection")
	}
	s := &Session{load: l}
	for i := range l.Conns {
		c, err := l.open(i)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.conns = append(s.conns, c)
	}
	return s, nil
}

// Close ends all connections.
func (s *Session) Close() {
	for _, c := range s.conns {
		c.Close()
	}
}

func (l *Load) open(i int) (*loader, error) {
	r, err := newRing(i, l.Message)
	if err != nil {
		return nil, err
	}
	login := l.Login
	login.ClientID = fmt.Sprintf("%s%04d", l.Login.ClientID, i)
	conn, err := Dial(l.Addr, login)
	if err != nil {
		return nil, err
	}
	c := &loader{Conn: conn, ring: r, buf: make([]byte, 0, 4*ringSize)}
	if err := c.attach(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Run sends for a duration and waits for the acknowledgements; rate zero is as fast as the window allows. The end of ctx ends it early, without an error.
func (s *Session) Run(ctx context.Context, rate float64, d time.Duration) (*Result, error) {
	for _, c := range s.conns {
		c.hist, c.sent, c.late = Histogram{}, 0, 0
		c.acked.Store(0)
	}
	before, clock := Usage(), time.Now()
	last, err := s.drive(ctx, clock, rate, d)
	r := &Result{Took: last, Cores: (Usage() - before).Seconds() / max(time.Since(clock).Seconds(), 1e-9)}
	for _, c := range s.conns {
		r.Sent, r.Acked, r.Late = r.Sent+c.sent, r.Acked+int(c.acked.Load()), r.Late+c.late
		r.Ack.Merge(&c.hist)
	}
	return r, err
}

// understand counts the acknowledgements in what was read, and skips other packets.
func (c *loader) understand(clock time.Time) (found int, err error) {
	now, b := time.Since(clock), c.buf
	for len(b) >= 2 {
		end := 2 + int(b[1])
		if b[1] >= 0x80 {
			return found, fmt.Errorf("a packet of kind %x is not expected here", b[0])
		}
		if len(b) < end {
			break
		}
		if b[0] == kindPuback && end >= 4 {
			at, ok := c.ring.acked(binary.BigEndian.Uint16(b[2:]))
			if !ok {
				return found, fmt.Errorf("acknowledgement %x was not waited for", b[2:4])
			}
			c.hist.Add(now - at)
			found++
		}
		b = b[end:]
	}
	c.buf = c.buf[:copy(c.buf, b)]
	c.acked.Add(int64(found))
	return found, nil
}

// pacer says when how many messages are due at a rate. What was not sent in time is made up for at once.
type pacer struct {
	rate  float64
	burst int
	total int
	turn  int
}

// due sends what is due to the connections in turn. The time of a message starts now, so that a write that blocks counts.
func (p *pacer) due(s *Session, now, d time.Duration, send func(c *loader, n int) error) error {
	due := int(p.rate * min(now, d).Seconds())
	for ; p.total+p.burst <= due; p.total += p.burst {
		c := s.conns[p.turn]
		p.turn = (p.turn + 1) % len(s.conns)
		if c.sent-int(c.acked.Load())+p.burst > s.load.Window {
			c.late += p.burst
			continue
		}
		if err := send(c, p.burst); err != nil {
			return err
		}
	}
	return nil
}

// missing says what was not acknowledged in time.
func (s *Session) missing() error {
	open := 0
	for _, c := range s.conns {
		open += c.sent - int(c.acked.Load())
	}
	return fmt.Errorf("%d messages were not acknowledged within %s", open, drainTimeout)
}
