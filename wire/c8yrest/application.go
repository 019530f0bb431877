package c8yrest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/applogic"
)

func applicationRoutes() []Route {
	const app, one, cur, ten = "/application/applications", "/application/applications/{id}", "/application/currentApplication", "/tenant/tenants/{tenant}/applications"
	return []Route{
		get(app, listApps), post(app, createApp), get(one, getApp), put(one, updateApp), del(one, deleteApp), get(one+"/manifest", getManifest), post(one+"/clone", cloneApp),
		get("/application/applicationsByUser/{user}", listApps), get("/application/applicationsByTenant/{tenant}", listApps),
		get("/application/applicationsByOwner/{tenant}", listApps), get("/application/applicationsByName/{name}", listApps),
		post(one+"/binaries", uploadBinary), get(one+"/binaries", listAppBinaries), post(one+"/binaries/files", patchFiles),
		download(get(one+"/binaries/{binary}", downloadBinary)), del(one+"/binaries/{binary}", deleteAppBinary), post(one+"/refresh", refreshApp),
		get(one+"/versions", getVersions), post(one+"/versions", addVersion), put(one+"/versions/{version}", tagVersion), del(one+"/versions", deleteVersion),
		get(one+"/versions/{version}", getVersion), get(one+"/bootstrapUser", bootstrapUser), get(one+"/logs/{instance}", appLogs),
		get(cur, currentApp), put(cur, updateCurrentApp), get(cur+"/settings", currentSettings), get(cur+"/subscriptions", currentSubscriptions),
		get(ten, listSubscribed), post(ten, subscribeApp), del(ten+"/{application}", unsubscribeApp),
	}
}

// appMembers are the members of the representation; all others are kept as the client gave them.
var appMembers = []string{"id", "self", "owner", "name", "key", "type", "availability", "contextPath", "description", "externalUrl", "resourcesUrl", "activeVersionId", "manifest", "roles",
	"requiredRoles", "applicationVersions"}

func (c *call) writeApp(o *object, a applogic.App) {
	o.open()
	o.id("id", a.ID)
	o.text("name", a.Name)
	o.text("key", a.Key)
	o.text("type", string(a.Type))
	o.text("availability", string(a.Availability))
	o.some("contextPath", a.ContextPath)
	o.text("self", c.base()+"/application/applications/"+a.ID.String())
	o.begin("owner")
	o.text("self", c.base()+"/tenant/tenants/"+string(a.Owner))
	o.begin("tenant")
	o.text("id", string(a.Owner))
	o.close()
	o.close()
	o.some("description", a.Description)
	o.some("externalUrl", a.ExternalURL)
	o.some("resourcesUrl", a.ResourcesURL)
	if a.Active != 0 {
		o.id("activeVersionId", a.Active)
	}
	if a.Type == applogic.Microservice {
		o.texts("roles", a.Roles)
		o.texts("requiredRoles", a.RequiredRoles)
	}
	if len(a.Versions) > 0 {
		o.list("applicationVersions")
		for _, v := range a.Versions {
			c.writeVersion(o, v)
		}
		o.endList()
	}
	if len(a.Manifest) > 0 {
		o.raw("manifest", a.Manifest.AppendTo(nil))
	}
	shown := a.Custom
	if a.Active != 0 && a.Type == applogic.Hosted { // c8y: what the manifest says stands beside the rest
		shown = a.Manifest.Merge(a.Custom)
	}
	o.members(shown.Without(appMembers...))
	o.close()
}

// texts writes a list of texts.
func (o *object) texts(k string, list []string) {
	o.list(k)
	for _, v := range list {
		o.item(iot.AppendText(nil, v))
	}
	o.endList()
}

func (c *call) storedApp(status int, a applogic.App) error {
	location := ""
	if status == http.StatusCreated {
		location = c.base() + "/application/applications/" + a.ID.String()
	}
	return c.stored(status, "application", location, func() ([]byte, error) {
		var o object
		c.writeApp(&o, a)
		return o.b, nil
	})
}

// listApps serves all collections of applications.
func listApps(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	if c.flag("noPaging", false) {
		p.size = maxPage
	}
	apps, err := c.appsOf()
	if err != nil {
		return err
	}
	apps = slices.DeleteFunc(slices.Clone(apps), func(a applogic.App) bool { return !c.wantsApp(a) })
	p.total = len(apps)
	return c.collection("applicationcollection", "applications", p, func(o *object) error {
		for _, a := range cut(p, apps) {
			c.writeApp(o, a)
		}
		return nil
	})
}

// appsOf reads the applications of the tenant that the path or a parameter names; of the caller's otherwise.
func (c *call) appsOf() ([]applogic.App, error) {
	t := iot.TenantID(c.r.PathValue("tenant"))
	for _, name := range []string{"tenant", "providedFor", "subscriber"} {
		if v := c.query.Get(name); v != "" && t == "" {
			t = iot.TenantID(v)
		}
	}
	if t == "" || t == c.p.Tenant {
		return c.s.Applications.List(c.ctx, c.p)
	}
	return c.s.Applications.OfTenant(c.ctx, c.p, t)
}

func (c *call) wantsApp(a applogic.App) bool {
	if n := c.r.PathValue("name"); n != "" && n != a.Name && n != a.Key {
		return false
	}
	if c.query.Get("hasVersions") != "" && c.flag("hasVersions", false) != (len(a.Versions) > 0) {
		return false
	}
	return c.selects("type", string(a.Type)) && c.selects("availability", string(a.Availability)) && c.selects("name", a.Name) && c.selects("owner", string(a.Owner))
}

// selects reports whether a list parameter is absent or has a value.
func (c *call) selects(name, value string) bool {
	wanted := c.list(name)
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func (c *call) app() (applogic.App, error) {
	return c.s.Applications.Get(c.ctx, c.p, c.r.PathValue("id"))
}

func getApp(c *call) error {
	a, err := c.app()
	if err != nil {
		return err
	}
	var o object
	c.writeApp(&o, a)
	return c.json(http.StatusOK, "application", o.b)
}

func getManifest(c *call) error {
	a, err := c.app()
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.key("application")
	c.writeApp(&o, a)
	o.members(a.Manifest.Without("application"))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// appDraft returns what makes of an application what a client wants it to be.
func (c *call) appDraft() (func(*applogic.App) error, error) {
	const op = fault.Op("c8yrest.Application")
	doc, err := c.doc()
	if err != nil {
		return nil, err
	}
	texts := map[string]*string{}
	for _, name := range []string{"name", "key", "type", "availability", "contextPath", "description", "externalUrl", "resourcesUrl", "activeVersionId"} {
		if texts[name], err = textOf(doc, name); err != nil {
			return nil, err
		}
	}
	var active iot.ID
	if v := texts["activeVersionId"]; v != nil && *v != "" {
		var ok bool
		if active, ok = iot.ParseID(*v); !ok {
			return nil, fault.E(op, fault.Invalid, "activeVersionId must be the id of a binary of the application")
		}
	}
	lists := map[string]*[]string{}
	for _, name := range []string{"roles", "requiredRoles"} {
		raw := doc.Get(name)
		if raw == nil || iot.IsNull(raw) {
			continue
		}
		var list []string
		if json.Unmarshal(raw, &list) != nil {
			return nil, fault.E(op, fault.Invalid, name+" must be a list of names of permissions")
		}
		lists[name] = &list
	}
	var manifest iot.Doc
	if raw := doc.Get("manifest"); raw != nil && raw[0] == '{' {
		if manifest, err = parseDoc(raw); err != nil {
			return nil, err
		}
	}
	return func(a *applogic.App) error {
		kind, availability := string(a.Type), string(a.Availability)
		for name, to := range map[string]*string{"name": &a.Name, "key": &a.Key, "type": &kind, "availability": &availability, "contextPath": &a.ContextPath, "description": &a.Description,
			"externalUrl": &a.ExternalURL, "resourcesUrl": &a.ResourcesURL} {
			if texts[name] != nil {
				*to = *texts[name]
			}
		}
		a.Type, a.Availability = applogic.Type(kind), applogic.Availability(availability)
		for name, to := range map[string]*[]string{"roles": &a.Roles, "requiredRoles": &a.RequiredRoles} {
			if lists[name] != nil {
				*to = *lists[name]
			}
		}
		if active != 0 {
			a.Active = active
		}
		if manifest != nil {
			a.Manifest = manifest
		}
		a.Custom = a.Custom.Merge(doc.Without(appMembers...)).WithoutNulls()
		return nil
	}, nil
}

func createApp(c *call) error {
	draft, err := c.appDraft()
	if err != nil {
		return err
	}
	var a applogic.App
	if err := draft(&a); err != nil {
		return err
	}
	a.Active = 0
	if a, err = c.s.Applications.Create(c.ctx, c.p, a); err != nil {
		return err
	}
	return c.storedApp(http.StatusCreated, a)
}

func updateApp(c *call) error {
	draft, err := c.appDraft()
	if err != nil {
		return err
	}
	a, err := c.s.Applications.Update(c.ctx, c.p, c.r.PathValue("id"), draft)
	if err != nil {
		return err
	}
	return c.storedApp(http.StatusOK, a)
}

func deleteApp(c *call) error {
	if err := c.s.Applications.Delete(c.ctx, c.p, c.r.PathValue("id"), c.flag("force", false)); err != nil {
		return err
	}
	return c.noContent()
}

func cloneApp(c *call) error {
	version := c.query.Get("version")
	if version == "" {
		version = c.query.Get("tag")
	}
	a, err := c.s.Applications.Clone(c.ctx, c.p, c.r.PathValue("id"), version)
	if err != nil {
		return err
	}
	return c.storedApp(http.StatusCreated, a)
}

// refreshApp serves clients that want the active archive to be read again. It always is what was stored last.
func refreshApp(c *call) error {
	a, err := c.s.Applications.Update(c.ctx, c.p, c.r.PathValue("id"), func(*applogic.App) error { return nil })
	if err != nil {
		return err
	}
	return c.storedApp(http.StatusOK, a)
}

func writeCredentials(o *object, x applogic.Credentials) {
	o.open()
	o.text("tenant", string(x.Tenant))
	o.text("name", string(x.User))
	o.text("password", x.Password)
	o.close()
}

func bootstrapUser(c *call) error {
	x, err := c.s.Applications.BootstrapUser(c.ctx, c.p, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	var o object
	writeCredentials(&o, x)
	return c.json(http.StatusOK, "user", o.b)
}

func appLogs(c *call) error {
	_, status, err := c.s.Applications.Status(c.ctx, c.p, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if name := c.r.PathValue("instance"); name != status.Instance {
		return fault.E(fault.Op("c8yrest.Logs"), fault.NotFound, "the application has no instance "+clip(name))
	}
	var o object
	o.open()
	o.text("instanceName", status.Instance)
	o.bool("running", status.Running)
	o.int("restarts", int64(status.Restarts))
	o.text("logs", string(status.Log))
	o.close()
	return c.json(http.StatusOK, "applicationLogs", o.b)
}

func currentApp(c *call) error {
	a, err := c.s.Applications.Current(c.ctx, c.p, false)
	if err != nil {
		return err
	}
	var o object
	c.writeApp(&o, a)
	return c.json(http.StatusOK, "application", o.b)
}

func updateCurrentApp(c *call) error {
	draft, err := c.appDraft()
	if err != nil {
		return err
	}
	a, err := c.s.Applications.UpdateCurrent(c.ctx, c.p, draft)
	if err != nil {
		return err
	}
	return c.storedApp(http.StatusOK, a)
}

func currentSettings(c *call) error {
	settings, err := c.s.Applications.Settings(c.ctx, c.p)
	if err != nil {
		return err
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "option", b)
}

func currentSubscriptions(c *call) error {
	all, err := c.s.Applications.Accounts(c.ctx, c.p)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("users")
	for _, x := range all {
		writeCredentials(&o, x)
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "applicationusercollection", o.b)
}

// writeAppReference writes an application as something that a tenant has.
func (c *call) writeAppReference(o *object, t iot.TenantID, a applogic.App) {
	o.open()
	o.text("self", c.base()+"/tenant/tenants/"+string(t)+"/applications/"+a.ID.String())
	o.key("application")
	c.writeApp(o, a)
	o.close()
}

func listSubscribed(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	t := iot.TenantID(c.r.PathValue("tenant"))
	apps, err := c.s.Applications.Subscribed(c.ctx, c.p, t)
	if err != nil {
		return err
	}
	p.total = len(apps)
	return c.collection("applicationreferencecollection", "references", p, func(o *object) error {
		for _, a := range cut(p, apps) {
			c.writeAppReference(o, t, a)
		}
		return nil
	})
}

func subscribeApp(c *call) error {
	doc, err := c.doc()
	if err != nil {
		return err
	}
	key := ""
	if raw := doc.Get("application"); raw != nil && raw[0] == '{' {
		inner, err := parseDoc(raw)
		if err != nil {
			return err
		}
		if key, _ = inner.Text("id"); key == "" {
			self, _ := inner.Text("self")
			key = self[strings.LastIndexByte(self, '/')+1:]
		}
	}
	if key == "" {
		return fault.E(fault.Op("c8yrest.Subscribe"), fault.Invalid, "Following mandatory fields should be included: application.self or application.id")
	}
	t := iot.TenantID(c.r.PathValue("tenant"))
	a, err := c.s.Applications.Subscribe(c.ctx, c.p, t, key)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "applicationreference", c.base()+"/tenant/tenants/"+string(t)+"/applications/"+a.ID.String(), func() ([]byte, error) {
		var o object
		c.writeAppReference(&o, t, a)
		return o.b, nil
	})
}

func unsubscribeApp(c *call) error {
	if err := c.s.Applications.Unsubscribe(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant")), c.r.PathValue("application")); err != nil {
		return err
	}
	return c.noContent()
}
