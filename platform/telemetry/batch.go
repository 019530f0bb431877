package telemetry

import (
	"context"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
)

const (
	// submitQueue bounds what waits for a commit. When it is full, Submit blocks: the devices feel it as back pressure.
	submitQueue = 8192
	// maxBatch entries share a commit. Beyond it a commit costs more than the shared fsync saves.
	maxBatch = 1000
	// maxMessage bounds a message on the bus; a batch beyond it is split. The default of a NATS server is 1 MiB.
	maxMessage = 768 << 10
)

// submission is what one caller waits for. It is committed as a whole or not at all.
type submission struct {
	tenant iot.TenantID
	first  *iot.Measurement
	rest   []iot.Measurement
	mode   iot.ProcessingMode
	done   func(error)
	err    error
}

// each calls fn for the measurements of s.
func (s *submission) each(fn func(*iot.Measurement)) {
	fn(s.first)
	for i := range s.rest {
		fn(&s.rest[i])
	}
}

// batcher commits what many callers submit. One goroutine appends, taking whatever waits when the previous commit has ended: under load
// groups form by themselves, without load nobody waits. A second one publishes and answers while the next commit runs.
type batcher struct {
	d     Deps
	queue chan submission
	done  chan []submission // committed, to be published and answered, in order
	free  chan []submission
	wg    sync.WaitGroup

	mu     sync.RWMutex // guards closed, and the queue against being closed while somebody submits
	closed bool

	size    prometheus.Histogram
	latency prometheus.Histogram
}

func newBatcher(d Deps) *batcher {
	b := &batcher{
		d: d, queue: make(chan submission, submitQueue), done: make(chan []submission, 1), free: make(chan []submission, 3),
		size: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_batch_entries", Help: "Measurements per commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6)}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_telemetry_commit_seconds", Help: "Duration of a commit of measurements.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 4, 8)}),
	}
	if d.Reg != nil {
		d.Reg.MustRegister(b.size, b.latency, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "isobar_telemetry_queue_entries",
			Help: "Submissions that wait for a commit; Submit blocks at the bound."}, func() float64 { return float64(len(b.queue)) }))
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
	b.mu.Lock()
	was := b.closed
	b.closed = true
	b.mu.Unlock()
	if !was {
		close(b.queue)
	}
	b.wg.Wait()
}

func (b *batcher) submit(ctx context.Context, s submission) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		s.done(fault.E(fault.Op("telemetry.Submit"), fault.Unavailable))
		return
	}
	select {
	case b.queue <- s:
		return
	default:
	}
	select {
	case b.queue <- s:
	case <-ctx.Done():
		s.done(fault.E(fault.Op("telemetry.Submit"), ctx.Err()))
	}
}

// commit owns the order of commits.
func (b *batcher) commit() {
	defer b.wg.Done()
	defer close(b.done)
	entries := make([]series.Entry, 0, maxBatch)
	for s := range b.queue {
		batch, n := append((<-b.free)[:0], s), 1+len(s.rest)
	collect:
		for n < maxBatch {
			select {
			case next, ok := <-b.queue:
				if !ok {
					break collect
				}
				batch = append(batch, next)
				n += 1 + len(next.rest)
			default:
				break collect
			}
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
			s.each(func(m *iot.Measurement) { buf = append(buf, series.Entry{Tenant: s.tenant, M: m}) })
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
		for i := range batch {
			batch[i].done(batch[i].err)
		}
		clear(batch)
		b.free <- batch
	}
}

type topic struct {
	tenant iot.TenantID
	rules  bool
}

// maxSpare buffers are kept for reuse.
const maxSpare = 16

// outbox collects one message per topic.
type outbox struct {
	bus *bus.Bus
	m   map[topic][]byte
	buf [][]byte // for reuse
}

func (o *outbox) add(to topic, m *iot.Measurement) {
	b, ok := o.m[to]
	switch {
	case !ok && len(o.buf) > 0:
		b, o.buf = o.buf[len(o.buf)-1], o.buf[:len(o.buf)-1]
		fallthrough
	case !ok:
		b = appendBatchStart(b[:0], iot.Created)
	default:
		b = append(b, ',')
	}
	b = AppendMeasurement(b, m)
	if len(b) > maxMessage {
		o.send(to, b)
		return
	}
	o.m[to] = b
}

func (o *outbox) send(to topic, b []byte) {
	subject := bus.Subject(to.tenant, string(iot.KindMeasurement), string(iot.Created))
	if to.rules {
		subject += "." + rulesOnly
	}
	o.bus.Publish(subject, append(b, batchEnd...))
	delete(o.m, to)
	if len(o.buf) < maxSpare {
		o.buf = append(o.buf, b)
	}
}

func (o *outbox) flush() {
	for to, b := range o.m {
		o.send(to, b)
	}
}
