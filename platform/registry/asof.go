package registry

import (
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Bounds of what a list of the past looks at, unless it names its objects.
const (
	MaxFormer = 10_000    // objects that have changed since
	MaxEnded  = 1_000_000 // changes since
)

// AsOf returns an object as it was at a time.
func (r *Registry) AsOf(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) (iot.ManagedObject, error) {
	const op = fault.Op("registry.AsOf")
	versions, err := r.versions(ctx, p, id, at)
	if err != nil {
		return iot.ManagedObject{}, err
	}
	if len(versions) > 0 {
		return versions[0].Object, nil
	}
	if now, err := r.Get(ctx, p, id); err == nil && !now.LastUpdated.After(at) {
		return now.ManagedObject, nil
	}
	if _, err := r.History(ctx, p, id); err != nil {
		return iot.ManagedObject{}, err
	}
	return iot.ManagedObject{}, fault.E(op, fault.NotFound, fault.Subject(id.String()), errNoVersion, errNoVersion.Error())
}

// ListAsOf returns a page of the objects as they were at a time that met a query then and that p may read, in the order of ids, and the number of all of them
// if q.Count. Of a query it takes IDs, Type, Fragment, Owner, Offset, Limit and Count. A fault of kind Invalid if it names no objects and more than MaxFormer of
// them have changed since, or there were more than MaxEnded changes. Who may read an object now may read what it was, unless that had fragments
// that no grant of p covers; of one that was deleted, only who may read all objects.
func (r *Registry) ListAsOf(ctx context.Context, p iot.Principal, q Query, at time.Time) (out []iot.ManagedObject, n int, err error) {
	const op = fault.Op("registry.ListAsOf")
	if q.IDs != nil {
		return r.namedAsOf(ctx, p, q, at)
	}
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil {
		return nil, 0, err
	}
	ended, err := r.d.Store.Ended(ctx, p.Tenant, at, MaxEnded+1)
	if err != nil {
		return nil, 0, classify(op, err)
	}
	if ended > MaxEnded {
		return nil, 0, fault.Errorf(op, fault.Invalid, "more than %d changes were made since then: name the objects with ids, or ask for a later time", MaxEnded)
	}
	former, err := r.former(ctx, p, scope, q, at)
	if err != nil {
		return nil, 0, err
	}
	// The others are as they were. Those before the page are not read: at most all former ones are among what comes before it.
	rest := q
	rest.Until, rest.Offset = at, max(0, q.Offset-len(former))
	if q.Limit > 0 {
		rest.Limit = q.Limit + len(former)
	}
	same, n, err := r.d.Store.List(ctx, p.Tenant, scope, rest)
	if err != nil {
		return nil, 0, classify(op, err)
	}
	now, err := r.d.Store.Ended(ctx, p.Tenant, at, MaxEnded+1)
	if err == nil && now != ended { // what changed between the two reads is in neither
		former, err = r.former(ctx, p, scope, q, at)
	}
	if err != nil {
		return nil, 0, classify(op, err)
	}
	if q.Count {
		n += len(former)
	}
	return pageOf(same, rest.Offset, former, q), n, nil
}

// namedAsOf is ListAsOf for objects that the query names.
func (r *Registry) namedAsOf(ctx context.Context, p iot.Principal, q Query, at time.Time) (out []iot.ManagedObject, n int, err error) {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(q.IDs))) {
		o, err := r.AsOf(ctx, p, id, at)
		switch {
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.Denied): // as in other lists: what one may not read is not there
			continue
		case err != nil:
			return nil, 0, err
		case !q.met(o):
			continue
		}
		if n >= q.Offset && len(out) < q.Limit {
			out = append(out, o)
		}
		n++
	}
	return out, n, nil
}

// met reports whether an object meets the conditions that need no other.
func (q Query) met(o iot.ManagedObject) bool {
	return (q.Type == "" || o.Type == q.Type) && (q.Owner == "" || string(o.Owner) == q.Owner) && (q.Fragment == "" || o.Fragments.Has(q.Fragment))
}

// former returns the versions that were current at a time and are no longer, as far as p may read them.
func (r *Registry) former(ctx context.Context, p iot.Principal, scope access.Scope, q Query, at time.Time) ([]iot.ManagedObject, error) {
	const op = fault.Op("registry.ListAsOf")
	found, looked, err := r.d.Store.Former(ctx, p.Tenant, at, MaxFormer+1, q.met)
	if err != nil {
		return nil, classify(op, err)
	}
	if looked > MaxFormer {
		return nil, fault.Errorf(op, fault.Invalid, "more than %d objects have changed since then: name the objects with ids, or ask for a later time", MaxFormer)
	}
	return r.known(ctx, p, scope, found)
}

// known returns those of some former versions that p may read.
func (r *Registry) known(ctx context.Context, p iot.Principal, scope access.Scope, found []iot.ManagedObject) ([]iot.ManagedObject, error) {
	const op = fault.Op("registry.ListAsOf")
	if scope.All && len(p.Grants) == 0 {
		return found, nil
	}
	now := map[iot.ID]Object{}
	const chunk = 500
	for part := range slices.Chunk(found, chunk) {
		ids := make([]iot.ID, len(part))
		for i, o := range part {
			ids[i] = o.ID
		}
		objects, _, err := r.d.Store.List(ctx, p.Tenant, scope, Query{IDs: ids, Limit: len(ids)})
		if err != nil {
			return nil, classify(op, err)
		}
		for _, o := range objects {
			now[o.ID] = o
		}
	}
	out := make([]iot.ManagedObject, 0, len(found))
	for _, o := range found {
		ok, err := r.mayKnow(ctx, p, now, o)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, o)
		}
	}
	return out, nil
}

// mayKnow reports whether p may read a former version. now are those objects in p's scope that still exist.
func (r *Registry) mayKnow(ctx context.Context, p iot.Principal, now map[iot.ID]Object, o iot.ManagedObject) (bool, error) {
	if is, ok := now[o.ID]; ok {
		covered, err := r.covered(ctx, p, is, []Version{{Object: o}})
		return len(covered) > 0, err
	}
	switch err := r.d.Policy.Check(ctx, p, family(o.Fragments), access.Read, access.Object{}); {
	case fault.Is(err, fault.Denied):
		return false, nil
	case err != nil:
		return false, err
	}
	_, err := r.Source(ctx, p.Tenant, o.ID)
	if fault.Is(err, fault.NotFound) { // it was deleted, and p may read all
		return true, nil
	}
	return false, err
}

// pageOf merges what is as it was, from its skipped-th object on, with all that is not, in the order of ids, and returns the page that a query asks for.
func pageOf(same []Object, skipped int, former []iot.ManagedObject, q Query) (out []iot.ManagedObject) {
	rank := skipped  // of the next object in the whole list
	if skipped > 0 { // then what comes before the first one is before the page
		for len(former) > 0 && (len(same) == 0 || former[0].ID < same[0].ID) {
			former, rank = former[1:], rank+1
		}
	}
	for ; len(out) < q.Limit && len(same)+len(former) > 0; rank++ {
		var o iot.ManagedObject
		if len(same) == 0 || len(former) > 0 && former[0].ID <= same[0].ID {
			o, former = former[0], former[1:]
			if len(same) > 0 && same[0].ID == o.ID { // it changed between the two reads
				same = same[1:]
			}
		} else {
			o, same = same[0].ManagedObject, same[1:]
		}
		if rank >= q.Offset {
			out = append(out, o)
		}
	}
	return out
}

// NeighboursAsOf is Neighbours as they were at a time, with the names of then: to those children that p may read, or to all parents that were there.
func (r *Registry) NeighboursAsOf(ctx context.Context, p iot.Principal, ids []iot.ID, parents bool, at time.Time) ([]Relation, error) {
	rel, objects, err := r.related(ctx, p, ids, parents, at)
	if err != nil {
		return nil, err
	}
	names := make(map[iot.ID]string, len(objects))
	for _, o := range objects {
		names[o.ID] = o.Name
	}
	out := rel[:0]
	for _, x := range rel {
		if name, ok := names[x.far(parents)]; ok {
			x.Name = name
			out = append(out, x)
		}
	}
	return out, nil
}

// far is the end of a relation that is not the object whose relations were asked for.
func (x Relation) far(parents bool) iot.ID {
	if parents {
		return x.Parent
	}
	return x.Child
}

// related returns the relations of objects at a time, and those objects at the other ends that were there: all parents, or the children that p may read. A
// fault of kind Invalid if there are more than MaxFormer.
func (r *Registry) related(ctx context.Context, p iot.Principal, ids []iot.ID, parents bool, at time.Time) ([]Relation, []iot.ManagedObject, error) {
	const op = fault.Op("registry.NeighboursAsOf")
	rel, err := r.d.Store.NeighboursAsOf(ctx, p.Tenant, ids, parents, at)
	if err != nil || len(rel) == 0 {
		return nil, nil, classify(op, err)
	}
	if len(rel) > MaxFormer {
		return nil, nil, fault.Errorf(op, fault.Invalid, "more than %d relations were there at that time", MaxFormer)
	}
	far := make([]iot.ID, len(rel))
	for i, x := range rel {
		far[i] = x.far(parents)
	}
	slices.Sort(far)
	objects, err := r.d.Store.AsOf(ctx, p.Tenant, slices.Compact(far), at)
	if err != nil || parents {
		return rel, objects, classify(op, err)
	}
	objects, err = r.readable(ctx, p, objects)
	return rel, objects, err
}

// readable is known with the scope of p.
func (r *Registry) readable(ctx context.Context, p iot.Principal, objects []iot.ManagedObject) ([]iot.ManagedObject, error) {
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil {
		return nil, err
	}
	return r.known(ctx, p, scope, objects)
}

// RelatedAsOf returns a page of the children of an object by q.Kind, or of its parents, as they were at a time, in the order of NeighboursAsOf, as far as p may
// read them, and the number of all if q.Count. Of a query it takes Kind, IDs, Type, Fragment, Owner, Offset, Limit and Count. p must be able to read the object as
// it was.
func (r *Registry) RelatedAsOf(ctx context.Context, p iot.Principal, id iot.ID, parents bool, q Query, at time.Time) (out []iot.ManagedObject, n int, err error) {
	if _, err := r.AsOf(ctx, p, id, at); err != nil {
		return nil, 0, err
	}
	rel, objects, err := r.related(ctx, p, []iot.ID{id}, parents, at)
	if err == nil && parents {
		objects, err = r.readable(ctx, p, objects)
	}
	if err != nil {
		return nil, 0, err
	}
	found := make(map[iot.ID]iot.ManagedObject, len(objects))
	for _, o := range objects {
		found[o.ID] = o
	}
	for _, x := range rel {
		o, ok := found[x.far(parents)]
		if !ok || x.Kind != q.Kind || q.IDs != nil && !slices.Contains(q.IDs, o.ID) || !q.met(o) {
			continue
		}
		if n >= q.Offset && len(out) < q.Limit {
			out = append(out, o)
		}
		n++
	}
	return out, n, nil
}

// ChildAsOf is Child as it was at a time.
func (r *Registry) ChildAsOf(ctx context.Context, p iot.Principal, parent iot.ID, kind iot.ChildKind, child iot.ID, at time.Time) (iot.ManagedObject, error) {
	found, _, err := r.RelatedAsOf(ctx, p, parent, false, Query{Kind: kind, IDs: []iot.ID{child}, Limit: 1}, at)
	if err != nil {
		return iot.ManagedObject{}, err
	}
	if len(found) == 0 {
		return iot.ManagedObject{}, notChild("registry.ChildAsOf", parent, child)
	}
	return found[0], nil
}
