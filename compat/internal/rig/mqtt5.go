package rig

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// Connection5 is a device that is connected by MQTT 5, and learns why a message is refused.
type Connection5 struct{ c *paho.Client }

// Connect5 connects a device with a clean session. A client id may be given instead of the device's.
func (s *Server) Connect5(t testing.TB, d Device) *Connection5 {
	t.Helper()
	conn, err := net.Dial("tcp", s.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.Connect(ctx, &paho.Connect{ClientID: d.Serial, CleanStart: true, KeepAlive: 60, UsernameFlag: true, Username: d.User, PasswordFlag: true,
		Password: []byte(d.Password)}); err != nil {
		t.Fatalf("connect %s: %v", d.Serial, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Connection5{c}
}

// Publish publishes and returns the reason code of the acknowledgement; an error if none came.
func (c *Connection5) Publish(topic string, qos byte, payload string) (reason byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := c.c.Publish(ctx, &paho.Publish{Topic: topic, QoS: qos, Payload: []byte(payload)})
	if r != nil && r.ReasonCode >= 0x80 {
		return r.ReasonCode, nil // the library calls it an error
	}
	return 0, err
}
