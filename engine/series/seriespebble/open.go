package seriespebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
)

// Options tune a Store. The zero value is what the product runs with.
type Options struct {
	Logger     *slog.Logger          // nil: no log
	Registerer prometheus.Registerer // nil: metrics are not exported
	FS         vfs.FS                // nil: the file system of the machine
	Clock      clock.Clock           // nil: the clock of the machine
	Room       func() error          // asked before new measurements are taken in; its error refuses them. nil: there is always room
	Fatal      func(msg string)      // called when nothing can be promised any more; must not return. nil: panic
	readOnly   bool                  // for Verify
	CacheBytes int64                 // of blocks, besides at most 48 MiB of new rows; zero: 64 MiB
	// SealAfter is the age at which rows are sealed into chunks; zero: 10 minutes. It should exceed the usual delay of devices,
	// because rows that come later than the chunk of their time have that chunk written anew.
	SealAfter time.Duration
	// SealEvery is the pause between two rounds of sealing; zero: one minute, negative: only Seal seals.
	SealEvery time.Duration
}

// Store is the embedded driver: one folder, one process. It implements series.Store, series.Aggregator and series.Recaller.
type Store struct {
	db    *pebble.DB
	opts  Options
	log   *slog.Logger
	m     *metrics
	dict  *dictionary
	cache *pebble.Cache

	lifeMu sync.Mutex // guards closed and calls
	closed bool
	calls  int
	idle   *sync.Cond // on lifeMu: calls is zero

	upkeepMu sync.Mutex // held by what rewrites stored rows: Seal, Delete, DropTenant

	appendMu sync.Mutex // guards what follows, and the order of batches; see appendLocked
	seen     *sources
	watch    *watch
	queue    queue
	journal  journal
	scratch  scratch

	foldMu sync.RWMutex // held, before appendMu, while the journal moves into the trails; readers of both hold it shared
	fold   chan struct{}

	stop               context.CancelFunc
	sealDone, foldDone chan struct{}
}

var (
	_ series.Store      = (*Store)(nil)
	_ series.Aggregator = (*Store)(nil)
	_ series.Beginner   = (*Store)(nil)
	_ series.Recaller   = (*Store)(nil)
)

const (
	defaultCache     = 64 << 20
	defaultSealAfter = 10 * time.Minute
	defaultSealEvery = time.Minute
	memTableBytes    = 16 << 20
	memTables        = 3 // usually alive; the engine takes their memory out of the cache
	formatKey        = "format"
	formatNow        = "3"
)

// formatsOld are read as well: 1 has chunks of version 1 only, 2 has what clients delivered in another place, which is not taken over.
var formatsOld = []string{"1", "2"}

// Open opens the store in a folder, which is created if it does not exist, and starts background sealing.
// A folder can be open once. A folder written by a newer version is fault.Unsupported.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{opts: opts, log: opts.Logger, fold: make(chan struct{}, 1), sealDone: make(chan struct{}), foldDone: make(chan struct{})}
	s.idle = sync.NewCond(&s.lifeMu)
	s.cache = pebble.NewCache(opts.CacheBytes + memTables*memTableBytes)
	db, err := pebble.Open(dir, s.engineOptions())
	if err != nil {
		s.cache.Unref()
		return nil, wrap("series.Open", "", err)
	}
	s.db, s.dict, s.seen = db, newDictionary(db), newSources()
	if err := errors.Join(s.checkFormat(), s.loadJournal(), s.startMetrics()); err != nil {
		s.cache.Unref()
		return nil, wrap("series.Open", "", errors.Join(err, db.Close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.sealForever(ctx)
	go s.foldForever()
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.SealAfter == 0 {
		o.SealAfter = defaultSealAfter
	}
	if o.SealEvery == 0 {
		o.SealEvery = defaultSealEvery
	}
	return o
}

func (s *Store) engineOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                    s.opts.FS,
		ReadOnly:              s.opts.readOnly,
		Cache:                 s.cache,
		MemTableSize:          memTableBytes,
		L0CompactionThreshold: 2,
		L0StopWritesThreshold: 1000, // slow down ingest by compaction debt only when it is extreme: a stop stalls every device at once
		FormatMajorVersion:    pebble.FormatNewest,
		Logger:                engineLog{s.log, s.opts.Fatal},
		// Damage is told to whoever reads it. The engine would end the process when it meets it in the background, so that a damaged block
		// of one device would take everything away.
		EventListener: &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) { s.log.Error("stored measurements are damaged", "err", i.String()) }},
	}
	// Chunks hardly compress further, and a stronger method would be paid for in every read: measured 15 us a block with zstd.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return o
}

func (s *Store) startMetrics() (err error) {
	s.m, err = newMetrics(s.opts.Registerer, func() float64 { return float64(s.DiskBytes()) })
	return err
}

// checkFormat refuses a folder that this version cannot read and marks a new or an older one, before anything is written that older
// versions cannot read.
func (s *Store) checkFormat() error {
	key := append([]byte{tagMeta}, formatKey...)
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set(key, []byte(formatNow), pebble.Sync)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if string(v) == formatNow {
		return nil
	}
	if !slices.Contains(formatsOld, string(v)) {
		return fault.Errorf("series.Open", fault.Unsupported, "the data folder has format %q, this version reads formats 1 to %s", v, formatNow)
	}
	return errors.Join(s.dropOldTrails(), s.db.Set(key, []byte(formatNow), pebble.Sync))
}

// enter counts a call in; every call of the face starts with it, so that Close can wait for it.
func (s *Store) enter() error {
	s.lifeMu.Lock()
	defer s.lifeMu.Unlock()
	if s.closed {
		return fault.E(fault.Unavailable, "the store is closed")
	}
	s.calls++
	return nil
}

func (s *Store) leave() {
	s.lifeMu.Lock()
	defer s.lifeMu.Unlock()
	if s.calls--; s.calls == 0 {
		s.idle.Broadcast()
	}
}

// finish gives the error of a face method its operation and counts it.
func (s *Store) finish(op fault.Op, tenant iot.TenantID, err error) error {
	if err != nil {
		err = wrap(op, tenant, err)
		s.m.failed(op, err)
	}
	return err
}

// Close implements series.Store.
func (s *Store) Close() error {
	s.lifeMu.Lock()
	if s.closed {
		s.lifeMu.Unlock()
		return nil
	}
	s.closed = true
	s.stop()
	for s.calls > 0 {
		s.idle.Wait()
	}
	s.lifeMu.Unlock()
	<-s.sealDone
	close(s.fold)
	<-s.foldDone
	s.m.unregister(s.opts.Registerer)
	var err error
	if !s.opts.readOnly {
		err = s.foldJournal() // so that the next start has nothing to read
	}
	err = errors.Join(err, s.db.Close())
	s.cache.Unref()
	return wrap("series.Close", "", err)
}

// DiskBytes returns the size of the store's files.
func (s *Store) DiskBytes() int64 {
	if s.enter() != nil {
		return 0
	}
	defer s.leave()
	return int64(s.db.Metrics().DiskSpaceUsage())
}

// TableBytes returns the size of the live tables: what the measurements themselves take, without the log of fixed size and tables that wait
// to be deleted.
func (s *Store) TableBytes() int64 {
	if s.enter() != nil {
		return 0
	}
	defer s.leave()
	return s.db.Metrics().Total().TablesSize
}

// Compact merges everything into the lowest level, which frees the space of sealed and deleted rows at once instead of over time.
// It is meant for benchmarks and for maintenance windows: it rewrites the whole store.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return wrap("series.Compact", "", err)
	}
	defer s.leave()
	err := s.db.Flush()
	if err == nil {
		err = s.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
	}
	return s.finish("series.Compact", "", err)
}

// Checkpoint writes a copy of the store as of a moment during the call into a folder that does not exist yet: everything that Append
// acknowledged before the call is in it. On the same file system it takes next to no time and space: tables are linked.
func (s *Store) Checkpoint(dir string) error {
	if err := s.enter(); err != nil {
		return wrap("series.Checkpoint", "", err)
	}
	defer s.leave()
	return s.finish("series.Checkpoint", "", s.db.Checkpoint(dir, pebble.WithFlushedWAL()))
}

// engineLog passes the engine's messages on.
type engineLog struct {
	log   *slog.Logger
	fatal func(msg string)
}

// Infof implements pebble.Logger.
func (l engineLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("storage engine", "msg", fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (l engineLog) Errorf(format string, args ...any) {
	l.log.Error("storage engine", "err", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. The engine calls it when it can no longer promise that what it acknowledges is stored, for example
// when the log cannot be written; it must not return, and going on would lose data.
func (l engineLog) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	msg := "series store cannot go on: " + fmt.Sprintf(format, args...)
	if l.fatal != nil {
		l.fatal(msg)
	}
	panic(msg)
}
