package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// Message is an application message. It is immutable once handed over.
type Message = session.Message

// Reason is a reason code of MQTT 5.0; for 3.x clients the broker translates.
type Reason = packet.Reason

// Gate decides who may connect.
type Gate interface {
	// Connect is called once per connection, on the connection's goroutine, after CONNECT was read and found valid. ctx
	// ends with the connect timeout. A *Refusal tells the client its reason; any other error is logged and told as
	// "server unavailable" (0x88, 3 in 3.x). The Handler gets no call before an older connection with the same realm and
	// client id has had its Closed.
	Connect(ctx context.Context, req *ConnectRequest) (Handler, error)
}

// ConnectRequest is what a client says in CONNECT and what is known about its connection.
type ConnectRequest struct {
	Version       packet.Version
	ClientID      string // Never empty: the broker assigns one where the protocol lets it.
	Assigned      bool   // ClientID is the broker's, not the client's.
	HasUser       bool
	User          string
	HasPassword   bool
	Password      []byte
	Clean         bool
	KeepAlive     uint16
	SessionExpiry uint32   // Seconds, as granted. 3.x: 0 for a clean session.
	Will          *Message // Nil without one.
	Properties    []packet.UserProperty
	RemoteAddr    net.Addr
	TLS           *tls.ConnectionState // Nil on plain connections.
	Conn          Conn                 // Usable after Connect has returned.
}

// Refusal is the error with which a Gate refuses a connection.
type Refusal struct {
	Reason Reason
	Text   string // Told to v5 clients when not empty.
}

// Error says the text and the reason code.
func (r *Refusal) Error() string { return fmt.Sprintf("connection refused: %s (%s)", r.Text, r.Reason) }

// Handler is the policy bound to one accepted connection. Its methods are called one after the other, in packet order,
// on the connection's reading goroutine; time spent in them delays the next packet of this client only. A panic closes
// the connection.
type Handler interface {
	// Realm is the name space of the connection. It is asked once.
	Realm() string
	// Owner names whose session it is: only the same owner gets it again. It is asked once.
	Owner() string
	// User names who is connected, in a form that Config.Will understands after a restart. It is asked for connections with a will only: when they
	// begin, and when they end and the will waits.
	User() string
	// Publish takes one inbound message. done must be called once, now or later, on any goroutine; further calls have no
	// effect. Only then the client gets its acknowledgement, in the order of its PUBLISH packets. The will comes here
	// too, with m.Will set, before Closed - except a will with a delay (v5), which may come after Closed, as the only
	// later call, and on another goroutine.
	Publish(m *Message, done func(Verdict))
	// Subscribe returns the granted quality of service (0, 1, 2) or a reason code to refuse. When a session is resumed it
	// is asked again for every subscription the session holds; what is refused then is dropped.
	Subscribe(filter string, qos byte) Reason
	// Subscribed says that the SUBACK (or CONNACK of a resumed session) is queued: Deliver works from here on.
	Subscribed(filter string, qos byte)
	// MayReceive tells whether a routed message may go to this client now; what may not is dropped and counted. It is asked for every message
	// right before it is written, whether it is new, was queued or retained, but not for those of Conn.Deliver. Other than the rest it is called on
	// the writing goroutine, also at the same time as another method and after Closed, with locks held: it must neither block nor call the broker.
	MayReceive(topic string) bool
	// Unsubscribed says that the client took the subscription back. It is not called when the connection closes.
	Unsubscribed(filter string)
	// Closed is called once, at the end.
	Closed(why CloseReason)
}

// Verdict is what a Handler decides about a message.
type Verdict struct {
	// Reason below 0x80 acknowledges. Failure is told to a v5 client; a 3.x client cannot be told, and since an
	// acknowledgement would be a lie, its connection is closed. QoS 0 has no answer: failures are counted.
	Reason Reason
	// Route lets the broker give the message to the realm's subscribers and retain it if the publisher asked for it. The
	// acknowledgement then waits until it is durable in every persistent session that matches.
	Route bool
}

// Conn is what a policy can do with its connection. All methods are safe for concurrent use and never block.
type Conn interface {
	// ClientID is the client's id, or the one that the broker assigned.
	ClientID() string
	// Version is the protocol level of CONNECT.
	Version() packet.Version
	// RemoteAddr is the address of the peer as the transport knows it.
	RemoteAddr() net.Addr
	// Deliver sends a message to this client only, if it holds a matching subscription, with at most the granted quality
	// of service. It is kept in memory only: not retained, not in the session. acked (nil is allowed) is called once, on
	// any goroutine and never from inside Deliver, and must not block: with true when the client acknowledged (QoS 0: after the write), with
	// false if the connection ends first or the queue is full. Deliver returns false, and will not call acked, if the
	// client is not subscribed or the connection has ended.
	Deliver(topic string, payload []byte, qos byte, acked func(bool)) bool
	// SubscribedTo returns the highest granted quality of service of the subscriptions that match.
	SubscribedTo(topic string) (qos byte, ok bool)
	// Close ends the connection; a v5 client gets DISCONNECT with the reason. The will is published.
	Close(reason Reason)
}

// Cause is the kind of event that ended a connection.
type Cause byte

// The causes.
const (
	ByClient   Cause = iota + 1 // The client sent DISCONNECT.
	ByNetwork                   // The connection broke or was closed without DISCONNECT.
	BySilence                   // Nothing was heard for one and a half keep alive intervals.
	ByTakeover                  // A newer connection with the same client id.
	ByProtocol                  // The client broke the protocol.
	ByPolicy                    // Conn.Close, Server.Disconnect, or a failed publish of a 3.x client.
	ByShutdown                  // The server stops.
	ByFault                     // A panic, or the session store failed.
)

// String names the cause.
func (c Cause) String() string {
	names := [...]string{"none", "client", "network", "silence", "takeover", "protocol", "policy", "shutdown", "fault"}
	return names[min(int(c), len(names)-1)]
}

// CloseReason says why a connection ended.
type CloseReason struct {
	Cause  Cause
	Reason Reason // What a v5 client was told, or said when Cause is ByClient.
	Err    error  // May be nil.
	// Settled says of a connection that broke or fell silent that every publish was acknowledged and that the client's host has confirmed
	// every byte, so that no acknowledgement was lost with it. False also where that cannot be known.
	Settled bool
}
