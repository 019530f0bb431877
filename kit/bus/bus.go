// Package bus carries facts between components and nodes over NATS: realtime notifications, cache invalidation, operation delivery.
//
// It carries, it is not the system of record: a component persists first and publishes then. Delivery is at most once and in the order
// of publication per publisher; a subscriber that falls behind by more than its bound loses the oldest messages, which is counted, and must
// be able to read what it missed from the store.
//
// Subjects are "isobar.<tenant>.<kind>.<action>[.<id>]": the tenant comes first after the prefix, so that isolation is a property of the subject.
// Without a URL the bus runs an embedded NATS server that listens on no port.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/iot"
)

const (
	prefix       = "isobar."
	startTimeout = 10 * time.Second
	// pendingMessages and pendingBytes bound what waits for one slow subscriber; beyond it NATS drops new messages, which is counted.
	pendingMessages = 64 * 1024
	pendingBytes    = 64 << 20
)

// Config says which NATS to use.
type Config struct {
	URL string // of an external server or cluster; empty: embedded
	// Dir is where the embedded server keeps streams, synced with every write; empty: it has none.
	Dir string
	Log *slog.Logger
	Reg prometheus.Registerer
}

// Bus is a connection to NATS. It is safe for concurrent use.
type Bus struct {
	conn     *nats.Conn
	embedded *server.Server
	url      string
	opts     []nats.Option
	log      *slog.Logger

	keeper    atomic.Pointer[Keeper]
	published prometheus.Counter
	dropped   prometheus.Counter
}

// Open connects, starting the embedded server first if no URL is given.
func Open(c Config) (*Bus, error) {
	b := &Bus{
		log:       c.Log.With("component", "bus"),
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_bus_published_messages_total", Help: "Messages published."}),
		dropped:   prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_bus_slow_subscriber_drops_total", Help: "Times a slow subscriber lost messages."}),
	}
	if c.Reg != nil {
		c.Reg.MustRegister(b.published, b.dropped)
	}
	opts := []nats.Option{
		nats.Name("isobar"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.RetryOnFailedConnect(false),
		nats.ErrorHandler(b.asyncError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("disconnected", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { b.log.Info("reconnected") }),
	}
	url := c.URL
	if url == "" {
		if err := b.startEmbedded(c.Dir); err != nil {
			return nil, err
		}
		opts = append(opts, nats.InProcessServer(b.embedded))
	}
	b.url, b.opts = url, opts
	var err error
	if b.conn, err = nats.Connect(url, opts...); err != nil {
		b.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return b, nil
}

func (b *Bus) startEmbedded(dir string) (err error) {
	o := &server.Options{DontListen: true, NoSigs: true, NoLog: true, MaxPayload: 8 << 20}
	if dir != "" {
		// What is acknowledged lies on the disk: the default of a sync every two minutes lost all of it in a power cut. Streams are bounded one by one.
		o.JetStream, o.StoreDir, o.SyncAlways, o.JetStreamMaxMemory, o.JetStreamMaxStore = true, dir, true, 64<<20, 1<<50
	}
	b.embedded, err = server.NewServer(o)
	if err != nil {
		return fmt.Errorf("embedded NATS: %w", err)
	}
	go b.embedded.Start()
	if !b.embedded.ReadyForConnections(startTimeout) {
		return errors.New("embedded NATS did not become ready")
	}
	return nil
}

func (b *Bus) asyncError(_ *nats.Conn, s *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.dropped.Inc()
	}
	subject := ""
	if s != nil {
		subject = s.Subject
	}
	b.log.Warn("bus", "topic", subject, "err", err)
}

// Conn is the connection. It belongs to the bus; who keeps streams takes one of its own.
func (b *Bus) Conn() *nats.Conn { return b.conn }

// Dial opens another connection to the same NATS, which the caller closes before the bus. What is slow there does not make the bus lose messages.
func (b *Bus) Dial() (*nats.Conn, error) {
	conn, err := nats.Connect(b.url, b.opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return conn, nil
}

// Close ends the connection and the embedded server.
func (b *Bus) Close() {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
}

// Ready reports whether the bus is connected.
func (b *Bus) Ready(context.Context) error {
	if !b.conn.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}

// Subject builds the subject of a fact. The tenant must be valid; other parts are made safe.
func Subject(t iot.TenantID, parts ...string) string {
	var s strings.Builder
	s.WriteString(prefix)
	s.WriteString(string(t))
	for _, p := range parts {
		s.WriteByte('.')
		s.WriteString(safe(p))
	}
	return s.String()
}

func safe(p string) string {
	if p == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == 0x7f {
			return '_'
		}
		return r
	}, p)
}

// Rules is the last part of the subject of a fact that subscribers are not told of: only rules and what the platform itself depends on may see it.
const Rules = "rules"

// InMode is the subject of a fact of a write in a processing mode.
func InMode(subject string, m iot.ProcessingMode) string {
	if m.Live() {
		return subject
	}
	return subject + "." + Rules
}

// Base is a subject without that part.
func Base(subject string) string { return strings.TrimSuffix(subject, "."+Rules) }

// Publish sends data to the subscribers of a subject, on this node and others. It does not wait for them.
func (b *Bus) Publish(subject string, data []byte) {
	if err := b.conn.Publish(subject, data); err != nil {
		b.log.Warn("publish", "topic", subject, "err", err)
		return
	}
	b.published.Inc()
}

// Subscribe calls handle for every message on a subject (with * for one part and > for the rest), one at a time, in order, on a goroutine
// of its own. The tenant is the one in the subject. The returned function ends the subscription.
func (b *Bus) Subscribe(subject string, handle func(t iot.TenantID, subject string, data []byte)) (stop func(), err error) {
	s, err := b.conn.Subscribe(subject, func(m *nats.Msg) {
		defer func() {
			if r := recover(); r != nil {
				b.log.Error("panic in a subscriber", "topic", m.Subject, "err", r)
			}
		}()
		tenant, _, _ := strings.Cut(m.Subject[len(prefix):], ".")
		handle(iot.TenantID(tenant), m.Subject, m.Data)
	})
	if err != nil {
		return nil, err
	}
	if err := s.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return nil, err
	}
	// Without the round trip, a fact published right after Subscribe on another connection could be missed.
	if err := b.conn.FlushTimeout(startTimeout); err != nil {
		return nil, err
	}
	return func() { _ = s.Unsubscribe() }, nil
}

// All is the subject of a kind of fact in every tenant.
func All(parts ...string) string {
	return prefix + "*." + strings.Join(parts, ".")
}
