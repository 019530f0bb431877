package c8yrest

import (
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// maxForm bounds what anybody may send without saying who they are.
const maxForm = 64 << 10

// form reads the fields of a login, from the body or the query.
func (c *call) form() (url.Values, error) {
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	if len(b) > maxForm {
		return nil, fault.E(fault.Op("c8yrest.Login"), fault.TooLarge, "the form of a login must not be larger than 64 KiB")
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

// login opens a session of a kind. c8y: tfa_code may be the word "undefined".
func (c *call) login(kind access.SessionKind) (iot.TenantID, string, access.Session, error) {
	f, err := c.form()
	if err != nil {
		return "", "", access.Session{}, err
	}
	l := c.s.client(c.r)
	l.User, l.Password, l.Kind = f.Get("username"), f.Get("password"), kind
	if t := f.Get("tenant_id"); t != "" {
		l.Tenant = iot.TenantID(t)
	}
	if code := f.Get("tfa_code"); code != "undefined" {
		l.Code = code
	}
	switch strings.ToUpper(f.Get("grant_type")) {
	case "PASSWORD":
		token, s, err := c.s.Users.LoginWithPassword(c.ctx, l)
		return c.tenantOf(l), token, s, err
	case "ONE_TIME":
		tenant, _, _ := strings.Cut(f.Get("code"), ".")
		token, s, err := c.s.Users.LoginWithCode(c.ctx, f.Get("code"), l)
		return iot.TenantID(tenant), token, s, err
	case "AUTHORIZATION_CODE":
		done, err := c.openSSO(f, kind)
		return done.Tenant, done.Token, done.Session, err
	}
	return "", "", access.Session{}, fault.E(fault.Op("c8yrest.Login"), fault.Invalid, "grant_type must be PASSWORD")
}

// tenantOf is the tenant that a login names.
func (c *call) tenantOf(l access.Login) iot.TenantID {
	if before, _, found := strings.Cut(l.User, "/"); found {
		return iot.TenantID(before)
	}
	if l.Tenant == "" {
		return iot.DefaultTenant
	}
	return l.Tenant
}

// oauthCookies logs in with cookies: c8y: an empty body and two cookies, the token out of reach of scripts, the XSRF token within. Who must set
// up a second factor gets cookies with the refusal, which are good only for that.
func oauthCookies(c *call) error {
	t, token, s, err := c.login(access.CookieSession)
	if token != "" {
		if err := c.sessionCookies(t, token, s); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// sessionCookies sets the cookies of a session. They last as long as the tenant wants, but no longer than the session; c8y: a negative lifespan
// makes cookies that end with the browser.
func (c *call) sessionCookies(t iot.TenantID, token string, s access.Session) error {
	rules, err := c.s.Users.SessionRules(c.ctx, t)
	if err != nil {
		return err
	}
	age := 0
	if rules.MaxAge > 0 {
		age = max(1, int(math.Ceil(min(rules.MaxAge, s.Ends.Sub(c.s.Clock.Now())).Seconds())))
	}
	c.setCookies(token, s.XSRF, age)
	return nil
}

func (c *call) setCookies(token, xsrf string, maxAge int) {
	secure := strings.HasPrefix(c.base(), "https:")
	http.SetCookie(c.w, &http.Cookie{Name: tokenCookie, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	http.SetCookie(c.w, &http.Cookie{Name: xsrfCookie, Value: xsrf, Path: "/", MaxAge: maxAge, Secure: secure, SameSite: http.SameSiteLaxMode})
}

func oauthToken(c *call) error {
	_, token, s, err := c.login(access.BodySession)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("access_token", token)
	o.text("token_type", "Bearer")
	o.int("expires_in", int64(s.Expires.Sub(s.Created).Seconds()))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func logout(c *call) error {
	if err := c.s.Users.Logout(c.ctx, c.p); err != nil {
		return err
	}
	c.setCookies("", "", -1)
	return c.loggedOut()
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
