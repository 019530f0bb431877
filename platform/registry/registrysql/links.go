package registrysql

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// A relation is a document of its own in the change log: its id names both ends, its text is its position among its parent's children.
const (
	relationID  = "CAST(m.parent AS TEXT) || '/' || CASE m.kind WHEN 1 THEN 'childDevices' WHEN 2 THEN 'childAssets' ELSE 'childAdditions' END || '/' || CAST(m.child AS TEXT)"
	relationPos = "CAST(m.pos AS TEXT)"
)

// unlink removes the relations that a condition on m selects, and keeps that they were. It leaves alone what is above what.
func unlink(ctx context.Context, tx *sqlkit.Tx, rev sqlkit.Revision, where string, args ...any) (int64, error) {
	if err := tx.SupersedeRows(ctx, sqlkit.Columns{Kind: string(iot.KindRelation), Table: "object_child", ID: relationID, From: "m.since", Doc: relationPos,
		FromBy: "m.rev_by", FromSet: "m.rev_set", Object: "m.parent", Peer: "m.child"}, rev, where, args...); err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `DELETE FROM object_child AS m WHERE `+where, args...)
}

// links implements changes.Documents for relations.
type links struct{ s *Store }

// Links implements registry.Log.
func (s *Store) Links() changes.Documents { return links{s} }

// Table implements changes.Documents. Parents of what one may read are no secret; children are shown to who may read them.
func (links) Table() changes.Table {
	return changes.Table{Name: "object_child", ID: relationID, Object: "m.parent", Peer: "m.child", Updated: "m.since", ByPeer: true,
		Alive: "EXISTS (SELECT 1 FROM managed_object x WHERE x.tenant = h.tenant AND x.id = h.object)"}
}

// Lock implements changes.Documents.
func (links) Lock(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID) error {
	return tx.Lock(ctx, "relations", string(t))
}

// Restored implements changes.Documents.
func (l links) Restored(t iot.TenantID) { l.s.moved(t, structure) }

// Current implements changes.Documents.
func (links) Current(ctx context.Context, q sqlkit.Queryer, t iot.TenantID, text string) (*changes.Document, error) {
	id, err := registry.ParseRelationID(text)
	if err != nil {
		return nil, err
	}
	d := &changes.Document{Object: id.Parent, Peer: id.Child}
	var pos, since int64
	err = q.QueryRow(ctx, `SELECT pos, since, rev_by, rev_set FROM object_child WHERE tenant = ? AND parent = ? AND kind = ? AND child = ?`,
		string(t), int64(id.Parent), int64(id.Kind), int64(id.Child)).Scan(&pos, &since, &d.Rev.By, &d.Rev.Set)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	d.Raw, d.Rev.At = strconv.AppendInt(nil, pos, 10), sqlkit.Time(since)
	return d, err
}

// Hindrance implements changes.Documents: both ends of a relation that comes back must be there, or come back with it.
func (l links) Hindrance(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c changes.Change, all []changes.Change) (*changes.Conflict, error) {
	if c.Action != iot.Created || c.After == nil {
		return nil, nil
	}
	for _, end := range []iot.ID{c.Object, c.Peer} {
		i := slices.IndexFunc(all, func(x changes.Change) bool { return x.Kind == iot.KindManagedObject && x.Object == end })
		there := i >= 0 && all[i].After != nil
		if i < 0 {
			now, err := get(ctx, tx, t, []iot.ID{end}, "")
			if err != nil {
				return nil, err
			}
			there = len(now) > 0
		}
		if !there {
			return &changes.Conflict{Kind: c.Kind, ID: c.ID, Reason: "object " + end.String() + " does not exist any more"}, nil
		}
	}
	return nil, nil
}

// Restore implements changes.Documents.
func (links) Restore(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, c *changes.Change, rev sqlkit.Revision) error {
	id, err := registry.ParseRelationID(c.ID)
	if err != nil {
		return err
	}
	if c.After == nil {
		n, err := unlink(ctx, tx, rev, "m.tenant = ? AND m.parent = ? AND m.kind = ? AND m.child = ?", string(t), int64(id.Parent), int64(id.Kind), int64(id.Child))
		if err != nil || n == 0 {
			return err
		}
		return lower(ctx, tx, t, id.Parent, id.Child)
	}
	if c.Before != nil {
		return nil // removed and added again in one set
	}
	added, err := link(ctx, tx, t, id.Parent, id.Kind, []iot.ID{id.Child}, rev)
	if errors.Is(err, registry.ErrCycle) {
		return &changes.ConflictError{Conflicts: []changes.Conflict{{Kind: c.Kind, ID: c.ID, Reason: "the parent hangs below the child by now"}}}
	}
	if err != nil || len(added) == 0 {
		return err
	}
	var pos int64 // where it was
	if err := json.Unmarshal(c.After, &pos); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE object_child SET pos = ? WHERE tenant = ? AND parent = ? AND kind = ? AND child = ?`, pos, string(t), int64(id.Parent), int64(id.Kind), int64(id.Child))
	return err
}

// NeighboursAsOf implements registry.Relations.
func (s *Store) NeighboursAsOf(ctx context.Context, t iot.TenantID, of []iot.ID, parents bool, at time.Time) (out []registry.Relation, err error) {
	here, now := "object", "parent"
	if parents {
		here, now = "peer", "child"
	}
	type placed struct {
		registry.Relation
		pos int64
	}
	found := map[registry.RelationID]placed{}
	for part := range slices.Chunk(of, chunk) {
		in, args := sqlkit.In(len(part)), append([]any{string(t)}, ids(part)...)
		add := func(r *sql.Rows) error {
			var text, pos string
			if err := r.Scan(&text, &pos); err != nil {
				return err
			}
			id, err := registry.ParseRelationID(text)
			if err != nil {
				return err
			}
			x := placed{Relation: registry.Relation{Parent: id.Parent, Child: id.Child, Kind: id.Kind}}
			x.pos, err = strconv.ParseInt(pos, 10, 64)
			found[id] = x
			return err
		}
		// The present first: what ends between the two reads is in both, and nothing is in neither.
		if err := sqlkit.Each(ctx, s.db, add, `SELECT `+relationID+`, `+relationPos+` FROM object_child m WHERE m.tenant = ? AND m.`+now+` IN `+in+` AND m.since <= ?`,
			append(args, at.UnixMilli())...); err != nil {
			return nil, err
		}
		if err := sqlkit.Each(ctx, s.db, add, `SELECT id, doc FROM history WHERE tenant = ? AND `+here+` <> 0 AND `+here+` IN `+in+` AND kind = '`+string(iot.KindRelation)+`'
			AND valid_to > ? AND valid_from <= ?`, append(args, at.UnixMilli(), at.UnixMilli())...); err != nil {
			return nil, err
		}
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b placed) int {
		if parents {
			return cmp.Or(cmp.Compare(a.Child, b.Child), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.pos, b.pos), cmp.Compare(a.Parent, b.Parent))
		}
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.pos, b.pos), cmp.Compare(a.Child, b.Child))
	})
	for _, x := range all {
		out = append(out, x.Relation)
	}
	return out, nil
}
