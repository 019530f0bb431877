package exchange

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// book is what is subscribed and consumed in a tenant, in memory. It is safe for concurrent use.
type book struct {
	reading sync.Mutex // held from reading the store until the book says the same, so that what was read first is not written last

	mu       sync.Mutex // guards the following
	rules    map[ruleKey]*rule
	topics   map[topicName]map[*rule]bool
	sources  map[iot.ID]map[*rule]bool // objects with subscriptions, consumed or not
	consumed map[topicName]bool
	lasting  interest
	volatile interest
}

// ruleKey is what no two subscriptions of a tenant have in common.
type ruleKey struct {
	scope  Scope
	source iot.ID
	name   string
}

// topicName is a topic of the tenant.
type topicName struct {
	name     string
	volatile bool
}

func (r *rule) key() ruleKey     { return ruleKey{r.Scope, r.Source, r.Name} }
func (r *rule) topic() topicName { return topicName{r.Name, r.Volatile} }

func (s *books) make() *book {
	b := &book{rules: map[ruleKey]*rule{}, topics: map[topicName]map[*rule]bool{}, sources: map[iot.ID]map[*rule]bool{}, consumed: map[topicName]bool{}}
	b.lasting.objects, b.volatile.objects = map[iot.ID][]*rule{}, map[iot.ID][]*rule{}
	b.lasting.total, b.volatile.total = &s.ofLasting, &s.ofVolatile
	return b
}

func (b *book) interest(volatile bool) *interest {
	if volatile {
		return &b.volatile
	}
	return &b.lasting
}

// set makes subscriptions the only ones that there are with a scope, source and name; an empty scope, or name, means all of them. What stays is
// listened for all the time: no fact may be missed because something else is read again.
func (b *book) set(scope Scope, source iot.ID, name string, rules []*rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var old []*rule
	switch {
	case name != "":
		if r := b.rules[ruleKey{scope, source, name}]; r != nil {
			old = append(old, r)
		}
	case scope == OfObject:
		for r := range b.sources[source] {
			old = append(old, r)
		}
	default:
		for _, r := range b.rules {
			if scope == "" || r.Scope == scope {
				old = append(old, r)
			}
		}
	}
	stay := make(map[iot.ID]bool, len(rules))
	for _, r := range rules {
		if known := b.rules[r.key()]; known != nil && known.ID == r.ID { // a subscription does not change
			stay[r.ID] = true
		}
	}
	b.removeLocked(slices.DeleteFunc(old, func(r *rule) bool { return stay[r.ID] }))
	for _, r := range rules {
		if !stay[r.ID] {
			b.addLocked(r)
		}
	}
}

func (b *book) addLocked(r *rule) {
	b.rules[r.key()] = r
	put(b.topics, r.topic(), r)
	if r.Scope == OfObject {
		put(b.sources, r.Source, r)
	}
	if b.consumed[r.topic()] {
		b.interest(r.Volatile).add(r)
	}
}

func (b *book) removeLocked(rules []*rule) {
	for _, r := range rules {
		delete(b.rules, r.key())
		take(b.topics, r.topic(), r)
		if r.Scope == OfObject {
			take(b.sources, r.Source, r)
		}
	}
	b.silenceLocked(rules)
}

// silenceLocked takes rules out of what is listened for.
func (b *book) silenceLocked(rules []*rule) {
	type list struct {
		volatile bool
		scope    Scope
		source   iot.ID
	}
	gone := map[list]map[*rule]bool{}
	for _, r := range rules {
		if b.consumed[r.topic()] {
			put(gone, list{r.Volatile, r.Scope, r.Source}, r)
		}
	}
	for l, rules := range gone {
		b.interest(l.volatile).remove(l.scope, l.source, rules)
	}
}

// consume notes whether a topic has consumers, or connections if it lives in memory.
func (b *book) consume(topic topicName, yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.consumed[topic] == yes {
		return
	}
	if yes {
		b.consumed[topic] = true
		for r := range b.topics[topic] {
			b.interest(topic.volatile).add(r)
		}
		return
	}
	var rules []*rule
	for r := range b.topics[topic] {
		rules = append(rules, r)
	}
	b.silenceLocked(rules)
	delete(b.consumed, topic)
}

// keepConsumed notes that no other persistent topics have consumers.
func (b *book) keepConsumed(names map[string]bool) {
	var gone []topicName
	b.mu.Lock()
	for topic := range b.consumed {
		if !topic.volatile && !names[topic.name] {
			gone = append(gone, topic)
		}
	}
	b.mu.Unlock()
	for _, topic := range gone {
		b.consume(topic, false)
	}
	for name := range names {
		b.consume(topicName{name, false}, true)
	}
}

func (b *book) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rules)
}

func (b *book) has(source iot.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sources[source]) > 0
}

func put[K comparable](m map[K]map[*rule]bool, k K, r *rule) {
	if m[k] == nil {
		m[k] = map[*rule]bool{}
	}
	m[k][r] = true
}

func take[K comparable](m map[K]map[*rule]bool, k K, r *rule) {
	if delete(m[k], r); len(m[k]) == 0 {
		delete(m, k)
	}
}

// books are those of all tenants that ever had subscriptions or consumers in the life of the process.
type books struct {
	ofLasting, ofVolatile tally

	mu sync.RWMutex // guards m
	m  map[iot.TenantID]*book
}

// find returns the book of a tenant, nil if it has none.
func (s *books) find(t iot.TenantID) *book {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[t]
}

func (s *books) get(t iot.TenantID) *book {
	if b := s.find(t); b != nil {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[t] == nil {
		s.m[t] = s.make()
	}
	return s.m[t]
}

func (s *books) lasting(t iot.TenantID) *interest {
	if b := s.find(t); b != nil {
		return &b.lasting
	}
	return nil
}

func (s *books) volatile(t iot.TenantID) *interest {
	if b := s.find(t); b != nil {
		return &b.volatile
	}
	return nil
}

// change says what of a tenant's subscriptions and consumers is to be read again. The zero value means all of it.
type change struct {
	Topic  string `json:"topic,omitempty"` // whether it has consumers; the following are empty then
	Scope  Scope  `json:"scope,omitempty"`
	Source iot.ID `json:"source,omitempty"`
	Name   string `json:"name,omitempty"` // empty: all of the scope and source
}

// read reads what has changed into the book of a tenant. It takes the time of what has changed, not of all that the tenant has.
func (x *Exchange) read(ctx context.Context, t iot.TenantID, c change) error {
	b := x.books.get(t)
	b.reading.Lock()
	defer b.reading.Unlock()
	switch {
	case c.Topic != "":
		n, _, err := x.d.Store.Consumers(ctx, t, c.Topic, "")
		if err != nil {
			return err
		}
		b.consume(topicName{c.Topic, false}, n > 0)
	default:
		subs, _, err := x.d.Store.List(ctx, t, Query{Scope: c.Scope, Source: c.Source, Name: c.Name, Limit: 2 * maxSubscriptions})
		if err != nil {
			return err
		}
		rules := make([]*rule, len(subs))
		for i, s := range subs {
			types, err := ParseTypes(s.TypeFilter)
			if err != nil {
				return err
			}
			rules[i] = &rule{s, types}
		}
		b.set(c.Scope, c.Source, c.Name, rules)
	}
	if c == (change{}) {
		places, err := x.d.Store.Places(ctx, t)
		if err != nil {
			return err
		}
		names := map[string]bool{}
		for _, p := range places {
			names[p.Topic] = true
		}
		b.keepConsumed(names)
	}
	return x.listenInMemory()
}

// connected notes whether somebody is connected to a topic that lives in memory.
func (x *Exchange) connected(t iot.TenantID, topic string) error {
	b := x.books.get(t)
	b.reading.Lock()
	defer b.reading.Unlock()
	b.consume(topicName{topic, true}, x.hubs.any(t, topic))
	return x.listenInMemory()
}

// listenInMemory listens to what topics in memory want, and to nothing else.
func (x *Exchange) listenInMemory() error {
	x.hearing.Lock()
	defer x.hearing.Unlock()
	if err := x.hear(x.books.ofVolatile.all.Load() > 0, documents); err != nil {
		return err
	}
	return x.hear(x.books.ofVolatile.measures.Load() > 0, measurements)
}

// changed makes all nodes read anew what has changed in a tenant; this one at once.
func (x *Exchange) changed(ctx context.Context, t iot.TenantID, c change) error {
	err := x.read(context.WithoutCancel(ctx), t, c)
	what, wrong := json.Marshal(c)
	if wrong == nil {
		x.d.Bus.Publish(bus.Subject(t, "exchange"), append([]byte(x.node+"\n"), what...))
	}
	return sqlkit.Fault("exchange.Change", err)
}

// hasChanged reads what another node changed. One that does not say what makes us read all.
func (x *Exchange) hasChanged(t iot.TenantID, _ string, data []byte) {
	node, what, _ := strings.Cut(string(data), "\n")
	if node == x.node {
		return
	}
	var c change
	if what != "" && json.Unmarshal([]byte(what), &c) != nil {
		c = change{}
	}
	if err := x.read(x.ctx, t, c); err != nil && x.ctx.Err() == nil {
		x.log.Error("subscriptions of a tenant", "tenant", t, "err", err)
	}
}
