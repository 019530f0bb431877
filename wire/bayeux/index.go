package bayeux

import (
	"sync"

	"github.com/isobar-iot/isobar/iot"
)

// key is where a subscription stands in the index.
type key struct {
	t iot.TenantID
	c channel
}

// interest counts the subscriptions to a kind in a tenant that do not name their source.
type interest struct{ all, broad, trees int }

type topic struct {
	t    iot.TenantID
	kind iot.Kind
}

// index knows who listens to what, so that a fact costs only those that it concerns. It is safe for concurrent use.
type index struct {
	mu        sync.RWMutex // guards the following
	listeners map[key]map[*session]bool
	interests map[topic]interest
}

// target is a session that is to hear of a fact. byObject: only if it may at this moment.
type target struct {
	to       *session
	channel  string
	byObject bool
}

func newIndex() *index {
	return &index{listeners: map[key]map[*session]bool{}, interests: map[topic]interest{}}
}

func (x *index) add(s *session, c channel, byObject bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := key{s.who.Tenant, c}
	if x.listeners[k] == nil {
		x.listeners[k] = map[*session]bool{}
	}
	if _, known := x.listeners[k][s]; !known {
		x.count(k, 1)
	}
	x.listeners[k][s] = byObject
}

func (x *index) remove(s *session, c channel) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := key{s.who.Tenant, c}
	if _, known := x.listeners[k][s]; !known {
		return
	}
	x.count(k, -1)
	delete(x.listeners[k], s)
	if len(x.listeners[k]) == 0 {
		delete(x.listeners, k)
	}
}

func (x *index) count(k key, n int) {
	at := topic{k.t, k.c.kind}
	i := x.interests[at]
	i.all += n
	if k.c.id == 0 || k.c.tree {
		i.broad += n
	}
	if k.c.tree {
		i.trees += n
	}
	if i.all == 0 {
		delete(x.interests, at)
		return
	}
	x.interests[at] = i
}

// anyone reports whether somebody in the tenant listens to a kind.
func (x *index) anyone(t iot.TenantID, k iot.Kind) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.interests[topic{t, k}].all > 0
}

// concerns reports whether somebody may want to hear of a fact about a source.
func (x *index) concerns(t iot.TenantID, k iot.Kind, id iot.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.interests[topic{t, k}].broad > 0 || len(x.listeners[key{t, channel{kind: k, id: id}}]) > 0
}

// trees reports whether somebody listens to a kind of all that is below something.
func (x *index) trees(t iot.TenantID, k iot.Kind) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.interests[topic{t, k}].trees > 0
}

// find returns who is to hear of a fact about a source. above are the ids above it. A session that named both the source and all of
// them hears of it once, on the channel of the source, as CometD clients expect.
func (x *index) find(t iot.TenantID, k iot.Kind, id iot.ID, above []iot.ID) []target {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := x.pair(nil, t, k, false, id)
	if x.interests[topic{t, k}].trees == 0 {
		return out
	}
	out = x.pair(out, t, k, true, id)
	for _, a := range above {
		if listeners := x.listeners[key{t, channel{kind: k, id: a, tree: true}}]; len(listeners) > 0 {
			name := channelName(k, true, a)
			for s, byObject := range listeners {
				out = append(out, target{s, name, byObject})
			}
		}
	}
	return out
}

// pair appends those that named the source and those that named all.
func (x *index) pair(out []target, t iot.TenantID, k iot.Kind, tree bool, id iot.ID) []target {
	named, all := x.listeners[key{t, channel{k, id, tree}}], x.listeners[key{t, channel{k, 0, tree}}]
	if len(named)+len(all) == 0 {
		return out
	}
	name := channelName(k, tree, id)
	for s, byObject := range named {
		out = append(out, target{s, name, byObject})
	}
	for s, byObject := range all {
		if _, twice := named[s]; !twice {
			out = append(out, target{s, name, byObject})
		}
	}
	return out
}
