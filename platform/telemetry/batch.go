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
	// committers is how many batches may be under way: one that is being put together, two that share the next turns of the disk, and one that is answered.
	committers = 4
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

// batcher commits what many callers submit. A few goroutines take turns: who has the turn takes what waits in the lanes and appends it;
// then it passes the turn on, waits for the disk, publishes and answers. Under load groups form by themselves, without load nobody waits.
type batcher struct {
	d     Deps
	books *books
	lanes *lanes
	turn  chan turn // one, for who may take and append
	wg    sync.WaitGroup

	size    prometheus.Histogram
	latency prometheus.Histogram
}

// turn is the right to take the next batch. Answers go out in the order of the batches: before is closed when the batch before is answered.
type turn struct{ before <-chan struct{} }

func newBatcher(d Deps, books *books) *batcher {
	b := &batcher{
		d: d, books: books, lanes: newLanes(), turn: make(chan turn, 1),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_batch_entries", Help: "Measurements per commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6)}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_commit_seconds", Help: "Duration of a commit of measurements.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 4, 8)}),
	}
	if d.Reg != nil {
		d.Reg.MustRegister(b.size, b.latency)
		b.lanes.export(d.Reg)
	}
	none := make(chan struct{})
	close(none)
	b.turn <- turn{none}
	for range committers {
		b.wg.Go(b.commitForever)
	}
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

// commitForever is one of those who take turns. It returns when the lanes are closed and empty.
func (b *batcher) commitForever() {
	batch, entries := make([]submission, 0, maxBatch), make([]series.Entry, 0, maxBatch)
	out := outbox{bus: b.d.Bus, m: map[topic][]byte{}}
	for {
		mine, ok := <-b.turn, false
		if batch, ok = b.lanes.take(batch[:0]); !ok {
			b.turn <- mine
			return
		}
		at := b.d.Clock.Now()
		intents := b.intend(batch)
		var durable func() error
		entries, durable = b.begin(batch, entries)
		answered := make(chan struct{})
		b.turn <- turn{answered}
		b.settle(batch, durable)
		keep(batch, intents)
		b.latency.Observe(b.d.Clock.Now().Sub(at).Seconds())
		<-mine.before
		b.answer(batch, &out)
		close(answered)
		clear(entries)
		clear(batch)
	}
}

// begin puts the submissions of a batch into the store, and notes in each what cannot be. buf is memory to use.
func (b *batcher) begin(batch []submission, buf []series.Entry) (_ []series.Entry, durable func() error) {
	buf = buf[:0]
	for i := range batch {
		if s := &batch[i]; s.mode.Stores() && s.err == nil {
			buf = append(buf, series.Entry{Tenant: s.tenant, M: s.first, From: s.from})
			for j := range s.rest {
				buf = append(buf, series.Entry{Tenant: s.tenant, M: &s.rest[j]})
			}
		}
	}
	if len(buf) == 0 {
		return buf, nil
	}
	durable, err := series.Begin(context.Background(), b.d.Series, buf)
	b.size.Observe(float64(len(buf)))
	if err == nil {
		return buf, durable
	}
	if own := fault.Is(err, fault.Invalid) || fault.Is(err, fault.Exhausted); own && len(batch) > 1 {
		// One of them is to blame. Halving finds it with few commits, and the others are stored.
		half := len(batch) / 2
		buf, first := b.begin(batch[:half], buf)
		buf, second := b.begin(batch[half:], buf)
		return buf, func() error {
			b.settle(batch[:half], first)
			b.settle(batch[half:], second)
			return nil
		}
	}
	fail(batch, err)
	return buf, nil
}

// settle waits until a batch is durable, and notes it in its submissions if it is not.
func (b *batcher) settle(batch []submission, durable func() error) {
	if durable == nil {
		return
	}
	if err := durable(); err != nil {
		fail(batch, err)
	}
}

func fail(batch []submission, err error) {
	err = sqlkit.Fault("telemetry.Submit", err)
	for i := range batch {
		if s := &batch[i]; s.mode.Stores() && s.err == nil { // what was refused before has its own reason
			s.err = err
		}
	}
}

// receive counts a submission as under way. What is not to be stored has no place in a ledger.
func (b *batcher) receive(s *submission) {
	if !s.mode.Stores() {
		return
	}
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
		if !s.mode.Stores() {
			continue
		}
		s.book.settle(s.first, s.err, now)
		for j := range s.rest {
			m := &s.rest[j]
			b.books.of(s.tenant, m.Source).settle(m, s.err, now)
		}
	}
}

// answer publishes what was committed, then tells the callers.
func (b *batcher) answer(batch []submission, out *outbox) {
	for i := range batch {
		if s := &batch[i]; s.err == nil {
			s.each(func(m *iot.Measurement) { out.add(topic{s.tenant, !s.mode.Live()}, m) })
		}
	}
	out.flush()
	b.lanes.answered(len(batch))
	b.book(batch)
	for i := range batch {
		batch[i].done(batch[i].err)
	}
}
