package c8yrest

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

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
	c.holdAll()
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
	g, err := c.groupToChange()
	if err != nil {
		return err
	}
	name, err := c.named("user")
	if err != nil {
		return err
	}
	u, err := c.userForChange(iot.UserName(name))
	if err != nil {
		return err
	}
	add := func(had []int64) ([]int64, error) { return append(slices.Clone(had), g.ID), nil }
	if u, err = c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{ChangeGroups: add}); err != nil {
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
	g, err := c.groupToChange()
	if err != nil {
		return err
	}
	u, err := c.userForChange(iot.UserName(c.r.PathValue("user")))
	if err != nil {
		return err
	}
	remove := func(had []int64) ([]int64, error) { return without(had, g.ID) }
	if _, err := c.s.Users.Update(c.ctx, c.p, u.Name, access.UserPatch{ChangeGroups: remove}); err != nil {
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
	c.holdAll()
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
