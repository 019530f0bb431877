package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionpebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/platform/apimgmt/apimgmtsql"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/identity/identitysql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/wire/c8ymqtt"
)

func (p *parts) component(name string) *slog.Logger { return p.log.With("component", name) }

func startRegistry(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := registrysql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.registry, err = registry.NewRegistry(registry.Deps{Store: store, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock, Log: p.component("registry"), Usage: p.usage, Knows: p.users.Knows})
	if err != nil {
		return nil, err
	}
	p.changes.Add(p.registry.Kinds()...)
	return func(context.Context) error { p.registry.Close(); return nil }, nil
}

func startAPIManagement(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := apimgmtsql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.api = apimgmt.New(apimgmt.Deps{Store: store, Users: p.users, Policy: p.policy, Audit: p.audit, Clock: p.clock, Log: p.component("apimgmt")})
	return p.api.Close, nil
}

// option reads a tenant's option for components that know of no tenants.
func (p *parts) option(ctx context.Context, t iot.TenantID, category, key string) (string, bool) {
	const none = "\x00"
	v := p.tenants.Value(ctx, t, tenancy.OptionKey{Category: category, Key: key}, none)
	return v, v != none
}

func startTelemetry(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := telemetrysql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.telemetry, err = telemetry.New(telemetry.Deps{Series: p.series, Store: store, Blobs: p.blobs, Registry: p.registry, Policy: p.policy, Audit: p.audit,
		Bus: p.bus, Clock: p.clock, Log: p.component("telemetry"), Reg: p.reg, Option: p.option, Usage: p.usage})
	if err != nil {
		return nil, err
	}
	p.changes.Add(p.telemetry.Kinds()...)
	p.tenants.AddEraser("series", true, func(ctx context.Context, t iot.TenantID) (int64, error) {
		infos, err := p.series.Catalog(ctx, t, 0)
		if err != nil {
			return 0, err
		}
		return int64(len(infos)), p.series.DropTenant(ctx, t)
	})
	p.tenants.AddEraser("fileBytes", true, p.blobs.DropTenant)
	return func(context.Context) error { p.telemetry.Close(); return nil }, nil
}

func startDeviceManagement(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := devicemgmtsql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.operations = devicemgmt.New(devicemgmt.Deps{Store: store, Registry: p.registry, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock, Log: p.component("devicemgmt"), Usage: p.usage})
	p.changes.Add(p.operations.Kinds()...)
	p.bulks = devicemgmt.NewBulks(devicemgmt.BulkDeps{Operations: p.operations, Store: store, Active: p.tenants.Active})
	return nil, nil
}

func startIdentity(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := identitysql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.registrations = identity.New(identity.Deps{Store: store, Users: p.users, Registry: p.registry, Policy: p.policy, Audit: p.audit, Clock: p.clock,
		Log: p.component("identity"), Active: p.tenants.Active, Option: p.option})
	vault, err := secret.Open(filepath.Join(p.conf.Data, "keys", "secrets.key"))
	if err != nil {
		return nil, err
	}
	p.anchors, err = identity.NewAnchors(identity.AnchorDeps{Store: store.Anchors(), Registrations: store, Vault: vault, Users: p.users, Policy: p.policy, Audit: p.audit, Bus: p.bus, Clock: p.clock,
		Log: p.component("identity"), Option: p.option})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { p.anchors.Close(); return nil }, nil
}

// startBulk creates the operations of bulk operations when they are due, once devices can be told.
func startBulk(_ context.Context, p *parts) (stopFunc, error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.bulks.Run(ctx) })
	return func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	}, nil
}

// tenantIDs lists all tenants for the platform itself.
func (p *parts) tenantIDs(ctx context.Context) (ids []iot.TenantID, err error) {
	all, err := p.tenants.List(ctx, iot.System(iot.Management))
	for _, t := range all {
		ids = append(ids, t.ID)
	}
	return ids, err
}

func startConnectivity(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	p.connectivity, err = connectivity.New(connectivity.Deps{Users: p.users, Registry: p.registry, Telemetry: p.telemetry, Operations: p.operations, Bus: p.bus,
		Group: p.registrations.GroupOf, Tenants: p.tenantIDs, Sole: p.conf.NATS == "", Clock: p.clock, Log: p.component("connectivity"), Reg: p.reg})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { p.connectivity.Close(); return nil }, nil
}

// startRawLog opens what keeps publications as they came in. It lies in the data folder also with PostgreSQL: every node keeps its own.
func startRawLog(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	p.rawlog, err = rawlog.Open(filepath.Join(p.conf.Data, rawName), p.pebbleOptions(),
		rawlog.Deps{Clock: p.clock, Log: p.component("rawlog"), Reg: p.reg, Option: p.option})
	if err != nil {
		return nil, err
	}
	p.tenants.AddEraser("rawBytes", false, p.rawlog.DropTenant)
	return func(context.Context) error { return p.rawlog.Close() }, nil
}

func startBroker(ctx context.Context, p *parts) (stopFunc, error) {
	var err error
	if p.sessions, err = openSessions(p); err != nil {
		return nil, err
	}
	gate := c8ymqtt.New(c8ymqtt.Deps{Users: p.users, Registry: p.registry, Telemetry: p.telemetry, Operations: p.operations, Registrations: p.registrations,
		Anchors: p.anchors, Topics: p.topics, Connectivity: p.connectivity, Collections: p.collections, One: p.smartREST, Clock: p.clock, Log: p.component("mqtt"), Version: Version, Usage: p.usage, Room: p.disk.Room})
	p.broker, err = mqtt.New(mqtt.Config{Gate: p.limits.Gate(p.rawlog.Gate(gate)), Store: sessionpebble.New(p.sessions, []byte(sessionPrefix)), Log: p.component("mqtt"), Metrics: p.reg,
		Room: p.disk.Room, Will: gate.Will, Orphaned: gate.Orphaned, ResponsePrefix: "responses/"})
	if err != nil {
		return nil, err
	}
	unwatch, err := gate.Watch()
	if err != nil {
		return nil, err
	}
	ids, err := p.tenantIDs(ctx)
	if err != nil {
		unwatch()
		return nil, err
	}
	loading, stopLoading := context.WithCancel(context.WithoutCancel(ctx))
	var loaders sync.WaitGroup
	loaders.Go(func() { // what became due while the platform was down must not wait for the first client of its tenant
		for _, t := range ids {
			if loading.Err() != nil {
				return
			}
			if err := p.broker.Load(loading, string(t)); err != nil {
				p.log.Error("sessions of a tenant cannot be read", "tenant", t, "err", err)
			}
		}
	})
	p.tenants.AddEraser("mqttRealms", false, func(ctx context.Context, t iot.TenantID) (int64, error) { return 1, p.broker.Erase(ctx, string(t)) })
	deaf, err := p.bus.Subscribe(bus.All("tenant"), func(t iot.TenantID, _ string, _ []byte) { // deleted, on whichever node
		if _, err := p.tenants.Get(context.Background(), t); fault.Is(err, fault.NotFound) {
			if err := p.broker.Erase(context.Background(), string(t)); err != nil {
				p.log.Error("sessions of a deleted tenant stay", "tenant", t, "err", err)
			}
		}
	})
	if err != nil {
		stopLoading()
		loaders.Wait()
		unwatch()
		return nil, err
	}
	return func(ctx context.Context) error {
		stopLoading()
		loaders.Wait()
		deaf()
		unwatch()
		err := p.broker.Shutdown(ctx)
		if closed := p.sessions.Close(); err == nil {
			err = closed
		}
		return err
	}, nil
}
