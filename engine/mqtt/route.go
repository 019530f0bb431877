package mqtt

import (
	"errors"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/topic"
)

var (
	errStorePanic   = errors.New("session store panicked")
	errRetainedFull = errors.New("mqtt: too many retained messages in the realm")
	errNoRoom       = errors.New("mqtt: no room to store messages")
)

// route gives m to every subscriber of the realm. extra operations are committed with it. then is called once, when all
// of it is durable: at once if nothing is to be stored, else on the committing goroutine. route does not block.
// Calls for one publisher must not overlap: that keeps its messages in order.
func (r *realm) route(from *sess, m *Message, extra []session.Op, then func(error)) {
	if grows(m) && r.srv.cfg.Room() != nil {
		then(errNoRoom)
		return
	}
	j := &job{ops: extra, msg: m, durable: len(extra) > 0, then: then}
	if !m.Expired(time.Now()) {
		if m.Retain && !r.mayKeep(m) {
			then(errRetainedFull)
			return
		}
		r.fanOut(from, m, j)
		if m.Retain {
			r.keep(m, j)
			return
		}
	}
	if len(j.ops) == 0 && len(j.targets) == 0 {
		then(nil)
		return
	}
	r.submit(j)
}

// grows tells whether the store may get more by a message. An empty retained one takes something away.
func grows(m *Message) bool {
	if m.Retain {
		return len(m.Payload) > 0
	}
	return m.QoS > 0
}

func (r *realm) fanOut(from *sess, m *Message, j *job) {
	hits := r.hits.Get().(*topic.Matches[*sess])
	r.tree.Match(m.Topic, from, hits)
	for i := range hits.Hits {
		h := &hits.Hits[i]
		d := &delivery{msg: m, qos: min(h.QoS, m.QoS), retain: m.Retain && h.RetainAsPublished}
		if h.Shared {
			d.share = h.Filter
		}
		if h.ID != 0 {
			d.ids = append([]uint32{h.ID}, h.More...)
		}
		if d.qos > 0 && h.Key.stored {
			j.targets = append(j.targets, target{h.Key, d})
			j.durable = true
			continue
		}
		h.Key.offer(d)
	}
	hits.Reset()
	r.hits.Put(hits)
}

// reassign gives messages of shared subscriptions that a client did not take, or did not acknowledge, to other members (section 4.8.2). What
// belongs to a session that will be resumed moves only if somebody is there to take it now.
func (r *realm) reassign(from *sess, shared []*delivery) {
	for _, old := range shared {
		h, ok := r.tree.Pick(old.share, from, old.seq > 0)
		if !ok {
			if old.seq == 0 {
				r.srv.met.drop(dropConnEnd)
			}
			continue
		}
		d := &delivery{msg: old.msg, qos: min(h.QoS, old.msg.QoS), retain: old.msg.Retain && h.RetainAsPublished, share: old.share}
		if h.ID != 0 {
			d.ids = []uint32{h.ID}
		}
		j := &job{msg: old.msg}
		if old.seq > 0 {
			from.forgetEntry(old)
			j.ops = []session.Op{{Kind: session.RemoveEntry, ClientID: from.id, Seq: old.seq}}
		}
		if d.qos > 0 && h.Key.stored {
			j.targets, j.durable = []target{{h.Key, d}}, true
		} else {
			h.Key.offer(d)
		}
		if len(j.ops)+len(j.targets) > 0 {
			r.submit(j)
		}
	}
}

// forgetEntry takes a stored message that moves to another session out of the counts.
func (s *sess) forgetEntry(d *delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(d)
}

func (r *realm) mayKeep(m *Message) bool {
	if len(m.Payload) == 0 || r.kept.Len() < r.srv.cfg.MaxRetained {
		return true
	}
	_, has := r.kept.Get(m.Topic)
	return has
}

// keep stores m as the retained message of its topic, or deletes it when the payload is empty, and submits j with that.
func (r *realm) keep(m *Message, j *job) {
	j.durable = j.durable || m.QoS > 0
	r.keepM.Lock()
	defer r.keepM.Unlock()
	if len(m.Payload) == 0 {
		j.ops = append(j.ops, session.Op{Kind: session.DeleteRetained, Filter: m.Topic})
		r.kept.Delete(m.Topic)
		r.submit(j)
		return
	}
	j.ops = append(j.ops, session.Op{Kind: session.PutRetained, Message: m})
	// Held in memory until it is in the store, so that a subscriber that comes now sees it.
	r.kept.Set(m.Topic, m)
	then := j.then
	j.then = func(err error) {
		r.kept.Update(m.Topic, func(v *Message) (*Message, bool) {
			if v == m {
				v = nil
			}
			return v, true
		})
		then(err)
	}
	r.submit(j)
}
