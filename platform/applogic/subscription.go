package applogic

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

func (a App) bootstrapUser() iot.UserName {
	return iot.UserName(access.ServiceBootstrapPrefix + a.Name)
}
func (a App) serviceUser() iot.UserName { return iot.UserName(access.ServicePrefix + a.Name) }

func (s *Apps) seal(password string, t iot.TenantID, id iot.ID) string {
	return s.d.Vault.Seal([]byte(password), "application", string(t), id.String())
}

func (s *Apps) unseal(sealed string, t iot.TenantID, id iot.ID) (string, error) {
	b, err := s.d.Vault.Open(sealed, "application", string(t), id.String())
	if err != nil {
		return "", fault.E(fault.Op("applogic.Unseal"), fault.Corrupt, err)
	}
	return string(b), nil
}

// Credentials open an account of a service.
type Credentials struct {
	Tenant   iot.TenantID
	User     iot.UserName
	Password string
}

// subscribable returns p's right to change what a tenant is subscribed to: its own needs ROLE_APPLICATION_MANAGEMENT_ADMIN, one below it
// ROLE_TENANT_MANAGEMENT_UPDATE.
func (s *Apps) subscribable(ctx context.Context, p iot.Principal, t iot.TenantID) error {
	if t == p.Tenant {
		return s.d.Policy.Check(ctx, p, access.Application, access.Admin, access.Object{})
	}
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Update, access.Object{}); err != nil {
		return err
	}
	tenant, err := s.d.Tenants.Get(ctx, t)
	if err == nil && (tenant.Parent != p.Tenant && p.Tenant != iot.Management || tenant.Status == tenancy.Deleting) {
		err = fault.E(fault.Op("applogic.Subscribe"), fault.NotFound, fault.Subject(t), "no tenant with this id")
	}
	return err
}

// Subscribed returns the applications that a tenant is subscribed to, and those that it owns. It needs the permission to read tenants, or for p's own
// tenant to read applications.
func (s *Apps) Subscribed(ctx context.Context, p iot.Principal, t iot.TenantID) ([]App, error) {
	if t == p.Tenant && s.d.Policy.Check(ctx, p, access.Application, access.Read, access.Object{}) == nil {
		return s.of(ctx, t)
	}
	if _, err := s.d.Tenants.Managed(ctx, p, t); err != nil {
		return nil, err
	}
	return s.of(ctx, t)
}

// Subscribe gives a tenant an application.
func (s *Apps) Subscribe(ctx context.Context, p iot.Principal, t iot.TenantID, key string) (App, error) {
	const op = fault.Op("applogic.Subscribe")
	if err := s.subscribable(ctx, p, t); err != nil {
		return App{}, err
	}
	a, err := s.Get(ctx, p, key)
	switch {
	case err != nil:
		return App{}, err
	case a.ID == s.d.Home.ID:
		return App{}, fault.E(op, fault.Exists, "every tenant has this application")
	case t != p.Tenant && a.Owner != p.Tenant && a.Availability == Private:
		return App{}, fault.E(op, fault.Denied, "the application is private to the tenant "+string(a.Owner))
	}
	x := Subscription{Tenant: t, Owner: a.Owner, App: a.ID}
	password := access.RandomPassword()
	if a.Type == Microservice {
		if err := s.soleName(ctx, t, a); err != nil {
			return App{}, err
		}
		if err := s.mayHold(ctx, t, a.RequiredRoles); err != nil {
			return App{}, err
		}
		x.Secret = s.seal(password, t, a.ID)
	}
	if err := s.d.Store.Subscribe(ctx, x); err != nil {
		if sqlkit.IsUnique(err) {
			return App{}, fault.E(op, fault.Exists, "the tenant "+string(t)+" is already subscribed to the application")
		}
		return App{}, sqlkit.Fault(op, err)
	}
	if a.Type == Microservice {
		if err := s.grant(ctx, t, a, password); err != nil { // which reads again what is restricted: who restricts it now finds the subscription
			return App{}, err
		}
	}
	s.audit(ctx, p, a, "Application subscribed by tenant "+string(t))
	s.publish(t, iot.Updated, a.ID)
	return a, nil
}

// soleName refuses a second service of the same name in a tenant: both would use one account.
func (s *Apps) soleName(ctx context.Context, t iot.TenantID, a App) error {
	had, err := s.d.Store.Subscriptions(ctx, t)
	if err != nil {
		return sqlkit.Fault("applogic.Subscribe", err)
	}
	for _, x := range had {
		other, err := s.d.Store.App(ctx, x.Owner, x.App)
		if err == nil && other.ID != a.ID && other.Type == Microservice && other.Name == a.Name {
			return fault.E(fault.Op("applogic.Subscribe"), fault.Conflict, "the tenant is subscribed to another microservice with the name "+a.Name)
		}
	}
	return nil
}

// Unsubscribe takes an application from a tenant, and deletes the account of the service there.
func (s *Apps) Unsubscribe(ctx context.Context, p iot.Principal, t iot.TenantID, key string) error {
	const op = fault.Op("applogic.Unsubscribe")
	if err := s.subscribable(ctx, p, t); err != nil {
		return err
	}
	id, ok := iot.ParseID(key)
	if !ok {
		return missing(key)
	}
	x, err := s.d.Store.Unsubscribe(ctx, t, id)
	if errors.Is(err, sql.ErrNoRows) {
		return fault.E(op, fault.NotFound, "the tenant "+string(t)+" is not subscribed to the application "+key)
	}
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	a, err := s.d.Store.App(ctx, x.Owner, x.App)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	if a.Type == Microservice {
		if err := s.d.Users.RemoveServiceAccount(ctx, t, a.serviceUser()); err != nil {
			return err
		}
	}
	s.audit(ctx, p, a, "Application unsubscribed by tenant "+string(t))
	s.publish(t, iot.Updated, a.ID)
	return nil
}

// grantAll gives the accounts of a service in all tenants the permissions that its manifest names now.
func (s *Apps) grantAll(ctx context.Context, a App) error {
	all, err := s.d.Store.Subscribers(ctx, a.Owner, a.ID)
	if err != nil {
		return sqlkit.Fault("applogic.Grant", err)
	}
	for _, x := range all {
		if err := s.grant(ctx, x.Tenant, a, ""); err != nil {
			return err
		}
	}
	return nil
}

// grant gives the account of a service in a tenant the permissions that its manifest names, without those that the tenant keeps from services, and the
// password unless it is empty.
func (s *Apps) grant(ctx context.Context, t iot.TenantID, a App, password string) error {
	restricted, err := s.restricted(ctx, t)
	if err != nil {
		return err
	}
	return s.d.Users.ServiceAccount(ctx, t, a.serviceUser(), password, restricted.without(a.RequiredRoles))
}

// BootstrapUser returns the account with which a microservice learns who is subscribed. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN.
func (s *Apps) BootstrapUser(ctx context.Context, p iot.Principal, key string) (Credentials, error) {
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return Credentials{}, err
	}
	if a.Type != Microservice {
		return Credentials{}, fault.E(fault.Op("applogic.BootstrapUser"), fault.Malformed, "only microservices have a bootstrap user")
	}
	password, err := s.unseal(a.Bootstrap, a.Owner, a.ID)
	return Credentials{a.Owner, a.bootstrapUser(), password}, err
}

// Current returns the microservice that p is the bootstrap account of; with service, also the one that p is the account of in its tenant.
func (s *Apps) Current(ctx context.Context, p iot.Principal, service bool) (App, error) {
	apps, err := s.of(ctx, p.Tenant)
	if err != nil {
		return App{}, err
	}
	name, bootstrap := strings.CutPrefix(string(p.User), access.ServiceBootstrapPrefix)
	i := slices.IndexFunc(apps, func(a App) bool {
		return a.Type == Microservice && (bootstrap && a.Owner == p.Tenant && a.Name == name || service && a.serviceUser() == p.User)
	})
	if i < 0 {
		return App{}, fault.E(fault.Op("applogic.Current"), fault.Denied, "Access is denied. This is for the accounts of microservices")
	}
	return apps[i], nil
}

// UpdateCurrent lets a microservice change its own application.
func (s *Apps) UpdateCurrent(ctx context.Context, p iot.Principal, change func(*App) error) (App, error) {
	a, err := s.Current(ctx, p, false)
	if err != nil {
		return App{}, err
	}
	return s.update(ctx, p, a, "Application updated", func(now *App) error {
		roles, required, to := now.Roles, now.RequiredRoles, now.ExternalURL
		err := change(now)
		if err == nil && (!slices.Equal(roles, now.Roles) || !slices.Equal(required, now.RequiredRoles) || to != now.ExternalURL) {
			err = fault.E(fault.Op("applogic.UpdateCurrent"), fault.Denied, "a microservice cannot change its own permissions and address")
		}
		return err
	})
}

// Accounts returns the accounts of the microservice that p is the bootstrap account of, one for each tenant that is subscribed.
func (s *Apps) Accounts(ctx context.Context, p iot.Principal) ([]Credentials, error) {
	a, err := s.Current(ctx, p, false)
	if err != nil {
		return nil, err
	}
	all, err := s.d.Store.Subscribers(ctx, a.Owner, a.ID)
	if err != nil {
		return nil, sqlkit.Fault("applogic.Accounts", err)
	}
	out := make([]Credentials, 0, len(all))
	for _, x := range all {
		if s.d.Tenants.Active(ctx, x.Tenant) != nil {
			continue
		}
		password, err := s.unseal(x.Secret, x.Tenant, a.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Credentials{x.Tenant, a.serviceUser(), password})
	}
	return out, nil
}

// Settings returns the settings of a microservice in p's tenant: the options of its category, and the defaults of the manifest.
func (s *Apps) Settings(ctx context.Context, p iot.Principal) (map[string]string, error) {
	a, err := s.Current(ctx, p, true)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(a.Manifest)
	if err != nil {
		return nil, err
	}
	category := m.SettingsCategory
	if category == "" {
		category = a.ContextPath
	}
	out := map[string]string{}
	for _, x := range m.Settings {
		out[x.Key] = s.d.Tenants.Value(ctx, p.Tenant, tenancy.OptionKey{Category: category, Key: x.Key}, x.Default)
	}
	return out, nil
}
