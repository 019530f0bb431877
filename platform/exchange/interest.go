package exchange

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/isobar-iot/isobar/iot"
)

// rule is a subscription, ready to be asked.
type rule struct {
	Subscription
	types Types
}

func (r *rule) wants(a API) bool {
	if len(r.APIs) == 0 || r.APIs[0] == AllAPIs {
		return a != AlarmsWithChildren && a != EventsWithChildren // they would bring the same facts twice
	}
	return slices.Contains(r.APIs, a)
}

// interest is what topics of a tenant that somebody consumes want to hear of. It changes in place: to make it anew for each of thousands of subscriptions
// would take the square of their number. It is safe for concurrent use.
type interest struct {
	mu       sync.RWMutex // guards the lists; an element of one never changes, so that a list that was read stays good
	tenant   []*rule
	objects  map[iot.ID][]*rule
	all      atomic.Int64 // how many rules there are
	trees    atomic.Int64 // how many want the facts of what is below their source
	measures atomic.Int64 // how many want measurements
	total    *tally
}

// tally sums over the tenants.
type tally struct{ all, measures atomic.Int64 }

// idle reports whether nobody wants to hear of anything.
func (in *interest) idle() bool { return in == nil || in.all.Load() == 0 }

func (in *interest) count(r *rule, n int64) {
	in.all.Add(n)
	in.total.all.Add(n)
	if r.Scope == OfTenant {
		return
	}
	if r.wants(AlarmsWithChildren) || r.wants(EventsWithChildren) {
		in.trees.Add(n)
	}
	if r.wants(Measurements) {
		in.measures.Add(n)
		in.total.measures.Add(n)
	}
}

func (in *interest) add(r *rule) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.Scope == OfTenant {
		in.tenant = append(in.tenant, r)
	} else {
		in.objects[r.Source] = append(in.objects[r.Source], r)
	}
	in.count(r, 1)
}

// remove takes away rules of one scope and source.
func (in *interest) remove(scope Scope, source iot.ID, gone map[*rule]bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	old := in.tenant
	if scope == OfObject {
		old = in.objects[source]
	}
	var left []*rule
	for _, r := range old {
		if gone[r] {
			in.count(r, -1)
		} else {
			left = append(left, r)
		}
	}
	switch {
	case scope == OfTenant:
		in.tenant = left
	case len(left) == 0:
		delete(in.objects, source)
	default:
		in.objects[source] = left
	}
}

func (in *interest) ofTenant() []*rule {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.tenant
}

func (in *interest) ofObject(id iot.ID) []*rule {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.objects[id]
}

// address is where a fact goes: to a topic, in the name of an API.
type address struct {
	topic string
	api   API
}

// find returns where a fact goes, with the fragments to keep; nil means all. above is asked for what is above the source, only if that matters.
func (in *interest) find(f *fact, above func() []iot.ID) map[address][]string {
	if in.idle() {
		return nil
	}
	var out map[address][]string
	add := func(r *rule, a API) {
		if a == "" || !r.wants(a) || !r.types.pass(f) {
			return
		}
		if out == nil {
			out = map[address][]string{}
		}
		to := address{r.Name, a}
		keep, twice := out[to]
		switch {
		case !twice:
			keep = r.Fragments
		case len(keep) == 0 || len(r.Fragments) == 0:
			keep = nil
		default:
			keep = append(keep[:len(keep):len(keep)], r.Fragments...)
		}
		out[to] = keep
	}
	own, tree := f.apis()
	// c8y: the creation of an object is told to the tenant only, its changes and end to those of the object only.
	if f.kind != iot.KindMeasurement && (f.kind != iot.KindManagedObject || f.action == iot.Created) {
		for _, r := range in.ofTenant() {
			add(r, own)
		}
	}
	if f.kind != iot.KindManagedObject || f.action != iot.Created {
		for _, r := range in.ofObject(f.source) {
			add(r, own)
			add(r, tree)
		}
	}
	if in.trees.Load() > 0 && tree != "" {
		for _, id := range above() {
			if id == f.source {
				continue
			}
			for _, r := range in.ofObject(id) {
				add(r, tree)
			}
		}
	}
	return out
}
