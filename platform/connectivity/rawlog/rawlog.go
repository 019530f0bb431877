package rawlog

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
)

// Options of a tenant.
const (
	Category    = "ingest"
	KeepHours   = "raw.keep.hours"     // 0, which is the default: nothing is kept. At most 87,600.
	KeepMB      = "raw.keep.megabytes" // at least 1, 1,024 unless set
	defaultMB   = 1024
	MaxHours    = 87_600 // the most that KeepHours may be
	ruleTime    = 10 * time.Second
	sweepEvery  = time.Minute
	queueLength = 4096
	batchBytes  = 4 << 20
)

// Deps is what a Log needs.
type Deps struct {
	Clock clock.Clock
	Log   *slog.Logger
	Reg   prometheus.Registerer // may be nil
	// Option returns an option of a tenant.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
}

// Log keeps publications.
type Log struct {
	d  Deps
	db *pebble.DB

	queue chan entry
	quit  chan struct{}
	wg    sync.WaitGroup
	once  sync.Once

	gate   sync.RWMutex // guards closed, and queue against being closed while somebody appends
	closed bool

	ruleMu sync.RWMutex // guards rules
	rules  map[iot.TenantID]rule

	mu    sync.Mutex                       // guards the fields below, and is held while a batch is written
	hours map[iot.TenantID]map[int64]int64 // bytes by hour
	last  map[iot.TenantID]stamp

	dropped prometheus.Counter
}

type entry struct {
	t    iot.TenantID
	r    Record
	done func(error)
}

type stamp struct {
	ms  int64
	seq uint32
}

type rule struct {
	keep  time.Duration
	bytes int64
	until time.Time
}

// Open opens the log in a folder and starts what writes and what removes. Close ends it.
func Open(dir string, o *pebble.Options, d Deps) (*Log, error) {
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, err
	}
	l := &Log{d: d, db: db, queue: make(chan entry, queueLength), quit: make(chan struct{}), rules: map[iot.TenantID]rule{}, hours: map[iot.TenantID]map[int64]int64{},
		last: map[iot.TenantID]stamp{}, dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_rawlog_dropped_bytes_total",
			Help: "Bytes of kept publications that went before their time, because their tenant had reached its bound."})}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if d.Reg != nil {
		d.Reg.MustRegister(l.dropped)
	}
	l.wg.Add(2)
	go l.write()
	go l.sweepForever()
	return l, nil
}

// load reads how much each hour of each tenant holds.
func (l *Log) load() error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagHour}, UpperBound: []byte{tagHour + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		k, v := it.Key(), it.Value()
		if len(k) < 2 || len(k) != 2+int(k[1])+4 || len(v) != 8 {
			return errors.Join(fault.E(fault.Op("rawlog.Open"), fault.Corrupt, "the size of an hour is damaged"), it.Close())
		}
		t := iot.TenantID(k[2 : 2+k[1]])
		if l.hours[t] == nil {
			l.hours[t] = map[int64]int64{}
		}
		l.hours[t][int64(binary.BigEndian.Uint32(k[len(k)-4:]))] = int64(binary.BigEndian.Uint64(v))
	}
	return errors.Join(it.Error(), it.Close())
}

// Checkpoint writes a copy of what was acknowledged before the call into a folder that does not exist yet.
func (l *Log) Checkpoint(dir string) error {
	return l.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// Close stores what was appended and closes the files.
func (l *Log) Close() (err error) {
	l.once.Do(func() {
		l.gate.Lock()
		l.closed = true
		close(l.queue)
		l.gate.Unlock()
		close(l.quit)
		l.wg.Wait()
		err = l.db.Close()
	})
	return err
}

// Keeps reports whether a tenant wants its publications to be kept. A changed option counts after ten seconds.
func (l *Log) Keeps(ctx context.Context, t iot.TenantID) bool { return l.rule(ctx, t).keep > 0 }

func (l *Log) rule(ctx context.Context, t iot.TenantID) rule {
	now := l.d.Clock.Now()
	l.ruleMu.RLock()
	r, ok := l.rules[t]
	l.ruleMu.RUnlock()
	if ok && now.Before(r.until) {
		return r
	}
	number := func(key string, def, most int64) int64 {
		text, ok := l.d.Option(ctx, t, Category, key)
		if n, err := strconv.ParseInt(text, 10, 64); ok && err == nil && n >= 0 && n <= most {
			return n
		}
		return def
	}
	r = rule{keep: time.Duration(number(KeepHours, 0, MaxHours)) * time.Hour, bytes: max(1, number(KeepMB, defaultMB, math.MaxInt64>>20)) << 20, until: now.Add(ruleTime)}
	l.ruleMu.Lock()
	defer l.ruleMu.Unlock()
	l.rules[t] = r
	return r
}

// Append keeps a record, whose payload must not change until done is called: once, with nil when the record is durable, on another goroutine,
// which it must not block. Append blocks while too much is under way.
func (l *Log) Append(t iot.TenantID, r Record, done func(error)) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		done(fault.E(fault.Op("rawlog.Append"), fault.Unavailable))
		return
	}
	l.queue <- entry{t, r, done}
}

// write commits what waits, as much as there is with one sync.
func (l *Log) write() {
	defer l.wg.Done()
	for e := range l.queue {
		batch, n := []entry{e}, e.r.size()
	collect:
		for n < batchBytes {
			select {
			case e, ok := <-l.queue:
				if !ok {
					break collect
				}
				batch = append(batch, e)
				n += e.r.size()
			default:
				break collect
			}
		}
		err := l.commit(batch)
		for _, e := range batch {
			e.done(err)
		}
	}
}

func (l *Log) commit(batch []entry) error {
	b := l.db.NewBatch()
	defer b.Close()
	now := l.d.Clock.Now().UnixMilli()
	grown := map[iot.TenantID]map[int64]int64{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batch {
		e := &batch[i]
		at := l.next(e.t, now)
		key := recordKey(e.t, at.ms, at.seq)
		if err := b.Set(key, e.r.encode(key), nil); err != nil {
			return err
		}
		if grown[e.t] == nil {
			grown[e.t] = map[int64]int64{}
		}
		grown[e.t][at.ms/hourMS] += e.r.size()
	}
	for t, hours := range grown {
		for hour, n := range hours {
			if err := b.Set(hourKey(tagHour, t, hour), binary.BigEndian.AppendUint64(nil, uint64(l.hours[t][hour]+n)), nil); err != nil {
				return err
			}
		}
	}
	if err := l.db.Apply(b, pebble.Sync); err != nil {
		return fault.E(fault.Op("rawlog.Append"), err)
	}
	for t, hours := range grown {
		if l.hours[t] == nil {
			l.hours[t] = map[int64]int64{}
		}
		for hour, n := range hours {
			l.hours[t][hour] += n
		}
	}
	return nil
}

// next gives a record its place behind all others of the tenant, also if the clock went back. After a restart the first one of a millisecond
// could meet an old one; the sequence begins in a part of its own then.
func (l *Log) next(t iot.TenantID, now int64) stamp {
	last, ok := l.last[t]
	switch {
	case !ok:
		last = stamp{ms: now, seq: uint32(time.Now().UnixNano()&0x7fff) << 16}
	case now > last.ms:
		last = stamp{ms: now}
	default:
		last.seq++
	}
	l.last[t] = last
	return last
}

// Scan calls fn for the records of a tenant that arrived in [from, to), oldest first, until it returns false.
func (l *Log) Scan(ctx context.Context, t iot.TenantID, from, to time.Time, fn func(Record) bool) (err error) {
	low, high := from.UnixMilli(), to.UnixMilli()
	low, high = max(low, 0), max(high, 0)
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(t, low, 0), UpperBound: recordKey(t, high, 0)})
	if err != nil {
		return fault.E(fault.Op("rawlog.Scan"), err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := decode(it.Key(), it.Value())
		if err != nil {
			return err
		}
		if !fn(r) {
			break
		}
	}
	return it.Error()
}

// DropTenant removes everything of a tenant, durably, and returns how many bytes there were.
func (l *Log) DropTenant(_ context.Context, t iot.TenantID) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, bytes := range l.hours[t] {
		n += bytes
	}
	b := l.db.NewBatch()
	defer b.Close()
	for _, tag := range []byte{tagRecord, tagHour} {
		if err := b.DeleteRange(prefix(tag, t), after(prefix(tag, t)), nil); err != nil {
			return 0, err
		}
	}
	delete(l.hours, t)
	return n, l.db.Apply(b, pebble.Sync)
}

func (l *Log) sweepForever() {
	defer l.wg.Done()
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := l.Sweep(context.Background()); err != nil {
				l.d.Log.Error("old publications cannot be removed", "err", err)
			}
		case <-l.quit:
			return
		}
	}
}

// Sweep removes the hours that are too old or too many. It runs in the background every minute.
func (l *Log) Sweep(ctx context.Context) error {
	l.mu.Lock()
	tenants := make([]iot.TenantID, 0, len(l.hours))
	for t := range l.hours {
		tenants = append(tenants, t)
	}
	l.mu.Unlock()
	for _, t := range tenants {
		if err := l.sweep(t, l.rule(ctx, t)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes whole hours: a record may outlive its time by less than one.
func (l *Log) sweep(t iot.TenantID, r rule) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.d.Clock.Now().Add(-r.keep).UnixMilli()/hourMS - 1
	var total int64
	for _, n := range l.hours[t] {
		total += n
	}
	for len(l.hours[t]) > 0 {
		first := int64(math.MaxInt64)
		for hour := range l.hours[t] {
			first = min(first, hour)
		}
		if n := l.hours[t][first]; first > oldest {
			if total <= r.bytes {
				return nil
			}
			l.dropped.Add(float64(n))
			l.d.Log.Warn("the bound on kept publications is reached, the oldest hour goes", "tenant", t, "bytes", n)
		}
		if err := l.dropHour(t, first); err != nil {
			return err
		}
		total -= l.hours[t][first]
		delete(l.hours[t], first)
	}
	delete(l.hours, t)
	return nil
}

func (l *Log) dropHour(t iot.TenantID, hour int64) error {
	b := l.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange(hourKey(tagRecord, t, hour), hourKey(tagRecord, t, hour+1), nil); err != nil {
		return err
	}
	if err := b.Delete(hourKey(tagHour, t, hour), nil); err != nil {
		return err
	}
	return l.db.Apply(b, pebble.Sync)
}
