package exchange

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Signer signs and verifies the claims of tokens.
type Signer interface {
	SignClaims(body []byte) (string, error)
	// VerifyClaims returns the claims of a token that SignClaims made.
	VerifyClaims(token string) ([]byte, error)
}

// Pass is what a token lets its holder do: to be one subscriber of one topic. It is checked when a connection is made.
type Pass struct {
	Tenant     iot.TenantID
	Topic      string
	Subscriber string
	Shared     bool // several connections may share the messages
	Volatile   bool
	Issued     time.Time
	Expires    time.Time
}

const (
	// MaxValidity bounds the life of a token.
	MaxValidity   = 10 * 365 * 24 * time.Hour
	maxSubscriber = 255
	topicPart     = "relnotif"
)

// claims is the body of a token. c8y: clients split topic at "/", and one reads shared as a text.
type claims struct {
	Subscriber string `json:"sub"`
	Topic      string `json:"topic"`
	ID         string `json:"jti"`
	Issued     int64  `json:"iat"`
	Expires    int64  `json:"exp"`
	Shared     string `json:"shared,omitempty"`
	Volatile   string `json:"volatile,omitempty"`
}

// Token makes a token. It needs ROLE_NOTIFICATION_2_ADMIN; who holds the token needs nothing else.
func (x *Exchange) Token(ctx context.Context, p iot.Principal, pass Pass, validity time.Duration) (string, error) {
	const op = fault.Op("exchange.Token")
	if err := x.may(ctx, p); err != nil {
		return "", err
	}
	switch {
	case !Word(pass.Topic):
		return "", fault.Errorf(op, fault.Invalid, "subscription must have 1 to %d letters and digits", maxName)
	case pass.Subscriber == "" || len(pass.Subscriber) > maxSubscriber || strings.ContainsFunc(pass.Subscriber, func(r rune) bool { return r < ' ' || r == '\x7f' || r == '\ufffd' }):
		return "", fault.Errorf(op, fault.Invalid, "subscriber must be a text of 1 to %d bytes without control characters", maxSubscriber)
	case validity <= 0 || validity > MaxValidity:
		return "", fault.E(op, fault.Invalid, "expiresInMinutes must be a positive number of at most ten years")
	}
	now := x.d.Clock.Now()
	c := claims{Subscriber: pass.Subscriber, Topic: string(p.Tenant) + "/" + topicPart + "/" + pass.Topic, Issued: now.Unix(), Expires: now.Add(validity).Unix()}
	if pass.Shared {
		c.Shared = "true"
	}
	if pass.Volatile {
		c.Volatile = "true"
	}
	var body []byte
	for range 1000 { // c8y: a client reads the body as ordinary base64, so that it must have neither - nor _; with some subscribers it always has, and other clients can read it
		c.ID = rand.Text()
		var err error
		if body, err = json.Marshal(c); err != nil {
			return "", fault.E(op, err)
		}
		if !strings.ContainsAny(base64.RawURLEncoding.EncodeToString(body), "-_") {
			break
		}
	}
	token, err := x.d.Signer.SignClaims(body)
	if err != nil {
		return "", fault.E(op, err)
	}
	x.audit(ctx, p, "Notification token created", pass.Topic)
	return token, nil
}

// Verify returns what a token is good for, a fault of kind Unauthenticated if nothing: also if its tenant is suspended or gone.
func (x *Exchange) Verify(ctx context.Context, token string) (Pass, error) {
	const op = fault.Op("exchange.Verify")
	no := func(why string) (Pass, error) { return Pass{}, fault.E(op, fault.Unauthenticated, why) }
	body, err := x.d.Signer.VerifyClaims(token)
	if err != nil {
		return no("the token is not one of this platform")
	}
	var c claims
	if json.Unmarshal(body, &c) != nil {
		return no("the token is not one for notifications")
	}
	part := strings.Split(c.Topic, "/")
	if len(part) != 3 || part[1] != topicPart || !iot.TenantID(part[0]).Valid() || !Word(part[2]) || c.Subscriber == "" {
		return no("the token is not one for notifications")
	}
	pass := Pass{iot.TenantID(part[0]), part[2], c.Subscriber, c.Shared == "true", c.Volatile == "true", time.Unix(c.Issued, 0), time.Unix(c.Expires, 0)}
	if !x.d.Clock.Now().Before(pass.Expires) {
		return no("the token has expired")
	}
	return pass, x.admitted(ctx, op, pass.Tenant)
}

// admitted returns a fault of kind Unauthenticated unless somebody of the tenant may come in.
func (x *Exchange) admitted(ctx context.Context, op fault.Op, t iot.TenantID) error {
	err := x.d.Tenants.Active(ctx, t)
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.Unauthenticated, "the tenant of the token is suspended or gone")
	}
	return err
}

// expel ends the connections of a tenant that lets nobody in any more. The places of its consumers stay.
func (x *Exchange) expel(t iot.TenantID) {
	if !x.hubs.has(t) {
		return
	}
	err := x.admitted(x.ctx, "exchange.Expel", t)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		x.hubs.endTenant(t, false)
	case err != nil && x.ctx.Err() == nil:
		x.log.Warn("whether a tenant is active", "tenant", t, "err", err)
	}
}

func (p Pass) key() hubKey { return hubKey{p.Tenant, p.Topic, p.Subscriber, p.Volatile} }

// Attach connects the holder of a token. The first connection makes the consumer, which from then on misses nothing. name tells the
// connections of a shared consumer apart across reconnections; empty: it has none. A second connection of a consumer that is not shared is a fault of kind Exists.
func (x *Exchange) Attach(ctx context.Context, p Pass, name string) (*Consumer, error) {
	if name == "" {
		name = rand.Text()
	}
	const op = fault.Op("exchange.Attach")
	if err := x.admitted(ctx, op, p.Tenant); err != nil {
		return nil, err
	}
	c, err := x.hubs.join(ctx, p.key(), p.Shared, name)
	if err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	if err := x.admitted(ctx, op, p.Tenant); err != nil { // it was suspended meanwhile, when nobody was connected yet
		c.Detach()
		return nil, err
	}
	return c, nil
}

// leave removes a consumer, and with the last one the topic: nothing is written to it any more, and who comes later starts behind all that is there.
func (x *Exchange) leave(ctx context.Context, p Pass) error {
	defer x.joining.lock(p.Tenant, p.Topic)()
	if err := x.d.Store.Leave(ctx, p.Tenant, p.Topic, p.Subscriber); err != nil {
		return err
	}
	return x.abandon(ctx, p.Tenant, p.Topic)
}

// abandon removes a topic without consumers. joining must be held.
func (x *Exchange) abandon(ctx context.Context, t iot.TenantID, name string) error {
	n, _, err := x.d.Store.Consumers(ctx, t, name, "")
	if err != nil || n > 0 {
		return err
	}
	return x.topics.remove(ctx, t, name)
}

// tidy removes the topics that this node has open although they have no consumers: facts on their way made them again.
func (x *Exchange) tidy(ctx context.Context) error {
	for _, k := range x.topics.open() {
		unlock := x.joining.lock(k.Tenant, k.Topic)
		err := x.abandon(ctx, k.Tenant, k.Topic)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Unsubscribe removes the consumer of a token with all that waits for it, and ends its connections on all nodes.
func (x *Exchange) Unsubscribe(ctx context.Context, p Pass) error {
	const op = fault.Op("exchange.Unsubscribe")
	if err := x.admitted(ctx, op, p.Tenant); err != nil {
		return err
	}
	x.hubs.end(p.key(), true)
	if !p.Volatile {
		if err := x.leave(ctx, p); err != nil {
			return sqlkit.Fault(op, err)
		}
	}
	data, err := json.Marshal(farewell{x.node, p.key()})
	if err != nil {
		return fault.E(op, err)
	}
	x.d.Bus.Publish(bus.Subject(p.Tenant, "exchange", "unsubscribed"), data)
	return x.changed(ctx, p.Tenant, change{Topic: p.Topic})
}
