package c8yrest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
)

// featureRoutes are features, and what the tenant management or a parent says about a tenant.
func featureRoutes() []Route {
	const f, roles = "/features/{feature}", "/tenant/tenants/{tenant}/applications/restricted-roles"
	return []Route{
		get(f, getFeature), get(f+"/by-tenant", featureTenants), put(f+"/by-tenant", setFeature), del(f+"/by-tenant", unsetFeature),
		put(f+"/by-tenant/{tenant}", setFeature), del(f+"/by-tenant/{tenant}", unsetFeature),
		get(roles, restrictedRoles), put(roles, setRestrictedRoles), post(roles+"/{role}", addRestrictedRole), del(roles+"/{role}", removeRestrictedRole),
		put("/tenant/options/{category}/{key}/editable", setEditable), put("/tenant/loginOptions/{id}/restrict", restrictLogin),
		get("/tenant/security-options/{category}/{key}", getSecurityOption),
	}
}

func writeFeature(o *object, x tenancy.Toggle) {
	o.open()
	o.text("key", x.Key)
	o.text("phase", string(x.Phase))
	o.bool("active", x.Active)
	o.text("strategy", map[bool]string{true: "TENANT", false: "DEFAULT"}[x.Override])
	o.close()
}

// features is c8y: a bare array.
func features(c *call) error {
	all, err := c.s.Tenants.Toggles(c.ctx, c.p, "")
	if err != nil {
		return err
	}
	o := object{b: []byte{'['}}
	for _, x := range all {
		writeFeature(&o, x)
	}
	return c.json(http.StatusOK, "", append(o.b, ']'))
}

func getFeature(c *call) error {
	found, err := c.s.Tenants.Toggles(c.ctx, c.p, c.r.PathValue("feature"))
	if err != nil {
		return err
	}
	var o object
	writeFeature(&o, found[0])
	return c.json(http.StatusOK, "", o.b)
}

func featureTenants(c *call) error {
	all, err := c.s.Tenants.Overrides(c.ctx, c.p, c.r.PathValue("feature"))
	if err != nil {
		return err
	}
	o := object{b: []byte{'['}}
	for _, t := range slices.Sorted(maps.Keys(all)) {
		o.open()
		o.text("tenantId", string(t))
		o.bool("active", all[t])
		o.close()
	}
	return c.json(http.StatusOK, "", append(o.b, ']'))
}

// featureTenant is the tenant in the path, or the caller's own.
func (c *call) featureTenant() iot.TenantID {
	if t := c.r.PathValue("tenant"); t != "" {
		return iot.TenantID(t)
	}
	return c.p.Tenant
}

// boolOf reads a member that must be there and be true or false.
func boolOf(d iot.Doc, name string) (v bool, err error) {
	raw := d.Get(name)
	if raw == nil {
		return false, missing(name)
	}
	if json.Unmarshal(raw, &v) != nil || iot.IsNull(raw) {
		return false, fault.E(fault.Op("c8yrest.Bool"), fault.Invalid, name+" must be true or false")
	}
	return v, nil
}

func setFeature(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	active, err := boolOf(d, "active")
	if err != nil {
		return err
	}
	return c.empty(c.s.Tenants.SetFeature(c.ctx, c.p, c.featureTenant(), c.r.PathValue("feature"), &active))
}

func unsetFeature(c *call) error {
	return c.empty(c.s.Tenants.SetFeature(c.ctx, c.p, c.featureTenant(), c.r.PathValue("feature"), nil))
}

// empty answers 200 without a body.
func (c *call) empty(err error) error {
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Length", "0")
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func restrictedRoles(c *call) error {
	roles, err := c.s.Tenants.RestrictedRoles(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant")))
	if err != nil {
		return err
	}
	o := object{b: []byte{'['}}
	for _, r := range roles {
		o.item(iot.AppendText(nil, r))
	}
	return c.json(http.StatusOK, "", append(o.b, ']'))
}

func (c *call) restrictRoles(change func(now []string) ([]string, error)) error {
	t, err := c.s.Applications.Restrict(c.ctx, c.p, iot.TenantID(c.r.PathValue("tenant")), change)
	if err != nil {
		return err
	}
	var o object
	c.writeTenant(&o, t)
	return c.json(http.StatusOK, "tenant", o.b)
}

func setRestrictedRoles(c *call) error {
	b, err := c.jsonBody()
	if err != nil {
		return err
	}
	var roles []string
	if json.Unmarshal(b, &roles) != nil || roles == nil {
		return fault.E(fault.Op("c8yrest.RestrictedRoles"), fault.Invalid, "the body must be a list of the names of roles")
	}
	return c.restrictRoles(func([]string) ([]string, error) { return roles, nil })
}

func addRestrictedRole(c *call) error {
	return c.restrictRoles(func(now []string) ([]string, error) { return append(now, c.r.PathValue("role")), nil })
}

func removeRestrictedRole(c *call) error {
	role := c.r.PathValue("role")
	return c.restrictRoles(func(now []string) ([]string, error) {
		i := slices.Index(now, role)
		if i < 0 {
			return nil, fault.E(fault.Op("c8yrest.RestrictedRoles"), fault.NotFound, fault.Subject(role), "the role is not restricted")
		}
		return slices.Delete(now, i, i+1), nil
	})
}

// targetTenant is the tenant that a member of management means.
func (c *call) targetTenant() iot.TenantID {
	if t := c.query.Get("targetTenant"); t != "" {
		return iot.TenantID(t)
	}
	return c.p.Tenant
}

func setEditable(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	editable, err := boolOf(d, "editable")
	if err != nil {
		return err
	}
	return c.empty(c.s.Tenants.SetEditable(c.ctx, c.p, c.targetTenant(), c.optionKey(), editable))
}

func restrictLogin(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	only, err := boolOf(d, "onlyManagementTenantAccess")
	if err != nil {
		return err
	}
	return c.answerLoginOption(c.s.Users.RestrictLoginOption(c.ctx, c.p, c.targetTenant(), c.r.PathValue("id"), only))
}
