package mqtt

import (
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// result is what an acknowledgement of the client leads to.
type result struct {
	acked  func(bool)
	ok     bool
	ops    []session.Op
	pubrel bool
	code   packet.Reason // Of the PUBREL.
}

// clientAck handles PUBACK, PUBREC and PUBCOMP of the client: the sending side of MQTT 5.0 section 4.3. The packet
// identifiers here are ours; those of the client's own publishes are another space.
func (c *conn) clientAck(p *packet.Ack) {
	s := c.sess
	s.mu.Lock()
	var r result
	d := s.inflight[p.PacketID]
	switch {
	case d == nil || !d.live || (p.Type == packet.PUBACK) != (d.qos == 1):
		// Not ours, or of an earlier life. PUBREC must be answered all the same.
		r.pubrel, r.code = p.Type == packet.PUBREC, packet.PacketIDNotFound
	case p.Type == packet.PUBREC && !p.Code.Failed():
		r = s.toReleased(d)
	case p.Type == packet.PUBCOMP && d.state != session.Released:
	default:
		r = s.finish(d, !p.Code.Failed())
	}
	s.mu.Unlock()
	c.apply(p.PacketID, r)
}

func (s *sess) toReleased(d *delivery) (r result) {
	if d.state != session.Released && d.seq > 0 {
		r.ops = []session.Op{{Kind: session.MarkEntry, ClientID: s.id, Seq: d.seq, PacketID: d.pid, State: session.Released}}
	}
	d.state = session.Released
	r.pubrel = true
	return r
}

// finish forgets a delivery, with s.mu held.
func (s *sess) finish(d *delivery, ok bool) (r result) {
	delete(s.inflight, d.pid)
	if d.live {
		s.unacked--
	}
	if d.seq > 0 {
		s.uncount(d)
		r.ops = []session.Op{{Kind: session.RemoveEntry, ClientID: s.id, Seq: d.seq}}
	}
	r.acked, r.ok = d.acked, ok
	return r
}

func (c *conn) apply(id uint16, r result) {
	switch {
	case r.pubrel && c.sess.stored:
		// Once PUBREL is out the message must never be sent again, not even after a crash: the mark comes first. Those
		// without a mark queue up too, because PUBRELs go out in the order of the PUBRECs (MQTT-4.6.0-4).
		c.owe(1)
		c.realm.submit(&job{ops: r.ops, durable: len(r.ops) > 0, then: func(err error) {
			defer c.owe(-1)
			if err != nil {
				c.kill(ByFault, packet.ImplementationError, err)
				return
			}
			c.ack(packet.PUBREL, id, r.code)
		}})
	case r.pubrel:
		c.ack(packet.PUBREL, id, r.code)
	case len(r.ops) > 0:
		// Losing this in a crash means sending the message once more: allowed at QoS 1, and at QoS 2 only PUBREL is sent.
		c.realm.submit(&job{ops: r.ops})
	}
	if r.acked != nil {
		r.acked(r.ok)
	}
	c.signal()
}

// release handles PUBREL: the end of an inbound QoS 2 exchange.
func (c *conn) release(id uint16) {
	s := c.sess
	s.mu.Lock()
	_, known := s.received[id]
	delete(s.received, id)
	s.mu.Unlock()
	switch {
	case !known:
		c.ack(packet.PUBCOMP, id, packet.PacketIDNotFound)
	case !s.stored:
		c.ack(packet.PUBCOMP, id, packet.Success)
	default:
		// After PUBCOMP the client may use the identifier for a new message; if a crash brought the old record back, that
		// message would be taken for a duplicate and lost. So the record goes durably first.
		op := session.Op{Kind: session.DeleteReceived, ClientID: s.id, PacketID: id}
		c.owe(1)
		c.realm.submit(&job{ops: []session.Op{op}, durable: true, then: func(err error) {
			defer c.owe(-1)
			if err != nil {
				c.kill(ByFault, packet.ImplementationError, err)
				return
			}
			c.ack(packet.PUBCOMP, id, packet.Success)
		}})
	}
}
