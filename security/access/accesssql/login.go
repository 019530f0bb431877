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

// milli is a time as it is stored; zero stays zero.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return sqlkit.Time(n)
}

// Factor implements access.Store.
func (s *Store) Factor(ctx context.Context, t iot.TenantID, name iot.UserName) (f access.Factor, err error) {
	var active, created, used int64
	err = s.db.QueryRow(ctx, `SELECT secret, active, step, created, used FROM second_factor WHERE tenant = ? AND account = ?`, string(t), string(name)).
		Scan(&f.Secret, &active, &f.Step, &created, &used)
	f.Active, f.Created, f.Used = active != 0, fromMilli(created), fromMilli(used)
	return f, err
}

// PutFactor implements access.Store.
func (s *Store) PutFactor(ctx context.Context, t iot.TenantID, name iot.UserName, f access.Factor) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO second_factor (tenant, account, secret, active, step, created, used) VALUES (?,?,?,?,?,?,?)
			ON CONFLICT (tenant, account) DO UPDATE SET secret = excluded.secret, active = excluded.active, step = excluded.step, created = excluded.created, used = excluded.used`,
			string(t), string(name), f.Secret, sqlkit.Bool(f.Active), f.Step, milli(f.Created), milli(f.Used))
		return err
	})
}

// DeleteFactor implements access.Store.
func (s *Store) DeleteFactor(ctx context.Context, t iot.TenantID, name iot.UserName) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM second_factor WHERE tenant = ? AND account = ?`, string(t), string(name))
		return err
	})
}

// TakeStep implements access.Store.
func (s *Store) TakeStep(ctx context.Context, t iot.TenantID, name iot.UserName, step int64, now time.Time) (taken bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE second_factor SET step = ?, used = ? WHERE tenant = ? AND account = ? AND step < ?`, step, milli(now), string(t), string(name), step)
		taken = n == 1
		return err
	})
	return taken, err
}

// Failures implements access.Store.
func (s *Store) Failures(ctx context.Context, t iot.TenantID, name iot.UserName) (n int, last time.Time, err error) {
	var at int64
	err = s.db.QueryRow(ctx, `SELECT n, last FROM login_failure WHERE tenant = ? AND account = ?`, string(t), string(name)).Scan(&n, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n, fromMilli(at), err
}

// AddFailure implements access.Store.
func (s *Store) AddFailure(ctx context.Context, t iot.TenantID, name iot.UserName, now time.Time) (n int, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		return tx.QueryRow(ctx, `INSERT INTO login_failure (tenant, account, n, last) VALUES (?,?,1,?)
			ON CONFLICT (tenant, account) DO UPDATE SET n = login_failure.n + 1, last = excluded.last RETURNING n`, string(t), string(name), milli(now)).Scan(&n)
	})
	return n, err
}

// ClearFailures implements access.Store.
func (s *Store) ClearFailures(ctx context.Context, t iot.TenantID, name iot.UserName) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM login_failure WHERE tenant = ? AND account = ?`, string(t), string(name))
		return err
	})
}

// LoginOptions implements access.Store.
func (s *Store) LoginOptions(ctx context.Context, t iot.TenantID) (out []access.LoginOption, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var o access.LoginOption
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &o)
		out = append(out, o)
		return err
	}, `SELECT doc FROM login_option WHERE tenant = ? ORDER BY id`, string(t))
	return out, err
}

// PutLoginOption implements access.Store.
func (s *Store) PutLoginOption(ctx context.Context, t iot.TenantID, o access.LoginOption, rev sqlkit.Revision) error {
	doc, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if o.Off {
			if err := s.keepLogin(ctx, tx, t, o.ID); err != nil {
				return err
			}
		}
		if err := s.keepOption(ctx, tx, t, o.ID, false, rev); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO login_option (tenant, id, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?)
			ON CONFLICT (tenant, id) DO UPDATE SET doc = excluded.doc, rev_at = excluded.rev_at, rev_by = excluded.rev_by, rev_set = excluded.rev_set`,
			string(t), o.ID, string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
		return err
	})
}

// keepLogin refuses to switch the last built-in way to log in off. Those who do so take turns.
func (s *Store) keepLogin(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id string) error {
	if err := tx.Lock(ctx, "login_option", string(t)); err != nil {
		return err
	}
	for _, other := range []string{access.BasicLogin, access.OAuth2Internal} {
		if other == id {
			continue
		}
		var doc []byte
		err := tx.QueryRow(ctx, `SELECT doc FROM login_option WHERE tenant = ? AND id = ?`, string(t), other).Scan(&doc)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // it is on until somebody says otherwise
		}
		if err != nil {
			return err
		}
		var o access.LoginOption
		if err := json.Unmarshal(doc, &o); err != nil {
			return err
		}
		if !o.Off {
			return nil
		}
	}
	return access.ErrLastLogin
}

// keepOption moves the current version into history.
func (s *Store) keepOption(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id string, deleted bool, rev sqlkit.Revision) error {
	var doc []byte
	var at int64
	if err := tx.QueryRow(ctx, `SELECT doc, rev_at FROM login_option WHERE tenant = ? AND id = ?`+tx.ForUpdate(), string(t), id).Scan(&doc, &at); err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: "loginoption", ID: id, From: sqlkit.Time(at), Until: rev, Deleted: deleted, Doc: doc})
}

// DeleteLoginOption implements access.Store.
func (s *Store) DeleteLoginOption(ctx context.Context, t iot.TenantID, id string, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := s.keepOption(ctx, tx, t, id, true, rev); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM login_option WHERE tenant = ? AND id = ?`, string(t), id)
		return err
	})
}
