package mqtt

import (
	"context"
	"maps"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

// subscribe handles SUBSCRIBE: policy, store, tree, SUBACK, retained messages, in this order.
func (c *conn) subscribe(p *packet.Subscribe) error {
	var id uint32
	if len(p.Props.SubscriptionIDs) > 0 {
		id = p.Props.SubscriptionIDs[0]
	}
	codes, ops := c.grant(p, id)
	if c.sess.stored && len(ops) > 0 {
		if err := c.realm.submitWait(ops, true); err != nil {
			return &packet.Error{Code: packet.ImplementationError, Text: "subscription cannot be stored"}
		}
	}
	isNew := make([]bool, len(p.Filters))
	for i, f := range p.Filters {
		if !codes[i].Failed() {
			o := filterOptions(f, byte(codes[i]), id)
			c.sess.setSub(f.Filter, o)
			isNew[i] = c.realm.tree.Add(f.Filter, c.sess, o)
		}
	}
	c.control(&packet.Suback{PacketID: p.PacketID, Codes: codes})
	for i, f := range p.Filters {
		if codes[i].Failed() {
			continue
		}
		if f.RetainHandling == 0 || f.RetainHandling == 1 && isNew[i] {
			c.sendRetained(f.Filter, byte(codes[i]), id)
		}
		c.handler.Subscribed(f.Filter, byte(codes[i]))
	}
	return nil
}

// grant asks the policy about each filter and returns what SUBACK will say and what is to be stored.
func (c *conn) grant(p *packet.Subscribe, id uint32) (codes []Reason, ops []session.Op) {
	codes = make([]Reason, len(p.Filters))
	for i, f := range p.Filters {
		if codes[i] = c.handler.Subscribe(f.Filter, f.QoS); !codes[i].Failed() && !c.sess.hasRoomFor(f.Filter, i) {
			codes[i] = packet.QuotaExceeded
		}
		if codes[i].Failed() {
			continue
		}
		codes[i] = min(codes[i], Reason(f.QoS))
		ops = append(ops, session.Op{Kind: session.PutSub, ClientID: c.id, Sub: session.Subscription{
			Filter: f.Filter, QoS: byte(codes[i]), NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, ID: id,
		}})
	}
	return codes, ops
}

// sendRetained queues the retained messages that a new subscription gets (section 3.3.1.3); shared ones get none.
func (c *conn) sendRetained(filter string, qos byte, id uint32) {
	if _, _, shared := topic.SplitShared(filter); shared {
		return
	}
	var due []fed
	c.realm.kept.Find(filter, func(name string, _ *Message) bool {
		due = append(due, fed{name, qos, id})
		return true
	})
	if len(due) == 0 {
		return
	}
	s := c.sess
	if s.stored && qos > 0 {
		c.storeRetained(due)
		return
	}
	s.mu.Lock()
	// A client that subscribes again and again without reading must not make this grow.
	if room := c.srv.cfg.MaxRetained*2 - len(s.feed); len(due) > room {
		c.srv.met.dropped.WithLabelValues(dropQueueFull).Add(float64(len(due) - max(0, room)))
		due = due[:max(0, room)]
	}
	s.feed = append(s.feed, due...)
	s.mu.Unlock()
	c.signal()
}

// storeRetained puts retained messages into the stored queue: they are part of the session then. Every so many it waits
// for the commit, so that memory holds only those.
func (c *conn) storeRetained(due []fed) {
	for i, f := range due {
		d := c.realm.fetch(f)
		switch {
		case d == nil:
		case d.qos == 0:
			c.sess.offer(d)
		default:
			c.realm.submit(&job{targets: []target{{c.sess, d}}, durable: true})
		}
		if i%refillBatch == refillBatch-1 {
			c.realm.submitWait(nil, false) //nolint:errcheck // Nothing is committed here; failures are counted there.
		}
	}
}

// fetch gets a retained message, from memory or the store. Nil if it is gone or expired.
func (r *realm) fetch(f fed) *delivery {
	m, ok := r.kept.Get(f.topic)
	if ok && m == nil {
		var err error
		if m, err = r.srv.cfg.Store.Retained(context.Background(), r.name, f.topic); err != nil {
			r.srv.cfg.Log.Error("reading a retained message", "err", err)
		}
	}
	if m == nil {
		return nil
	}
	if m.Expired(time.Now()) {
		r.forget(m)
		return nil
	}
	d := &delivery{msg: m, qos: min(f.qos, m.QoS), retain: true}
	if f.id != 0 {
		d.ids = []uint32{f.id}
	}
	return d
}

// forget deletes a retained message that has expired, unless a newer one took its place.
func (r *realm) forget(m *Message) {
	r.srv.met.drop(dropExpired)
	r.keepM.Lock()
	defer r.keepM.Unlock()
	if now, err := r.srv.cfg.Store.Retained(context.Background(), r.name, m.Topic); err != nil || now == nil || !now.Expired(time.Now()) {
		return
	}
	if v, ok := r.kept.Get(m.Topic); ok && (v == nil || v == m) {
		r.kept.Delete(m.Topic)
		r.submit(&job{ops: []session.Op{{Kind: session.DeleteRetained, Filter: m.Topic}}})
	}
}

func (c *conn) unsubscribeAll(p *packet.Unsubscribe) error {
	codes := make([]Reason, len(p.Filters))
	var ops []session.Op
	for i, f := range p.Filters {
		if !c.sess.dropSub(f) {
			codes[i] = packet.NoSubscriptionExisted
			continue
		}
		c.realm.tree.Remove(f, c.sess)
		ops = append(ops, session.Op{Kind: session.DeleteSub, ClientID: c.id, Filter: f})
	}
	if c.sess.stored && len(ops) > 0 {
		if err := c.realm.submitWait(ops, true); err != nil {
			return &packet.Error{Code: packet.ImplementationError, Text: "subscription cannot be removed"}
		}
	}
	c.control(&packet.Unsuback{PacketID: p.PacketID, Codes: codes})
	for i, f := range p.Filters {
		if codes[i] == packet.Success {
			c.handler.Unsubscribed(f)
		}
	}
	return nil
}

// unsubscribe drops a subscription that the policy does not grant any more.
func (c *conn) unsubscribe(filter string) {
	if c.sess.dropSub(filter) {
		c.realm.tree.Remove(filter, c.sess)
		c.realm.submit(&job{ops: []session.Op{{Kind: session.DeleteSub, ClientID: c.id, Filter: filter}}})
	}
}

// hasRoomFor tells whether the session may hold the filter, when ahead other new ones stand before it.
func (s *sess) hasRoomFor(filter string, ahead int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.subs[filter]
	return has || len(s.subs)+ahead < s.realm.srv.cfg.MaxSubscriptions
}

func (s *sess) setSub(filter string, o topic.Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[filter] = o
}

func (s *sess) dropSub(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, had := s.subs[filter]
	delete(s.subs, filter)
	return had
}

func (s *sess) subscriptions() map[string]topic.Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.subs)
}
