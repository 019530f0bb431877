package session

import "context"

// Store keeps sessions and retained messages, apart by realm.
//
// Order. Operations take effect in the order of the slice, all or none. Two Commit calls of one caller, one after the
// other, take effect in that order also after a crash: what is lost is a tail, never a hole.
//
// Durability. With durable set, Commit returns after everything committed so far would survive a power cut. Without it
// the newest commits may be lost in a crash; reads see them at once in any case.
//
// Reads return copies or immutable values that the caller may keep. Unknown realms and sessions are empty, not errors.
// All methods are safe for concurrent use. Errors are the driver's own and mean that nothing was done.
type Store interface {
	// Commit applies operations to one realm.
	Commit(ctx context.Context, realm string, ops []Op, durable bool) error
	// Sessions calls yield for every session of the realm, in an order of the driver's, until yield returns an error,
	// which is then returned.
	Sessions(ctx context.Context, realm string, yield func(Info) error) error
	// Queue reads up to limit entries of a session's outbound queue with Seq > after, in order of Seq.
	Queue(ctx context.Context, realm, clientID string, after uint64, limit int) ([]Entry, error)
	// RetainedTopics calls yield for every topic that has a retained message, until yield returns an error.
	RetainedTopics(ctx context.Context, realm string, yield func(topic string) error) error
	// Retained returns the retained message of a topic, nil if there is none.
	Retained(ctx context.Context, realm, topic string) (*Message, error)
	// Purge deletes everything of a realm, durably.
	Purge(ctx context.Context, realm string) error
}

// Op is one change. Which fields count depends on its Kind.
type Op struct {
	Kind     OpKind
	ClientID string
	Seq      uint64
	PacketID uint16
	State    State
	Filter   string // Also the topic of DeleteRetained.
	Meta     Meta
	Sub      Subscription
	Entry    *Entry
	Message  *Message
}

// OpKind says what an Op does.
type OpKind byte

// The operations.
const (
	// PutSession creates or updates: ClientID, Meta. It leaves the rest of the session alone. Operations on a session that
	// was not put, or was deleted, have an undefined effect: a caller deletes before it creates, to start from nothing.
	PutSession     OpKind = iota + 1
	DeleteSession         // ClientID. Everything of the session.
	PutSub                // ClientID, Sub. Replaces the subscription with the same filter.
	DeleteSub             // ClientID, Filter.
	Enqueue               // ClientID, Entry. Appends; Entry.Seq is above all earlier ones.
	MarkEntry             // ClientID, Seq, PacketID, State. No effect on an entry that is gone.
	RemoveEntry           // ClientID, Seq.
	PutReceived           // ClientID, PacketID.
	DeleteReceived        // ClientID, PacketID.
	PutRetained           // Message, stored under its topic.
	DeleteRetained        // Filter holds the topic.
)
