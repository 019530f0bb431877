package tenancysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// options implements changes.Documents.
type options struct{ changes.Unhindered }

// OptionDocuments implements tenancy.Store.
func (s *Store) OptionDocuments() changes.Documents { return options{} }

// Table implements changes.Documents.
func (options) Table() changes.Table {
	return changes.Table{Name: "tenant_option", ID: "m.category || '/' || m.key", Updated: "m.rev_at"}
}

// Current implements changes.Documents.
func (options) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, id string) (*changes.Document, error) {
	key := tenancy.ParseLogID(id)
	var d changes.Document
	var value string
	var at int64
	err := q.QueryRow(ctx, `SELECT value, rev_at, rev_by, rev_set FROM tenant_option WHERE tenant = ? AND category = ? AND key = ?`+sqlkit.LockIn(q), string(t), key.Category, key.Key).
		Scan(&value, &at, &d.Rev.By, &d.Rev.Set)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	d.Raw, d.Rev.At = iot.AppendText(nil, value), sqlkit.Time(at)
	return &d, err
}

// Restore implements changes.Documents.
func (options) Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *changes.Change, rev sqlkit.Revision) error {
	key := tenancy.ParseLogID(c.ID)
	if c.After == nil {
		return remove(ctx, tx, t, key, rev)
	}
	value, ok := iot.RawText(c.After)
	if !ok {
		return fmt.Errorf("a version of the option %s is no text", c.ID)
	}
	return put(ctx, tx, t, tenancy.Option{OptionKey: key, Value: value}, rev)
}
