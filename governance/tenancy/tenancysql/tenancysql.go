// Package tenancysql is the SQL driver of governance/tenancy, on SQLite and PostgreSQL.
package tenancysql

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements tenancy.Store.
type Store struct{ db *sqlkit.DB }

var _ tenancy.Store = (*Store)(nil)

// New brings the tables up to date.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "tenancy", migrations)
}

// Tenant implements tenancy.Store.
func (s *Store) Tenant(ctx context.Context, id iot.TenantID) (tenancy.Tenant, error) {
	return scanTenant(s.db.QueryRow(ctx, `SELECT doc, rev_at FROM tenant WHERE id = ?`, string(id)))
}

func scanTenant(r interface{ Scan(...any) error }) (t tenancy.Tenant, err error) {
	var doc []byte
	var at int64
	if err = r.Scan(&doc, &at); err != nil {
		return t, err
	}
	err = json.Unmarshal(doc, &t)
	t.Changed = sqlkit.Time(at)
	return t, err
}

// Tenants implements tenancy.Store.
func (s *Store) Tenants(ctx context.Context) (out []tenancy.Tenant, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		t, err := scanTenant(r)
		out = append(out, t)
		return err
	}, `SELECT doc, rev_at FROM tenant ORDER BY id`)
	return out, err
}

// PutTenant implements tenancy.Store.
func (s *Store) PutTenant(ctx context.Context, t tenancy.Tenant, create bool, rev sqlkit.Revision) error {
	doc, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if create {
			var used int // ids of deleted tenants are not given again
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM tenant_receipt WHERE id = ?`, string(t.ID)).Scan(&used); err != nil {
				return err
			}
			if used > 0 {
				return tenancy.ErrUsed
			}
			_, err := tx.Exec(ctx, `INSERT INTO tenant (id, domain, doc, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?)`,
				string(t.ID), t.Domain, string(doc), rev.At.UnixMilli(), rev.By, rev.Set)
			return err
		}
		var old []byte
		var at int64
		if err := tx.QueryRow(ctx, `SELECT doc, rev_at FROM tenant WHERE id = ?`+tx.ForUpdate(), string(t.ID)).Scan(&old, &at); err != nil {
			return err
		}
		var now tenancy.Tenant
		if err := json.Unmarshal(old, &now); err != nil {
			return err
		}
		if now.Status == tenancy.Deleting && t.Status != tenancy.Deleting {
			return tenancy.ErrDeleting
		}
		if err := tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t.ID), Kind: string(iot.KindTenant), ID: string(t.ID), From: sqlkit.Time(at), Until: rev, Doc: old}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tenant SET domain = ?, doc = ?, rev_at = ?, rev_by = ?, rev_set = ? WHERE id = ?`, t.Domain, string(doc), rev.At.UnixMilli(), rev.By, rev.Set, string(t.ID))
		return err
	})
}

// NextNumber implements tenancy.Store.
func (s *Store) NextNumber(ctx context.Context) (int64, error) {
	n, err := s.db.NextID(ctx, string(iot.Management), "tenant")
	return int64(n), err
}

// EraseRows implements tenancy.Store. The audit stays, as what its own face leaves of it.
func (s *Store) EraseRows(ctx context.Context, t iot.TenantID) (map[string]int64, error) {
	return s.db.EraseTenant(ctx, string(t), "audit_record", "audit_entry", "audit_head", "audit_witness")
}

// Bury implements tenancy.Store.
func (s *Store) Bury(ctx context.Context, r tenancy.Receipt) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO tenant_receipt (id, at, doc) VALUES (?,?,?)`, string(r.Tenant), r.ErasedAt.UnixMilli(), string(doc)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM tenant WHERE id = ?`, string(r.Tenant))
		return err
	})
}

// Receipts implements tenancy.Store.
func (s *Store) Receipts(ctx context.Context) (out []tenancy.Receipt, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var doc []byte
		var x tenancy.Receipt
		if err := r.Scan(&doc); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &x)
		out = append(out, x)
		return err
	}, `SELECT doc FROM tenant_receipt ORDER BY at DESC, id`)
	return out, err
}

// Unswept implements tenancy.Store.
func (s *Store) Unswept(ctx context.Context) (out []iot.TenantID, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var id iot.TenantID
		err := r.Scan(&id)
		out = append(out, id)
		return err
	}, `SELECT id FROM tenant_receipt WHERE swept = 0 ORDER BY id`)
	return out, err
}

// Swept implements tenancy.Store.
func (s *Store) Swept(ctx context.Context, t iot.TenantID) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tenant_receipt SET swept = 1 WHERE id = ?`, string(t))
		return err
	})
}

// Options implements tenancy.Store.
func (s *Store) Options(ctx context.Context, t iot.TenantID, category string) (out []tenancy.Option, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var o tenancy.Option
		var locked int64
		err := r.Scan(&o.Category, &o.Key, &o.Value, &locked)
		o.Locked = locked != 0
		out = append(out, o)
		return err
	}, `SELECT category, key, value, locked FROM tenant_option WHERE tenant = ? AND (category = ? OR ? = '') ORDER BY category, key`, string(t), category, category)
	return out, err
}

// PutOptions implements tenancy.Store.
func (s *Store) PutOptions(ctx context.Context, t iot.TenantID, options []tenancy.Option, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		for _, o := range options {
			if err := put(ctx, tx, t, o, rev); err != nil {
				return err
			}
		}
		return nil
	})
}

func put(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, o tenancy.Option, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, t, o.OptionKey, false, rev); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO tenant_option (tenant, category, key, value, rev_at, rev_by, rev_set) VALUES (?,?,?,?,?,?,?)
		ON CONFLICT (tenant, category, key) DO UPDATE SET value = excluded.value, rev_at = excluded.rev_at, rev_by = excluded.rev_by, rev_set = excluded.rev_set`,
		string(t), o.Category, o.Key, o.Value, rev.At.UnixMilli(), rev.By, rev.Set)
	return err
}

// DeleteOption implements tenancy.Store.
func (s *Store) DeleteOption(ctx context.Context, t iot.TenantID, key tenancy.OptionKey, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error { return remove(ctx, tx, t, key, rev) })
}

func remove(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, key tenancy.OptionKey, rev sqlkit.Revision) error {
	if err := supersede(ctx, tx, t, key, true, rev); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM tenant_option WHERE tenant = ? AND category = ? AND key = ?`, string(t), key.Category, key.Key)
	return err
}

// OptionsAsOf implements tenancy.Store.
func (s *Store) OptionsAsOf(ctx context.Context, t iot.TenantID, category string, at time.Time) (out []tenancy.Option, err error) {
	values := map[tenancy.OptionKey]string{}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var o tenancy.Option
		err := r.Scan(&o.Category, &o.Key, &o.Value)
		values[o.OptionKey] = o.Value
		return err
	}, `SELECT category, key, value FROM tenant_option WHERE tenant = ? AND (category = ? OR ? = '') AND rev_at <= ?`, string(t), category, category, at.UnixMilli())
	if err != nil {
		return nil, err
	}
	// The former ones last, so that what is superseded between the two reads is in both, and nothing is in neither.
	err = s.db.EachAsOf(ctx, string(t), string(iot.KindOption), at, math.MaxInt32, func(v sqlkit.Superseded) error {
		key := tenancy.ParseLogID(v.ID)
		value, ok := iot.RawText(v.Doc)
		if !ok {
			return fmt.Errorf("a version of the option %s is no text", v.ID)
		}
		if category == "" || key.Category == category {
			values[key] = value
		}
		return nil
	})
	for key, value := range values {
		out = append(out, tenancy.Option{OptionKey: key, Value: value})
	}
	slices.SortFunc(out, func(a, b tenancy.Option) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Key, b.Key))
	})
	return out, err
}

func supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, key tenancy.OptionKey, deleted bool, rev sqlkit.Revision) error {
	var value, by, set string
	var at int64
	err := tx.QueryRow(ctx, `SELECT value, rev_at, rev_by, rev_set FROM tenant_option WHERE tenant = ? AND category = ? AND key = ?`+tx.ForUpdate(), string(t), key.Category, key.Key).Scan(&value, &at, &by, &set)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindOption), ID: key.LogID(), From: sqlkit.Time(at), Until: rev, Deleted: deleted, Doc: iot.AppendText(nil, value), FromBy: by, FromSet: set})
}
