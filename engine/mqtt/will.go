package mqtt

import (
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/engine/mqtt/session"
)

// delayedWill is a will that waits for its delay or the end of the session, whichever comes first (MQTT 5.0 section
// 3.1.3.2.2). All methods accept nil. The timer field is guarded by realm.mu.
type delayedWill struct {
	delay time.Duration
	fire  func()
	timer *time.Timer
	msg   *Message
	at    time.Time // When it is due, for the store.
	user  string
}

func (w *delayedWill) start() {
	if w != nil {
		w.timer = time.AfterFunc(w.delay, w.fire)
	}
}

// cancel stops the timer and tells whether that came in time.
func (w *delayedWill) cancel() bool { return w != nil && w.timer != nil && w.timer.Stop() }

func (w *delayedWill) fireNow() {
	if w != nil {
		w.fire()
	}
}

// lastWill publishes the will, or returns it when it has to wait. A client that said goodbye has none.
func (c *conn) lastWill(why CloseReason) *delayedWill {
	m := c.will
	if m == nil || why.Cause == ByClient && why.Reason != packet.DisconnectWithWill {
		return nil
	}
	fire := func() { c.srv.guard("will", func() { c.accept(m, 0, 0) }) }
	// A will cannot wait longer than its session lives.
	delay := time.Duration(min(c.willDelay, c.sess.getExpiry())) * time.Second
	if delay == 0 {
		fire()
		return nil
	}
	w := &delayedWill{delay: delay, fire: fire, msg: m, at: time.Now().Add(delay)}
	c.srv.guard("user", func() { w.user = c.handler.User() })
	return c.realm.stored(c.sess, w)
}

// stored makes a will note in the store that it was published.
func (r *realm) stored(s *sess, w *delayedWill) *delayedWill {
	publish := w.fire
	w.fire = func() {
		publish()
		r.mu.Lock()
		defer r.mu.Unlock()
		// A connection that came meanwhile has noted that itself, or does when it gets on.
		if s.stored && s.owner == nil && r.sessions[s.id] == s {
			r.submit(&job{ops: []session.Op{{Kind: session.PutSession, ClientID: s.id, Meta: session.Meta{Expiry: s.getExpiry(), DisconnectedAt: s.since, User: s.user}}}})
		}
	}
	return w
}

// keptWill notes the will of a connection that begins, for the case that the server ends without warning: the next run publishes it.
func (c *conn) keptWill(m *session.Meta) {
	if c.will == nil || c.srv.cfg.Will == nil {
		return
	}
	c.srv.guard("user", func() { m.WillUser = c.handler.User() })
	m.Will, m.WillDelay = c.will, min(c.willDelay, c.expiry)
}

// leftWill is a will that an earlier run of the server left.
func (r *realm) leftWill(s *sess, m session.Meta) *delayedWill {
	msg := *m.Will
	msg.Will = true
	w := &delayedWill{delay: max(0, time.Until(m.WillAt)), msg: &msg, at: m.WillAt, user: m.WillUser}
	w.fire = func() { r.srv.guard("will", func() { r.publishLeft(s.id, w) }) }
	return r.stored(s, w)
}

func (r *realm) publishLeft(clientID string, w *delayedWill) {
	if r.srv.cfg.Will == nil {
		r.srv.met.drop(dropRejected)
		return
	}
	var once sync.Once
	r.srv.cfg.Will(r.name, clientID, w.user, w.msg, func(v Verdict) {
		once.Do(func() {
			switch {
			case v.Reason.Failed():
				r.srv.met.drop(dropRejected)
			case v.Route:
				r.route(nil, w.msg, nil, func(err error) {
					if err == nil && r.srv.cfg.Forward != nil {
						r.srv.guard("forward", func() { r.srv.cfg.Forward(r.name, w.msg) })
					}
				})
			}
		})
	})
}
