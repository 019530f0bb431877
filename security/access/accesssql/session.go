package accesssql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// sessionDoc is what of a session nothing is searched by.
type sessionDoc struct {
	Kind       access.SessionKind `json:"kind,omitempty"`
	Started    time.Time          `json:"started"`
	Ends       time.Time          `json:"ends"`
	RenewAfter time.Time          `json:"renewAfter"`
	Address    string             `json:"address,omitempty"`
	UserAgent  string             `json:"userAgent,omitempty"`
	SameAgent  bool               `json:"sameAgent,omitempty"`
	TFA        bool               `json:"tfa,omitempty"`
}

// PutSession implements access.SessionStore.
func (s *Store) PutSession(ctx context.Context, t iot.TenantID, x access.Session) error {
	doc, err := json.Marshal(sessionDoc{x.Kind, x.Started, x.Ends, x.RenewAfter, x.Address, x.UserAgent, x.SameAgent, x.TFA})
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO session (tenant, id, account, xsrf, one_time, created, expires, chain, seen, doc) VALUES (?,?,?,?,?,?,?,?,?,?)`,
			string(t), x.ID, string(x.User), x.XSRF, sqlkit.Bool(x.OneTime), x.Created.UnixMilli(), x.Expires.UnixMilli(), x.Chain, x.Seen.UnixMilli(), string(doc))
		return err
	})
}

const (
	sessionColumns = `SELECT id, account, xsrf, one_time, created, expires, chain, seen, doc FROM session WHERE tenant = ? AND expires > ?`
	selectSession  = sessionColumns + ` AND id = ?`
)

func scanSession(r interface{ Scan(...any) error }) (x access.Session, err error) {
	var oneTime, created, expires, seen int64
	var doc []byte
	if err = r.Scan(&x.ID, &x.User, &x.XSRF, &oneTime, &created, &expires, &x.Chain, &seen, &doc); err != nil {
		return x, err
	}
	x.OneTime, x.Created, x.Expires, x.Seen = oneTime != 0, sqlkit.Time(created), sqlkit.Time(expires), sqlkit.Time(seen)
	var d sessionDoc
	err = json.Unmarshal(doc, &d)
	x.Kind, x.Started, x.Ends, x.RenewAfter, x.Address, x.UserAgent, x.SameAgent, x.TFA = d.Kind, d.Started, d.Ends, d.RenewAfter, d.Address, d.UserAgent, d.SameAgent, d.TFA
	return x, err
}

// Session implements access.SessionStore.
func (s *Store) Session(ctx context.Context, t iot.TenantID, id string, now time.Time) (access.Session, error) {
	return scanSession(s.db.QueryRow(ctx, selectSession, string(t), now.UnixMilli(), id))
}

// Sessions implements access.SessionStore.
func (s *Store) Sessions(ctx context.Context, t iot.TenantID, user iot.UserName, chain string, now time.Time) (out []access.Session, err error) {
	cond, arg := ` AND account = ?`, string(user)
	if user == "" {
		cond, arg = ` AND chain = ?`, chain
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		x, err := scanSession(r)
		out = append(out, x)
		return err
	}, sessionColumns+cond+` ORDER BY created, id`, string(t), now.UnixMilli(), arg)
	return out, err
}

// TakeSession implements access.SessionStore.
func (s *Store) TakeSession(ctx context.Context, t iot.TenantID, id string, now time.Time) (x access.Session, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if x, err = scanSession(tx.QueryRow(ctx, selectSession+tx.ForUpdate(), string(t), now.UnixMilli(), id)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM session WHERE tenant = ? AND id = ?`, string(t), id)
		return err
	})
	return x, err
}

// UpdateSession implements access.SessionStore.
func (s *Store) UpdateSession(ctx context.Context, t iot.TenantID, id string, seen, expires time.Time) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE session SET seen = ?, expires = CASE WHEN expires < ? THEN expires ELSE ? END WHERE tenant = ? AND id = ?`,
			seen.UnixMilli(), expires.UnixMilli(), expires.UnixMilli(), string(t), id)
		return err
	})
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
