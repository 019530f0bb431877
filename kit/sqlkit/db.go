package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the database/sql driver "pgx"; a driver's only way in
	sqlite "modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// DB is one SQL database, of either engine.
type DB struct {
	Dialect Dialect
	log     *slog.Logger
	dsn     string // SQLite only

	read   *sql.DB
	write  *sql.DB       // SQLite only: the pool of one that the writer owns
	writes chan *pending // SQLite only: bounded; Write blocks when it is full
	done   chan struct{} // SQLite only: closed when the writer has ended

	statements cache
	sequences  sequences
	broken     atomic.Pointer[error] // SQLite only: after it, nothing is written any more
	onBroken   func(error)
	closing    sync.Once
	closed     chan struct{}
}

const (
	writeQueue     = 1024
	maxGroup       = 256 // transactions that share one commit
	readers        = 8
	postgresConns  = 24
	retries        = 6
	statementLimit = 512
)

// OpenSQLite opens or creates the database file at path.
func OpenSQLite(ctx context.Context, path string, log *slog.Logger) (*DB, error) {
	dsn := func(extra ...string) string {
		pragmas := append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-16000)"}, extra...)
		return fileURI(path) + "?_pragma=" + strings.Join(pragmas, "&_pragma=")
	}
	db := newDB(SQLite, log)
	db.dsn = dsn()
	var err error
	if db.write, err = sql.Open("sqlite", db.dsn); err != nil {
		return nil, err
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", dsn("query_only(1)")); err != nil {
		return nil, err
	}
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.writes = make(chan *pending, writeQueue)
	db.done = make(chan struct{})
	go (&writer{db: db, conn: conn}).run()
	return db, db.migrateOwn(ctx)
}

func fileURI(path string) string { return "file:" + (&url.URL{Path: path}).EscapedPath() }

// OpenPostgres connects to the database named by a DSN or URL.
func OpenPostgres(ctx context.Context, dsn string, log *slog.Logger) (*DB, error) {
	db := newDB(Postgres, log)
	var err error
	if db.read, err = sql.Open("pgx", dsn); err != nil {
		return nil, err
	}
	db.read.SetMaxOpenConns(postgresConns)
	db.read.SetMaxIdleConns(postgresConns)
	db.read.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.read.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return db, db.migrateOwn(ctx)
}

func newDB(d Dialect, log *slog.Logger) *DB {
	db := &DB{Dialect: d, log: log, closed: make(chan struct{})}
	db.statements.m = map[string]*sql.Stmt{}
	db.sequences.m = map[sequenceKey]*block{}
	return db
}

// Close waits for the transactions under way and closes the database. Later calls of Write fail.
func (db *DB) Close() error {
	var err error
	db.closing.Do(func() {
		close(db.closed)
		if db.done != nil {
			<-db.done
		}
		err = db.read.Close()
		if db.write != nil { // last: only a connection that may write folds the log into the database when it closes
			err = errors.Join(err, db.write.Close())
		}
	})
	return err
}

// RenewReaders closes the reading connections that are idle, so that the next ones know what was registered with the engine since.
func (db *DB) RenewReaders() {
	if db.Dialect == SQLite {
		db.read.SetMaxIdleConns(0)
		db.read.SetMaxIdleConns(readers)
	}
}

// OnBroken says what is to be done when SQLite's files can no longer be written or synced. From then on every Write fails: after a failed
// sync nobody knows what is on the disk, and only opening the database again finds out. It is called before the first Write, f once.
func (db *DB) OnBroken(f func(error)) { db.onBroken = f }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Query runs a SELECT outside of any transaction. The caller closes the rows.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := db.statements.get(ctx, db, query)
	if err != nil {
		return nil, err
	}
	if stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return db.read.QueryContext(ctx, db.Dialect.rewrite(query), args...)
}

// QueryRow runs a SELECT of at most one row; Scan returns sql.ErrNoRows if there is none.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := db.statements.get(ctx, db, query)
	if err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return db.read.QueryRowContext(ctx, db.Dialect.rewrite(query), args...)
}

// Queryer is what DB and Tx have in common.
type Queryer interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Each calls scan for every row of a query and closes it.
func Each(ctx context.Context, q Queryer, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	return Rows(rows, scan)
}

// Rows calls scan for every row and closes them.
func Rows(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// cache keeps prepared statements for reads. Beyond statementLimit texts, new ones run unprepared: texts come from
// code and from the shape of queries, so that a client cannot grow it without bound.
type cache struct {
	mu sync.RWMutex // guards m
	m  map[string]*sql.Stmt
}

func (c *cache) get(ctx context.Context, db *DB, query string) (*sql.Stmt, error) {
	c.mu.RLock()
	stmt, full := c.m[query], len(c.m) >= statementLimit
	c.mu.RUnlock()
	if stmt != nil || full {
		return stmt, nil
	}
	stmt, err := db.read.PrepareContext(ctx, db.Dialect.rewrite(query))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.m[query]; old != nil {
		_ = stmt.Close()
		return old, nil
	}
	c.m[query] = stmt
	return stmt, nil
}

// IsUnique reports whether err says that a unique key exists already.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlitelib.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// IsFull reports whether err says that no space is left.
func IsFull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53100"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlitelib.SQLITE_FULL
}

// fatal reports whether err says that SQLite's files cannot be written or synced, for another reason than a full disk.
func fatal(err error) bool {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	switch lite.Code() {
	case sqlitelib.SQLITE_IOERR_FSYNC, sqlitelib.SQLITE_IOERR_DIR_FSYNC, sqlitelib.SQLITE_IOERR_WRITE, sqlitelib.SQLITE_IOERR_TRUNCATE:
		return true
	}
	return false
}

func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
