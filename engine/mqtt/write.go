package mqtt

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// flushTime bounds the last write to a client whose connection is closed by us.
const flushTime = 2 * time.Second

// controlBytes is the bound on encoded answers (acknowledgements, SUBACK, ...) that wait for a client. The reader stops
// at it, so nothing is dropped.
const controlBytes = 32 << 10

// owedAnswers is the bound on answers that wait for the session store. The reader stops at it too.
const owedAnswers = 1024

// writeBytes is how much goes into one write.
const writeBytes = 32 << 10

// outflow is the writing half of a connection.
type outflow struct {
	wake chan struct{} // One token: there may be work.
	done chan struct{} // Closed when the writer has ended.

	writing sync.Mutex      // Held by who writes: the writing goroutine, or flush.
	raw     syscall.RawConn // For flush; nil where bytes must not bypass the connection, as with TLS.
	until   time.Time       // Write deadline. Writing goroutine only.

	mu    sync.Mutex // Guards the fields below.
	room  sync.Cond
	ctrl  []byte // Encoded control packets, in order. Bounded by controlBytes.
	owed  int    // Answers that wait for a commit. Bounded by owedAnswers.
	final bool   // Nothing is added any more.
}

// signal wakes the writer. It never blocks.
func (c *conn) signal() {
	select {
	case c.out.wake <- struct{}{}:
	default:
	}
}

// control queues a control packet.
func (c *conn) control(p packet.Packet) {
	c.out.mu.Lock()
	if !c.out.final {
		c.out.ctrl = p.AppendTo(c.out.ctrl, c.version)
	}
	c.out.mu.Unlock()
	c.signal()
}

// ack queues an acknowledgement.
func (c *conn) ack(t packet.Type, id uint16, code Reason) {
	c.queueAck(t, id, code)
	c.signal()
}

// queueAck is ack for who signals or flushes afterwards.
func (c *conn) queueAck(t packet.Type, id uint16, code Reason) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.out.final {
		c.out.ctrl = packet.AppendAck(c.out.ctrl, c.version, t, id, code)
	}
}

// flush writes the queued answers on the goroutine that queued them, if the writer rests and the socket takes them at once: waking the
// writer for four bytes costs as much as writing them. What does not go is left to the writer. It never blocks.
func (c *conn) flush() {
	if c.out.raw == nil || !c.out.writing.TryLock() {
		c.signal()
		return
	}
	c.out.mu.Lock()
	n := 0
	if !c.out.final && len(c.out.ctrl) > 0 {
		n = tryWrite(c.out.raw, c.out.ctrl)
		c.srv.met.sentB.Add(float64(n))
		c.out.ctrl = c.out.ctrl[:copy(c.out.ctrl, c.out.ctrl[n:])]
		c.out.room.Broadcast()
	}
	left := len(c.out.ctrl) > 0
	c.out.mu.Unlock()
	c.out.writing.Unlock()
	if left {
		c.signal()
	}
}

// waitRoom blocks the reader while the client does not take its answers. False when the connection ends.
func (o *outflow) waitRoom(c *conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (len(o.ctrl) >= controlBytes || o.owed >= owedAnswers) && !o.final && !c.killed.Load() {
		o.room.Wait()
	}
	return !c.killed.Load()
}

// owe counts answers that wait for a commit.
func (c *conn) owe(n int) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.owed += n
	c.out.room.Broadcast()
}

func (o *outflow) wakeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.room.Broadcast()
}

// finish tells the writer to write what is queued, and DISCONNECT where the protocol has one from the server, and end.
func (c *conn) finish(why CloseReason) {
	c.out.mu.Lock()
	if c.version == packet.V5 && why.Cause != ByClient && why.Cause != ByNetwork && why.Reason.Failed() {
		p := c.farewell(why)
		c.out.ctrl = p.AppendTo(c.out.ctrl, c.version)
	}
	c.out.final = true
	c.out.mu.Unlock()
	c.nc.SetWriteDeadline(time.Now().Add(flushTime)) //nolint:errcheck // The write fails on its own.
	c.signal()
}

// farewell says why, in words only if the client takes a packet of that size (MQTT-3.14.2-3).
func (c *conn) farewell(why CloseReason) packet.Disconnect {
	p := packet.Disconnect{Code: why.Reason}
	var bad *packet.Error
	if errors.As(why.Err, &bad) {
		p.Props.ReasonString = bad.Text
		p.Props.Mark(packet.PropReasonString)
	}
	if !c.fits(&p) {
		p.Props.Reset()
	}
	return p
}

// batch is what one write carries.
type batch struct {
	buf     []byte
	marks   []session.Op // Must be durable before the write when durable is set.
	durable bool
	drops   []session.Op
	after   []func(bool) // Called with true after the write.
	failed  []func(bool) // Called with false.
	sent    int
	worked  bool // The queue changed although there may be nothing to write: look again before sleeping.
}

func (b *batch) reset() {
	clear(b.after)
	clear(b.failed)
	// Operations were handed over to the commit log.
	*b = batch{buf: b.buf[:0], after: b.after[:0], failed: b.failed[:0]}
}

func (c *conn) writeLoop() {
	defer close(c.out.done)
	if !c.srv.guard("write loop", c.writeAll) {
		c.kill(ByFault, packet.UnspecifiedError, nil)
	}
	// Whatever is queued now is not written: let nobody wait for room.
	c.out.mu.Lock()
	c.out.final, c.out.ctrl = true, nil
	c.out.room.Broadcast()
	c.out.mu.Unlock()
}

func (c *conn) writeAll() {
	for {
		b := c.srv.batches.Get().(*batch)
		c.out.writing.Lock()
		final, err := c.gather(b)
		idle := len(b.buf) == 0 && !b.worked
		if err != nil {
			c.out.writing.Unlock()
			c.kill(ByFault, packet.ImplementationError, err)
			return
		}
		err = c.write(b)
		c.out.writing.Unlock()
		b.reset()
		if cap(b.buf) <= 4*writeBytes {
			c.srv.batches.Put(b)
		}
		if err != nil {
			c.kill(ByNetwork, packet.UnspecifiedError, err)
			return
		}
		if final {
			return
		}
		if idle {
			<-c.out.wake
		}
	}
}

// gather collects what can be written now. Messages are taken before control packets and stand behind them, so that a
// SUBACK is never overtaken by a message that its subscription caused.
func (c *conn) gather(b *batch) (final bool, err error) {
	c.out.mu.Lock()
	final = c.out.final
	c.out.mu.Unlock()
	if !final {
		if b.worked, err = c.sess.refill(); err != nil {
			return false, err
		}
		c.sess.take(c, b)
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	final = final && c.out.final
	if n := len(c.out.ctrl); n > 0 {
		body := len(b.buf)
		b.buf = append(b.buf, c.out.ctrl...)
		if body > 0 {
			b.buf = append(b.buf, b.buf[:body]...)
			copy(b.buf, b.buf[body:])
			b.buf = b.buf[:body+n]
		}
		if c.out.ctrl = c.out.ctrl[:0]; cap(c.out.ctrl) > 1024 {
			c.out.ctrl = nil
		}
		c.out.room.Broadcast()
	}
	return final, nil
}

func (c *conn) write(b *batch) error {
	if err := c.record(b); err != nil {
		b.failed, b.after = append(b.failed, b.after...), nil
		c.settleCallbacks(b)
		return err
	}
	if len(b.buf) > 0 {
		limit := c.srv.cfg.WriteTimeout
		if c.killed.Load() {
			limit = flushTime
		}
		c.limitWrite(limit)
		n, err := c.nc.Write(b.buf)
		c.srv.met.sentB.Add(float64(n))
		if err != nil {
			b.failed = append(b.failed, b.after...)
			b.after = nil
		}
		defer c.settleCallbacks(b)
		c.srv.met.sent.Add(float64(b.sent))
		return err
	}
	c.settleCallbacks(b)
	return nil
}

// limitWrite sets the deadline of a write. One that is right to a tenth stays: moving it for every short write costs more than the write.
func (c *conn) limitWrite(limit time.Duration) {
	until := time.Now().Add(limit)
	if d := c.out.until.Sub(until); d < 0 && d > -limit/10 {
		return
	}
	c.out.until = until
	c.nc.SetWriteDeadline(until) //nolint:errcheck // The write fails on its own.
}

func (c *conn) settleCallbacks(b *batch) {
	for _, f := range b.after {
		c.srv.guard("acked", func() { f(true) })
	}
	for _, f := range b.failed {
		c.srv.guard("acked", func() { f(false) })
	}
}

// record stores packet identifiers of what is about to be sent. For QoS 2 that comes first, since sending the message
// again under another identifier would deliver it twice; for QoS 1 it is enough that it comes some time.
func (c *conn) record(b *batch) error {
	if len(b.drops) > 0 {
		c.realm.submit(&job{ops: b.drops})
	}
	if len(b.marks) == 0 {
		return nil
	}
	if b.durable {
		return c.realm.submitWait(b.marks, true)
	}
	c.realm.submit(&job{ops: b.marks})
	return nil
}
