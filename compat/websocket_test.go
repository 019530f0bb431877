package compat_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/compat/internal/rig"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// TestMQTTOverWebSocket: section 6 of MQTT 5.0. Packets need not end where frames end, frames are binary, and the sub-protocol is mqtt.
func TestMQTTOverWebSocket(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	d := s.Register(t, "socket-1")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	open := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/mqtt", &websocket.DialOptions{Subprotocols: []string{"mqtt"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		if c.Subprotocol() != "mqtt" {
			t.Errorf("the sub-protocol is %q", c.Subprotocol())
		}
		return c
	}
	c := open()
	p := &packet.Connect{Version: packet.V5, ClientID: d.Serial, Clean: true, HasUser: true, User: d.User, HasPassword: true, Password: []byte(d.Password)}
	sent := p.AppendTo(nil, packet.V5)
	sent = (&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "socket/#", QoS: 1}}}).AppendTo(sent, packet.V5)
	sent = (&packet.Publish{PacketID: 2, Topic: []byte("socket/1"), QoS: 1, Payload: []byte("hello")}).AppendTo(sent, packet.V5)
	for _, part := range [][]byte{sent[:1], sent[1:9], sent[9 : len(sent)-20], sent[len(sent)-20 : len(sent)-3], sent[len(sent)-3:]} {
		if err := c.Write(ctx, websocket.MessageBinary, part); err != nil {
			t.Fatal(err)
		}
	}
	r := packet.NewReader(websocket.NetConn(ctx, c, websocket.MessageBinary), 4096, 1<<20)
	seen := map[packet.Type]bool{}
	for len(seen) < 4 { // the order of the last two is open
		h, _, err := r.Next()
		if err != nil {
			t.Fatalf("after %v: %v", seen, err)
		}
		seen[h.Type] = true
	}
	for _, want := range []packet.Type{packet.CONNACK, packet.SUBACK, packet.PUBACK, packet.PUBLISH} {
		if !seen[want] {
			t.Errorf("no %s, but %v", want, seen)
		}
	}
	text := open()
	if err := text.Write(ctx, websocket.MessageText, p.AppendTo(nil, packet.V5)); err != nil {
		t.Fatal(err)
	}
	if kind, b, err := text.Read(ctx); err == nil {
		t.Errorf("a text frame is answered with %v %q", kind, b)
	} else if ctx.Err() != nil {
		t.Error("a text frame does not end the connection")
	}
	noDefects(t, s)
}
