package mqtt

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// inflow holds the inbound messages of a connection that are not acknowledged yet, in order of arrival. A message is
// judged by the handler, then settled (routed, stored), then ready; settling and acknowledging happen in order.
type inflow struct {
	mu        sync.Mutex // Guards the fields below.
	room      sync.Cond  // Signalled when messages leave, or on abandon.
	list      []*inbound // Bounded by Config.ReceiveMaximum and MaxPendingBytes: the reader waits.
	bytes     int
	settled   int  // The first so many of list are settled or on their way.
	draining  bool // One goroutine moves messages on.
	abandoned bool
}

// inbound is one message in progress.
type inbound struct {
	c       *conn
	msg     *Message // Nil for the repetition of a QoS 2 message that is known.
	qos     byte
	pid     uint16
	judged  atomic.Bool
	verdict Verdict
	decided bool // Guarded by inflow.mu, as the next.
	ready   bool
}

// accept hands a message to the policy. pid is 0 for QoS 0 and wills.
func (c *conn) accept(m *Message, qos byte, pid uint16) {
	p := &inbound{c: c, msg: m, qos: qos, pid: pid}
	c.in.mu.Lock()
	c.in.list = append(c.in.list, p)
	c.in.bytes += m.Size()
	c.in.mu.Unlock()
	c.handler.Publish(m, p.done)
}

// repeat answers a QoS 2 message that was received before, in its turn.
func (c *conn) repeat(pid uint16) {
	p := &inbound{c: c, qos: 2, pid: pid, decided: true}
	c.in.mu.Lock()
	c.in.list = append(c.in.list, p)
	c.in.mu.Unlock()
	c.advance()
}

func (p *inbound) done(v Verdict) {
	if p.judged.Swap(true) {
		return
	}
	p.c.in.mu.Lock()
	p.verdict, p.decided = v, true
	p.c.in.mu.Unlock()
	p.c.advance()
}

// advance moves messages on as far as they can go. Whoever finds it running leaves the work to the one who runs it.
func (c *conn) advance() {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.draining {
		return
	}
	in.draining = true
	for {
		if p := in.nextDecided(); p != nil {
			in.mu.Unlock()
			c.settle(p)
			in.mu.Lock()
		} else if ready := in.takeReady(); len(ready) > 0 {
			last := len(in.list) == 0
			in.mu.Unlock()
			c.acknowledge(ready, last)
			in.mu.Lock()
			in.room.Broadcast()
		} else {
			break
		}
	}
	in.draining = false
	in.room.Broadcast()
}

func (in *inflow) nextDecided() *inbound {
	if in.settled == len(in.list) || !in.list[in.settled].decided {
		return nil
	}
	in.settled++
	return in.list[in.settled-1]
}

func (in *inflow) takeReady() []*inbound {
	n := 0
	for n < in.settled && in.list[n].ready {
		if m := in.list[n].msg; m != nil {
			in.bytes -= m.Size()
		}
		n++
	}
	ready := in.list[:n:n]
	in.list = in.list[n:]
	in.settled -= n
	if len(in.list) == 0 {
		in.list = nil
	}
	return ready
}

// settle does what the verdict asks for and marks the message ready when that is durable.
func (c *conn) settle(p *inbound) {
	var ops []session.Op
	ok := !p.verdict.Reason.Failed() && p.msg != nil
	if ok && p.qos == 2 && c.sess.stored {
		ops = append(ops, session.Op{Kind: session.PutReceived, ClientID: c.sess.id, PacketID: p.pid})
	}
	switch {
	case ok && p.verdict.Route:
		c.realm.route(c.sess, p.msg, ops, func(err error) { c.settled(p, err) })
	case len(ops) > 0:
		c.realm.submit(&job{ops: ops, durable: true, then: func(err error) { c.settled(p, err) }})
	default:
		c.settled(p, nil)
	}
}

func (c *conn) settled(p *inbound, err error) {
	if err == nil && p.verdict.Route && !p.verdict.Reason.Failed() && p.msg != nil && c.srv.cfg.Forward != nil {
		c.srv.guard("forward", func() { c.srv.cfg.Forward(c.realm.name, p.msg) })
	}
	c.in.mu.Lock()
	switch err {
	case nil:
	case errRetainedFull, errNoRoom:
		p.verdict.Reason = packet.QuotaExceeded
	default:
		p.verdict.Reason = packet.ImplementationError
	}
	p.ready = true
	c.in.mu.Unlock()
	c.advance()
}

// acknowledge answers messages in order. While others are in progress, or about to be, the writer collects the answers for one write.
func (c *conn) acknowledge(ready []*inbound, last bool) {
	for _, p := range ready {
		code := p.verdict.Reason
		switch {
		case p.qos == 0 && code.Failed():
			c.srv.met.drop(dropRejected)
		case p.qos == 0:
		case code.Failed() && c.version != packet.V5:
			c.kill(ByPolicy, code, nil)
		case p.qos == 1:
			c.queueAck(packet.PUBACK, p.pid, code.Ack())
		default:
			c.pubrec(p.pid, code.Ack())
		}
		if p.qos > 0 && !code.Failed() {
			c.srv.met.acknowledged.Inc()
		}
	}
	if last && !c.more.Load() {
		c.flush()
	} else {
		c.signal()
	}
}

func (c *conn) pubrec(pid uint16, code Reason) {
	if !code.Failed() {
		c.sess.mu.Lock()
		c.sess.noteReceived(pid)
		c.sess.mu.Unlock()
	}
	c.queueAck(packet.PUBREC, pid, code)
}

// waitRoom blocks the reader while too much is in progress. It returns false if a v5 client broke its receive maximum.
func (in *inflow) waitRoom(c *conn, qos byte, size int) bool {
	cfg := &c.srv.cfg
	in.mu.Lock()
	defer in.mu.Unlock()
	if qos > 0 && c.version == packet.V5 && in.acknowledgeable() >= int(cfg.ReceiveMaximum) {
		return false
	}
	for !c.killed.Load() && len(in.list) > 0 &&
		(len(in.list) >= int(cfg.ReceiveMaximum) || in.bytes+size > cfg.MaxPendingBytes) {
		in.room.Wait()
	}
	return true
}

func (in *inflow) acknowledgeable() (n int) {
	if len(in.list) == 0 {
		return 0
	}
	for _, p := range in.list {
		if p.qos > 0 {
			n++
		}
	}
	return n
}

// holds tells whether a QoS 2 message with this identifier is in progress.
func (in *inflow) holds(pid uint16) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, p := range in.list {
		if p.qos == 2 && p.pid == pid {
			return true
		}
	}
	return false
}

// idle tells whether nothing is in progress.
func (in *inflow) idle() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.list) == 0 && !in.draining
}

// waitIdle waits until nothing is in progress, at most d.
func (in *inflow) waitIdle(d time.Duration) {
	if in.idle() {
		return
	}
	defer time.AfterFunc(d, in.abandon).Stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	for (len(in.list) > 0 || in.draining) && !in.abandoned {
		in.room.Wait()
	}
}

func (in *inflow) abandon() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.abandoned = true
	in.room.Broadcast()
}

func (in *inflow) wakeAll() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.room.Broadcast()
}
