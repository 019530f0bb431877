package session

import (
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// Message is an application message. Once handed over it is shared between goroutines and never changed.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool // The publisher asked to retain it.
	Will    bool // It is the last will of a client. Not stored.

	// How the publisher sent it: its packet identifier, zero at QoS 0, and whether it says that this is a repetition. Not stored.

	PacketID uint16
	Dup      bool

	// The rest exists in MQTT 5.0 only and is passed through (section 3.3.2.3).

	PayloadFormat   byte // 1 promises UTF-8.
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []packet.UserProperty
	ExpiresAt       time.Time // Zero for never; kept to the second.
}

// Expired tells whether the message must no longer be delivered.
func (m *Message) Expired(now time.Time) bool {
	return !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt)
}

// Size is what the message counts for in bounds on bytes: its variable parts and a fixed share for the rest.
func (m *Message) Size() int {
	n := 64 + len(m.Topic) + len(m.Payload) + len(m.ContentType) + len(m.ResponseTopic) + len(m.CorrelationData)
	for _, u := range m.User {
		n += len(u.Key) + len(u.Value)
	}
	return n
}

// State is how far the delivery of a queued message has come.
type State byte

// The states. Released is for QoS 2 only.
const (
	Queued   State = iota // Not sent yet.
	Sent                  // PUBLISH sent, not acknowledged.
	Released              // PUBREC received: PUBREL is due, never PUBLISH again (MQTT-4.3.3-6).
)

// Entry is one message in the outbound queue of a session.
type Entry struct {
	Seq             uint64 // Ascending in order of delivery, never zero.
	QoS             byte   // Of the delivery, 1 or 2.
	Retain          bool   // Retain flag of the delivery.
	SubscriptionIDs []uint32
	State           State
	PacketID        uint16 // Zero while Queued.
	Message         *Message
}

// Subscription is one subscription of a session.
type Subscription struct {
	Filter            string // With $share/<group>/ if it is shared.
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	ID                uint32
}

// Meta is the small record of a session. A zero DisconnectedAt says that a connection holds, or held when we crashed.
type Meta struct {
	Expiry         uint32 // Seconds after disconnection; NeverExpires for no end.
	DisconnectedAt time.Time
	User           string    // Whose session it is, as the policy named it; empty in records of earlier versions.
	Will           *Message  // Waits to be published, or is that of a connection that is there; nil if there is none.
	WillAt         time.Time // When; kept to the second, rounded up. Zero while the connection is there.
	WillDelay      uint32    // Seconds to wait when the connection has ended, if WillAt is zero.
	WillUser       string    // Whose will it is, as the policy named it.
}

// NeverExpires as Meta.Expiry means no end (MQTT 5.0 section 3.1.2.11.2).
const NeverExpires = 0xFFFFFFFF

// Info is what is known about a session without reading its queue.
type Info struct {
	ClientID      string
	Meta          Meta
	Subscriptions []Subscription
	Received      []uint16 // Inbound QoS 2 packet identifiers not yet released.
	QueueLen      int
	QueueBytes    int64 // Close to the sum of Message.Size; a driver may count its encoding.
	LastSeq       uint64
}
