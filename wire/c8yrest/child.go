package c8yrest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// kind reads the path segment that names the kind of children.
func (c *call) kind() iot.ChildKind {
	for _, k := range iot.ChildKinds {
		if strings.Contains(c.route.Path, "/"+k.String()) {
			return k
		}
	}
	return iot.ChildAddition
}

// writeReference writes {"self":..., "managedObject":{...}}.
func (c *call) writeReference(o *object, parent iot.ID, name string, mo registry.Object, r refs) {
	o.open()
	o.key("managedObject")
	writeObject(o, c.base(), mo, r)
	o.text("self", objectURL(c.base(), parent)+"/"+name+"/"+mo.ID.String())
	o.close()
}

func listChildren(c *call) error {
	parent, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	if err := c.there(parent); err != nil {
		return err
	}
	q, err := c.objectQuery()
	if err != nil {
		return err
	}
	q.Parent, q.Kind = parent, c.kind()
	return c.references(parent, c.kind().String(), q)
}

// there returns an error unless the caller may read an object as it is. Whether it may read what it was, is asked with what hung below it.
func (c *call) there(id iot.ID) error {
	if c.query.Has("asOf") {
		return nil
	}
	_, err := c.s.Registry.Get(c.ctx, c.p, id)
	return err
}

func (c *call) references(of iot.ID, name string, q registry.Query) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	objects, n, err := c.listed(q, func(at time.Time) ([]iot.ManagedObject, int, error) {
		return c.s.Registry.RelatedAsOf(c.ctx, c.p, of, q.ParentOf != 0, q, at)
	})
	if err != nil {
		return err
	}
	p.total = n
	r, err := c.refs(objects, c.view())
	if err != nil {
		return err
	}
	return c.collection("managedobjectreferencecollection", "references", p, func(o *object) error {
		for _, mo := range objects {
			c.writeReference(o, of, name, mo, r)
		}
		return nil
	})
}

// listParents serves deviceParents, assetParents and additionParents, whose links every object carries.
func listParents(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	if err := c.there(id); err != nil {
		return err
	}
	for _, k := range iot.ChildKinds {
		if strings.HasSuffix(c.route.Path, "/"+k.Parents()) {
			return c.references(id, k.Parents(), registry.Query{ParentOf: id, Kind: k})
		}
	}
	return fault.E(fault.Op("c8yrest.Parents"), fault.NotFound)
}

func getChild(c *call) error {
	parent, child, err := c.pair()
	if err != nil {
		return err
	}
	at, past, err := c.asOf()
	if err != nil {
		return err
	}
	var mo registry.Object
	if past {
		mo.ManagedObject, err = c.s.Registry.ChildAsOf(c.ctx, c.p, parent, c.kind(), child, at)
	} else {
		mo, err = c.s.Registry.Child(c.ctx, c.p, parent, c.kind(), child)
	}
	if err != nil {
		return err
	}
	var o object
	c.writeReference(&o, parent, c.kind().String(), mo, refs{})
	return c.json(http.StatusOK, "managedobjectreference", o.b)
}

func (c *call) pair() (parent, child iot.ID, err error) {
	if parent, err = c.id("id", "managedObject"); err == nil {
		child, err = c.id("child", "managedObject")
	}
	return parent, child, err
}

// reference reads {"managedObject":{"id":...}} or, c8y: {"managedObject":{"self":...}}.
func reference(raw json.RawMessage) (iot.ID, bool) {
	var v struct {
		ManagedObject *struct {
			ID   json.RawMessage `json:"id"`
			Self string          `json:"self"`
		} `json:"managedObject"`
	}
	if json.Unmarshal(raw, &v) != nil || v.ManagedObject == nil {
		return 0, false
	}
	if id, ok := iot.ParseID(strings.Trim(string(v.ManagedObject.ID), `"`)); ok {
		return id, true
	}
	return iot.ParseID(v.ManagedObject.Self[strings.LastIndexByte(v.ManagedObject.Self, '/')+1:])
}

func referencesOf(d iot.Doc) ([]iot.ID, error) {
	items, err := iot.ParseArray(d.Get("references"), iot.MaxDepth)
	if err != nil {
		return nil, fault.E(fault.Op("c8yrest.References"), fault.Invalid, "references must be a list of {managedObject:{id}}")
	}
	ids := make([]iot.ID, len(items))
	for i, item := range items {
		id, ok := reference(item)
		if !ok {
			return nil, fault.E(fault.Op("c8yrest.References"), fault.Invalid, "references must be a list of {managedObject:{id}}")
		}
		ids[i] = id
	}
	return ids, nil
}

// addChild links one object, links many, or creates an object below the parent. c8y: the media type of a managed object says create,
// otherwise the shape of the body decides.
func addChild(c *call) error {
	parent, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	self := objectURL(c.base(), parent) + "/" + c.kind().String()
	create := strings.Contains(strings.ToLower(c.r.Header.Get("Content-Type")), ".managedobject+json")
	switch {
	case create:
	case d.Has("references"):
		ids, err := referencesOf(d)
		if err != nil {
			return err
		}
		if err := c.s.Registry.Link(c.ctx, c.p, parent, c.kind(), ids); err != nil {
			return err
		}
		return c.stored(http.StatusCreated, "managedobjectreferencecollection", self, func() ([]byte, error) { return c.linked(parent, ids) })
	case d.Has("managedObject"):
		id, ok := reference(d.AppendTo(nil))
		if !ok {
			return fault.E(fault.Op("c8yrest.AddChild"), fault.Invalid, "managedObject must have the id of an object")
		}
		if err := c.s.Registry.Link(c.ctx, c.p, parent, c.kind(), []iot.ID{id}); err != nil {
			return err
		}
		return c.stored(http.StatusCreated, "managedobjectreference", self+"/"+id.String(), func() ([]byte, error) {
			mo, err := c.child(parent, id)
			var o object
			c.writeReference(&o, parent, c.kind().String(), mo, refs{})
			return o.b, err
		})
	}
	draft, err := registry.DraftOf(d)
	if err != nil {
		return err
	}
	created, err := c.s.Registry.Create(c.ctx, c.p, registry.Place{Parent: parent, Kind: c.kind()}, draft)
	if err != nil {
		return err
	}
	return c.storedObject(http.StatusCreated, created[0])
}

// child returns a child that was just linked; who may link it may not be allowed to read it, so that only its id is shown then.
func (c *call) child(parent, id iot.ID) (registry.Object, error) {
	mo, err := c.s.Registry.Child(c.ctx, c.p, parent, c.kind(), id)
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.Invalid) {
		return registry.Object{ManagedObject: iot.ManagedObject{ID: id}}, nil
	}
	return mo, err
}

func (c *call) linked(parent iot.ID, ids []iot.ID) ([]byte, error) {
	var o object
	o.open()
	o.list("references")
	for _, id := range ids {
		mo, err := c.child(parent, id)
		if err != nil {
			return nil, err
		}
		c.writeReference(&o, parent, c.kind().String(), mo, refs{})
	}
	o.endList()
	o.text("self", objectURL(c.base(), parent)+"/"+c.kind().String())
	o.close()
	return o.b, nil
}

func removeChild(c *call) error {
	parent, child, err := c.pair()
	if err != nil {
		return err
	}
	if err := c.s.Registry.Unlink(c.ctx, c.p, parent, c.kind(), []iot.ID{child}); err != nil {
		return err
	}
	return c.noContent()
}

func removeChildren(c *call) error {
	parent, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	ids, err := referencesOf(d)
	if err != nil {
		return err
	}
	if err := c.s.Registry.Unlink(c.ctx, c.p, parent, c.kind(), ids); err != nil {
		return err
	}
	return c.noContent()
}
