package devicemgmtsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
)

var _ devicemgmt.BulkStore = (*Store)(nil)

// NextBulkID implements devicemgmt.BulkStore.
func (s *Store) NextBulkID(ctx context.Context, t iot.TenantID) (iot.ID, error) {
	n, err := s.db.NextID(ctx, string(t), "bulkoperation")
	return iot.ID(n), err
}

const bulkColumns = `b.id, b.status, b.owner, b.device_group, b.failed_parent, b.start, b.ramp, b.note, b.description, b.reason, b.due,
	b.waiting, b.pending, b.executing, b.successful, b.failed, b.created, b.updated, b.doc`

func scanBulk(r interface{ Scan(...any) error }) (b devicemgmt.Bulk, err error) {
	var id, group, parent, start, ramp, due, created, updated int64
	var doc []byte
	p := &b.Progress
	err = r.Scan(&id, &b.Status, &b.Owner, &group, &parent, &start, &ramp, &b.Note, &b.Description, &b.Reason, &due,
		&p.Waiting, &p.Pending, &p.Executing, &p.Successful, &p.Failed, &created, &updated, &doc)
	if err != nil {
		return b, err
	}
	b.ID, b.Group, b.FailedParent, b.Ramp = iot.ID(id), iot.ID(group), iot.ID(parent), time.Duration(ramp)*time.Millisecond
	b.Start, b.Created, b.Changed = iot.FromMillis(start), iot.FromMillis(created), iot.FromMillis(updated)
	if due != 0 {
		b.Due = iot.FromMillis(due)
	}
	b.Fragments, err = iot.ParseDoc(doc, iot.MaxDepth+1)
	return b, err
}

func dueMillis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// CreateBulk implements devicemgmt.BulkStore.
func (s *Store) CreateBulk(ctx context.Context, t iot.TenantID, b devicemgmt.Bulk, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		p := b.Progress
		_, err := tx.Exec(ctx, `INSERT INTO bulk_operation (tenant, id, status, general, owner, device_group, failed_parent, start, ramp, note, description, reason, due,
			waiting, pending, executing, successful, failed, created, updated, doc, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			string(t), int64(b.ID), string(b.Status), string(b.General()), string(b.Owner), int64(b.Group), int64(b.FailedParent), b.Start.UnixMilli(), b.Ramp.Milliseconds(),
			b.Note, b.Description, b.Reason, dueMillis(b.Due), p.Waiting, p.Pending, p.Executing, p.Successful, p.Failed, b.Created.UnixMilli(), b.Changed.UnixMilli(),
			string(b.Fragments.AppendTo(nil)), rev.By, rev.Set)
		return err
	})
}

// GetBulk implements devicemgmt.BulkStore.
func (s *Store) GetBulk(ctx context.Context, t iot.TenantID, id iot.ID) (devicemgmt.Bulk, error) {
	return getBulk(ctx, s.db, t, id, "")
}

func getBulk(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id iot.ID, lock string) (devicemgmt.Bulk, error) {
	return scanBulk(q.QueryRow(ctx, `SELECT `+bulkColumns+` FROM bulk_operation b WHERE b.tenant = ? AND b.id = ?`+lock, string(t), int64(id)))
}

// ListBulks implements devicemgmt.BulkStore.
func (s *Store) ListBulks(ctx context.Context, t iot.TenantID, q devicemgmt.BulkQuery) (out []devicemgmt.Bulk, n int, err error) {
	b := &builder{}
	b.where("b.tenant = ?", string(t))
	if len(q.General) > 0 {
		args := make([]any, len(q.General))
		for i, g := range q.General {
			args[i] = string(g)
		}
		b.where("b.general IN "+sqlkit.In(len(args)), args...)
	} else if !q.Deleted {
		b.where("b.status <> ?", string(devicemgmt.BulkDeleted))
	}
	if !q.From.IsZero() {
		b.where("b.start >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		b.where("b.start < ?", q.To.UnixMilli())
	}
	if q.Count {
		if err := s.db.QueryRow(ctx, `SELECT count(*) FROM bulk_operation b`+b.sql(), b.args...).Scan(&n); err != nil {
			return nil, 0, err
		}
	}
	if q.Limit <= 0 {
		return nil, n, nil
	}
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		x, err := scanBulk(r)
		out = append(out, x)
		return err
	}, `SELECT `+bulkColumns+` FROM bulk_operation b`+b.sql()+` ORDER BY b.id DESC LIMIT ? OFFSET ?`, append(b.args, q.Limit, q.Offset)...)
	return out, n, err
}

// putBulk writes all that can change.
func putBulk(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, b devicemgmt.Bulk) error {
	p := b.Progress
	_, err := tx.Exec(ctx, `UPDATE bulk_operation SET status = ?, general = ?, device_group = ?, start = ?, ramp = ?, note = ?, description = ?, reason = ?, due = ?,
		waiting = ?, pending = ?, executing = ?, successful = ?, failed = ?, updated = ?, doc = ? WHERE tenant = ? AND id = ?`,
		string(b.Status), string(b.General()), int64(b.Group), b.Start.UnixMilli(), b.Ramp.Milliseconds(), b.Note, b.Description, b.Reason, dueMillis(b.Due),
		p.Waiting, p.Pending, p.Executing, p.Successful, p.Failed, b.Changed.UnixMilli(), string(b.Fragments.AppendTo(nil)), string(t), int64(b.ID))
	return err
}

// revise writes a new version and keeps the old one.
func revise(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, old, next devicemgmt.Bulk, rev sqlkit.Revision) error {
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	err = tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(t), Kind: string(iot.KindBulkOperation), ID: old.ID.String(), From: old.Changed, Until: rev, Doc: doc})
	if err != nil {
		return err
	}
	if err := putBulk(ctx, tx, t, next); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE bulk_operation SET rev_by = ?, rev_set = ? WHERE tenant = ? AND id = ?`, rev.By, rev.Set, string(t), int64(old.ID))
	return err
}

// UpdateBulk implements devicemgmt.BulkStore.
func (s *Store) UpdateBulk(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(devicemgmt.Bulk) (devicemgmt.Bulk, error)) (before, after devicemgmt.Bulk, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		old, err := getBulk(ctx, tx, t, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		next, err := change(old)
		if err != nil {
			return err
		}
		next.ID, next.Owner, next.FailedParent, next.Created, next.Changed = old.ID, old.Owner, old.FailedParent, old.Created, iot.FromMillis(rev.At.UnixMilli())
		before, after = old, next
		if next.Progress.Waiting == 0 && old.Progress.Waiting > 0 {
			if _, err := tx.Exec(ctx, `DELETE FROM bulk_member WHERE tenant = ? AND bulk = ?`, string(t), int64(id)); err != nil {
				return err
			}
		}
		return revise(ctx, tx, t, old, next, rev)
	})
	return before, after, err
}

// BeginBulk implements devicemgmt.BulkStore.
func (s *Store) BeginBulk(ctx context.Context, t iot.TenantID, id iot.ID, devices []iot.ID, reason string, rev sqlkit.Revision) (after devicemgmt.Bulk, began bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		began = false
		old, err := getBulk(ctx, tx, t, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		if after = old; old.Status != devicemgmt.BulkActive || old.Due.IsZero() || old.Due.After(rev.At) {
			return nil // cancelled, put off, or begun by another node
		}
		began = true
		after.Status, after.Due, after.Reason, after.Changed, after.Progress.Waiting = devicemgmt.BulkInProgress, rev.At, reason, rev.At, len(devices)
		if len(devices) == 0 {
			after.Status, after.Due = devicemgmt.BulkCompleted, time.Time{}
		} else {
			from, arg := sqlkit.IDs(s.db.Dialect, devices)
			if _, err := tx.Exec(ctx, `INSERT INTO bulk_member (tenant, bulk, device) SELECT CAST(? AS TEXT), CAST(? AS BIGINT), m.id FROM `+from+` m`, string(t), int64(id), arg); err != nil {
				return err
			}
		}
		return revise(ctx, tx, t, old, after, rev)
	})
	return after, began, err
}

// NextMember implements devicemgmt.BulkStore.
func (s *Store) NextMember(ctx context.Context, t iot.TenantID, id iot.ID) (iot.ID, error) {
	var device int64
	err := s.db.QueryRow(ctx, `SELECT device FROM bulk_member WHERE tenant = ? AND bulk = ? ORDER BY device LIMIT 1`, string(t), int64(id)).Scan(&device)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return iot.ID(device), err
}

// StepBulk implements devicemgmt.BulkStore.
func (s *Store) StepBulk(ctx context.Context, t iot.TenantID, o iot.Operation, rev sqlkit.Revision) (after devicemgmt.Bulk, made bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		made = false
		b, err := getBulk(ctx, tx, t, o.BulkID, tx.ForUpdate())
		if err != nil {
			return err
		}
		if after = b; b.Status != devicemgmt.BulkInProgress || b.Due.IsZero() || b.Due.After(rev.At) {
			return nil
		}
		n, err := tx.Exec(ctx, `DELETE FROM bulk_member WHERE tenant = ? AND bulk = ? AND device = ?`, string(t), int64(o.BulkID), int64(o.Device))
		if err != nil || n == 0 {
			return err
		}
		if err := insert(ctx, tx, t, o, rev); err != nil {
			return err
		}
		b.Progress.Waiting--
		b.Progress.Count(o.Status, 1)
		// The pace is kept from one to the next, but what was missed while nothing ran is not caught up with in a burst.
		if b.Due = b.Due.Add(b.Ramp); b.Due.Before(rev.At) {
			b.Due = rev.At
		}
		if b.Progress.Waiting <= 0 {
			b.Status, b.Due, b.Progress.Waiting = devicemgmt.BulkCompleted, time.Time{}, 0
		}
		after, made = b, true
		return putBulk(ctx, tx, t, b)
	})
	return after, made, err
}

// recount moves an operation of a bulk operation from one status to another one, in the transaction that does so; an empty status is none.
func recount(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, bulk iot.ID, from, to iot.OperationStatus) error {
	if bulk == 0 || from == to {
		return nil
	}
	b, err := getBulk(ctx, tx, t, bulk, tx.ForUpdate())
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	b.Progress.Count(from, -1)
	b.Progress.Count(to, 1)
	return putBulk(ctx, tx, t, b)
}

// FailedDevices implements devicemgmt.BulkStore.
func (s *Store) FailedDevices(ctx context.Context, t iot.TenantID, id iot.ID, limit int) (out []iot.ID, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var device int64
		err := r.Scan(&device)
		out = append(out, iot.ID(device))
		return err
	}, `SELECT DISTINCT device FROM operation WHERE tenant = ? AND bulk = ? AND status = ? ORDER BY device LIMIT ?`, string(t), int64(id), string(iot.Failed), limit)
	return out, err
}

// DueBulks implements devicemgmt.BulkStore.
func (s *Store) DueBulks(ctx context.Context, now time.Time, limit int) (due []devicemgmt.BulkKey, next time.Time, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		var t string
		var id int64
		err := r.Scan(&t, &id)
		due = append(due, devicemgmt.BulkKey{Tenant: iot.TenantID(t), ID: iot.ID(id)})
		return err
	}, `SELECT tenant, id FROM bulk_operation WHERE due > 0 AND due <= ? ORDER BY due, tenant, id LIMIT ?`, now.UnixMilli(), limit)
	if err != nil || len(due) > 0 {
		return due, next, err
	}
	var ms sql.NullInt64
	if err := s.db.QueryRow(ctx, `SELECT min(due) FROM bulk_operation WHERE due > 0`).Scan(&ms); err != nil {
		return nil, next, err
	}
	if ms.Valid {
		next = iot.FromMillis(ms.Int64)
	}
	return nil, next, nil
}

// over selects bulk operations that nothing comes of any more.
const over = ` FROM bulk_operation b WHERE b.tenant = ? AND b.created < ? AND b.status IN ('COMPLETED', 'DELETED') AND b.due = 0 AND b.waiting + b.pending + b.executing = 0`

// oldBulks calls fn for bulk operations that are over until it returns false. There are few of them, so that fragments need no index.
func oldBulks(ctx context.Context, db sqlkit.Queryer, t iot.TenantID, q devicemgmt.Old, lock string, fn func(id iot.ID, bytes int64) bool) error {
	enough := errors.New("enough")
	err := sqlkit.Each(ctx, db, func(r *sql.Rows) error {
		var id, texts int64
		var doc []byte
		if err := r.Scan(&id, &doc, &texts); err != nil {
			return err
		}
		d, err := iot.ParseDoc(doc, iot.MaxDepth+1)
		if err != nil {
			return err
		}
		kept := func(x iot.Selector) bool { return x.Source == 0 && x.Matches(0, "", d.Has) }
		if q.Fragment != "" && !d.Has(q.Fragment) || slices.ContainsFunc(q.Except, kept) || fn(iot.ID(id), texts+int64(len(doc))) {
			return nil
		}
		return enough
	}, `SELECT b.id, b.doc, octet_length(b.note) + octet_length(b.description)`+over+` ORDER BY b.id`+lock, string(t), q.Before.UnixMilli())
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

// ExpireBulks implements devicemgmt.BulkStore.
func (s *Store) ExpireBulks(ctx context.Context, t iot.TenantID, q devicemgmt.Old) (gone []iot.ID, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		gone = nil
		err := oldBulks(ctx, tx, t, q, tx.ForUpdate(), func(id iot.ID, _ int64) bool {
			gone = append(gone, id)
			return len(gone) < devicemgmt.DeleteBatch
		})
		if err != nil {
			return err
		}
		for _, id := range gone {
			if err := tx.Forget(ctx, string(t), string(iot.KindBulkOperation), id.String()); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM bulk_operation WHERE tenant = ? AND id = ?`, string(t), int64(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// HeldBulks implements devicemgmt.BulkStore.
func (s *Store) HeldBulks(ctx context.Context, t iot.TenantID, q devicemgmt.Old) (h devicemgmt.Held, err error) {
	err = oldBulks(ctx, s.db, t, q, "", func(_ iot.ID, bytes int64) bool {
		h.Documents++
		h.Bytes += bytes
		return true
	})
	return h, err
}

// PostponeBulk implements devicemgmt.BulkStore.
func (s *Store) PostponeBulk(ctx context.Context, t iot.TenantID, id iot.ID, until time.Time) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE bulk_operation SET due = ? WHERE tenant = ? AND id = ? AND due > 0`, dueMillis(until), string(t), int64(id))
		return err
	})
}
