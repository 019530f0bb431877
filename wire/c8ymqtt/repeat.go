package c8ymqtt

import (
	"context"
	"errors"
	"math/bits"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// A client that did not get the acknowledgement of a publish sends it again after it has connected again, with DUP set, the same packet
// identifier and the same content (MQTT 5.0 section 4.4). If the first one was stored, storing the second one would count it twice. So
// every effect is stored together with the delivery that caused it, and a publish with DUP is compared with those of the connection before.
//
// A wrong guess in one direction stores a reading twice, in the other one it loses a reading that was acknowledged. The second must not
// happen. That is why nothing is taken for a repetition when every acknowledgement of the connection before has had time to arrive, or when
// the client used one identifier several times among the latest, as simple clients do that know only one.

// arrival is the publish that is being handled. Its parts are counted as they are taken. Nil is that of a publish that cannot be repeated.
type arrival struct {
	h      *handler
	packet uint16
	part   uint16
	hash   uint64
	dup    bool
}

// maxParts bounds what of a publish can be told apart.
const maxParts = 1<<16 - 1

// arrive begins the handling of a publish.
func (h *handler) arrive(m *mqtt.Message) *arrival {
	if m.QoS == 0 || m.PacketID == 0 {
		return nil
	}
	h.lastPublish = time.Now()
	// The topic is turned before the two are joined, so that equal texts as topic and payload do not cancel out.
	return &arrival{h: h, packet: m.PacketID, hash: xxhash.Sum64(m.Payload) ^ bits.RotateLeft64(xxhash.Sum64String(m.Topic), 17), dup: m.Dup}
}

// take names the next part, to be stored with its effect. repeated says that it was stored before.
func (a *arrival) take() (d *series.Delivery, repeated bool) {
	if a == nil || a.part == maxParts {
		return nil, false
	}
	d = &series.Delivery{Client: a.h.client, Conn: a.h.connected, Packet: a.packet, Part: a.part, Hash: a.hash}
	a.part++
	return d, a.dup && a.h.stored(d)
}

// effect is take for what SQL keeps: the first write under the context is the effect.
func (a *arrival) effect(ctx context.Context) context.Context {
	if a == nil || a.part == maxParts {
		return ctx
	}
	h := a.h
	d := &sqlkit.Delivery{Tenant: string(h.p.Tenant), Client: h.client, Conn: h.connected, Packet: a.packet, Part: a.part, Hash: a.hash}
	a.part++
	if a.dup {
		end, known := h.before()
		d.Repeats, d.Before = !h.blind && (!known || !end.settled), end.conn
		if d.Repeats && !known {
			d.Elsewhere = h.lastBefore()
		}
	}
	return sqlkit.WithDelivery(ctx, d)
}

// once turns the error of a repeated effect into none.
func once(err error) error {
	if errors.Is(err, sqlkit.ErrRepeated) {
		return nil
	}
	return err
}

// end is what is known of a connection that ended.
type end struct {
	conn    int64
	settled bool // the client has all of its acknowledgements
	goodbye bool // the client ended it
}

// clientKey names a client of a tenant.
type clientKey struct {
	tenant iot.TenantID
	id     string
}

const (
	// maxEnds bounds the clients whose last connection is remembered. Of others it is found out from what they delivered.
	maxEnds = 100_000
	// settling is how long an acknowledgement that has reached a client's host may take until the client has dealt with it.
	settling = 30 * time.Second
)

// begin gives the connection its place among those of the client. After a goodbye it is remembered durably before the client may publish: if
// the platform dies, what was delivered on an older connection must not pass for what this one did not get through. After a break the client
// comes to repeat, and what was delivered on the broken connection stays the latest, over a crash as well.
func (h *handler) begin(clientID string) {
	h.client = xxhash.Sum64String(clientID)
	h.connected = time.Now().UnixNano() // ascending also over restarts, unlike the platform's clock in tests
	if last, ok := h.g.ends.GetIfPresent(clientKey{h.p.Tenant, clientID}); !ok || !last.goodbye {
		return
	}
	if err := h.g.Telemetry.Connected(h.ctx, h.p.Tenant, h.client, h.connected); err != nil {
		h.g.Log.Warn("a connection is not remembered, its repetitions are stored again", "tenant", h.p.Tenant, "client", clientID, "err", err)
		h.blind = true
	}
}

// before returns what is known of the client's connection before this one, which has ended when this one publishes.
func (h *handler) before() (end, bool) {
	if !h.looked {
		h.looked = true
		h.last, h.lastKnown = h.g.ends.GetIfPresent(clientKey{h.p.Tenant, h.conn.ClientID()})
	}
	return h.last, h.lastKnown
}

// remember notes how the connection ended.
func (h *handler) remember(why mqtt.CloseReason) {
	if h.lastPublish.IsZero() && why.Cause != mqtt.ByClient {
		return // it broke before anything came through: the client still repeats what it sent on the one before
	}
	settled := (why.Settled || why.Cause == mqtt.ByClient) && time.Since(h.lastPublish) > settling
	h.g.ends.Set(clientKey{h.p.Tenant, h.conn.ClientID()}, end{h.connected, settled, why.Cause == mqtt.ByClient})
}

// stored tells whether a delivery is one of those that the connection before brought.
func (h *handler) stored(d *series.Delivery) bool {
	if !h.blind && (h.known == nil || h.conn.Version() == packet.V31) { // which may repeat on the same connection
		known, err := h.lookBack()
		if err != nil {
			h.g.Log.Warn("what a client delivered before is not known, repetitions are stored again", "tenant", h.p.Tenant, "device", h.serial, "err", err)
		}
		h.known = known
	}
	return h.known[*d]
}

// lookBack returns the deliveries of the connection before, as this connection would repeat them.
func (h *handler) lookBack() (map[series.Delivery]bool, error) {
	known := map[series.Delivery]bool{}
	before, ended := h.before()
	if ended && before.settled {
		return known, nil
	}
	all, err := h.g.Telemetry.Delivered(h.ctx, h.p.Tenant, h.client)
	if err != nil {
		return known, err
	}
	last := before.conn
	if !ended {
		last = h.newest(all)
	}
	type identifier struct{ packet, part uint16 }
	used := map[identifier]bool{}
	for _, d := range all {
		if d.Packet == 0 || d.Conn != last && !(d.Conn == h.connected && h.conn.Version() == packet.V31) {
			continue
		}
		id := identifier{d.Packet, d.Part}
		if used[id] {
			return map[series.Delivery]bool{}, nil
		}
		used[id] = true
		d.Conn = h.connected
		known[d] = true
	}
	return known, nil
}

// submit stores a measurement that is a part of a publish, unless it is stored already.
func (h *handler) submit(a *arrival, m *iot.Measurement, mode iot.ProcessingMode, done func(error)) {
	d, repeated := a.take()
	if repeated {
		h.g.Telemetry.Duplicate(h.p.Tenant, m.Source)
		done(nil)
		return
	}
	h.g.Telemetry.Submit(h.ctx, h.p.Tenant, m, mode, d, done)
}

// newest returns the newest connection before this one among deliveries; -1 if there is none.
func (h *handler) newest(all []series.Delivery) int64 {
	last := int64(-1)
	for _, d := range all {
		if d.Conn != h.connected {
			last = max(last, d.Conn)
		}
	}
	return last
}

// lastBefore is the newest connection before this one that brought a measurement, for effects, which do not know of those. If it cannot be
// read, nothing is taken for a repetition.
func (h *handler) lastBefore() int64 {
	all, err := h.g.Telemetry.Delivered(h.ctx, h.p.Tenant, h.client)
	if err != nil {
		return h.connected
	}
	return h.newest(all)
}
