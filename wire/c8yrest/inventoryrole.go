package c8yrest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// grantRoutes are inventory roles, their assignments, device permissions, and the questions about access.
func grantRoutes() []Route {
	return []Route{
		get("/user/inventoryroles", listInventoryRoles), post("/user/inventoryroles", putInventoryRole),
		get("/user/inventoryroles/{role}", getInventoryRole), put("/user/inventoryroles/{role}", putInventoryRole), del("/user/inventoryroles/{role}", deleteInventoryRole),
		get("/user/{tenant}/users/{user}/roles/inventory", listAssignments), post("/user/{tenant}/users/{user}/roles/inventory", putAssignment),
		get("/user/{tenant}/users/{user}/roles/inventory/{assignment}", getAssignment), put("/user/{tenant}/users/{user}/roles/inventory/{assignment}", putAssignment),
		del("/user/{tenant}/users/{user}/roles/inventory/{assignment}", deleteAssignment),
		get("/user/devicePermissions/{id}", getDevicePermissions), put("/user/devicePermissions/{id}", putDevicePermissions),
		get("/isobar/access/explain", explain), get("/isobar/access/who", whoMay), post("/isobar/access/whatif", whatIf),
	}
}

func (c *call) writeInventoryRole(o *object, r access.InventoryRole) {
	o.open()
	o.int("id", r.ID)
	o.text("name", r.Name)
	o.some("description", r.Description)
	o.text("self", c.base()+"/user/inventoryroles/"+strconv.FormatInt(r.ID, 10))
	o.list("permissions")
	for i, p := range r.Permissions {
		o.open()
		o.int("id", r.ID*1000+int64(i)+1)
		o.text("permission", string(p.Level))
		o.text("scope", string(p.Scope))
		o.text("type", p.Fragment)
		o.close()
	}
	o.endList()
	o.close()
}

func listInventoryRoles(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	roles, err := c.s.Users.InventoryRoles(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(roles)
	return c.collection("inventoryrolecollection", "roles", p, func(o *object) error {
		for _, r := range cut(p, roles) {
			c.writeInventoryRole(o, r)
		}
		return nil
	})
}

// serial reads a path segment that is a small number. What cannot be one does not exist.
func (c *call) serial(name, what string) (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return 0, fault.E(fault.Op("c8yrest.Number"), fault.NotFound, "no "+what+" with the id "+clip(c.r.PathValue(name)))
	}
	return n, nil
}

// inventoryRoleOf finds the role that the path names among those that list gives.
func (c *call) inventoryRoleOf(list func(context.Context, iot.Principal) ([]access.InventoryRole, error)) (access.InventoryRole, error) {
	id, err := c.serial("role", "inventory role")
	if err != nil {
		return access.InventoryRole{}, err
	}
	roles, err := list(c.ctx, c.p)
	if err != nil {
		return access.InventoryRole{}, err
	}
	i := slices.IndexFunc(roles, func(r access.InventoryRole) bool { return r.ID == id })
	if i < 0 {
		return access.InventoryRole{}, fault.E(fault.Op("c8yrest.InventoryRole"), fault.NotFound, fault.Subject(c.r.PathValue("role")), "no inventory role with the id "+c.r.PathValue("role"))
	}
	return roles[i], nil
}

func (c *call) inventoryRole(r access.InventoryRole) ([]byte, error) {
	var o object
	c.writeInventoryRole(&o, r)
	return o.b, nil
}

func getInventoryRole(c *call) error {
	r, err := c.inventoryRoleOf(c.s.Users.InventoryRoles)
	if err != nil {
		return err
	}
	b, err := c.inventoryRole(r)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "inventoryrole", b)
}

func putInventoryRole(c *call) error {
	var r access.InventoryRole
	create := c.r.PathValue("role") == ""
	var err error
	if !create {
		if r, err = c.inventoryRoleOf(c.s.Users.AssignableRoles); err != nil {
			return err
		}
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	for name, to := range map[string]*string{"name": &r.Name, "description": &r.Description} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		set(to, s)
	}
	if raw := d.Get("permissions"); raw != nil {
		if r.Permissions, err = scopedPermissions(raw); err != nil {
			return err
		}
	} else if create {
		return missing("permissions")
	}
	if r, err = c.s.Users.PutInventoryRole(c.ctx, c.p, r); err != nil {
		return err
	}
	status, location := http.StatusOK, ""
	if create {
		status, location = http.StatusCreated, c.base()+"/user/inventoryroles/"+strconv.FormatInt(r.ID, 10)
	}
	return c.stored(status, "inventoryrole", location, func() ([]byte, error) { return c.inventoryRole(r) })
}

func scopedPermissions(raw json.RawMessage) ([]access.ScopedPermission, error) {
	var in []struct{ Scope, Type, Permission string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fault.E(fault.Op("c8yrest.InventoryRole"), fault.Invalid, "permissions must be a list of {scope, type, permission}")
	}
	out := make([]access.ScopedPermission, len(in))
	for i, x := range in {
		out[i] = access.ScopedPermission{Scope: iot.GrantScope(x.Scope), Fragment: x.Type, Level: iot.GrantLevel(x.Permission)}
	}
	return out, nil
}

func deleteInventoryRole(c *call) error {
	id, err := c.serial("role", "inventory role")
	if err != nil {
		return err
	}
	if err := c.s.Users.DeleteInventoryRole(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

func (c *call) writeAssignment(o *object, a access.Assignment, roles []access.InventoryRole) {
	o.open()
	o.int("id", a.ID)
	o.id("managedObject", a.Object)
	o.list("roles")
	for _, r := range roles {
		if slices.Contains(a.Roles, r.ID) {
			c.writeInventoryRole(o, r)
		}
	}
	o.endList()
	o.text("self", c.assignmentsURL(a.User)+"/"+strconv.FormatInt(a.ID, 10))
	o.close()
}

func (c *call) assignmentsURL(name iot.UserName) string { return c.userURL(name) + "/roles/inventory" }

func (c *call) assignmentsOf() (iot.UserName, []access.Assignment, []access.InventoryRole, error) {
	name := iot.UserName(c.r.PathValue("user"))
	if err := c.ownTenant(); err != nil {
		return name, nil, nil, err
	}
	assignments, err := c.s.Users.Assignments(c.ctx, c.p, name)
	if err != nil {
		return name, nil, nil, err
	}
	roles, err := c.s.Users.InventoryRoles(c.ctx, c.p)
	return name, assignments, roles, err
}

func listAssignments(c *call) error {
	name, assignments, roles, err := c.assignmentsOf()
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("self", c.assignmentsURL(name))
	o.list("inventoryAssignments")
	for _, a := range assignments {
		c.writeAssignment(&o, a, roles)
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "inventoryassignmentcollection", o.b)
}

func getAssignment(c *call) error {
	_, assignments, roles, err := c.assignmentsOf()
	if err != nil {
		return err
	}
	id, err := c.serial("assignment", "inventory assignment")
	if err != nil {
		return err
	}
	i := slices.IndexFunc(assignments, func(a access.Assignment) bool { return a.ID == id })
	if i < 0 {
		return fault.E(fault.Op("c8yrest.Assignment"), fault.NotFound, "no inventory assignment with the id "+strconv.FormatInt(id, 10))
	}
	var o object
	c.writeAssignment(&o, assignments[i], roles)
	return c.json(http.StatusOK, "inventoryassignment", o.b)
}

// putAssignment creates or replaces. c8y: 200 in both cases.
func putAssignment(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	a := access.Assignment{User: iot.UserName(c.r.PathValue("user"))}
	create := c.r.PathValue("assignment") == ""
	var err error
	if !create {
		if a.ID, err = c.serial("assignment", "inventory assignment"); err != nil {
			return err
		}
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	if create {
		var ok bool
		if a.Object, ok = iot.ParseID(strings.Trim(string(d.Get("managedObject")), `"`)); !ok {
			return missing("managedObject")
		}
	}
	if a.Roles, err = c.roleIDs(d.Get("roles")); err != nil {
		return err
	}
	a, err = c.s.Users.Assign(c.ctx, c.p, a, func(id iot.ID) error {
		_, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id)
		return err
	})
	if err != nil {
		return err
	}
	roles, err := c.s.Users.AssignableRoles(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "inventoryassignment", "", func() ([]byte, error) {
		var o object
		c.writeAssignment(&o, a, roles)
		return o.b, nil
	})
}

// roleIDs reads [{"id":1},{"name":"Reader"}].
func (c *call) roleIDs(raw json.RawMessage) ([]int64, error) {
	bad := fault.E(fault.Op("c8yrest.Assignment"), fault.Invalid, "roles must be a list of {id} or {name} of inventory roles")
	var in []struct {
		ID   json.RawMessage `json:"id"`
		Name string          `json:"name"`
	}
	if raw == nil {
		return nil, missing("roles")
	}
	if json.Unmarshal(raw, &in) != nil {
		return nil, bad
	}
	var out []int64
	for _, x := range in {
		if id, err := strconv.ParseInt(strings.Trim(string(x.ID), `"`), 10, 64); err == nil {
			out = append(out, id)
			continue
		}
		roles, err := c.s.Users.AssignableRoles(c.ctx, c.p)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(roles, func(r access.InventoryRole) bool { return r.Name == x.Name })
		if i < 0 {
			return nil, bad
		}
		out = append(out, roles[i].ID)
	}
	return out, nil
}

func deleteAssignment(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	id, err := c.serial("assignment", "inventory assignment")
	if err != nil {
		return err
	}
	if err := c.s.Users.Unassign(c.ctx, c.p, iot.UserName(c.r.PathValue("user")), id); err != nil {
		return err
	}
	return c.noContent()
}

// writeHeld writes {"<object>":["SCOPE:fragment:LEVEL"]}.
func writeHeld(o *object, permissions []access.DevicePermission) {
	for _, p := range permissions {
		o.list(p.Object.String())
		for _, e := range p.Entries {
			o.item(iot.AppendText(nil, e.String()))
		}
		o.endList()
	}
}

func getDevicePermissions(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	held, err := c.s.Users.DevicePermissions(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	if _, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id); err != nil {
		return err
	}
	return c.devicePermissions(held)
}

func (c *call) devicePermissions(held []access.DevicePermission) error {
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	title := map[int64]string{}
	for _, g := range groups {
		title[g.ID] = g.Name
	}
	var o object
	o.open()
	for _, users := range []bool{true, false} {
		name := "groups"
		if users {
			name = "users"
		}
		o.list(name)
		for _, p := range held {
			if (p.User != "") != users {
				continue
			}
			o.open()
			if users {
				o.text("id", string(p.User))
				o.text("userName", string(p.User))
			} else {
				o.int("id", p.Group)
				o.text("name", title[p.Group])
			}
			o.begin("devicePermissions")
			writeHeld(&o, []access.DevicePermission{p})
			o.close()
			o.close()
		}
		o.endList()
	}
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// putDevicePermissions reads {"users":[{"userName":..., "devicePermissions":{"<id>":[...]}}],"groups":[{"id":...,...}]}. Only the object of the path
// is touched, whatever else is named.
func putDevicePermissions(c *call) error {
	const op = fault.Op("c8yrest.DevicePermissions")
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	if err := c.s.Policy.Check(c.ctx, c.p, access.UserAdmin, access.Admin, access.Object{}); err != nil {
		return err
	}
	if _, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id); err != nil {
		return err
	}
	body, err := c.jsonBody()
	if err != nil {
		return err
	}
	type holder struct {
		ID                json.RawMessage     `json:"id"`
		UserName          string              `json:"userName"`
		DevicePermissions map[string][]string `json:"devicePermissions"`
	}
	var in struct{ Users, Groups []holder }
	if err := json.Unmarshal(body, &in); err != nil {
		return fault.E(op, fault.Invalid, "the body must have the form {users:[{userName, devicePermissions}], groups:[{id, devicePermissions}]}: "+err.Error())
	}
	var out []access.DevicePermission
	add := func(h holder, p access.DevicePermission) error {
		for _, text := range h.DevicePermissions[id.String()] {
			e, err := access.ParseScopedPermission(text)
			if err != nil {
				return err
			}
			p.Entries = append(p.Entries, e)
		}
		out = append(out, p)
		return nil
	}
	for _, h := range in.Users {
		name := h.UserName
		if name == "" {
			name = strings.Trim(string(h.ID), `"`)
		}
		if name == "" {
			return missing("users.userName")
		}
		if err := add(h, access.DevicePermission{Object: id, User: iot.UserName(name)}); err != nil {
			return err
		}
	}
	for _, h := range in.Groups {
		group, err := strconv.ParseInt(strings.Trim(string(h.ID), `"`), 10, 64)
		if err != nil {
			return missing("groups.id")
		}
		if err := add(h, access.DevicePermission{Object: id, Group: group}); err != nil {
			return err
		}
	}
	if err := c.s.Users.PutDevicePermissions(c.ctx, c.p, out); err != nil {
		return err
	}
	return c.devicePermissions(slices.DeleteFunc(out, func(p access.DevicePermission) bool { return len(p.Entries) == 0 }))
}
