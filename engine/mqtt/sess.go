package mqtt

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// sess is a session: the outbound queue and what else must outlive a connection. A stored one survives its connection
// and the process; the other kind ends with its connection.
//
// The queue of a stored session is the store's. Memory holds a window of it while a connection is there: entries up to
// loaded are in memory or done, and spilled says that the store holds more, which the writer will read.
type sess struct {
	realm  *realm
	id     string
	stored bool
	record bool // The store has a record: of a stored session, or of another one with a will.
	online atomic.Bool

	owner *conn        // Guarded by realm.mu: the connection that holds the session, also while it closes.
	user  string       // Guarded by realm.mu: whose session it is, as the policy named it. Empty of an earlier version until somebody comes.
	timer *time.Timer  // Guarded by realm.mu: end of the session.
	will  *delayedWill // Guarded by realm.mu.
	since time.Time    // Guarded by realm.mu: end of the last connection.

	mu       sync.Mutex // Guards the fields below.
	dead     bool
	expiry   uint32 // Seconds.
	conn     *conn  // Takes messages; nil while there is none.
	subs     map[string]topic.Options
	received map[uint16]struct{} // Inbound QoS 2 identifiers, not released.

	queue      deliveries // Bounded by Config.QueueMessages and QueueBytes: new ones are dropped, or stay in the store.
	queueBytes int
	feed       []fed // Retained messages that a subscription asked for; the writer fetches them when the queue is empty.
	inflight   map[uint16]*delivery
	unacked    int // Of inflight, sent on this connection.
	window     int // Bound on unacked.
	nextID     uint16
	sendings   uint64
	failed     []func(bool) // Callbacks of refused deliveries, for the writer to call.

	count             int   // Entries in the store.
	bytes             int64 // Size of the entries in the store.
	lastSeq           uint64
	committed, loaded uint64
	spilled           bool
	fullLogged        bool
}

// activate opens the session's queue for a connection.
func (s *sess) activate(c *conn, window int) {
	s.mu.Lock()
	s.conn, s.window = c, window
	s.loaded, s.spilled = 0, s.count > 0
	if !s.spilled {
		s.loaded = s.committed
	}
	s.mu.Unlock()
	s.online.Store(true)
	c.live.Store(s)
	c.signal()
}

// deactivate takes the queue from a connection that ended. It returns the callbacks of what was not delivered, and what may go to other members
// of shared subscriptions, in its order. Stored messages are dropped from memory only: the next connection reads them from the store.
func (s *sess) deactivate() (undelivered []func(bool), shared []*delivery) {
	s.online.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := len(s.feed)
	note := func(d *delivery) {
		// What may have been received with QoS 2 is for nobody else (MQTT-4.8.2-5).
		if d.share != "" && !(d.qos == 2 && d.pid != 0) {
			shared = append(shared, d)
			return
		}
		if d.seq == 0 {
			lost++
		}
		if d.acked != nil {
			undelivered = append(undelivered, d.acked)
		}
	}
	sent := make([]*delivery, 0, len(s.inflight))
	for _, d := range s.inflight {
		sent = append(sent, d)
	}
	slices.SortFunc(sent, func(a, b *delivery) int { return cmp.Compare(a.order, b.order) })
	for _, d := range sent {
		note(d)
	}
	for _, d := range s.queue.items[s.queue.head:] {
		if d.pid == 0 {
			note(d)
		}
	}
	undelivered = append(undelivered, s.failed...)
	s.conn, s.queue, s.queueBytes, s.feed, s.inflight, s.unacked, s.failed = nil, deliveries{}, 0, nil, nil, 0, nil
	s.realm.srv.met.dropped.WithLabelValues(dropConnEnd).Add(float64(lost))
	return undelivered, shared
}

// kill marks the session as ended and returns the filters it held.
func (s *sess) kill() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	filters := make([]string, 0, len(s.subs))
	for f := range s.subs {
		filters = append(filters, f)
	}
	s.subs = nil
	return filters
}

func (s *sess) getExpiry() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiry
}

func (s *sess) setExpiry(v uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expiry = v
}

func (s *sess) noteReceived(id uint16) {
	if s.received == nil {
		s.received = map[uint16]struct{}{}
	}
	s.received[id] = struct{}{}
}

// subscribedTo looks for plain subscriptions; a shared one promises nothing to one client.
func (s *sess) subscribedTo(name string) (qos byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, o := range s.subs {
		if _, _, shared := topic.SplitShared(f); !shared && (f == name || topic.Match(f, name)) {
			qos, ok = max(qos, o.QoS), true
		}
	}
	return qos, ok
}

func (s *sess) info() SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := SessionInfo{
		ClientID: s.id, Connected: s.conn != nil, Persistent: s.stored, Subscriptions: len(s.subs), QueueLen: s.count,
		QueueBytes: s.bytes,
	}
	if !s.stored {
		i.QueueLen = s.queue.len() + len(s.inflight)
	}
	return i
}
