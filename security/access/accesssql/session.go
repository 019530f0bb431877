package accesssql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// PutSession implements access.SessionStore.
func (s *Store) PutSession(ctx context.Context, t iot.TenantID, x access.Session) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO session (tenant, id, account, xsrf, one_time, created, expires) VALUES (?,?,?,?,?,?,?)`,
			string(t), x.ID, string(x.User), x.XSRF, sqlkit.Bool(x.OneTime), x.Created.UnixMilli(), x.Expires.UnixMilli())
		return err
	})
}

const selectSession = `SELECT id, account, xsrf, one_time, created, expires FROM session WHERE tenant = ? AND id = ? AND expires > ?`

func scanSession(r *sql.Row) (x access.Session, err error) {
	var oneTime, created, expires int64
	err = r.Scan(&x.ID, &x.User, &x.XSRF, &oneTime, &created, &expires)
	x.OneTime, x.Created, x.Expires = oneTime != 0, sqlkit.Time(created), sqlkit.Time(expires)
	return x, err
}

// Session implements access.SessionStore.
func (s *Store) Session(ctx context.Context, t iot.TenantID, id string, now time.Time) (access.Session, error) {
	return scanSession(s.db.QueryRow(ctx, selectSession, string(t), id, now.UnixMilli()))
}

// TakeSession implements access.SessionStore.
func (s *Store) TakeSession(ctx context.Context, t iot.TenantID, id string, now time.Time) (x access.Session, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if x, err = scanSession(tx.QueryRow(ctx, selectSession+tx.ForUpdate(), string(t), id, now.UnixMilli())); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM session WHERE tenant = ? AND id = ?`, string(t), id)
		return err
	})
	return x, err
}

// DeleteSessions implements access.SessionStore.
func (s *Store) DeleteSessions(ctx context.Context, t iot.TenantID, user iot.UserName, id string, now time.Time) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM session WHERE tenant = ? AND (expires <= ? OR ((account = ? OR ? = '') AND (id = ? OR ? = '')))`,
			string(t), now.UnixMilli(), string(user), string(user), id, id)
		return err
	})
}

// SigningKey implements access.SessionStore.
func (s *Store) SigningKey(ctx context.Context, candidate func() ([]byte, error)) (key []byte, err error) {
	const read = `SELECT pem FROM signing_key WHERE id = 1`
	err = s.db.QueryRow(ctx, read).Scan(&key)
	if !errors.Is(err, sql.ErrNoRows) {
		return key, err
	}
	fresh, err := candidate()
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO signing_key (id, pem) VALUES (1, ?) ON CONFLICT (id) DO NOTHING`, string(fresh)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, read).Scan(&key)
	})
	return key, err
}
