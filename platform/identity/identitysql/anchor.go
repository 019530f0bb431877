package identitysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/identity"
)

// Anchors implements identity.AnchorStore, on the database of a Store.
type Anchors struct{ db *sqlkit.DB }

var _ identity.AnchorStore = Anchors{}

// Anchors is the store of trust anchors beside that of registrations.
func (s *Store) Anchors() Anchors { return Anchors{s.db} }

const anchorColumns = `tenant, fingerprint, name, enabled, registers, der, created, changed, proven, code, code_until, signature, authority`

func scanAnchor(row interface{ Scan(...any) error }) (a identity.Anchor, err error) {
	var enabled, registers, proven, created, changed, until, authority int64
	err = row.Scan(&a.Tenant, &a.Fingerprint, &a.Name, &enabled, &registers, &a.DER, &created, &changed, &proven, &a.Code, &until, &a.Signature, &authority)
	a.Enabled, a.AutoRegistration, a.Proven, a.Authority = enabled != 0, registers != 0, proven != 0, authority != 0
	a.Created, a.Changed, a.CodeUntil = sqlkit.Time(created), sqlkit.Time(changed), timeOrZero(until)
	return a, err
}

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return sqlkit.Time(ms)
}

func millisOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqlkit.Millis(t)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Create implements identity.AnchorStore.
func (s Anchors) Create(ctx context.Context, t iot.TenantID, anchors []identity.Anchor, limit int, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.Lock(ctx, "trust_anchor", string(t)); err != nil {
			return err
		}
		return createAnchors(ctx, tx, t, anchors, limit, rev)
	})
}

func createAnchors(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, anchors []identity.Anchor, limit int, rev sqlkit.Revision) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM trust_anchor WHERE tenant = ?`, string(t)).Scan(&n); err != nil {
		return err
	}
	if n+len(anchors) > limit {
		return identity.ErrTooMany
	}
	for _, a := range anchors {
		_, err := tx.Exec(ctx, `INSERT INTO trust_anchor (`+anchorColumns+`, rev_by, rev_set) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			string(t), a.Fingerprint, a.Name, flag(a.Enabled), flag(a.AutoRegistration), a.DER, sqlkit.Millis(a.Created), sqlkit.Millis(a.Changed), flag(a.Proven),
			a.Code, millisOrZero(a.CodeUntil), a.Signature, flag(a.Authority), rev.By, rev.Set)
		if err != nil {
			return err
		}
	}
	return nil
}

// Get implements identity.AnchorStore.
func (s Anchors) Get(ctx context.Context, t iot.TenantID, fingerprint string) (identity.Anchor, error) {
	return getAnchor(ctx, s.db, t, fingerprint, "")
}

func getAnchor(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, fingerprint, lock string) (identity.Anchor, error) {
	return scanAnchor(q.QueryRow(ctx, `SELECT `+anchorColumns+` FROM trust_anchor WHERE tenant = ? AND fingerprint = ?`+lock, string(t), fingerprint))
}

// List implements identity.AnchorStore.
func (s Anchors) List(ctx context.Context, t iot.TenantID, authority bool, offset, limit int) (out []identity.Anchor, n int, err error) {
	where := `WHERE tenant = ?`
	if authority {
		where += ` AND authority = 1`
	}
	if err = s.db.QueryRow(ctx, `SELECT count(*) FROM trust_anchor `+where, string(t)).Scan(&n); err != nil || limit <= 0 {
		return nil, n, err
	}
	out, err = s.each(ctx, where+` ORDER BY created, fingerprint LIMIT ? OFFSET ?`, string(t), limit, offset)
	return out, n, err
}

// Enabled implements identity.AnchorStore.
func (s Anchors) Enabled(ctx context.Context) ([]identity.Anchor, error) {
	return s.each(ctx, `WHERE enabled = 1 ORDER BY tenant, fingerprint`)
}

func (s Anchors) each(ctx context.Context, where string, args ...any) (out []identity.Anchor, err error) {
	err = sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		a, err := scanAnchor(rows)
		out = append(out, a)
		return err
	}, `SELECT `+anchorColumns+` FROM trust_anchor `+where, args...)
	return out, err
}

// Update implements identity.AnchorStore.
func (s Anchors) Update(ctx context.Context, t iot.TenantID, fingerprint string, rev sqlkit.Revision, change func(identity.Anchor) identity.Anchor) (out identity.Anchor, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		old, err := getAnchor(ctx, tx, t, fingerprint, tx.ForUpdate())
		if err != nil {
			return err
		}
		out = change(old)
		out.Tenant, out.Fingerprint, out.DER, out.Authority, out.Created, out.Changed = old.Tenant, old.Fingerprint, old.DER, old.Authority, old.Created, sqlkit.Time(rev.At.UnixMilli())
		if err := supersedeAnchor(ctx, tx, old, rev, false); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE trust_anchor SET name = ?, enabled = ?, registers = ?, changed = ?, proven = ?, code = ?, code_until = ?, signature = ?, rev_by = ?, rev_set = ?
			WHERE tenant = ? AND fingerprint = ?`, out.Name, flag(out.Enabled), flag(out.AutoRegistration), sqlkit.Millis(out.Changed), flag(out.Proven), out.Code,
			millisOrZero(out.CodeUntil), out.Signature, rev.By, rev.Set, string(t), fingerprint)
		return err
	})
	return out, err
}

// Delete implements identity.AnchorStore.
func (s Anchors) Delete(ctx context.Context, t iot.TenantID, fingerprint string, rev sqlkit.Revision) (old identity.Anchor, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		old, err = removeAnchor(ctx, tx, t, fingerprint, rev)
		return err
	})
	return old, err
}

// removeAnchor also forgets the key of an authority.
func removeAnchor(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, fingerprint string, rev sqlkit.Revision) (identity.Anchor, error) {
	old, err := getAnchor(ctx, tx, t, fingerprint, tx.ForUpdate())
	if err != nil {
		return old, err
	}
	if err := supersedeAnchor(ctx, tx, old, rev, true); err != nil {
		return old, err
	}
	for _, table := range []string{"trust_anchor", "certificate_authority"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE tenant = ? AND fingerprint = ?`, string(t), fingerprint); err != nil {
			return old, err
		}
	}
	return old, nil
}

func supersedeAnchor(ctx context.Context, tx *sqlkit.Tx, old identity.Anchor, rev sqlkit.Revision, deleted bool) error {
	doc, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(old.Tenant), Kind: string(iot.KindAnchor), ID: old.Fingerprint, From: old.Changed, Until: rev, Deleted: deleted, Doc: doc})
}
