package applogic

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// restrictedRoles are the permissions that a tenant keeps from microservices.
type restrictedRoles []string

func (s *Apps) restricted(ctx context.Context, t iot.TenantID) (restrictedRoles, error) {
	tenant, err := s.d.Tenants.Get(ctx, t)
	return tenant.Restricted, err
}

// mayHold returns a fault if a tenant keeps one of the roles from a service that is new to it.
func (s *Apps) mayHold(ctx context.Context, t iot.TenantID, roles []string) error {
	r, err := s.restricted(ctx, t)
	if err != nil {
		return err
	}
	return r.refuse(roles, nil)
}

// refuse returns a fault if a service that had some roles now wants one that is restricted. What it had before the restriction does not hinder
// other changes: it has no effect.
func (r restrictedRoles) refuse(want, had []string) error {
	for _, role := range want {
		if slices.Contains(r, role) && !slices.Contains(had, role) {
			return fault.E(fault.Op("applogic.Restricted"), fault.Denied, fault.Subject(role),
				"the tenant keeps the role "+role+" from microservices: take it from requiredRoles, or from the tenant's restricted roles")
		}
	}
	return nil
}

func (r restrictedRoles) without(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool { return slices.Contains(r, role) })
}

// Restrict replaces the permissions that no microservice may hold in a tenant, as Tenants.Restrict does, and takes them from the accounts of those
// that are subscribed; what is restricted no longer they get back.
func (s *Apps) Restrict(ctx context.Context, p iot.Principal, t iot.TenantID, change func(now []string) ([]string, error)) (tenancy.Tenant, error) {
	tenant, err := s.d.Tenants.Restrict(ctx, p, t, change)
	if err != nil {
		return tenant, err
	}
	had, err := s.d.Store.Subscriptions(ctx, t)
	if err != nil {
		return tenant, sqlkit.Fault("applogic.Restrict", err)
	}
	for _, x := range had {
		a, err := s.d.Store.App(ctx, x.Owner, x.App)
		if err == nil && a.Type == Microservice {
			err = s.grant(ctx, t, a, "")
		}
		if err != nil {
			return tenant, sqlkit.Fault("applogic.Restrict", err)
		}
	}
	return tenant, nil
}
