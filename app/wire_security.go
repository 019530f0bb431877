package app

import (
	"context"

	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

func startAudit(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := auditsql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.policy = &access.Policy{}
	p.audit = audit.New(audit.Deps{Store: store, Policy: p.policy, Clock: p.clock, Log: p.component("audit"), Reg: p.reg})
	return nil, nil
}

func startTenancy(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := tenancysql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.tenants, err = tenancy.New(tenancy.Deps{Store: store, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock, Log: p.component("tenancy")})
	if err != nil {
		return nil, err
	}
	for _, t := range []tenancy.Tenant{{ID: iot.Management, Company: "Management", AdminName: adminUser}, {ID: iot.DefaultTenant, Company: "Main", AdminName: adminUser, Parent: iot.Management}} {
		if err := p.tenants.Ensure(ctx, t); err != nil {
			return nil, err
		}
	}
	return func(context.Context) error { p.tenants.Close(); return nil }, nil
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
	p.users, err = access.New(ctx, access.Deps{Store: store, Sessions: store, Tenants: p.tenants, Audit: p.audit, Bus: p.bus, Policy: p.policy, FirstAdmin: adminUser, Clock: p.clock, Log: p.component("access")})
	if err != nil {
		return nil, err
	}
	stop := func(context.Context) error { p.users.Close(); return nil }
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
