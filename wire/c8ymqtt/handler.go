package c8ymqtt

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// handler is the policy of one connection. Its mqtt.Handler methods are called one after the other; what operations and timers
// touch as well is guarded.
type handler struct {
	g         *Gate
	p         iot.Principal
	conn      mqtt.Conn
	serial    string
	bootstrap bool // may only ask for credentials
	ctx       context.Context

	device   iot.ID // zero until the device is known; written before attached is closed, then only read
	attached chan struct{}
	detach   func()

	mu     sync.Mutex // guards asked, sent and timer
	asked  bool       // the device asked for pending operations on this connection
	sent   map[iot.ID]bool
	timer  *time.Timer
	closed bool
}

// Realm implements mqtt.Handler.
func (h *handler) Realm() string { return string(h.p.Tenant) }

// find attaches the connection to its device if that exists already.
func (h *handler) find() {
	if id, err := h.g.Registry.Lookup(h.ctx, h.p.Tenant, iot.SerialType, h.serial); err == nil {
		h.attach(id)
	}
}

// attach makes the connection the way to a device: c8y: only for who may act as it.
func (h *handler) attach(id iot.ID) {
	if !h.mayActAs(id) {
		return
	}
	h.device = id
	close(h.attached)
	h.detach = h.g.Connectivity.Attach(h.p.Tenant, id, h)
	h.g.Connectivity.PushConnected(h.p.Tenant, id)
}

func (h *handler) known() bool {
	select {
	case <-h.attached:
		return true
	default:
		return false
	}
}

// self returns the id of the connected device, creating it on first contact.
func (h *handler) self() (iot.ID, error) {
	if h.known() {
		return h.device, nil
	}
	id, _, err := h.g.Connectivity.Ensure(h.ctx, h.p, connectivity.Contact{Serial: h.serial, Object: smartrest.CreateDevice{}.Object(h.serial)})
	if err != nil {
		return 0, err
	}
	h.attach(id)
	if !h.known() {
		return 0, fault.E(fault.Op("c8ymqtt.Device"), fault.Denied, "the device '"+h.serial+"' belongs to another user")
	}
	return id, nil
}

// Publish implements mqtt.Handler.
func (h *handler) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	levels := strings.Split(strings.TrimPrefix(m.Topic, "/"), "/")
	switch {
	case h.bootstrap:
		h.publishBootstrap(levels, m, done)
	case h.dialect(levels, m, done):
	case reserved(levels[0]):
		h.lineError(&smartrest.LineError{Code: smartrest.CodeUnknown, Text: "there is no topic " + m.Topic})
		done(mqtt.Verdict{})
	case strings.HasPrefix(levels[0], "$"):
		done(mqtt.Verdict{Reason: packet.TopicNameInvalid})
	default:
		done(mqtt.Verdict{Route: true})
	}
}

// reserved are the first levels that belong to the dialect, so that a mistyped topic is told instead of routed.
func reserved(level string) bool {
	_, isMode := mode(level)
	return isMode || apis[level] || level == "error" || level == "devicecontrol" || level == "notification" || level == "operation"
}

// dialect handles the topics of the dialect; false means that the topic is none of them.
func (h *handler) dialect(levels []string, m *mqtt.Message, done func(mqtt.Verdict)) bool {
	md, prefixed := mode(levels[0])
	if prefixed && len(levels) >= 2 {
		switch levels[1] {
		case "us":
			h.publishLines(md, strings.Join(levels[2:], "/"), m, done)
			return true
		case "uat":
			h.token(done)
			return true
		case "ut": // template collections come later: the answer of the protocol is that there is no such collection
			h.conn.Deliver("s/dt", []byte(smartrest.ReplyNoCollection(strings.Join(levels[2:], "/"))), 1, nil)
			done(mqtt.Verdict{})
			return true
		case "ucr":
			done(mqtt.Verdict{})
			return true
		}
		levels = levels[1:]
	}
	if len(levels) >= 3 && apis[levels[0]] {
		h.publishJSON(md, levels, m, done)
		return true
	}
	return false
}

// publishBootstrap answers s/ucr: c8y: on every poll, and only when the device was accepted.
func (h *handler) publishBootstrap(levels []string, m *mqtt.Message, done func(mqtt.Verdict)) {
	if len(levels) != 2 || levels[0] != "s" || levels[1] != "ucr" {
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
		return
	}
	cred, err := h.g.Registrations.Credentials(h.ctx, h.p, h.serial, string(m.Payload))
	if err == nil {
		h.conn.Deliver("s/dcr", []byte(smartrest.ReplyCredentials(cred.Tenant, cred.User, cred.Password)), 1, nil)
	} else if !fault.Is(err, fault.NotFound) {
		h.lineError(smartrest.Failed("70", err))
	}
	done(verdict(err))
}

// verdict acknowledges what is stored and what is the client's mistake; what may succeed later is not acknowledged.
func verdict(err error) mqtt.Verdict {
	if err == nil {
		return mqtt.Verdict{}
	}
	kind := fault.KindOf(err)
	if row := kind.Row(); row.Retry || kind.Ours() {
		return mqtt.Verdict{Reason: packet.Reason(row.MQTT5)}
	}
	return mqtt.Verdict{}
}

func (h *handler) token(done func(mqtt.Verdict)) {
	token, err := h.g.Users.DeviceToken(h.ctx, h.p)
	if err == nil {
		h.conn.Deliver("s/dat", []byte(smartrest.ReplyToken(token)), 1, nil)
	} else {
		h.lineError(smartrest.Failed("71", err))
	}
	done(verdict(err))
}

// lineError tells a device what was wrong with a line.
func (h *handler) lineError(e *smartrest.LineError) {
	h.conn.Deliver("s/e", []byte(e.Line()), 1, nil)
}

// Subscribe implements mqtt.Handler. Topics on which devices send cannot be listened to.
func (h *handler) Subscribe(filter string, qos byte) packet.Reason {
	if strings.HasPrefix(filter, "$share/") {
		if h.bootstrap {
			return packet.NotAuthorized
		}
		return packet.Reason(qos)
	}
	levels := strings.Split(strings.TrimPrefix(filter, "/"), "/")
	_, prefixed := mode(levels[0])
	switch {
	case h.bootstrap && filter != "s/dcr" && filter != "s/e":
		return packet.NotAuthorized
	case prefixed && len(levels) > 1 && strings.HasPrefix(levels[1], "u"), apis[levels[0]] && len(levels) > 1:
		return packet.NotAuthorized
	}
	return packet.Reason(qos)
}

// Subscribed implements mqtt.Handler.
func (h *handler) Subscribed(filter string, _ byte) {
	if h.bootstrap || !(filter == "s/ds" || strings.HasSuffix(filter, "/notifications") || filter == "notification/operations") {
		return
	}
	if filter != "s/ds" {
		go h.sendPending(false) // c8y: subscribing to the JSON form asks for what was not forwarded yet
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed && h.timer == nil {
		h.timer = time.AfterFunc(grace, func() { h.sendPending(false) })
	}
}

// Unsubscribed implements mqtt.Handler.
func (h *handler) Unsubscribed(string) {}

// Closed implements mqtt.Handler.
func (h *handler) Closed(mqtt.CloseReason) {
	h.mu.Lock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
	if h.known() {
		h.detach()
		h.g.Connectivity.PushDisconnected(h.p.Tenant, h.device)
	}
}
