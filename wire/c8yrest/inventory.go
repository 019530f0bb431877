package c8yrest

import (
	"cmp"
	"net/http"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
)

// objectQuery reads the parameters that select managed objects.
func (c *call) objectQuery() (registry.Query, error) {
	q := registry.Query{Type: c.query.Get("type"), Fragment: c.query.Get("fragmentType"), Owner: c.query.Get("owner"), Text: c.query.Get("text"), OnlyRoots: c.flag("onlyRoots", false)}
	if c.query.Has("ids") {
		q.IDs = []iot.ID{}
		for _, v := range c.list("ids") {
			if id, ok := iot.ParseID(v); ok {
				q.IDs = append(q.IDs, id)
			}
		}
		if len(q.IDs) > maxPage {
			return q, fault.E(fault.Op("c8yrest.Query"), fault.Invalid, "the parameter ids has more than 2000 values")
		}
	}
	for _, f := range []struct {
		name string
		kind iot.ChildKind
	}{{"childDeviceId", iot.ChildDevice}, {"childAssetId", iot.ChildAsset}, {"childAdditionId", iot.ChildAddition}} {
		if id := c.idParam(f.name); id != 0 {
			q.ParentOf, q.Kind = id, f.kind
		}
	}
	text, devices := c.query.Get("query"), false
	if c.query.Has("q") { // c8y: an empty one, which the list of all devices sends, asks for every device
		text, devices = cmp.Or(c.query.Get("q"), text), true
	}
	if text != "" {
		parsed, err := query.Parse(text)
		if err != nil {
			return q, fault.E(fault.Op("c8yrest.Query"), fault.Invalid, "Find by filter query failed : Query '"+clip(text)+"' could not be understood. "+err.Error())
		}
		q.Query, q.Type = parsed, "" // c8y: a plain type beside a query is ignored
	}
	q.OnlyDevices = devices
	return q, nil
}

func listObjects(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q, err := c.objectQuery()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	objects, n, err := c.objects(q)
	if err != nil {
		return err
	}
	p.total = n
	r, err := c.refs(objects, c.view())
	if err != nil {
		return err
	}
	return c.collection("managedobjectcollection", "managedObjects", p, func(o *object) error {
		for _, mo := range objects {
			writeObject(o, c.base(), mo, r)
		}
		return nil
	})
}

// objects reads a page of managed objects, as they are or as they were.
func (c *call) objects(q registry.Query) ([]registry.Object, int, error) {
	return c.listed(q, func(at time.Time) ([]iot.ManagedObject, int, error) { return c.s.Registry.ListAsOf(c.ctx, c.p, q, at) })
}

// listed reads a page of managed objects, as they are or by asOf.
func (c *call) listed(q registry.Query, asOf func(time.Time) ([]iot.ManagedObject, int, error)) ([]registry.Object, int, error) {
	at, past, err := c.asOf()
	if err != nil {
		return nil, 0, err
	}
	if !past {
		return c.s.Registry.List(c.ctx, c.p, q)
	}
	for name := range c.query {
		switch name {
		case "asOf", "ids", "type", "fragmentType", "owner", "pageSize", "currentPage", "withTotalPages", "withTotalElements", "skipChildrenNames",
			"withChildren", "withChildrenCount", "withParents", "withGroups":
		default:
			return nil, 0, fault.E(fault.Op("c8yrest.AsOf"), fault.Invalid, "asOf cannot be combined with "+clip(name)+": it takes ids, type, fragmentType and owner")
		}
	}
	found, n, err := asOf(at)
	return former(found), n, err
}

// former are objects as they were, of which no state is known.
func former(found []iot.ManagedObject) []registry.Object {
	out := make([]registry.Object, len(found))
	for i, mo := range found {
		out[i].ManagedObject = mo
	}
	return out
}

func countObjects(c *call) error {
	q, err := c.objectQuery()
	if err != nil {
		return err
	}
	q.Count = true
	_, n, err := c.objects(q)
	if err != nil {
		return err
	}
	return c.number(n)
}

// createObjects takes one object or, c8y: {"managedObjects":[...]} with up to 50.
func createObjects(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	if raw := d.Get("managedObjects"); raw != nil && raw[0] == '[' {
		return createMany(c, raw)
	}
	draft, err := registry.DraftOf(d)
	if err != nil {
		return err
	}
	created, err := c.s.Registry.Create(c.ctx, c.p, registry.Place{}, draft)
	if err != nil {
		return err
	}
	return c.storedObject(http.StatusCreated, created[0])
}

func (c *call) storedObject(status int, mo registry.Object) error {
	location := ""
	if status == http.StatusCreated {
		location = objectURL(c.base(), mo.ID)
	}
	return c.stored(status, "managedobject", location, func() ([]byte, error) {
		var o object
		writeObject(&o, c.base(), mo, refs{})
		return o.b, nil
	})
}

func createMany(c *call, raw []byte) error {
	items, err := iot.ParseArray(raw, iot.MaxDepth)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Create"), fault.Invalid, err.Error())
	}
	drafts := make([]registry.Draft, len(items))
	for i, item := range items {
		d, err := parseDoc(item)
		if err != nil {
			return err
		}
		if drafts[i], err = registry.DraftOf(d); err != nil {
			return err
		}
	}
	created, err := c.s.Registry.Create(c.ctx, c.p, registry.Place{}, drafts...)
	if err != nil {
		return err
	}
	return c.storedMany(http.StatusCreated, created)
}

func (c *call) storedMany(status int, objects []registry.Object) error {
	return c.stored(status, "managedobjectcollection", "", func() ([]byte, error) {
		var o object
		o.open()
		o.list("managedObjects")
		for _, mo := range objects {
			writeObject(&o, c.base(), mo, refs{})
		}
		o.endList()
		o.text("self", c.base()+"/inventory/managedObjects")
		o.close()
		return o.b, nil
	})
}

// updateObjects changes up to 50 objects, all or none.
func updateObjects(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	items, err := iot.ParseArray(d.Get("managedObjects"), iot.MaxDepth)
	if err != nil || len(items) == 0 || len(items) > registry.MaxBulk {
		return fault.E(fault.Op("c8yrest.Update"), fault.Invalid, "managedObjects must be a list of 1 to 50 objects with their ids")
	}
	var patches []registry.Patch
	for _, item := range items {
		d, err := parseDoc(item)
		if err != nil {
			return err
		}
		text, _ := d.Text("id")
		id, ok := iot.ParseID(text)
		if !ok {
			return fault.E(fault.Op("c8yrest.Update"), fault.Invalid, "every object must have its id")
		}
		draft, err := registry.DraftOf(d)
		if err != nil {
			return err
		}
		patches = append(patches, registry.Patch{ID: id, Draft: draft})
	}
	out, err := c.s.Registry.PatchAll(c.ctx, c.p, patches)
	if err != nil {
		return err
	}
	return c.storedMany(http.StatusOK, out)
}

func (c *call) patch(id iot.ID, d iot.Doc) (registry.Object, error) {
	draft, err := registry.DraftOf(d)
	if err != nil {
		return registry.Object{}, err
	}
	draft.If = c.condition()
	return c.s.Registry.Patch(c.passing(), c.p, id, draft)
}

// getObject also takes asOf, an addition of ours: the object as it was.
func getObject(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	var mo registry.Object
	at, past, err := c.asOf()
	if err != nil {
		return err
	}
	if past {
		mo.ManagedObject, err = c.s.Registry.AsOf(c.ctx, c.p, id, at)
	} else {
		mo, err = c.s.Registry.Get(c.ctx, c.p, id)
	}
	if err != nil {
		return err
	}
	r, err := c.refs([]registry.Object{mo}, c.view())
	if err != nil {
		return err
	}
	if !past {
		c.version = versionOf(mo.ManagedObject)
	}
	var o object
	writeObject(&o, c.base(), mo, r)
	return c.json(http.StatusOK, "managedobject", o.b)
}

// getHistory lists the versions of an object, newest last. It is an addition of ours.
func getHistory(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	versions, err := c.s.Registry.History(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	if len(versions) == 0 { // never changed, or never there
		if _, err := c.s.Registry.Get(c.ctx, c.p, id); err != nil {
			return err
		}
	}
	p.total = len(versions)
	return c.collection("", "versions", p, func(o *object) error {
		for _, v := range cut(p, versions) {
			o.open()
			o.time("validFrom", v.From)
			o.time("validTo", v.Until.At)
			o.text("changedBy", v.Until.By)
			o.text("changeSet", v.Until.Set)
			o.bool("deleted", v.Deleted)
			o.key("managedObject")
			writeObject(o, c.base(), registry.Object{ManagedObject: v.Object}, refs{})
			o.close()
		}
		return nil
	})
}

// updateObject changes an object; c8y: an empty body, or one with only the id, is a sign of life and answers with the id alone.
func updateObject(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	if len(d.Without("id")) == 0 {
		if _, err := c.patch(id, d); err != nil {
			return err
		}
		c.heard(id)
		return c.stored(http.StatusOK, "managedobject", "", func() ([]byte, error) {
			var o object
			o.open()
			o.id("id", id)
			o.close()
			return o.b, nil
		})
	}
	mo, err := c.patch(id, d)
	if err != nil {
		return err
	}
	if c.mode.Stores() {
		c.w.Header().Set("ETag", `W/"`+versionOf(mo.ManagedObject)+`"`)
	}
	return c.storedObject(http.StatusOK, mo)
}

// heard counts the request as a sign of life of a device, unless an application made it.
func (c *call) heard(id iot.ID) {
	if c.p.Application == "" && c.s.Presence != nil {
		c.s.Presence.Heard(c.p.Tenant, id)
	}
}
