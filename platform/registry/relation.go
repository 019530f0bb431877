package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Link hangs children below a parent; those that hang there already are left alone. Who owns the child, or may change all objects, may link it
// under any parent as device or asset (access rule 4); for additions, and for who may change the child for another reason, the parent must be
// one that p may change as well.
func (r *Registry) Link(ctx context.Context, p iot.Principal, parent iot.ID, kind iot.ChildKind, children []iot.ID) error {
	const op = fault.Op("registry.Link")
	for _, c := range children {
		child, err := r.Check(ctx, p, c, access.ManagedObject, access.Update)
		if err != nil {
			return err
		}
		if child.Owner != p.User || kind == iot.ChildAddition {
			if _, err := r.Check(ctx, p, parent, access.ManagedObject, access.Update); err != nil {
				return err
			}
		}
	}
	if _, err := r.Source(ctx, p.Tenant, parent); err != nil {
		return err
	}
	added, err := r.d.Store.Link(ctx, p.Tenant, parent, kind, children, r.revision(ctx, p))
	if err != nil {
		return classify(op, err)
	}
	if len(added) > 0 {
		r.touched(ctx, p, parent)
	}
	return nil
}

// Unlink takes children from a parent. It needs the right to change the parent or the child. A fault of kind Invalid if one is no child.
func (r *Registry) Unlink(ctx context.Context, p iot.Principal, parent iot.ID, kind iot.ChildKind, children []iot.ID) error {
	const op = fault.Op("registry.Unlink")
	if _, err := r.Check(ctx, p, parent, access.ManagedObject, access.Update); err != nil {
		if !fault.Is(err, fault.Denied) {
			return err
		}
		for _, c := range children { // c8y: the owner of the child as well, but no inventory role on the child
			if child, childErr := r.Source(ctx, p.Tenant, c); childErr != nil || child.Owner != p.User {
				return err
			}
		}
	}
	n, err := r.d.Store.Unlink(ctx, p.Tenant, parent, kind, children, r.revision(ctx, p))
	if err != nil {
		return classify(op, err)
	}
	if n == 0 && len(children) == 1 {
		return notChild(op, parent, children[0])
	}
	r.touched(ctx, p, parent)
	return nil
}

func notChild(op fault.Op, parent, child iot.ID) error {
	return fault.Errorf(op, fault.Invalid, "managedObject '%s' is not a child of managedObject '%s'", child, parent)
}

// Child returns one child of a parent. A fault of kind Invalid if it is none.
func (r *Registry) Child(ctx context.Context, p iot.Principal, parent iot.ID, kind iot.ChildKind, child iot.ID) (Object, error) {
	const op = fault.Op("registry.Child")
	if _, err := r.Get(ctx, p, parent); err != nil {
		return Object{}, err
	}
	found, _, err := r.List(ctx, p, Query{Parent: parent, Kind: kind, IDs: []iot.ID{child}, Limit: 1})
	if err != nil {
		return Object{}, err
	}
	if len(found) == 0 {
		return Object{}, notChild(op, parent, child)
	}
	return found[0], nil
}

// Neighbours returns the direct relations of objects that p was allowed to read: to those children that p may read as well, or to all parents. c8y:
// the parents of what one may read are no secret.
func (r *Registry) Neighbours(ctx context.Context, p iot.Principal, ids []iot.ID, parents bool) ([]Relation, error) {
	const op = fault.Op("registry.Neighbours")
	rel, err := r.d.Store.Neighbours(ctx, p.Tenant, ids, parents)
	if err != nil || parents || len(rel) == 0 {
		return rel, classify(op, err)
	}
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil || scope.All {
		return rel, err
	}
	children := make([]iot.ID, len(rel))
	for i, x := range rel {
		children[i] = x.Child
	}
	slices.Sort(children)
	seen := map[iot.ID]bool{}
	const chunk = 500
	for part := range slices.Chunk(slices.Compact(children), chunk) {
		objects, _, err := r.d.Store.List(ctx, p.Tenant, scope, Query{IDs: part, Limit: len(part)})
		if err != nil {
			return nil, classify(op, err)
		}
		for _, o := range objects {
			seen[o.ID] = true
		}
	}
	return slices.DeleteFunc(rel, func(x Relation) bool { return !seen[x.Child] }), nil
}

// Below returns an object's id and all ids below it through the given kinds. It makes no decision.
func (r *Registry) Below(ctx context.Context, t iot.TenantID, id iot.ID, kinds ...iot.ChildKind) ([]iot.ID, error) {
	ids, err := r.d.Store.Descend(ctx, t, id, kinds)
	return append([]iot.ID{id}, ids...), classify("registry.Below", err)
}

// Above returns the ids above an object through the given kinds, nearest first. It makes no decision.
func (r *Registry) Above(ctx context.Context, t iot.TenantID, id iot.ID, kinds ...iot.ChildKind) ([]iot.ID, error) {
	ids, err := r.d.Store.Ascend(ctx, t, id, kinds)
	return ids, classify("registry.Above", err)
}

func validName(x iot.ExternalID) error {
	const op = fault.Op("registry.Bind")
	if x.Type == "" || x.Value == "" {
		return fault.E(op, fault.Invalid, "Following mandatory fields should be included: externalId, type")
	}
	if len(x.Type) > maxExternal || len(x.Value) > maxExternal || strings.ContainsAny(x.Type+x.Value, "\r\n\x00") {
		return fault.Errorf(op, fault.Invalid, "an external id and its type have up to %d characters without line breaks", maxExternal)
	}
	return nil
}

// Bind gives an object an external id.
func (r *Registry) Bind(ctx context.Context, p iot.Principal, x iot.ExternalID) error {
	const op = fault.Op("registry.Bind")
	if err := validName(x); err != nil {
		return err
	}
	if err := r.mayName(ctx, p, x.ID, access.Admin); err != nil {
		return err
	}
	err := r.d.Store.Bind(ctx, p.Tenant, x)
	if sqlkit.IsUnique(err) {
		return fault.E(op, fault.Exists, fault.Reason("identity"), err, fmt.Sprintf("External id 'ID [type=%s, value=%s]' is already bound to another global id", x.Type, x.Value))
	}
	return classify(op, err)
}

func (r *Registry) mayName(ctx context.Context, p iot.Principal, id iot.ID, l access.Level) error {
	_, err := r.Check(ctx, p, id, access.Identity, l)
	return err
}

func noName(op fault.Op, typ, value string) error {
	return fault.E(op, fault.NotFound, fault.Subject(value), fmt.Sprintf("External id not found; external id = ID [type=%s, value=%s]", typ, value))
}

// Resolve returns the binding of an external id.
func (r *Registry) Resolve(ctx context.Context, p iot.Principal, typ, value string) (iot.ExternalID, error) {
	id, err := r.Lookup(ctx, p.Tenant, typ, value)
	if err != nil {
		return iot.ExternalID{}, err
	}
	x := iot.ExternalID{Type: typ, Value: value, ID: id}
	return x, r.mayName(ctx, p, id, access.Read)
}

// Lookup returns the id behind an external id, from a cache. It makes no decision.
func (r *Registry) Lookup(ctx context.Context, t iot.TenantID, typ, value string) (iot.ID, error) {
	const op = fault.Op("registry.Lookup")
	key := nameKey{t, typ, value}
	if id, ok := r.names.GetIfPresent(key); ok {
		return id, nil
	}
	r.namesMu.Lock()
	before := r.forgotten
	r.namesMu.Unlock()
	found, err := r.d.Store.Resolve(ctx, t, []iot.ExternalID{{Type: typ, Value: value}})
	if err != nil {
		return 0, classify(op, err)
	}
	if len(found) == 0 {
		return 0, noName(op, typ, value)
	}
	r.namesMu.Lock()
	defer r.namesMu.Unlock()
	if r.forgotten == before {
		r.names.Set(key, found[0].ID)
	}
	return found[0].ID, nil
}

// Search returns those of the external ids that exist and that p may read.
func (r *Registry) Search(ctx context.Context, p iot.Principal, names []iot.ExternalID) ([]iot.ExternalID, error) {
	found, err := r.d.Store.Resolve(ctx, p.Tenant, names)
	if err != nil {
		return nil, classify("registry.Search", err)
	}
	out := found[:0]
	for _, x := range found {
		if r.mayName(ctx, p, x.ID, access.Read) == nil {
			out = append(out, x)
		}
	}
	return out, nil
}

// NamesOf returns the external ids of an object.
func (r *Registry) NamesOf(ctx context.Context, p iot.Principal, id iot.ID) ([]iot.ExternalID, error) {
	if err := r.mayName(ctx, p, id, access.Read); err != nil {
		return nil, err
	}
	names, err := r.d.Store.NamesOf(ctx, p.Tenant, id)
	return names, classify("registry.NamesOf", err)
}

// SerialOf returns the external id by which a device identifies itself, empty if it has none. It makes no decision.
func (r *Registry) SerialOf(ctx context.Context, t iot.TenantID, id iot.ID) (string, error) {
	names, err := r.d.Store.NamesOf(ctx, t, id)
	if err != nil {
		return "", classify("registry.SerialOf", err)
	}
	for _, x := range names {
		if x.Type == iot.SerialType {
			return x.Value, nil
		}
	}
	return "", nil
}

// Unbind removes an external id.
func (r *Registry) Unbind(ctx context.Context, p iot.Principal, typ, value string) error {
	const op = fault.Op("registry.Unbind")
	x, err := r.d.Store.Resolve(ctx, p.Tenant, []iot.ExternalID{{Type: typ, Value: value}})
	if err != nil {
		return classify(op, err)
	}
	if len(x) == 0 {
		return noName(op, typ, value)
	}
	if err := r.mayName(ctx, p, x[0].ID, access.Admin); err != nil {
		return err
	}
	err = classify(op, r.d.Store.Unbind(ctx, p.Tenant, typ, value))
	if fault.Is(err, fault.NotFound) {
		return noName(op, typ, value)
	}
	r.forgetNames()
	r.d.Bus.Publish(bus.Subject(p.Tenant, "unbound"), nil) // other nodes remember the name as well
	return err
}

// History returns the superseded versions of an object, oldest first, for who may read it now.
func (r *Registry) History(ctx context.Context, p iot.Principal, id iot.ID) ([]Version, error) {
	return r.versions(ctx, p, id, time.Time{})
}

func (r *Registry) versions(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) ([]Version, error) {
	const op = fault.Op("registry.History")
	now, gone := r.Get(ctx, p, id)
	if gone != nil && !fault.Is(gone, fault.NotFound) {
		return nil, gone
	}
	if gone != nil { // deleted: only who may read everything may read what was
		if denied := r.d.Policy.Check(ctx, p, access.ManagedObject, access.Read, access.Object{}); denied != nil {
			return nil, gone
		}
	}
	v, err := r.d.Store.History(ctx, p.Tenant, id, at)
	if err == nil && len(v) == 0 && gone != nil && at.IsZero() { // it never was
		return nil, gone
	}
	if err != nil || gone != nil || len(p.Grants) == 0 {
		return v, classify(op, err)
	}
	return r.covered(ctx, p, now, v)
}

// covered leaves out the versions of an object whose fragments p may not read: a grant may be for some fragments only, and what an object has now
// need not be what it had.
func (r *Registry) covered(ctx context.Context, p iot.Principal, now Object, versions []Version) (out []Version, err error) {
	for _, v := range versions {
		o := Object{ManagedObject: v.Object}
		o.Owner = now.Owner
		switch err := r.may(ctx, p, o, access.Read); {
		case err == nil:
			out = append(out, v)
		case !fault.Is(err, fault.Denied):
			return nil, err
		}
	}
	return out, nil
}

var errNoVersion = errors.New("there was no such object at that time")
