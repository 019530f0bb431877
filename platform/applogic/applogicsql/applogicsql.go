// Package applogicsql is the SQL driver of platform/applogic, on SQLite and PostgreSQL.
package applogicsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/applogic"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements applogic.Store.
type Store struct{ db *sqlkit.DB }

var _ applogic.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "applogic", migrations)
}

// firstID leaves room for the applications of the platform itself.
const firstID = 1000

// NextID implements applogic.Store.
func (s *Store) NextID(ctx context.Context) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(iot.Management), "application")
	return iot.ID(n + firstID - 1), err
}

func scan(r interface{ Scan(...any) error }) (a applogic.App, err error) {
	var doc []byte
	var id, at int64
	if err = r.Scan(&a.Owner, &id, &doc, &at); err != nil {
		return a, err
	}
	owner := a.Owner
	err = json.Unmarshal(doc, &a)
	a.Owner, a.ID, a.Changed = owner, iot.ID(id), sqlkit.Time(at)
	return a, err
}

const columns = `SELECT tenant, id, doc, rev_at FROM application `

// App implements applogic.Store.
func (s *Store) App(ctx context.Context, owner iot.TenantID, id iot.ID) (applogic.App, error) {
	return scan(s.db.QueryRow(ctx, columns+`WHERE tenant = ? AND id = ?`, string(owner), int64(id)))
}

// Owned implements applogic.Store.
func (s *Store) Owned(ctx context.Context, owner iot.TenantID) (out []applogic.App, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		a, err := scan(r)
		out = append(out, a)
		return err
	}, columns+`WHERE tenant = ? ORDER BY id`, string(owner))
	return out, err
}

// Create implements applogic.Store.
func (s *Store) Create(ctx context.Context, a applogic.App, rev sqlkit.Revision) error {
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO application (tenant, id, name, app_key, place, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?)`,
			string(a.Owner), int64(a.ID), a.Name, a.Key, a.Place(), string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
		return err
	})
}

// Update implements applogic.Store.
func (s *Store) Update(ctx context.Context, owner iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(applogic.App) (applogic.App, error)) (before, after applogic.App, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) (err error) {
		if before, err = scan(tx.QueryRow(ctx, columns+`WHERE tenant = ? AND id = ?`+tx.ForUpdate(), string(owner), int64(id))); err != nil {
			return err
		}
		if after, err = change(before.Clone()); err != nil {
			return err
		}
		if err := supersede(ctx, tx, before, rev, false); err != nil {
			return err
		}
		doc, err := json.Marshal(after)
		if err != nil {
			return err
		}
		after.Changed = rev.At
		_, err = tx.Exec(ctx, `UPDATE application SET name = ?, app_key = ?, place = ?, doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`,
			after.Name, after.Key, after.Place(), string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(owner), int64(id))
		return err
	})
	return before, after, err
}

func supersede(ctx context.Context, tx *sqlkit.Tx, a applogic.App, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(a.Owner), Kind: string(iot.KindApplication), ID: a.ID.String(), From: a.Changed, Until: rev, Deleted: deleted, Doc: doc})
}

// Delete implements applogic.Store.
func (s *Store) Delete(ctx context.Context, owner iot.TenantID, id iot.ID, force bool, rev sqlkit.Revision) (gone []applogic.Subscription, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		a, err := scan(tx.QueryRow(ctx, columns+`WHERE tenant = ? AND id = ?`+tx.ForUpdate(), string(owner), int64(id)))
		if err != nil {
			return err
		}
		if gone, err = subscriptions(ctx, tx, `owner = ? AND app = ? ORDER BY tenant`, string(owner), int64(id)); err != nil {
			return err
		}
		for _, x := range gone {
			if x.Tenant != owner && !force {
				return applogic.ErrSubscribed
			}
		}
		if err := supersede(ctx, tx, a, rev, true); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM application_subscription WHERE owner = ? AND app = ?`, string(owner), int64(id)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM application WHERE tenant = ? AND id = ?`, string(owner), int64(id))
		return err
	})
	return gone, err
}

func subscriptions(ctx context.Context, q sqlkit.Queryer, where string, args ...any) (out []applogic.Subscription, err error) {
	err = sqlkit.Each(ctx, q, func(r *sql.Rows) error {
		var x applogic.Subscription
		var id int64
		err := r.Scan(&x.Tenant, &x.Owner, &id, &x.Secret)
		x.App = iot.ID(id)
		out = append(out, x)
		return err
	}, `SELECT tenant, owner, app, secret FROM application_subscription WHERE `+where, args...)
	return out, err
}

// Subscriptions implements applogic.Store.
func (s *Store) Subscriptions(ctx context.Context, t iot.TenantID) ([]applogic.Subscription, error) {
	return subscriptions(ctx, s.db, `tenant = ? ORDER BY app`, string(t))
}

// Subscribers implements applogic.Store.
func (s *Store) Subscribers(ctx context.Context, owner iot.TenantID, id iot.ID) ([]applogic.Subscription, error) {
	return subscriptions(ctx, s.db, `owner = ? AND app = ? ORDER BY tenant`, string(owner), int64(id))
}

// Subscribe implements applogic.Store.
func (s *Store) Subscribe(ctx context.Context, x applogic.Subscription) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO application_subscription (tenant, owner, app, secret) VALUES (?,?,?,?)`, string(x.Tenant), string(x.Owner), int64(x.App), x.Secret)
		return err
	})
}

// Unsubscribe implements applogic.Store.
func (s *Store) Unsubscribe(ctx context.Context, t iot.TenantID, id iot.ID) (x applogic.Subscription, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		found, err := subscriptions(ctx, tx, `tenant = ? AND app = ?`, string(t), int64(id))
		if err == nil && len(found) == 0 {
			err = sql.ErrNoRows
		}
		if err != nil {
			return err
		}
		x = found[0]
		_, err = tx.Exec(ctx, `DELETE FROM application_subscription WHERE tenant = ? AND app = ?`, string(t), int64(id))
		return err
	})
	return x, err
}
