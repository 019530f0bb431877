package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Bounds of a change set.
const (
	MaxUndo    = 500  // objects that one undo takes back
	MaxChanges = 2000 // objects of a change set that are shown
)

// Log is the change log of objects. Same rules as Store. What is not in scope is as if it had never been: an object that exists is told from
// how it is now, and one that was deleted is in the scope of all only.
type Log interface {
	// NameSet records a change set with its reason. One that exists stays as it is and is returned.
	NameSet(ctx context.Context, t iot.TenantID, s sqlkit.ChangeSet) (sqlkit.ChangeSet, error)
	// ChangeSets returns a page of the change sets with changes in scope, the latest first, and the number of all if q.Count.
	ChangeSets(ctx context.Context, t iot.TenantID, scope access.Scope, q SetQuery) ([]SetSummary, int, error)
	// ChangeSet returns the changes of a set in scope, of at most limit objects, by object and time. None if there is no such set.
	ChangeSet(ctx context.Context, t iot.TenantID, scope access.Scope, set string, limit int) (SetSummary, []ObjectChange, error)
	// Undo takes back all changes of a set, or none. u.Decide is asked once everything is known, and refuses by an error, which is returned.
	Undo(ctx context.Context, t iot.TenantID, u Undo) ([]ObjectChange, []Conflict, error)
}

// SetQuery selects change sets. All conditions must hold for one of the changes.
type SetQuery struct {
	From, To      time.Time // zero: no bound. To is excluded
	By            string
	Object        iot.ID
	Offset, Limit int
	Count         bool
}

// SetSummary is a change set with how many changes of it are in scope.
type SetSummary struct {
	sqlkit.ChangeSet // At is the time of the latest change
	Changes          int
}

// ObjectChange is one change of one object.
type ObjectChange struct {
	Object        iot.ID
	Action        iot.Action
	At            time.Time
	By            string
	Before, After *iot.ManagedObject // nil: there was none
	Withheld      bool               // before and after are not shown: they hold fragments that the reader may not see
}

// Conflict is why a change cannot be taken back.
type Conflict struct {
	Object iot.ID
	Reason string
	Set    string // the later change set, if that is why
	By     string
	At     time.Time
}

// Undo is what Log.Undo is to do.
type Undo struct {
	Set    string
	Rev    sqlkit.Revision
	Reason string
	// Decide gets what would be done. It must not call the store.
	Decide func(changes []ObjectChange, conflicts []Conflict) error
}

// ConflictError is in the error of an undo that was refused because of what happened since.
type ConflictError struct{ Conflicts []Conflict }

// Error names the first few conflicts.
func (e *ConflictError) Error() string {
	const shown = 10
	var parts []string
	for i, c := range e.Conflicts {
		if i == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.Conflicts)-shown))
			break
		}
		text := "object " + c.Object.String() + ": " + c.Reason
		if c.Set != "" {
			text += " by change set " + c.Set
		}
		parts = append(parts, text)
	}
	return "the change set cannot be taken back: " + strings.Join(parts, "; ")
}

// NameSet records the change set that a client names for what follows, and why. A set belongs to who named it first: a fault of kind Conflict for
// everybody else.
func (r *Registry) NameSet(ctx context.Context, p iot.Principal, id, reason string) (sqlkit.ChangeSet, error) {
	const op = fault.Op("registry.NameSet")
	s := sqlkit.ChangeSet{ID: id, At: r.d.Clock.Now().Truncate(time.Millisecond), By: string(p.User), Reason: reason}
	if err := s.Check(); err != nil {
		return s, err
	}
	s, err := r.d.Store.NameSet(ctx, p.Tenant, s)
	if err == nil && s.By != string(p.User) {
		return s, fault.E(op, fault.Conflict, fault.Subject(id), "the change set belongs to somebody else")
	}
	return s, classify(op, err)
}

// ChangeSets returns a page of the change sets that changed something that p may read, the latest first, and the number of all if q.Count.
func (r *Registry) ChangeSets(ctx context.Context, p iot.Principal, q SetQuery) ([]SetSummary, int, error) {
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil {
		return nil, 0, err
	}
	out, n, err := r.d.Store.ChangeSets(ctx, p.Tenant, scope, q)
	return out, n, classify("registry.ChangeSets", err)
}

// ChangeSet returns the changes of a set that p may read, of at most MaxChanges objects. Without any, it is as if there were no such set. Of an
// object that p reads for the sake of its fragments, versions with other fragments are withheld.
func (r *Registry) ChangeSet(ctx context.Context, p iot.Principal, set string) (SetSummary, []ObjectChange, error) {
	const op = fault.Op("registry.ChangeSet")
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil {
		return SetSummary{}, nil, err
	}
	s, changes, err := r.d.Store.ChangeSet(ctx, p.Tenant, scope, set, MaxChanges)
	if err != nil {
		return s, nil, classify(op, err)
	}
	if len(changes) == 0 {
		return s, nil, noSet(op, set)
	}
	for i := range changes {
		if err := r.withhold(ctx, p, &changes[i]); err != nil {
			return s, nil, err
		}
	}
	return s, changes, nil
}

func noSet(op fault.Op, set string) error {
	return fault.E(op, fault.NotFound, fault.Subject(set), "there is no change set '"+clip(set)+"'")
}

// withhold takes the versions out of a change whose fragments p may not read.
func (r *Registry) withhold(ctx context.Context, p iot.Principal, c *ObjectChange) error {
	if len(p.Grants) == 0 {
		return nil
	}
	for _, o := range []*iot.ManagedObject{c.Before, c.After} {
		if o == nil {
			continue
		}
		s, err := r.Source(ctx, p.Tenant, c.Object)
		if fault.Is(err, fault.NotFound) {
			continue // deleted: p reads everything
		}
		if err != nil {
			return err
		}
		seen, err := r.place(ctx, p, s, access.Names(p, o.Fragments))
		if err != nil {
			return err
		}
		err = r.d.Policy.Check(ctx, p, family(o.Fragments), access.Read, seen)
		switch {
		case fault.Is(err, fault.Denied):
			c.Before, c.After, c.Withheld = nil, nil, true
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// Undo takes back all changes of a change set, in a change set of its own, or none: a fault of kind Conflict with a ConflictError says what was
// changed since. p must be able to read and to change all of it; to bring back what was deleted, everywhere. Relations, external ids and what
// was recorded about a deleted object do not come back with it.
func (r *Registry) Undo(ctx context.Context, p iot.Principal, set, reason string) (sqlkit.Revision, []ObjectChange, error) {
	const op = fault.Op("registry.Undo")
	rev := r.revision(ctx, p)
	_, seen, err := r.ChangeSet(ctx, p, set)
	if err != nil {
		return rev, nil, err
	}
	if err := (sqlkit.ChangeSet{ID: rev.Set, Reason: reason}).Check(); err != nil {
		return rev, nil, err
	}
	if rev.Set == set {
		return rev, nil, fault.E(op, fault.Invalid, "an undo cannot be a part of the change set that it takes back")
	}
	places := map[iot.ID]access.Object{} // before the transaction, which must not wait for another connection
	for _, c := range seen {
		if _, ok := places[c.Object]; ok || c.Withheld {
			continue
		}
		s := Source{ID: c.Object}
		if known, err := r.Source(ctx, p.Tenant, c.Object); err == nil {
			s = known
		}
		if places[c.Object], err = r.place(ctx, p, s, nil); err != nil {
			return rev, nil, err
		}
	}
	decide := func(changes []ObjectChange, conflicts []Conflict) error {
		if len(changes)+len(conflicts) > MaxUndo {
			return fault.Errorf(op, fault.TooLarge, "at most %d objects can be taken back at once", MaxUndo)
		}
		for _, c := range conflicts {
			if _, ok := places[c.Object]; !ok {
				return r.partly(op, set)
			}
		}
		for _, c := range changes {
			place, ok := places[c.Object]
			if !ok {
				return r.partly(op, set)
			}
			if err := r.mayReverse(ctx, p, place, c); err != nil {
				return err
			}
		}
		if len(conflicts) > 0 {
			e := &ConflictError{conflicts}
			return fault.E(op, fault.Conflict, fault.Subject(set), e, e.Error())
		}
		return nil
	}
	changes, _, err := r.d.Store.Undo(r.d.Bus.Noting(ctx, p.Tenant), p.Tenant, Undo{Set: set, Rev: rev, Reason: reason, Decide: decide})
	if err != nil {
		return rev, nil, classify(op, err)
	}
	r.announce(ctx, p, set, changes)
	return rev, changes, nil
}

// partly refuses to take back what p sees only a part of.
func (r *Registry) partly(op fault.Op, set string) error {
	return fault.E(op, fault.Denied, fault.Subject(set), "Access is denied. The change set also changed what you may not read")
}

// mayReverse decides whether p may make one of the changes of an undo.
func (r *Registry) mayReverse(ctx context.Context, p iot.Principal, place access.Object, c ObjectChange) error {
	if c.Before == nil { // nobody owns what does not exist
		if c.After == nil {
			return nil
		}
		return r.d.Policy.Check(ctx, p, family(c.After.Fragments), access.Admin, access.Object{})
	}
	for _, o := range []*iot.ManagedObject{c.Before, c.After} {
		if o == nil {
			continue
		}
		place.Owner, place.Global, place.Fragments = c.Before.Owner, o.Fragments.Has(iot.FragmentGlobal), access.Names(p, o.Fragments)
		if err := r.d.Policy.Check(ctx, p, family(o.Fragments), access.Update, place); err != nil {
			return err
		}
	}
	if c.After != nil && c.After.Owner != c.Before.Owner {
		return r.d.Policy.Check(ctx, p, family(c.After.Fragments), access.Admin, access.Object{})
	}
	return nil
}

// announce publishes and audits what an undo did, as if each change had been made by itself.
func (r *Registry) announce(ctx context.Context, p iot.Principal, set string, changes []ObjectChange) {
	var records []iot.AuditRecord
	for _, c := range changes {
		var before, after iot.ManagedObject
		if c.Before != nil {
			before = *c.Before
		}
		if c.After != nil {
			after = *c.After
		}
		activity := "Managed object updated"
		switch {
		case c.After == nil && c.Before == nil:
			continue
		case c.After == nil:
			activity = "Managed object deleted"
			r.publish(ctx, p.Tenant, iot.Deleted, Object{ManagedObject: iot.ManagedObject{ID: c.Object}})
		case c.Before == nil:
			activity = "Managed object created"
			r.publish(ctx, p.Tenant, iot.Created, Object{ManagedObject: after})
		default:
			if o, ok := r.shown(ctx, p, c.Object); ok { // with its state; noted before
				r.publish(ctx, p.Tenant, iot.Updated, o)
			}
		}
		x := auditOf(activity, before, after)
		x.Text += ", taking back change set " + set
		records = append(records, x)
	}
	if len(records) > 0 {
		r.record(ctx, p, records)
	}
}
