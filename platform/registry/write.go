package registry

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Place says below which object a new one is to hang. The zero Place is nowhere.
type Place struct {
	Parent iot.ID
	Kind   iot.ChildKind
}

// Create creates objects, all or none, owned by p unless the draft names a user as owner and p may set one: tools that copy objects from elsewhere send their owner along.
func (r *Registry) Create(ctx context.Context, p iot.Principal, place Place, drafts ...Draft) ([]Object, error) {
	const op = fault.Op("registry.Create")
	for _, d := range drafts {
		if err := r.d.Policy.Check(ctx, p, family(d.Fragments), access.Create, access.Object{}); err != nil {
			return nil, err
		}
	}
	if place.Parent != 0 && place.Kind == iot.ChildAddition {
		if _, err := r.Check(ctx, p, place.Parent, access.ManagedObject, access.Update); err != nil {
			return nil, err
		}
	}
	if len(drafts) == 0 || len(drafts) > MaxBulk {
		return nil, fault.Errorf(op, fault.Invalid, "between 1 and %d objects can be created at once", MaxBulk)
	}
	rev := r.revision(ctx, p)
	news := make([]New, len(drafts))
	for i, d := range drafts {
		var err error
		if news[i], err = r.fresh(ctx, p, d, place, rev.At); err != nil {
			return nil, fault.E(op, err)
		}
	}
	if err := r.d.Store.Create(r.d.Bus.Noting(ctx, p.Tenant), p.Tenant, news, rev); err != nil {
		if sqlkit.IsUnique(err) {
			return nil, fault.E(op, fault.Exists, fault.Reason("identity"), err, "External id is already bound to another global id")
		}
		if err = classify(op, err); fault.Is(err, fault.NotFound) {
			err = fault.E(op, err, "the parent does not exist")
		}
		return nil, err
	}
	out, records := make([]Object, len(news)), make([]iot.AuditRecord, len(news))
	for i, n := range news {
		out[i] = Object{ManagedObject: n.Object}
		r.publish(ctx, p.Tenant, iot.Created, out[i])
		r.d.Usage.Made(p.Tenant, n.Object.ID, iot.KindManagedObject, iot.Created, rev.At, 1)
		records[i] = auditOf("Managed object created", iot.ManagedObject{}, n.Object)
	}
	r.record(ctx, p, records)
	if place.Parent != 0 {
		r.touched(ctx, p, place.Parent)
	}
	return out, nil
}

func (r *Registry) fresh(ctx context.Context, p iot.Principal, d Draft, place Place, now time.Time) (New, error) {
	id, err := r.d.Store.NextID(ctx, p.Tenant)
	if err != nil {
		return New{}, classify("registry.Create", err)
	}
	o := iot.ManagedObject{ID: id, Owner: p.User, CreationTime: now, LastUpdated: now, Fragments: d.Fragments.WithoutNulls()}
	if d.Type != nil {
		o.Type = *d.Type
	}
	if d.Name != nil {
		o.Name = *d.Name
	}
	if d.Owner != nil && *d.Owner != "" && r.d.Policy.Check(ctx, p, family(d.Fragments), access.Admin, access.Object{}) == nil {
		if err := r.meet(ctx, p, &d); err != nil {
			return New{}, err
		}
		if d.stranger == nil {
			o.Owner = iot.UserName(*d.Owner)
		}
	}
	n := New{Object: o, Parent: place.Parent, Kind: place.Kind}
	if err := fits(o); err != nil {
		return n, err
	}
	for _, x := range d.ExternalIDs {
		if err := validName(x); err != nil {
			return n, err
		}
		x.ID = id
		n.ExternalIDs = append(n.ExternalIDs, x)
	}
	return n, nil
}

// fits returns a fault unless an object has few enough fragments: each has a row in an index.
func fits(o iot.ManagedObject) error {
	if len(o.Fragments) > MaxFragments {
		return fault.Errorf(fault.Op("registry.Write"), fault.Invalid, "an object can have at most %d fragments, this one would have %d", MaxFragments, len(o.Fragments))
	}
	return nil
}

// Patch changes an object: members that are given replace the whole member, null removes it, the rest stays. A patch without any
// member is a sign of life and nothing else. In a mode that does not store (iot.ModeOf) it publishes and returns what the object would be.
// An owner who is not a user of the tenant is a fault of kind Invalid, unless the object is his already.
func (r *Registry) Patch(ctx context.Context, p iot.Principal, id iot.ID, d Draft) (Object, error) {
	if err := r.meet(ctx, p, &d); err != nil {
		return Object{}, err
	}
	return r.Modify(ctx, p, id, d.apply)
}

// Patch is what a client wants to change of one object.
type Patch struct {
	ID    iot.ID
	Draft Draft
}

// PatchAll is Patch for up to MaxBulk objects, all or none, and always stores. An object that is named twice is changed twice.
func (r *Registry) PatchAll(ctx context.Context, p iot.Principal, patches []Patch) ([]Object, error) {
	const op = fault.Op("registry.PatchAll")
	if len(patches) == 0 || len(patches) > MaxBulk {
		return nil, fault.Errorf(op, fault.Invalid, "between 1 and %d objects can be changed at once", MaxBulk)
	}
	ids, changes := make([]iot.ID, len(patches)), make([]func(iot.ManagedObject) (iot.ManagedObject, error), len(patches))
	for i, x := range patches {
		ids[i] = x.ID
		err := r.meet(ctx, p, &x.Draft)
		if err != nil {
			return nil, err
		}
		if changes[i], err = r.guarded(ctx, p, x.ID, x.Draft.apply); err != nil {
			return nil, err
		}
	}
	before, at := make([]iot.ManagedObject, len(patches)), 0
	out, written, err := r.d.Store.UpdateAll(r.d.Bus.Noting(ctx, p.Tenant), p.Tenant, ids, r.revision(ctx, p), func(i int, old iot.ManagedObject) (iot.ManagedObject, error) {
		at, before[i] = i, old
		return changes[i](old)
	})
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			at = r.absent(ctx, p.Tenant, ids)
		}
		return nil, modifyFault(op, ids[at], err)
	}
	var records []iot.AuditRecord
	for i, o := range out {
		if written[i] {
			r.publish(ctx, p.Tenant, iot.Updated, o)
			r.d.Usage.Made(p.Tenant, o.ID, iot.KindManagedObject, iot.Updated, r.d.Clock.Now(), 1)
			records = append(records, auditOf("Managed object updated", before[i], o.ManagedObject))
		}
	}
	if len(records) > 0 {
		r.record(ctx, p, records)
	}
	return out, nil
}

// absent is the index of the first object that is not there, for the message.
func (r *Registry) absent(ctx context.Context, t iot.TenantID, ids []iot.ID) int {
	found, _ := r.d.Store.Get(ctx, t, ids...)
	return max(0, slices.IndexFunc(ids, func(id iot.ID) bool {
		return !slices.ContainsFunc(found, func(o Object) bool { return o.ID == id })
	}))
}

// meet finds out whether the owner that a draft names is a user, and notes in it if not. Who may not set an owner learns nothing about users. The
// account of a device may come later than its object: registration in bulk and imports make them in that order.
func (r *Registry) meet(ctx context.Context, p iot.Principal, d *Draft) error {
	const op = fault.Op("registry.Owner")
	if r.d.Knows == nil || d.Owner == nil || *d.Owner == "" || iot.UserName(*d.Owner) == p.User || iot.UserName(*d.Owner).IsDevice() || r.d.Policy.Check(ctx, p, family(d.Fragments), access.Admin, access.Object{}) != nil {
		return nil
	}
	known, err := r.d.Knows(ctx, p.Tenant, iot.UserName(*d.Owner))
	if err != nil {
		return fault.E(op, err)
	}
	if !known {
		d.stranger = fault.E(op, fault.Invalid, "the owner must be a user of the tenant: there is no user '"+clip(*d.Owner)+"'")
	}
	return nil
}

func (d Draft) apply(o iot.ManagedObject) (iot.ManagedObject, error) {
	if d.If != nil {
		if err := d.If(o); err != nil {
			return o, err
		}
	}
	if d.Type != nil {
		o.Type = *d.Type
	}
	if d.Name != nil {
		o.Name = *d.Name
	}
	if d.Owner != nil && iot.UserName(*d.Owner) != o.Owner {
		if d.stranger != nil {
			return o, d.stranger
		}
		o.Owner = iot.UserName(*d.Owner)
	}
	o.Fragments = o.Fragments.Merge(d.Fragments)
	return o, nil
}

// errPretended ends a change that is not to be stored.
var errPretended = errors.New("registry: not to be stored")

// pretend checks and publishes a change without making it.
func (r *Registry) pretend(ctx context.Context, p iot.Principal, id iot.ID, change func(iot.ManagedObject) (iot.ManagedObject, error)) (Object, error) {
	const op = fault.Op("registry.Patch")
	var before, after iot.ManagedObject
	_, _, err := r.modify(ctx, p, id, r.revision(ctx, p), func(o iot.ManagedObject) (_ iot.ManagedObject, err error) {
		before = o
		after, err = change(o)
		return after, err
	}, errPretended)
	if err != nil && !errors.Is(err, errPretended) {
		return Object{}, modifyFault(op, id, err)
	}
	now, err := r.d.Store.Get(ctx, p.Tenant, id)
	if err != nil {
		return Object{}, classify(op, err)
	}
	if len(now) == 0 { // deleted in between
		return Object{}, notFound(op, id)
	}
	o := now[0] // for its state
	o.ManagedObject = after
	if after.Type != before.Type || after.Name != before.Name || after.Owner != before.Owner || !after.Fragments.Equal(before.Fragments) {
		o.LastUpdated = r.d.Clock.Now().Truncate(time.Millisecond)
		r.publish(ctx, p.Tenant, iot.Updated, o)
	}
	return o, nil
}

// Modify replaces an object by what change makes of it, atomically. change may run more than once and must have no other effect.
// Changing the owner needs the permission, not ownership. Of modes it keeps what Patch does.
func (r *Registry) Modify(ctx context.Context, p iot.Principal, id iot.ID, change func(iot.ManagedObject) (iot.ManagedObject, error)) (Object, error) {
	if !iot.ModeOf(ctx).Stores() {
		return r.pretend(ctx, p, id, change)
	}
	const op = fault.Op("registry.Modify")
	var before iot.ManagedObject
	o, written, err := r.modify(ctx, p, id, r.revision(ctx, p), func(old iot.ManagedObject) (iot.ManagedObject, error) {
		before = old
		return change(old)
	}, nil)
	if err != nil {
		return o, modifyFault(op, id, err)
	}
	if written {
		r.publish(ctx, p.Tenant, iot.Updated, o)
		r.d.Usage.Made(p.Tenant, id, iot.KindManagedObject, iot.Updated, r.d.Clock.Now(), 1)
		r.record(ctx, p, []iot.AuditRecord{auditOf("Managed object updated", before, o.ManagedObject)})
	}
	return o, nil
}

// modifyFault words the failure of a change.
func modifyFault(op fault.Op, id iot.ID, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	if err = classify(op, err); fault.Is(err, fault.NotFound) {
		return notFound(op, id)
	}
	return err
}

// modify is Modify without its consequences. What passed all checks ends with the error last, if there is one, and is not stored.
func (r *Registry) modify(ctx context.Context, p iot.Principal, id iot.ID, rev sqlkit.Revision, change func(iot.ManagedObject) (iot.ManagedObject, error), last error) (Object, bool, error) {
	guarded, err := r.guarded(ctx, p, id, change)
	if err != nil {
		return Object{}, false, err
	}
	return r.d.Store.Update(r.d.Bus.Noting(ctx, p.Tenant), p.Tenant, id, rev, func(old iot.ManagedObject) (iot.ManagedObject, error) {
		next, err := guarded(old)
		if err == nil {
			err = last
		}
		return next, err
	})
}

// guarded is a change of an object that is refused unless p may make it. It asks for what it needs now: the change runs inside a transaction, which must not
// wait for another connection.
func (r *Registry) guarded(ctx context.Context, p iot.Principal, id iot.ID, change func(iot.ManagedObject) (iot.ManagedObject, error)) (func(iot.ManagedObject) (iot.ManagedObject, error), error) {
	place, err := r.place(ctx, p, Source{ID: id}, nil)
	if err != nil {
		return nil, err
	}
	may := func(o iot.ManagedObject) error {
		s := sourceOf(Object{ManagedObject: o})
		seen := place
		seen.Owner, seen.Global, seen.Fragments = s.Owner, s.Global, access.Names(p, o.Fragments)
		return r.d.Policy.Check(ctx, p, family(o.Fragments), access.Update, seen)
	}
	return func(old iot.ManagedObject) (iot.ManagedObject, error) {
		if err := may(old); err != nil {
			return old, err
		}
		next, err := change(old)
		if err != nil {
			return old, err
		}
		if err := fits(next); err != nil {
			return old, err
		}
		// What somebody may change for the sake of its fragments must stay so.
		after := next
		after.ID, after.Owner = old.ID, old.Owner
		if err := may(after); err != nil {
			return old, err
		}
		if next.Owner != old.Owner {
			if err := r.d.Policy.Check(ctx, p, family(next.Fragments), access.Admin, access.Object{}); err != nil {
				return old, err
			}
		}
		return next, nil
	}, nil
}

// auditOf is the audit record of a change of an object, with what differs.
func auditOf(activity string, before, after iot.ManagedObject) iot.AuditRecord {
	doc := func(o iot.ManagedObject) iot.Doc {
		if o.ID == 0 {
			return nil
		}
		d := o.Fragments
		for _, f := range [...][2]string{{"owner", string(o.Owner)}, {"name", o.Name}, {"type", o.Type}} {
			if f[1] != "" {
				d = d.SetText(f[0], f[1])
			}
		}
		return d
	}
	o := after
	if o.ID == 0 {
		o = before
	}
	return iot.AuditRecord{Type: "Inventory", Activity: activity, Text: activity + ": '" + o.ID.String() + "' (" + clip(o.Name) + ")", Source: o.ID, Changes: bounded(iot.Diff(doc(before), doc(after)))}
}

// bounded cuts what differs to what a record can hold, and says how much more there was.
func bounded(changes []iot.AttributeChange) []iot.AttributeChange {
	const mostChanges, mostBytes = 900, 256 << 10
	size := 0
	for i, c := range changes {
		size += len(c.Attribute) + len(c.Previous) + len(c.New)
		if i == mostChanges || size > mostBytes {
			return append(changes[:i:i], iot.AttributeChange{Attribute: "...", New: strconv.Itoa(len(changes)-i) + " more attributes"})
		}
	}
	return changes
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// recorders is how many audit records one request writes at a time: those share commits.
const recorders = 64

// record writes audit records and waits for them.
func (r *Registry) record(ctx context.Context, p iot.Principal, records []iot.AuditRecord) {
	for part := range slices.Chunk(records, recorders) {
		var done sync.WaitGroup
		for _, x := range part[1:] {
			done.Go(func() { r.d.Audit.Record(ctx, p, x) })
		}
		r.d.Audit.Record(ctx, p, part[0])
		done.Wait()
	}
}

// touched marks an object as updated because a relation or the state of it changed, and publishes it as it is seen by now.
func (r *Registry) touched(ctx context.Context, p iot.Principal, id iot.ID) {
	if o, ok := r.shown(ctx, p, id); ok {
		if subject, data, ok := r.changed(p.Tenant, iot.Updated, o); ok {
			r.d.Bus.Tell(ctx, p.Tenant, subject, data)
		}
	}
}

// shown is an object as it is seen by now; ok is false if it is gone.
func (r *Registry) shown(ctx context.Context, p iot.Principal, id iot.ID) (o Object, ok bool) {
	objects, err := r.d.Store.Get(ctx, p.Tenant, id)
	if err != nil || len(objects) != 1 {
		return o, false
	}
	return objects[0], true
}

// DeleteOptions says what goes with an object.
type DeleteOptions struct {
	Cascade bool // groups: devices in them; devices: child devices
	Force   bool // the whole hierarchy below, of whatever type
	// If is asked about the object itself before it is removed, and refuses by an error. It may be asked more than once. Nil: no condition.
	If func(iot.ManagedObject) error
}

// Delete removes an object and what goes with it. Sub-groups always go with their group. It returns the removed objects.
func (r *Registry) Delete(ctx context.Context, p iot.Principal, id iot.ID, opt DeleteOptions) ([]iot.ManagedObject, error) {
	const op = fault.Op("registry.Delete")
	objects, err := r.d.Store.Get(ctx, p.Tenant, id)
	if err != nil {
		return nil, classify(op, err)
	}
	if len(objects) == 0 {
		return nil, notFound(op, id)
	}
	ids, err := r.doomed(ctx, p.Tenant, objects[0], opt)
	if err != nil {
		return nil, classify(op, err)
	}
	all, err := r.d.Store.Get(ctx, p.Tenant, ids...)
	if err != nil {
		return nil, classify(op, err)
	}
	for _, o := range all {
		if err := r.may(ctx, p, o, access.Update); err != nil {
			return nil, err
		}
	}
	var refused error
	removed, err := r.d.Store.Delete(r.d.Bus.Noting(ctx, p.Tenant), p.Tenant, ids, r.revision(ctx, p), func(o iot.ManagedObject) error {
		refused = nil
		if o.ID == id && opt.If != nil {
			refused = opt.If(o)
		}
		return refused
	})
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, classify(op, err)
	}
	records := make([]iot.AuditRecord, len(removed))
	for i, o := range removed {
		r.publish(ctx, p.Tenant, iot.Deleted, Object{ManagedObject: iot.ManagedObject{ID: o.ID}})
		records[i] = auditOf("Managed object deleted", o, iot.ManagedObject{})
	}
	r.record(ctx, p, records)
	return removed, nil
}

// doomed returns the ids that go with o, o first.
func (r *Registry) doomed(ctx context.Context, t iot.TenantID, o Object, opt DeleteOptions) ([]iot.ID, error) {
	ids := []iot.ID{o.ID}
	switch {
	case opt.Force:
		below, err := r.d.Store.Descend(ctx, t, o.ID, iot.ChildKinds[:])
		return append(ids, below...), err
	case o.Fragments.Has(iot.FragmentIsDeviceGroup):
		below, err := r.d.Store.Descend(ctx, t, o.ID, []iot.ChildKind{iot.ChildAsset})
		if err != nil {
			return nil, err
		}
		members, err := r.d.Store.Get(ctx, t, below...)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if opt.Cascade || m.Fragments.Has(iot.FragmentIsDeviceGroup) {
				ids = append(ids, m.ID)
			}
		}
	case opt.Cascade:
		below, err := r.d.Store.Descend(ctx, t, o.ID, []iot.ChildKind{iot.ChildDevice})
		return append(ids, below...), err
	}
	return ids, nil
}
