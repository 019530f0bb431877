package c8yrest

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/isobar-iot/isobar/fault"
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
	apps, err := c.s.Applications.List(c.ctx, c.p)
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
	o.bool("allowCreateTenants", t.ID == iot.Management || t.Parents)
	if c.flag("withParent", false) && t.Parent != "" {
		o.text("parent", string(t.Parent))
	}
	o.key("customProperties")
	o.b = t.Custom.AppendTo(o.b)
	o.comma = true
	o.text("self", c.base()+"/tenant/currentTenant")
	o.begin("applications")
	o.list("references")
	for _, a := range apps {
		c.writeAppReference(&o, t.ID, a)
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
	o.some("contactName", t.Contact)
	o.some("contactPhone", t.Phone)
	o.text("status", string(t.Status))
	o.time("creationTime", t.Created)
	o.some("parent", string(t.Parent))
	o.bool("allowCreateTenants", t.ID == iot.Management || t.Parents)
	o.key("customProperties")
	o.b = t.Custom.AppendTo(o.b)
	o.comma = true
	if len(t.Restricted) > 0 {
		o.list("restrictedRoles")
		for _, r := range t.Restricted {
			o.item(iot.AppendText(nil, r))
		}
		o.endList()
	}
	o.close()
}

// getTenant shows a tenant to itself and to who manages it: c8y: with the permission to read tenants.
func getTenant(c *call) error {
	t, err := c.s.Tenants.Managed(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant")))
	if err != nil {
		return err
	}
	var o object
	c.writeTenant(&o, t)
	return c.json(http.StatusOK, "tenant", o.b)
}

// tenantDraft reads what a client wants a tenant to be.
func (c *call) tenantDraft() (d tenancy.Draft, mail bool, err error) {
	doc, err := c.doc()
	if err != nil {
		return d, false, err
	}
	for name, to := range map[string]**string{"company": &d.Company, "domain": &d.Domain, "adminName": &d.AdminName, "adminEmail": &d.AdminEmail, "adminPass": &d.AdminPassword,
		"contactName": &d.Contact, "contactPhone": &d.Phone} {
		if *to, err = textOf(doc, name); err != nil {
			return d, false, err
		}
	}
	id, err := textOf(doc, "id")
	if err != nil {
		return d, false, err
	}
	if id != nil {
		d.ID = iot.TenantID(*id)
	}
	status, err := textOf(doc, "status")
	if err != nil {
		return d, false, err
	}
	if status != nil {
		s := tenancy.Status(*status)
		d.Status = &s
	}
	if raw := doc.Get("allowCreateTenants"); raw != nil {
		var v bool
		if json.Unmarshal(raw, &v) != nil {
			return d, false, fault.E(fault.Op("c8yrest.Tenant"), fault.Invalid, "allowCreateTenants must be true or false")
		}
		d.Parents = &v
	}
	if raw := doc.Get("customProperties"); raw != nil && raw[0] == '{' {
		if d.Custom, err = parseDoc(raw); err != nil {
			return d, false, err
		}
	}
	return d, string(doc.Get("sendPasswordResetEmail")) == "true", nil
}

// createTenant answers with a code in addition, if nobody gave the administrator a password: with it the administrator logs in once.
func createTenant(c *call) error {
	d, mail, err := c.tenantDraft()
	if err != nil {
		return err
	}
	if mail && d.AdminPassword != nil {
		return fault.E(fault.Op("c8yrest.Tenant"), fault.Invalid, "give adminPass or sendPasswordResetEmail, not both")
	}
	t, code, err := c.s.Tenants.Create(c.ctx, c.p, d)
	if err != nil {
		return err
	}
	if mail && c.s.Users.CanMail() {
		if err := c.s.Users.RequestReset(c.ctx, t.ID, t.AdminEmail, remote(c.r)); err != nil {
			return err
		}
		code = "" // the message has its own
	}
	return c.stored(http.StatusCreated, "tenant", c.base()+"/tenant/tenants/"+string(t.ID), func() ([]byte, error) {
		var o object
		c.writeTenant(&o, t)
		if code != "" {
			o.b = o.b[:len(o.b)-1] // the tenant is open again for the members of creation
			o.comma = true
			o.text("adminOneTimeCode", code)
			o.text("adminOneTimeLogin", c.base()+"/apps/public/login/#otp="+url.QueryEscape(code))
			o.close()
		}
		return o.b, nil
	})
}

func updateTenant(c *call) error {
	d, _, err := c.tenantDraft()
	if err != nil {
		return err
	}
	if d.ID, d.AdminName = "", nil; d.AdminPassword != nil {
		return fault.E(fault.Op("c8yrest.Tenant"), fault.Invalid, "the password of a tenant's administrator can only be changed in that tenant")
	}
	t, err := c.s.Tenants.Update(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant")), d)
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "tenant", "", func() ([]byte, error) {
		var o object
		c.writeTenant(&o, t)
		return o.b, nil
	})
}

func deleteTenant(c *call) error {
	if _, err := c.s.Tenants.Delete(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant"))); err != nil {
		return err
	}
	return c.noContent()
}

// listReceipts shows what was erased with the tenants that were deleted.
func listReceipts(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	receipts, err := c.s.Tenants.Receipts(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(receipts)
	return c.collection("", "receipts", p, func(o *object) error {
		for _, r := range cut(p, receipts) {
			raw, err := json.Marshal(r)
			if err != nil {
				return err
			}
			o.item(raw)
		}
		return nil
	})
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
