package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"time"
)

// Tx is a transaction under way. It is used by one goroutine, inside the function passed to Write.
type Tx struct {
	db   *DB
	conn interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	prepared map[string]*sql.Stmt // SQLite only: belongs to the writer
}

// Exec runs a statement and returns the number of rows it touched.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx = tx.whole(ctx)
	var res sql.Result
	stmt, err := tx.prepare(ctx, query)
	switch {
	case err != nil:
		return 0, err
	case stmt != nil:
		res, err = stmt.ExecContext(ctx, args...)
	default:
		res, err = tx.conn.ExecContext(ctx, tx.db.Dialect.rewrite(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a SELECT inside the transaction. The caller closes the rows before the next statement.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = tx.whole(ctx)
	if stmt, err := tx.prepare(ctx, query); err != nil || stmt != nil {
		if err != nil {
			return nil, err
		}
		return stmt.QueryContext(ctx, args...)
	}
	return tx.conn.QueryContext(ctx, tx.db.Dialect.rewrite(query), args...)
}

// QueryRow runs a SELECT of at most one row inside the transaction.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	ctx = tx.whole(ctx)
	if stmt, err := tx.prepare(ctx, query); err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return tx.conn.QueryRowContext(ctx, tx.db.Dialect.rewrite(query), args...)
}

// whole keeps a caller that leaves from interrupting a statement of SQLite's writer: SQLite answers that by rolling back the whole transaction,
// with what all others of the group wrote. What was begun is finished instead.
func (tx *Tx) whole(ctx context.Context) context.Context {
	if tx.prepared == nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// prepare returns the writer's prepared statement; nil means to run the text as it is.
func (tx *Tx) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if tx.prepared == nil {
		return nil, nil
	}
	if stmt := tx.prepared[query]; stmt != nil {
		return stmt, nil
	}
	if len(tx.prepared) >= statementLimit {
		return nil, nil
	}
	stmt, err := tx.conn.(*sql.Conn).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	tx.prepared[query] = stmt
	return stmt, nil
}

// Lock serializes the transactions that lock the same key until they end. On SQLite, where there is one writer, it does nothing.
func (tx *Tx) Lock(ctx context.Context, key ...string) error {
	if tx.db.Dialect != Postgres {
		return nil
	}
	h := fnv.New64a()
	for _, k := range key {
		_, _ = h.Write([]byte(k))
		_, _ = h.Write([]byte{0})
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(?)`, int64(h.Sum64()))
	return err
}

// ForUpdate is appended to a SELECT whose row is about to be changed.
func (tx *Tx) ForUpdate() string {
	if tx.db.Dialect == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// LockIn is ForUpdate for who reads in a transaction or outside of any, where nothing can be locked.
func LockIn(q Queryer) string {
	if tx, ok := q.(*Tx); ok {
		return tx.ForUpdate()
	}
	return ""
}

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("the database is closed")

// Write runs fn in a transaction and returns nil only when it is durable. If fn fails, nothing of it is kept and its error is returned. fn may run
// more than once.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) (err error) {
	fn, done := effect(ctx, fn)
	defer func() { done(err); left(ctx, err) }()
	if db.Dialect == Postgres {
		return db.writePostgres(ctx, fn)
	}
	p := &pending{ctx: ctx, fn: fn, result: make(chan error, 1)}
	select {
	case <-db.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case db.writes <- p:
	}
	select {
	case err := <-p.result:
		return err
	case <-db.done: // closed while waiting; the writer may have answered just before
		select {
		case err := <-p.result:
			return err
		default:
			return ErrClosed
		}
	}
}

func (db *DB) writePostgres(ctx context.Context, fn func(*Tx) error) (err error) {
	for try := range retries {
		if err = db.tryPostgres(ctx, fn); err == nil || !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1<<try) * time.Millisecond):
		}
	}
	return err
}

func (db *DB) tryPostgres(ctx context.Context, fn func(*Tx) error) (err error) {
	t, err := db.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // no effect after Commit
	if err := safely(&Tx{db: db, conn: t}, fn); err != nil {
		return err
	}
	return t.Commit()
}

func safely(tx *Tx, fn func(*Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", r, debug.Stack())
		}
	}()
	return fn(tx)
}

// pending is a transaction that waits for the writer of SQLite.
type pending struct {
	ctx    context.Context
	fn     func(*Tx) error
	err    error
	result chan error
}

// writer owns the only writing connection. It runs all transactions that wait, each in a savepoint, and commits them together.
type writer struct {
	db   *DB
	conn *sql.Conn
}

func (w *writer) run() {
	defer close(w.db.done)
	tx := &Tx{db: w.db, conn: w.conn, prepared: map[string]*sql.Stmt{}}
	group := make([]*pending, 0, maxGroup)
	for {
		select {
		case p := <-w.db.writes:
			group = append(group[:0], p)
		case <-w.db.closed:
			if group = w.collect(group[:0]); len(group) == 0 {
				_ = w.conn.Close()
				return
			}
		}
		group = w.collect(group)
		w.commit(tx, group)
	}
}

// collect adds what waits already, without waiting for more: under load groups form by themselves while a commit runs.
func (w *writer) collect(group []*pending) []*pending {
	for len(group) < maxGroup {
		select {
		case p := <-w.db.writes:
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

func (w *writer) commit(tx *Tx, group []*pending) {
	var err error
	if b := w.db.broken.Load(); b != nil {
		err = *b
	} else {
		err = w.exec("BEGIN IMMEDIATE")
	}
	if err == nil {
		for i, p := range group {
			if p.err = w.one(tx, p); !errors.Is(p.err, errBroken) {
				continue
			}
			// SQLite rolled back the whole transaction, as it may when the disk is full. The others are run again, each for itself.
			_ = w.exec("ROLLBACK")
			p.result <- p.err
			for j, other := range group {
				if j < i && other.err != nil {
					other.result <- other.err
				} else if j != i {
					w.commit(tx, []*pending{other})
				}
			}
			return
		}
		if err = w.exec("COMMIT"); err != nil {
			_ = w.exec("ROLLBACK")
		}
	}
	if err != nil {
		w.db.log.Error("commit", "component", "sqlkit", "err", err)
	}
	w.check(err, group)
	for _, p := range group {
		if p.err == nil {
			p.err = err
		}
		p.result <- p.err
	}
}

// check stops all writing after an error that leaves it open what is on the disk.
func (w *writer) check(err error, group []*pending) {
	for _, p := range group {
		if fatal(p.err) {
			err = p.err
		}
	}
	if fatal(err) && w.db.broken.CompareAndSwap(nil, &err) && w.db.onBroken != nil {
		w.db.onBroken(err)
	}
}

// errBroken says that there is no transaction any more.
var errBroken = errors.New("the transaction of the group was rolled back")

// one runs one of a group. Its function may run again, see commit.
func (w *writer) one(tx *Tx, p *pending) error {
	if err := p.ctx.Err(); err != nil {
		return err // the caller has gone; nothing of it was promised
	}
	if err := w.exec("SAVEPOINT one"); err != nil {
		return err
	}
	err := safely(tx, p.fn)
	if err != nil {
		if rollback := w.exec("ROLLBACK TO one"); rollback != nil {
			return errors.Join(err, rollback, errBroken)
		}
	}
	return errors.Join(err, w.exec("RELEASE one"))
}

func (w *writer) exec(q string) error {
	_, err := w.conn.ExecContext(context.Background(), q)
	return err
}
