package c8yrest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// lastSegment reads {"<name>":{"self":".../x"}} or {"<name>":{"id":"x"}}: c8y: any URL or path that ends in the name will do.
func lastSegment(d iot.Doc, name string) (string, error) {
	var v struct {
		Self string          `json:"self"`
		ID   json.RawMessage `json:"id"`
	}
	if raw := d.Get(name); raw == nil || json.Unmarshal(raw, &v) != nil || (v.Self == "" && v.ID == nil) {
		return "", missing(name + ".self")
	}
	if v.Self != "" {
		return v.Self[strings.LastIndexByte(strings.TrimSuffix(v.Self, "/"), '/')+1:], nil
	}
	return strings.Trim(string(v.ID), `"`), nil
}

func listGroups(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(groups)
	return c.collection("groupcollection", "groups", p, func(o *object) error {
		for _, g := range cut(p, groups) {
			c.writeGroup(o, g)
		}
		return nil
	})
}

func (c *call) groupOf() (access.Group, error) {
	if err := c.ownTenant(); err != nil {
		return access.Group{}, err
	}
	id, err := strconv.ParseInt(c.r.PathValue("group"), 10, 64)
	if err != nil {
		return access.Group{}, fault.E(fault.Op("c8yrest.Group"), fault.NotFound, "no group with the id "+clip(c.r.PathValue("group")))
	}
	return c.s.Users.Group(c.ctx, c.p, id)
}

func (c *call) group(g access.Group) error {
	var o object
	c.writeGroup(&o, g)
	return c.json(http.StatusOK, "group", o.b)
}

func getGroup(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	return c.group(g)
}

func groupByName(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Name == c.r.PathValue("name") {
			return c.group(g)
		}
	}
	return fault.E(fault.Op("c8yrest.Group"), fault.NotFound, "no group with the name "+clip(c.r.PathValue("name")))
}

func putGroup(c *call) error {
	g := access.Group{}
	create := c.r.PathValue("group") == ""
	var err error
	if create {
		err = c.ownTenant()
	} else {
		g, err = c.groupOf()
	}
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	for name, to := range map[string]*string{"name": &g.Name, "description": &g.Description} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		set(to, s)
	}
	if raw := d.Get("customProperties"); raw != nil && raw[0] == '{' {
		if g.Custom, err = parseDoc(raw); err != nil {
			return err
		}
	}
	if g, err = c.s.Users.PutGroup(c.ctx, c.p, g); err != nil {
		return err
	}
	status, location := http.StatusOK, ""
	if create {
		status, location = http.StatusCreated, c.groupURL(g.ID)
	}
	return c.stored(status, "group", location, func() ([]byte, error) {
		var o object
		c.writeGroup(&o, g)
		return o.b, nil
	})
}

func deleteGroup(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	if err := c.s.Users.DeleteGroup(c.ctx, c.p, g.ID); err != nil {
		return err
	}
	return c.noContent()
}

func groupRoles(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	return c.roleReferences(c.groupURL(g.ID), g.Roles)
}

func userRoles(c *call) error {
	u, err := c.userOf()
	if err != nil {
		return err
	}
	return c.roleReferences(c.userURL(u.Name), u.Roles)
}

func (c *call) roleReferences(self string, roles []string) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	p.total = len(roles)
	return c.collection("rolereferencecollection", "references", p, func(o *object) error {
		for _, r := range cut(p, roles) {
			o.open()
			o.text("self", self+"/roles/"+r)
			o.key("role")
			c.writeRole(o, r)
			o.close()
		}
		return nil
	})
}

func (c *call) storedRole(self, role string) error {
	return c.stored(http.StatusCreated, "rolereference", self+"/roles/"+role, func() ([]byte, error) {
		var o object
		o.open()
		o.text("self", self+"/roles/"+role)
		o.key("role")
		c.writeRole(&o, role)
		o.close()
		return o.b, nil
	})
}

func addGroupRole(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	role, err := lastSegment(d, "role")
	if err != nil {
		return err
	}
	if slices.Contains(g.Roles, role) {
		return fault.E(fault.Op("c8yrest.Group"), fault.Exists, "the role "+role+" is assigned already")
	}
	g.Roles = append(slices.Clone(g.Roles), role)
	if _, err := c.s.Users.PutGroup(c.ctx, c.p, g); err != nil {
		return err
	}
	return c.storedRole(c.groupURL(g.ID), role)
}

func removeGroupRole(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	roles, err := without(g.Roles, c.r.PathValue("role"))
	if err != nil {
		return err
	}
	g.Roles = roles
	if _, err := c.s.Users.PutGroup(c.ctx, c.p, g); err != nil {
		return err
	}
	return c.noContent()
}

func without[T comparable](list []T, x T) ([]T, error) {
	i := slices.Index(list, x)
	if i < 0 {
		return nil, fault.E(fault.Op("c8yrest.Remove"), fault.NotFound, "it is not assigned")
	}
	return slices.Delete(slices.Clone(list), i, i+1), nil
}

func addUserRole(c *call) error {
	u, err := c.userOf()
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	role, err := lastSegment(d, "role")
	if err != nil {
		return err
	}
	roles := append(slices.Clone(u.Roles), role)
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Roles: &roles}); err != nil {
		return err
	}
	return c.storedRole(c.userURL(u.Name), role)
}

func removeUserRole(c *call) error {
	u, err := c.userOf()
	if err != nil {
		return err
	}
	roles, err := without(u.Roles, c.r.PathValue("role"))
	if err != nil {
		return err
	}
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Roles: &roles}); err != nil {
		return err
	}
	return c.noContent()
}

func groupUsers(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	people, n, err := c.s.Users.List(c.ctx, c.p, access.UserQuery{Groups: []int64{g.ID}, OnlyDevices: g.Name == access.DeviceGroup, Offset: p.offset(), Limit: p.size})
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("userreferencecollection", "references", p, func(o *object) error {
		for _, u := range people {
			o.open()
			o.text("self", c.groupURL(g.ID)+"/users/"+string(u.Name))
			o.key("user")
			c.writeUser(o, u, groups, c.userURL(u.Name))
			o.close()
		}
		return nil
	})
}

func addGroupUser(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	name, err := lastSegment(d, "user")
	if err != nil {
		return err
	}
	u, err := c.s.Users.Get(c.ctx, c.p, iot.UserName(name))
	if err != nil {
		return err
	}
	ids := append(slices.Clone(u.Groups), g.ID)
	if u, err = c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Groups: &ids}); err != nil {
		return err
	}
	self := c.groupURL(g.ID) + "/users/" + string(u.Name)
	return c.stored(http.StatusCreated, "userreference", self, func() ([]byte, error) {
		groups, err := c.s.Users.Groups(c.ctx, c.p)
		var o object
		o.open()
		o.text("self", self)
		o.key("user")
		c.writeUser(&o, u, groups, c.userURL(u.Name))
		o.close()
		return o.b, err
	})
}

func removeGroupUser(c *call) error {
	g, err := c.groupOf()
	if err != nil {
		return err
	}
	u, err := c.s.Users.Get(c.ctx, c.p, iot.UserName(c.r.PathValue("user")))
	if err != nil {
		return err
	}
	ids, err := without(u.Groups, g.ID)
	if err != nil {
		return err
	}
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{Groups: &ids}); err != nil {
		return err
	}
	return c.noContent()
}

func userGroups(c *call) error {
	u, err := c.userOf()
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	groups = slices.DeleteFunc(groups, func(g access.Group) bool { return !slices.Contains(u.Groups, g.ID) })
	p.total = len(groups)
	return c.collection("groupreferencecollection", "references", p, func(o *object) error {
		for _, g := range cut(p, groups) {
			o.open()
			o.text("self", c.userURL(u.Name)+"/groups/"+strconv.FormatInt(g.ID, 10))
			o.key("group")
			c.writeGroup(o, g)
			o.close()
		}
		return nil
	})
}

func listRoles(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	roles := access.Roles()
	p.total = len(roles)
	return c.collection("rolecollection", "roles", p, func(o *object) error {
		for _, r := range cut(p, roles) {
			c.writeRole(o, r)
		}
		return nil
	})
}

func getRole(c *call) error {
	role := c.r.PathValue("role")
	if !slices.Contains(access.Roles(), role) {
		return fault.E(fault.Op("c8yrest.Role"), fault.NotFound, "Cannot find the specified role")
	}
	var o object
	c.writeRole(&o, role)
	return c.json(http.StatusOK, "role", o.b)
}
