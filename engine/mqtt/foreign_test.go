package mqtt_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// listen serves on a port of the loopback interface.
func (s *server) listen() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	return l.Addr().String()
}

func TestForeignClientPaho3(t *testing.T) {
	for _, level := range []uint{3, 4} {
		s := start(t, &policy{}, nil)
		o := paho3.NewClientOptions().AddBroker("tcp://" + s.listen()).SetClientID("p3").SetProtocolVersion(level).SetCleanSession(false)
		c := paho3.NewClient(o)
		wait := func(k paho3.Token) {
			t.Helper()
			if !k.WaitTimeout(5*time.Second) || k.Error() != nil {
				t.Fatalf("token: %v", k.Error())
			}
		}
		wait(c.Connect())
		got := make(chan string, 1000)
		wait(c.Subscribe("a/#", 2, func(_ paho3.Client, m paho3.Message) { got <- string(m.Payload()) }))
		for i := range 200 {
			wait(c.Publish("a/b", byte(i%3), false, fmt.Sprint(i)))
		}
		seen := map[string]bool{}
		for range 200 {
			seen[within(t, got)] = true
		}
		if len(seen) != 200 {
			t.Fatalf("%d different messages", len(seen))
		}
		wait(c.Unsubscribe("a/#"))
		c.Disconnect(100)
	}
}

func TestForeignClientPaho5(t *testing.T) {
	s := start(t, &policy{}, nil)
	nc, err := net.Dial("tcp", s.listen())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *paho.Publish, 1000)
	c := paho.NewClient(paho.ClientConfig{Conn: nc, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) { got <- p.Packet; return true, nil },
	}})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := c.Connect(ctx, &paho.Connect{ClientID: "p5", CleanStart: true, KeepAlive: 30}); err != nil {
		t.Fatal(err)
	}
	id := 7
	_, err = c.Subscribe(ctx, &paho.Subscribe{
		Properties:    &paho.SubscribeProperties{SubscriptionIdentifier: &id},
		Subscriptions: []paho.SubscribeOptions{{Topic: "a/#", QoS: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		props := &paho.PublishProperties{ContentType: "text", CorrelationData: []byte("c"), ResponseTopic: "r"}
		props.User.Add("k", "v")
		if _, err := c.Publish(ctx, &paho.Publish{Topic: "a/b", QoS: byte(i % 3), Payload: []byte(fmt.Sprint(i)), Properties: props}); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		p := within(t, got)
		if p.Properties.ContentType != "text" || p.Properties.User.Get("k") != "v" || *p.Properties.SubscriptionIdentifier != 7 {
			t.Fatalf("%+v", p.Properties)
		}
	}
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		t.Fatal(err)
	}
}

// TestForeignClientReconnects cuts connections under a client that keeps its own session: nothing is lost or doubled.
func TestForeignClientReconnects(t *testing.T) {
	p := &policy{}
	s := start(t, p, nil)
	u, _ := url.Parse("mqtt://" + s.listen())
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan string, 1000)
	cm, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{u}, KeepAlive: 30, SessionExpiryInterval: 60, ReconnectBackoff: func(int) time.Duration { return time.Millisecond },
		ClientConfig: paho.ClientConfig{ClientID: "auto", OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) { got <- string(p.Packet.Payload); return true, nil },
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); <-cm.Done() }()
	if err := cm.AwaitConnection(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := cm.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "x", QoS: 2}}}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		s.inject("x", fmt.Sprint(i), 2)
		if i%20 == 10 {
			s.Disconnect("t1", "auto", packet.AdministrativeAction)
		}
	}
	seen := map[string]int{}
	for len(seen) < 200 {
		seen[within(t, got)]++
	}
	for m, n := range seen {
		if n != 1 {
			t.Errorf("message %s came %d times", m, n)
		}
	}
}

func TestForeignClientMosquitto(t *testing.T) {
	for _, tool := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("mosquitto clients are not installed")
		}
	}
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			s := start(t, &policy{}, nil)
			host, port, _ := net.SplitHostPort(s.listen())
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			args := []string{"-h", host, "-p", port, "-V", version, "-q", "2", "-t"}
			sub := exec.CommandContext(ctx, "mosquitto_sub", append(args, "a/#", "-i", "sub", "-C", "4", "-F", "%t %q %r %p")...)
			var out, fail bytes.Buffer
			sub.Stdout, sub.Stderr = &out, &fail
			run := func(more ...string) {
				t.Helper()
				if b, err := exec.CommandContext(ctx, "mosquitto_pub", append(args, more...)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, b)
				}
			}
			run("a/kept", "-r", "-m", "old")
			if err := sub.Start(); err != nil {
				t.Fatal(err)
			}
			s.eventually(func() bool {
				list, _ := s.Sessions(ctx, "t1")
				return len(list) == 1 && list[0].Subscriptions == 1
			})
			run("a/1", "-m", "one")
			run("a/1", "-m", "two", "-q", "1")
			run("a/1", "-m", strings.Repeat("x", 9000), "-q", "0")
			if err := sub.Wait(); err != nil {
				t.Fatalf("%v: %s", err, fail.String())
			}
			want := "a/kept 2 1 old\na/1 2 0 one\na/1 1 0 two\na/1 0 0 " + strings.Repeat("x", 9000) + "\n"
			// In any order: mosquitto_sub shows a message of QoS 2 when its exchange has ended.
			if sorted := func(s string) []string { return slices.Sorted(strings.Lines(s)) }; !slices.Equal(sorted(out.String()), sorted(want)) {
				t.Fatalf("got %q", out.String())
			}
		})
	}
}
