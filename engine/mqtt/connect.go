package mqtt

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// handshake reads CONNECT, asks the gate, takes the session and queues CONNACK. False ends the connection.
func (c *conn) handshake(ctx context.Context) bool {
	until := time.Now().Add(c.srv.cfg.ConnectTimeout)
	c.nc.SetDeadline(until) //nolint:errcheck // The read that follows fails on its own.
	p, err := c.readConnect()
	if err != nil {
		c.refuseConnect(p, err)
		return false
	}
	assigned, err := c.adopt(p)
	if err == nil {
		err = c.turn(ctx)
	}
	if err == nil {
		// The time that others took is not the client's.
		until = time.Now().Add(c.srv.cfg.ConnectTimeout)
		c.nc.SetDeadline(until) //nolint:errcheck // As above.
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err == nil {
		err = func() error {
			defer func() { <-c.srv.turns }() // also if the gate panics
			return c.admission(ctx, p, assigned)
		}()
	}
	if err == nil && !c.fits(c.connack(p, assigned, true)) {
		err = &Refusal{Reason: packet.PacketTooLarge}
	}
	if err != nil {
		c.refuse(err)
		return false
	}
	s, resumed, err := c.realm.attach(ctx, c)
	c.sess = s
	if errors.Is(err, errForeign) {
		c.refuse(&Refusal{Reason: packet.ClientIDNotValid, Text: "the client id belongs to the session of another user"})
		return false
	}
	if errors.Is(err, errNoRoom) {
		c.refuse(&Refusal{Reason: packet.QuotaExceeded, Text: "there is no room for a new session: connect with a clean one, or wait until there is space"})
		return false
	}
	if err != nil {
		c.srv.cfg.Log.Warn("session not available", "tenant", c.realm.name, "device", c.id, "err", err)
		c.refuse(&Refusal{Reason: packet.ServerUnavailable})
		return false
	}
	c.nc.SetDeadline(time.Time{}) //nolint:errcheck // As above.
	c.fresh = true
	c.rd.SetLimit(c.srv.cfg.MaxPacketBytes)
	c.control(c.connack(p, assigned, resumed))
	if resumed {
		c.resume()
	}
	s.activate(c, c.window)
	c.tellSubscribed()
	return true
}

// turn waits until the gate may be asked for this client; admission's caller gives the turn back. When a whole fleet comes back at once, all of it
// asking at the same time would be too slow for everybody.
func (c *conn) turn(ctx context.Context) error {
	timer := time.NewTimer(c.srv.cfg.QueueTimeout)
	defer timer.Stop()
	select {
	case c.srv.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return &Refusal{Reason: packet.ServerBusy, Text: "too many clients connect at once"}
	case <-ctx.Done():
		return &Refusal{Reason: packet.ServerShuttingDown}
	}
}

func (c *conn) readConnect() (*packet.Connect, error) {
	h, body, err := c.rd.Next()
	if err != nil {
		return nil, err
	}
	if h.Type != packet.CONNECT {
		return nil, &packet.Error{Code: packet.ProtocolError, Text: "first packet is not CONNECT"}
	}
	p, err := packet.Decode(h, body, 0)
	connect, _ := p.(*packet.Connect)
	if connect != nil {
		c.version = connect.Version
	}
	return connect, err
}

// refuseConnect answers what could not be read. 3.x closes without a word on malformed packets (MQTT-3.1.4-1); the
// unsupported version has an answer in all versions.
func (c *conn) refuseConnect(p *packet.Connect, err error) {
	var bad *packet.Error
	if p == nil || !errors.As(err, &bad) {
		return
	}
	if bad.Code == packet.UnsupportedVersion && c.version < packet.V5 {
		c.version = packet.V311
	} else if bad.Code == packet.UnsupportedVersion {
		c.version = packet.V5
	}
	if bad.Code == packet.UnsupportedVersion || c.version == packet.V5 {
		c.refuse(&Refusal{Reason: bad.Code, Text: bad.Text})
	}
}

// adopt takes over what CONNECT says about the connection.
func (c *conn) adopt(p *packet.Connect) (assigned bool, err error) {
	cfg := &c.srv.cfg
	c.id, c.clean = p.ClientID, p.Clean
	// One and a half times (MQTT-3.1.2-22).
	c.keepAlive = time.Duration(c.grantKeepAlive(p)) * time.Second * 3 / 2
	c.window = int(cfg.MaxInflight)
	c.expiry = c.grantExpiry(p)
	if p.Props.Has(packet.PropReceiveMaximum) {
		c.window = min(c.window, int(p.Props.ReceiveMaximum))
	}
	if p.Props.Has(packet.PropMaximumPacketSize) {
		c.clientMax = p.Props.MaximumPacketSize
	}
	c.aliasMax = int(min(p.Props.TopicAliasMaximum, cfg.TopicAliasMaximum))
	if w := p.Will; w != nil {
		c.will = wireMessage(w.Topic, w.Payload, w.QoS, w.Retain, &w.Props)
		c.will.Will = true
		c.willDelay = w.Props.WillDelay
	}
	if p.Props.Has(packet.PropAuthMethod) {
		return false, &Refusal{Reason: packet.BadAuthMethod, Text: "enhanced authentication is not supported"}
	}
	if c.id != "" {
		return false, nil
	}
	// 3.1 asks for an id; 3.1.1 for a clean session if there is none (MQTT-3.1.3-8).
	if c.version == packet.V31 || c.version == packet.V311 && !p.Clean {
		return false, &Refusal{Reason: packet.ClientIDNotValid}
	}
	c.id = "auto-" + rand.Text()
	return true, nil
}

// grantKeepAlive is what the client asks for, or what it will be told: v5 lets the server decide (MQTT-3.1.2-21).
func (c *conn) grantKeepAlive(p *packet.Connect) uint16 {
	limit := uint16(min(c.srv.cfg.MaxKeepAlive/time.Second, 65_535))
	if c.version == packet.V5 && (p.KeepAlive == 0 || p.KeepAlive > limit) {
		return limit
	}
	return p.KeepAlive
}

func (c *conn) grantExpiry(p *packet.Connect) uint32 {
	limit := uint32(min(c.srv.cfg.MaxSessionExpiry/time.Second, session.NeverExpires))
	switch {
	case c.version == packet.V5:
		return min(p.Props.SessionExpiry, limit)
	case p.Clean:
		return 0
	default:
		return limit
	}
}

// admission asks the gate and loads the realm.
func (c *conn) admission(ctx context.Context, p *packet.Connect, assigned bool) error {
	h, err := c.srv.cfg.Gate.Connect(ctx, &ConnectRequest{
		Version: c.version, ClientID: c.id, Assigned: assigned, HasUser: p.HasUser, User: p.User, HasPassword: p.HasPassword, Password: p.Password,
		Clean: c.clean, KeepAlive: p.KeepAlive, SessionExpiry: c.expiry, Will: c.will, Properties: p.Props.User,
		RemoteAddr: c.nc.RemoteAddr(), TLS: tlsState(c.nc), Conn: c,
	})
	if err != nil {
		return err
	}
	c.handler, c.owner = h, h.Owner()
	c.realm, err = c.srv.realm(ctx, h.Realm())
	return err
}

func tlsState(nc any) *tls.ConnectionState {
	t, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return nil
	}
	s := t.ConnectionState()
	return &s
}

// refuse sends CONNACK with a failure.
func (c *conn) refuse(err error) {
	var r *Refusal
	if !errors.As(err, &r) {
		c.srv.cfg.Log.Error("connect", "err", err)
		r = &Refusal{Reason: packet.ServerUnavailable}
	}
	p := &packet.Connack{Code: r.Reason}
	if r.Text != "" {
		p.Props.ReasonString = r.Text
		p.Props.Mark(packet.PropReasonString)
	}
	if !c.fits(p) { // without words, or not at all
		if p.Props = (packet.Properties{}); !c.fits(p) {
			return
		}
	}
	c.nc.SetWriteDeadline(time.Now().Add(flushTime)) //nolint:errcheck // The write fails on its own.
	c.nc.Write(p.AppendTo(nil, c.version))           //nolint:errcheck // The connection ends anyway.
}

// fits tells whether the client takes a packet of that size (MQTT-3.1.2-24).
func (c *conn) fits(p packet.Packet) bool {
	return c.clientMax == 0 || len(p.AppendTo(nil, c.version)) <= int(c.clientMax)
}

func (c *conn) connack(p *packet.Connect, assigned, resumed bool) packet.Packet {
	cfg := &c.srv.cfg
	a := &packet.Connack{SessionPresent: resumed}
	q := &a.Props
	q.ReceiveMaximum, q.TopicAliasMaximum = cfg.ReceiveMaximum, cfg.TopicAliasMaximum
	q.MaximumPacketSize = uint32(cfg.MaxPacketBytes)
	q.Mark(packet.PropReceiveMaximum, packet.PropTopicAliasMaximum, packet.PropMaximumPacketSize)
	if granted := c.grantKeepAlive(p); granted != p.KeepAlive {
		q.ServerKeepAlive = granted
		q.Mark(packet.PropServerKeepAlive)
	}
	if prefix := cfg.ResponsePrefix; prefix != "" && p.Props.RequestResponse == 1 && topic.ValidName(c.id) && !strings.Contains(c.id, "/") {
		q.ResponseInfo = prefix + c.id
		q.Mark(packet.PropResponseInfo)
	}
	if c.expiry != p.Props.SessionExpiry {
		q.SessionExpiry = c.expiry
		q.Mark(packet.PropSessionExpiry)
	}
	if assigned {
		q.AssignedClientID = c.id
		q.Mark(packet.PropAssignedClientID)
	}
	return a
}

// resume asks the policy again for the subscriptions that the session brings along.
func (c *conn) resume() {
	for f, o := range c.sess.subscriptions() {
		if code := c.handler.Subscribe(f, o.QoS); code.Failed() {
			c.unsubscribe(f)
		}
	}
}

func (c *conn) tellSubscribed() {
	for f, o := range c.sess.subscriptions() {
		c.handler.Subscribed(f, o.QoS)
	}
}
