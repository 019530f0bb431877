package telemetry

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// maxBatch entries share a commit. Beyond it a commit costs more than the shared fsync saves.
	maxBatch = 1000
)

// submission is what one caller waits for. It is committed as a whole or not at all.
type submission struct {
	tenant iot.TenantID
	first  *iot.Measurement
	from   *series.Delivery // of first; may be nil
	book   *account         // of first's source
	rest   []iot.Measurement
	mode   iot.ProcessingMode
	done   func(error)
	err    error
}

// size is the number of measurements of s.
func (s *submission) size() int { return 1 + len(s.rest) }

// each calls fn for the measurements of s.
func (s *submission) each(fn func(*iot.Measurement)) {
	fn(s.first)
	for i := range s.rest {
		fn(&s.rest[i])
	}
}

// batcher commits what many callers submit. One goroutine appends, taking whatever waits in the lanes when the previous commit has ended:
// under load groups form by themselves, without load nobody waits. A second one publishes and answers while the next commit runs.
type batcher struct {
	d     Deps
	books *books
	lanes *lanes
	done  chan []submission // committed, to be published and answered, in order
	free  chan []submission
	wg    sync.WaitGroup

	size    prometheus.Histogram
	latency prometheus.Histogram
}

func newBatcher(d Deps, books *books) *batcher {
	b := &batcher{
		d: d, books: books, lanes: newLanes(), done: make(chan []submission, 1), free: make(chan []submission, 3),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_batch_entries", Help: "Measurements per commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6)}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_commit_seconds", Help: "Duration of a commit of measurements.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 4, 8)}),
	}
	if d.Reg != nil {
		d.Reg.MustRegister(b.size, b.latency)
		b.lanes.export(d.Reg)
	}
	for range cap(b.free) {
		b.free <- make([]submission, 0, maxBatch)
	}
	b.wg.Add(2)
	go b.commit()
	go b.answer()
	return b
}

// close refuses further submissions and waits for those that were accepted.
func (b *batcher) close() {
	b.lanes.close()
	b.wg.Wait()
}

func (b *batcher) submit(ctx context.Context, s submission) {
	b.receive(&s)
	if err := b.lanes.put(ctx, s, b.d.Clock.Now()); err != nil {
		s.err = fault.E(fault.Op("telemetry.Submit"), err)
		b.book([]submission{s})
		s.done(s.err)
	}
}

// commit owns the order of commits.
func (b *batcher) commit() {
	defer b.wg.Done()
	defer close(b.done)
	entries := make([]series.Entry, 0, maxBatch)
	for {
		batch, ok := b.lanes.take((<-b.free)[:0])
		if !ok {
			return
		}
		entries = b.store(batch, entries)
		clear(entries)
		b.done <- batch
	}
}

// store appends the submissions of a batch and notes the outcome in each. buf is memory to use.
func (b *batcher) store(batch []submission, buf []series.Entry) []series.Entry {
	buf = buf[:0]
	for i := range batch {
		if s := &batch[i]; s.mode != iot.Transient {
			buf = append(buf, series.Entry{Tenant: s.tenant, M: s.first, From: s.from})
			for j := range s.rest {
				buf = append(buf, series.Entry{Tenant: s.tenant, M: &s.rest[j]})
			}
		}
	}
	if len(buf) == 0 {
		return buf
	}
	start := b.d.Clock.Now()
	err := b.d.Series.Append(context.Background(), buf)
	b.latency.Observe(b.d.Clock.Now().Sub(start).Seconds())
	b.size.Observe(float64(len(buf)))
	if err == nil {
		return buf
	}
	if own := fault.Is(err, fault.Invalid) || fault.Is(err, fault.Exhausted); own && len(batch) > 1 {
		// One of them is to blame. Halving finds it with few commits, and the others are stored.
		half := len(batch) / 2
		return b.store(batch[half:], b.store(batch[:half], buf))
	}
	err = sqlkit.Fault("telemetry.Submit", err)
	for i := range batch {
		if batch[i].mode != iot.Transient {
			batch[i].err = err
		}
	}
	return buf
}

// receive counts a submission as under way.
func (b *batcher) receive(s *submission) {
	s.book = b.books.received(s.tenant, s.first.Source, 1)
	for i := range s.rest {
		b.books.received(s.tenant, s.rest[i].Source, 1)
	}
}

// book enters the outcome of submissions into the ledgers of their sources.
func (b *batcher) book(batch []submission) {
	now := b.d.Clock.Now().UnixMilli()
	for i := range batch {
		s := &batch[i]
		s.book.settle(s.first, s.err, now)
		for j := range s.rest {
			m := &s.rest[j]
			b.books.of(s.tenant, m.Source).settle(m, s.err, now)
		}
	}
}

// answer publishes what was committed, then tells the callers.
func (b *batcher) answer() {
	defer b.wg.Done()
	out := outbox{bus: b.d.Bus, m: map[topic][]byte{}}
	for batch := range b.done {
		for i := range batch {
			if s := &batch[i]; s.err == nil && s.mode != iot.Quiescent {
				s.each(func(m *iot.Measurement) { out.add(topic{s.tenant, s.mode == iot.CEP}, m) })
			}
		}
		out.flush()
		b.lanes.answered(len(batch))
		b.book(batch)
		for i := range batch {
			batch[i].done(batch[i].err)
		}
		clear(batch)
		b.free <- batch
	}
}
