package exchange

import (
	"context"
	"slices"

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

// interest is what the topics of a tenant that somebody consumes want to hear of. It does not change.
type interest struct {
	tenant   []*rule
	objects  map[iot.ID][]*rule
	trees    bool // some want the facts of what is below their source
	measures bool // some want measurements
}

// address is where a fact goes: to a topic, in the name of an API.
type address struct {
	topic string
	api   API
}

// find returns where a fact goes, with the fragments to keep; nil means all. above is asked for what is above the source, only if that matters.
func (in *interest) find(f *fact, above func() []iot.ID) map[address][]string {
	if in == nil {
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
		for _, r := range in.tenant {
			add(r, own)
		}
	}
	if f.kind != iot.KindManagedObject || f.action != iot.Created {
		for _, r := range in.objects[f.source] {
			add(r, own)
			add(r, tree)
		}
	}
	if in.trees && tree != "" {
		for _, id := range above() {
			if id == f.source {
				continue
			}
			for _, r := range in.objects[id] {
				add(r, tree)
			}
		}
	}
	return out
}

// table holds the interests of all tenants.
type table struct {
	lasting  map[iot.TenantID]*interest
	volatile map[iot.TenantID]*interest
	// sources are the objects with subscriptions, consumed or not.
	sources map[iot.TenantID]map[iot.ID]bool
}

func newInterest(rules []*rule, consumed func(name string) bool, volatile bool) *interest {
	in := &interest{objects: map[iot.ID][]*rule{}}
	for _, r := range rules {
		if r.Volatile != volatile || !consumed(r.Name) {
			continue
		}
		if r.Scope == OfTenant {
			in.tenant = append(in.tenant, r)
			continue
		}
		in.objects[r.Source] = append(in.objects[r.Source], r)
		in.trees = in.trees || r.wants(AlarmsWithChildren) || r.wants(EventsWithChildren)
		in.measures = in.measures || r.wants(Measurements)
	}
	if len(in.tenant)+len(in.objects) == 0 {
		return nil
	}
	return in
}

// reload reads what is subscribed and consumed in a tenant.
func (x *Exchange) reload(ctx context.Context, t iot.TenantID) error {
	x.reloading.Lock()
	defer x.reloading.Unlock()
	subs, _, err := x.d.Store.List(ctx, t, Query{Limit: 2 * maxSubscriptions})
	if err != nil {
		return err
	}
	places, err := x.d.Store.Places(ctx, t)
	if err != nil {
		return err
	}
	rules, sources := make([]*rule, len(subs)), map[iot.ID]bool{}
	for i, s := range subs {
		types, err := ParseTypes(s.TypeFilter)
		if err != nil {
			return err
		}
		rules[i] = &rule{s, types}
		if s.Source != 0 {
			sources[s.Source] = true
		}
	}
	lasting := newInterest(rules, func(name string) bool {
		return slices.ContainsFunc(places, func(p Place) bool { return p.Topic == name })
	}, false)
	volatile := newInterest(rules, func(name string) bool { return x.hubs.any(t, name) }, true)
	old := x.table.Load()
	next := &table{with(old.lasting, t, lasting), with(old.volatile, t, volatile), nil}
	next.sources = make(map[iot.TenantID]map[iot.ID]bool, len(old.sources)+1)
	for k, v := range old.sources {
		next.sources[k] = v
	}
	if next.sources[t] = sources; len(sources) == 0 {
		delete(next.sources, t)
	}
	x.table.Store(next)
	measured := false
	for _, in := range next.volatile {
		measured = measured || in.measures
	}
	if err := x.hear(len(next.volatile) > 0, documents); err != nil {
		return err
	}
	return x.hear(measured, measurements)
}

func with(m map[iot.TenantID]*interest, t iot.TenantID, in *interest) map[iot.TenantID]*interest {
	out := make(map[iot.TenantID]*interest, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	if out[t] = in; in == nil {
		delete(out, t)
	}
	return out
}
