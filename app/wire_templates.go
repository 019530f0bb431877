package app

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8ymqtt"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// startTemplates opens the collections of SmartREST templates. Lines of SmartREST 1 are requests to REST, which is there before a listener is.
func startTemplates(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	if p.collections, err = c8ymqtt.NewCollections(p.registry, p.bus); err != nil {
		return nil, err
	}
	p.smartREST, err = one.New(one.Deps{Registry: p.registry, Bus: p.bus, Clock: p.clock,
		API: func(ctx context.Context, who iot.Principal, c one.Call) one.Answer { return p.rest.Inside(ctx, who, c) }})
	if err != nil {
		p.collections.Close()
		return nil, err
	}
	return func(context.Context) error {
		p.smartREST.Close()
		p.collections.Close()
		return nil
	}, nil
}
