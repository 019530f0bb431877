package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionmem"
)

// Config is what a Server is made of. Only Gate must be set; zero means the default that stands at each field.
type Config struct {
	Gate    Gate
	Store   session.Store         // Default: memory, lost at exit.
	Log     *slog.Logger          // Default: discard.
	Metrics prometheus.Registerer // Default: none.

	// Forward is called after a message of a local client was routed here, so that other nodes can be told. It runs in
	// the publisher's acknowledgement path and must not block, so it must not call Server.Publish. Messages from Server.Publish are not forwarded.
	Forward func(realm string, m *Message)

	// Room is asked before something new goes to the store: a message that may be queued (QoS 1 and 2) or retained, a new session. Its error refuses the
	// message with 0x97. It must not block. Default: there is always room.
	Room func() error

	ConnectTimeout time.Duration // From accept to CONNACK, waiting for an older connection to end included. 10 s.
	MaxConnecting  int           // Calls of Gate.Connect at once; others wait for their turn, in which ConnectTimeout does not run. 64.
	QueueTimeout   time.Duration // How long they wait before they are told that the server is busy. 30 s.
	WriteTimeout   time.Duration // One write to a client that takes nothing. 30 s.
	DrainTimeout   time.Duration // How long a connection that closes waits for its publishes in progress. 5 s.

	// Will publishes a will whose connection was of an earlier run of the server: user is what Handler.User said then. done is called once, as by
	// Handler.Publish. Without it such wills are dropped and counted, and those that wait at Shutdown are published early.
	Will func(realm, clientID, user string, m *Message, done func(Verdict))

	// Orphaned tells that nobody who owns what Handler.Owner named can connect any more. Such a session is deleted when another owner comes with its
	// client id. Nil: the session keeps its client id until it expires.
	Orphaned func(ctx context.Context, realm, owner string) bool

	MaxKeepAlive   time.Duration // The longest a client may be silent; v5 clients that want more, or no end, are told. 3.x cannot be told: it gets what it wants. 10 min.
	PacketTimeout  time.Duration // From the first bytes of a packet to its last; below the keep alive of the client. 60 s.
	ResponsePrefix string        // Before the client id it is the response information of v5 clients that ask for it. Empty for none.

	MaxConnectBytes   int    // CONNECT with header: what a stranger may make us hold. 4,096.
	MaxPacketBytes    int    // Inbound packet with header. 16,184, the bound of the reference.
	MaxConnections    int    // 0 for no bound. More are closed at once.
	ReceiveMaximum    uint16 // Inbound QoS>0 publishes in progress per connection, also the bound on all of them. 256.
	MaxPendingBytes   int    // Payload of inbound publishes in progress per connection; one is always let in. 1 MiB.
	MaxInflight       uint16 // Outbound QoS>0 messages unacknowledged per connection, if the client allows as many. 128.
	TopicAliasMaximum uint16 // Topic aliases per v5 connection, in each direction; outbound as many as the client takes, too. 16.

	QueueMessages int // Outbound messages in memory per connection. New ones are dropped and counted. 1,000.
	QueueBytes    int // The same in bytes. 1 MiB.

	OfflineMessages int   // Messages in the store per persistent session. New ones are refused and counted. 100,000.
	OfflineBytes    int64 // The same in bytes. 64 MiB.
	MaxRetained     int   // Retained messages per realm; new topics are refused with 0x97. 100,000.

	MaxSubscriptions int // Subscriptions per session; more are refused with 0x97 (0x80 in 3.x). 1,000.

	MaxSessionExpiry time.Duration // Longest life of a session without a connection; it is the one of 3.x. 30 days.
	ReadBufferBytes  int           // Per connection that streams; a quiet one holds none. Packets that do not fit get their own memory. 4,096.
}

// Check reports what cannot work. It is pure.
func (c *Config) Check() error {
	switch {
	case c.Gate == nil:
		return errors.New("mqtt: no gate")
	case c.MaxPacketBytes > packet.MaxRemaining:
		return errors.New("mqtt: maximum packet size is above the protocol's 268,435,455 bytes")
	}
	return nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c *Config) fill() {
	if c.Store == nil {
		c.Store = sessionmem.New()
	}
	if c.Room == nil {
		c.Room = func() error { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&c.ConnectTimeout, 10*time.Second)
	orDefault(&c.MaxConnecting, 64)
	orDefault(&c.QueueTimeout, 30*time.Second)
	orDefault(&c.WriteTimeout, 30*time.Second)
	orDefault(&c.DrainTimeout, 5*time.Second)
	orDefault(&c.MaxKeepAlive, 10*time.Minute)
	orDefault(&c.PacketTimeout, time.Minute)
	orDefault(&c.MaxConnectBytes, 4096)
	orDefault(&c.MaxPacketBytes, 16_184)
	c.MaxConnectBytes = min(c.MaxConnectBytes, c.MaxPacketBytes)
	orDefault(&c.ReceiveMaximum, 256)
	orDefault(&c.MaxPendingBytes, 1<<20)
	orDefault(&c.MaxInflight, 128)
	orDefault(&c.TopicAliasMaximum, 16)
	orDefault(&c.QueueMessages, 1000)
	orDefault(&c.QueueBytes, 1<<20)
	orDefault(&c.OfflineMessages, 100_000)
	orDefault(&c.OfflineBytes, 64<<20)
	orDefault(&c.MaxRetained, 100_000)
	orDefault(&c.MaxSubscriptions, 1000)
	orDefault(&c.MaxSessionExpiry, 30*24*time.Hour)
	orDefault(&c.ReadBufferBytes, 4096)
}
