// Package oracle says who may do what, from the written rules alone: the seed text on permissions and ownership, section 5 of the REST
// reference, and the page of decisions on access. It is the judge of the platform's own implementation and shares nothing with it, so it
// is written to be read beside those texts: it walks everything each time, remembers nothing, and knows no shortcut.
package oracle

import "slices"

// Action is what somebody wants to do.
type Action string

// The actions.
const (
	Read   Action = "read"
	Create Action = "create"
	Change Action = "change"
	Delete Action = "delete"
)

// Kind is a kind of thing that access is about.
type Kind string

// The kinds.
const (
	ManagedObject Kind = "inventory"
	Binary        Kind = "binary"
	Identity      Kind = "identity"
	Measurement   Kind = "measurement"
	Event         Kind = "event"
	Alarm         Kind = "alarm"
	Operation     Kind = "operation"
	Audit         Kind = "audit"
)

// Kinds are all kinds.
var Kinds = []Kind{ManagedObject, Binary, Identity, Measurement, Event, Alarm, Operation, Audit}

// Grant is one line of an inventory role where it was assigned, or a device permission.
type Grant struct {
	Object   string
	Below    bool // an inventory role reaches what hangs below, a device permission does not (decision 2, 14)
	Scope    string
	Fragment string
	Level    string // READ, ADMIN, *
}

// User is somebody of the tenant. Permissions hold what the groups of the user hold, too.
type User struct {
	Name        string
	Permissions []string
	Grants      []Grant
}

// Has reports whether the user holds one of these permissions.
func (u User) Has(permissions ...string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(u.Permissions, p) })
}

// Child is a link downwards.
type Child struct{ Kind, ID string }

// Object is a managed object.
type Object struct {
	ID, Owner, Name, Type string
	Binary                bool
	Fragments             []string // all top-level properties that are no standard attributes
	Children              []Child
	External              []string // external ids, as type/id
}

// Document is a measurement, event, alarm, operation or audit record about an object.
type Document struct {
	ID, Source, Type string
	Kind             Kind
	Fragments        []string
	Day              int // when, counted from the first of January 2024 in units of the test
	Status           string
}

// World is what one tenant holds.
type World struct {
	Objects   map[string]*Object
	Documents []*Document
}

// New returns an empty world.
func New() *World { return &World{Objects: map[string]*Object{}} }

// permissions are those that allow an action on a kind everywhere in the tenant (5.3, 5.4, 5.8; decisions 5 and 10).
var permissions = map[Kind]map[Action][]string{
	ManagedObject: {
		Read:   {"ROLE_INVENTORY_READ", "ROLE_MANAGED_OBJECT_READ"},
		Create: {"ROLE_INVENTORY_ADMIN", "ROLE_MANAGED_OBJECT_ADMIN", "ROLE_INVENTORY_CREATE", "ROLE_MANAGED_OBJECT_CREATE"},
		Change: {"ROLE_INVENTORY_ADMIN", "ROLE_MANAGED_OBJECT_ADMIN", "ROLE_INVENTORY_UPDATE", "ROLE_MANAGED_OBJECT_UPDATE"},
		Delete: {"ROLE_INVENTORY_ADMIN", "ROLE_MANAGED_OBJECT_ADMIN", "ROLE_INVENTORY_UPDATE", "ROLE_MANAGED_OBJECT_UPDATE"},
	},
	Binary: {
		Read:   {"ROLE_INVENTORY_READ", "ROLE_BINARY_READ"},
		Create: {"ROLE_INVENTORY_ADMIN", "ROLE_BINARY_ADMIN", "ROLE_INVENTORY_CREATE", "ROLE_BINARY_CREATE"},
		Change: {"ROLE_INVENTORY_ADMIN", "ROLE_BINARY_ADMIN", "ROLE_INVENTORY_UPDATE", "ROLE_BINARY_UPDATE"},
		Delete: {"ROLE_INVENTORY_ADMIN", "ROLE_BINARY_ADMIN", "ROLE_INVENTORY_UPDATE", "ROLE_BINARY_UPDATE"},
	},
	Identity:    readAdmin("IDENTITY"),
	Measurement: readAdmin("MEASUREMENT"),
	Event:       readAdmin("EVENT"),
	Alarm:       readAdmin("ALARM"),
	Operation:   readAdmin("DEVICE_CONTROL"),
	Audit:       readAdmin("AUDIT"),
}

func readAdmin(family string) map[Action][]string {
	admin := []string{"ROLE_" + family + "_ADMIN"}
	return map[Action][]string{Read: {"ROLE_" + family + "_READ"}, Create: admin, Change: admin, Delete: admin}
}

// scopes are the scopes of grants that are about a kind. External ids and binaries go with the managed object (5.8).
var scopes = map[Kind]string{ManagedObject: "MANAGED_OBJECT", Binary: "MANAGED_OBJECT", Identity: "MANAGED_OBJECT", Measurement: "MEASUREMENT", Event: "EVENT",
	Alarm: "ALARM", Operation: "OPERATION", Audit: "AUDIT"}

// notCustom are the properties that need not be covered (decision 1).
var notCustom = []string{"c8y_IsDevice", "c8y_IsDeviceGroup", "c8y_IsDeviceSubgroup", "c8y_IsDynamicGroup", "c8y_IsBinary", "c8y_Global", "com_cumulocity_model_Agent",
	"c8y_Availability", "c8y_Connection", "c8y_ActiveAlarmsStatus", "c8y_LatestMeasurements"}

// May reports whether a user may do something. For a managed object, a binary and external ids the fragments are those of the object;
// for data they are given. An empty object means none.
func (w *World) May(u User, a Action, k Kind, object string, fragments []string) bool {
	return w.byPermission(u, a, k) || w.byOwnership(u, a, k, object) || w.byGrant(u, a, k, object, fragments) || w.byGlobal(a, k, object)
}

func (w *World) byPermission(u User, a Action, k Kind) bool { return u.Has(permissions[k][a]...) }

// byOwnership: decision 6.
func (w *World) byOwnership(u User, a Action, k Kind, object string) bool {
	o := w.Objects[object]
	if o == nil || o.Owner != u.Name {
		return false
	}
	if a == Create && (k == ManagedObject || k == Binary) {
		return false // there is nothing to own yet
	}
	return k != Audit || a == Create
}

// byGlobal: decision 3.
func (w *World) byGlobal(a Action, k Kind, object string) bool {
	o := w.Objects[object]
	return o != nil && a == Read && (k == ManagedObject || k == Binary) && slices.Contains(o.Fragments, "c8y_Global")
}

// byGrant: 5.6; decisions 1, 2, 8, 14.
func (w *World) byGrant(u User, a Action, k Kind, object string, fragments []string) bool {
	o := w.Objects[object]
	if o == nil || a == Create && (k == ManagedObject || k == Binary) {
		return false
	}
	if scopes[k] == "MANAGED_OBJECT" {
		fragments = o.Fragments
	}
	covered := w.Covered(u, a, k, object)
	if slices.Contains(covered, "*") {
		return true
	}
	custom := slices.DeleteFunc(slices.Clone(fragments), func(f string) bool { return slices.Contains(notCustom, f) })
	if len(custom) == 0 {
		return false // 5.6: a wildcard is required for objects without fragments
	}
	for _, f := range custom {
		if !slices.Contains(covered, f) {
			return false
		}
	}
	return true
}

// Covered returns the fragments that the grants of a user cover at an object.
func (w *World) Covered(u User, a Action, k Kind, object string) []string {
	var out []string
	for _, g := range u.Grants {
		if w.reaches(g, object) && (g.Scope == "*" || g.Scope == scopes[k]) && (g.Level == "*" || (g.Level == "READ") == (a == Read)) {
			out = append(out, g.Fragment)
		}
	}
	return out
}

func (w *World) reaches(g Grant, object string) bool {
	return g.Object == object || g.Below && slices.Contains(w.Below(g.Object), object)
}

// Below returns all objects that hang below one, by any kind of child.
func (w *World) Below(object string) []string {
	var out []string
	todo := []string{object}
	for len(todo) > 0 {
		o := w.Objects[todo[0]]
		todo = todo[1:]
		if o == nil {
			continue
		}
		for _, c := range o.Children {
			if !slices.Contains(out, c.ID) {
				out = append(out, c.ID)
				todo = append(todo, c.ID)
			}
		}
	}
	return out
}

// KindOf is the kind that an object is: a binary or another managed object (decision 10).
func (w *World) KindOf(object string) Kind {
	if o := w.Objects[object]; o != nil && o.Binary {
		return Binary
	}
	return ManagedObject
}

// MayObject is May for a managed object of either kind.
func (w *World) MayObject(u User, a Action, object string) bool {
	return w.May(u, a, w.KindOf(object), object, nil)
}

// MayDocument is May for a document that exists.
func (w *World) MayDocument(u User, a Action, d *Document) bool {
	return w.May(u, a, d.Kind, d.Source, d.Fragments)
}

// MayLink: decision 4 and 5.2. Who owns the child may link it as device or asset; else both sides must be theirs to change.
func (w *World) MayLink(u User, parent, child, kind string) bool {
	if o := w.Objects[child]; o != nil && o.Owner == u.Name && kind != "childAdditions" {
		return true
	}
	return w.MayObject(u, Change, parent) && w.MayObject(u, Change, child)
}

// MayUnlink: 5.2 and 5.8: ADMIN, own(parent) or own(child), inv(MO,ADMIN) on the parent.
func (w *World) MayUnlink(u User, parent, child string) bool {
	c := w.Objects[child]
	return w.MayObject(u, Change, parent) || c != nil && c.Owner == u.Name
}

// MayList reports whether a list of data is answered at all (decision 9). Lists of managed objects and binaries always are (5.8).
func (w *World) MayList(u User, k Kind) bool {
	switch {
	case k == ManagedObject || k == Binary || w.byPermission(u, Read, k):
		return true
	case k == Audit:
		return false
	}
	for _, g := range u.Grants {
		if g.Scope == "*" || g.Scope == scopes[k] {
			return true
		}
	}
	for _, o := range w.Objects {
		if o.Owner == u.Name {
			return true
		}
	}
	return false
}

// ReadableObjects returns the ids of the managed objects of both kinds that a user may read, in no order.
func (w *World) ReadableObjects(u User) []string {
	var out []string
	for id := range w.Objects {
		if w.MayObject(u, Read, id) {
			out = append(out, id)
		}
	}
	return out
}

// ReadableChildren returns the children of an object that a user may read (decision 7).
func (w *World) ReadableChildren(u User, parent, kind string) []string {
	var out []string
	for _, c := range w.Objects[parent].Children {
		if c.Kind == kind && w.MayObject(u, Read, c.ID) {
			out = append(out, c.ID)
		}
	}
	return out
}

// ReadableDocuments returns the documents of a kind that a user may read.
func (w *World) ReadableDocuments(u User, k Kind) []*Document {
	var out []*Document
	for _, d := range w.Documents {
		if d.Kind == k && w.MayDocument(u, Read, d) {
			out = append(out, d)
		}
	}
	return out
}
