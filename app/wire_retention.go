package app

import (
	"context"
	"sync"

	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/retention/retentionsql"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/audit"
)

// startRetention runs the rules of retention.
func startRetention(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := retentionsql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.retention = retention.New(retention.Deps{Store: store, Policy: p.policy, Audit: p.audit, Clock: p.clock, Log: p.component("retention"), Keepers: p.keepers(), Tenants: p.tenantIDs,
		FirstAge: p.conf.RetentionDays, Option: func(ctx context.Context, t iot.TenantID, category, key string) (string, error) {
			value, _, err := p.tenants.Lookup(ctx, t, tenancy.OptionKey{Category: category, Key: key})
			return value, err
		}})
	p.tenants.AddFounder(p.retention.Found)
	run, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.retention.Run(run) })
	return func(context.Context) error {
		cancel()
		p.retention.Close()
		running.Wait()
		return nil
	}, nil
}

// keeper lets retention ask a component.
type keeper struct {
	count  func(ctx context.Context, t iot.TenantID, q retention.Query) (retention.Found, error)
	remove func(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error)
}

func (k keeper) Count(ctx context.Context, t iot.TenantID, q retention.Query) (retention.Found, error) {
	return k.count(ctx, t, q)
}

func (k keeper) Remove(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error) {
	return k.remove(ctx, t, q)
}

func (p *parts) keepers() map[retention.DataType]retention.Keeper {
	type of = func(context.Context, iot.TenantID, telemetry.RetentionQuery) (telemetry.Held, error)
	type gone = func(context.Context, iot.TenantID, telemetry.RetentionQuery) (int64, error)
	data := func(held of, retain gone) retention.Keeper {
		query := func(q retention.Query) telemetry.RetentionQuery {
			return telemetry.RetentionQuery{Before: q.Before, Source: q.Source, Type: q.Type, Fragment: q.Fragment, Except: q.Except}
		}
		return keeper{func(ctx context.Context, t iot.TenantID, q retention.Query) (retention.Found, error) {
			h, err := held(ctx, t, query(q))
			return retention.Found{Documents: h.Documents, Devices: h.Sources, Bytes: h.Bytes, More: h.More}, err
		}, func(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error) {
			return retain(ctx, t, query(q))
		}}
	}
	old := func(q retention.Query) devicemgmt.Old {
		return devicemgmt.Old{Before: q.Before, Device: q.Source, Fragment: q.Fragment, Except: q.Except}
	}
	records := func(q retention.Query) audit.Old {
		return audit.Old{Before: q.Before, Source: q.Source, Type: q.Type, Except: q.Except}
	}
	return map[retention.DataType]retention.Keeper{
		retention.Measurements: data(p.telemetry.HeldMeasurements, p.telemetry.Retain),
		retention.Events:       data(p.telemetry.HeldEvents, p.telemetry.RetainEvents),
		retention.Alarms:       data(p.telemetry.HeldAlarms, p.telemetry.RetainAlarms),
		retention.Operations: keeper{func(ctx context.Context, t iot.TenantID, q retention.Query) (retention.Found, error) {
			h, err := p.operations.Held(ctx, t, old(q))
			return retention.Found{Documents: h.Documents, Devices: h.Devices, Bytes: h.Bytes}, err
		}, func(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error) {
			return p.operations.Retain(ctx, t, old(q))
		}},
		retention.BulkOperations: keeper{func(ctx context.Context, t iot.TenantID, q retention.Query) (retention.Found, error) {
			h, err := p.bulks.HeldBulks(ctx, t, old(q))
			return retention.Found{Documents: h.Documents, Devices: h.Devices, Bytes: h.Bytes}, err
		}, func(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error) {
			return p.bulks.RetainBulks(ctx, t, old(q))
		}},
		retention.AuditRecords: keeper{func(ctx context.Context, t iot.TenantID, q retention.Query) (f retention.Found, err error) {
			f.Documents, f.Devices, f.Bytes, err = p.audit.Held(ctx, t, records(q))
			return f, err
		}, func(ctx context.Context, t iot.TenantID, q retention.Query) (int64, error) {
			n, err := p.audit.Forget(ctx, t, records(q))
			return int64(n), err
		}},
	}
}
