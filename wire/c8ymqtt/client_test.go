package c8ymqtt_test

import (
	"net"
	"sync"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// client is a connection that was let in.
type client struct {
	b    *bench
	h    mqtt.Handler
	conn *conn
}

// dial asks the gate. user is "tenant/name", with the password that the bench knows.
func (b *bench) dial(clientID, user string, change func(*mqtt.ConnectRequest)) (*client, error) {
	c := &conn{id: clientID, subs: map[string]byte{}}
	req := &mqtt.ConnectRequest{ClientID: clientID, HasUser: true, User: user, HasPassword: true, Password: []byte(b.secret[user]), RemoteAddr: c.RemoteAddr(), Conn: c}
	if change != nil {
		change(req)
	}
	h, err := b.gate.Connect(ctx, req)
	return &client{b, h, c}, err
}

func (b *bench) connect(clientID, user string) *client {
	b.t.Helper()
	return must(b.dial(clientID, user, nil))(b.t)
}

func (c *client) subscribe(filter string) mqtt.Reason {
	code := c.h.Subscribe(filter, 2)
	if !code.Failed() {
		c.conn.mu.Lock()
		c.conn.subs[filter] = byte(code)
		c.conn.mu.Unlock()
		c.h.Subscribed(filter, byte(code))
	}
	return code
}

func (c *client) unsubscribe(filter string) {
	c.conn.mu.Lock()
	delete(c.conn.subs, filter)
	c.conn.mu.Unlock()
	c.h.Unsubscribed(filter)
}

// publish returns the verdict, of which there must be exactly one.
func (c *client) publish(topic, payload string) mqtt.Verdict {
	c.b.t.Helper()
	return receive(c.b.t, c.submit(&mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: 1}))
}

func (c *client) submit(m *mqtt.Message) <-chan mqtt.Verdict {
	out := make(chan mqtt.Verdict, 1)
	var once sync.Mutex
	told := false
	c.h.Publish(m, func(v mqtt.Verdict) {
		once.Lock()
		defer once.Unlock()
		if told {
			c.b.t.Errorf("%s %q: a second verdict", m.Topic, m.Payload)
			return
		}
		told = true
		out <- v
	})
	return out
}

func (c *client) close() {
	c.conn.mu.Lock()
	c.conn.ended = true
	c.conn.mu.Unlock()
	c.h.Closed(mqtt.CloseReason{Cause: mqtt.ByNetwork})
}

// conn records what is delivered to a client.
type conn struct {
	id string

	mu      sync.Mutex // guards the fields below
	subs    map[string]byte
	out     []delivery
	ended   bool
	dropped mqtt.Reason // why the policy closed it
}

type delivery struct {
	topic, payload string
	acked          func(bool)
}

func (c *conn) ClientID() string { return c.id }

func (c *conn) Version() packet.Version { return 4 }

func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234} }

func (c *conn) Deliver(topic string, payload []byte, _ byte, acked func(bool)) bool {
	if _, ok := c.SubscribedTo(topic); !ok {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, delivery{topic, string(payload), acked})
	return true
}

func (c *conn) SubscribedTo(name string) (byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for filter, qos := range c.subs {
		if !c.ended && topic.Match(filter, name) {
			return qos, true
		}
	}
	return 0, false
}

func (c *conn) Close(reason mqtt.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = reason
}

// take returns what was delivered since the last call.
func (c *conn) take() []delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.out
	c.out = nil
	return out
}

// lines returns what was delivered on a topic since the last take.
func (c *conn) lines(topic string) (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.out {
		if d.topic == topic {
			out = append(out, d.payload)
		}
	}
	return out
}
