package seriessql

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Options tune a Store. The zero value is what the product runs with.
type Options struct {
	Registerer prometheus.Registerer // nil: metrics are not exported
}

// Store is the PostgreSQL driver. It implements series.Store.
type Store struct {
	pool   *pgxpool.Pool
	owned  bool // Close closes the pool
	reg    prometheus.Registerer
	m      metrics
	shapes *shapes

	mu     sync.RWMutex // guards closed
	closed bool
}

var _ series.Store = (*Store)(nil)

// Open connects to a database, given as a URL or as keywords and values, and brings its schema up to date.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, wrap("series.Open", "", err)
	}
	s, err := New(ctx, pool, opts)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}

// New uses a pool, which stays the caller's and must outlive the store, and brings the schema up to date.
func New(ctx context.Context, pool *pgxpool.Pool, opts Options) (*Store, error) {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return migrate(ctx, tx) })
	if err != nil {
		return nil, wrap("series.Open", "", err)
	}
	s := &Store{pool: pool, reg: opts.Registerer, m: newMetrics(), shapes: newShapes()}
	return s, wrap("series.Open", "", s.m.register(s.reg))
}

// Close implements series.Store. It does not wait for calls on a pool that is not its own.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.m.unregister(s.reg)
	if s.owned {
		s.pool.Close()
	}
	return nil
}

func (s *Store) alive() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.E(fault.Unavailable, "the store is closed")
	}
	return nil
}

// finish gives the error of a face method its operation and counts it.
func (s *Store) finish(op fault.Op, tenant iot.TenantID, err error) error {
	if err == nil {
		return nil
	}
	err = wrap(op, tenant, err)
	s.m.failed(op, err)
	return err
}

// Classes of PostgreSQL's error codes, appendix A of its manual.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	classResources       = "53" // out of disk, memory or connections
	diskFull             = "53100"
	classShutdown        = "57"
	classConnection      = "08"
	classCorrupted       = "XX"
)

func wrap(op fault.Op, tenant iot.TenantID, err error) error {
	var known *fault.Error
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.E(op, tenant, err)
	case !errors.As(err, &pg):
		return fault.E(op, fault.Unavailable, tenant, err) // the connection, not the statement
	case pg.Code == diskFull:
		return fault.E(op, fault.Full, tenant, err)
	case pg.Code == "XX001" || pg.Code == "XX002":
		return fault.E(op, fault.Corrupt, tenant, err)
	}
	switch pg.Code[:2] {
	case classResources, classShutdown, classConnection:
		return fault.E(op, fault.Unavailable, tenant, err)
	}
	return fault.E(op, fault.Internal, tenant, err)
}

// again reports whether a transaction failed only because another one was faster.
func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == uniqueViolation || pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

type metrics struct {
	points  prometheus.Counter
	commits prometheus.Histogram
	errors  *prometheus.CounterVec
}

func newMetrics() metrics {
	return metrics{
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "isobar_series_appended_points_total", Help: "Values of series that were stored."}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "isobar_series_commit_duration_seconds", Help: "Time from the start of an append until it was durable.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16)}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "isobar_series_errors_total", Help: "Failed operations by operation and kind, without those that the caller ended."},
			[]string{"op", "kind"}),
	}
}

func (m *metrics) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return errors.Join(reg.Register(m.points), reg.Register(m.commits), reg.Register(m.errors))
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	if reg != nil {
		reg.Unregister(m.points)
		reg.Unregister(m.commits)
		reg.Unregister(m.errors)
	}
}

func (m *metrics) committed(points int, began time.Time) {
	m.points.Add(float64(points))
	m.commits.Observe(time.Since(began).Seconds())
}

func (m *metrics) failed(op fault.Op, err error) {
	if k := fault.KindOf(err); k != 0 && k != fault.Canceled && k != fault.NotFound {
		m.errors.WithLabelValues(string(op), k.String()).Inc()
	}
}
