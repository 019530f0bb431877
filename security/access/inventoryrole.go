package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// ScopedPermission is one line of an inventory role or a device permission: what it allows with which kind of data.
type ScopedPermission struct {
	Scope    iot.GrantScope `json:"scope"`
	Fragment string         `json:"type"` // a fragment, or iot.AnyFragment
	Level    iot.GrantLevel `json:"permission"`
}

// String returns the form of device permissions: SCOPE:fragment:LEVEL.
func (p ScopedPermission) String() string {
	return string(p.Scope) + ":" + p.Fragment + ":" + string(p.Level)
}

// ParseScopedPermission reads SCOPE:fragment:LEVEL.
func ParseScopedPermission(s string) (ScopedPermission, error) {
	scope, rest, ok := strings.Cut(s, ":")
	i := strings.LastIndexByte(rest, ':')
	if !ok || i < 0 {
		return ScopedPermission{}, fault.Errorf("access.ParseScopedPermission", fault.Invalid, "a device permission has the form SCOPE:fragment:LEVEL, not %.80q", s)
	}
	p := ScopedPermission{Scope: iot.GrantScope(scope), Fragment: rest[:i], Level: iot.GrantLevel(rest[i+1:])}
	return p, p.check()
}

const (
	maxFragmentName   = 1024
	maxPermissions    = 500 // of one inventory role, or of one holder on one object
	maxAssignments    = 5000
	maxHolders        = 5000
	builtinAssignable = 100 // inventory roles of the platform have lower numbers
)

func (p ScopedPermission) check() error {
	const op = fault.Op("access.Permission")
	switch {
	case !p.Scope.Valid():
		return fault.Errorf(op, fault.Invalid, "the scope %.40q is none of ALARM, AUDIT, EVENT, MANAGED_OBJECT, MEASUREMENT, OPERATION, *", p.Scope)
	case !p.Level.Valid():
		return fault.Errorf(op, fault.Invalid, "the permission %.40q is none of READ, ADMIN, *", p.Level)
	case p.Fragment == "" || len(p.Fragment) > maxFragmentName:
		return fault.Errorf(op, fault.Invalid, "the type must be the name of a fragment with up to %d bytes, or *", maxFragmentName)
	}
	return nil
}

// InventoryRole is a named set of permissions that can be given to a user on single objects.
type InventoryRole struct {
	ID          int64              `json:"id"`
	Name        string             `json:"name"`
	Description string             `json:"description,omitempty"`
	Permissions []ScopedPermission `json:"permissions"`
}

// Assignment gives a user inventory roles on an object and all that hangs below it.
type Assignment struct {
	ID     int64
	User   iot.UserName
	Object iot.ID
	Roles  []int64 // ids of inventory roles, sorted
}

// DevicePermission is what a user or a global role may do with one object alone.
type DevicePermission struct {
	Object  iot.ID
	User    iot.UserName // empty: the global role
	Group   int64
	Entries []ScopedPermission
}

// GrantStore keeps inventory roles, their assignments, and device permissions. Errors are raw: a missing row is sql.ErrNoRows, a name or an
// assignment that exists already satisfies sqlkit.IsUnique. All methods are safe for concurrent use.
type GrantStore interface {
	// InventoryRoles returns all of the tenant by id; they are few.
	InventoryRoles(ctx context.Context, t iot.TenantID) ([]InventoryRole, error)
	PutInventoryRole(ctx context.Context, t iot.TenantID, r InventoryRole, create bool, rev sqlkit.Revision) error
	// DeleteInventoryRole also takes the role from all assignments.
	DeleteInventoryRole(ctx context.Context, t iot.TenantID, id int64, rev sqlkit.Revision) error
	// Assignments returns those of a user, or all of the tenant if user is empty, by id.
	Assignments(ctx context.Context, t iot.TenantID, user iot.UserName) ([]Assignment, error)
	// PutAssignment creates (id 0, and returns the new one) or replaces the roles.
	PutAssignment(ctx context.Context, t iot.TenantID, a Assignment) (Assignment, error)
	DeleteAssignment(ctx context.Context, t iot.TenantID, user iot.UserName, id int64) error
	// DevicePermissions returns those on an object, or if it is zero those of a user and of the groups, or if that is empty as well, all.
	DevicePermissions(ctx context.Context, t iot.TenantID, object iot.ID, user iot.UserName, groups []int64) ([]DevicePermission, error)
	// PutDevicePermissions replaces what the named holders have on their objects; without entries they have none.
	PutDevicePermissions(ctx context.Context, t iot.TenantID, permissions []DevicePermission) error
	// ForgetObject removes assignments and device permissions on an object.
	ForgetObject(ctx context.Context, t iot.TenantID, object iot.ID) error
}

// builtinInventoryRoles are those that every tenant is born with; their ids are those that clients have seen.
func builtinInventoryRoles() []InventoryRole {
	p := func(scope iot.GrantScope, fragment string, l iot.GrantLevel) ScopedPermission {
		return ScopedPermission{Scope: scope, Fragment: fragment, Level: l}
	}
	return []InventoryRole{
		{1, "Reader", "Read all data of the objects", []ScopedPermission{p("*", "*", iot.GrantRead)}},
		{2, "Manager", "Read all data, change the objects and their alarms", []ScopedPermission{p("*", "*", iot.GrantRead), p(iot.ScopeManagedObject, "*", iot.GrantChange), p(iot.ScopeAlarm, "*", iot.GrantChange)}},
		{3, "Operations: All", "Send any operation to the devices", []ScopedPermission{p(iot.ScopeOperation, "*", iot.GrantChange)}},
		{4, "Operations: Restart Device", "Restart the devices", []ScopedPermission{p(iot.ScopeOperation, "c8y_Restart", iot.GrantChange)}},
	}
}

// furnish gives a realm the built-in inventory roles if it has none.
func (u *Users) furnish(ctx context.Context, t iot.TenantID) error {
	if u.d.Grants == nil {
		return nil
	}
	roles, err := u.d.Grants.InventoryRoles(ctx, t)
	if err != nil || len(roles) > 0 {
		return err
	}
	rev := u.revision(iot.System(t))
	for _, r := range builtinInventoryRoles() {
		if err := u.d.Grants.PutInventoryRole(ctx, t, r, true, rev); err != nil {
			return err
		}
	}
	return nil
}

// grants returns what a user holds on single objects. Roles that no longer exist grant nothing.
func (u *Users) grants(ctx context.Context, t iot.TenantID, user User) ([]iot.Grant, error) {
	if u.d.Grants == nil {
		return nil, nil
	}
	assignments, err := u.d.Grants.Assignments(ctx, t, user.Name)
	if err != nil {
		return nil, err
	}
	permissions, err := u.d.Grants.DevicePermissions(ctx, t, 0, user.Name, user.Groups)
	if err != nil || len(assignments)+len(permissions) == 0 {
		return nil, err
	}
	var roles []InventoryRole
	if len(assignments) > 0 {
		if roles, err = u.d.Grants.InventoryRoles(ctx, t); err != nil {
			return nil, err
		}
	}
	var groups []Group
	if slices.ContainsFunc(permissions, func(p DevicePermission) bool { return p.User == "" }) {
		if groups, err = u.d.Store.Groups(ctx, t); err != nil {
			return nil, err
		}
	}
	return compile(assignments, roles, permissions, groups), nil
}

// compile turns assignments and device permissions into grants.
func compile(assignments []Assignment, roles []InventoryRole, permissions []DevicePermission, groups []Group) (out []iot.Grant) {
	for _, a := range assignments {
		for _, r := range roles {
			if !slices.Contains(a.Roles, r.ID) {
				continue
			}
			for _, x := range r.Permissions {
				out = append(out, iot.Grant{Object: a.Object, Below: true, Scope: x.Scope, Fragment: x.Fragment, Level: x.Level, Role: r.Name})
			}
		}
	}
	for _, p := range permissions {
		by := ""
		for _, g := range groups {
			if p.User == "" && g.ID == p.Group {
				by = g.Name
			}
		}
		for _, x := range p.Entries {
			out = append(out, iot.Grant{Object: p.Object, Scope: x.Scope, Fragment: x.Fragment, Level: x.Level, ByGroup: by})
		}
	}
	return out
}

// forgetObjects ends what is granted on objects that are deleted, on whichever node.
func (u *Users) forgetObjects() (stop func(), err error) {
	return u.d.Bus.Subscribe(bus.All("inventory", string(iot.Deleted), ">"), func(t iot.TenantID, subject string, _ []byte) {
		subject = bus.Base(subject)
		id, ok := iot.ParseID(subject[strings.LastIndexByte(subject, '.')+1:])
		if !ok {
			return
		}
		if err := u.d.Grants.ForgetObject(context.Background(), t, id); err != nil { // harmless: ids are never used again
			u.d.Log.Warn("grants on a deleted object stay", "tenant", t, "object", id, "err", err)
		}
	})
}

// InventoryRoles returns the inventory roles of p's tenant.
func (u *Users) InventoryRoles(ctx context.Context, p iot.Principal) ([]InventoryRole, error) {
	if err := u.MayRead(ctx, p); err != nil {
		return nil, err
	}
	roles, err := u.d.Grants.InventoryRoles(ctx, p.Tenant)
	return roles, sqlkit.Fault("access.InventoryRoles", err)
}

// MayRead is the right to see global and inventory roles and who holds them: READ or CREATE, not ADMIN alone (access rule 11).
func (u *Users) MayRead(ctx context.Context, p iot.Principal) error {
	if p.Has("ROLE_USER_MANAGEMENT_CREATE") {
		return nil
	}
	return u.d.Policy.Check(ctx, p, UserAdmin, Read, Object{})
}

// AssignableRoles returns the inventory roles for who may give them, which does not mean to see who has them.
func (u *Users) AssignableRoles(ctx context.Context, p iot.Principal) ([]InventoryRole, error) {
	if u.mayAssign(ctx, p) != nil {
		return u.InventoryRoles(ctx, p)
	}
	roles, err := u.d.Grants.InventoryRoles(ctx, p.Tenant)
	return roles, sqlkit.Fault("access.AssignableRoles", err)
}

func noInventoryRole(id int64) error {
	return fault.E(fault.Op("access.InventoryRole"), fault.NotFound, fault.Subject(fmt.Sprint(id)), fmt.Sprintf("no inventory role with the id %d", id))
}

// PutInventoryRole creates an inventory role (id 0) or replaces one.
func (u *Users) PutInventoryRole(ctx context.Context, p iot.Principal, r InventoryRole) (InventoryRole, error) {
	const op = fault.Op("access.PutInventoryRole")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return r, err
	}
	if n := strings.TrimSpace(r.Name); n == "" || len(r.Name) > 254 {
		return r, fault.E(op, fault.Invalid, "Following mandatory fields should be included: name (1 to 254 characters)")
	}
	if len(r.Permissions) > maxPermissions {
		return r, fault.Errorf(op, fault.Invalid, "an inventory role has at most %d permissions", maxPermissions)
	}
	for _, x := range r.Permissions {
		if err := x.check(); err != nil {
			return r, fault.E(op, err)
		}
	}
	create, before := r.ID == 0, InventoryRole{}
	err := fresh(func() (taken bool, err error) {
		roles, err := u.d.Grants.InventoryRoles(ctx, p.Tenant)
		if err != nil {
			return false, err
		}
		if create {
			r.ID = builtinAssignable
			for _, other := range roles {
				r.ID = max(r.ID, other.ID+1)
			}
		} else if i := slices.IndexFunc(roles, func(o InventoryRole) bool { return o.ID == r.ID }); i >= 0 {
			before = roles[i]
		} else {
			return true, noInventoryRole(r.ID)
		}
		taken = !create || slices.ContainsFunc(roles, func(o InventoryRole) bool { return o.Name == r.Name })
		return taken, u.d.Grants.PutInventoryRole(ctx, p.Tenant, r, create, u.revision(p))
	})
	if fault.Is(err, fault.NotFound) {
		return r, err
	}
	if err != nil {
		return r, fault.E(op, sqlkit.Fault(op, err), "an inventory role with the name '"+r.Name+"' exists already")
	}
	activity := "Inventory role updated"
	if create {
		activity = "Inventory role created"
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "InventoryRole", Activity: activity, Text: "Inventory role '" + r.Name + "'", Changes: diff(before, r)})
	return r, nil
}

// DeleteInventoryRole removes an inventory role; those who held it lose what it granted.
func (u *Users) DeleteInventoryRole(ctx context.Context, p iot.Principal, id int64) error {
	const op = fault.Op("access.DeleteInventoryRole")
	if err := u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{}); err != nil {
		return err
	}
	if err := u.d.Grants.DeleteInventoryRole(ctx, p.Tenant, id, u.revision(p)); err != nil {
		return fault.E(op, sqlkit.Fault(op, err), fmt.Sprintf("no inventory role with the id %d", id))
	}
	u.changed(p.Tenant, "")
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "InventoryRole", Activity: "Inventory role deleted", Text: fmt.Sprintf("Inventory role %d", id)})
	return nil
}

// Assignments returns the inventory roles that a user holds on objects.
func (u *Users) Assignments(ctx context.Context, p iot.Principal, name iot.UserName) ([]Assignment, error) {
	const op = fault.Op("access.Assignments")
	user, err := u.holder(ctx, p, op, name, u.MayRead)
	if err != nil {
		return nil, err
	}
	out, err := u.d.Grants.Assignments(ctx, p.Tenant, user.Name)
	return out, sqlkit.Fault(op, err)
}

// holder returns the user that something is granted to, if p may.
func (u *Users) holder(ctx context.Context, p iot.Principal, op fault.Op, name iot.UserName, may func(context.Context, iot.Principal) error) (User, error) {
	if err := may(ctx, p); err != nil {
		return User{}, err
	}
	user, err := u.d.Store.User(ctx, p.Tenant, name)
	if err != nil {
		return User{}, fault.E(op, fault.Subject(name), sqlkit.Fault(op, err), "no user with the name '"+string(name)+"'")
	}
	return user, nil
}

func (u *Users) mayAssign(ctx context.Context, p iot.Principal) error {
	return u.d.Policy.Check(ctx, p, UserAdmin, Admin, Object{})
}

// Assign gives a user inventory roles on an object, or replaces those of an assignment if a.ID is set. The object must exist: exists is asked.
// Of roles on the same object there is one assignment: assigning again adds to it.
func (u *Users) Assign(ctx context.Context, p iot.Principal, a Assignment, exists func(iot.ID) error) (given Assignment, err error) {
	err = fresh(func() (bool, error) { // of two that assign on one object at once, the second adds to what the first made
		given, err = u.assign(ctx, p, a, exists)
		return a.ID != 0, err
	})
	return given, err
}

func (u *Users) assign(ctx context.Context, p iot.Principal, a Assignment, exists func(iot.ID) error) (Assignment, error) {
	const op = fault.Op("access.Assign")
	user, err := u.holder(ctx, p, op, a.User, u.mayAssign)
	if err != nil {
		return a, err
	}
	a.User = user.Name
	roles, err := u.d.Grants.InventoryRoles(ctx, p.Tenant)
	if err != nil {
		return a, sqlkit.Fault(op, err)
	}
	if len(a.Roles) == 0 {
		return a, fault.E(op, fault.Invalid, "Following mandatory fields should be included: roles")
	}
	for _, id := range a.Roles {
		if !slices.ContainsFunc(roles, func(r InventoryRole) bool { return r.ID == id }) {
			return a, fault.Errorf(op, fault.Invalid, "no inventory role with the id %d", id)
		}
	}
	had, err := u.d.Grants.Assignments(ctx, p.Tenant, a.User)
	if err != nil {
		return a, sqlkit.Fault(op, err)
	}
	before := Assignment{}
	if a.ID != 0 {
		i := slices.IndexFunc(had, func(x Assignment) bool { return x.ID == a.ID })
		if i < 0 {
			return a, noAssignment(op, a.ID)
		}
		before, a.Object = had[i], had[i].Object
	} else {
		if err := exists(a.Object); err != nil {
			return a, err
		}
		if i := slices.IndexFunc(had, func(x Assignment) bool { return x.Object == a.Object }); i >= 0 {
			before = had[i]
			a.ID, a.Roles = before.ID, append(slices.Clone(before.Roles), a.Roles...)
		} else if len(had) >= maxAssignments {
			return a, fault.Errorf(op, fault.Invalid, "a user can have at most %d assignments; assign a group above the objects instead", maxAssignments)
		}
	}
	slices.Sort(a.Roles)
	a.Roles = slices.Compact(a.Roles)
	if a, err = u.d.Grants.PutAssignment(ctx, p.Tenant, a); err != nil {
		return a, sqlkit.Fault(op, err)
	}
	u.granted(ctx, p, a.User, "User updated", "Inventory roles of '"+string(a.User)+"' on "+a.Object.String(), iot.AttributeChange{Attribute: "inventoryAssignments",
		Previous: roleNames(roles, before.Roles), New: roleNames(roles, a.Roles)}, a.Object)
	return a, nil
}

func roleNames(roles []InventoryRole, ids []int64) string {
	var names []string
	for _, r := range roles {
		if slices.Contains(ids, r.ID) {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ", ")
}

func noAssignment(op fault.Op, id int64) error {
	return fault.E(op, fault.NotFound, fault.Subject(fmt.Sprint(id)), fmt.Sprintf("no inventory assignment with the id %d", id))
}

// Unassign takes an assignment away.
func (u *Users) Unassign(ctx context.Context, p iot.Principal, name iot.UserName, id int64) error {
	const op = fault.Op("access.Unassign")
	user, err := u.holder(ctx, p, op, name, u.mayAssign)
	if err != nil {
		return err
	}
	had, err := u.d.Grants.Assignments(ctx, p.Tenant, user.Name)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	i := slices.IndexFunc(had, func(x Assignment) bool { return x.ID == id })
	if i < 0 {
		return noAssignment(op, id)
	}
	if err := u.d.Grants.DeleteAssignment(ctx, p.Tenant, user.Name, id); err != nil {
		return fault.E(op, sqlkit.Fault(op, err), fmt.Sprintf("no inventory assignment with the id %d", id))
	}
	u.granted(ctx, p, user.Name, "User updated", "Inventory roles of '"+string(user.Name)+"' on "+had[i].Object.String()+" taken away",
		iot.AttributeChange{Attribute: "inventoryAssignments", Previous: fmt.Sprint(had[i].Roles)}, had[i].Object)
	return nil
}

func (u *Users) granted(ctx context.Context, p iot.Principal, name iot.UserName, activity, text string, change iot.AttributeChange, object iot.ID) {
	u.changed(p.Tenant, name)
	u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: activity, Text: text, Changes: []iot.AttributeChange{change}, Source: object})
}

// DevicePermissions returns what users and global roles hold on an object alone.
func (u *Users) DevicePermissions(ctx context.Context, p iot.Principal, object iot.ID) ([]DevicePermission, error) {
	if err := u.MayRead(ctx, p); err != nil {
		return nil, err
	}
	out, err := u.d.Grants.DevicePermissions(ctx, p.Tenant, object, "", nil)
	return out, sqlkit.Fault("access.DevicePermissions", err)
}

// HeldPermissions returns the device permissions of a user, if it is not empty, and of global roles, by object; without either, those of
// everybody. It makes no decision: call it for whom p was allowed to read.
func (u *Users) HeldPermissions(ctx context.Context, p iot.Principal, user iot.UserName, groups []int64) ([]DevicePermission, error) {
	if u.d.Grants == nil {
		return nil, nil
	}
	out, err := u.d.Grants.DevicePermissions(ctx, p.Tenant, 0, user, groups)
	return out, sqlkit.Fault("access.DevicePermissions", err)
}

// PutDevicePermissions replaces what the named holders may do with their objects. Without entries a holder has nothing on the object any more.
func (u *Users) PutDevicePermissions(ctx context.Context, p iot.Principal, permissions []DevicePermission) error {
	const op = fault.Op("access.PutDevicePermissions")
	if err := u.mayAssign(ctx, p); err != nil {
		return err
	}
	if len(permissions) > maxHolders {
		return fault.Errorf(op, fault.Invalid, "at most %d holders can be changed at once", maxHolders)
	}
	groups, err := u.d.Store.Groups(ctx, p.Tenant)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	for i, x := range permissions {
		if len(x.Entries) > maxPermissions {
			return fault.Errorf(op, fault.Invalid, "at most %d device permissions can be given on one object", maxPermissions)
		}
		for _, e := range x.Entries {
			if err := e.check(); err != nil {
				return fault.E(op, err)
			}
		}
		if x.User == "" {
			if !slices.ContainsFunc(groups, func(g Group) bool { return g.ID == x.Group }) {
				return fault.Errorf(op, fault.Invalid, "no group with the id %d", x.Group)
			}
			continue
		}
		user, err := u.d.Store.User(ctx, p.Tenant, x.User)
		if err != nil {
			return fault.E(op, fault.Subject(x.User), sqlkit.Fault(op, err), "no user with the name '"+string(x.User)+"'")
		}
		permissions[i].User, permissions[i].Group = user.Name, 0
	}
	if err := u.d.Grants.PutDevicePermissions(ctx, p.Tenant, permissions); err != nil {
		return sqlkit.Fault(op, err)
	}
	u.changed(p.Tenant, "")
	for _, x := range permissions {
		holder := "'" + string(x.User) + "'"
		if x.User == "" {
			holder = fmt.Sprintf("global role %d", x.Group)
		}
		var list []string
		for _, e := range x.Entries {
			list = append(list, e.String())
		}
		u.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "User updated", Text: "Device permissions of " + holder + " on " + x.Object.String(), Source: x.Object,
			Changes: []iot.AttributeChange{{Attribute: "devicePermissions", New: strings.Join(list, ", ")}}})
	}
	return nil
}

// diff is what changed between two values that are kept as JSON.
func diff(before, after any) []iot.AttributeChange {
	doc := func(v any) iot.Doc {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		d, err := iot.ParseDoc(raw, iot.MaxDepth)
		if err != nil {
			return nil
		}
		return d
	}
	return iot.Diff(doc(before), doc(after), secretMembers...)
}
