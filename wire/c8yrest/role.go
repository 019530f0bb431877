package c8yrest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
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
		self := strings.TrimSuffix(v.Self, "/") // c8y: recorded with and without
		if last, err := url.PathUnescape(self[strings.LastIndexByte(self, '/')+1:]); err == nil && last != "" {
			return last, nil
		}
		return "", missing(name + ".self")
	}
	return strings.Trim(string(v.ID), `"`), nil
}

// named reads the body of a request that names one member, such as {"user":{"self":...}}.
func (c *call) named(member string) (string, error) {
	d, err := c.doc()
	if err != nil {
		return "", err
	}
	return lastSegment(d, member)
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
	g, err := c.groupToChange()
	if err != nil {
		return err
	}
	role, err := c.named("role")
	if err != nil {
		return err
	}
	_, err = c.s.Users.ChangeGroup(c.ctx, c.p, g.ID, func(g *access.Group) error {
		if slices.Contains(g.Roles, role) {
			return fault.E(fault.Op("c8yrest.Group"), fault.Exists, "the role "+role+" is assigned already")
		}
		g.Roles = append(g.Roles, role)
		return nil
	})
	if err != nil {
		return err
	}
	return c.storedRole(c.groupURL(g.ID), role)
}

func removeGroupRole(c *call) error {
	g, err := c.groupToChange()
	if err != nil {
		return err
	}
	_, err = c.s.Users.ChangeGroup(c.ctx, c.p, g.ID, func(g *access.Group) (err error) {
		g.Roles, err = without(g.Roles, c.r.PathValue("role"))
		return err
	})
	if err != nil {
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
	u, err := c.userToChange()
	if err != nil {
		return err
	}
	role, err := c.named("role")
	if err != nil {
		return err
	}
	add := func(had []string) ([]string, error) { return append(slices.Clone(had), role), nil }
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{ChangeRoles: add}); err != nil {
		return err
	}
	return c.storedRole(c.userURL(u.Name), role)
}

func removeUserRole(c *call) error {
	u, err := c.userToChange()
	if err != nil {
		return err
	}
	remove := func(had []string) ([]string, error) { return without(had, c.r.PathValue("role")) }
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{ChangeRoles: remove}); err != nil {
		return err
	}
	return c.noContent()
}

func listRoles(c *call) error {
	if err := c.mayReadUsers(); err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	roles := access.RolesOf(c.p.Tenant)
	p.total = len(roles)
	return c.collection("rolecollection", "roles", p, func(o *object) error {
		for _, r := range cut(p, roles) {
			c.writeRole(o, r)
		}
		return nil
	})
}

func getRole(c *call) error {
	if err := c.mayReadUsers(); err != nil {
		return err
	}
	role := c.r.PathValue("role")
	if !slices.Contains(access.RolesOf(c.p.Tenant), role) {
		return fault.E(fault.Op("c8yrest.Role"), fault.NotFound, "Cannot find the specified role")
	}
	var o object
	c.writeRole(&o, role)
	return c.json(http.StatusOK, "role", o.b)
}
