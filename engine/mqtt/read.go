package mqtt

import (
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// readLoop reads packets until the connection ends. The reason is in c.why then.
func (c *conn) readLoop() {
	var pub packet.Publish
	var ack packet.Ack
	for c.out.waitRoom(c) {
		h, body, err := c.rd.Next()
		c.fresh = true
		if more := c.rd.Buffered() > 0; more != c.more.Load() {
			c.more.Store(more)
		}
		if err == nil {
			c.srv.met.receivedB.Add(float64(h.Remaining + 2))
			err = c.handle(h, body, &pub, &ack)
		}
		if err != nil {
			c.classify(err)
		}
		if c.killed.Load() {
			return
		}
	}
}

func (c *conn) handle(h packet.Header, body []byte, pub *packet.Publish, ack *packet.Ack) error {
	switch h.Type {
	case packet.PUBLISH:
		if err := pub.Decode(h.Flags, body, c.version); err != nil {
			return err
		}
		return c.publish(pub)
	case packet.PUBACK, packet.PUBREC, packet.PUBCOMP, packet.PUBREL:
		if err := ack.Decode(h, body, c.version); err != nil {
			return err
		}
		if h.Type == packet.PUBREL {
			c.release(ack.PacketID)
		} else {
			c.clientAck(ack)
		}
		return nil
	}
	p, err := packet.Decode(h, body, c.version)
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *packet.Subscribe:
		return c.subscribe(p)
	case *packet.Unsubscribe:
		return c.unsubscribeAll(p)
	case *packet.Disconnect:
		return c.goodbye(p)
	case *packet.Ping:
		if !p.Response {
			c.control(&packet.Ping{Response: true})
			return nil
		}
	}
	return &packet.Error{Code: packet.ProtocolError, Text: "packet is not expected from a client now"}
}

func (c *conn) goodbye(p *packet.Disconnect) error {
	if p.Props.Has(packet.PropSessionExpiry) {
		if c.expiry == 0 && p.Props.SessionExpiry > 0 {
			return &packet.Error{Code: packet.ProtocolError, Text: "session expiry cannot be raised from zero"}
		}
		limit := uint32(min(c.srv.cfg.MaxSessionExpiry/time.Second, 0xFFFFFFFF))
		c.sess.setExpiry(min(p.Props.SessionExpiry, limit))
	}
	c.kill(ByClient, p.Code, nil)
	return nil
}

var errReceiveMaximum = &packet.Error{
	Code: packet.ReceiveMaximumExceeded, Text: "more publishes in progress than the receive maximum",
}

// publish takes one PUBLISH: the receiving side of MQTT 5.0 section 4.3.
func (c *conn) publish(p *packet.Publish) error {
	c.srv.met.received.Inc()
	name, err := c.topicName(p)
	if err != nil {
		return err
	}
	if len(p.Props.SubscriptionIDs) > 0 {
		return &packet.Error{Code: packet.ProtocolError, Text: "subscription identifier from a client"}
	}
	if p.QoS == 2 {
		c.sess.mu.Lock()
		_, known := c.sess.received[p.PacketID]
		c.sess.mu.Unlock()
		if known {
			if !c.in.waitRoom(c, p.QoS, 0) {
				return errReceiveMaximum
			}
			// Not a new message, whatever DUP says (MQTT-4.3.3-10); the answer is success (section 4.3.3).
			c.repeat(p.PacketID)
			return nil
		}
		if c.in.holds(p.PacketID) {
			return nil // Its PUBREC is on the way.
		}
	}
	m := wireMessage(name, p.Payload, p.QoS, p.Retain, &p.Props)
	m.PacketID, m.Dup = p.PacketID, p.Dup
	if !c.in.waitRoom(c, p.QoS, m.Size()) {
		return errReceiveMaximum
	}
	if !c.killed.Load() {
		c.accept(m, p.QoS, p.PacketID)
	}
	return nil
}

// topicName resolves topic aliases (section 3.3.2.3.4).
func (c *conn) topicName(p *packet.Publish) (string, error) {
	name := c.lastTopic
	if string(p.Topic) != name {
		name = string(p.Topic)
		c.lastTopic = name
	}
	if !p.Props.Has(packet.PropTopicAlias) {
		return name, nil
	}
	a := int(p.Props.TopicAlias)
	if a > int(c.srv.cfg.TopicAliasMaximum) {
		return "", &packet.Error{Code: packet.TopicAliasInvalid, Text: "topic alias is above the maximum"}
	}
	if c.aliases == nil {
		c.aliases = make([]string, c.srv.cfg.TopicAliasMaximum+1)
	}
	if name != "" {
		c.aliases[a] = name
	} else if name = c.aliases[a]; name == "" {
		return "", &packet.Error{Code: packet.ProtocolError, Text: "topic alias is not known"}
	}
	return name, nil
}

// wireMessage makes a message that outlives the buffer it was read from.
func wireMessage(name string, payload []byte, qos byte, retain bool, p *packet.Properties) *Message {
	m := &Message{
		Topic: name, Payload: append([]byte(nil), payload...), QoS: qos, Retain: retain, PayloadFormat: p.PayloadFormat,
		ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, User: p.User,
	}
	if len(p.CorrelationData) > 0 {
		m.CorrelationData = append([]byte(nil), p.CorrelationData...)
	}
	if p.Has(packet.PropMessageExpiry) {
		m.ExpiresAt = time.Now().Add(time.Duration(p.MessageExpiry) * time.Second)
	}
	// The decoder reuses its struct; the list belongs to the message now.
	p.User = nil
	return m
}

// filterOptions are those of a v5 subscription.
func filterOptions(s packet.Subscription, granted byte, id uint32) topic.Options {
	return topic.Options{QoS: granted, NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished, ID: id}
}
