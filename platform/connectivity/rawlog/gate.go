package rawlog

import (
	"context"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/iot"
)

// Gate puts the log behind a gate of the broker: what the inner one accepts is kept before it is acknowledged. The realm of a connection
// counts as its tenant.
func (l *Log) Gate(inner mqtt.Gate) mqtt.Gate { return gate{l, inner} }

type gate struct {
	l     *Log
	inner mqtt.Gate
}

// Connect implements mqtt.Gate.
func (g gate) Connect(ctx context.Context, req *mqtt.ConnectRequest) (mqtt.Handler, error) {
	h, err := g.inner.Connect(ctx, req)
	if err != nil {
		return nil, err
	}
	return &handler{Handler: h, l: g.l, ctx: context.WithoutCancel(ctx), client: req.ClientID, user: iot.UserName(req.User)}, nil
}

type handler struct {
	mqtt.Handler
	l      *Log
	ctx    context.Context
	client string
	user   iot.UserName
}

// Publish implements mqtt.Handler.
func (h *handler) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	t := iot.TenantID(h.Realm())
	if !h.l.Keeps(h.ctx, t) {
		h.Handler.Publish(m, done)
		return
	}
	h.Handler.Publish(m, func(v mqtt.Verdict) {
		if v.Reason.Failed() {
			done(v)
			return
		}
		h.l.Append(t, Record{Transport: "mqtt", Client: h.client, User: h.user, Topic: m.Topic, ContentType: m.ContentType, QoS: m.QoS, Payload: m.Payload}, func(err error) {
			if err != nil {
				v = mqtt.Verdict{Reason: packet.ImplementationError}
			}
			done(v)
		})
	})
}
