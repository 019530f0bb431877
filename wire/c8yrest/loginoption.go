package c8yrest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// loginOptions tells, without credentials, how one can log in to a tenant. c8y: older login forms refuse to work over plain HTTP when the cookie
// login is offered there, so that it is shown on HTTPS only; it works on both.
func loginOptions(c *call) error {
	t := c.bodyTenant()
	if c.flag("management", false) {
		if c.query.Get("tenantId") != "" {
			return fault.E(fault.Op("c8yrest.LoginOptions"), fault.Malformed, "the parameters management and tenantId exclude each other")
		}
		t = iot.Management
	}
	options, err := c.s.Users.LoginOptions(c.ctx, t)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("loginOptions")
	for _, x := range options {
		if x.Type == access.OAuth2Internal && !strings.HasPrefix(c.base(), "https:") {
			continue
		}
		if err := c.writeLoginOption(&o, t, x); err != nil {
			return err
		}
	}
	o.endList()
	o.text("self", c.base()+"/tenant/loginOptions")
	o.close()
	return c.json(http.StatusOK, "loginoptioncollection", o.b)
}

// writeLoginOption writes what the login page may know.
func (c *call) writeLoginOption(o *object, t iot.TenantID, x access.LoginOption) error {
	o.open()
	o.text("id", x.ID)
	o.text("type", x.Type)
	o.text("self", c.base()+"/tenant/loginOptions/"+url.PathEscape(x.ID))
	if x.Type != access.BasicLogin && x.Type != access.OAuth2Internal {
		doc := c.s.Users.PublicLoginOption(t, x)
		o.members(doc)
		if grant, _ := doc.Text("grantType"); grant == "AUTHORIZATION_CODE" {
			o.text("initRequest", c.ssoStart(t, x.ID))
		}
		o.close()
		return nil
	}
	policy := c.s.Users.PasswordPolicy(c.ctx, t)
	o.text("providerName", "Isobar")
	o.text("userManagementSource", "INTERNAL")
	o.text("grantType", "PASSWORD")
	visible := x.Doc.Get("visibleOnLoginPage")
	o.bool("visibleOnLoginPage", string(visible) != "false")
	tfa := x.Type == access.OAuth2Internal && c.s.Users.Factors(c.ctx, t).Offered
	o.bool("tfaSupported", tfa)
	if tfa {
		o.text("tfaStrategy", totpStrategy)
	}
	o.bool("enforceStrength", policy.Strong)
	o.int("greenMinLength", int64(policy.GreenLength))
	o.bool("passwordReset", c.s.Users.CanMail()) // ours: whether a link to reset the password can be sent
	if raw := x.Doc.Get("authenticationRestrictions"); raw != nil {
		o.raw("authenticationRestrictions", raw)
	}
	if x.Type == access.OAuth2Internal {
		rules, err := c.s.Users.SessionRules(c.ctx, t)
		if err != nil {
			return err
		}
		o.begin("sessionConfiguration")
		o.int("absoluteTimeoutMillis", rules.Absolute.Milliseconds())
		o.int("renewalTimeoutMillis", rules.Renewal.Milliseconds())
		o.int("maximumNumberOfParallelSessions", int64(rules.Parallel))
		o.bool("userAgentValidationRequired", rules.SameAgent)
		o.close()
	}
	o.close()
	return nil
}

// authConfig writes a login option for administrators: what is stored, over what holds where nothing is.
func (c *call) authConfig(x access.LoginOption) ([]byte, error) {
	var o object
	if x.Type == access.BasicLogin || x.Type == access.OAuth2Internal {
		if err := c.writeLoginOption(&o, c.p.Tenant, x); err != nil {
			return nil, err
		}
		shown, err := parseDoc(o.b)
		if err != nil {
			return nil, err
		}
		return x.Doc.Merge(shown).AppendTo(nil), nil // what is computed is the truth
	}
	o.open()
	o.text("id", x.ID)
	o.text("type", x.Type)
	o.text("self", c.base()+"/tenant/loginOptions/"+url.PathEscape(x.ID))
	o.members(x.Doc.Without("id", "type", "self"))
	o.close()
	return o.b, nil
}

func (c *call) answerLoginOption(x access.LoginOption, err error) error {
	if err != nil {
		return err
	}
	b, err := c.authConfig(x)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "authconfig", b)
}

func loginOption(c *call) error {
	return c.answerLoginOption(c.s.Users.LoginOption(c.ctx, c.p, c.r.PathValue("id")))
}

// createLoginOption is c8y: 200, not 201.
func createLoginOption(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	kind, ok := d.Text("type")
	if !ok || kind == "" {
		return missing("type")
	}
	return c.answerLoginOption(c.s.Users.CreateLoginOption(c.ctx, c.p, kind, d))
}

func updateLoginOption(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	return c.answerLoginOption(c.s.Users.UpdateLoginOption(c.ctx, c.p, c.r.PathValue("id"), d, c.flag("terminateUserSessions", true)))
}

func deleteLoginOption(c *call) error {
	if err := c.s.Users.DeleteLoginOption(c.ctx, c.p, c.r.PathValue("id")); err != nil {
		return err
	}
	return c.noContent()
}
