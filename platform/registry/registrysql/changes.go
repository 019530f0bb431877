package registrysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// objects implements changes.Documents for managed objects.
type objects struct{ s *Store }

// Objects implements registry.Log.
func (s *Store) Objects() changes.Documents { return objects{s} }

// Table implements changes.Documents.
func (objects) Table() changes.Table {
	return changes.Table{Name: "managed_object", ID: "CAST(m.id AS TEXT)", Object: "m.id", Updated: "m.updated"}
}

// Lock implements changes.Documents: relations go with objects.
func (objects) Lock(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID) error {
	return tx.Lock(ctx, "relations", string(t))
}

// Restored implements changes.Documents.
func (o objects) Restored(t iot.TenantID) { o.s.moved(t, structure|marks|documents|states) }

// Current implements changes.Documents.
func (o objects) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, text string) (*changes.Document, error) {
	id, _ := iot.ParseID(text)
	lock := ""
	if _, ok := q.(*sqlkit.Tx); ok {
		lock = forUpdateOf(o.s.db)
	}
	found, err := get(ctx, q, t, []iot.ID{id}, lock)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	d := &changes.Document{Object: id, Rev: sqlkit.Revision{At: found[0].LastUpdated}}
	if d.Raw, err = json.Marshal(found[0].ManagedObject); err != nil {
		return nil, err
	}
	d.Rev.By, d.Rev.Set, err = sqlkit.Row{Table: "managed_object", ID: int64(id)}.Made(ctx, q, string(t))
	return d, err
}

// Hindrance implements changes.Documents: what stays must not hang below an object that goes.
func (objects) Hindrance(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c changes.Change, all []changes.Change) (conflict *changes.Conflict, err error) {
	if c.Action != iot.Deleted {
		return nil, nil
	}
	goes := func(kind iot.Kind, id string) bool {
		return slices.ContainsFunc(all, func(x changes.Change) bool { return x.Action == iot.Deleted && x.Kind == kind && x.ID == id })
	}
	err = sqlkit.Each(ctx, tx, func(r *sql.Rows) error {
		var kind, child int64
		err := r.Scan(&kind, &child)
		relation := registry.RelationID{Parent: c.Object, Kind: iot.ChildKind(kind), Child: iot.ID(child)}.String()
		if err == nil && conflict == nil && !goes(iot.KindManagedObject, iot.ID(child).String()) && !goes(iot.KindRelation, relation) {
			conflict = &changes.Conflict{Kind: c.Kind, ID: c.ID, Reason: "object " + strconv.FormatInt(child, 10) + " hangs below it"}
		}
		return err
	}, `SELECT kind, child FROM object_child WHERE tenant = ? AND parent = ? ORDER BY child`, string(t), int64(c.Object))
	return conflict, err
}

// Restore implements changes.Documents.
func (objects) Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *changes.Change, rev sqlkit.Revision) error {
	note := func(a iot.Action, o iot.ManagedObject) error {
		return tx.Note(ctx, registry.Fact(t, a, registry.Object{ManagedObject: o}))
	}
	return changes.Apply(c, func(o iot.ManagedObject) error {
		if err := remove(ctx, tx, t, o, rev); err != nil {
			return err
		}
		return note(iot.Deleted, o)
	}, func(before *iot.ManagedObject, next iot.ManagedObject) (iot.ManagedObject, error) {
		next.LastUpdated = rev.At
		var err error
		if before == nil {
			err = insert(ctx, tx, t, registry.New{Object: next}, rev)
		} else {
			err = replace(ctx, tx, t, *before, next, rev)
		}
		if err != nil {
			return next, err
		}
		return next, note(c.Action, next)
	})
}
