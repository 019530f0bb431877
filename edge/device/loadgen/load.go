package loadgen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
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
}

// Open connects all, one after the other. Close must be called.
func Open(l Load) (*Session, error) {
	if l.Window < 1 || l.Window > ringSize {
		return nil, fmt.Errorf("a window of %d is not between 1 and %d", l.Window, ringSize)
	}
	s := &Session{load: l}
	for i := range l.Conns {
		login := l.Login
		login.ClientID = fmt.Sprintf("%s%04d", l.Login.ClientID, i)
		c, err := Dial(l.Addr, login)
		if err != nil {
			s.Close()
			return nil, err
		}
		r, err := newRing(i, l.Message)
		if err != nil {
			c.Close()
			s.Close()
			return nil, err
		}
		s.conns = append(s.conns, &loader{Conn: c, ring: r, buf: make([]byte, 0, 4*ringSize)})
	}
	return s, nil
}

// Close ends all connections.
func (s *Session) Close() {
	for _, c := range s.conns {
		c.Close()
	}
}

// Run sends for a duration and waits for the acknowledgements; rate zero is as fast as the window allows. The end of ctx ends it early, without an error.
func (s *Session) Run(ctx context.Context, rate float64, d time.Duration) (*Result, error) {
	clock := time.Now()
	var last atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(s.conns))
	before := Usage()
	stop := make(chan struct{})
	for i, c := range s.conns {
		c.hist, c.sent, c.late = Histogram{}, 0, 0
		c.acked.Store(0)
		_ = c.SetDeadline(clock.Add(d + drainTimeout))
		wg.Go(func() {
			if rate > 0 {
				errs[i] = c.count(clock, stop)
			} else {
				errs[i] = c.flood(ctx, clock, s.load.Window, d)
			}
			storeMax(&last, int64(time.Since(clock)))
		})
	}
	var paceErr error
	if rate > 0 {
		paceErr = s.pace(ctx, clock, rate, d)
		s.settle(clock.Add(d + drainTimeout))
		close(stop)
		for _, c := range s.conns {
			_ = c.SetReadDeadline(time.Now()) // wakes the readers, which see that it is over
		}
	}
	wg.Wait()
	used := Usage() - before
	r := &Result{Took: time.Duration(last.Load())}
	for _, c := range s.conns {
		r.Sent, r.Acked, r.Late = r.Sent+c.sent, r.Acked+int(c.acked.Load()), r.Late+c.late
		r.Ack.Merge(&c.hist)
	}
	r.Cores = used.Seconds() / max(time.Since(clock).Seconds(), 1e-9)
	return r, errors.Join(append(errs, paceErr)...)
}

func storeMax(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}

// flood keeps the window full until the duration is over.
func (c *loader) flood(ctx context.Context, clock time.Time, window int, d time.Duration) error {
	if err := c.send(window, clock, time.Now()); err != nil {
		return err
	}
	for {
		n, err := c.acks(clock)
		if err != nil {
			return err
		}
		if time.Since(clock) < d && ctx.Err() == nil {
			err = c.send(n, clock, time.Now())
		} else if int(c.acked.Load()) >= c.sent {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send writes n messages, whose time starts now.
func (c *loader) send(n int, clock, now time.Time) error {
	for n > 0 {
		b := c.ring.take(n, max(now.Sub(clock), 1), now.UnixNano())
		if _, err := c.Write(b); err != nil {
			return err
		}
		n -= len(b) / c.ring.size
		c.sent += len(b) / c.ring.size
	}
	return nil
}

// acks waits for data and returns how many acknowledgements were in it. It skips all other packets.
func (c *loader) acks(clock time.Time) (int, error) {
	if n := c.r.Buffered(); n > 0 { // left over from connecting
		b, _ := c.r.Peek(n)
		c.buf = append(c.buf, b...)
		_, _ = c.r.Discard(n)
	}
	n, err := c.Read(c.buf[len(c.buf):cap(c.buf)])
	if err != nil {
		return 0, err
	}
	c.buf = c.buf[:len(c.buf)+n]
	now, found, b := time.Since(clock), 0, c.buf
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

// count counts acknowledgements until stop is closed.
func (c *loader) count(clock time.Time, stop chan struct{}) error {
	for {
		_, err := c.acks(clock)
		if err == nil {
			continue
		}
		select {
		case <-stop:
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				return nil
			}
		default:
		}
		return err
	}
}

// pace sends to all connections in turn so that the rate holds. A delay of this goroutine is made up for at once; the time of a message starts when it is
// due to be written, so that a write that blocks counts.
func (s *Session) pace(ctx context.Context, clock time.Time, rate float64, d time.Duration) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	total, turn, burst := 0, 0, max(s.load.Burst, 1)
	for {
		now := time.Since(clock)
		due := int(rate * min(now, d).Seconds())
		for ; total+burst <= due; total += burst {
			c := s.conns[turn]
			turn = (turn + 1) % len(s.conns)
			if c.sent-int(c.acked.Load())+burst > s.load.Window {
				c.late += burst
				continue
			}
			if err := c.send(burst, clock, clock.Add(now)); err != nil {
				return err
			}
		}
		if now >= d {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// settle waits until everything is acknowledged.
func (s *Session) settle(until time.Time) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(until) {
		open := 0
		for _, c := range s.conns {
			open += c.sent - int(c.acked.Load())
		}
		if open == 0 {
			return
		}
		<-tick.C
	}
}
