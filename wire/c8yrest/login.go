package c8yrest

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// loginOptions tells, without credentials, how one can log in. c8y: older login forms refuse to work over plain HTTP when the cookie
// login is offered there, so that it is shown on HTTPS only; it works on both.
func loginOptions(c *call) error {
	var o object
	o.open()
	o.list("loginOptions")
	c.writeLoginOption(&o, "BASIC")
	if strings.HasPrefix(c.base(), "https:") {
		c.writeLoginOption(&o, "OAUTH2_INTERNAL")
	}
	o.endList()
	o.text("self", c.base()+"/tenant/loginOptions")
	o.close()
	return c.json(http.StatusOK, "loginoptioncollection", o.b)
}

func (c *call) writeLoginOption(o *object, kind string) {
	o.open()
	o.text("id", kind)
	o.text("type", kind)
	o.text("self", c.base()+"/tenant/loginOptions/"+kind)
	o.text("userManagementSource", "INTERNAL")
	o.text("grantType", "PASSWORD")
	o.bool("visibleOnLoginPage", true)
	o.bool("tfaSupported", false)
	o.bool("enforceStrength", true)
	o.int("greenMinLength", 8)
	if kind == "OAUTH2_INTERNAL" {
		o.begin("sessionConfiguration")
		o.int("absoluteTimeoutMillis", access.TokenLifetime.Milliseconds())
		o.int("renewalTimeoutMillis", 24*3600*1000)
		o.int("maximumNumberOfParallelSessions", 5)
		o.bool("userAgentValidationRequired", false)
		o.close()
	}
	o.close()
}

func loginOption(c *call) error {
	kind := strings.ToUpper(c.r.PathValue("id"))
	if kind != "BASIC" && kind != "OAUTH2_INTERNAL" {
		return fault.E(fault.Op("c8yrest.LoginOption"), fault.NotFound, "there is no login option "+clip(kind))
	}
	var o object
	c.writeLoginOption(&o, kind)
	return c.json(http.StatusOK, "loginoption", o.b)
}

// form reads the fields of a login, from the body or the query.
func (c *call) form() (url.Values, error) {
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	v, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, fault.E(fault.Op("c8yrest.Login"), fault.Malformed, "the body must be a form: "+err.Error())
	}
	for name, values := range c.query {
		if !v.Has(name) {
			v[name] = values
		}
	}
	return v, nil
}

func (c *call) login() (string, access.Session, error) {
	const op = fault.Op("c8yrest.Login")
	f, err := c.form()
	if err != nil {
		return "", access.Session{}, err
	}
	l := access.Login{Tenant: iot.TenantID(f.Get("tenant_id")), User: f.Get("username"), Password: f.Get("password"),
		Application: c.r.Header.Get(appKey), RemoteAddr: remote(c.r)}
	if l.Tenant == "" {
		l.Tenant = c.s.hostTenant(c.r)
	}
	switch strings.ToUpper(f.Get("grant_type")) {
	case "PASSWORD":
		return c.s.Users.LoginWithPassword(c.ctx, l) // c8y: tfa_code may be the word "undefined"; there is no second factor yet
	case "ONE_TIME":
		return c.s.Users.LoginWithCode(c.ctx, f.Get("code"), l)
	}
	return "", access.Session{}, fault.E(op, fault.Invalid, "grant_type must be PASSWORD")
}

// oauthCookies logs in with cookies: c8y: an empty body and two cookies, the token out of reach of scripts, the XSRF token within.
func oauthCookies(c *call) error {
	token, s, err := c.login()
	if err != nil {
		return err
	}
	c.setCookies(token, s.XSRF, int(access.TokenLifetime.Seconds()))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) setCookies(token, xsrf string, maxAge int) {
	secure := strings.HasPrefix(c.base(), "https:")
	http.SetCookie(c.w, &http.Cookie{Name: tokenCookie, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	http.SetCookie(c.w, &http.Cookie{Name: xsrfCookie, Value: xsrf, Path: "/", MaxAge: maxAge, Secure: secure, SameSite: http.SameSiteLaxMode})
}

func oauthToken(c *call) error {
	token, _, err := c.login()
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("access_token", token)
	o.text("token_type", "Bearer")
	o.int("expires_in", int64(access.TokenLifetime.Seconds()))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func logout(c *call) error {
	if err := c.s.Users.Logout(c.ctx, c.p); err != nil {
		return err
	}
	c.setCookies("", "", -1)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func logoutAll(c *call) error {
	if err := c.ownTenant(); err != nil {
		return err
	}
	if err := c.s.Users.LogoutAll(c.ctx, c.p); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// ownTenant checks the path segment that names a tenant: c8y: it must be the caller's own. Another one answers as if it did not exist.
func (c *call) ownTenant() error {
	if t := c.r.PathValue("tenant"); t != string(c.p.Tenant) {
		return fault.E(fault.Op("c8yrest.Tenant"), fault.NotFound, "there is no tenant '"+clip(t)+"' here")
	}
	return nil
}
