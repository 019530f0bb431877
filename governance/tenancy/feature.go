package tenancy

import (
	"context"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Phase is how far a feature has come.
type Phase string

// The phases. Tenants switch features of the last two themselves, the others are switched by the tenant management.
const (
	InDevelopment      Phase = "IN_DEVELOPMENT"
	PrivatePreview     Phase = "PRIVATE_PREVIEW"
	PublicPreview      Phase = "PUBLIC_PREVIEW"
	GenerallyAvailable Phase = "GENERALLY_AVAILABLE"
)

// Feature is something that can be switched per tenant.
type Feature struct {
	Key     string
	Phase   Phase
	Default bool
}

// DeviceStatistics is the feature that counts what single devices send; without it a tenant has its own figures only.
const DeviceStatistics = "statistics.devices"

// WithoutChildren is the feature that leaves the children out of managed objects unless a request asks for them; without it they are in unless it asks not to.
const WithoutChildren = "core.inventory.without.children"

// features are those of this platform, by key.
var features = []Feature{{WithoutChildren, GenerallyAvailable, true}, {DeviceStatistics, GenerallyAvailable, true}}

// Toggle is a feature as a tenant has it.
type Toggle struct {
	Feature
	Active   bool
	Override bool // the tenant differs from the default, or says the same
}

// Toggles returns the features as p's tenant has them, or only the one with a key. Everybody who is logged in may know.
func (s *Tenants) Toggles(ctx context.Context, p iot.Principal, key string) ([]Toggle, error) {
	var out []Toggle
	for _, f := range features {
		if key != "" && f.Key != key {
			continue
		}
		overrides, err := s.d.Store.Overrides(ctx, f.Key)
		if err != nil {
			return nil, sqlkit.Fault("tenancy.Toggles", err)
		}
		active, ok := overrides[p.Tenant]
		if !ok {
			active = f.Default
		}
		out = append(out, Toggle{f, active, ok})
	}
	if key != "" && len(out) == 0 {
		return nil, noFeature(key)
	}
	return out, nil
}

// Enabled reports whether a tenant has a feature, for the platform's own use. It is remembered as Cached does. What cannot be read counts as the default.
func (s *Tenants) Enabled(ctx context.Context, t iot.TenantID, key string) bool {
	i := slices.IndexFunc(features, func(f Feature) bool { return f.Key == key })
	if i < 0 {
		return false
	}
	value, set, err := s.recall(t, OptionKey{Key: key}, func() (string, bool, error) {
		overrides, err := s.d.Store.Overrides(ctx, key)
		active, ok := overrides[t]
		return strconv.FormatBool(active), ok, err
	})
	if err != nil {
		s.d.Log.Warn("read features", "tenant", t, "err", err)
	}
	if err == nil && set {
		return value == "true"
	}
	return features[i].Default
}

func noFeature(key string) error {
	return fault.E(fault.Op("tenancy.Feature"), fault.NotFound, fault.Subject(key), "no feature with this key")
}

// Overrides returns which tenants differ from the default of a feature. It needs ROLE_TENANT_MANAGEMENT_ADMIN in management.
func (s *Tenants) Overrides(ctx context.Context, p iot.Principal, key string) (map[iot.TenantID]bool, error) {
	if err := s.managementAdmin(ctx, p, access.TenantAdmin); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(features, func(f Feature) bool { return f.Key == key }) {
		return nil, noFeature(key)
	}
	out, err := s.d.Store.Overrides(ctx, key)
	return out, sqlkit.Fault("tenancy.Overrides", err)
}

func (s *Tenants) managementAdmin(ctx context.Context, p iot.Principal, f access.Family) error {
	if err := s.d.Policy.Check(ctx, p, f, access.Admin, access.Object{}); err != nil {
		return err
	}
	if p.Tenant != iot.Management {
		return fault.E(fault.Op("tenancy.Management"), fault.Denied, "only members of the tenant management may do this")
	}
	return nil
}

// SetFeature switches a feature for a tenant; nil: as the default is. For p's own tenant it needs ROLE_TENANT_MANAGEMENT_ADMIN, and a feature
// that tenants may switch or management; for others management.
func (s *Tenants) SetFeature(ctx context.Context, p iot.Principal, t iot.TenantID, key string, active *bool) error {
	const op = fault.Op("tenancy.SetFeature")
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Admin, access.Object{}); err != nil {
		return err
	}
	i := slices.IndexFunc(features, func(f Feature) bool { return f.Key == key })
	switch {
	case p.Tenant != iot.Management && t != p.Tenant:
		return fault.E(op, fault.Denied, "only the tenant management switches features of other tenants")
	case i < 0:
		return noFeature(key)
	case p.Tenant != iot.Management && features[i].Phase != PublicPreview && features[i].Phase != GenerallyAvailable:
		return fault.E(op, fault.Denied, "only the tenant management switches this feature")
	}
	if _, err := s.Get(ctx, t); err != nil {
		return err
	}
	if err := s.d.Store.SetOverride(ctx, t, key, active); err != nil {
		return sqlkit.Fault(op, err)
	}
	s.resettle(t)
	state := "default"
	if active != nil {
		state = map[bool]string{true: "on", false: "off"}[*active]
	}
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Tenant", Activity: "Feature switched", Text: "Feature '" + key + "' of tenant '" + string(t) + "': " + state})
	return nil
}

// RestrictedRoles returns the permissions that no microservice of a tenant may ask for.
func (s *Tenants) RestrictedRoles(ctx context.Context, p iot.Principal, id iot.TenantID) ([]string, error) {
	if err := s.mayRestrict(ctx, p, access.Read); err != nil {
		return nil, err
	}
	t, err := s.reach(ctx, p, id, true)
	return t.Restricted, err
}

// Restrict replaces the permissions that no microservice of a tenant may ask for: of p's own or of one that p manages, with the permission to
// update tenants or ROLE_TENANT_ADMIN. change gets the present ones; the roles must exist.
func (s *Tenants) Restrict(ctx context.Context, p iot.Principal, id iot.TenantID, change func(now []string) ([]string, error)) (Tenant, error) {
	const op = fault.Op("tenancy.Restrict")
	if err := s.mayRestrict(ctx, p, access.Update); err != nil {
		return Tenant{}, err
	}
	before, err := s.reach(ctx, p, id, true)
	if err != nil {
		return before, err
	}
	t := before
	if t.Restricted, err = change(slices.Clone(before.Restricted)); err != nil {
		return t, err
	}
	slices.Sort(t.Restricted)
	t.Restricted = slices.Compact(t.Restricted)
	known := access.Roles()
	for _, r := range t.Restricted {
		if !slices.Contains(known, r) {
			return t, fault.Errorf(op, fault.Invalid, "there is no role %.100q", r)
		}
	}
	if err := s.d.Store.PutTenant(ctx, t, false, s.revision(p)); err != nil {
		return t, sqlkit.Fault(op, err)
	}
	s.published(id)
	s.record(ctx, p, "Tenant updated", id, before, t)
	return t, nil
}

func (s *Tenants) mayRestrict(ctx context.Context, p iot.Principal, l access.Level) error {
	if p.Has("ROLE_TENANT_ADMIN") {
		return nil
	}
	return s.d.Policy.Check(ctx, p, access.TenantAdmin, l, access.Object{})
}
