package bayeux

import (
	"context"
	"sync"

	"github.com/isobar-iot/isobar/iot"
)

// Presence learns which agents hold a push connection. It is called from one goroutine, for one agent always in order.
type Presence interface {
	// PushConnected says that an agent has its first session at /notification/operations that is subscribed and connected.
	PushConnected(t iot.TenantID, id iot.ID)
	// PushDisconnected says that it has none any more.
	PushDisconnected(t iot.TenantID, id iot.ID)
}

type agent struct {
	t  iot.TenantID
	id iot.ID
}

// presence counts the push sessions of agents and tells changes. A change that is undone before it was told is not told.
type presence struct {
	to   Presence // may be nil
	wake chan struct{}

	mu      sync.Mutex // guards the following
	counts  map[agent]int
	changed map[agent]struct{} // bounded by the subscriptions there are
}

func newPresence(to Presence) *presence {
	return &presence{to: to, wake: make(chan struct{}, 1), counts: map[agent]int{}, changed: map[agent]struct{}{}}
}

// count adds n sessions to an agent.
func (p *presence) count(t iot.TenantID, id iot.ID, n int) {
	if p.to == nil {
		return
	}
	a := agent{t, id}
	p.mu.Lock()
	p.counts[a] += n
	if p.counts[a] == 0 {
		delete(p.counts, a)
	}
	p.changed[a] = struct{}{}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run tells changes until ctx ends, and then those that are left.
func (p *presence) run(ctx context.Context) {
	told := map[agent]bool{}
	for {
		select {
		case <-ctx.Done():
			p.tell(told)
			return
		case <-p.wake:
			p.tell(told)
		}
	}
}

func (p *presence) tell(told map[agent]bool) {
	p.mu.Lock()
	changed := make(map[agent]bool, len(p.changed))
	for a := range p.changed {
		changed[a] = p.counts[a] > 0
	}
	clear(p.changed)
	p.mu.Unlock()
	for a, connected := range changed {
		switch {
		case connected == told[a]:
		case connected:
			told[a] = true
			p.to.PushConnected(a.t, a.id)
		default:
			delete(told, a)
			p.to.PushDisconnected(a.t, a.id)
		}
	}
}
