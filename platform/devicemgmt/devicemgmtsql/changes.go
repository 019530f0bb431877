package devicemgmtsql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// documents implements changes.Documents for operations, which cannot be taken back.
type documents struct {
	changes.Unhindered
	s *Store
}

// Documents implements devicemgmt.Store.
func (s *Store) Documents() changes.Documents { return documents{s: s} }

// Table implements changes.Documents.
func (documents) Table() changes.Table {
	return changes.Table{Name: "operation", ID: "CAST(m.id AS TEXT)", Object: "m.device", Updated: "m.updated", Born: "m.created",
		Alive: "EXISTS (SELECT 1 FROM operation x WHERE x.tenant = h.tenant AND x.id = CASE WHEN h.kind = '" + string(iot.KindOperation) + "' THEN CAST(h.id AS BIGINT) END)"}
}

// Current implements changes.Documents.
func (documents) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, text string) (*changes.Document, error) {
	id, _ := iot.ParseID(text)
	o, err := get(ctx, q, t, id, sqlkit.LockIn(q))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := &changes.Document{Object: o.Device, Rev: sqlkit.Revision{At: o.LastUpdated}}
	if d.Raw, err = json.Marshal(o); err != nil {
		return nil, err
	}
	d.Rev.By, d.Rev.Set, err = sqlkit.Row{Table: "operation", ID: int64(id)}.Made(ctx, q, string(t))
	return d, err
}

// Hindrance implements changes.Documents.
func (documents) Hindrance(_ context.Context, _ *sqlkit.Tx, _ iot.TenantID, c changes.Change, _ []changes.Change) (*changes.Conflict, error) {
	return &changes.Conflict{Kind: c.Kind, ID: c.ID, Reason: "operations cannot be taken back, because the device may have carried it out"}, nil
}

// Restore implements changes.Documents. It is not called, because of Hindrance.
func (documents) Restore(_ context.Context, _ *sqlkit.Tx, _ iot.TenantID, c *changes.Change, _ sqlkit.Revision) error {
	return fmt.Errorf("the operation %s was to be taken back", c.ID)
}
