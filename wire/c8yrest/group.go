package c8yrest

import (
	"net/http"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func listGroups(c *call) error {
	if err := c.realm(); err != nil {
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
	c.holdAll()
	return c.collection("groupcollection", "groups", p, func(o *object) error {
		for _, g := range cut(p, groups) {
			c.writeGroup(o, g)
		}
		return nil
	})
}

// mayReadUsers checks the permission to see the groups and roles of others. The face itself shows groups to everybody who may read themselves,
// for their own rights.
func (c *call) mayReadUsers() error { return c.s.Users.MayRead(c.ctx, c.p) }

// realm checks the segment that names the tenant and the permission to see its users.
func (c *call) realm() error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	return c.mayReadUsers()
}

func (c *call) groupOf() (access.Group, error) {
	if err := c.realm(); err != nil {
		return access.Group{}, err
	}
	return c.findGroup()
}

// groupToChange is groupOf for who may change groups, which does not mean to see them.
func (c *call) groupToChange() (access.Group, error) {
	if err := c.ownTenant(); err != nil {
		return access.Group{}, err
	}
	if err := c.s.Policy.Check(c.ctx, c.p, access.UserAdmin, access.Create, access.Object{}); err != nil {
		return access.Group{}, err
	}
	return c.findGroup()
}

func (c *call) findGroup() (access.Group, error) {
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
	if err := c.realm(); err != nil {
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
		g, err = c.groupToChange()
	}
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	if create {
		if err = patchGroup(d, &g); err == nil {
			g, err = c.s.Users.PutGroup(c.ctx, c.p, g)
		}
	} else {
		g, err = c.s.Users.ChangeGroup(c.ctx, c.p, g.ID, func(g *access.Group) error { return patchGroup(d, g) })
	}
	if err != nil {
		return err
	}
	if c.flag("forceLogout", false) {
		if err := c.s.Users.LogoutGroup(c.ctx, c.p, g.ID); err != nil {
			return err
		}
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

// patchGroup sets what a client wants to set of a group.
func patchGroup(d iot.Doc, g *access.Group) error {
	for name, to := range map[string]*string{"name": &g.Name, "description": &g.Description} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		set(to, s)
	}
	if raw := d.Get("customProperties"); raw != nil && raw[0] == '{' {
		custom, err := parseDoc(raw)
		if err != nil {
			return err
		}
		g.Custom = custom
	}
	return nil
}

func deleteGroup(c *call) error {
	g, err := c.groupToChange()
	if err != nil {
		return err
	}
	if c.flag("forceLogout", false) {
		if err := c.s.Users.LogoutGroup(c.ctx, c.p, g.ID); err != nil {
			return err
		}
	}
	if err := c.s.Users.DeleteGroup(c.ctx, c.p, g.ID); err != nil {
		return err
	}
	return c.noContent()
}
