package identitysql

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/identity"
)

// PutAuthority implements identity.AnchorStore.
func (s Anchors) PutAuthority(ctx context.Context, t iot.TenantID, a identity.Anchor, sealed, replaces string, limit int, rev sqlkit.Revision) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.Lock(ctx, "trust_anchor", string(t)); err != nil {
			return err
		}
		var current string
		err := tx.QueryRow(ctx, `SELECT fingerprint FROM certificate_authority WHERE tenant = ?`, string(t)).Scan(&current)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if current != replaces {
			return identity.ErrAuthority
		}
		if replaces != "" {
			if _, err := removeAnchor(ctx, tx, t, replaces, rev); err != nil {
				return err
			}
		}
		if err := createAnchors(ctx, tx, t, []identity.Anchor{a}, limit, rev); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO certificate_authority (tenant, fingerprint, sealed, created, rev_by, rev_set) VALUES (?,?,?,?,?,?)`,
			string(t), a.Fingerprint, sealed, sqlkit.Millis(a.Created), rev.By, rev.Set)
		return err
	})
}

// Authority implements identity.AnchorStore.
func (s Anchors) Authority(ctx context.Context, t iot.TenantID) (a identity.Anchor, sealed string, err error) {
	var print string
	err = s.db.QueryRow(ctx, `SELECT fingerprint, sealed FROM certificate_authority WHERE tenant = ?`, string(t)).Scan(&print, &sealed)
	if err != nil {
		return a, "", err
	}
	a, err = s.Get(ctx, t, print)
	return a, sealed, err
}

// Revoke implements identity.AnchorStore.
func (s Anchors) Revoke(ctx context.Context, t iot.TenantID, entries []identity.Revocation, overwrite bool, limit int, rev sqlkit.Revision) error {
	query := `INSERT INTO revoked_certificate (tenant, serial, revoked, rev_by, rev_set) VALUES (?,?,?,?,?) ON CONFLICT (tenant, serial) DO NOTHING`
	if overwrite {
		query = strings.Replace(query, "NOTHING", "UPDATE SET revoked = excluded.revoked, rev_by = excluded.rev_by, rev_set = excluded.rev_set", 1)
	}
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if err := tx.Lock(ctx, "revoked_certificate", string(t)); err != nil {
			return err
		}
		for _, e := range entries {
			if _, err := tx.Exec(ctx, query, string(t), e.Serial, sqlkit.Millis(e.At), rev.By, rev.Set); err != nil {
				return err
			}
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM revoked_certificate WHERE tenant = ?`, string(t)).Scan(&n); err != nil {
			return err
		}
		if n > limit {
			return identity.ErrTooMany
		}
		return nil
	})
}

// Revoked implements identity.AnchorStore.
func (s Anchors) Revoked(ctx context.Context, t iot.TenantID, serials []string) (bool, error) {
	args := []any{string(t)}
	for _, x := range serials {
		args = append(args, x)
	}
	var n int
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM revoked_certificate WHERE tenant = ? AND serial IN `+sqlkit.In(len(serials)), args...).Scan(&n)
	return n > 0, err
}

// Revocations implements identity.AnchorStore.
func (s Anchors) Revocations(ctx context.Context, t iot.TenantID) (out []identity.Revocation, err error) {
	err = sqlkit.Each(ctx, s.db, func(rows *sql.Rows) error {
		var e identity.Revocation
		var at int64
		err := rows.Scan(&e.Serial, &at)
		e.At = sqlkit.Time(at)
		out = append(out, e)
		return err
	}, `SELECT serial, revoked FROM revoked_certificate WHERE tenant = ? ORDER BY serial`, string(t))
	return out, err
}
