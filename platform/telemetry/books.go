package telemetry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// bookEvery is how often ledgers are written.
	bookEvery = 10 * time.Second
	// bookBatch is how many ledgers share a transaction.
	bookBatch = 500
	// maxAccounts bounds the sources that are remembered between readings, whose usual distance is known without asking the store.
	maxAccounts = 1 << 17
	// shards spare the connections waiting for each other.
	shards = 32
)

type accountKey struct {
	t      iot.TenantID
	source iot.ID
}

type shard struct {
	mu sync.Mutex // guards m
	m  map[accountKey]*account
}

// books keeps the accounts of all sources that were heard of lately and writes them into their ledgers.
type books struct {
	d       Deps
	shards  [shards]shard
	writing sync.Mutex // one writes at a time
	failed  prometheus.Counter
	quit    chan struct{}
	done    chan struct{}
	once    sync.Once
}

func newBooks(d Deps) *books {
	b := &books{d: d, quit: make(chan struct{}), done: make(chan struct{}), failed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "isobar_telemetry_ledger_failures_total", Help: "Writes of ledgers that failed; the counts are kept and written later."})}
	for i := range b.shards {
		b.shards[i].m = map[accountKey]*account{}
	}
	if d.Reg != nil {
		d.Reg.MustRegister(b.failed)
	}
	go b.run()
	return b
}

func (b *books) run() {
	defer close(b.done)
	ticker := time.NewTicker(bookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			b.flush(context.Background(), everybody)
		case <-b.quit:
			b.flush(context.Background(), everybody)
			return
		}
	}
}

func (b *books) close() {
	b.once.Do(func() { close(b.quit) })
	<-b.done
}

// received opens the account of a source if need be and counts n readings that are under way. The outcome of each must be told once.
func (b *books) received(t iot.TenantID, source iot.ID, n int) *account {
	s, key := b.shard(source), accountKey{t, source}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.m[key]
	if a == nil {
		a = &account{t: t, source: source}
		s.m[key] = a
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending += n
	a.counts.Received += int64(n)
	a.at = b.d.Clock.Now().UnixMilli()
	return a
}

func (b *books) shard(source iot.ID) *shard {
	return &b.shards[(uint64(source)^uint64(source)>>16)%shards]
}

// of returns the account of a source of which readings are under way.
func (b *books) of(t iot.TenantID, source iot.ID) *account {
	s := b.shard(source)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[accountKey{t, source}]
}

// count enters one event or alarm with its outcome.
func (b *books) count(t iot.TenantID, source iot.ID, err error) {
	a := b.received(t, source, 1)
	switch {
	case err == nil:
		a.outcome(Counts{Stored: 1})
	case errors.Is(err, sqlkit.ErrRepeated):
		a.outcome(Counts{Duplicate: 1})
	default:
		a.refused(err)
	}
}

// drop forgets a source that was deleted, and removes its ledger.
func (b *books) drop(ctx context.Context, t iot.TenantID, source iot.ID) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	s, key := b.shard(source), accountKey{t, source}
	s.mu.Lock()
	if a := s.m[key]; a != nil {
		a.take()
	}
	s.mu.Unlock()
	return b.d.Store.DropLedger(ctx, t, source)
}

// tell tells the meter of usage what the wanted accounts have counted for it since it was told last.
func (b *books) tell(wanted func(accountKey) bool) {
	if b.d.Usage == nil {
		return
	}
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		for key, a := range s.m {
			if wanted(key) {
				b.tellOf(a)
			}
		}
		s.mu.Unlock()
	}
}

func (b *books) tellOf(a *account) {
	a.mu.Lock()
	day, made, before := a.day, a.made, a.madeBefore
	a.made, a.madeBefore = 0, 0
	a.mu.Unlock()
	b.d.Usage.Made(a.t, a.source, iot.KindMeasurement, iot.Created, usage.Day(day).Start(), made)
	b.d.Usage.Made(a.t, a.source, iot.KindMeasurement, iot.Created, usage.Day(day-1).Start(), before)
}

// everybody selects all accounts.
func everybody(accountKey) bool { return true }

// flush writes those of the wanted accounts that have changed. What cannot be written stays for the next time.
func (b *books) flush(ctx context.Context, wanted func(accountKey) bool) {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.tell(wanted) // before an account is given up
	b.resume(ctx, wanted)
	changed := map[iot.TenantID][]*account{}
	taken := map[iot.TenantID][]Ledger{}
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		for key, a := range s.m {
			if !wanted(key) || a.fresh() { // which came just now, or the store cannot be read
				continue
			}
			if l, ok, quiet := a.take(); ok {
				changed[key.t], taken[key.t] = append(changed[key.t], a), append(taken[key.t], l)
			} else if quiet && len(s.m) > maxAccounts/shards {
				delete(s.m, key)
			}
		}
		s.mu.Unlock()
	}
	for t, all := range taken {
		for from := 0; from < len(all); from += bookBatch {
			to := min(from+bookBatch, len(all))
			if err := b.d.Store.AddLedgers(ctx, t, all[from:to]); err != nil {
				b.fail("write ledgers", t, err)
				for i := from; i < to; i++ {
					changed[t][i].back(all[i])
				}
			}
		}
	}
}

// resume lets those of the wanted accounts that are new know what is stored of their sources.
func (b *books) resume(ctx context.Context, wanted func(accountKey) bool) {
	fresh := map[iot.TenantID][]iot.ID{}
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.Lock()
		for key, a := range s.m {
			if wanted(key) && a.fresh() {
				fresh[key.t] = append(fresh[key.t], key.source)
			}
		}
		s.mu.Unlock()
	}
	for t, all := range fresh {
		for some := range slices.Chunk(all, bookBatch) {
			found, err := b.d.Store.Ledgers(ctx, t, some, 0, len(some))
			if err != nil {
				b.fail("read ledgers", t, err)
				return
			}
			stored := map[iot.ID]Ledger{}
			for _, l := range found {
				stored[l.Source] = l
			}
			for _, source := range some {
				if a := b.of(t, source); a != nil {
					a.resume(stored[source])
				}
			}
		}
	}
}

func (b *books) fail(what string, t iot.TenantID, err error) {
	b.failed.Inc()
	b.d.Log.Warn(what, "tenant", t, "err", err)
}
