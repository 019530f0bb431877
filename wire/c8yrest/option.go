package c8yrest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func (c *call) optionURL(k tenancy.OptionKey) string {
	return c.base() + "/tenant/options/" + url.PathEscape(k.Category) + "/" + url.PathEscape(k.Key)
}

const encrypted = "<<Encrypted>>"

// shown hides secrets: c8y: keys that start with "credentials." are never returned in clear.
func shown(o tenancy.Option) string {
	if tenancy.SecretOption(o.OptionKey) {
		return encrypted
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

func (c *call) storedOption(x tenancy.Option) error {
	return c.stored(http.StatusOK, "option", "", func() ([]byte, error) {
		var o object
		c.writeOption(&o, x)
		return o.b, nil
	})
}

// options reads the options of a category, all if it is empty, as they are or as they were.
func (c *call) options(category string) ([]tenancy.Option, error) {
	at, past, err := c.asOf()
	switch {
	case err != nil:
		return nil, err
	case past:
		return c.s.Tenants.OptionsAsOf(c.ctx, c.p, category, at)
	}
	return c.s.Tenants.Options(c.ctx, c.p, category)
}

func listOptions(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	options, err := c.options("")
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
	for name, to := range map[string]*string{"category": &x.Category, "key": &x.Key} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		if s == nil {
			return missing("category", "key", "value")
		}
		set(to, s)
	}
	if x.Value, err = optionValue(d.Get("value")); err != nil {
		return err
	}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, []tenancy.Option{x}); err != nil {
		return err
	}
	return c.storedOption(x)
}

// optionValue is the text of a value. c8y: applications send numbers and booleans as well.
func optionValue(raw json.RawMessage) (string, error) {
	if raw == nil || iot.IsNull(raw) {
		return "", missing("value")
	}
	if s, ok := iot.RawText(raw); ok {
		return s, nil
	}
	if raw[0] == '{' || raw[0] == '[' || raw[0] == '"' {
		return "", fault.E(fault.Op("c8yrest.Options"), fault.Invalid, "the values of options must be strings, numbers or booleans")
	}
	return string(raw), nil
}

func (c *call) optionMap(category string) ([]byte, error) {
	options, err := c.options(category)
	if err != nil {
		return nil, err
	}
	var o object
	o.open()
	for _, x := range options {
		o.text(x.Key, shown(x))
	}
	o.close()
	return o.b, nil
}

func getOptions(c *call) error {
	b, err := c.optionMap(c.r.PathValue("category"))
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "option", b)
}

func putOptions(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var options []tenancy.Option
	category := c.r.PathValue("category")
	for _, m := range d {
		v, err := optionValue(m.Raw)
		switch {
		case err != nil:
			return err
		case m.Name == "category" && v == category: // c8y: applications repeat it among the values
			continue
		}
		options = append(options, tenancy.Option{OptionKey: tenancy.OptionKey{Category: category, Key: m.Name}, Value: v})
	}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, options); err != nil {
		return err
	}
	return c.stored(http.StatusOK, "option", "", func() ([]byte, error) {
		b, err := c.optionMap(c.r.PathValue("category"))
		if fault.Is(err, fault.Denied) { // who may change options may not read the others
			return d.AppendTo(nil), nil
		}
		return b, err
	})
}

func (c *call) optionKey() tenancy.OptionKey {
	return tenancy.OptionKey{Category: c.r.PathValue("category"), Key: c.r.PathValue("key")}
}

func getOption(c *call) error { return c.optionOr(nil) }

// passwordDefaults hold where a tenant did not set these options. c8y: applications change what they were told, and cannot save what was not there.
var passwordDefaults = map[string]string{"limit.validity": "0", "strength.validity": "false"}

// getSecurityOption is c8y: options of passwords, which are there also if nobody set them.
func getSecurityOption(c *call) error {
	if c.r.PathValue("category") != "password" {
		return c.optionOr(nil)
	}
	return c.optionOr(passwordDefaults)
}

// optionOr answers with an option of the tenant, or with the default of its key.
func (c *call) optionOr(defaults map[string]string) error {
	key := c.optionKey()
	options, err := c.options(key.Category)
	if err != nil {
		return err
	}
	for _, x := range options {
		if x.Key == key.Key {
			return c.option(x)
		}
	}
	if v, ok := defaults[key.Key]; ok {
		return c.option(tenancy.Option{OptionKey: key, Value: v})
	}
	return fault.E(fault.Op("c8yrest.Option"), fault.NotFound, "Unable to find option "+clip(key.Category+"."+key.Key))
}

func putOption(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	v, err := optionValue(d.Get("value"))
	if err != nil {
		return err
	}
	x := tenancy.Option{OptionKey: c.optionKey(), Value: v}
	if err := c.s.Tenants.PutOptions(c.ctx, c.p, []tenancy.Option{x}); err != nil {
		return err
	}
	return c.storedOption(x)
}

func deleteOption(c *call) error {
	if err := c.s.Tenants.DeleteOption(c.ctx, c.p, c.optionKey()); err != nil {
		return err
	}
	return c.noContent()
}

// systemOptions are settings of the platform that clients ask for.
func (s *Server) systemOptions(ctx context.Context, t iot.TenantID) []tenancy.Option {
	opt := func(category, key, value string) tenancy.Option {
		return tenancy.Option{OptionKey: tenancy.OptionKey{Category: category, Key: key}, Value: value}
	}
	passwords, factors := s.Users.PasswordPolicy(ctx, t), s.Users.Factors(ctx, t)
	return []tenancy.Option{
		opt("device-control", "bulkoperation.creationramp", "1"), opt("device-registration", "security-token.policy", "OPTIONAL"),
		opt("files", "max.size", "52428800"), opt("password", "enforce.strength", strconv.FormatBool(passwords.Strong)), opt("password", "green.min-length", strconv.Itoa(passwords.GreenLength)),
		opt("password", "limit.validity", strconv.Itoa(int(passwords.Validity.Hours()/24))), opt("plugin", "eventprocessing.enabled", "false"),
		opt("reportMailer", "available", strconv.FormatBool(s.Users.CanMail())),
		opt("support-user", "enabled", "false"), opt("system", "version", s.Version), opt("two-factor-authentication", "enabled", strconv.FormatBool(factors.Offered)),
		opt("two-factor-authentication", "enforced", strconv.FormatBool(factors.Enforced)), opt("two-factor-authentication", "strategy", "TOTP"),
	}
}

// secured are system options that only who administers options may read.
var secured = []tenancy.OptionKey{{Category: "password", Key: "green.min-length"}}

// concealed reports whether a system option is hidden from the caller.
func (c *call) concealed(k tenancy.OptionKey) bool {
	return slices.Contains(secured, k) && c.s.Policy.Check(c.ctx, c.p, access.Option, access.Admin, access.Object{}) != nil
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
	for _, x := range c.s.systemOptions(c.ctx, c.p.Tenant) {
		if c.concealed(x.OptionKey) {
			x.Value = encrypted
		}
		c.writeSystemOption(&o, x)
	}
	o.endList()
	o.text("self", c.base()+"/tenant/system/options")
	o.close()
	return c.json(http.StatusOK, "optioncollection", o.b)
}

func getSystemOption(c *call) error {
	key := c.optionKey()
	for _, x := range c.s.systemOptions(c.ctx, c.p.Tenant) {
		if x.OptionKey == key {
			if c.concealed(key) {
				return c.s.Policy.Check(c.ctx, c.p, access.Option, access.Admin, access.Object{})
			}
			var o object
			c.writeSystemOption(&o, x)
			return c.json(http.StatusOK, "option", o.b)
		}
	}
	return fault.E(fault.Op("c8yrest.SystemOption"), fault.NotFound, "no system property for key "+clip(key.Category+"."+key.Key))
}
