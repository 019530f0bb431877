package compat_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// client5 is a connection of MQTT 5.
type client5 struct {
	*paho.Client
	t   *testing.T
	nc  net.Conn
	in  chan *paho.Publish
	ack *paho.Connack
}

// connect5 connects with a session that lives for some seconds. A refusal is in ack.
func connect5(t *testing.T, s *rig.Server, d rig.Device, clientID string, life uint32, change func(*paho.Connect)) *client5 {
	t.Helper()
	nc, err := net.Dial("tcp", s.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := &client5{t: t, nc: nc, in: make(chan *paho.Publish, 100)}
	c.Client = paho.NewClient(paho.ClientConfig{Conn: nc, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) { c.in <- p.Packet; return true, nil },
	}})
	p := &paho.Connect{ClientID: clientID, KeepAlive: 60, Username: d.User, UsernameFlag: true, Password: []byte(d.Password), PasswordFlag: true,
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &life}}
	if change != nil {
		change(p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if c.ack, err = c.Connect(ctx, p); c.ack == nil {
		t.Fatalf("connect %s: %v", clientID, err)
	}
	return c
}

// will leaves a will to publish delay seconds after the end of the connection.
func will(topic string, delay uint32) func(*paho.Connect) {
	return func(p *paho.Connect) {
		p.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte("will"), QoS: 1}
		p.WillProperties = &paho.WillProperties{WillDelayInterval: &delay}
	}
}

func (c *client5) sub(filter string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}}); err != nil {
		c.t.Fatalf("subscribe to %s: %v", filter, err)
	}
}

func (c *client5) pub(topic string, retain bool, expiry uint32) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Retain: retain, Payload: []byte("x"), Properties: &paho.PublishProperties{MessageExpiry: &expiry}})
	if err != nil {
		c.t.Fatalf("publish to %s: %v", topic, err)
	}
}

// until returns the topics of messages up to one on a topic, which must come.
func (c *client5) until(topic string) (topics []string) {
	c.t.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case m := <-c.in:
			if topics = append(topics, m.Topic); m.Topic == topic {
				return topics
			}
		case <-late:
			c.t.Fatalf("nothing arrived on %s, but on %v", topic, topics)
		}
	}
}

// TestTimesOutliveAKill kills the program while wills, messages and sessions wait for their time, and while clients with wills are connected.
func TestTimesOutliveAKill(t *testing.T) {
	t.Parallel() // it mostly waits
	o := rig.Options{Data: t.TempDir()}
	s := rig.Start(t, o)
	d := s.Register(t, "times-1")
	listener := connect5(t, s, d, "listener", 3600, nil)
	listener.sub("fleet/#")
	listener.nc.Close()
	short := connect5(t, s, d, "short", 1, nil)
	short.sub("fleet/#")
	short.nc.Close()
	broken := connect5(t, s, d, "broken", 3600, will("fleet/broken", 4))
	broken.nc.Close()
	connect5(t, s, d, "delayed", 3600, will("fleet/delayed", 4))
	connect5(t, s, d, "connected", 0, will("fleet/connected", 0))
	connect5(t, s, d, "resumable", 3600, will("fleet/resumable", 0))
	connect5(t, s, d, "back", 3600, will("fleet/back", 4))
	polite := connect5(t, s, d, "polite", 0, will("fleet/polite", 0))
	if err := polite.Disconnect(&paho.Disconnect{}); err != nil {
		t.Fatal(err)
	}
	p := connect5(t, s, d, "publisher", 0, nil)
	p.pub("fleet/short", false, 1)
	p.pub("fleet/long", false, 3600)
	p.pub("kept/short", true, 1)
	p.pub("kept/long", true, 3600)
	expired := time.Now().Add(2 * time.Second) // times are kept to the second
	s.Kill()
	s = rig.Start(t, o)
	if back := connect5(t, s, d, "back", 3600, nil); !back.ack.SessionPresent {
		t.Error("the session of who was connected is lost")
	}
	<-time.After(time.Until(expired)) // it is the time of the program under test
	for id, present := range map[string]bool{"short": false, "connected": false, "resumable": true} {
		if c := connect5(t, s, d, id, 3600, nil); c.ack.SessionPresent != present {
			t.Errorf("%s: session present %v", id, c.ack.SessionPresent)
		}
	}
	listener = connect5(t, s, d, "listener", 3600, nil)
	if !listener.ack.SessionPresent {
		t.Fatal("the session of the listener is lost")
	}
	topics := listener.until("fleet/delayed")
	if !slices.Contains(topics, "fleet/broken") {
		topics = append(topics, listener.until("fleet/broken")...)
	}
	connect5(t, s, d, "publisher", 0, nil).pub("fleet/end", false, 3600)
	topics = append(topics, listener.until("fleet/end")...)
	slices.Sort(topics)
	if want := []string{"fleet/broken", "fleet/connected", "fleet/delayed", "fleet/end", "fleet/long", "fleet/resumable"}; !slices.Equal(topics, want) {
		t.Errorf("published were %v, want %v", topics, want)
	}
	listener.sub("kept/#")
	if got := listener.until("kept/long"); len(got) != 1 {
		t.Errorf("retained were %v", got)
	}
	noDefects(t, s)
}

// TestASessionIsNotHandedOver lets another account come with the client id of a session.
func TestASessionIsNotHandedOver(t *testing.T) {
	o := rig.Options{Data: t.TempDir()}
	s := rig.Start(t, o)
	ann, bob := s.Register(t, "owner-1"), s.Register(t, "owner-2")
	a := connect5(t, s, ann, "owner-1", 3600, nil)
	a.sub("private/#")
	refused := func(when string) {
		t.Helper()
		for _, clean := range []bool{false, true} {
			if c := connect5(t, s, bob, "owner-1", 3600, func(p *paho.Connect) { p.CleanStart = clean }); c.ack.ReasonCode != 0x85 {
				t.Errorf("%s, clean start %v: %#x", when, clean, c.ack.ReasonCode)
			}
		}
	}
	refused("connected")
	connect5(t, s, bob, "owner-2", 0, nil).pub("private/1", false, 3600)
	a.until("private/1")
	a.nc.Close()
	s.Kill()
	s = rig.Start(t, o)
	refused("after a kill")
	connect5(t, s, bob, "owner-2", 0, nil).pub("private/2", false, 3600)
	a = connect5(t, s, ann, "owner-1", 3600, nil)
	if !a.ack.SessionPresent {
		t.Error("the session is lost")
	}
	a.until("private/2")
	a.nc.Close()
	connect5(t, s, bob, "owner-2", 0, nil).pub("private/3", false, 3600)
	s.Admin().Want(t, 200, "PUT", "/user/main/users/device_owner-1", map[string]any{"enabled": false}, nil)
	c := connect5(t, s, bob, "owner-1", 3600, nil)
	if c.ack.ReasonCode != 0 || c.ack.SessionPresent {
		t.Fatalf("after the account was disabled: %#x, session present %v", c.ack.ReasonCode, c.ack.SessionPresent)
	}
	c.sub("other/#")
	c.pub("other/1", false, 3600)
	if got := c.until("other/1"); len(got) != 1 {
		t.Errorf("got %v of another owner", got)
	}
	noDefects(t, s)
}
