package c8yrest

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strings"

	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// ssoRoutes are single sign-on, and the rules by which it gives rights.
func ssoRoutes() []Route {
	out := []Route{public(get("/tenant/oauth", ssoGet))}
	for _, k := range mappingKinds {
		path := "/tenant/loginOptions/{id}/" + k.path
		out = append(out, get(path, k.list), post(path, k.create), get(path+"/{mapping}", k.get), put(path+"/{mapping}", k.update), del(path+"/{mapping}", k.remove))
	}
	return out
}

// ssoStart is where a login through a provider begins. c8y: clients append originUri, the address to come back to.
func (c *call) ssoStart(t iot.TenantID, option string) string {
	return c.base() + oidc.Callback + "?" + url.Values{"response_type": {"code"}, "tenant_id": {string(t)}, "provider": {option}}.Encode()
}

var errNoSSO = fault.E(fault.Op("c8yrest.SSO"), fault.NotFound, "single sign-on is not offered here")

// ssoGet is what a browser calls twice: to begin, and when the provider sends it back.
func ssoGet(c *call) error {
	if c.query.Has("state") || c.query.Has("code") || c.query.Has("error") {
		return c.ssoReturn()
	}
	if c.s.SSO == nil {
		return errNoSSO
	}
	if c.query.Get("response_type") != "code" {
		return fault.E(fault.Op("c8yrest.SSO"), fault.Malformed, "response_type must be code")
	}
	t := iot.TenantID(c.query.Get("tenant_id"))
	if t == "" {
		t = c.bodyTenant()
	}
	location, cookie, err := c.s.SSO.Start(c.ctx, t, c.query.Get("provider"), c.base(), c.query.Get("originUri"))
	if err != nil {
		return err
	}
	c.ssoCookie(cookie.Name, cookie.Value, int(cookie.MaxAge.Seconds()))
	return c.redirect(location)
}

func (c *call) ssoCookie(name, value string, maxAge int) {
	http.SetCookie(c.w, &http.Cookie{Name: name, Value: value, Path: oidc.Callback, MaxAge: maxAge, HttpOnly: true, Secure: strings.HasPrefix(c.base(), "https:"), SameSite: http.SameSiteLaxMode})
}

func (c *call) redirect(location string) error {
	c.w.Header().Set("Location", location)
	c.w.WriteHeader(http.StatusFound)
	return nil
}

// openSSO opens the session of somebody whom the provider sent back with these fields.
func (c *call) openSSO(f url.Values, kind access.SessionKind) (oidc.Done, error) {
	if c.s.SSO == nil {
		return oidc.Done{}, errNoSSO
	}
	r := oidc.Reply{State: f.Get("state"), Code: f.Get("code"), Error: f.Get("error"), Issuer: f.Get("iss"), Tenant: iot.TenantID(f.Get("tenant_id"))}
	if name := oidc.CookieName(r.State); name != "" {
		if cookie, err := c.r.Cookie(name); err == nil {
			r.Sealed = cookie.Value
			c.ssoCookie(name, "", -1)
		}
	}
	l := c.s.client(c.r)
	l.Kind = kind
	return c.s.SSO.Finish(c.ctx, r, l)
}

// ssoReturn ends a login in a browser: it goes on to the application, or shows a page that says what is wrong. That is no JSON with a challenge,
// for which browsers would open a dialog of their own.
func (c *call) ssoReturn() error {
	done, err := c.openSSO(c.query, access.CookieSession)
	if err == nil {
		err = c.sessionCookies(done.Tenant, done.Token, done.Session)
	}
	if err == nil {
		return c.redirect(done.Target)
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(fault.KindOf(err).Row().HTTP)
	_, _ = c.w.Write([]byte(strings.Replace(refusedPage, "REASON", html.EscapeString(fault.Message(err)), 1)))
	return nil
}

const refusedPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Not logged in</title></head>
<body><h1>You are not logged in</h1><p>REASON</p><p><a href="/">Back to the login page</a></p></body></html>
`

// loggedOut ends the answer to a logout. c8y: who came through a provider gets the address at which that logs out, too.
func (c *call) loggedOut() error {
	if c.s.SSO != nil {
		if u, err := c.s.Users.Get(c.ctx, c.p, c.p.User); err == nil && u.Origin == access.OAuth2 {
			if address := c.s.SSO.LogoutURL(c.ctx, c.p.Tenant, c.base()); address != "" {
				var o object
				o.open()
				o.text("url", address)
				o.close()
				return c.json(http.StatusOK, "", o.b)
			}
		}
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// mappingKind is one of the two lists of rules in a login option of single sign-on.
type mappingKind struct {
	path, media string
	member      string // in onNewUser.dynamicMapping
	then        string
}

var mappingKinds = []mappingKind{
	{path: "accessMappings", media: "accessmapping", member: "mappings", then: "thenGroups"},
	{path: "inventoryAccessMappings", media: "inventoryaccessmapping", member: "inventoryMappings", then: "thenInventoryRoles"},
}

// rules are the mappings of a login option while they are looked at or changed.
type rules struct {
	option         access.LoginOption
	onNew, dynamic iot.Doc
	mappings       []iot.Doc
}

func (k mappingKind) load(c *call) (r rules, err error) {
	if r.option, err = c.s.Users.LoginOption(c.ctx, c.p, c.r.PathValue("id")); err != nil {
		return r, err
	}
	if r.option.Type != oidc.Type {
		return r, fault.E(fault.Op("c8yrest.Mapping"), fault.Invalid, "only login options of type "+oidc.Type+" have access mappings")
	}
	if r.onNew, err = part(r.option.Doc.Get("onNewUser")); err != nil {
		return r, err
	}
	if r.dynamic, err = part(r.onNew.Get("dynamicMapping")); err != nil {
		return r, err
	}
	if raw := r.dynamic.Get(k.member); raw != nil {
		list, err := iot.ParseArray(raw, iot.MaxDepth)
		if err != nil {
			return r, fault.E(fault.Op("c8yrest.Mapping"), err)
		}
		for _, raw := range list {
			m, err := part(raw)
			if err != nil {
				return r, err
			}
			r.mappings = append(r.mappings, m)
		}
	}
	return r, nil
}

// part parses an object within a stored document; nil for one that is not there.
func part(raw json.RawMessage) (iot.Doc, error) {
	if raw == nil || iot.IsNull(raw) {
		return nil, nil
	}
	d, err := iot.ParseDoc(raw, iot.MaxDepth)
	if err != nil {
		return nil, fault.E(fault.Op("c8yrest.Mapping"), err)
	}
	return d, nil
}

// find returns the place of the mapping that the path names.
func (k mappingKind) find(c *call) (rules, int, error) {
	r, err := k.load(c)
	if err != nil {
		return r, 0, err
	}
	want := c.r.PathValue("mapping")
	for i, m := range r.mappings {
		if id, _ := m.Text("id"); id == want {
			return r, i, nil
		}
	}
	return r, 0, fault.E(fault.Op("c8yrest.Mapping"), fault.NotFound, fault.Subject(want), "there is no access mapping "+clip(want))
}

// store puts the mappings back. Sessions go on: c8y: mappings count at the next login.
func (k mappingKind) store(c *call, r rules) error {
	var o object
	o.open()
	o.list("x")
	for _, m := range r.mappings {
		o.item(m.AppendTo(nil))
	}
	o.endList()
	list := o.b[len(`{"x":`):]
	onNew := r.onNew.Merge(iot.Doc{{Name: "dynamicMapping", Raw: r.dynamic.Merge(iot.Doc{{Name: k.member, Raw: list}}).AppendTo(nil)}})
	_, err := c.s.Users.UpdateLoginOption(c.ctx, c.p, r.option.ID, iot.Doc{{Name: "onNewUser", Raw: onNew.AppendTo(nil)}}, false)
	return err
}

func (k mappingKind) write(c *call, o *object, m iot.Doc, option string) {
	id, _ := m.Text("id")
	o.open()
	o.members(m.Without("self"))
	o.text("self", c.base()+"/tenant/loginOptions/"+url.PathEscape(option)+"/"+k.path+"/"+url.PathEscape(id))
	o.close()
}

func (k mappingKind) answer(c *call, r rules, i int) error {
	var o object
	k.write(c, &o, r.mappings[i], r.option.ID)
	return c.json(http.StatusOK, k.media, o.b)
}

func (k mappingKind) list(c *call) error {
	r, err := k.load(c)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list(k.path)
	for _, m := range r.mappings {
		k.write(c, &o, m, r.option.ID)
	}
	o.endList()
	o.text("self", c.base()+"/tenant/loginOptions/"+url.PathEscape(r.option.ID)+"/"+k.path)
	o.close()
	return c.json(http.StatusOK, k.media+"collection", o.b)
}

func (k mappingKind) get(c *call) error {
	r, i, err := k.find(c)
	if err != nil {
		return err
	}
	return k.answer(c, r, i)
}

// body reads a mapping. What it gives belongs to this kind only.
func (k mappingKind) body(c *call) (iot.Doc, error) {
	if err := c.s.Users.MaySetLogins(c.ctx, c.p); err != nil {
		return nil, err
	}
	d, err := c.doc()
	if err != nil {
		return nil, err
	}
	if !d.Has("when") || !d.Has(k.then) {
		return nil, missing("when", k.then)
	}
	return d.Without("id", "self").WithoutNulls(), nil
}

// create is c8y: 200, not 201.
func (k mappingKind) create(c *call) error {
	d, err := k.body(c)
	if err != nil {
		return err
	}
	r, err := k.load(c)
	if err != nil {
		return err
	}
	r.mappings = append(r.mappings, iot.Doc{}.SetText("id", oidc.NewMappingID()).Merge(d))
	if err := k.store(c, r); err != nil {
		return err
	}
	return k.answer(c, r, len(r.mappings)-1)
}

func (k mappingKind) update(c *call) error {
	d, err := k.body(c)
	if err != nil {
		return err
	}
	r, i, err := k.find(c)
	if err != nil {
		return err
	}
	r.mappings[i] = iot.Doc{}.SetText("id", c.r.PathValue("mapping")).Merge(d)
	if err := k.store(c, r); err != nil {
		return err
	}
	return k.answer(c, r, i)
}

func (k mappingKind) remove(c *call) error {
	if err := c.s.Users.MaySetLogins(c.ctx, c.p); err != nil {
		return err
	}
	r, i, err := k.find(c)
	if err != nil {
		return err
	}
	r.mappings = append(r.mappings[:i:i], r.mappings[i+1:]...)
	if err := k.store(c, r); err != nil {
		return err
	}
	return c.noContent()
}
