package mqtt

import (
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// delayedWill is a will that waits for its delay or the end of the session, whichever comes first (MQTT 5.0 section
// 3.1.3.2.2). All methods accept nil. The timer field is guarded by realm.mu.
type delayedWill struct {
	delay time.Duration
	fire  func()
	timer *time.Timer
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
	delay := min(c.willDelay, c.sess.getExpiry())
	if delay == 0 {
		fire()
		return nil
	}
	return &delayedWill{delay: time.Duration(delay) * time.Second, fire: fire}
}
