package app

import (
	"context"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/enterprise/directory/ldap"
	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

func startAudit(ctx context.Context, p *parts) (stopFunc, error) {
	key := auditKeyFile(p.conf.Data, p.conf.AuditKey)
	signer, err := audit.OpenKey(key)
	if err != nil {
		return nil, err
	}
	public, err := audit.PublicFiles(key)
	if err != nil {
		return nil, err
	}
	keys, err := audit.ReadKeys(public...)
	if err != nil {
		return nil, err
	}
	store, err := auditsql.New(ctx, p.db, signer)
	if err != nil {
		return nil, err
	}
	p.policy = &access.Policy{}
	p.audit, err = audit.New(ctx, audit.Deps{Store: store, Policy: p.policy, Clock: p.clock, Log: p.component("audit"), Reg: p.reg,
		Signer: signer, Trail: auditTrailFile(p.conf.Data), Keys: keys, Shared: p.conf.Postgres != ""})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { return p.audit.Close() }, nil
}

func startTenancy(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := tenancysql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	vault, err := secret.Open(filepath.Join(p.conf.Data, "keys", "secrets.key"))
	if err != nil {
		return nil, err
	}
	p.tenants, err = tenancy.New(tenancy.Deps{Store: store, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock, Log: p.component("tenancy"), Vault: vault, Hosts: p.hosts()})
	if err != nil {
		return nil, err
	}
	p.changes.Add(p.tenants.Kinds()...)
	p.checkOptions()
	if err := p.tenants.SealStored(ctx); err != nil {
		return nil, err
	}
	for _, t := range []tenancy.Tenant{{ID: iot.Management, Company: "Management", AdminName: adminUser}, {ID: iot.DefaultTenant, Company: "Main", AdminName: adminUser, Parent: iot.Management}} {
		if err := p.tenants.Ensure(ctx, t); err != nil {
			return nil, err
		}
	}
	return func(context.Context) error { p.tenants.Close(); return nil }, nil
}

// hosts are the names under which this platform is known to be reached.
func (p *parts) hosts() []string {
	out := slices.Clone(p.conf.ACME.Domains)
	if u, err := url.Parse(p.conf.Mail.PublicURL); err == nil && u.Hostname() != "" {
		out = append(out, strings.ToLower(u.Hostname()))
	}
	return out
}

// owns asks the registry, which starts later, for the directory of users.
func (p *parts) owns(ctx context.Context, t iot.TenantID, name iot.UserName) (bool, error) {
	objects, _, err := p.registry.List(ctx, iot.System(t), registry.Query{Owner: string(name), Limit: 1})
	return len(objects) > 0, err
}

// firstAdmin is the administrator that a tenant was born with.
func (p *parts) firstAdmin(ctx context.Context, t iot.TenantID) iot.UserName {
	tenant, err := p.tenants.Get(ctx, t)
	if err != nil {
		return adminUser
	}
	return iot.UserName(tenant.AdminName)
}

const (
	adminUser     = "admin"
	bootstrapUser = "devicebootstrap"
)

// startAccess also makes the first users. There is no default password: what is not given is random and shown once.
func startAccess(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := accesssql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	vault, err := secret.Open(filepath.Join(p.conf.Data, "keys", "secrets.key"))
	if err != nil {
		return nil, err
	}
	deps := access.Deps{Store: store, Sessions: store, Grants: store, Tenants: p.tenants, Audit: p.audit, Bus: p.bus, Policy: p.policy, FirstAdmin: p.firstAdmin, Clock: p.clock,
		Log: p.component("access"), Option: p.option, Owns: p.owns, Vault: vault,
		Directories: []access.Directory{p.ldap}, Providers: map[string]access.Provider{oidc.Type: p.sso.Provider(), ldap.Type: p.ldap.Provider()}}
	if err := p.conf.Mail.deliver(&deps); err != nil {
		return nil, err
	}
	p.users, err = access.New(ctx, deps)
	if err != nil {
		return nil, err
	}
	p.tenants.Serve(p.users)
	p.tenants.AddEraser("auditStubs", false, func(ctx context.Context, t iot.TenantID) (int64, error) {
		n, err := p.audit.Forget(ctx, t, audit.Old{Before: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}) // whatever time a record claims
		return int64(n), err
	})
	if p.topics, err = access.NewTopics(access.TopicDeps{Store: store, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock}); err != nil {
		p.users.Close()
		return nil, err
	}
	stop := func(context.Context) error { p.topics.Close(); p.users.Close(); return nil }
	admin := first(p.conf.AdminPassword, access.RandomPassword())
	for _, t := range []iot.TenantID{iot.Management, iot.DefaultTenant} {
		made, err := p.users.Bootstrap(ctx, t, adminUser, admin)
		if err != nil {
			return stop, err
		}
		if made && p.conf.AdminPassword == "" {
			p.fresh.admin = admin
		}
	}
	bootstrap := p.conf.BootstrapPassword
	if bootstrap == "" {
		made, err := p.users.EnsureSystemUser(ctx, iot.Management, bootstrapUser, "", "ROLE_DEVICE_BOOTSTRAP")
		p.fresh.bootstrap = made
		return stop, err
	}
	_, err = p.users.EnsureSystemUser(ctx, iot.Management, bootstrapUser, bootstrap, "ROLE_DEVICE_BOOTSTRAP")
	return stop, err
}
