package app

import (
	"context"

	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/exchange/exchangesql"
)

func startExchange(ctx context.Context, p *parts) (stopFunc, error) {
	store, err := exchangesql.New(ctx, p.db)
	if err != nil {
		return nil, err
	}
	p.exchange, err = exchange.New(ctx, exchange.Deps{Store: store, Registry: p.registry, Telemetry: p.telemetry, Policy: p.policy, Audit: p.audit, Signer: p.users,
		Bus: p.bus, Clock: p.clock, Log: p.component("exchange"), Reg: p.reg, Sole: p.conf.Postgres == ""})
	if err != nil {
		return nil, err
	}
	p.tenants.AddEraser("notificationTopics", false, p.exchange.Erase)
	return func(context.Context) error { p.exchange.Close(); return nil }, nil
}
