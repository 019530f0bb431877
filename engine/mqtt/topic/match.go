package topic

import "sync/atomic"

// Hit is one delivery that a publication causes.
type Hit[K comparable] struct {
	Key               K
	QoS               byte // The highest granted QoS of the filters that matched.
	RetainAsPublished bool
	Shared            bool
	Filter            string   // Of a shared subscription, with $share and the group; else empty.
	ID                uint32   // First subscription identifier, 0 for none.
	More              []uint32 // Further identifiers, of overlapping filters.
}

// Matches is the reusable result of Tree.Match. The zero value is ready. It must not be shared between goroutines.
type Matches[K comparable] struct {
	Hits  []Hit[K]
	index map[K]int
}

// linear is the number of hits up to which scanning is cheaper than a map.
const linear = 16

// Reset empties m and keeps its storage. It also lets go of the keys.
func (m *Matches[K]) Reset() {
	clear(m.Hits)
	m.Hits = m.Hits[:0]
	clear(m.index)
}

func (m *Matches[K]) add(k K, o Options) {
	if i := m.find(k); i >= 0 {
		m.Hits[i].merge(o)
		return
	}
	if m.index != nil && len(m.Hits) >= linear {
		m.index[k] = len(m.Hits)
	}
	m.Hits = append(m.Hits, Hit[K]{Key: k, QoS: o.QoS, RetainAsPublished: o.RetainAsPublished, ID: o.ID})
}

func (m *Matches[K]) find(k K) int {
	if len(m.Hits) < linear {
		for i := range m.Hits {
			if m.Hits[i].Key == k && !m.Hits[i].Shared {
				return i
			}
		}
		return -1
	}
	if len(m.index) == 0 {
		m.reindex()
	}
	if i, ok := m.index[k]; ok {
		return i
	}
	return -1
}

func (m *Matches[K]) reindex() {
	if m.index == nil {
		m.index = make(map[K]int, 2*linear)
	}
	for i := range m.Hits {
		if !m.Hits[i].Shared {
			m.index[m.Hits[i].Key] = i
		}
	}
}

func (h *Hit[K]) merge(o Options) {
	h.QoS = max(h.QoS, o.QoS)
	h.RetainAsPublished = h.RetainAsPublished || o.RetainAsPublished
	switch {
	case o.ID == 0:
	case h.ID == 0:
		h.ID = o.ID
	default:
		h.More = append(h.More, o.ID)
	}
}

// group is a shared subscription: its members take turns.
type group[K comparable] struct {
	filter  string // With $share and the name.
	members []member[K]
	turn    atomic.Uint32
}

type member[K comparable] struct {
	key K
	o   Options
}

func (n *node[K]) join(filter, name string, key K, o Options) (added bool) {
	g := n.groups[name]
	if g == nil {
		if n.groups == nil {
			n.groups = make(map[string]*group[K], 1)
		}
		g = &group[K]{filter: filter}
		n.groups[name] = g
	}
	for i := range g.members {
		if g.members[i].key == key {
			g.members[i].o = o
			return false
		}
	}
	g.members = append(g.members, member[K]{key, o})
	return true
}

func (n *node[K]) leave(name string, key K) bool {
	g := n.groups[name]
	if g == nil {
		return false
	}
	for i := range g.members {
		if g.members[i].key != key {
			continue
		}
		g.members = append(g.members[:i:i], g.members[i+1:]...)
		if len(g.members) == 0 {
			delete(n.groups, name)
		}
		return true
	}
	return false
}

// pick chooses the next member in turn, the first that is ready, or just the next when none is.
func (g *group[K]) pick(ready func(K) bool) Hit[K] {
	n := len(g.members)
	at := int(g.turn.Add(1)-1) % n
	for i := range n {
		if m := g.members[(at+i)%n]; ready == nil || ready(m.key) {
			return g.hit(m)
		}
	}
	return g.hit(g.members[at])
}

// other chooses the next member in turn that is not key: one that is ready, or if that need not be, any.
func (g *group[K]) other(key K, ready func(K) bool, needReady bool) (h Hit[K], ok bool) {
	n := len(g.members)
	at := int(g.turn.Add(1)-1) % n
	for i := range n {
		m := g.members[(at+i)%n]
		switch {
		case m.key == key:
		case ready == nil || ready(m.key):
			return g.hit(m), true
		case !needReady && !ok:
			h, ok = g.hit(m), true
		}
	}
	return h, ok
}

func (g *group[K]) hit(m member[K]) Hit[K] {
	return Hit[K]{Filter: g.filter, Key: m.key, QoS: m.o.QoS, RetainAsPublished: m.o.RetainAsPublished, Shared: true, ID: m.o.ID}
}
