package changes

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Bounds of a change set.
const (
	MaxUndo    = 500  // documents that one undo takes back
	MaxChanges = 2000 // documents of a change set that are shown
)

// View is what somebody sees of a kind.
type View struct {
	Kind      iot.Kind
	Documents Documents
	Scope     access.Scope
}

// Everything returns the views of who sees all of some kinds.
func Everything(kinds ...Kind) (out []View) {
	for _, k := range kinds {
		out = append(out, View{k.Name(), k.Documents(), access.Scope{All: true}})
	}
	return out
}

// Store reads the change log. Errors are raw. Every method works in one tenant and is safe for concurrent use. What is in no view is as if it had
// never been: a document that belongs to a managed object is told from how that is now, and one that was deleted is in views of all only.
type Store interface {
	// NameSet records a change set with its reason. One that exists stays as it is and is returned.
	NameSet(ctx context.Context, t iot.TenantID, s sqlkit.ChangeSet) (sqlkit.ChangeSet, error)
	// ChangeSets returns a page of the change sets with changes in view, the latest first, and the number of all if q.Count.
	ChangeSets(ctx context.Context, t iot.TenantID, views []View, q Query) ([]Summary, int, error)
	// ChangeSet returns the changes of a set in view, of at most limit documents, by kind, document and time. None if there is no such set.
	ChangeSet(ctx context.Context, t iot.TenantID, views []View, set string, limit int) (Summary, []Change, error)
	// Undo takes back all changes of a set of the kinds in u.Views, or none. u.Decide is asked once everything is known, and refuses by an error, which is
	// returned.
	Undo(ctx context.Context, t iot.TenantID, u Undo) ([]Change, []Conflict, error)
}

// Query selects change sets. All conditions must hold for one of the changes.
type Query struct {
	From, To      time.Time // zero: no bound. To is excluded
	By            string
	Object        iot.ID     // the managed object that was changed, or to which what was changed belongs
	Kinds         []iot.Kind // any of them; nil: no condition
	Offset, Limit int
	Count         bool
}

// Summary is a change set with how many changes of it are in view.
type Summary struct {
	sqlkit.ChangeSet // At is the time of the latest change
	Changes          int
}

// Undo is what Store.Undo is to do.
type Undo struct {
	Set    string
	Rev    sqlkit.Revision
	Reason string
	Views  []View
	// Decide gets what would be done. It must not call a store.
	Decide func(changes []Change, conflicts []Conflict) error
}

// Deps is what Log needs.
type Deps struct {
	Store Store
	Bus   *bus.Bus
	Clock clock.Clock
}

// Log is the face. It is safe for concurrent use once all kinds are there.
type Log struct {
	d     Deps
	kinds []Kind
}

// New returns the face without any kind.
func New(d Deps) *Log { return &Log{d: d} }

// Add registers kinds, before the first request. An undo creates documents of kinds that came first before others, and deletes them after.
func (l *Log) Add(kinds ...Kind) { l.kinds = append(l.kinds, kinds...) }

// Kinds returns the names of what is registered.
func (l *Log) Kinds() (out []iot.Kind) {
	for _, k := range l.kinds {
		out = append(out, k.Name())
	}
	return out
}

func listed(kinds []iot.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// NameSet records the change set that a client names for what follows, and why. A set belongs to who named it first: a fault of kind Conflict for
// everybody else.
func (l *Log) NameSet(ctx context.Context, p iot.Principal, id, reason string) (sqlkit.ChangeSet, error) {
	const op = fault.Op("changes.NameSet")
	s := sqlkit.ChangeSet{ID: id, At: l.now(), By: string(p.User), Reason: reason}
	if err := s.Check(); err != nil {
		return s, err
	}
	s, err := l.d.Store.NameSet(ctx, p.Tenant, s)
	if err == nil && s.By != string(p.User) {
		return s, fault.E(op, fault.Conflict, fault.Subject(id), "the change set belongs to somebody else")
	}
	return s, sqlkit.Fault(op, err)
}

func (l *Log) now() time.Time { return l.d.Clock.Now().Truncate(time.Millisecond) }

// views returns what p sees of some kinds, all if there are none. A fault of kind Denied if that is nothing.
func (l *Log) views(ctx context.Context, p iot.Principal, only []iot.Kind) (out []View, err error) {
	var denied error
	for _, k := range l.kinds {
		if only != nil && !slices.Contains(only, k.Name()) {
			continue
		}
		scope, err := k.Scope(ctx, p)
		switch {
		case err == nil:
			out = append(out, View{k.Name(), k.Documents(), scope})
		case !fault.Is(err, fault.Denied):
			return nil, err
		case denied == nil:
			denied = err
		}
	}
	if len(out) == 0 {
		return nil, denied
	}
	return out, nil
}

// ChangeSets returns a page of the change sets that changed something that p may read, the latest first, and the number of all if q.Count.
func (l *Log) ChangeSets(ctx context.Context, p iot.Principal, q Query) ([]Summary, int, error) {
	const op = fault.Op("changes.ChangeSets")
	for _, k := range q.Kinds {
		if !slices.Contains(l.Kinds(), k) {
			return nil, 0, fault.Errorf(op, fault.Invalid, "%.40q is no kind of change: there are %s", k, listed(l.Kinds()))
		}
	}
	views, err := l.views(ctx, p, q.Kinds)
	if q.Kinds != nil && fault.Is(err, fault.Denied) { // as in a list of all kinds: what one may not read is not there
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	out, n, err := l.d.Store.ChangeSets(ctx, p.Tenant, views, q)
	return out, n, sqlkit.Fault(op, err)
}

// ChangeSet returns the changes of a set that p may read, of at most MaxChanges documents. Without any, it is as if there were no such set. What p may
// not see of a document is withheld.
func (l *Log) ChangeSet(ctx context.Context, p iot.Principal, set string) (Summary, []Change, error) {
	const op = fault.Op("changes.ChangeSet")
	views, err := l.views(ctx, p, nil)
	if err != nil {
		return Summary{}, nil, err
	}
	s, changes, err := l.d.Store.ChangeSet(ctx, p.Tenant, views, set, MaxChanges)
	if err != nil {
		return s, nil, sqlkit.Fault(op, err)
	}
	if len(changes) == 0 {
		return s, nil, noSet(op, set)
	}
	for i := range changes {
		if err := l.kind(changes[i].Kind).Show(ctx, p, &changes[i]); err != nil {
			return s, nil, err
		}
	}
	return s, changes, nil
}

// kind returns the kind of a name that came from a registered one.
func (l *Log) kind(name iot.Kind) Kind {
	return l.kinds[slices.IndexFunc(l.kinds, func(k Kind) bool { return k.Name() == name })]
}

func noSet(op fault.Op, set string) error {
	const most = 200
	if len(set) > most {
		set = set[:most] + "..."
	}
	return fault.E(op, fault.NotFound, fault.Subject(set), "there is no change set '"+set+"'")
}

// document names one document.
type document struct {
	kind iot.Kind
	id   string
}

// Undo takes back all changes of a change set, in a change set of its own, or none: a fault of kind Conflict with a ConflictError says what stands
// against it. p must be able to read and to change all of it; what each kind asks for is said where it is registered.
func (l *Log) Undo(ctx context.Context, p iot.Principal, set, reason string) (sqlkit.Revision, []Change, error) {
	const op = fault.Op("changes.Undo")
	rev := sqlkit.NewRevision(ctx, l.now(), string(p.User))
	_, seen, err := l.ChangeSet(ctx, p, set)
	if err != nil {
		return rev, nil, err
	}
	if err := (sqlkit.ChangeSet{ID: rev.Set, Reason: reason}).Check(); err != nil {
		return rev, nil, err
	}
	if rev.Set == set {
		return rev, nil, fault.E(op, fault.Invalid, "an undo cannot be a part of the change set that it takes back")
	}
	judges := map[iot.Kind]func(Change) error{}
	known := map[document]bool{}
	for _, c := range seen {
		if c.Withheld {
			continue
		}
		known[document{c.Kind, c.ID}] = true
		if judges[c.Kind] == nil {
			if judges[c.Kind], err = l.kind(c.Kind).Judge(ctx, p, seen); err != nil {
				return rev, nil, err
			}
		}
	}
	u := Undo{Set: set, Rev: rev, Reason: reason, Views: Everything(l.kinds...), Decide: func(changes []Change, conflicts []Conflict) error {
		if max(len(changes), len(conflicts)) > MaxUndo {
			return fault.Errorf(op, fault.TooLarge, "at most %d documents can be taken back at once", MaxUndo)
		}
		for _, c := range conflicts {
			if !known[document{c.Kind, c.ID}] {
				return partly(op, set)
			}
		}
		for _, c := range changes {
			if !known[document{c.Kind, c.ID}] {
				return partly(op, set)
			}
			if err := judges[c.Kind](c); err != nil {
				return err
			}
		}
		if len(conflicts) > 0 {
			return &ConflictError{conflicts}
		}
		return nil
	}}
	done, _, err := l.d.Store.Undo(l.d.Bus.Noting(ctx, p.Tenant), p.Tenant, u)
	if err != nil {
		return rev, nil, refused(op, set, err)
	}
	for _, k := range l.kinds {
		if mine := slices.DeleteFunc(slices.Clone(done), func(c Change) bool { return c.Kind != k.Name() }); len(mine) > 0 {
			k.Announce(ctx, p, set, mine)
		}
	}
	for i := range done {
		if err := l.kind(done[i].Kind).Show(ctx, p, &done[i]); err != nil {
			return rev, nil, err
		}
	}
	return rev, done, nil
}

// partly refuses to take back what somebody sees only a part of.
func partly(op fault.Op, set string) error {
	return fault.E(op, fault.Denied, fault.Subject(set), "Access is denied. The change set also changed what you may not read")
}

// refused gives the error of an undo its kind.
func refused(op fault.Op, set string, err error) error {
	var c *ConflictError
	if errors.As(err, &c) {
		return fault.E(op, fault.Conflict, fault.Subject(set), c, c.Error())
	}
	return sqlkit.Fault(op, err)
}
