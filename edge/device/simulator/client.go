package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/isobar-iot/isobar/fault"
)

// Client is one MQTT connection of one device. It does not reconnect: once Lost is closed it is of no more use.
type Client interface {
	// Publish sends a payload with QoS 1 and returns when the server has acknowledged it.
	Publish(ctx context.Context, topic, payload string) error
	// Subscribe asks for a topic with QoS 1 and returns when the server has granted it. receive is called in the order of arrival
	// and must not block.
	Subscribe(ctx context.Context, topic string, receive func(payload string)) error
	// Lost is closed when the connection has ended without Close.
	Lost() <-chan struct{}
	// Close ends the connection; it may be called twice.
	Close()
}

// login is what a device connects with.
type login struct{ clientID, user, password string }

// dialer opens a connection. An error is of kind Unauthenticated if the server refuses the login.
type dialer func(ctx context.Context, l login) (Client, error)

const (
	keepAlive      = 30 * time.Second
	connectTimeout = 10 * time.Second
	closeQuiesce   = 250 // milliseconds for the last packets to leave
)

// pahoClient is the Client over TCP or TLS.
type pahoClient struct {
	client mqtt.Client
	lost   chan struct{}
	once   sync.Once // closes lost
}

// pahoDialer returns the dialer to a server.
func pahoDialer(b broker, conf *tls.Config) dialer {
	return func(ctx context.Context, l login) (Client, error) {
		c := &pahoClient{lost: make(chan struct{})}
		opts := mqtt.NewClientOptions().
			AddBroker(b.String()).
			SetClientID(l.clientID).
			SetUsername(l.user).
			SetPassword(l.password).
			SetProtocolVersion(4).
			SetCleanSession(true).
			SetKeepAlive(keepAlive).
			SetConnectTimeout(connectTimeout).
			SetAutoReconnect(false). // the device decides when, with jitter
			SetConnectRetry(false).
			SetOrderMatters(true).
			SetConnectionLostHandler(func(mqtt.Client, error) { c.once.Do(func() { close(c.lost) }) })
		if b.tls {
			opts.SetTLSConfig(tlsFor(b, conf))
		}
		c.client = mqtt.NewClient(opts)
		if err := wait(ctx, c.client.Connect()); err != nil {
			c.Close()
			return nil, dialError(b, l, err)
		}
		return c, nil
	}
}

// tlsFor completes the caller's configuration with the name that the server's certificate must carry.
func tlsFor(b broker, conf *tls.Config) *tls.Config {
	if conf = conf.Clone(); conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if host, _, err := net.SplitHostPort(b.host); err == nil && conf.ServerName == "" {
		conf.ServerName = host
	}
	return conf
}

func dialError(b broker, l login, err error) error {
	const op = fault.Op("simulator.Dial")
	server := fault.Subject(b.String())
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return fault.E(op, fault.Unauthenticated, server, "the server refuses user "+l.user+" of device "+l.clientID, err)
	case errors.Is(err, context.Canceled):
		return fault.E(op, fault.Canceled, server, err)
	}
	return fault.E(op, fault.Unavailable, server, "no MQTT connection to the server: check the address and that it is running", err)
}

func (c *pahoClient) Publish(ctx context.Context, topic, payload string) error {
	return wait(ctx, c.client.Publish(topic, 1, false, payload))
}

func (c *pahoClient) Subscribe(ctx context.Context, topic string, receive func(string)) error {
	token := c.client.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { receive(string(m.Payload())) })
	return wait(ctx, token)
}

func (c *pahoClient) Lost() <-chan struct{} { return c.lost }

func (c *pahoClient) Close() { c.client.Disconnect(closeQuiesce) }

// wait returns when the server has answered or the context has ended.
func wait(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reach opens and closes a TCP connection, so that a wrong address is told at once and not device by device.
func reach(ctx context.Context, b broker) error {
	d := net.Dialer{Timeout: connectTimeout}
	conn, err := d.DialContext(ctx, "tcp", b.host)
	if err != nil {
		return dialError(b, login{}, err)
	}
	return conn.Close()
}
