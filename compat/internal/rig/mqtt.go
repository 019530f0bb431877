package rig

import (
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Message is what a connection received.
type Message struct{ Topic, Text string }

// Connection is a device that is connected by MQTT 3.1.1.
type Connection struct {
	paho.Client
	In chan Message
}

// Connect connects a device and subscribes. A lost connection stays lost.
func (s *Server) Connect(t testing.TB, d Device, topics ...string) *Connection {
	t.Helper()
	c := &Connection{In: make(chan Message, 1000)}
	o := paho.NewClientOptions().AddBroker("tcp://" + s.MQTT).SetClientID(d.Serial).SetUsername(d.User).SetPassword(d.Password).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(5 * time.Second).SetOrderMatters(true).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { c.In <- Message{m.Topic(), string(m.Payload())} })
	c.Client = paho.NewClient(o)
	if k := c.Client.Connect(); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
		t.Fatalf("connect %s: %v", d.Serial, k.Error())
	}
	t.Cleanup(func() { c.Client.Disconnect(0) })
	for _, topic := range topics {
		if k := c.Client.Subscribe(topic, 1, nil); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			t.Fatalf("subscribe %s: %v", topic, k.Error())
		}
	}
	return c
}

// Send publishes with QoS 1 and waits for the acknowledgement.
func (c *Connection) Send(t testing.TB, topic, payload string) {
	t.Helper()
	if k := c.Publish(topic, 1, false, payload); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
		t.Fatalf("publish %s %q: %v", topic, payload, k.Error())
	}
}

// Next returns the next message on a topic and drops those on others.
func (c *Connection) Next(t testing.TB, topic string) string {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case m := <-c.In:
			if m.Topic == topic {
				return m.Text
			}
		case <-late:
			t.Fatalf("nothing arrived on %s", topic)
		}
	}
}
