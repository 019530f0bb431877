package loadgen

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"
)

// Nanos, as part of a payload, is replaced before every send by a time in nanoseconds since 1970 that the connection sends only once.
const Nanos = "0000000000000000000"

// Message makes the nth payload of a connection. All payloads of a connection must be equally long; n runs over a small range again and again.
type Message func(conn, n int) (topic, payload string)

// ringSize is how many frames a connection has, each with its own packet identifier: the upper bound of what may be unacknowledged.
const ringSize = 1024

// ring is the frames of a connection, one after the other in one piece of memory, so that many go out with one write.
type ring struct {
	frames []byte
	size   int // of one frame
	stamp  int // where Nanos is within a frame; negative: nowhere
	last   int64
	next   int                    // the frame that is sent next
	sent   [ringSize]atomic.Int64 // when each frame was sent, on the run's clock; zero: not on its way
}

func newRing(conn int, m Message) (*ring, error) {
	r := &ring{}
	for n := range ringSize {
		topic, payload := m(conn, n)
		f := publish(uint16(n+1), topic, payload)
		if n > 0 && len(f) != r.size {
			return nil, fmt.Errorf("payload %d of connection %d is not as long as the first: %q", n, conn, payload)
		}
		r.size, r.stamp = len(f), bytes.Index(f, []byte(Nanos))
		r.frames = append(r.frames, f...)
	}
	return r, nil
}

// take returns up to n frames that lie in one piece, and marks them as sent at a time of the run's clock.
func (r *ring) take(n int, now time.Duration, wall int64) []byte {
	n = min(n, ringSize-r.next)
	out := r.frames[r.next*r.size : (r.next+n)*r.size]
	for i := range n {
		r.sent[r.next+i].Store(int64(now))
		if r.stamp >= 0 {
			r.last = max(r.last+1, wall)
			putNanos(out[i*r.size+r.stamp:], r.last)
		}
	}
	r.next = (r.next + n) % ringSize
	return out
}

// acked returns when the frame with this identifier was sent, and that it is no longer on its way.
func (r *ring) acked(id uint16) (time.Duration, bool) {
	if id == 0 || id > ringSize {
		return 0, false
	}
	at := r.sent[id-1].Swap(0)
	return time.Duration(at), at != 0
}

func putNanos(b []byte, v int64) {
	for i := len(Nanos) - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
}
