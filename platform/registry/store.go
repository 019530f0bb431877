package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/security/access"
)

// State is what the platform keeps of an object. It is no part of the document and has no history.
type State struct {
	LastMessage  time.Time // zero: never heard of
	Availability string    // AVAILABLE, UNAVAILABLE, MAINTENANCE; empty: not monitored
	Connection   string    // CONNECTED, DISCONNECTED, MAINTENANCE; empty: never connected
	Alarms       Counters  // alarms that are not cleared
	HasAlarms    bool      // an alarm was ever raised
}

// Counters counts alarms by severity.
type Counters struct {
	Critical int64 `json:"critical"`
	Major    int64 `json:"major"`
	Minor    int64 `json:"minor"`
	Warning  int64 `json:"warning"`
}

// Object is a managed object with its state.
type Object struct {
	iot.ManagedObject
	State State
}

// New is an object to create, with all that must come into being with it or not at all.
type New struct {
	Object      iot.ManagedObject
	ExternalIDs []iot.ExternalID // ID is filled in
	Parent      iot.ID           // zero: none
	Kind        iot.ChildKind    // how it hangs below Parent
}

// Query selects objects. All conditions must hold. The order is by id unless Query.Order says otherwise.
type Query struct {
	query.Query
	IDs         []iot.ID // any of them; nil: no condition
	Type        string
	Fragment    string // top-level fragment that must exist
	Owner       string
	Until       time.Time // last changed by then; zero: no condition
	Text        string    // any token occurs in id, type, name, owner or an external id
	OnlyDevices bool
	OnlyRoots   bool          // no parent that is in scope
	Parent      iot.ID        // children of Parent by Kind, in the order in which they were added
	ParentOf    iot.ID        // parents of that child by Kind
	Kind        iot.ChildKind // for Parent and ParentOf
	Offset      int
	Limit       int
	Count       bool // also count all that match
}

// Census is how many devices a tenant has.
type Census struct {
	Devices int64 // objects with c8y_IsDevice
	All     int64 // these, and the child devices that are not marked so
	Leaves  int64 // those of all that have no child devices
}

// Store keeps objects, relations and external ids. Errors are raw: a missing row is sql.ErrNoRows, a taken external id satisfies
// sqlkit.IsUnique. Every method works in one tenant, is atomic and durable when it returns, and is safe for concurrent use.
type Store interface {
	NextID(ctx context.Context, t iot.TenantID) (iot.ID, error)
	// Create stores all or nothing. A parent that does not exist is sql.ErrNoRows.
	Create(ctx context.Context, t iot.TenantID, objects []New, rev sqlkit.Revision) error
	// Get returns the objects that exist, in the order of ids.
	Get(ctx context.Context, t iot.TenantID, ids ...iot.ID) ([]Object, error)
	// Census counts the devices of a tenant.
	Census(ctx context.Context, t iot.TenantID) (Census, error)
	// List returns a page of what is in scope, and the number of all of it if q.Count.
	List(ctx context.Context, t iot.TenantID, scope access.Scope, q Query) ([]Object, int, error)
	// Reach returns the ids of what is in scope, in any order, each once. It may hold objects whose fragments no grant covers. If there are
	// more than limit, complete is false and what is returned is of no use.
	Reach(ctx context.Context, t iot.TenantID, scope access.Scope, limit int) (ids []iot.ID, complete bool, err error)
	// Update replaces an object by what change makes of it. If change returns the object unchanged in type, name, owner and fragments,
	// nothing is stored and written is false. change may run more than once.
	Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.ManagedObject) (iot.ManagedObject, error)) (o Object, written bool, err error)
	// UpdateAll is Update for several objects, all or none: change gets the index of each. sql.ErrNoRows if one of them is not there.
	UpdateAll(ctx context.Context, t iot.TenantID, ids []iot.ID, rev sqlkit.Revision, change func(i int, o iot.ManagedObject) (iot.ManagedObject, error)) (o []Object, written []bool, err error)
	// Delete removes objects with their relations and external ids; those that do not exist are skipped. It returns the removed. Unless it is nil, may is asked
	// about each as it is now, in the same transaction and perhaps more than once; an error of it ends all.
	Delete(ctx context.Context, t iot.TenantID, ids []iot.ID, rev sqlkit.Revision, may func(iot.ManagedObject) error) ([]iot.ManagedObject, error)
	// History returns the superseded versions, oldest first; with a time that is not zero only the one that was current then, if any was.
	History(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]Version, error)
	// AsOf returns the objects that were there at a time as they were, in the order of ids.
	AsOf(ctx context.Context, t iot.TenantID, ids []iot.ID, at time.Time) ([]iot.ManagedObject, error)
	// Former returns, in the order of ids, those superseded versions that were current at a time and for which match is true. It looks at up to limit
	// versions that were current then, and says at how many; match must have no other effect.
	Former(ctx context.Context, t iot.TenantID, at time.Time, limit int, match func(iot.ManagedObject) bool) (versions []iot.ManagedObject, looked int, err error)
	// Ended counts the versions of objects that ended after a time, up to limit.
	Ended(ctx context.Context, t iot.TenantID, after time.Time, limit int) (int, error)
}

// Version is a superseded version of an object.
type Version struct {
	Object  iot.ManagedObject
	From    time.Time
	Until   sqlkit.Revision
	Deleted bool
}

// Relations keeps which object hangs below which. Same rules as Store.
type Relations interface {
	// Link adds children; those that are linked already are left alone. It returns those that are new.
	// A missing object is sql.ErrNoRows; ErrCycle is returned if a child is the parent or above it.
	Link(ctx context.Context, t iot.TenantID, parent iot.ID, kind iot.ChildKind, children []iot.ID, rev sqlkit.Revision) ([]iot.ID, error)
	// Unlink removes relations and returns how many there were.
	Unlink(ctx context.Context, t iot.TenantID, parent iot.ID, kind iot.ChildKind, children []iot.ID, rev sqlkit.Revision) (int, error)
	// Neighbours returns the direct relations of objects: to children, or to parents.
	Neighbours(ctx context.Context, t iot.TenantID, ids []iot.ID, parents bool) ([]Relation, error)
	// NeighboursAsOf is Neighbours as they were at a time, without names. A relation from before relations had a history counts as having always been.
	NeighboursAsOf(ctx context.Context, t iot.TenantID, ids []iot.ID, parents bool, at time.Time) ([]Relation, error)
	// Descend returns the ids below root through the given kinds, recursively, without root, each once.
	Descend(ctx context.Context, t iot.TenantID, root iot.ID, kinds []iot.ChildKind) ([]iot.ID, error)
	// Ascend returns the ids above id through the given kinds, nearest first, without id, each once.
	Ascend(ctx context.Context, t iot.TenantID, id iot.ID, kinds []iot.ChildKind) ([]iot.ID, error)
	// Ancestors returns the ids above id through all kinds, in any order, each once, from an index of all pairs.
	Ancestors(ctx context.Context, t iot.TenantID, id iot.ID) ([]iot.ID, error)
}

// Relation is one object hanging below another one.
type Relation struct {
	Parent, Child iot.ID
	Kind          iot.ChildKind
	Name          string // of the other end: the child's, or with parents the parent's
}

// RelationID names a relation in the change log.
type RelationID struct {
	Parent, Child iot.ID
	Kind          iot.ChildKind
}

// String returns "parent/childAssets/child".
func (x RelationID) String() string {
	return x.Parent.String() + "/" + x.Kind.String() + "/" + x.Child.String()
}

// ParseRelationID reads what String wrote.
func ParseRelationID(text string) (x RelationID, err error) {
	parent, rest, _ := strings.Cut(text, "/")
	kind, child, _ := strings.Cut(rest, "/")
	for _, k := range iot.ChildKinds {
		if k.String() == kind {
			x.Kind = k
		}
	}
	var isParent, isChild bool
	x.Parent, isParent = iot.ParseID(parent)
	x.Child, isChild = iot.ParseID(child)
	if !isParent || !isChild || x.Kind == 0 {
		return x, fmt.Errorf("%.100q names no relation", text)
	}
	return x, nil
}

// Log tells the change log of objects and of relations.
type Log interface {
	Objects() changes.Documents
	Links() changes.Documents
}

// Names keeps external ids. Same rules as Store.
type Names interface {
	Bind(ctx context.Context, t iot.TenantID, x iot.ExternalID) error
	Unbind(ctx context.Context, t iot.TenantID, typ, value string) error
	Resolve(ctx context.Context, t iot.TenantID, names []iot.ExternalID) ([]iot.ExternalID, error) // those that exist
	NamesOf(ctx context.Context, t iot.TenantID, id iot.ID) ([]iot.ExternalID, error)
}

// States keeps what the platform knows of objects. Missing objects are skipped. Same rules as Store.
type States interface {
	// Touch records signs of life: it only ever moves LastMessage forward and sets what is not empty.
	Touch(ctx context.Context, t iot.TenantID, touches map[iot.ID]Touch) error
	SetAlarms(ctx context.Context, t iot.TenantID, id iot.ID, c Counters) error
	// Overdue returns monitored objects that were not heard of within their required interval but are not UNAVAILABLE yet, of all tenants.
	Overdue(ctx context.Context, t iot.TenantID, now time.Time) ([]iot.ID, error)
}

// Touch is a sign of life of an object.
type Touch struct {
	LastMessage  time.Time
	Availability string // empty: as it is
	Connection   string // empty: as it is
	Announce     bool   // publish the object even if only LastMessage changed; drivers ignore it
}

// Driver is all that a driver of the registry does.
type Driver interface {
	Store
	Relations
	Names
	States
	Log
}
