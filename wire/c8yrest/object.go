package c8yrest

import (
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// view says what a representation of managed objects includes.
type view struct {
	children, parents, groups, counts bool
	skipNames                         bool
}

// view reads what a request wants. c8y: whether the children are in when it does not say is a feature of the tenant; the past has none.
func (c *call) view() view {
	children := false
	if !c.query.Has("asOf") && !c.query.Has("withChildren") {
		children = !c.s.Tenants.Enabled(c.ctx, c.p.Tenant, tenancy.WithoutChildren)
	}
	return view{children: c.flag("withChildren", children), parents: c.flag("withParents", false), groups: c.flag("withGroups", false),
		counts: c.flag("withChildrenCount", false), skipNames: c.flag("skipChildrenNames", false)}
}

// refs holds the relations of the objects of one answer.
type refs struct {
	v        view
	children map[iot.ID][]registry.Relation
	parents  map[iot.ID][]registry.Relation
}

// refs fetches the relations that a view needs, in a few queries for any number of objects.
func (c *call) refs(objects []registry.Object, v view) (refs, error) {
	r := refs{v: v}
	ids := make([]iot.ID, len(objects))
	for i, o := range objects {
		ids[i] = o.ID
	}
	var err error
	if v.children || v.counts {
		r.children, err = c.neighbours(ids, false)
	}
	switch {
	case err == nil && v.parents:
		r.parents, err = c.ancestors(ids)
	case err == nil && v.groups:
		r.parents, err = c.neighbours(ids, true)
	}
	return r, err
}

// ancestors returns all that is above objects, nearest first. c8y: flat, under the kind of the relation that leads there. It makes one
// query per level.
func (c *call) ancestors(ids []iot.ID) (map[iot.ID][]registry.Relation, error) {
	up := map[iot.ID][]registry.Relation{} // direct parents
	for level := ids; len(level) > 0; {
		direct, err := c.neighbours(level, true)
		if err != nil {
			return nil, err
		}
		var next []iot.ID
		for _, id := range level {
			up[id] = direct[id]
		}
		for _, rel := range direct {
			for _, x := range rel {
				if _, seen := up[x.Parent]; !seen {
					up[x.Parent] = nil
					next = append(next, x.Parent)
				}
			}
		}
		level = next
	}
	out := map[iot.ID][]registry.Relation{}
	for _, id := range ids {
		out[id] = above(id, up)
	}
	return out, nil
}

// above walks up from an object; every ancestor appears once per kind.
func above(id iot.ID, up map[iot.ID][]registry.Relation) []registry.Relation {
	type key struct {
		id   iot.ID
		kind iot.ChildKind
	}
	var out []registry.Relation
	seen, visited := map[key]bool{}, map[iot.ID]bool{id: true}
	for level := []iot.ID{id}; len(level) > 0; {
		var next []iot.ID
		for _, from := range level {
			for _, x := range up[from] {
				if k := (key{x.Parent, x.Kind}); !seen[k] {
					seen[k] = true
					out = append(out, x)
				}
				if !visited[x.Parent] {
					visited[x.Parent] = true
					next = append(next, x.Parent)
				}
			}
		}
		level = next
	}
	return out
}

func (c *call) neighbours(ids []iot.ID, parents bool) (map[iot.ID][]registry.Relation, error) {
	at, past, err := c.asOf()
	if err != nil {
		return nil, err
	}
	var rel []registry.Relation
	if past {
		rel, err = c.s.Registry.NeighboursAsOf(c.ctx, c.p, ids, parents, at)
	} else {
		rel, err = c.s.Registry.Neighbours(c.ctx, c.p, ids, parents)
	}
	if err != nil {
		return nil, err
	}
	out := map[iot.ID][]registry.Relation{}
	for _, x := range rel {
		of := x.Parent
		if parents {
			of = x.Child
		}
		out[of] = append(out[of], x)
	}
	return out, nil
}

func objectURL(base string, id iot.ID) string {
	return base + "/inventory/managedObjects/" + id.String()
}

// AppendManagedObject appends the representation of a managed object without its relations, as realtime messages carry it.
func AppendManagedObject(b []byte, base string, mo registry.Object) []byte {
	o := object{b: b}
	writeObject(&o, base, mo, refs{})
	return o.b
}

// writeObject writes a managed object. c8y: all six lists of references are always there.
func writeObject(o *object, base string, mo registry.Object, r refs) {
	writeObjectAt(o, base, objectURL(base, mo.ID), mo, r)
}

// writeObjectAt is writeObject with another link to the object itself.
func writeObjectAt(o *object, base, link string, mo registry.Object, r refs) {
	self := objectURL(base, mo.ID)
	o.open()
	o.id("id", mo.ID)
	o.text("self", link)
	o.some("name", mo.Name)
	o.some("type", mo.Type)
	o.some("owner", string(mo.Owner))
	if !mo.CreationTime.IsZero() { // zero: of an object that only its id may be shown of
		o.time("creationTime", mo.CreationTime)
		o.time("lastUpdated", mo.LastUpdated)
	}
	for _, kind := range iot.ChildKinds {
		writeRefs(o, base, self, kind.String(), kind, r.children[mo.ID], r, false)
	}
	for _, kind := range iot.ChildKinds {
		parents := r.parents[mo.ID]
		if r.v.groups && !r.v.parents && kind != iot.ChildAsset {
			parents = nil
		}
		writeRefs(o, base, self, kind.Parents(), kind, parents, r, true)
	}
	writeState(o, mo)
	o.members(mo.Fragments)
	o.close()
}

func writeRefs(o *object, base, self, name string, kind iot.ChildKind, rel []registry.Relation, r refs, parents bool) {
	o.begin(name)
	o.text("self", self+"/"+name)
	o.list("references")
	n := int64(0)
	for _, x := range rel {
		if x.Kind != kind {
			continue
		}
		n++
		if !parents && !r.v.children {
			continue
		}
		id := x.Child
		if parents {
			id = x.Parent
		}
		o.open()
		o.text("self", self+"/"+name+"/"+id.String())
		o.begin("managedObject")
		o.id("id", id)
		if !r.v.skipNames || parents {
			o.some("name", x.Name)
		}
		o.text("self", objectURL(base, id))
		o.close()
		o.close()
	}
	o.endList()
	if r.v.counts && !parents && n > 0 { // c8y: only if there are any
		o.int("count", n)
	}
	o.close()
}

// writeState writes what the platform keeps of an object as the fragments that clients know.
func writeState(o *object, mo registry.Object) {
	s := mo.State
	if s.Availability != "" {
		o.begin(iot.FragmentAvailability)
		if !s.LastMessage.IsZero() {
			o.time("lastMessage", s.LastMessage)
		}
		o.text("status", s.Availability)
		o.close()
	}
	if s.Connection != "" {
		o.begin(iot.FragmentConnection)
		o.text("status", s.Connection)
		o.close()
	}
	if s.HasAlarms {
		o.begin(iot.FragmentActiveAlarms)
		o.int("critical", s.Alarms.Critical)
		o.int("major", s.Alarms.Major)
		o.int("minor", s.Alarms.Minor)
		o.int("warning", s.Alarms.Warning)
		o.close()
	}
}
