package mqtt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// refillBatch is how many stored entries, or retained messages, are read at a time.
const refillBatch = 256

// refill brings stored entries and retained messages into the memory queue when it runs low, and tells whether it
// found any. Writing goroutine only.
func (s *sess) refill() (found bool, err error) {
	s.mu.Lock()
	spilled, after, upto := s.spilled && s.queue.len() < refillBatch/4, s.loaded, s.committed
	due := s.takeFeed()
	s.mu.Unlock()
	for _, f := range due {
		if d := s.realm.fetch(f); d != nil {
			s.mu.Lock()
			s.queueBytes += d.msg.Size()
			s.queue.push(d)
			s.mu.Unlock()
		}
	}
	if !spilled {
		return len(due) > 0, nil
	}
	entries, err := s.realm.srv.cfg.Store.Queue(context.Background(), s.realm.name, s.id, after, refillBatch)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		s.load(&entries[i])
	}
	if len(entries) < refillBatch {
		s.loaded = max(s.loaded, upto)
	}
	s.spilled = s.committed > s.loaded
	return len(due)+len(entries) > 0, nil
}

// takeFeed takes some of the retained messages that are due, when nothing else is.
func (s *sess) takeFeed() (due []fed) {
	if s.queue.len() > 0 || len(s.feed) == 0 {
		return nil
	}
	n := min(len(s.feed), refillBatch/4)
	due, s.feed = s.feed[:n:n], s.feed[n:]
	return due
}

// load queues one entry from the store. Its packet identifier, if it has one, is taken at once, so that no new message
// can get it.
func (s *sess) load(e *session.Entry) {
	d := &delivery{
		msg: e.Message, ids: e.SubscriptionIDs, seq: e.Seq, pid: e.PacketID, qos: e.QoS, state: e.State, retain: e.Retain,
		again: e.State != session.Queued,
	}
	if d.pid != 0 {
		if s.inflight[d.pid] != nil {
			d.pid = 0
		} else {
			s.hold(d)
		}
	}
	s.loaded = max(s.loaded, d.seq)
	s.queueBytes += d.msg.Size()
	s.queue.push(d)
}

func (s *sess) hold(d *delivery) {
	if s.inflight == nil {
		s.inflight = map[uint16]*delivery{}
	}
	s.inflight[d.pid] = d
}

// take encodes as many messages as flow control, the client's window and the size of a write allow.
func (s *sess) take(c *conn, b *batch) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	b.failed = append(b.failed, s.failed...)
	s.failed = nil
	for s.queue.len() > 0 && len(b.buf) < writeBytes {
		d := s.queue.peek()
		if d.qos > 0 && s.unacked >= s.window {
			return
		}
		s.queue.pop()
		s.queueBytes -= d.msg.Size()
		switch {
		case d.msg.Expired(now) && !d.again:
			s.discard(d, b, dropExpired)
		case !d.own && d.state != session.Released && !c.handler.MayReceive(d.msg.Topic):
			s.discard(d, b, dropDenied)
		case !s.encode(c, d, b, now):
			s.discard(d, b, dropTooLarge)
		}
	}
}

// discard ends a delivery that cannot be made.
func (s *sess) discard(d *delivery, b *batch, why string) {
	s.realm.srv.met.drop(why)
	r := s.finish(d, false)
	b.drops = append(b.drops, r.ops...)
	if d.acked != nil {
		b.failed = append(b.failed, d.acked)
	}
}

// encode appends one message. False if the client does not take packets of that size (MQTT-3.1.2-24).
func (s *sess) encode(c *conn, d *delivery, b *batch, now time.Time) bool {
	start := len(b.buf)
	fresh := d.qos > 0 && d.pid == 0
	if fresh {
		d.pid = s.freeID()
	}
	if d.state == session.Released {
		b.buf = packet.AppendAck(b.buf, c.version, packet.PUBREL, d.pid, packet.Success)
	} else {
		p := packet.Publish{
			Dup: d.again, QoS: d.qos, Retain: d.retain, PacketID: d.pid, Payload: d.msg.Payload,
		}
		name, added := c.alias(&p, d.msg.Topic)
		b.buf = appendPublish(b.buf, &p, d, name, c.version, now)
		if b.sent++; added && c.clientMax > 0 && len(b.buf)-start > int(c.clientMax) {
			delete(c.aliasOut, name) // the client will not learn of it
		}
	}
	if c.clientMax > 0 && len(b.buf)-start > int(c.clientMax) {
		b.buf = b.buf[:start]
		return false
	}
	if d.qos == 0 {
		if d.acked != nil {
			b.after = append(b.after, d.acked)
		}
		return true
	}
	s.hold(d)
	s.sendings++
	d.live, d.order = true, s.sendings
	s.unacked++
	s.mark(d, b, fresh)
	return true
}

// alias gives the first topics of a connection aliases, if the client takes some, and returns what is sent as the topic name (section
// 3.3.2.3.4). added tells that the packet introduces one.
func (c *conn) alias(p *packet.Publish, name string) (sent string, added bool) {
	if c.aliasMax == 0 {
		return name, false
	}
	a, known := c.aliasOut[name]
	switch {
	case known:
		name = ""
	case len(c.aliasOut) >= c.aliasMax || len(name) < 4: // a short name is no longer than the property
		return name, false
	default:
		if c.aliasOut == nil {
			c.aliasOut = make(map[string]uint16, 1)
		}
		a = uint16(len(c.aliasOut) + 1)
		c.aliasOut[name] = a
	}
	p.Props.TopicAlias = a
	p.Props.Mark(packet.PropTopicAlias)
	return name, !known
}

// mark notes that the delivery was sent, and under which packet identifier if that is new.
func (s *sess) mark(d *delivery, b *batch, fresh bool) {
	if d.state == session.Queued {
		d.state = session.Sent
	}
	if d.seq == 0 || !fresh {
		return
	}
	b.marks = append(b.marks, session.Op{
		Kind: session.MarkEntry, ClientID: s.id, Seq: d.seq, PacketID: d.pid, State: d.state,
	})
	b.durable = b.durable || d.qos == 2
}

// freeID finds a packet identifier that is not in use. There is one: the window is far below 65,535.
func (s *sess) freeID() uint16 {
	for {
		s.nextID++
		if s.nextID != 0 && s.inflight[s.nextID] == nil {
			return s.nextID
		}
	}
}

func appendPublish(b []byte, p *packet.Publish, d *delivery, name string, v packet.Version, now time.Time) []byte {
	m := d.msg
	if v == packet.V5 {
		q := &p.Props
		q.PayloadFormat, q.ContentType, q.ResponseTopic = m.PayloadFormat, m.ContentType, m.ResponseTopic
		q.CorrelationData, q.User, q.SubscriptionIDs = m.CorrelationData, m.User, d.ids
		if m.PayloadFormat != 0 {
			q.Mark(packet.PropPayloadFormat)
		}
		if m.ContentType != "" {
			q.Mark(packet.PropContentType)
		}
		if m.ResponseTopic != "" {
			q.Mark(packet.PropResponseTopic)
		}
		if len(m.CorrelationData) > 0 {
			q.Mark(packet.PropCorrelationData)
		}
		if !m.ExpiresAt.IsZero() {
			// What is left, rounded up: an interval of 0 would say that it has expired.
			q.MessageExpiry = uint32(max(1, (m.ExpiresAt.Sub(now)+time.Second-1)/time.Second))
			q.Mark(packet.PropMessageExpiry)
		}
	}
	return p.AppendTopic(b, name, v)
}
