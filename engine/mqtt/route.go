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
)

// route gives m to every subscriber of the realm. extra operations are committed with it. then is called once, when all
// of it is durable: at once if nothing is to be stored, else on the committing goroutine. route does not block.
// Calls for one publisher must not overlap: that keeps its messages in order.
func (r *realm) route(from *sess, m *Message, extra []session.Op, then func(error)) {
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

func (r *realm) fanOut(from *sess, m *Message, j *job) {
	hits := r.hits.Get().(*topic.Matches[*sess])
	r.tree.Match(m.Topic, from, hits)
	for i := range hits.Hits {
		h := &hits.Hits[i]
		d := &delivery{msg: m, qos: min(h.QoS, m.QoS), retain: m.Retain && h.RetainAsPublished}
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
