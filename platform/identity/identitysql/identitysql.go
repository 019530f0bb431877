// Package identitysql is the SQL driver of platform/identity, on SQLite and PostgreSQL.
package identitysql

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/identity"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements identity.Store.
type Store struct{ db *sqlkit.DB }

var _ identity.Store = (*Store)(nil)

// New brings the table up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "identity", migrations)
}

const columns = `id, tenant, status, owner, created, changed, device_group, type, custom, token, failures, enrollment`

func scan(row interface{ Scan(...any) error }) (r identity.Registration, err error) {
	var created, changed, group int64
	var custom, token, enrollment []byte
	if err = row.Scan(&r.ID, &r.Tenant, &r.Status, &r.Owner, &created, &changed, &group, &r.Type, &custom, &token, &r.Failures, &enrollment); err != nil {
		return r, err
	}
	r.Created, r.Changed, r.Group = sqlkit.Time(created), sqlkit.Time(changed), iot.ID(group)
	if len(token) > 0 {
		r.Token = token
	}
	if len(enrollment) > 0 {
		r.Enrollment = enrollment
	}
	r.Custom, err = iot.ParseDoc(custom, iot.MaxDepth+1)
	return r, err
}

// Create implements identity.Store.
func (s *Store) Create(ctx context.Context, r identity.Registration, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.Lock(ctx, "registration", r.ID); err != nil {
			return err
		}
		old, err := get(ctx, tx, r.ID, tx.ForUpdate())
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && old.Status == identity.Used {
			if err := remove(ctx, tx, old, rev); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO device_registration (`+columns+`, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			r.ID, string(r.Tenant), string(r.Status), string(r.Owner), sqlkit.Millis(r.Created), sqlkit.Millis(r.Changed), int64(r.Group), r.Type,
			string(r.Custom.AppendTo(nil)), []byte(r.Token), int64(r.Failures), []byte(r.Enrollment), rev.By, rev.Set)
		return err
	})
}

// Get implements identity.Store.
func (s *Store) Get(ctx context.Context, id string) (identity.Registration, error) {
	return get(ctx, s.db, id, "")
}

func get(ctx context.Context, q sqlkit.Queryer, id, lock string) (identity.Registration, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM device_registration WHERE id = ?`+lock, id))
}

// List implements identity.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID, offset, limit int) (out []identity.Registration, n int, err error) {
	const where = ` FROM device_registration WHERE tenant = ? AND status <> 'USED'`
	if err = s.db.QueryRow(ctx, `SELECT count(*)`+where, string(t)).Scan(&n); err != nil || limit <= 0 {
		return nil, n, err
	}
	err = sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		r, err := scan(rows)
		out = append(out, r)
		return err
	}, `SELECT `+columns+where+` ORDER BY created, id LIMIT ? OFFSET ?`, string(t), limit, offset)
	return out, n, err
}

// Update implements identity.Store.
func (s *Store) Update(ctx context.Context, id string, rev sqlkit.Revision, change func(identity.Registration) identity.Registration) (out identity.Registration, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		old, err := get(ctx, tx, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		out = change(old)
		if out.Status == old.Status && out.Failures == old.Failures && bytes.Equal(out.Token, old.Token) {
			return nil
		}
		out.Changed = sqlkit.Time(rev.At.UnixMilli())
		if err := supersede(ctx, tx, old, rev, false); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE device_registration SET status = ?, changed = ?, token = ?, failures = ?, rev_by = ?, rev_set = ? WHERE id = ?`,
			string(out.Status), sqlkit.Millis(out.Changed), []byte(out.Token), int64(out.Failures), rev.By, rev.Set, id)
		return err
	})
	return out, err
}

// Delete implements identity.Store.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, id string, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		old, err := get(ctx, tx, id, tx.ForUpdate())
		if err == nil && old.Tenant != t {
			err = sql.ErrNoRows
		}
		if err != nil {
			return err
		}
		return remove(ctx, tx, old, rev)
	})
}

func remove(ctx context.Context, tx *sqlkit.Tx, old identity.Registration, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, old, rev, true); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM device_registration WHERE id = ?`, old.ID)
	return err
}

// supersede keeps a version without its token: what is over needs no secret.
func supersede(ctx context.Context, tx *sqlkit.Tx, old identity.Registration, rev sqlkit.Revision, deleted bool) error {
	old.Token, old.Enrollment = nil, nil
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(old.Tenant), Kind: string(iot.KindRegistration), ID: old.ID, From: old.Changed, Until: rev, Deleted: deleted, Doc: doc})
}
