package c8yrest

import (
	"net/http"
	"strings"

	"github.com/isobar-iot/isobar/security/access"
)

// currentUser has two shapes: c8y: the media type user+json asks for groups and roles; everything else, plain JSON too, for effective roles.
// The web applications compute rights from groups, so that these are added to the plain form as well.
func currentUser(c *call) error {
	u, err := c.s.Users.Get(c.ctx, c.p, c.p.User)
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, c.currentUserType(), c.currentUserBody(u, groups))
}

func (c *call) currentUserType() string {
	if strings.Contains(strings.ToLower(c.r.Header.Get("Accept")), "cumulocity.user+json") {
		return "user"
	}
	return "currentuser"
}

func (c *call) currentUserBody(u access.User, groups []access.Group) []byte {
	var o object
	full := c.currentUserType() == "user"
	self := c.base() + "/user/currentUser"
	if full { // c8y: web applications read the tenant out of this link
		self = c.userURL(u.Name)
	}
	c.writeUser(&o, u, groups, self)
	if !full {
		o.b = o.b[:len(o.b)-1] // reopen
		o.list("effectiveRoles")
		for _, r := range c.p.Roles {
			c.writeRole(&o, r)
		}
		o.endList()
		o.close()
	}
	return o.b
}

func updateCurrentUser(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	patch, err := c.userPatch(d.Without("enabled", "shouldResetPassword"))
	if err != nil {
		return err
	}
	u, err := c.s.Users.Update(c.ctx, c.p, c.p.User, patch)
	if err != nil {
		return err
	}
	groups, err := c.s.Users.Groups(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, c.currentUserType(), "", func() ([]byte, error) { return c.currentUserBody(u, groups), nil })
}

// updatePhone is c8y: how a login form stores the number of who has none.
func updatePhone(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	phone, ok := d.Text("phone")
	if !ok {
		return missing("phone")
	}
	u, err := c.s.Users.Update(c.ctx, c.p, c.p.User, access.UserPatch{Phone: &phone})
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "currentUserPhone", "", func() ([]byte, error) {
		var o object
		o.open()
		o.text("phone", u.Phone)
		o.close()
		return o.b, nil
	})
}
