package app

import (
	"context"

	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/governance/usage/usagesql"
	"github.com/isobar-iot/isobar/iot"
)

// startUsage starts the meter before everything that counts, so that it stops after it and writes what it was told at the end.
func startUsage(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := usagesql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	instance := "isobar"
	if hosts := p.hosts(); len(hosts) > 0 {
		instance = hosts[0]
	}
	p.usage = usage.New(usage.Deps{Store: store, Policy: p.policy, Tenants: p.tenants, Blobs: p.blobs, Clock: p.clock, Log: p.component("usage"), Reg: p.reg, Instance: instance})
	return func(context.Context) error { p.usage.Close(); return nil }, nil
}

// startGauges lets the meter measure, now that there is what it measures. It does so no more before that stops.
func startGauges(_ context.Context, p *parts) (stopFunc, error) {
	p.usage.Measure(p.gauges)
	return func(context.Context) error { p.usage.Measure(nil); return nil }, nil
}

func (p *parts) gauges(ctx context.Context, t iot.TenantID) (usage.Gauges, error) {
	census, err := p.registry.Census(ctx, t)
	if err != nil {
		return usage.Gauges{}, err
	}
	documents, err := p.db.TenantBytes(ctx, string(t))
	if err != nil {
		return usage.Gauges{}, err
	}
	files, err := p.blobs.TenantBytes(ctx, t)
	if err != nil {
		return usage.Gauges{}, err
	}
	g := usage.Gauges{Devices: census.Devices, All: census.All, Endpoints: census.Leaves, Storage: documents + files}
	if s, ok := p.series.(interface {
		TenantBytes(t iot.TenantID) (int64, error)
	}); ok {
		n, err := s.TenantBytes(t)
		if err != nil {
			return usage.Gauges{}, err
		}
		g.Storage += n
	}
	return g, nil
}
