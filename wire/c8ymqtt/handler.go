package c8ymqtt

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// handler is the policy of one connection. Its mqtt.Handler methods are called one after the other; what operations and timers
// touch as well is guarded.
type handler struct {
	g         *Gate
	p         iot.Principal
	conn      mqtt.Conn
	serial    string
	bootstrap bool      // may only ask for credentials
	anchor    string    // fingerprint of the trust anchor that vouched for the client's certificate; empty: it has a password
	since     time.Time // when it was known to be welcome
	template  string    // the collection that s/ud and s/dd stand for; empty: none
	topicID   string    // what rules for topics know the client by: the device id, or what the broker gave it
	ctx       context.Context
	topics    atomic.Pointer[access.TopicAccess]
	leave     atomic.Pointer[leave]
	revoked   atomic.Bool // its rights were taken: not even the will is published

	// What tells repeated publishes from new ones; see repeat.go. Set by begin, then used by Publish and Closed only.
	client            uint64
	connected         int64
	lastPublish       time.Time
	looked, lastKnown bool
	last              end
	known             map[series.Delivery]bool // stored on the connection before; nil: not looked yet
	blind             bool                     // nothing is taken for a repetition

	mu      sync.Mutex // guards the fields below
	device  iot.ID     // zero until the device is known
	detach  func()
	members map[iot.ID]time.Time // objects that are known to be below the device, and until when
	sent    map[sending]struct{} // operations that were sent on this connection, and where
	boards  map[string]struct{}  // topics of collections of templates that the client uses
	stop    func() bool          // of the timer that sends pending operations
	poll    *string              // security token of a question for credentials that waits for the subscription
	expiry  func() bool          // stops the timer that ends the connection with its certificate
	closed  bool
}

// expire ends the connection when its certificate is not valid any more.
func (h *handler) expire(in time.Duration) {
	h.expiry = h.g.After(in, func() { h.conn.Close(packet.NotAuthorized) })
}

// Realm implements mqtt.Handler.
func (h *handler) Realm() string { return string(h.p.Tenant) }

// Owner implements mqtt.Handler. It is the account alone: a device may come with its password or a certificate, under any authority.
func (h *handler) Owner() string { return string(h.p.User) }

// User implements mqtt.Handler, for Gate.Will. Device ids and user names hold no line breaks.
func (h *handler) User() string {
	return strings.Join([]string{string(h.p.User), h.anchor, h.serial, h.topicID}, "\n")
}

// Publish implements mqtt.Handler.
func (h *handler) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	levels := strings.Split(strings.TrimPrefix(m.Topic, "/"), "/")
	switch {
	case m.Will && h.mustNotPublish(): // it may have waited for long
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
	case !m.ExpiresAt.IsZero() && m.Expired(time.Now()):
		if id := h.attached(); id != 0 {
			h.g.Telemetry.Expired(h.p.Tenant, id)
		}
		done(mqtt.Verdict{}) // the sender does not want it any more
	case h.bootstrap:
		h.publishBootstrap(levels, m, done)
	case h.dialect(levels, m, done):
	case reserved(levels[0]):
		h.lineError(&smartrest.LineError{Code: smartrest.CodeUnknown, Text: "there is no topic " + m.Topic})
		done(mqtt.Verdict{})
	case strings.HasPrefix(levels[0], "$"):
		done(mqtt.Verdict{Reason: packet.TopicNameInvalid})
	case !h.topics.Load().MayPublish(m.Topic):
		done(mqtt.Verdict{Reason: packet.NotAuthorized})
	default:
		done(mqtt.Verdict{Route: true})
	}
}

// readRules works out what the tenant's rules for free topics mean for this client.
func (h *handler) readRules(ctx context.Context) error {
	var rules []access.TopicRule
	if h.g.Topics != nil {
		var err error
		if rules, err = h.g.Topics.Of(ctx, h.p.Tenant); err != nil {
			return err
		}
	}
	h.topics.Store(access.NewTopicAccess(rules, h.p, h.topicID))
	return nil
}

// revoke ends the connection of a client whose rights were taken, without its will.
func (h *handler) revoke() {
	h.revoked.Store(true)
	h.conn.Close(packet.NotAuthorized)
}

// mayPublish is what is known beforehand about a message: topics of the dialect are judged when it comes.
func (h *handler) mayPublish(topic string) bool {
	levels := strings.Split(strings.TrimPrefix(topic, "/"), "/")
	return h.dialectTopic(levels) || !reserved(levels[0]) && !strings.HasPrefix(levels[0], "$") && !h.bootstrap && h.topics.Load().MayPublish(topic)
}

// dialectTopic reports whether dialect would take a message.
func (h *handler) dialectTopic(levels []string) bool {
	if _, prefixed := mode(levels[0]); prefixed && len(levels) >= 2 {
		switch levels[1] {
		case "us", "uat", "ut", "ucr", "uc", "ud", "ul":
			return true
		}
		levels = levels[1:]
	}
	return apis[levels[0]]
}

// MayReceive implements mqtt.Handler.
func (h *handler) MayReceive(topic string) bool { return h.topics.Load().MayReceive(topic) }

// reserved are the first levels that belong to the dialect, so that a mistyped topic is told instead of routed.
func reserved(level string) bool {
	_, isMode := mode(level)
	return isMode || level == "error" || level == "devicecontrol" || level == "notification" || level == "operation"
}

// dialect handles the topics of the dialect; false means that the topic is none of them.
func (h *handler) dialect(levels []string, m *mqtt.Message, done func(mqtt.Verdict)) bool {
	md, prefixed := mode(levels[0])
	if prefixed && len(levels) >= 2 {
		switch levels[1] {
		case "us":
			child := strings.Join(levels[2:], "/")
			if child == h.serial {
				child = ""
			}
			h.publishLines(md, child, m, done)
			return true
		case "uat":
			h.token(done)
			return true
		case "ut":
			done(verdict(h.keepTemplates(strings.Join(levels[2:], "/"), m.Payload)))
			return true
		case "uc", "ud":
			h.publishCustom(md, levels, m, done)
			return true
		case "ul":
			h.publishOne(md, strings.Join(levels[2:], "/"), m.Payload, done)
			return true
		case "ucr":
			done(mqtt.Verdict{})
			return true
		}
		levels = levels[1:]
	}
	if len(levels) > 0 && apis[levels[0]] {
		h.publishJSON(md, levels, m, done)
		return true
	}
	return false
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

// lineError tells a device what was wrong with a line.
func (h *handler) lineError(e *smartrest.LineError) {
	h.conn.Deliver("s/e", []byte(e.Line()), 1, nil)
}

// Subscribe implements mqtt.Handler. Topics on which devices send cannot be listened to.
func (h *handler) Subscribe(filter string, qos byte) packet.Reason {
	if _, inner, shared := topic.SplitShared(filter); shared {
		// The rules are those of the filter inside. Only routed messages are shared, which those of the dialect never are.
		if h.bootstrap || !h.maySubscribe(inner) {
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
	case !answers(levels) && !h.maySubscribe(filter):
		return packet.NotAuthorized
	case board(filter) && !h.pin(filter):
		return packet.QuotaExceeded
	}
	return packet.Reason(qos)
}

// maySubscribe asks the rules for free topics. Filters for what devices send to the platform are not theirs.
func (h *handler) maySubscribe(filter string) bool {
	levels := strings.Split(strings.TrimPrefix(filter, "/"), "/")
	if _, prefixed := mode(levels[0]); prefixed && len(levels) > 1 && strings.HasPrefix(levels[1], "u") || apis[levels[0]] && len(levels) > 1 {
		return false
	}
	return h.topics.Load().MaySubscribe(filter)
}

// answers reports whether the dialect sends on topics that a filter names: to this client, so that no rule is asked.
func answers(levels []string) bool {
	_, prefixed := mode(levels[0])
	return prefixed || reserved(levels[0]) || levels[0] == "notification"
}

// mustNotPublish looks again at the rights of a client whose will is due.
func (h *handler) mustNotPublish() bool {
	if h.revoked.Load() {
		return true
	}
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if !closed {
		return false
	}
	now, err := h.g.Users.Current(h.ctx, h.p, h.since)
	if err != nil || !slices.Equal(now.Roles, h.p.Roles) || h.readRules(h.ctx) != nil {
		return true
	}
	if h.anchor != "" {
		ok, err := h.g.Anchors.Trusts(h.ctx, h.p.Tenant, h.anchor)
		return err != nil || !ok
	}
	return false
}

// Subscribed implements mqtt.Handler.
func (h *handler) Subscribed(filter string, _ byte) {
	switch {
	case h.bootstrap:
		if filter == credentialsTopic {
			h.answerPoll()
		}
	case topic.Match(filter, jsonForms[0]), topic.Match(filter, jsonForms[1]):
		h.g.After(0, func() { h.sendPending(false) }) // c8y: subscribing to the JSON form asks for what was not forwarded yet
	case topic.Match(filter, linesForm), pushes(filter):
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed && h.stop == nil {
			h.stop = h.g.After(grace, h.graceOver)
		}
	}
}

func (h *handler) graceOver() {
	h.mu.Lock()
	h.stop = nil // so that subscribing again sends again
	h.mu.Unlock()
	h.sendPending(false)
}

// grace is how long after subscribing a device may ask for its pending operations itself (500) before they are sent unasked.
const grace = 1500 * time.Millisecond

// Unsubscribed implements mqtt.Handler.
func (h *handler) Unsubscribed(string) {}

// Closed implements mqtt.Handler.
func (h *handler) Closed(why mqtt.CloseReason) {
	h.g.leave(h)
	h.remember(why)
	h.mu.Lock()
	h.closed = true
	stop, detach := h.stop, h.detach
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
	if h.expiry != nil {
		h.expiry()
	}
	if detach != nil {
		detach()
	}
}
