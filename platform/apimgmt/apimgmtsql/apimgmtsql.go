// Package apimgmtsql is the SQL driver of platform/apimgmt, on SQLite and PostgreSQL.
package apimgmtsql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"slices"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/apimgmt"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements apimgmt.Store.
type Store struct{ db *sqlkit.DB }

var _ apimgmt.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "apimgmt", migrations)
}

func scan(r interface{ Scan(...any) error }) (k apimgmt.Key, err error) {
	var doc []byte
	var last int64
	if err := r.Scan(&doc, &last); err != nil {
		return k, err
	}
	err = json.Unmarshal(doc, &k)
	k.LastUsed = sqlkit.Time(last)
	return k, err
}

const one = `SELECT doc, last_used FROM api_key WHERE tenant = ? AND id = ?`

// Key implements apimgmt.Store.
func (s *Store) Key(ctx context.Context, t iot.TenantID, id string) (apimgmt.Key, error) {
	return scan(s.db.QueryRow(ctx, one, string(t), id))
}

// Keys implements apimgmt.Store.
func (s *Store) Keys(ctx context.Context, t iot.TenantID, owner iot.UserName) (out []apimgmt.Key, err error) {
	query, args := `SELECT doc, last_used FROM api_key WHERE tenant = ?`, []any{string(t)}
	if owner != "" {
		query += ` AND owner = ?`
		args = append(args, string(owner))
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		k, err := scan(r)
		out = append(out, k)
		return err
	}, query+` ORDER BY id`, args...)
	return out, err
}

// CreateKey implements apimgmt.Store.
func (s *Store) CreateKey(ctx context.Context, t iot.TenantID, k apimgmt.Key, most int) (full bool, err error) {
	doc, err := json.Marshal(k)
	if err != nil {
		return false, err
	}
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		full = false
		if err := tx.Lock(ctx, "apikey", string(t), string(k.Owner)); err != nil {
			return err
		}
		n := 0
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_key WHERE tenant = ? AND owner = ?`, string(t), string(k.Owner)).Scan(&n); err != nil {
			return err
		}
		if full = n >= most; full {
			return nil
		}
		_, err := tx.Exec(ctx, `INSERT INTO api_key (tenant, id, owner, doc) VALUES (?,?,?,?)`, string(t), k.ID, string(k.Owner), string(doc))
		return err
	})
	return full, err
}

// UpdateKey implements apimgmt.Store.
func (s *Store) UpdateKey(ctx context.Context, t iot.TenantID, id string, change func(apimgmt.Key) apimgmt.Key) (k apimgmt.Key, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if k, err = scan(tx.QueryRow(ctx, one+tx.ForUpdate(), string(t), id)); err != nil {
			return err
		}
		k = change(k)
		doc, err := json.Marshal(k)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE api_key SET doc = ? WHERE tenant = ? AND id = ?`, string(doc), string(t), id)
		return err
	})
	return k, err
}

// DeleteKey implements apimgmt.Store.
func (s *Store) DeleteKey(ctx context.Context, t iot.TenantID, id string) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM api_key WHERE tenant = ? AND id = ?`, string(t), id)
		if err == nil && n == 0 {
			err = sql.ErrNoRows
		}
		return err
	})
}

// AddUsage implements apimgmt.Store. All nodes add in the same order, so that none waits for another one in a circle.
func (s *Store) AddUsage(ctx context.Context, lines []apimgmt.UsageLine) error {
	lines = slices.Clone(lines)
	slices.SortFunc(lines, func(a, b apimgmt.UsageLine) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Consumer, b.Consumer))
	})
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, x := range lines {
			_, err := tx.Exec(ctx, `INSERT INTO api_usage (tenant, day, kind, consumer, owner, requests, errors, bytes_in, bytes_out, last) VALUES (?,?,?,?,?,?,?,?,?,?)
				ON CONFLICT (tenant, day, kind, consumer) DO UPDATE SET requests = api_usage.requests + excluded.requests, errors = api_usage.errors + excluded.errors,
				bytes_in = api_usage.bytes_in + excluded.bytes_in, bytes_out = api_usage.bytes_out + excluded.bytes_out, last = excluded.last`,
				string(x.Tenant), x.Day, string(x.Kind), x.Consumer, string(x.Owner), x.Requests, x.Errors, x.In, x.Out, sqlkit.Millis(x.Last))
			if err != nil {
				return err
			}
			if x.Kind != apimgmt.ByKey {
				continue
			}
			if _, err := tx.Exec(ctx, `UPDATE api_key SET last_used = ? WHERE tenant = ? AND id = ? AND last_used < ?`, sqlkit.Millis(x.Last), string(x.Tenant), x.Consumer, sqlkit.Millis(x.Last)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Usage implements apimgmt.Store.
func (s *Store) Usage(ctx context.Context, t iot.TenantID, q apimgmt.UsageQuery) (out []apimgmt.UsageLine, n int, err error) {
	cond, args := ` FROM api_usage WHERE tenant = ?`, []any{string(t)}
	for _, c := range [...]struct{ text, value string }{{"day >= ?", q.From}, {"day <= ?", q.To}, {"kind = ?", string(q.Kind)}, {"consumer = ?", q.Consumer}, {"owner = ?", string(q.Owner)}} {
		if c.value != "" {
			cond += " AND " + c.text
			args = append(args, c.value)
		}
	}
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*)`+cond, args...).Scan(&n); err != nil {
		return nil, 0, err
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		x := apimgmt.UsageLine{Tenant: t}
		var last int64
		err := r.Scan(&x.Day, &x.Kind, &x.Consumer, &x.Owner, &x.Requests, &x.Errors, &x.In, &x.Out, &last)
		x.Last = sqlkit.Time(last)
		out = append(out, x)
		return err
	}, `SELECT day, kind, consumer, owner, requests, errors, bytes_in, bytes_out, last`+cond+` ORDER BY day DESC, kind, consumer LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
	return out, n, err
}
