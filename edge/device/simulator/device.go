package simulator

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/clock"
)

// body is what tells one kind of device from another. It is told the time, never waits, and puts what it has to say into an outbox.
// All calls come from the goroutine of its device.
type body interface {
	// owns reports whether an external id is the device's own or one of its children's.
	owns(id string) bool
	// announce describes the device and its children, and settles alarms that are not raised (any more).
	announce(out *outbox, now time.Time)
	// past lives through the time from from to to and reports it; it is called before the first step, or not at all.
	past(out *outbox, from, to time.Time)
	// step lives until now, reports what is due and returns when it wants to be called again.
	step(out *outbox, now time.Time) (next time.Time)
	// operate starts, finishes or refuses an operation other than the restart of the device itself.
	operate(out *outbox, now time.Time, op operation)
	// meter returns a reading that must survive the end of the process, zero if there is none.
	meter() float64
}

const (
	ackTimeout   = 15 * time.Second // for the server to acknowledge a message
	backoffFirst = time.Second
	backoffMost  = time.Minute
	maxInbox     = 64 // lines that wait for the device; more are dropped, because the server repeats them when asked
	saveEvery    = 5 * time.Minute
)

// interrupted is why operations of an earlier run failed.
const interrupted = "the device was switched off while it carried this out"

// device is one simulated device with a connection of its own. Its goroutine owns all fields except inbox and dialled, which bring
// it what happens elsewhere.
type device struct {
	id      string
	body    body
	log     *slog.Logger
	clock   clock.Clock
	stats   *Stats
	state   *state
	notify  func(kind EventKind, text string)
	connect func(ctx context.Context, id string) (Client, error)
	start   func(f func()) // runs f in a goroutine that is watched
	rng     *rand.Rand
	history time.Duration

	out         outbox
	client      Client // nil while offline
	dialing     bool
	attempts    int       // failed ones in a row
	redial      time.Time // not before
	next        time.Time // step
	saved       time.Time
	alive       bool // it has been connected once, so that its time runs
	off         bool // it is restarting, so that its time stands still
	twinRefused bool // the server closed the connection on JSON

	inbox   chan string
	dialled chan dialResult
}

type dialResult struct {
	client Client
	err    error
}

// run is the life of the device until the context ends.
func (d *device) run(ctx context.Context) {
	d.inbox, d.dialled = make(chan string, maxInbox), make(chan dialResult, 1)
	d.saved = d.clock.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var lost <-chan struct{}
		if d.client != nil {
			lost = d.client.Lost()
		}
		select {
		case <-ctx.Done():
			d.end()
			return
		case <-lost:
			d.disconnect("connection lost")
		case r := <-d.dialled:
			d.arrive(ctx, r)
		case payload := <-d.inbox:
			d.obey(ctx, payload)
		case <-timer.C:
		}
		d.act(ctx)
		timer.Reset(d.pause())
	}
}

// act does what is due: dial, live, send, save.
func (d *device) act(ctx context.Context) {
	now := d.clock.Now()
	if d.client == nil && !d.dialing && !now.Before(d.redial) {
		d.dialing = true
		d.start(func() {
			r := dialResult{err: errors.New("the attempt did not end")} // in case of a panic, for which the group stops the fleet
			defer func() { d.dialled <- r }()
			r.client, r.err = d.connect(ctx, d.id)
		})
	}
	if d.alive && !d.off && !now.Before(d.next) {
		d.next = d.body.step(&d.out, now)
	}
	if d.client != nil {
		d.flush(ctx, &d.out)
	}
	if now.Sub(d.saved) >= saveEvery {
		d.save(now)
	}
}

// pause returns the time until something is due.
func (d *device) pause() time.Duration {
	due := d.saved.Add(saveEvery)
	if d.alive && !d.off && d.next.Before(due) {
		due = d.next
	}
	if d.client == nil && !d.dialing && d.redial.Before(due) {
		due = d.redial
	}
	return max(due.Sub(d.clock.Now()), time.Millisecond)
}

// arrive greets the server on a new connection, or plans the next attempt.
func (d *device) arrive(ctx context.Context, r dialResult) {
	d.dialing = false
	if r.err == nil {
		d.client = r.client
		d.stats.Connected.Add(1)
		if r.err = d.greet(ctx); r.err == nil {
			d.attempts = 0
			return
		}
		d.disconnect("greeting failed")
	}
	if fault.Is(r.err, fault.Canceled) || ctx.Err() != nil {
		return
	}
	d.attempts++
	d.log.Warn("not connected", "attempt", d.attempts, "err", r.err)
	d.plan()
}

// plan sets the time of the next attempt: twice as late each time, and up to half earlier at random, so that a fleet that lost its
// server does not come back all at once.
func (d *device) plan() {
	wait := min(backoffMost, backoffFirst<<min(d.attempts, 6))
	wait -= time.Duration(d.rng.Int64N(int64(wait / 2)))
	d.redial = d.clock.Now().Add(wait)
}

// greet subscribes, describes the device, and asks for the operations that it has missed.
func (d *device) greet(ctx context.Context) error {
	d.emptyInbox() // the server repeats what the device has not begun
	if err := d.subscribe(ctx); err != nil {
		return err
	}
	now := d.clock.Now()
	var hello outbox
	d.body.announce(&hello, now)
	first, back := !d.alive, d.off
	switch {
	case back:
		operation{target: d.id, fragment: restartOperation}.succeed(&hello, d.id)
		d.operated(restartOperation, "restarted")
	case first:
		hello.line("507", "", interrupted)
	}
	if first || back {
		hello.line("400", "isobar_Started", "Device started", stamp(now))
	}
	hello.push(message{upTopic, "500"})
	if err := d.flush(ctx, &hello); err != nil {
		return err
	}
	if first {
		if err := d.tellPast(ctx, now); err != nil {
			return err
		}
	} else {
		d.stats.Reconnects.Add(1)
	}
	d.alive, d.off = true, false
	d.notify(Connected, "")
	return nil
}

func (d *device) subscribe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	if err := d.client.Subscribe(ctx, errorTopic, func(payload string) { d.log.Debug("server complains", "topic", errorTopic, "err", payload) }); err != nil {
		return err
	}
	inbox := d.inbox
	return d.client.Subscribe(ctx, downTopic, func(payload string) {
		select {
		case inbox <- payload:
		default:
		}
	})
}

func (d *device) emptyInbox() {
	for {
		select {
		case <-d.inbox:
		default:
			return
		}
	}
}

// tellPast sends the history of a device that the server has never seen.
func (d *device) tellPast(ctx context.Context, now time.Time) error {
	if k, _ := d.state.get(d.id); k.History || d.history == 0 {
		return nil
	}
	past := outbox{unbounded: true}
	d.body.past(&past, now.Add(-d.history), now)
	if err := d.flush(ctx, &past); err != nil {
		return err
	}
	d.notify(HistorySent, d.history.String())
	if err := d.state.update(d.id, func(k *known) { k.History = true }); err != nil {
		d.log.Warn("state not saved, the history will be sent again", "err", err)
	}
	return nil
}

// flush sends messages until none is left or one is not acknowledged; the connection is then given up and the message kept.
func (d *device) flush(ctx context.Context, out *outbox) error {
	d.stats.Dropped.Add(out.dropped)
	out.dropped = 0
	for len(out.queue) > 0 {
		m := out.queue[0]
		if !m.isTwin() || !d.twinRefused {
			if err := d.publish(ctx, m); err != nil {
				d.twinRefused = d.twinRefused || m.isTwin()
				d.disconnect("message not acknowledged")
				return err
			}
		}
		out.queue = out.queue[1:]
	}
	return nil
}

func (d *device) publish(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	d.stats.Published.Add(1)
	err := d.client.Publish(ctx, m.topic, m.payload)
	if err == nil {
		d.stats.Acked.Add(1)
	}
	return err
}

// obey carries out what the server asks for; one payload may hold several lines.
func (d *device) obey(ctx context.Context, payload string) {
	for _, fields := range smartrest.Parse(payload) {
		op, ok := parseOperation(fields)
		// An answer for an id that is not ours would make the server create a child of that name.
		if !ok || !d.body.owns(op.target) {
			d.log.Debug("line ignored", "topic", downTopic, "bytes", len(payload))
			continue
		}
		if op.fragment == restartOperation && op.target == d.id {
			d.restart(ctx, op)
			return // what follows is repeated by the server after the restart
		}
		d.body.operate(&d.out, d.clock.Now(), op)
		d.next = d.clock.Now() // an operation may have made something due
	}
}

// restart switches the device off for a few seconds.
func (d *device) restart(ctx context.Context, op operation) {
	op.executing(&d.out, d.id)
	if d.client == nil || d.flush(ctx, &d.out) != nil {
		return // the server will ask again
	}
	d.off = true
	d.disconnect("restart")
	d.redial = d.clock.Now().Add(3*time.Second + time.Duration(d.rng.Int64N(int64(3*time.Second))))
}

func (d *device) operated(fragment, text string) {
	d.stats.Operations.Add(1)
	d.notify(Operated, fragment+": "+text)
}

func (d *device) disconnect(why string) {
	if d.client == nil {
		return
	}
	d.client.Close()
	d.client = nil
	d.stats.Connected.Add(-1)
	d.notify(Disconnected, why)
	d.plan()
}

// end closes what is open when the context has ended.
func (d *device) end() {
	if d.dialing { // the attempt ends with the context, and may have succeeded just now
		if r := <-d.dialled; r.err == nil {
			r.client.Close()
		}
	}
	d.disconnect("stopped")
	d.save(d.clock.Now())
}

func (d *device) save(now time.Time) {
	d.saved = now
	if m := d.body.meter(); m > 0 {
		if err := d.state.update(d.id, func(k *known) { k.Meter = m }); err != nil {
			d.log.Warn("state not saved", "err", err)
		}
	}
}
