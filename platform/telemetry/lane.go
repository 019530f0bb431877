package telemetry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
)

const (
	// liveQueue and lateQueue bound what waits for a commit. When a lane is full, Submit blocks: the devices feel it as back pressure.
	liveQueue = 8192
	lateQueue = 2048
	// lateAfter is the age from which a measurement is late: somebody empties a buffer. It is far above the delay of a device that is
	// connected, so that live data never counts as late because of a slow network or a clock that is somewhat off.
	lateAfter = 5 * time.Minute
	// lateShare is the part of a batch, in parts of maxBatch, that late submissions may take while live ones wait as well.
	lateShare = 4
	// commitEvery is the least time between the starts of two commits. A commit costs about ten times the CPU of a message, whatever it
	// holds, so that waiting a moment for company halves the cost at some 10,000 messages a second. Who comes alone does not wait.
	commitEvery = 2 * time.Millisecond
	// patientEvery is that time while nobody who submits is held up by it; see pace.
	patientEvery = 4 * time.Millisecond
	// commitAt is how many waiting submissions make a commit worth it at once, however many more are under way.
	commitAt = maxBatch / 4
)

// lanes are the two queues in front of the commits. Live data goes first; late data gets what is left of each batch and always a share of
// it, so that a buffer that is emptied neither starves live data nor starves itself. Who fills the late lane waits alone.
type lanes struct {
	live, late chan submission
	some       chan struct{} // one token: a lane has as many entries as enough says
	last       time.Time     // start of the commit before; belongs to the goroutine that takes
	peak       int64         // most submissions under way lately; belongs to the goroutine that takes
	pace       pace          // belongs to the goroutine that takes

	underway atomic.Int64 // submissions that were put and not answered
	enough   atomic.Int64 // so many are worth a commit at once

	mu     sync.RWMutex // guards closed, and the lanes against being closed while somebody submits
	closed bool
}

func newLanes() *lanes {
	return &lanes{live: make(chan submission, liveQueue), late: make(chan submission, lateQueue), some: make(chan struct{}, 1)}
}

func (l *lanes) export(reg prometheus.Registerer) {
	for name, c := range map[string]chan submission{"live": l.live, "late": l.late} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "isobar_telemetry_queue_entries", ConstLabels: prometheus.Labels{"lane": name},
			Help: "Submissions that wait for a commit; Submit blocks at the bound."}, func() float64 { return float64(len(c)) }))
	}
}

func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.live)
		close(l.late)
	}
}

// put queues a submission in its lane. It blocks while that is full, until ctx ends.
func (l *lanes) put(ctx context.Context, s submission, now time.Time) error {
	lane := l.live
	if now.Sub(s.first.Time) > lateAfter {
		lane = l.late
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return fault.E(fault.Unavailable)
	}
	l.underway.Add(1)
	select {
	case lane <- s:
	default:
		l.hurry()
		select {
		case lane <- s:
		case <-ctx.Done():
			l.underway.Add(-1)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fault.E(fault.Exhausted, time.Second, "more comes in than can be stored: wait as long as Retry-After says")
			}
			return ctx.Err()
		}
	}
	if len(lane) == int(l.enough.Load()) {
		l.hurry()
	}
	return nil
}

// answered counts submissions out.
func (l *lanes) answered(n int) { l.underway.Add(-int64(n)) }

// hurry ends the pause before the next commit.
func (l *lanes) hurry() {
	select {
	case l.some <- struct{}{}:
	default:
	}
}

// take appends the submissions of the next commit to batch. It waits until there is one; false means that there will be none any more.
func (l *lanes) take(batch []submission) ([]submission, bool) {
	batch, n, ok := l.first(batch)
	if !ok {
		return nil, false
	}
	l.pause()
	batch, n = fill(batch, l.live, n, maxBatch)
	room := max(maxBatch, n+maxBatch/lateShare)
	batch, _ = fill(batch, l.late, n, room)
	l.pace.count(len(batch), l.last)
	return batch, true
}

// first waits for a submission of either lane.
func (l *lanes) first(batch []submission) ([]submission, int, bool) {
	live, late := l.live, l.late
	for live != nil || late != nil {
		select {
		case s, ok := <-live:
			if ok {
				return append(batch, s), s.size(), true
			}
			live = nil
		case s, ok := <-late:
			if ok {
				return append(batch, s), s.size(), true
			}
			late = nil
		}
	}
	return nil, 0, false
}

// pause lets company gather if the commit before began only a moment ago. Eager, it ends when half of those who are ever under way at a time wait:
// they are devices that wait for their acknowledgements, and the other half gathers while the disk is busy. Patient, it lasts to its end.
func (l *lanes) pause() {
	l.peak = max(l.underway.Load(), l.peak-l.peak/16)
	enough, every := min(max(l.peak/2, 1), commitAt), commitEvery
	if l.pace.patient(time.Now()) {
		enough, every = commitAt, patientEvery
	}
	l.enough.Store(enough)
	if wait := every - time.Since(l.last); wait > 0 && 1+len(l.live)+len(l.late) < int(enough) {
		select {
		case <-l.some:
		default:
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.some:
			timer.Stop()
		}
	}
	l.last = time.Now()
}

// fill adds what waits in a lane until the batch holds limit measurements.
func fill(batch []submission, lane <-chan submission, n, limit int) ([]submission, int) {
	for n < limit {
		select {
		case s, ok := <-lane:
			if !ok {
				return batch, n
			}
			batch = append(batch, s)
			n += s.size()
		default:
			return batch, n
		}
	}
	return batch, n
}
