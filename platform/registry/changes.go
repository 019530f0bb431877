package registry

import (
	"context"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Kinds returns how objects and relations take part in the change log. External ids and what was recorded about a deleted object do not come back with it.
func (r *Registry) Kinds() []changes.Kind { return []changes.Kind{objectKind{r}, relationKind{r}} }

// objectKind implements changes.Kind. To take back a change needs the right to change the object; to bring back what was deleted, or another owner, all.
type objectKind struct{ r *Registry }

// Name implements changes.Kind.
func (objectKind) Name() iot.Kind { return iot.KindManagedObject }

// Documents implements changes.Kind.
func (k objectKind) Documents() changes.Documents { return k.r.d.Store.Objects() }

// Scope implements changes.Kind.
func (k objectKind) Scope(ctx context.Context, p iot.Principal) (access.Scope, error) {
	return k.r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
}

// Show implements changes.Kind: of an object that p reads for the sake of its fragments, versions with others are withheld.
func (k objectKind) Show(ctx context.Context, p iot.Principal, c *changes.Change) error {
	if len(p.Grants) == 0 {
		return nil
	}
	before, after, err := changes.Versions[iot.ManagedObject](*c)
	if err != nil {
		return err
	}
	for _, o := range []*iot.ManagedObject{before, after} {
		if o == nil {
			continue
		}
		s, err := k.r.Source(ctx, p.Tenant, c.Object)
		if fault.Is(err, fault.NotFound) {
			continue // deleted: p reads everything
		}
		if err != nil {
			return err
		}
		seen, err := k.r.place(ctx, p, s, access.Names(p, o.Fragments))
		if err != nil {
			return err
		}
		err = k.r.d.Policy.Check(ctx, p, family(o.Fragments), access.Read, seen)
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

// Judge implements changes.Kind.
func (k objectKind) Judge(ctx context.Context, p iot.Principal, seen []changes.Change) (func(changes.Change) error, error) {
	places := map[iot.ID]access.Object{}
	for _, c := range seen {
		if _, ok := places[c.Object]; ok || c.Kind != k.Name() {
			continue
		}
		s := Source{ID: c.Object}
		if known, err := k.r.Source(ctx, p.Tenant, c.Object); err == nil {
			s = known
		}
		var err error
		if places[c.Object], err = k.r.place(ctx, p, s, nil); err != nil {
			return nil, err
		}
	}
	return func(c changes.Change) error { return k.r.mayReverse(ctx, p, places[c.Object], c) }, nil
}

// mayReverse decides whether p may make one of the changes of an undo.
func (r *Registry) mayReverse(ctx context.Context, p iot.Principal, place access.Object, c changes.Change) error {
	before, after, err := changes.Versions[iot.ManagedObject](c)
	if err != nil {
		return err
	}
	if before == nil { // nobody owns what does not exist
		if after == nil {
			return nil
		}
		return r.d.Policy.Check(ctx, p, family(after.Fragments), access.Admin, access.Object{})
	}
	for _, o := range []*iot.ManagedObject{before, after} {
		if o == nil {
			continue
		}
		place.Owner, place.Global, place.Fragments = before.Owner, o.Fragments.Has(iot.FragmentGlobal), access.Names(p, o.Fragments)
		if err := r.d.Policy.Check(ctx, p, family(o.Fragments), access.Update, place); err != nil {
			return err
		}
	}
	if after != nil && after.Owner != before.Owner {
		return r.d.Policy.Check(ctx, p, family(after.Fragments), access.Admin, access.Object{})
	}
	return nil
}

// Announce implements changes.Kind: as if each change had been made by itself.
func (k objectKind) Announce(ctx context.Context, p iot.Principal, set string, done []changes.Change) {
	var records []iot.AuditRecord
	for _, c := range done {
		was, is, err := changes.Versions[iot.ManagedObject](c)
		if err != nil {
			k.r.d.Log.Error("read what an undo did", "tenant", p.Tenant, "object", c.ID, "err", err)
			continue
		}
		var before, after iot.ManagedObject
		if was != nil {
			before = *was
		}
		if is != nil {
			after = *is
		}
		activity := "Managed object updated"
		switch {
		case is == nil && was == nil:
			continue
		case is == nil:
			activity = "Managed object deleted"
			k.r.publish(ctx, p.Tenant, iot.Deleted, Object{ManagedObject: iot.ManagedObject{ID: c.Object}})
		case was == nil:
			activity = "Managed object created"
			k.r.publish(ctx, p.Tenant, iot.Created, Object{ManagedObject: after})
		default:
			if o, ok := k.r.shown(ctx, p, c.Object); ok { // with its state; noted before
				k.r.publish(ctx, p.Tenant, iot.Updated, o)
			}
		}
		x := auditOf(activity, before, after)
		x.Text += ", taking back change set " + set
		records = append(records, x)
	}
	if len(records) > 0 {
		k.r.record(ctx, p, records)
	}
}

// relationKind implements changes.Kind. Who may read the child sees a relation while both objects exist; to take back a change needs what Link and Unlink
// need.
type relationKind struct{ r *Registry }

// Name implements changes.Kind.
func (relationKind) Name() iot.Kind { return iot.KindRelation }

// Documents implements changes.Kind.
func (k relationKind) Documents() changes.Documents { return k.r.d.Store.Links() }

// Scope implements changes.Kind.
func (k relationKind) Scope(ctx context.Context, p iot.Principal) (access.Scope, error) {
	return k.r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
}

// Show implements changes.Kind.
func (relationKind) Show(context.Context, iot.Principal, *changes.Change) error { return nil }

// Judge implements changes.Kind.
func (k relationKind) Judge(ctx context.Context, p iot.Principal, seen []changes.Change) (func(changes.Change) error, error) {
	type verdict struct{ link, unlink error }
	verdicts := map[string]verdict{}
	for _, c := range seen {
		if c.Kind != k.Name() {
			continue
		}
		id, err := ParseRelationID(c.ID)
		if err != nil {
			return nil, err
		}
		child, below := k.may(ctx, p, id.Child)
		_, above := k.may(ctx, p, id.Parent)
		v := verdict{below, above}
		if v.link == nil && (child.Owner != p.User || id.Kind == iot.ChildAddition) {
			v.link = above
		}
		if child.Owner == p.User && fault.Is(above, fault.Denied) {
			v.unlink = nil
		}
		verdicts[c.ID] = v
	}
	return func(c changes.Change) error {
		if c.After == nil {
			return verdicts[c.ID].unlink
		}
		return verdicts[c.ID].link
	}, nil
}

// may decides whether p may change an object. One that does not exist can only come back in the same undo, by who may change all.
func (k relationKind) may(ctx context.Context, p iot.Principal, id iot.ID) (Source, error) {
	s, err := k.r.Check(ctx, p, id, access.ManagedObject, access.Update)
	if fault.Is(err, fault.NotFound) {
		return s, k.r.d.Policy.Check(ctx, p, access.ManagedObject, access.Admin, access.Object{})
	}
	if err != nil {
		if known, gone := k.r.Source(ctx, p.Tenant, id); gone == nil {
			s = known // for its owner
		}
	}
	return s, err
}

// Announce implements changes.Kind.
func (k relationKind) Announce(ctx context.Context, p iot.Principal, _ string, done []changes.Change) {
	told := map[iot.ID]bool{}
	for _, c := range done {
		if !told[c.Object] {
			told[c.Object] = true
			k.r.touched(ctx, p, c.Object)
		}
	}
}
