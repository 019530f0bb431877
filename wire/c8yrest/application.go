package c8yrest

import (
	"net/http"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// What all applications that the platform hosts have in common.
const (
	appType         = "HOSTED"
	appAvailability = "MARKET"
)

func (c *call) writeApp(o *object, a App) {
	o.open()
	o.id("id", a.ID)
	o.text("name", a.Name)
	o.text("key", a.Key)
	o.text("type", appType)
	o.text("availability", appAvailability)
	o.text("contextPath", a.ContextPath)
	o.text("self", c.base()+"/application/applications/"+a.ID.String())
	o.begin("owner")
	o.text("self", c.base()+"/tenant/tenants/"+string(iot.Management))
	o.begin("tenant")
	o.text("id", string(iot.Management))
	o.close()
	o.close()
	if len(a.Manifest) > 0 {
		o.raw("manifest", a.Manifest)
	}
	o.close()
}

// listApps serves all collections of applications: every tenant has those that the platform hosts.
func listApps(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	if c.flag("noPaging", false) {
		p.size = maxPage
	}
	var apps []App
	for _, a := range c.s.Apps {
		if n := c.r.PathValue("name"); n != "" && n != a.Name && n != a.Key {
			continue
		}
		if !c.selects("type", appType) || !c.selects("availability", appAvailability) || !c.selects("name", a.Name) {
			continue
		}
		apps = append(apps, a)
	}
	p.total = len(apps)
	return c.collection("applicationcollection", "applications", p, func(o *object) error {
		for _, a := range cut(p, apps) {
			c.writeApp(o, a)
		}
		return nil
	})
}

// selects reports whether a list parameter is absent or has a value.
func (c *call) selects(name, value string) bool {
	wanted := c.list(name)
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

// app finds an application by id or, c8y: by context path.
func (c *call) app() (App, error) {
	key := c.r.PathValue("id")
	for _, a := range c.s.Apps {
		if a.ID.String() == key || a.ContextPath == key {
			return a, nil
		}
	}
	return App{}, fault.E(fault.Op("c8yrest.App"), fault.NotFound, "Could not find application by id : "+clip(key))
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
	manifest, err := iot.ParseDoc(a.Manifest, iot.MaxDepth)
	if err != nil {
		manifest = iot.Doc{}
	}
	var o object
	o.open()
	o.key("application")
	c.writeApp(&o, a)
	o.members(manifest.Without("application"))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
