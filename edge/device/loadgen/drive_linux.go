package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"syscall"
	"time"
)

// wire is the socket itself: one thread serves all connections, without the runtime's poller between them and the kernel, which halves what a message costs.
type wire struct {
	fd      int
	waiting []byte // what the socket did not take
}

// attach takes the socket away from the runtime.
func (c *loader) attach() error {
	if c.r.Buffered() > 0 {
		return errors.New("the server sent something before anything was published")
	}
	f, err := c.Conn.Conn.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	defer f.Close()
	if c.fd, err = syscall.Dup(int(f.Fd())); err != nil {
		return err
	}
	c.Conn.Close()
	return syscall.SetNonblock(c.fd, true)
}

// Close ends the connection.
func (c *loader) Close() error { return syscall.Close(c.fd) }

// driver is one run.
type driver struct {
	s       *Session
	clock   time.Time
	ep      int
	open    int       // messages that are not acknowledged
	blocked []*loader // with something waiting
	last    time.Duration
}

// drive runs the load and returns when the last acknowledgement came.
func (s *Session) drive(ctx context.Context, clock time.Time, rate float64, d time.Duration) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(ep)
	v := &driver{s: s, clock: clock, ep: ep}
	for i, c := range s.conns {
		if err := syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, c.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}); err != nil {
			return 0, err
		}
		if rate == 0 {
			if err := v.send(c, s.load.Window); err != nil {
				return 0, err
			}
		}
	}
	err = v.run(ctx, pacer{rate: rate, burst: max(s.load.Burst, 1)}, d)
	return v.last, err
}

func (v *driver) run(ctx context.Context, p pacer, d time.Duration) error {
	events := make([]syscall.EpollEvent, 128)
	for {
		now := time.Since(v.clock)
		sending := now < d && ctx.Err() == nil
		wait := 100
		if p.rate > 0 {
			if err := p.due(v.s, now, d, v.send); err != nil {
				return err
			}
			wait = 1
		}
		switch {
		case !sending && v.open == 0:
			return nil
		case now > d+drainTimeout:
			return v.s.missing()
		case len(v.blocked) > 0:
			wait = 1
			if err := v.unblock(); err != nil {
				return err
			}
		}
		n, err := syscall.EpollWait(v.ep, events, wait)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if err := v.receive(v.s.conns[e.Fd], p.rate == 0 && sending); err != nil {
				return err
			}
		}
	}
}

// receive reads acknowledgements and sends as many messages, if refill is set.
func (v *driver) receive(c *loader, refill bool) error {
	n, err := syscall.Read(c.fd, c.buf[len(c.buf):cap(c.buf)])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return nil
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("the server ended a connection: %w", io.ErrUnexpectedEOF)
	}
	c.buf = c.buf[:len(c.buf)+n]
	found, err := c.understand(v.clock)
	if err != nil || found == 0 {
		return err
	}
	v.open -= found
	v.last = time.Since(v.clock)
	if refill {
		return v.send(c, found)
	}
	return nil
}

// send writes n messages, or keeps what the socket does not take.
func (v *driver) send(c *loader, n int) error {
	now := time.Now()
	for n > 0 {
		b := c.ring.take(n, max(now.Sub(v.clock), 1), now.UnixNano())
		k := len(b) / c.ring.size
		n, c.sent, v.open = n-k, c.sent+k, v.open+k
		if len(c.waiting) > 0 {
			c.waiting = append(c.waiting, b...)
			continue
		}
		rest, err := c.push(b)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			c.waiting = append(c.waiting[:0], rest...)
			v.blocked = append(v.blocked, c)
		}
	}
	return nil
}

// push writes and returns what the socket did not take.
func (c *loader) push(b []byte) ([]byte, error) {
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return b, nil
		case err != nil:
			return nil, err
		default:
			b = b[n:]
		}
	}
	return nil, nil
}

func (v *driver) unblock() error {
	still := v.blocked[:0]
	for _, c := range v.blocked {
		rest, err := c.push(c.waiting)
		if err != nil {
			return err
		}
		if c.waiting = c.waiting[:copy(c.waiting, rest)]; len(rest) > 0 {
			still = append(still, c)
		}
	}
	v.blocked = still
	return nil
}
