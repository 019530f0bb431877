// Package devicemgmtsql is the SQL driver of platform/devicemgmt, on SQLite and PostgreSQL.
package devicemgmtsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/security/access"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store implements devicemgmt.Store.
type Store struct{ db *sqlkit.DB }

var _ devicemgmt.Store = (*Store)(nil)

// New brings the tables up to date. Those of the registry, which scopes look at, must be there before the first list.
func New(ctx context.Context, db *sqlkit.DB) (*Store, error) {
	return &Store{db}, db.Migrate(ctx, "devicemgmt", migrations)
}

// NextID implements devicemgmt.Store. Operations have a sequence of their own, because agents parse their ids as 32 bits.
func (s *Store) NextID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(t), "operation")
	return iot.ID(n), err
}

const columns = `x.id, x.device, x.agent, x.status, x.failure, x.description, x.bulk, x.delivery_status, x.delivery_time, x.created, x.updated, x.doc`

func scan(r interface{ Scan(...any) error }) (o iot.Operation, err error) {
	var id, device, agent, bulk, delivered, created, updated int64
	var doc []byte
	if err = r.Scan(&id, &device, &agent, &o.Status, &o.FailureReason, &o.Description, &bulk, &o.Delivery.Status, &delivered, &created, &updated, &doc); err != nil {
		return o, err
	}
	o.ID, o.Device, o.Agent, o.BulkID = iot.ID(id), iot.ID(device), iot.ID(agent), iot.ID(bulk)
	o.Delivery.Time, o.CreationTime, o.LastUpdated = sqlkit.Time(delivered), iot.FromMillis(created), iot.FromMillis(updated)
	o.Fragments, err = iot.ParseDoc(doc, iot.MaxDepth+1)
	return o, err
}

// Create implements devicemgmt.Store.
func (s *Store) Create(ctx context.Context, t iot.TenantID, o iot.Operation, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error { return insert(ctx, tx, t, o, rev) })
}

func insert(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, o iot.Operation, rev sqlkit.Revision) error {
	_, err := tx.Exec(ctx, `INSERT INTO operation (tenant, id, device, agent, status, failure, description, bulk, delivery_status, delivery_time, created, updated, doc, rev_by, rev_set)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, string(t), int64(o.ID), int64(o.Device), int64(o.Agent), string(o.Status), o.FailureReason, o.Description, int64(o.BulkID),
		o.Delivery.Status, sqlkit.Millis(o.Delivery.Time), o.CreationTime.UnixMilli(), o.LastUpdated.UnixMilli(), string(o.Fragments.AppendTo(nil)), rev.By, rev.Set)
	if err != nil {
		return err
	}
	if err := setFragments(ctx, tx, t, o.ID, nil, o.Fragments); err != nil {
		return err
	}
	return tx.Note(ctx, devicemgmt.Fact(t, iot.Created, o))
}

// setFragments keeps the index of top-level fragments.
func setFragments(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, id iot.ID, old, now iot.Doc) error {
	for _, m := range old {
		if now.Has(m.Name) {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM operation_fragment WHERE tenant = ? AND id = ? AND fragment = ?`, string(t), int64(id), m.Name); err != nil {
			return err
		}
	}
	for _, m := range now {
		if old.Has(m.Name) {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO operation_fragment (tenant, id, fragment) VALUES (?,?,?)`, string(t), int64(id), m.Name); err != nil {
			return err
		}
	}
	return nil
}

// Get implements devicemgmt.Store.
func (s *Store) Get(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Operation, error) {
	return get(ctx, s.db, t, id, "")
}

func get(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id iot.ID, lock string) (iot.Operation, error) {
	return scan(q.QueryRow(ctx, `SELECT `+columns+` FROM operation x WHERE x.tenant = ? AND x.id = ?`+lock, string(t), int64(id)))
}

// Update implements devicemgmt.Store.
func (s *Store) Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.Operation) iot.Operation) (before, after iot.Operation, written bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		written = false
		old, err := get(ctx, tx, t, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		before, after = old, old
		next := change(old)
		if next.Status == old.Status && next.FailureReason == old.FailureReason && next.Description == old.Description && next.Fragments.Equal(old.Fragments) {
			return nil
		}
		after.Status, after.FailureReason, after.Description, after.Fragments = next.Status, next.FailureReason, next.Description, next.Fragments
		after.LastUpdated, written = iot.FromMillis(rev.At.UnixMilli()), true
		if err := supersede(ctx, tx, t, old, rev, false); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE operation SET status = ?, failure = ?, description = ?, updated = ?, doc = ?, rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`,
			string(after.Status), after.FailureReason, after.Description, rev.At.UnixMilli(), string(after.Fragments.AppendTo(nil)), rev.By, rev.Set, string(t), int64(id)); err != nil {
			return err
		}
		if err := recount(ctx, tx, t, old.BulkID, old.Status, after.Status); err != nil {
			return err
		}
		if err := setFragments(ctx, tx, t, id, old.Fragments, after.Fragments); err != nil {
			return err
		}
		return tx.Note(ctx, devicemgmt.Fact(t, iot.Updated, after))
	})
	return before, after, written, err
}

// SetDelivery implements devicemgmt.Store.
func (s *Store) SetDelivery(ctx context.Context, t iot.TenantID, id iot.ID, d iot.Delivery) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE operation SET delivery_status = ?, delivery_time = ? WHERE tenant = ? AND id = ?`, d.Status, sqlkit.Millis(d.Time), string(t), int64(id))
		if err == nil && n == 0 {
			err = sql.ErrNoRows
		}
		return err
	})
}

// Delete implements devicemgmt.Store.
func (s *Store) Delete(ctx context.Context, t iot.TenantID, scope access.Scope, q devicemgmt.Query, rev sqlkit.Revision) ([]iot.Operation, error) {
	return s.remove(ctx, t, scope, q, func(tx *sqlkit.Tx, o iot.Operation) error { return supersede(ctx, tx, t, o, rev, true) })
}

// Expire implements devicemgmt.Store.
func (s *Store) Expire(ctx context.Context, t iot.TenantID, q devicemgmt.Query) ([]iot.Operation, error) {
	return s.remove(ctx, t, access.Scope{All: true}, q, func(tx *sqlkit.Tx, o iot.Operation) error {
		return tx.Forget(ctx, string(t), string(iot.KindOperation), o.ID.String())
	})
}

// Held implements devicemgmt.Store.
func (s *Store) Held(ctx context.Context, t iot.TenantID, q devicemgmt.Query) (h devicemgmt.Held, err error) {
	b := s.conditions(t, access.Scope{All: true}, q)
	err = s.db.QueryRow(ctx, `SELECT COUNT(*), COUNT(DISTINCT x.device), COALESCE(SUM(OCTET_LENGTH(x.doc) + OCTET_LENGTH(x.description)), 0) FROM operation x`+b.sql(), b.args...).Scan(&h.Documents, &h.Devices, &h.Bytes)
	return h, err
}

// remove removes up to devicemgmt.DeleteBatch operations, after what each does with every one of them.
func (s *Store) remove(ctx context.Context, t iot.TenantID, scope access.Scope, q devicemgmt.Query, each func(*sqlkit.Tx, iot.Operation) error) (gone []iot.Operation, err error) {
	b := s.conditions(t, scope, q)
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		lock := tx.ForUpdate()
		if lock != "" {
			lock += " OF x"
		}
		gone, err = list(ctx, tx, b.sql()+` ORDER BY x.created, x.id LIMIT ?`+lock, append(b.args[:len(b.args):len(b.args)], devicemgmt.DeleteBatch))
		if err != nil {
			return err
		}
		for _, o := range gone {
			if err := each(tx, o); err != nil {
				return err
			}
			if err := tx.Note(ctx, devicemgmt.Fact(t, iot.Deleted, o)); err != nil {
				return err
			}
			if o.Status == iot.Pending || o.Status == iot.Executing { // what is over has happened
				if err := recount(ctx, tx, t, o.BulkID, o.Status, ""); err != nil {
					return err
				}
			}
			for _, table := range []string{"operation", "operation_fragment"} {
				if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE tenant = ? AND id = ?`, string(t), int64(o.ID)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

func supersede(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old iot.Operation, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindOperation), ID: old.ID.String(), From: old.LastUpdated, Until: rev, Deleted: deleted, Doc: doc,
		Row: sqlkit.Row{Table: "operation", ID: int64(old.ID)}, Object: int64(old.Device)})
}

// History implements devicemgmt.Store.
func (s *Store) History(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]devicemgmt.Version, error) {
	rows, err := s.db.Versions(ctx, string(t), string(iot.KindOperation), id.String(), at)
	if err != nil {
		return nil, err
	}
	out := make([]devicemgmt.Version, len(rows))
	for i, r := range rows {
		out[i] = devicemgmt.Version{From: r.From, Until: r.Until, Deleted: r.Deleted}
		if err := json.Unmarshal(r.Doc, &out[i].Operation); err != nil {
			return nil, err
		}
	}
	return out, nil
}
