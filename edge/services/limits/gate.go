package limits

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/iot"
)

// longest is how far a publisher may be ahead of its rate: so long its connection is not read.
const longest = 5 * time.Second

// Gate puts the limits before a gate of the broker. The realm of a connection counts as its tenant.
func (l *Limits) Gate(inner mqtt.Gate) mqtt.Gate { return gate{l, inner} }

type gate struct {
	l     *Limits
	inner mqtt.Gate
}

// Connect implements mqtt.Gate.
func (g gate) Connect(ctx context.Context, req *mqtt.ConnectRequest) (mqtt.Handler, error) {
	l, now := g.l, g.l.o.Clock.Now()
	addr, known := l.address(req.RemoteAddr.String())
	if known {
		if l.connects.take(now, addr, l.o.ConnectsPerAddress) > 0 {
			return nil, l.refuse(exceededConnects, packet.ConnectionRateExceeded, "too many connects from this address, try again later")
		}
		if !enter(l, l.byAddr, addr, l.o.ConnectionsPerAddress) {
			return nil, l.refuse(exceededConnsAddr, packet.QuotaExceeded, "too many connections from this address")
		}
	}
	h := &handler{l: l, conn: req.Conn, ctx: context.WithoutCancel(ctx), addr: addr, known: known}
	var err error
	if h.Handler, err = g.inner.Connect(ctx, req); err != nil {
		h.leaveAddress()
		return nil, err
	}
	h.tenant = iot.TenantID(h.Realm())
	if !enter(l, l.byRoom, h.tenant, l.of(ctx, h.tenant, now).ConnectionsPerTenant) {
		h.leaveAddress()
		h.Handler.Closed(mqtt.CloseReason{Cause: mqtt.ByPolicy, Reason: packet.QuotaExceeded})
		return nil, l.refuse(exceededConnsTenant, packet.QuotaExceeded, "too many connections of this tenant")
	}
	return h, nil
}

func (l *Limits) refuse(what string, reason packet.Reason, text string) error {
	l.exceeded.WithLabelValues(what).Inc()
	return &mqtt.Refusal{Reason: reason, Text: text}
}

// enter counts one more connection of a key, unless there are as many as may be. Zero is no bound.
func enter[K comparable](l *Limits, counts map[K]int, key K, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most > 0 && counts[key] >= most {
		return false
	}
	counts[key]++
	return true
}

func leave[K comparable](l *Limits, counts map[K]int, key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// handler counts and slows down one connection. Its methods are called one after the other, but for a late will.
type handler struct {
	mqtt.Handler
	l      *Limits
	conn   mqtt.Conn
	ctx    context.Context
	addr   netip.Addr
	known  bool
	tenant iot.TenantID
	set    *settings     // of the tenant, as last seen; Publish only
	own    *rate.Limiter // Publish only
}

func (h *handler) leaveAddress() {
	if h.known {
		leave(h.l, h.l.byAddr, h.addr)
	}
}

// Closed implements mqtt.Handler.
func (h *handler) Closed(why mqtt.CloseReason) {
	h.leaveAddress()
	leave(h.l, h.l.byRoom, h.tenant)
	h.Handler.Closed(why)
}

// Publish implements mqtt.Handler. It returns late where the client is too fast: the broker reads no further until then. Wills are one message and pass.
func (h *handler) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	if !m.Will && !h.pace() {
		h.l.exceeded.WithLabelValues(exceededPublishFar).Inc()
		h.conn.Close(packet.MessageRateTooHigh)
		done(mqtt.Verdict{Reason: packet.MessageRateTooHigh})
		return
	}
	h.Handler.Publish(m, done)
}

// pace waits for the turn of one message. False means that it would take too long.
func (h *handler) pace() bool {
	now := h.l.o.Clock.Now()
	if h.set == nil || !now.Before(h.set.until) {
		h.set = h.l.of(h.ctx, h.tenant, now)
	}
	var wait time.Duration
	if h.set.Publishes > 0 {
		if h.own == nil {
			h.own = rate.NewLimiter(rate.Limit(h.set.Publishes), burst(h.set.Publishes))
		}
		adjust(h.own, now, h.set.Publishes)
		wait = h.own.ReserveN(now, 1).DelayFrom(now)
	}
	if h.set.PublishesPerTenant > 0 {
		r := h.l.publishes.get(now, h.tenant, h.set.PublishesPerTenant).ReserveN(now, 1)
		d := r.DelayFrom(now)
		if d > longest {
			r.CancelAt(now)
		}
		wait = max(wait, d)
	}
	switch {
	case wait > longest:
		return false
	case wait > 0:
		h.l.exceeded.WithLabelValues(exceededPublish).Inc()
		h.l.o.Sleep(wait, h.l.closing)
	}
	return true
}
