//go:build !linux

package loadgen

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is empty: here the runtime's connections are used, with a goroutine for each.
type wire struct{}

func (c *loader) attach() error { return nil }

// drive runs the load and returns when the last acknowledgement came.
func (s *Session) drive(ctx context.Context, clock time.Time, rate float64, d time.Duration) (time.Duration, error) {
	var last atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(s.conns), len(s.conns)+1)
	stop := make(chan struct{})
	for i, c := range s.conns {
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
		close(stop)
		for _, c := range s.conns {
			_ = c.SetReadDeadline(time.Now()) // wakes the readers, which see that it is over
		}
	}
	wg.Wait()
	return time.Duration(last.Load()), errors.Join(append(errs, paceErr)...)
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
	err := c.send(window, clock)
	for err == nil {
		var n int
		if n, err = c.acks(clock); err != nil {
			return err
		}
		if time.Since(clock) < d && ctx.Err() == nil {
			err = c.send(n, clock)
		} else if int(c.acked.Load()) >= c.sent {
			return nil
		}
	}
	return err
}

func (c *loader) send(n int, clock time.Time) error {
	now := time.Now()
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

// acks waits for data and returns how many acknowledgements were in it.
func (c *loader) acks(clock time.Time) (int, error) {
	n, err := c.r.Read(c.buf[len(c.buf):cap(c.buf)])
	if err != nil {
		return 0, err
	}
	c.buf = c.buf[:len(c.buf)+n]
	return c.understand(clock)
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

// pace sends at a rate and waits until everything is acknowledged.
func (s *Session) pace(ctx context.Context, clock time.Time, rate float64, d time.Duration) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	p := pacer{rate: rate, burst: max(s.load.Burst, 1)}
	for now := time.Duration(0); now < d && ctx.Err() == nil; now = time.Since(clock) {
		if err := p.due(s, now, d, func(c *loader, n int) error { return c.send(n, clock) }); err != nil {
			return err
		}
		<-tick.C
	}
	for time.Since(clock) < d+drainTimeout {
		open := 0
		for _, c := range s.conns {
			open += c.sent - int(c.acked.Load())
		}
		if open == 0 {
			return nil
		}
		<-tick.C
	}
	return s.missing()
}
