package c8yrest

import (
	"net/http"
	"net/url"
	"strings"

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

func (c *call) optionURL(k tenancy.OptionKey) string {
	return c.base() + "/tenant/options/" + url.PathEscape(k.Category) + "/" + url.PathEscape(k.Key)
}

// shown hides secrets: c8y: keys that start with "credentials." are never returned in clear.
func shown(o tenancy.Option) string {
	if strings.HasPrefix(o.Key, "credentials.") {
		return "<<Encrypted>>"
	}
	return o.Value
}

func (c *call) writeOption(o *object, x tenancy.Option) {
	o.open()
	o.text("category", x.Category)
	o.text("key", x.Key)
	o.text("value", shown(x))
	o.text("self", c.optionURL(x.OptionKey))
	o.close()
}

func (c *call) option(x tenancy.Option) error {
	var o object
	c.writeOption(&o, x)
	return c.json(http.StatusOK, "option", o.b)
}

func listOptions(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	options, err := c.s.Tenants.Options(c.ctx, c.p, "")
	if err != nil {
		return err
	}
	p.total = len(options)
	return c.collection("optioncollection", "options", p, func(o *object) error {
		for _, x := range cut(p, options) {
			c.writeOption(o, x)
		}
		return nil
	})
}

// createOption creates or replaces: c8y: 200, not 201.
func createOption(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var x tenancy.Option
	for name, to := range map[string]*string{"category": &x.Category, "key": &x.Key, "value": &x.Value} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		if s == nil {
			return missing("category", "key", "value")
		}
		set(to, s)
	}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, []tenancy.Option{x}); err != nil {
		return err
	}
	return c.option(x)
}

func (c *call) optionMap(category string) error {
	options, err := c.s.Tenants.Options(c.ctx, c.p, category)
	if err != nil {
		return err
	}
	var o object
	o.open()
	for _, x := range options {
		o.text(x.Key, shown(x))
	}
	o.close()
	return c.json(http.StatusOK, "option", o.b)
}

func getOptions(c *call) error { return c.optionMap(c.r.PathValue("category")) }

func putOptions(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var options []tenancy.Option
	for _, m := range d {
		v, ok := iot.RawText(m.Raw)
		if !ok {
			return fault.E(fault.Op("c8yrest.Options"), fault.Invalid, "the values of options must be strings")
		}
		options = append(options, tenancy.Option{OptionKey: tenancy.OptionKey{Category: c.r.PathValue("category"), Key: m.Name}, Value: v})
	}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, options); err != nil {
		return err
	}
	return c.optionMap(c.r.PathValue("category"))
}

func (c *call) optionKey() tenancy.OptionKey {
	return tenancy.OptionKey{Category: c.r.PathValue("category"), Key: c.r.PathValue("key")}
}

func getOption(c *call) error {
	key := c.optionKey()
	options, err := c.s.Tenants.Options(c.ctx, c.p, key.Category)
	if err != nil {
		return err
	}
	for _, x := range options {
		if x.Key == key.Key {
			return c.option(x)
		}
	}
	return fault.E(fault.Op("c8yrest.Option"), fault.NotFound, "Unable to find option "+clip(key.Category+"."+key.Key))
}

func putOption(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	v, ok := d.Text("value")
	if !ok {
		return missing("value")
	}
	x := tenancy.Option{OptionKey: c.optionKey(), Value: v}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, []tenancy.Option{x}); err != nil {
		return err
	}
	return c.option(x)
}

func deleteOption(c *call) error {
	if err := c.s.Tenants.DeleteOption(c.ctx, c.p, c.optionKey()); err != nil {
		return err
	}
	return c.noContent()
}

// systemOptions are settings of the platform that clients ask for.
func (s *Server) systemOptions() []tenancy.Option {
	opt := func(category, key, value string) tenancy.Option {
		return tenancy.Option{OptionKey: tenancy.OptionKey{Category: category, Key: key}, Value: value}
	}
	return []tenancy.Option{
		opt("device-control", "bulkoperation.creationramp", "1"), opt("device-registration", "security-token.policy", "OPTIONAL"),
		opt("files", "max.size", "52428800"), opt("password", "enforce.strength", "true"), opt("password", "green.min-length", "8"),
		opt("password", "limit.validity", "0"), opt("plugin", "eventprocessing.enabled", "false"), opt("reportMailer", "available", "false"),
		opt("support-user", "enabled", "false"), opt("system", "version", s.Version), opt("two-factor-authentication", "enabled", "false"),
		opt("two-factor-authentication", "enforced", "false"), opt("two-factor-authentication", "strategy", "TOTP"),
	}
}

func (c *call) writeSystemOption(o *object, x tenancy.Option) {
	o.open()
	o.text("category", x.Category)
	o.text("key", x.Key)
	o.text("value", x.Value)
	o.text("self", c.base()+"/tenant/system/options/"+x.Category+"/"+x.Key)
	o.close()
}

func listSystemOptions(c *call) error {
	var o object
	o.open()
	o.list("options")
	for _, x := range c.s.systemOptions() {
		c.writeSystemOption(&o, x)
	}
	o.endList()
	o.text("self", c.base()+"/tenant/system/options")
	o.close()
	return c.json(http.StatusOK, "optioncollection", o.b)
}

func getSystemOption(c *call) error {
	key := c.optionKey()
	for _, x := range c.s.systemOptions() {
		if x.OptionKey == key {
			var o object
			c.writeSystemOption(&o, x)
			return c.json(http.StatusOK, "option", o.b)
		}
	}
	return fault.E(fault.Op("c8yrest.SystemOption"), fault.NotFound, "no system property for key "+clip(key.Category+"."+key.Key))
}
