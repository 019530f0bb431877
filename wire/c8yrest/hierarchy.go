package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/iot"
)

// relation changes how a user stands to another one and answers with that.
func (c *call) relation(member, media string, set func(name, other iot.UserName) error) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	other, ok := d.Text(member)
	if !ok || other == "" {
		return missing(member)
	}
	if err := set(iot.UserName(c.r.PathValue("user")), iot.UserName(other)); err != nil {
		return err
	}
	return c.stored(http.StatusOK, media, "", func() ([]byte, error) {
		var o object
		o.open()
		o.text(member, other)
		o.close()
		return o.b, nil
	})
}

func (c *call) noRelation(set func(name iot.UserName) error) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	if err := set(iot.UserName(c.r.PathValue("user"))); err != nil {
		return err
	}
	return c.noContent()
}

func putOwner(c *call) error {
	return c.relation("owner", "userOwnerReference", func(name, other iot.UserName) error { return c.s.Users.SetOwner(c.ctx, c.p, name, other) })
}

func deleteOwner(c *call) error {
	return c.noRelation(func(name iot.UserName) error { return c.s.Users.SetOwner(c.ctx, c.p, name, "") })
}

func putDelegate(c *call) error {
	return c.relation("delegatedBy", "userDelegatedByReference", func(name, other iot.UserName) error { return c.s.Users.SetDelegate(c.ctx, c.p, name, other) })
}

func deleteDelegate(c *call) error {
	return c.noRelation(func(name iot.UserName) error { return c.s.Users.SetDelegate(c.ctx, c.p, name, "") })
}
