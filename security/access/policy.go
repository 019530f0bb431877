package access

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Family is a family of permissions: ROLE_<family>_<level>.
type Family string

// The families.
const (
	Inventory     Family = "INVENTORY"
	ManagedObject Family = "MANAGED_OBJECT"
	Binary        Family = "BINARY"
	Identity      Family = "IDENTITY"
	Measurement   Family = "MEASUREMENT"
	Event         Family = "EVENT"
	Alarm         Family = "ALARM"
	Operation     Family = "DEVICE_CONTROL"
	BulkOperation Family = "BULK_OPERATION"
	Audit         Family = "AUDIT"
	UserAdmin     Family = "USER_MANAGEMENT"
	OwnUser       Family = "USER_MANAGEMENT_OWN"
	TenantAdmin   Family = "TENANT_MANAGEMENT"
	Statistics    Family = "TENANT_STATISTICS"
	Option        Family = "OPTION_MANAGEMENT"
	Retention     Family = "RETENTION_RULE"
	Application   Family = "APPLICATION_MANAGEMENT"
	Messaging     Family = "MQTT_SERVICE" // free MQTT topics
	Bootstrap     Family = "DEVICE_BOOTSTRAP"
	Notification  Family = "NOTIFICATION_2"
)

// Level is what a request wants to do.
type Level uint8

// The levels. Admin does not include Read; it does include Create and Update.
const (
	Read Level = iota + 1
	Create
	Update
	Admin
)

// Object is what a request is about, as far as a decision needs to know it.
type Object struct {
	ID     iot.ID       // of the managed object, or of the source of data; zero: nothing that has an owner
	Owner  iot.UserName // of the managed object, or of the source of data
	Global bool         // carries c8y_Global
	// Above are the objects from which inventory roles reach this one. Only needed if the principal has grants.
	Above []iot.ID
	// Fragments are the names of the custom fragments of the document: of the managed object itself, or of the data about it.
	// nil: unknown or none, which only a grant for any fragment covers. Only needed if the principal has grants for single fragments.
	Fragments []string
}

// Policy makes the decisions. The zero value is ready; it is safe for concurrent use.
type Policy struct{}

// Check returns nil if p may do this, and a fault of kind Denied that names the missing permission otherwise.
// Use a zero Object for what has no owner.
func (*Policy) Check(_ context.Context, p iot.Principal, f Family, l Level, o Object) error {
	if p.Tenant == "" || p.User == "" {
		return fault.E(fault.Op("access.Check"), fault.Unauthenticated)
	}
	if _, ok := decide(p, f, l, o); ok {
		return nil
	}
	return fault.E(fault.Op("access.Check"), fault.Denied, p.Tenant, fault.Subject(role(f, l)), "Access is denied. The permission "+role(f, l)+" is needed")
}

// Layer is what a request may be granted by.
type Layer string

// The layers, in the order in which they are asked.
const (
	ByPermission Layer = "PERMISSION"
	ByOwnership  Layer = "OWNERSHIP"
	ByGlobal     Layer = "C8Y_GLOBAL"
	ByGrant      Layer = "INVENTORY_ROLE"
)

// reason is why a request is granted: the layer, and the permission or the grants (one, or several that cover the fragments together).
type reason struct {
	layer      Layer
	permission string
	grants     []iot.Grant
}

// decide is the rule: a request passes if any layer grants it.
func decide(p iot.Principal, f Family, l Level, o Object) (reason, bool) {
	if held := global(p, f, l); held != "" {
		return reason{layer: ByPermission, permission: held}, true
	}
	if o.Owner != "" && o.Owner == p.User && p.Key == "" && f.owned(l) {
		return reason{layer: ByOwnership}, true
	}
	if o.Global && p.Key == "" && l == Read && f.kind() == iot.ScopeManagedObject && f != Identity {
		return reason{layer: ByGlobal}, true
	}
	if o.ID != 0 && len(p.Grants) > 0 {
		if grants := covering(p.Grants, f, l, o); grants != nil {
			return reason{layer: ByGrant, grants: grants}, true
		}
	}
	return reason{}, false
}

// global returns the permission that p holds and that grants the level in the whole tenant, empty if there is none.
func global(p iot.Principal, f Family, l Level) string {
	if p.Has(iot.RoleSystem) {
		return iot.RoleSystem
	}
	for _, r := range f.roles(l) {
		if p.Has(r) {
			return r
		}
	}
	return ""
}

// roles returns every permission that grants the level in the family, the usual one first.
func (f Family) roles(l Level) []string {
	if f == Bootstrap {
		return bootstrapRoles
	}
	return granting[f][l]
}

// Permissions returns the permissions each of which grants the level in the family everywhere, the usual one first. The caller must not change the list.
func (f Family) Permissions(l Level) []string { return f.roles(l) }

var bootstrapRoles = []string{"ROLE_DEVICE_BOOTSTRAP"}

// granting is roles as a table, because it is asked for every request.
var granting = func() map[Family][Admin + 1][]string {
	out := map[Family][Admin + 1][]string{}
	for _, f := range []Family{Inventory, ManagedObject, Binary, Identity, Measurement, Event, Alarm, Operation, BulkOperation, Audit, UserAdmin, OwnUser, TenantAdmin, Statistics, Option, Retention, Application, Messaging, Notification} {
		var byLevel [Admin + 1][]string
		for l, suffixes := range map[Level][]string{Read: {"_READ"}, Create: {"_ADMIN", "_CREATE"}, Update: {"_ADMIN", "_UPDATE"}, Admin: {"_ADMIN"}} {
			for _, family := range f.families() {
				for _, s := range suffixes {
					byLevel[l] = append(byLevel[l], "ROLE_"+string(family)+s)
				}
			}
		}
		out[f] = byLevel
	}
	return out
}()

// families returns the families that grant f: ROLE_INVENTORY_x stands for both managed objects and binaries.
func (f Family) families() []Family {
	switch f {
	case ManagedObject:
		return []Family{Inventory, ManagedObject}
	case Binary:
		return []Family{Inventory, Binary}
	}
	return []Family{f}
}

// kind is the scope of grants that reach the family; empty if none does.
func (f Family) kind() iot.GrantScope {
	switch f {
	case Inventory, ManagedObject, Binary, Identity:
		return iot.ScopeManagedObject
	case Measurement:
		return iot.ScopeMeasurement
	case Event:
		return iot.ScopeEvent
	case Alarm:
		return iot.ScopeAlarm
	case Operation:
		return iot.ScopeOperation
	case Audit:
		return iot.ScopeAudit
	}
	return ""
}

// OfObject reports whether the family is about managed objects themselves, not about data about them.
func (f Family) OfObject() bool { return f.kind() == iot.ScopeManagedObject }

// Granted reports whether p holds any grant for the family's kind of data, of whatever level (access rule 9).
func (f Family) Granted(p iot.Principal) bool {
	k := f.kind()
	return k != "" && slices.ContainsFunc(p.Grants, func(g iot.Grant) bool { return g.Scope == iot.ScopeAny || g.Scope == k })
}

// owned reports whether the owner of an object may do this with the family's data about it: everything but read the audit.
func (f Family) owned(l Level) bool { return f.kind() != "" && !(f == Audit && l == Read) }

// role names the permission that a refusal asks for.
func role(f Family, l Level) string {
	suffix := "_READ"
	switch l {
	case Create:
		suffix = "_CREATE"
	case Update, Admin:
		suffix = "_ADMIN"
	}
	if f == Bootstrap {
		suffix = ""
	}
	return "ROLE_" + string(f) + suffix
}

// reaches reports whether the grant is about the family and allows the level.
func reaches(g iot.Grant, f Family, l Level) bool {
	if k := f.kind(); k == "" || (g.Scope != iot.ScopeAny && g.Scope != k) {
		return false
	}
	return g.Level == iot.GrantAll || (g.Level == iot.GrantRead) == (l == Read)
}

// applies reports whether the grant reaches o as well, whatever its fragments.
func applies(g iot.Grant, f Family, l Level, o Object) bool {
	return reaches(g, f, l) && (g.Object == o.ID || g.Below && slices.Contains(o.Above, g.Object))
}

// covering returns the grants that allow the level on o: one for any fragment, or several that cover all of its fragments together; nil if
// there are none.
func covering(grants []iot.Grant, f Family, l Level, o Object) []iot.Grant {
	var typed []iot.Grant
	for _, g := range grants {
		if !applies(g, f, l, o) {
			continue
		}
		if g.Fragment == iot.AnyFragment {
			return []iot.Grant{g}
		}
		typed = append(typed, g)
	}
	if len(typed) == 0 || len(o.Fragments) == 0 {
		return nil
	}
	var used []iot.Grant
	for _, name := range o.Fragments {
		i := slices.IndexFunc(typed, func(g iot.Grant) bool { return g.Fragment == name })
		if i < 0 {
			return nil
		}
		used = append(used, typed[i])
	}
	return used
}

// Covered returns those of the fragments of data about o that grants of p cover, for what is shown in part. All is true if p may read all of
// it whatever its fragments.
func (*Policy) Covered(p iot.Principal, f Family, o Object) (names map[string]bool, all bool) {
	o.Fragments = nil
	if _, ok := decide(p, f, Read, o); ok {
		return nil, true
	}
	for _, g := range p.Grants {
		if applies(g, f, Read, o) {
			if names == nil {
				names = map[string]bool{}
			}
			names[g.Fragment] = true
		}
	}
	return names, false
}

// unremarkable are the fragments that no grant must cover: markers of the platform and what it keeps itself (access rule 1).
var unremarkable = []string{iot.FragmentIsDevice, iot.FragmentIsDeviceGroup, "c8y_IsDeviceSubgroup", "c8y_IsDynamicGroup", "c8y_IsBinary", iot.FragmentGlobal,
	iot.FragmentAgent, iot.FragmentAvailability, iot.FragmentConnection, iot.FragmentActiveAlarms, "c8y_LatestMeasurements"}

// CustomFragments returns the names of the fragments of a document that grants must cover.
func CustomFragments(d iot.Doc) []string {
	var out []string
	for _, m := range d {
		if !slices.Contains(unremarkable, m.Name) {
			out = append(out, m.Name)
		}
	}
	return out
}

// Names returns the fragments of a document that grants of p must cover, nil if p has none.
func Names(p iot.Principal, d iot.Doc) []string {
	if len(p.Grants) == 0 {
		return nil
	}
	return CustomFragments(d)
}

// MeasuredNames is Names for a measurement.
func MeasuredNames(p iot.Principal, m *iot.Measurement) []string {
	if len(p.Grants) == 0 {
		return nil
	}
	return m.Fragments()
}
