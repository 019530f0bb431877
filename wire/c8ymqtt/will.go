package c8ymqtt

import (
	"context"
	"strings"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Will publishes a will that an earlier run of the server left, with the rights that its client has now.
func (g *Gate) Will(realm, clientID, user string, m *mqtt.Message, done func(mqtt.Verdict)) {
	who := strings.Split(user, "\n")
	if len(who) != 4 {
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
		return
	}
	anchor, serial, client := who[1], who[2], who[3]
	ctx, p := context.Background(), iot.Principal{Tenant: iot.TenantID(realm), User: iot.UserName(who[0])}
	p, err := g.Users.Current(ctx, p, g.Clock.Now())
	if err != nil {
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
		return
	}
	if anchor != "" {
		if ok, err := g.Anchors.Trusts(ctx, p.Tenant, anchor); err != nil || !ok {
			done(mqtt.Verdict{Reason: packet.NotAuthorized})
			return
		}
	}
	h := &handler{g: g, p: p, conn: gone{id: clientID}, serial: serial, topicID: client, anchor: anchor, since: g.Clock.Now(), ctx: ctx}
	h.begin(clientID)
	if err := h.readRules(ctx); err != nil {
		done(mqtt.Verdict{Reason: packet.ServerUnavailable})
		return
	}
	h.Publish(m, func(v mqtt.Verdict) {
		done(v)
		h.mu.Lock()
		detach := h.detach
		h.mu.Unlock()
		if detach != nil { // the device was looked up, but is not there
			detach()
		}
	})
}

// Orphaned tells that an account has gone or is disabled, so that nobody comes for its sessions. What cannot be known is no.
func (g *Gate) Orphaned(ctx context.Context, realm, owner string) bool {
	_, err := g.Users.Current(ctx, iot.Principal{Tenant: iot.TenantID(realm), User: iot.UserName(owner)}, g.Clock.Now())
	return fault.Is(err, fault.Unauthenticated)
}

// gone is the connection of a client that is not there.
type gone struct {
	mqtt.Conn
	id string
}

// ClientID implements mqtt.Conn.
func (c gone) ClientID() string { return c.id }

// Deliver implements mqtt.Conn.
func (gone) Deliver(string, []byte, byte, func(bool)) bool { return false }

// SubscribedTo implements mqtt.Conn.
func (gone) SubscribedTo(string) (byte, bool) { return 0, false }

// Close implements mqtt.Conn.
func (gone) Close(mqtt.Reason) {}
