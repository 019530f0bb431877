package sqlkit

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Revision says who made a version of a document, when, and together with what.
type Revision struct {
	At  time.Time
	By  string
	Set string // the change set: all versions made by one request share it
}

// Superseded is a version of a document that a newer one, or nothing, has taken the place of.
type Superseded struct {
	Tenant, Kind, ID string
	From             time.Time // when this version came into being
	Until            Revision  // who ended it, and when
	Deleted          bool      // the document was deleted, not replaced
	Doc              []byte
	FromBy, FromSet  string // who made this version, and together with what; empty: not known
	Row              Row    // tells FromBy and FromSet instead, if it has a table
	Object, Peer     int64  // the managed object that the document is or belongs to, and a second one; zero: none
}

// Row is the row of a document that is current, in a table with the columns tenant, id, rev_by and rev_set.
type Row struct {
	Table string
	ID    int64
}

// Made returns who made the row, and together with what; both are empty if there is no such row.
func (x Row) Made(ctx context.Context, q Queryer, tenant string) (by, set string, err error) {
	err = Each(ctx, q, func(r *sql.Rows) error { return r.Scan(&by, &set) }, `SELECT rev_by, rev_set FROM `+x.Table+` WHERE tenant = ? AND id = ?`, tenant, x.ID)
	return by, set, err
}

// Supersede records a version that the transaction replaces or deletes. Every update and delete of a document goes through it:
// together with the current row it is the append-only change log.
func (tx *Tx) Supersede(ctx context.Context, s Superseded) error {
	const into = `INSERT INTO history (tenant, kind, id, valid_from, valid_to, changed_by, change_set, deleted, doc, object, peer, from_by, from_set) `
	args := []any{s.Tenant, s.Kind, s.ID, s.From.UnixMilli(), s.Until.At.UnixMilli(), s.Until.By, s.Until.Set, Bool(s.Deleted), string(s.Doc), s.Object, s.Peer}
	if s.Row.Table == "" {
		_, err := tx.Exec(ctx, into+`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(args, s.FromBy, s.FromSet)...)
		return err
	}
	n, err := tx.Exec(ctx, into+`SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, r.rev_by, r.rev_set FROM `+s.Row.Table+` r WHERE r.tenant = ? AND r.id = ?`, append(args, s.Tenant, s.Row.ID)...)
	if err == nil && n != 1 {
		err = sql.ErrNoRows
	}
	return err
}

// Columns says what of a row makes a version of a document: expressions over a table with the alias m.
type Columns struct {
	Kind, Table                                  string
	ID, From, Doc, FromBy, FromSet, Object, Peer string
}

// SupersedeRows is Supersede for the rows that a condition selects, which the transaction deletes next.
func (tx *Tx) SupersedeRows(ctx context.Context, c Columns, until Revision, where string, args ...any) error {
	_, err := tx.Exec(ctx, `INSERT INTO history (tenant, kind, id, valid_from, valid_to, changed_by, change_set, deleted, doc, object, peer, from_by, from_set)
		SELECT m.tenant, ?, `+c.ID+`, `+c.From+`, ?, ?, ?, 1, `+c.Doc+`, `+c.Object+`, `+c.Peer+`, `+c.FromBy+`, `+c.FromSet+` FROM `+c.Table+` m WHERE `+where,
		append([]any{c.Kind, until.At.UnixMilli(), until.By, until.Set}, args...)...)
	return err
}

// Forget removes the superseded versions of a document for good, for what must not be kept any longer.
func (tx *Tx) Forget(ctx context.Context, tenant, kind, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM history WHERE tenant = ? AND kind = ? AND id = ?`, tenant, kind, id)
	return err
}

const selectSuperseded = `SELECT tenant, kind, id, valid_from, valid_to, changed_by, change_set, deleted, doc FROM history `

// superseded calls each with the versions in rows of selectSuperseded.
func superseded(each func(Superseded) error) func(*sql.Rows) error {
	return func(r *sql.Rows) error {
		s, err := scanSuperseded(r)
		if err != nil {
			return err
		}
		return each(s)
	}
}

// History returns the superseded versions of a document, oldest first.
func (db *DB) History(ctx context.Context, tenant, kind, id string) ([]Superseded, error) {
	var out []Superseded
	err := Each(ctx, db, func(r *sql.Rows) error {
		s, err := scanSuperseded(r)
		out = append(out, s)
		return err
	}, selectSuperseded+`WHERE tenant = ? AND kind = ? AND id = ? ORDER BY seq`, tenant, kind, id)
	return out, err
}

// EachOf calls each with the superseded versions of documents of a kind, those of one document together and oldest first.
func EachOf[T ~uint64](ctx context.Context, db *DB, tenant, kind string, ids []T, each func(Superseded) error) error {
	cond, arg := AnyIDText(db.Dialect, "id", ids)
	return Each(ctx, db, superseded(each), selectSuperseded+`WHERE tenant = ? AND kind = ? AND `+cond+` ORDER BY id, seq`, tenant, kind, arg)
}

// AsOf returns the superseded version that was current at a time; sql.ErrNoRows if none was (then the current row may have been, or nothing).
func (db *DB) AsOf(ctx context.Context, tenant, kind, id string, at time.Time) (Superseded, error) {
	return scanSuperseded(db.QueryRow(ctx, selectSuperseded+`WHERE tenant = ? AND kind = ? AND id = ? AND valid_from <= ? AND valid_to > ? ORDER BY seq DESC LIMIT 1`,
		tenant, kind, id, at.UnixMilli(), at.UnixMilli()))
}

// Versions returns the superseded versions of a document, oldest first; with a time that is not zero only the one that was current then, if any was.
func (db *DB) Versions(ctx context.Context, tenant, kind, id string, at time.Time) ([]Superseded, error) {
	if at.IsZero() {
		return db.History(ctx, tenant, kind, id)
	}
	s, err := db.AsOf(ctx, tenant, kind, id, at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return []Superseded{s}, err
}

// EachAsOf calls each with the superseded versions of all documents of a kind that were current at a time, at most limit of them, in the order in
// which they ended. It looks at all that ended since, see Ended.
func (db *DB) EachAsOf(ctx context.Context, tenant, kind string, at time.Time, limit int, each func(Superseded) error) error {
	return Each(ctx, db, superseded(each), selectSuperseded+`WHERE tenant = ? AND kind = ? AND valid_to > ? AND valid_from <= ? ORDER BY valid_to, seq LIMIT ?`, tenant, kind, at.UnixMilli(), at.UnixMilli(), limit)
}

// Ended counts the versions of documents of a kind that ended after a time, up to limit.
func (db *DB) Ended(ctx context.Context, tenant, kind string, after time.Time, limit int) (n int, err error) {
	err = db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM history WHERE tenant = ? AND kind = ? AND valid_to > ? LIMIT ?) ended`, tenant, kind, after.UnixMilli(), limit).Scan(&n)
	return n, err
}

func scanSuperseded(r interface{ Scan(...any) error }) (s Superseded, err error) {
	var from, to, deleted int64
	err = r.Scan(&s.Tenant, &s.Kind, &s.ID, &from, &to, &s.Until.By, &s.Until.Set, &deleted, &s.Doc)
	s.From, s.Until.At, s.Deleted = Time(from), Time(to), deleted != 0
	return s, err
}

// Bool is how a boolean is stored.
func Bool(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Time reads Unix milliseconds; zero is the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Millis stores a time; the zero time is zero.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
