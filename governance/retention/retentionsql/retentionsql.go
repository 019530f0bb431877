// Package retentionsql is the SQL driver of governance/retention, on SQLite and PostgreSQL.
package retentionsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"time"

	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements retention.Store.
type Store struct{ db *sqlkit.DB }

var _ retention.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "retention", migrations)
}

const columns = `id, data_type, fragment, type, source, age, editable, updated`

// row is a rule and when its version came into being.
type row struct {
	retention.Rule
	since time.Time
}

func scan(r interface{ Scan(...any) error }) (x row, err error) {
	var id, editable, since int64
	err = r.Scan(&id, &x.DataType, &x.FragmentType, &x.Type, &x.Source, &x.MaximumAge, &editable, &since)
	x.ID, x.Editable, x.since = iot.ID(id), editable != 0, iot.FromMillis(since)
	return x, err
}

const one = `SELECT ` + columns + ` FROM retention_rule WHERE tenant = ? AND id = ?`

func insert(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, r retention.Rule, rev sqlkit.Revision) error {
	_, err := tx.Exec(ctx, `INSERT INTO retention_rule (tenant, `+columns+`) VALUES (?,?,?,?,?,?,?,?,?)`, string(t), int64(r.ID), string(r.DataType), r.FragmentType, r.Type, r.Source,
		r.MaximumAge, sqlkit.Bool(r.Editable), rev.At.UnixMilli())
	return err
}

// Begin implements retention.Store.
func (s *Store) Begin(ctx context.Context, t iot.TenantID, now time.Time) error {
	var ran int64
	if err := s.db.QueryRow(ctx, `SELECT ran FROM retention_run WHERE tenant = ?`, string(t)).Scan(&ran); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO retention_run (tenant, ran, busy, progress) VALUES (?,?,0,'') ON CONFLICT (tenant) DO NOTHING`, string(t), now.UnixMilli())
		return err
	})
}

// Create implements retention.Store.
func (s *Store) Create(ctx context.Context, t iot.TenantID, r retention.Rule, most int, rev sqlkit.Revision) (_ retention.Rule, full bool, err error) {
	id, err := s.db.NextID(ctx, string(t), "retention")
	if err != nil {
		return r, false, err
	}
	r.ID = iot.ID(id)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		full = false
		if err := tx.Lock(ctx, "retention", string(t)); err != nil {
			return err
		}
		n := 0
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM retention_rule WHERE tenant = ?`, string(t)).Scan(&n); err != nil {
			return err
		}
		if full = n >= most; full {
			return nil
		}
		return insert(ctx, tx, t, r, rev)
	})
	return r, full, err
}

// Get implements retention.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, id iot.ID) (retention.Rule, error) {
	x, err := scan(s.db.QueryRow(ctx, one, string(t), int64(id)))
	return x.Rule, err
}

// List implements retention.Store.
func (s *Store) List(ctx context.Context, t iot.TenantID) (out []retention.Rule, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		x, err := scan(r)
		out = append(out, x.Rule)
		return err
	}, `SELECT `+columns+` FROM retention_rule WHERE tenant = ? ORDER BY id`, string(t))
	return out, err
}

// Update implements retention.Store.
func (s *Store) Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(retention.Rule) (retention.Rule, error)) (before, after retention.Rule, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		x, err := scan(tx.QueryRow(ctx, one+tx.ForUpdate(), string(t), int64(id)))
		if err != nil {
			return err
		}
		before = x.Rule
		if after, err = change(before); err != nil {
			return err
		}
		after.ID = id
		if after == before {
			return nil
		}
		if err := supersede(ctx, tx, t, x, rev, false); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE retention_rule SET data_type = ?, fragment = ?, type = ?, source = ?, age = ?, editable = ?, updated = ? WHERE tenant = ? AND id = ?`,
			string(after.DataType), after.FragmentType, after.Type, after.Source, after.MaximumAge, sqlkit.Bool(after.Editable), rev.At.UnixMilli(), string(t), int64(id))
		return err
	})
	return before, after, err
}

// Delete implements retention.Store.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, may func(retention.Rule) error) (gone retention.Rule, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		x, err := scan(tx.QueryRow(ctx, one+tx.ForUpdate(), string(t), int64(id)))
		if err != nil {
			return err
		}
		if err := may(x.Rule); err != nil {
			return err
		}
		gone = x.Rule
		if err := supersede(ctx, tx, t, x, rev, true); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM retention_rule WHERE tenant = ? AND id = ?`, string(t), int64(id))
		return err
	})
	return gone, err
}

func supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old row, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(old.Rule)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindRetentionRule), ID: old.ID.String(), From: old.since, Until: rev, Deleted: deleted, Doc: doc})
}

// State implements retention.Store.
func (s *Store) State(ctx context.Context, t iot.TenantID) (st retention.State, err error) {
	var ran, busy int64
	var doc []byte
	if err := s.db.QueryRow(ctx, `SELECT ran, busy, progress FROM retention_run WHERE tenant = ?`, string(t)).Scan(&ran, &busy, &doc); err != nil {
		return st, err
	}
	st.Ran, st.Busy = iot.FromMillis(ran), iot.FromMillis(busy)
	if len(doc) > 0 {
		err = json.Unmarshal(doc, &st.Progress)
	}
	return st, err
}

// Claim implements retention.Store. A claim that ends later than a lease from now was made by a clock that was wrong.
func (s *Store) Claim(ctx context.Context, t iot.TenantID, since, now time.Time, lease time.Duration) (mine bool, err error) {
	ms := now.UnixMilli()
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE retention_run SET ran = ?, busy = ? WHERE tenant = ? AND ran <= ? AND (busy <= ? OR busy > ?)`,
			ms, ms+lease.Milliseconds(), string(t), since.UnixMilli(), ms, ms+lease.Milliseconds())
		mine = n > 0
		return err
	})
	return mine, err
}

// Report implements retention.Store.
func (s *Store) Report(ctx context.Context, t iot.TenantID, p retention.Progress, now time.Time, lease time.Duration) error {
	doc, err := json.Marshal(p)
	if err != nil {
		return err
	}
	busy := now.Add(lease).UnixMilli()
	if !p.Ended.IsZero() {
		busy = 0
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE retention_run SET busy = ?, progress = ? WHERE tenant = ?`, busy, string(doc), string(t))
		return err
	})
}

// Rewind implements retention.Store.
func (s *Store) Rewind(ctx context.Context, t iot.TenantID, now time.Time) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE retention_run SET ran = ? WHERE tenant = ? AND ran > ?`, now.UnixMilli(), string(t), now.UnixMilli())
		return err
	})
}
