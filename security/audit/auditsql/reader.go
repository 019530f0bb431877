package auditsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/audit"
)

// Reader implements audit.Reader on connections of its own that cannot write. It uses the drivers directly: sqlkit creates and migrates what
// it opens, and this must not change a thing.
type Reader struct {
	db       *sql.DB
	tx       *sql.Tx // the fixed state
	postgres bool
	remove   string // a folder with copies; empty: none
}

var _ audit.Reader = (*Reader)(nil)

// OpenFile returns a reader of a SQLite database, whether or not a server runs on it or was killed on it.
func OpenFile(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	r := &Reader{}
	options := "immutable=1" // after a clean stop one file has it all
	log, err := os.Stat(path + "-wal")
	_, noShared := os.Stat(path + "-shm")
	switch {
	case err == nil && noShared == nil:
		options = "readonly_shm=1" // reads the log that a crash has left, with its index made in memory or shared with a running server
	case err == nil && log.Size() > 0: // an incomplete copy, for which SQLite would create the file that is missing
		if path, err = r.copy(path); err != nil {
			return nil, errors.Join(err, r.Close())
		}
		options = "cache=private"
	}
	r.db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&"+options+"&_pragma=busy_timeout(10000)&_pragma=query_only(1)&_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.db.SetMaxOpenConns(1)
	return r, nil
}

func (r *Reader) copy(path string) (string, error) {
	var err error
	if r.remove, err = os.MkdirTemp("", "isobar-audit-"); err != nil {
		return "", err
	}
	to := filepath.Join(r.remove, "documents.db")
	return to, errors.Join(copyFile(to, path), copyFile(to+"-wal", path+"-wal"))
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// OpenPostgres returns a reader of a PostgreSQL database.
func OpenPostgres(dsn string) (*Reader, error) {
	db, err := sql.Open("pgx", dsn)
	return &Reader{db: db, postgres: true}, err
}

// Close ends the reading.
func (r *Reader) Close() error {
	var err error
	if r.tx != nil {
		err = r.tx.Rollback()
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Close())
	}
	if r.remove != "" {
		err = errors.Join(err, os.RemoveAll(r.remove))
	}
	return err
}

// Begin implements audit.Reader.
func (r *Reader) Begin(ctx context.Context) (err error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if r.postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	if r.tx, err = r.db.BeginTx(ctx, opts); err != nil {
		return err
	}
	var n int // the first statement fixes the state
	if err := r.tx.QueryRowContext(ctx, `SELECT count(*) FROM audit_witness`).Scan(&n); err != nil {
		return fmt.Errorf("the audit chain cannot be read; if this database was never used by a server of this version, start one on it once: %w", err)
	}
	return nil
}

func (r *Reader) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := r.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return sqlkit.Rows(rows, scan)
}

// Tenants implements audit.Reader. It skips from one tenant to the next, so that it need not read every record.
func (r *Reader) Tenants(ctx context.Context) (out []iot.TenantID, err error) {
	for last := ""; ; {
		var next sql.NullString
		err := r.tx.QueryRowContext(ctx, `SELECT min(tenant) FROM (
			SELECT min(tenant) AS tenant FROM audit_entry WHERE tenant > $1 UNION ALL SELECT min(tenant) FROM audit_head WHERE tenant > $1) AS both_tables`, last).Scan(&next)
		if err != nil || !next.Valid {
			return out, err
		}
		last = next.String
		out = append(out, iot.TenantID(last))
	}
}

// Rows implements audit.Reader.
func (r *Reader) Rows(ctx context.Context, t iot.TenantID, fn func(audit.Row) error) error {
	return r.each(ctx, func(rows *sql.Rows) error {
		var seq, at, typ, account, application, source, doc, digest, hash, stub any // SQLite keeps any kind of value in any column
		var removed int
		if err := rows.Scan(&seq, &at, &typ, &account, &application, &source, &doc, &digest, &hash, &stub, &removed); err != nil {
			return err
		}
		var c kinds
		row := audit.Row{Seq: uint64(c.number("seq", seq)), Columns: audit.Columns{At: c.number("at", at), Type: c.text("type", typ), Account: c.text("account", account),
			Application: c.text("application", application), Source: c.number("source", source)}, Doc: c.bytes("doc", doc)}
		c.hash("digest", &row.Digest, digest)
		c.hash("hash", &row.Hash, hash)
		if removed != 0 {
			row.Stub = append([]byte{}, c.bytes("stub", stub)...)
		}
		if len(c) > 0 {
			row.Bad = "the value of the column " + strings.Join(c, ", ") + " is of the wrong kind"
		}
		return fn(row)
	}, `SELECT seq, at, type, account, application, source, doc, digest, hash, stub, CASE WHEN stub IS NULL THEN 0 ELSE 1 END FROM audit_entry WHERE tenant = $1 ORDER BY seq`, string(t))
}

// kinds collects the columns whose values are of the wrong kind.
type kinds []string

func (k *kinds) number(name string, v any) int64 {
	n, ok := v.(int64)
	if !ok {
		*k = append(*k, name)
	}
	return n
}

func (k *kinds) text(name string, v any) string {
	s, ok := v.(string)
	if !ok {
		*k = append(*k, name)
	}
	return s
}

func (k *kinds) bytes(name string, v any) []byte {
	b, ok := v.([]byte)
	if !ok && v != nil { // an empty value may arrive as nil; its digest tells it from NULL in the wrong place
		*k = append(*k, name)
	}
	return b
}

func (k *kinds) hash(name string, h *audit.Hash, v any) {
	b, ok := v.([]byte)
	if !ok || toHash(h, b) != nil {
		*k = append(*k, name)
	}
}

// Head implements audit.Reader.
func (r *Reader) Head(ctx context.Context, t iot.TenantID) (audit.Head, bool, error) {
	h, err := scanHead(r.tx.QueryRowContext(ctx, `SELECT `+headColumns+` FROM audit_head WHERE tenant = $1`, string(t)))
	if errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	}
	return h, err == nil, err
}

// HashOf implements audit.Reader.
func (r *Reader) HashOf(ctx context.Context, t iot.TenantID, seq uint64) (h audit.Hash, ok bool, err error) {
	var b []byte
	err = r.tx.QueryRowContext(ctx, `SELECT hash FROM audit_entry WHERE tenant = $1 AND seq = $2`, string(t), int64(seq)).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	}
	if err == nil {
		err = toHash(&h, b)
	}
	return h, err == nil, err
}

// Witnesses implements audit.Reader.
func (r *Reader) Witnesses(ctx context.Context) (out []audit.Witness, err error) {
	err = r.each(ctx, func(rows *sql.Rows) error {
		w, err := scanWitness(rows)
		out = append(out, w)
		return err
	}, `SELECT `+witnessColumns+` FROM audit_witness ORDER BY file`)
	return out, err
}

// Unadopted implements audit.Reader.
func (r *Reader) Unadopted(ctx context.Context) (n int, err error) {
	err = r.tx.QueryRowContext(ctx, `SELECT count(*) FROM audit_record`).Scan(&n)
	return n, err
}

// Engine implements audit.Reader. PostgreSQL offers no such check to everybody (see its extension amcheck).
func (r *Reader) Engine(ctx context.Context) (string, error) {
	if r.postgres {
		return "", nil
	}
	var wrong []string
	for _, table := range []string{"audit_entry", "audit_head", "audit_witness"} {
		err := r.each(ctx, func(rows *sql.Rows) error {
			var s string
			err := rows.Scan(&s)
			if err == nil && s != "ok" {
				wrong = append(wrong, s)
			}
			return err
		}, `PRAGMA integrity_check('`+table+`')`)
		if err != nil {
			return "", err
		}
	}
	const most = 5
	if len(wrong) > most {
		wrong = append(wrong[:most], "...")
	}
	return strings.Join(wrong, "; "), nil
}
