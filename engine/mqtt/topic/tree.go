package topic

import (
	"strings"
	"sync"
)

// Options is what a subscriber asked for with one filter (MQTT 5.0 section 3.8.3.1).
type Options struct {
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	ID                uint32 // Subscription identifier, 0 for none.
}

// Tree holds the subscriptions of one realm, arranged by topic level. The zero value is not usable; see NewTree.
type Tree[K comparable] struct {
	ready func(K) bool

	mu   sync.RWMutex // Guards everything reachable from root.
	root *node[K]
	size int
}

type node[K comparable] struct {
	children map[string]*node[K]
	subs     map[K]Options
	groups   map[string]*group[K]
}

// NewTree makes an empty tree. ready tells whether a member of a shared group can take a message now; it is called
// with the tree's read lock held and must not call the tree. Groups prefer members that are ready.
func NewTree[K comparable](ready func(K) bool) *Tree[K] {
	return &Tree[K]{ready: ready, root: &node[K]{}}
}

// Add subscribes key to a valid filter and tells whether it was not subscribed to it before. An existing subscription
// is replaced (MQTT-3.8.4-3).
func (t *Tree[K]) Add(filter string, key K, o Options) (added bool) {
	name, rest, shared := SplitShared(filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.root
	for more := true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		n = n.child(level)
	}
	if shared {
		added = n.join(strings.Clone(filter), name, key, o)
	} else {
		_, had := n.subs[key]
		if n.subs == nil {
			n.subs = make(map[K]Options, 1)
		}
		n.subs[key] = o
		added = !had
	}
	if added {
		t.size++
	}
	return added
}

func (n *node[K]) child(level string) *node[K] {
	if c := n.children[level]; c != nil {
		return c
	}
	if n.children == nil {
		n.children = make(map[string]*node[K], 1)
	}
	c := &node[K]{}
	// The level is cloned, or one long filter would be kept alive by each of its levels.
	n.children[strings.Clone(level)] = c
	return c
}

// Remove takes back a subscription and tells whether there was one. Empty branches are pruned.
func (t *Tree[K]) Remove(filter string, key K) bool {
	name, rest, shared := SplitShared(filter)
	t.mu.Lock()
	defer t.mu.Unlock()
	removed := t.root.remove(rest, true, func(n *node[K]) bool {
		if shared {
			return n.leave(name, key)
		}
		_, had := n.subs[key]
		delete(n.subs, key)
		return had
	})
	if removed {
		t.size--
	}
	return removed
}

func (n *node[K]) remove(rest string, more bool, drop func(*node[K]) bool) bool {
	if !more {
		return drop(n)
	}
	level, rest, more := strings.Cut(rest, "/")
	c := n.children[level]
	if c == nil {
		return false
	}
	removed := c.remove(rest, more, drop)
	if len(c.children) == 0 && len(c.subs) == 0 && len(c.groups) == 0 {
		delete(n.children, level)
	}
	return removed
}

// Len is the number of subscriptions.
func (t *Tree[K]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.size
}

// Pick chooses a member of a shared subscription other than key, in turn: one that is ready, or if none is and needReady is false, any. ok is false
// if there is none.
func (t *Tree[K]) Pick(filter string, key K, needReady bool) (h Hit[K], ok bool) {
	name, rest, shared := SplitShared(filter)
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.root
	for more := true; more && n != nil; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		n = n.children[level]
	}
	if !shared || n == nil || n.groups[name] == nil {
		return h, false
	}
	return n.groups[name].other(key, t.ready, needReady)
}

// Match collects into m who must get a message published to name by from. A subscriber appears once however many of
// its plain filters match, with the highest QoS and all identifiers (section 3.3.4); each shared group adds one member.
// NoLocal subscriptions of from itself are passed over.
func (t *Tree[K]) Match(name string, from K, m *Matches[K]) {
	m.Reset()
	t.mu.RLock()
	defer t.mu.RUnlock()
	t.match(t.root, name, true, strings.HasPrefix(name, "$"), from, m)
}

// match visits the nodes below n that fit rest. first is true on the root level of a $-name, where wildcards are blind.
func (t *Tree[K]) match(n *node[K], rest string, more, first bool, from K, m *Matches[K]) {
	if !first {
		if c := n.children["#"]; c != nil {
			t.collect(c, from, m)
		}
	}
	if !more {
		t.collect(n, from, m)
		return
	}
	level, rest, more := strings.Cut(rest, "/")
	if c := n.children[level]; c != nil {
		t.match(c, rest, more, false, from, m)
	}
	if first {
		return
	}
	if c := n.children["+"]; c != nil {
		t.match(c, rest, more, false, from, m)
	}
}

func (t *Tree[K]) collect(n *node[K], from K, m *Matches[K]) {
	for k, o := range n.subs {
		if !o.NoLocal || k != from {
			m.add(k, o)
		}
	}
	for _, g := range n.groups {
		m.Hits = append(m.Hits, g.pick(t.ready))
	}
}
