package c8ymqtt

import (
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Watch ends connections as soon as their user is deleted, disabled, given another password or other rights, on whichever node that happens.
// A client whose rights changed connects again and has the new ones.
// So it is when the trust anchor that vouched for a client's certificate is deleted or disabled.
func (g *Gate) Watch() (stop func(), err error) {
	var stops []func()
	end := func() {
		for _, f := range stops {
			f()
		}
	}
	watches := []func() (func(), error){func() (func(), error) { return g.Users.Watch(g.recheck) }}
	if g.Topics != nil {
		watches = append(watches, func() (func(), error) {
			return g.Topics.Watch(func(t iot.TenantID) { g.look(func(h *handler) bool { return h.p.Tenant == t }) })
		})
	}
	if g.Anchors != nil {
		watches = append(watches, func() (func(), error) {
			return g.Anchors.Watch(func(t iot.TenantID) { g.look(func(h *handler) bool { return h.p.Tenant == t && h.anchor != "" }) })
		})
	}
	for _, watch := range watches {
		f, err := watch()
		if err != nil {
			end()
			return nil, err
		}
		stops = append(stops, f)
	}
	return end, nil
}

// enter adds a connection that was let in at a time. If a user changed while it was being let in, it is looked at again.
func (g *Gate) enter(h *handler, since time.Time, seen uint64) {
	g.mu.Lock()
	g.live[h] = since
	missed := g.changes != seen
	g.mu.Unlock()
	if missed {
		g.verify([]*handler{h})
	}
}

func (g *Gate) leave(h *handler) {
	g.mu.Lock()
	delete(g.live, h)
	g.mu.Unlock()
}

// recheck looks at the connections of a user, or of all users of a tenant if name is empty.
func (g *Gate) recheck(t iot.TenantID, name iot.UserName) {
	g.look(func(h *handler) bool { return h.p.Tenant == t && (name == "" || h.p.User == name) })
}

// look verifies the connections that are suspect. Who is being let in just now is looked at by enter.
func (g *Gate) look(suspect func(*handler) bool) {
	g.mu.Lock()
	g.changes++
	var suspects []*handler
	for h := range g.live {
		if suspect(h) {
			suspects = append(suspects, h)
		}
	}
	g.mu.Unlock()
	g.verify(suspects)
}

func (g *Gate) verify(suspects []*handler) {
	for _, h := range suspects {
		g.mu.Lock()
		since := g.live[h]
		g.mu.Unlock()
		if h.anchor != "" {
			if ok, err := g.Anchors.Trusts(context.Background(), h.p.Tenant, h.anchor); err == nil && !ok {
				g.Log.Debug("connection ended: its trust anchor was withdrawn", "tenant", h.p.Tenant, "user", h.p.User)
				h.revoke()
				continue
			} else if err != nil {
				g.Log.Warn("look at a connection again", "tenant", h.p.Tenant, "user", h.p.User, "err", err)
			}
		}
		now, err := g.Users.Current(context.Background(), h.p, since)
		switch {
		case fault.Is(err, fault.Unauthenticated), err == nil && !slices.Equal(now.Roles, h.p.Roles):
			g.Log.Debug("connection ended: its user changed", "tenant", h.p.Tenant, "user", h.p.User)
			h.revoke()
		case err != nil:
			g.Log.Warn("look at a connection again", "tenant", h.p.Tenant, "user", h.p.User, "err", err)
		}
		if err := h.readRules(context.Background()); err != nil {
			// Without its rules it must not go on; it comes back when they can be read again.
			g.Log.Warn("topic rules of a connection", "tenant", h.p.Tenant, "user", h.p.User, "err", err)
			h.conn.Close(packet.ServerUnavailable)
		}
	}
}
