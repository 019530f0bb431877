package apimgmtsql

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/apimgmt"
)

func scanEndpoint(r interface{ Scan(...any) error }) (e apimgmt.Endpoint, err error) {
	var doc []byte
	if err := r.Scan(&doc); err != nil {
		return e, err
	}
	return e, json.Unmarshal(doc, &e)
}

const oneEndpoint = `SELECT doc FROM published WHERE tenant = ? AND name = ? AND version = ?`

// Endpoint implements apimgmt.Store.
func (s *Store) Endpoint(ctx context.Context, t iot.TenantID, name string, version int) (apimgmt.Endpoint, error) {
	return scanEndpoint(s.db.QueryRow(ctx, oneEndpoint, string(t), name, version))
}

// Endpoints implements apimgmt.Store.
func (s *Store) Endpoints(ctx context.Context, t iot.TenantID) (out []apimgmt.Endpoint, err error) {
	err = sqlkit.Each(ctx, s.db, func(r *sql.Rows) error {
		e, err := scanEndpoint(r)
		out = append(out, e)
		return err
	}, `SELECT doc FROM published WHERE tenant = ? ORDER BY name, version`, string(t))
	return out, err
}

// CreateEndpoint implements apimgmt.Store.
func (s *Store) CreateEndpoint(ctx context.Context, t iot.TenantID, e apimgmt.Endpoint, most int) (made apimgmt.Endpoint, full bool, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		made = e
		if err := tx.Lock(ctx, "published", string(t)); err != nil {
			return err
		}
		var n, last int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM published WHERE tenant = ?`, string(t)).Scan(&n); err != nil {
			return err
		}
		if full = n >= most; full {
			return nil
		}
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM published WHERE tenant = ? AND name = ?`, string(t), e.Name).Scan(&last); err != nil {
			return err
		}
		made.Version = last + 1
		doc, err := json.Marshal(made)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO published (tenant, name, version, doc) VALUES (?,?,?,?)`, string(t), made.Name, made.Version, string(doc))
		return err
	})
	return made, full, err
}

// UpdateEndpoint implements apimgmt.Store.
func (s *Store) UpdateEndpoint(ctx context.Context, t iot.TenantID, name string, version int, change func(apimgmt.Endpoint) (apimgmt.Endpoint, error)) (e apimgmt.Endpoint, err error) {
	err = s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		if e, err = scanEndpoint(tx.QueryRow(ctx, oneEndpoint+tx.ForUpdate(), string(t), name, version)); err != nil {
			return err
		}
		if e, err = change(e); err != nil {
			return err
		}
		doc, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE published SET doc = ? WHERE tenant = ? AND name = ? AND version = ?`, string(doc), string(t), name, version)
		return err
	})
	return e, err
}

// DeleteEndpoint implements apimgmt.Store.
func (s *Store) DeleteEndpoint(ctx context.Context, t iot.TenantID, name string, version int, may func(apimgmt.Endpoint) error) error {
	return s.db.Write(ctx, func(tx *sqlkit.Tx) error {
		e, err := scanEndpoint(tx.QueryRow(ctx, oneEndpoint+tx.ForUpdate(), string(t), name, version))
		if err != nil {
			return err
		}
		if err := may(e); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM published WHERE tenant = ? AND name = ? AND version = ?`, string(t), name, version)
		return err
	})
}
