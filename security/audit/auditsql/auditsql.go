// Package auditsql is the SQL driver of security/audit, on SQLite and PostgreSQL.
package auditsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/audit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements audit.Store.
type Store struct {
	db *sqlkit.DB
	by *audit.Signer
}

var _ audit.Store = (*Store)(nil)

// New brings the tables up to date. by signs heads and stubs.
func New(ctx context.Context, db *sqlkit.DB, by *audit.Signer) (*Store, error) {
	return &Store{db, by}, db.Migrate(ctx, "audit", migrations)
}

// Append implements audit.Store.
func (s *Store) Append(ctx context.Context, t iot.TenantID, drafts []audit.Draft, at time.Time) (before, after audit.Head, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) (err error) {
		before, after, err = s.extend(ctx, tx, t, drafts, at)
		return err
	})
	return before, after, err
}

// extend adds records to a chain and moves its head.
func (s *Store) extend(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, drafts []audit.Draft, at time.Time) (before, after audit.Head, err error) {
	before, ok, err := headOf(ctx, tx, t, tx.ForUpdate())
	if err == nil && !ok { // there is no row to lock yet: two nodes that both begin the chain must take turns as well
		if err = tx.Lock(ctx, "audit", string(t)); err == nil {
			before, _, err = headOf(ctx, tx, t, tx.ForUpdate())
		}
	}
	if err != nil {
		return before, after, err
	}
	rows, after := before.Extend(drafts, at, s.by)
	if err := insert(ctx, tx, t, rows); err != nil {
		return before, after, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO audit_head (tenant, seq, hash, at, signer, signature) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at, signer = excluded.signer, signature = excluded.signature`,
		string(t), int64(after.Seq), after.Hash[:], after.Time.UnixMilli(), after.Key, after.Signature)
	return before, after, err
}

const values = "(?,?,?,?,?,?,?,?,?,?)"

// insert writes rows, many by one statement. The numbers of rows per statement are few, so that the statements stay prepared.
func insert(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, rows []audit.Row) error {
	for _, n := range [...]int{64, 8, 1} {
		for ; len(rows) >= n; rows = rows[n:] {
			args := make([]any, 0, 10*n)
			for i := range rows[:n] {
				r := &rows[i]
				args = append(args, string(t), int64(r.Seq), r.At, r.Type, r.Account, r.Application, r.Source, r.Doc, r.Digest[:], r.Hash[:])
			}
			_, err := tx.Exec(ctx, `INSERT INTO audit_entry (tenant, seq, at, type, account, application, source, doc, digest, hash) VALUES `+
				strings.Repeat(values+",", n-1)+values, args...)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func headOf(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, lock string) (h audit.Head, ok bool, err error) {
	h, err = scanHead(q.QueryRow(ctx, `SELECT `+headColumns+` FROM audit_head WHERE tenant = ?`+lock, string(t)))
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{Tenant: t}, false, nil
	}
	return h, err == nil, err
}

const headColumns = `tenant, seq, hash, at, signer, signature`

func scanHead(row interface{ Scan(...any) error }) (h audit.Head, err error) {
	var seq, at int64
	var hash []byte
	if err := row.Scan(&h.Tenant, &seq, &hash, &at, &h.Key, &h.Signature); err != nil {
		return h, err
	}
	h.Seq, h.Time = uint64(seq), iot.FromMillis(at)
	return h, toHash(&h.Hash, hash)
}

func toHash(h *audit.Hash, b []byte) error {
	if len(b) != len(h) {
		return fmt.Errorf("a hash has %d bytes", len(b))
	}
	copy(h[:], b)
	return nil
}

// Get implements audit.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, id iot.ID) (r iot.AuditRecord, err error) {
	var doc []byte
	err = s.db.QueryRow(ctx, `SELECT doc FROM audit_entry WHERE tenant = ? AND seq = ? AND stub IS NULL`, string(t), int64(id)).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.E(fault.Op("audit.Get"), fault.NotFound, fault.Subject(id.String()), "no audit record with the id "+id.String())
	}
	if err != nil {
		return r, err
	}
	return audit.Decode(id, doc)
}

// List implements audit.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, q audit.Query) ([]iot.AuditRecord, int, error) {
	where, args := []string{"tenant = ?", "stub IS NULL"}, []any{string(t)}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if q.Source != 0 {
		add("source = ?", int64(q.Source))
	}
	if q.Sources != nil {
		add(sqlkit.AnyID(s.db.Dialect, "source", q.Sources))
	}
	if q.Type != "" {
		add("type = ?", q.Type)
	}
	if q.User != "" {
		add("account = ?", q.User)
	}
	if q.Application != "" {
		add("application = ?", q.Application)
	}
	if !q.From.IsZero() {
		add("at >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		add("at < ?", q.To.UnixMilli())
	}
	cond := " FROM audit_entry WHERE " + strings.Join(where, " AND ")
	var n int
	if err := s.db.QueryRow(ctx, `SELECT count(*)`+cond, args...).Scan(&n); err != nil {
		return nil, 0, err
	}
	order := " ORDER BY at DESC, seq DESC"
	if q.Ascending {
		order = " ORDER BY at, seq"
	}
	var out []iot.AuditRecord
	err := sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		var seq int64
		var doc []byte
		if err := rows.Scan(&seq, &doc); err != nil {
			return err
		}
		r, err := audit.Decode(iot.ID(seq), doc)
		out = append(out, r)
		return err
	}, "SELECT seq, doc"+cond+order+" LIMIT ? OFFSET ?", append(slices.Clip(args), q.Limit, q.Offset)...)
	return out, n, err
}

// old returns the condition that selects old records.
func old(t iot.TenantID, q audit.Old) (cond string, args []any) {
	cond, args = ` FROM audit_entry WHERE tenant = ? AND at < ? AND stub IS NULL`, []any{string(t), q.Before.UnixMilli()}
	if q.Source != 0 {
		cond, args = cond+` AND source = ?`, append(args, int64(q.Source))
	}
	if q.Type != "" {
		cond, args = cond+` AND type = ?`, append(args, q.Type)
	}
	if c := sqlkit.Except(q.Except, "source", "type", ""); c.SQL != "" {
		cond, args = cond+` AND `+c.SQL, append(args, c.Args...)
	}
	return cond, args
}

// Held implements audit.Store.
func (s *Store) Held(ctx context.Context, t iot.TenantID, q audit.Old) (records, sources, bytes int64, err error) {
	cond, args := old(t, q)
	err = s.db.QueryRow(ctx, `SELECT count(*), count(DISTINCT nullif(source, 0)), coalesce(sum(octet_length(doc)), 0)`+cond, args...).Scan(&records, &sources, &bytes)
	return records, sources, bytes, err
}

// Redact implements audit.Store.
func (s *Store) Redact(ctx context.Context, t iot.TenantID, q audit.Old, limit int) (n int, err error) {
	cond, args := old(t, q)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n = 0
		type entry struct {
			seq  int64
			hash audit.Hash
		}
		var olds []entry
		err := sqlkit.Each(ctx, tx, func(rows *sql.Rows) error {
			var o entry
			var hash []byte
			if err := rows.Scan(&o.seq, &hash); err != nil {
				return err
			}
			olds = append(olds, o)
			return toHash(&olds[len(olds)-1].hash, hash)
		}, `SELECT seq, hash`+cond+` ORDER BY at, seq LIMIT ?`+tx.ForUpdate(), append(args[:len(args):len(args)], limit)...)
		if err != nil {
			return err
		}
		for _, o := range olds {
			_, err := tx.Exec(ctx, `UPDATE audit_entry SET at = 0, type = '', account = '', application = '', source = 0, doc = ?, stub = ? WHERE tenant = ? AND seq = ?`,
				[]byte{}, audit.StubOf(t, uint64(o.seq), o.hash, s.by), string(t), o.seq)
			if err != nil {
				return err
			}
		}
		n = len(olds)
		return nil
	})
	return n, err
}

// Adopt implements audit.Store.
func (s *Store) Adopt(ctx context.Context, limit int, at time.Time) (n int, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n = 0
		if err := tx.Lock(ctx, "audit adopt"); err != nil { // nodes that start together
			return err
		}
		var tenants []iot.TenantID
		drafts, last := map[iot.TenantID][]audit.Draft{}, map[iot.TenantID]int64{}
		err := sqlkit.Each(ctx, tx, func(rows *sql.Rows) error {
			var t iot.TenantID
			var doc []byte
			var id int64
			if err := rows.Scan(&t, &id, &doc); err != nil {
				return err
			}
			var r iot.AuditRecord // the form of old was that of the type itself
			if err := json.Unmarshal(doc, &r); err != nil {
				return fmt.Errorf("record %d of tenant %s: %w", id, t, err)
			}
			d, err := audit.NewDraft(r)
			if err != nil {
				return fmt.Errorf("record %d of tenant %s: %w", id, t, err)
			}
			if len(drafts[t]) == 0 {
				tenants = append(tenants, t)
			}
			drafts[t], last[t] = append(drafts[t], d), id
			n++
			return nil
		}, `SELECT tenant, id, doc FROM audit_record ORDER BY tenant, id LIMIT ?`, limit)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if _, _, err := s.extend(ctx, tx, t, drafts[t], at); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM audit_record WHERE tenant = ? AND id <= ?`, string(t), last[t]); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// Heads implements audit.Store.
func (s *Store) Heads(ctx context.Context) (heads []audit.Head, err error) {
	err = sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		h, err := scanHead(rows)
		heads = append(heads, h)
		return err
	}, `SELECT `+headColumns+` FROM audit_head ORDER BY tenant`)
	return heads, err
}

// HashOf implements audit.Store.
func (s *Store) HashOf(ctx context.Context, t iot.TenantID, seq uint64) (h audit.Hash, ok bool, err error) {
	var b []byte
	err = s.db.QueryRow(ctx, `SELECT hash FROM audit_entry WHERE tenant = ? AND seq = ?`, string(t), int64(seq)).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return h, false, nil
	}
	if err == nil {
		err = toHash(&h, b)
	}
	return h, err == nil, err
}

// Witness implements audit.Store.
func (s *Store) Witness(ctx context.Context, file audit.Hash) (w audit.Witness, ok bool, err error) {
	w, err = scanWitness(s.db.QueryRow(ctx, `SELECT `+witnessColumns+` FROM audit_witness WHERE file = ?`, file[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	return w, err == nil, err
}

const witnessColumns = `file, lines, last, signer, signature`

func scanWitness(row interface{ Scan(...any) error }) (w audit.Witness, err error) {
	var file, last []byte
	var lines int64
	if err := row.Scan(&file, &lines, &last, &w.Key, &w.Signature); err != nil {
		return w, err
	}
	w.Lines = uint64(lines)
	return w, errors.Join(toHash(&w.File, file), toHash(&w.Last, last))
}

// PutWitness implements audit.Store.
func (s *Store) PutWitness(ctx context.Context, w audit.Witness) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO audit_witness (file, lines, last, signer, signature) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (file) DO UPDATE SET lines = excluded.lines, last = excluded.last, signer = excluded.signer, signature = excluded.signature
			WHERE excluded.lines >= audit_witness.lines`, w.File[:], int64(w.Lines), w.Last[:], w.Key, w.Signature)
		return err
	})
}
