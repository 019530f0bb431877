package mqtt

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// conn is one network connection. Fields without a guard are set before the goroutines that use them start.
type conn struct {
	srv       *Server
	nc        net.Conn
	rd        *packet.Reader
	id        string
	version   packet.Version
	clean     bool
	expiry    uint32 // Granted session expiry in seconds.
	clientMax uint32 // Largest packet the client takes; 0 for any.
	window    int    // Outbound QoS>0 messages in flight.
	keepAlive time.Duration
	will      *Message
	willDelay uint32
	handler   Handler
	owner     string // Whose session it is.
	realm     *realm
	sess      *sess

	aliasOut  map[string]uint16 // Outbound topic aliases, made with the first. Writing goroutine only.
	aliasMax  int               // How many the client takes, at most ours.
	aliases   []string          // Inbound topic aliases. Reading goroutine only.
	lastTopic string            // Reading goroutine only: spares an allocation per message of a device that has one topic.

	live   atomic.Pointer[sess] // Set while the session takes messages for this connection.
	killed atomic.Bool
	more   atomic.Bool   // The reader has the beginning of another packet at least: it will not rest before that is handled.
	fresh  bool          // Reading goroutine only, as the next two: a packet was read since the deadline was looked at.
	begun  bool          // A packet has begun, and its deadline was set.
	silent time.Time     // The deadline, zero for none.
	gone   chan struct{} // Closed when the session is released.

	whyMu sync.Mutex // Guards why.
	why   CloseReason

	in  inflow
	out outflow
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, gone: make(chan struct{})}
	c.rd = s.buffers.NewReader((*deadlineReader)(c), s.cfg.MaxConnectBytes)
	c.begun = true // CONNECT has its own deadline.
	c.in.room.L = &c.in.mu
	c.out.room.L = &c.out.mu
	c.out.wake = make(chan struct{}, 1)
	c.out.done = make(chan struct{})
	return c
}

// ClientID implements Conn.
func (c *conn) ClientID() string { return c.id }

// Version implements Conn.
func (c *conn) Version() packet.Version { return c.version }

// RemoteAddr implements Conn.
func (c *conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Close implements Conn.
func (c *conn) Close(reason Reason) { c.kill(ByPolicy, reason, nil) }

// SubscribedTo implements Conn.
func (c *conn) SubscribedTo(topic string) (qos byte, ok bool) {
	if s := c.live.Load(); s != nil {
		return s.subscribedTo(topic)
	}
	return 0, false
}

// Deliver implements Conn.
func (c *conn) Deliver(topic string, payload []byte, qos byte, acked func(bool)) bool {
	s := c.live.Load()
	return s != nil && s.deliver(&Message{Topic: topic, Payload: payload, QoS: qos}, acked)
}

var errKilled = errors.New("connection is being closed")

// kill makes the connection end. The first call's reason stands. It does not wait and may be called from anywhere.
func (c *conn) kill(cause Cause, reason Reason, err error) {
	c.whyMu.Lock()
	if c.why.Cause == 0 {
		c.why = CloseReason{Cause: cause, Reason: reason, Err: err}
	}
	c.whyMu.Unlock()
	// The order matters, see deadlineReader.Read.
	c.killed.Store(true)
	c.nc.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // A closed connection needs no deadline.
	c.in.wakeAll()
	c.out.wakeAll()
}

// abandon cuts off a connection without waiting for anything.
func (c *conn) abandon() {
	c.kill(ByShutdown, packet.ServerShuttingDown, nil)
	c.nc.Close()
	c.in.abandon()
}

func (c *conn) reason() CloseReason {
	c.whyMu.Lock()
	defer c.whyMu.Unlock()
	return c.why
}

// deadlineReader sets the keep alive deadline once per packet, not per byte: a client that trickles bytes must still
// finish its packet in time, and within Config.PacketTimeout however long its keep alive is.
type deadlineReader conn

// Read implements io.Reader.
func (r *deadlineReader) Read(b []byte) (int, error) {
	c := (*conn)(r)
	if c.fresh {
		c.fresh, c.begun = false, false
		if err := r.extend(); err != nil {
			return 0, err
		}
	} else if !c.begun {
		c.begun = true
		if at := time.Now().Add(c.srv.cfg.PacketTimeout); c.silent.IsZero() || at.Before(c.silent) {
			c.silent = at
			if err := c.nc.SetReadDeadline(at); err != nil {
				return 0, err
			}
		}
	}
	// If kill came before this line we see it; if it comes after, its deadline is the later one and ends the Read.
	if c.killed.Load() {
		return 0, errKilled
	}
	return c.nc.Read(b)
}

// extend moves the deadline of the keep alive on. It is a sixteenth late, so that it need not be moved for every packet of a busy connection.
func (r *deadlineReader) extend() error {
	c := (*conn)(r)
	if c.keepAlive <= 0 {
		if c.silent.IsZero() {
			return nil
		}
		c.silent = time.Time{}
		return c.nc.SetReadDeadline(c.silent)
	}
	at := time.Now().Add(c.keepAlive)
	if !at.After(c.silent) {
		return nil
	}
	c.silent = at.Add(c.keepAlive / 16)
	return c.nc.SetReadDeadline(c.silent)
}

// serve runs the connection from the first byte to the end.
func (c *conn) serve(ctx context.Context) {
	ok := false
	if !c.srv.guard("connect", func() { ok = c.handshake(ctx) }) || !ok {
		c.giveUp()
		return
	}
	c.srv.met.accepted.Inc()
	c.out.raw = rawOf(c.nc)
	go c.writeLoop()
	if !c.srv.guard("read loop", c.readLoop) {
		c.kill(ByFault, packet.UnspecifiedError, nil)
	}
	c.teardown()
}

// giveUp ends a connection that was not accepted, also in the rare case that it holds a session already.
func (c *conn) giveUp() {
	c.srv.met.refused.WithLabelValues("connect").Inc()
	if c.handler != nil {
		why := c.reason()
		if why.Cause == 0 {
			why.Cause = ByFault
		}
		c.srv.guard("closed", func() { c.handler.Closed(why) })
	}
	if c.sess != nil {
		c.live.Store(nil)
		undelivered, shared := c.sess.deactivate()
		c.realm.reassign(c.sess, shared)
		for _, acked := range undelivered {
			c.srv.guard("acked", func() { acked(false) })
		}
		c.realm.release(c.sess, c, nil)
	}
	close(c.gone)
}

// teardown runs on the reading goroutine when it has nothing more to read.
func (c *conn) teardown() {
	why := c.reason()
	if why.Cause == ByNetwork || why.Cause == BySilence {
		why.Settled = c.in.idle() && settled(c.nc)
		c.nc.Close()
	}
	c.in.waitIdle(c.srv.cfg.DrainTimeout)
	c.finish(why)
	<-c.out.done
	c.nc.Close()
	c.live.Store(nil)
	undelivered, shared := c.sess.deactivate()
	c.realm.reassign(c.sess, shared)
	wait := c.lastWill(why)
	for _, acked := range undelivered {
		c.srv.guard("acked", func() { acked(false) })
	}
	c.srv.guard("closed", func() { c.handler.Closed(why) })
	c.srv.met.closed.WithLabelValues(why.Cause.String()).Inc()
	c.realm.release(c.sess, c, wait)
	close(c.gone)
}

// classify turns the error that ended the reading into the reason of the end.
func (c *conn) classify(err error) {
	var bad *packet.Error
	var timeout net.Error
	switch {
	case errors.As(err, &bad):
		c.kill(ByProtocol, bad.Code, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		c.kill(BySilence, packet.KeepAliveTimeout, err)
	case errors.Is(err, io.EOF):
		c.kill(ByNetwork, packet.UnspecifiedError, nil)
	default:
		c.kill(ByNetwork, packet.UnspecifiedError, err)
	}
}
