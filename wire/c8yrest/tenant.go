package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func currentTenant(c *call) error {
	if err := c.s.Policy.Check(c.ctx, c.p, access.OwnUser, access.Read, access.Object{}); err != nil {
		return err
	}
	t, err := c.s.Tenants.Get(c.ctx, c.p.Tenant)
	if err != nil {
		return err
	}
	domain := t.Domain
	if domain == "" {
		domain = host(c.r)
	}
	var o object
	o.open()
	o.text("name", string(t.ID))
	o.text("domainName", domain)
	o.bool("allowCreateTenants", t.ID == iot.Management)
	if c.flag("withParent", false) && t.Parent != "" {
		o.text("parent", string(t.Parent))
	}
	o.key("customProperties")
	o.b = t.Custom.AppendTo(o.b)
	o.comma = true
	o.text("self", c.base()+"/tenant/currentTenant")
	o.begin("applications")
	o.list("references")
	for _, a := range c.s.Apps {
		o.open()
		o.text("self", c.base()+"/tenant/tenants/"+string(t.ID)+"/applications/"+a.ID.String())
		o.key("application")
		c.writeApp(&o, a)
		o.close()
	}
	o.endList()
	o.close()
	o.close()
	return c.json(http.StatusOK, "currenttenant", o.b)
}

func (c *call) writeTenant(o *object, t tenancy.Tenant) {
	o.open()
	o.text("id", string(t.ID))
	o.text("self", c.base()+"/tenant/tenants/"+string(t.ID))
	o.some("company", t.Company)
	o.some("domain", t.Domain)
	o.some("adminName", t.AdminName)
	o.some("adminEmail", t.AdminEmail)
	o.text("status", string(t.Status))
	o.time("creationTime", t.Created)
	o.some("parent", string(t.Parent))
	o.bool("allowCreateTenants", t.ID == iot.Management)
	o.key("customProperties")
	o.b = t.Custom.AppendTo(o.b)
	o.comma = true
	o.close()
}

// getTenant shows a tenant to itself and to management: c8y: with the permission to read tenants.
func getTenant(c *call) error {
	id := iot.TenantID(c.r.PathValue("tenant"))
	if err := c.s.Policy.Check(c.ctx, c.p, access.TenantAdmin, access.Read, access.Object{}); err != nil {
		return err
	}
	if c.p.Tenant != iot.Management {
		if err := c.ownTenant(); err != nil {
			return err
		}
	}
	t, err := c.s.Tenants.Get(c.ctx, id)
	if err != nil {
		return err
	}
	var o object
	c.writeTenant(&o, t)
	return c.json(http.StatusOK, "tenant", o.b)
}

func listTenants(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	tenants, err := c.s.Tenants.List(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(tenants)
	return c.collection("tenantcollection", "tenants", p, func(o *object) error {
		for _, t := range cut(p, tenants) {
			c.writeTenant(o, t)
		}
		return nil
	})
}
