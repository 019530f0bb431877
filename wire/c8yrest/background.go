package c8yrest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// answerAfter is how long a request with much to do is waited for. c8y: half a second, then it goes on after the answer.
	answerAfter = 500 * time.Millisecond
	// maxBackground bounds what goes on after its answer; for more, the client waits.
	maxBackground = 16
)

// background is work that goes on after its request was answered. It is safe for concurrent use.
type background struct {
	ctx   context.Context
	stop  context.CancelFunc
	slots *semaphore.Weighted
	wg    sync.WaitGroup
	fail  func(err error)
}

// newBackground returns the place for such work. fail is told of what went wrong when nobody waited any more.
func newBackground(fail func(error)) *background {
	b := &background{slots: semaphore.NewWeighted(maxBackground), fail: fail}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// run does work and waits for it at most as long as patience says: done is false if it goes on. Then neither the end of ctx ends it, only close.
// If there is too much of it already, it is waited for to the end.
func (b *background) run(ctx context.Context, patience time.Duration, work func(context.Context) error) (done bool, err error) {
	if b.ctx.Err() != nil || !b.slots.TryAcquire(1) {
		return true, work(ctx)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(b.ctx, cancel)
	result := make(chan error) // unbuffered: it is taken by who waits, or by nobody
	left := make(chan struct{})
	b.wg.Go(func() {
		defer func() { unlink(); cancel(); b.slots.Release(1) }()
		err := work(own)
		select {
		case result <- err:
		case <-left:
			if err != nil && b.fail != nil {
				b.fail(err)
			}
		}
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-result:
		return true, err
	case <-timer.C:
	}
	close(left)
	return false, nil
}

// close ends what goes on, between two of its steps, and waits for that.
func (b *background) close() {
	b.stop()
	b.wg.Wait()
}

// Close ends what goes on in the background. Requests must have ended before.
func (s *Server) Close() { s.later.close() }

// failedLater logs what went wrong after the answer.
func (s *Server) failedLater(err error) {
	s.Log.Warn("a change that went on after its answer failed", "err", err)
}

// inBackground does work of a request, in the background if it takes long.
func (c *call) inBackground(work func(context.Context) error) (done bool, err error) {
	return c.s.later.run(c.ctx, answerAfter, work)
}
