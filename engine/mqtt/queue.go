package mqtt

import "github.com/isobar-iot/isobar/engine/mqtt/session"

// delivery is one message on its way to one session.
type delivery struct {
	msg    *Message
	ids    []uint32
	acked  func(bool)
	seq    uint64 // Zero if it is in memory only.
	pid    uint16
	qos    byte
	state  session.State
	retain bool
	again  bool   // It was sent on an earlier connection: DUP.
	live   bool   // It was sent on this connection.
	share  string // The shared subscription that it comes from, or empty.
	order  uint64 // Of the sending on this connection.
	own    bool   // Of Conn.Deliver: the policy made it for this client.
}

// fed is one retained message that is due to a subscription.
type fed struct {
	topic string
	qos   byte
	id    uint32
}

// deliveries is a queue.
type deliveries struct {
	items []*delivery
	head  int
}

func (q *deliveries) len() int { return len(q.items) - q.head }

func (q *deliveries) push(d *delivery) { q.items = append(q.items, d) }

func (q *deliveries) peek() *delivery { return q.items[q.head] }

func (q *deliveries) pop() {
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items) && cap(q.items) > 64:
		*q = deliveries{}
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head >= 64 && q.head*2 >= len(q.items):
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
}

// offer puts a message into the memory queue of the connection, or counts why not.
func (s *sess) offer(d *delivery) {
	s.mu.Lock()
	c := s.conn
	full := c != nil && !s.push(d)
	s.mu.Unlock()
	switch {
	case c == nil && d.qos == 0:
		s.realm.srv.met.drop(dropOfflineQoS0)
	case c == nil || full:
		s.realm.srv.met.drop(dropQueueFull)
	default:
		c.signal()
	}
}

// push appends to the memory queue if there is room.
func (s *sess) push(d *delivery) bool {
	cfg := &s.realm.srv.cfg
	n := d.msg.Size()
	if s.queue.len() >= cfg.QueueMessages || s.queueBytes+n > cfg.QueueBytes && s.queue.len() > 0 {
		return false
	}
	s.queueBytes += n
	s.queue.push(d)
	return true
}

// admit takes a message into the stored queue, on the committing goroutine. At the bound it refuses the new message:
// what the session was promised first stays, and a client that comes back finds the oldest and an unbroken sequence.
func (s *sess) admit(d *delivery) bool {
	cfg := &s.realm.srv.cfg
	s.mu.Lock()
	n := int64(d.msg.Size())
	full := s.count >= cfg.OfflineMessages || s.bytes+n > cfg.OfflineBytes
	log := full && !s.fullLogged && !s.dead
	if full {
		s.fullLogged = true
	} else if !s.dead {
		s.count++
		s.bytes += n
		s.lastSeq++
		d.seq = s.lastSeq
	}
	ok := !full && !s.dead
	s.mu.Unlock()
	if full {
		s.realm.srv.met.drop(dropOfflineFull)
	}
	if log {
		cfg.Log.Warn("session queue is full, new messages are refused", "tenant", s.realm.name, "device", s.id)
	}
	return ok
}

// committedEntry brings an admitted message into the window when it is stored, or forgets it when that failed.
func (s *sess) committedEntry(d *delivery, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		s.uncount(d)
		return
	}
	s.committed = max(s.committed, d.seq)
	if d.seq <= s.loaded {
		return // The writer read it from the store already.
	}
	if s.conn != nil && !s.spilled && s.push(d) {
		s.loaded = d.seq
	} else {
		s.spilled = true
	}
	if s.conn != nil {
		s.conn.signal()
	}
}

func (s *sess) uncount(d *delivery) {
	if d.seq == 0 {
		return
	}
	s.count--
	s.bytes = max(0, s.bytes-int64(d.msg.Size()))
	if s.count == 0 {
		s.bytes = 0
	}
	s.fullLogged = s.fullLogged && s.count > 0
}

// deliver is Conn.Deliver.
func (s *sess) deliver(m *Message, acked func(bool)) bool {
	granted, ok := s.subscribedTo(m.Topic)
	if !ok {
		return false
	}
	d := &delivery{msg: m, qos: min(granted, m.QoS), acked: acked, own: true}
	s.mu.Lock()
	c := s.conn
	if c == nil {
		s.mu.Unlock()
		return false
	}
	full := !s.push(d)
	if full && acked != nil {
		s.failed = append(s.failed, acked)
	}
	s.mu.Unlock()
	if full {
		s.realm.srv.met.drop(dropQueueFull)
	}
	c.signal()
	return true
}
