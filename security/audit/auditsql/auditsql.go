// Package auditsql is the SQL driver of security/audit, on SQLite and PostgreSQL.
package auditsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/audit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements audit.Store.
type Store struct{ db *sqlkit.DB }

var _ audit.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "audit", migrations)
}

// NextID implements audit.Store.
func (s *Store) NextID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(t), "audit")
	return iot.ID(n), err
}

// Append implements audit.Store.
func (s *Store) Append(ctx context.Context, t iot.TenantID, records []iot.AuditRecord) error {
	docs := make([][]byte, len(records))
	for i, r := range records {
		var err error
		if docs[i], err = json.Marshal(r); err != nil {
			return err
		}
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for i, r := range records {
			_, err := tx.Exec(ctx, `INSERT INTO audit_record (tenant, id, at, type, account, application, source, doc) VALUES (?,?,?,?,?,?,?,?)`,
				string(t), int64(r.ID), r.Time.UnixMilli(), r.Type, string(r.User), r.Application, int64(r.Source), string(docs[i]))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Get implements audit.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, id iot.ID) (r iot.AuditRecord, err error) {
	var doc []byte
	err = s.db.QueryRow(ctx, `SELECT doc FROM audit_record WHERE tenant = ? AND id = ?`, string(t), int64(id)).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.E(fault.Op("audit.Get"), fault.NotFound, fault.Subject(id.String()), "no audit record with the id "+id.String())
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(doc, &r)
}

// List implements audit.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, q audit.Query) ([]iot.AuditRecord, int, error) {
	where, args := []string{"tenant = ?"}, []any{string(t)}
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if q.Source != 0 {
		add("source = ?", int64(q.Source))
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
	cond := " FROM audit_record WHERE " + strings.Join(where, " AND ")
	var n int
	if err := s.db.QueryRow(ctx, `SELECT count(*)`+cond, args...).Scan(&n); err != nil {
		return nil, 0, err
	}
	order := " ORDER BY at DESC, id DESC"
	if q.Ascending {
		order = " ORDER BY at, id"
	}
	var out []iot.AuditRecord
	err := sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		var r iot.AuditRecord
		err := json.Unmarshal(doc, &r)
		out = append(out, r)
		return err
	}, "SELECT doc"+cond+order+" LIMIT ? OFFSET ?", append(args, q.Limit, q.Offset)...)
	return out, n, err
}
