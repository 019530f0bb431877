package exchange

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// relayBatch notes are read at a time.
	relayBatch = 500
	// maxBehind bounds the notes of measurements of a tenant that wait because streams cannot be written; then measurements are refused.
	maxBehind = 10_000
	// intended begins the subject of a note of what may not have happened.
	intended = "?"

	retryFirst = 100 * time.Millisecond
	retryLast  = 5 * time.Second
)

// relay passes the notes of one tenant on, one after the other.
type relay struct {
	x    *Exchange
	t    iot.TenantID
	note *sqlkit.Notes
	wake chan struct{}

	mu      sync.Mutex // guards the following
	results map[int64]result
	open    int      // intents that are not passed on yet
	gone    []iot.ID // objects that were deleted
}

// result is what became of an intent; nil data: nothing.
type result struct{ data []byte }

// relay returns the relay of a tenant, nil after Close.
func (x *Exchange) relay(t iot.TenantID) *relay {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	r := x.relays[t]
	if r == nil {
		r = &relay{x: x, t: t, wake: make(chan struct{}, 1), results: map[int64]result{}}
		r.note = &sqlkit.Notes{Tenant: string(t), Node: x.node, Left: r.kick}
		x.relays[t] = r
		x.work.Go(r.run)
	}
	return r
}

// kickAll makes all relays look for notes: a commit whose answer was lost may have left some.
func (x *Exchange) kickAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.relays {
		r.kick()
	}
}

func (r *relay) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Idle implements bus.Keeper.
func (x *Exchange) Idle() bool { return x.books.ofLasting.all.Load() == 0 }

// Notes implements bus.Keeper.
func (x *Exchange) Notes(t iot.TenantID) *sqlkit.Notes {
	if x.books.lasting(t).idle() {
		return nil
	}
	if r := x.relay(t); r != nil {
		return r.note
	}
	return nil
}

// Intend implements bus.Keeper.
func (x *Exchange) Intend(ctx context.Context, t iot.TenantID, kind iot.Kind, a iot.Action, data func() []byte) (bus.Promise, error) {
	const op = fault.Op("exchange.Intend")
	in := x.books.lasting(t)
	if in.idle() || in.measures.Load() == 0 {
		return nil, nil
	}
	r := x.relay(t)
	if r == nil {
		return nil, fault.E(op, fault.Unavailable, "the platform is stopping")
	}
	r.mu.Lock()
	full := r.open >= maxBehind
	if !full {
		r.open++
	}
	r.mu.Unlock()
	if full {
		return nil, fault.E(op, fault.Exhausted, time.Second, "too many facts wait to be passed on to subscriptions")
	}
	id, err := x.d.Store.LeaveNote(ctx, r.note, intended+bus.Subject(t, string(kind), string(a)), data())
	if err != nil {
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
		return nil, err
	}
	return &promise{r, id}, nil
}

// Tell implements bus.Keeper.
func (x *Exchange) Tell(ctx context.Context, t iot.TenantID, subject string, data []byte) error {
	n := x.Notes(t)
	if n == nil {
		return nil
	}
	if _, err := x.d.Store.LeaveNote(ctx, n, subject, data); err != nil {
		return err
	}
	n.Left()
	return nil
}

type promise struct {
	r  *relay
	id int64
}

// Happened implements bus.Promise.
func (p *promise) Happened(data []byte) { p.resolve(result{data}) }

// Failed implements bus.Promise.
func (p *promise) Failed() { p.resolve(result{}) }

func (p *promise) resolve(x result) {
	p.r.mu.Lock()
	p.r.results[p.id] = x
	p.r.mu.Unlock()
	p.r.kick()
}

// run passes notes on until Close.
func (r *relay) run() {
	after, retry := int64(0), retryFirst
	for {
		select {
		case <-r.x.ctx.Done():
			return
		case <-r.wake:
		}
		for more, again := true, false; more; {
			var err error
			if after, more, err = r.step(after, again); err == nil {
				retry, again = retryFirst, false
				continue
			}
			if r.x.ctx.Err() != nil {
				return
			}
			r.x.metrics.failed.Inc()
			r.x.log.Warn("facts wait to be passed on to subscriptions", "tenant", r.t, "err", err)
			select {
			case <-r.x.ctx.Done():
				return
			case <-time.After(retry):
			}
			more, again, retry = true, true, min(2*retry, retryLast)
		}
	}
}

// step passes on what lies after a note, and returns the last one that is done. again says that a part of it may lie in the streams already.
func (r *relay) step(after int64, again bool) (last int64, more bool, err error) {
	ctx := r.x.ctx
	r.mu.Lock()
	gone := r.gone
	r.mu.Unlock()
	notes, err := r.x.d.Store.Notes(ctx, string(r.t), r.x.node, after, relayBatch)
	if err != nil {
		return after, false, err
	}
	var ids []int64
	var out []letter
	waits := false
	for _, n := range notes {
		subject, data := n.Subject, n.Data
		if s, ok := strings.CutPrefix(subject, intended); ok {
			r.mu.Lock()
			res, known := r.results[n.ID]
			r.mu.Unlock()
			if !known { // those behind it must wait as well
				waits = true
				break
			}
			subject, data = s, res.data
		}
		ids = append(ids, n.ID)
		if data == nil {
			continue
		}
		letters, err := r.x.open(ctx, r.t, n.ID, subject, data)
		if err != nil {
			return after, false, err
		}
		out = append(out, letters...)
	}
	if err := r.x.post(ctx, r.t, out, again); err != nil {
		return after, false, err
	}
	if len(ids) > 0 {
		after = ids[len(ids)-1] // whatever happens to the notes: the streams have it
		r.done(ids)
		if err := r.x.d.Store.DropNotes(ctx, string(r.t), ids...); err != nil { // they are dropped by the next start, which finds them in the streams
			r.x.log.Warn("notes that were passed on stay", "tenant", r.t, "err", err)
		}
	}
	if len(notes) == relayBatch && !waits {
		return after, true, nil
	}
	return after, false, r.bury(gone)
}

// done forgets what became of intents.
func (r *relay) done(ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if _, ok := r.results[id]; ok {
			delete(r.results, id)
			r.open--
		}
	}
}

// bury removes the subscriptions of objects that were deleted. Their last notes were passed on before.
func (r *relay) bury(gone []iot.ID) error {
	for _, id := range gone {
		if err := r.x.dropAll(r.x.ctx, "exchange.ObjectGone", iot.System(r.t), OfObject, id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.gone = r.gone[len(gone):]
	r.mu.Unlock()
	return nil
}

// open makes the letters of a note. A note that cannot be read is reported and left out: it would stop all others.
func (x *Exchange) open(ctx context.Context, t iot.TenantID, id int64, subject string, data []byte) (out []letter, err error) {
	facts, err := decode(subject, data)
	if err != nil {
		x.log.Error("decode a fact", "tenant", t, "topic", subject, "err", err)
		return nil, nil
	}
	in := x.books.lasting(t)
	for i := range facts {
		letters, err := x.letters(ctx, t, in, &facts[i], strconv.FormatInt(id, 36)+"."+strconv.Itoa(i)+".")
		if err != nil {
			return nil, err
		}
		out = append(out, letters...)
	}
	return out, nil
}

// post writes letters into the streams of their topics. If again, it leaves out those that are there.
func (x *Exchange) post(ctx context.Context, t iot.TenantID, letters []letter, again bool) error {
	byTopic := map[string][]letter{}
	var order []string
	for _, l := range letters {
		if byTopic[l.topic] == nil {
			order = append(order, l.topic)
		}
		byTopic[l.topic] = append(byTopic[l.topic], l)
	}
	for _, name := range order {
		n, err := x.topics.post(ctx, t, name, byTopic[name], again)
		x.metrics.relayed.Add(float64(n))
		if n > 0 {
			x.written(t, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// written tells consumers, here and on other nodes, that a topic has more.
func (x *Exchange) written(t iot.TenantID, name string) {
	x.hubs.written(t, name)
	if !x.d.Sole {
		x.d.Bus.Publish(bus.Subject(t, "exchange", "written"), []byte(x.node+"\n"+name))
	}
}

// adopt passes on what processes left that have ended. What their streams have already is not written again.
func (x *Exchange) adopt(ctx context.Context) error {
	x.adopting.Lock()
	defer x.adopting.Unlock()
	before := x.d.Clock.Now().Add(-patience).UnixMilli()
	if x.d.Sole { // however old: clocks are set back
		before = math.MaxInt64
	}
	for {
		tenants, notes, err := x.d.Store.Orphans(ctx, x.node, x.d.Home, before, relayBatch)
		if err != nil || len(notes) == 0 {
			return err
		}
		for i, n := range notes {
			t := iot.TenantID(tenants[i])
			subject, uncertain := strings.CutPrefix(n.Subject, intended)
			data := n.Data
			if uncertain {
				if data, err = x.d.Telemetry.Happened(ctx, t, data); err != nil {
					return err
				}
			}
			if data != nil {
				letters, err := x.open(ctx, t, n.ID, subject, data)
				if err == nil {
					err = x.post(ctx, t, letters, true)
				}
				if err != nil {
					return err
				}
			}
			if err := x.d.Store.DropNotes(ctx, string(t), n.ID); err != nil {
				return err
			}
		}
	}
}
