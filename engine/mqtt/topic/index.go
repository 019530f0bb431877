package topic

import (
	"strings"
	"sync"
)

// Index maps topic names to values and finds those that match a filter. It is safe for concurrent use.
type Index[V any] struct {
	mu   sync.RWMutex // Guards everything reachable from root.
	root *leaf[V]
	size int
}

type leaf[V any] struct {
	children map[string]*leaf[V]
	held     *held[V]
}

type held[V any] struct {
	name  string
	value V
}

// NewIndex makes an empty index.
func NewIndex[V any]() *Index[V] { return &Index[V]{root: &leaf[V]{}} }

// Set stores a value under a valid name.
func (x *Index[V]) Set(name string, v V) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, rest := x.root, name
	for more := true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		c := n.children[level]
		if c == nil {
			if n.children == nil {
				n.children = make(map[string]*leaf[V], 1)
			}
			c = &leaf[V]{}
			n.children[strings.Clone(level)] = c
		}
		n = c
	}
	if n.held == nil {
		x.size++
	}
	n.held = &held[V]{name, v}
}

// Get returns the value of a name.
func (x *Index[V]) Get(name string) (v V, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, rest := x.root, name
	for more := true; more && n != nil; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		n = n.children[level]
	}
	if n == nil || n.held == nil {
		return v, false
	}
	return n.held.value, true
}

// Update calls change with the value of a name, if it has one, and stores the result; keep false deletes the name.
// change runs with the lock held and must not call the index.
func (x *Index[V]) Update(name string, change func(V) (v V, keep bool)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.root.update(name, true, func(n *leaf[V]) {
		if n.held == nil {
			return
		}
		v, keep := change(n.held.value)
		if !keep {
			n.held = nil
			x.size--
			return
		}
		n.held.value = v
	})
}

// Delete forgets a name.
func (x *Index[V]) Delete(name string) {
	x.Update(name, func(v V) (V, bool) { return v, false })
}

func (n *leaf[V]) update(rest string, more bool, change func(*leaf[V])) {
	if !more {
		change(n)
		return
	}
	level, rest, more := strings.Cut(rest, "/")
	c := n.children[level]
	if c == nil {
		return
	}
	c.update(rest, more, change)
	if c.held == nil && len(c.children) == 0 {
		delete(n.children, level)
	}
}

// Clear forgets all names.
func (x *Index[V]) Clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.root, x.size = &leaf[V]{}, 0
}

// Len is the number of names.
func (x *Index[V]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.size
}

// Find calls yield for every name that the filter matches, in no order, until yield returns false. yield runs with the
// read lock held and must not call the index.
func (x *Index[V]) Find(filter string, yield func(name string, v V) bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.root.find(filter, true, true, yield)
}

func (n *leaf[V]) find(rest string, more, first bool, yield func(string, V) bool) bool {
	if !more {
		return n.held == nil || yield(n.held.name, n.held.value)
	}
	level, rest, more := strings.Cut(rest, "/")
	switch level {
	case "#":
		return n.all(first, yield)
	case "+":
		for name, c := range n.children {
			if !(first && strings.HasPrefix(name, "$")) && !c.find(rest, more, false, yield) {
				return false
			}
		}
		return true
	}
	c := n.children[level]
	return c == nil || c.find(rest, more, false, yield)
}

// all yields everything at and below n: "a/#" matches "a" itself too.
func (n *leaf[V]) all(first bool, yield func(string, V) bool) bool {
	if !first && n.held != nil && !yield(n.held.name, n.held.value) {
		return false
	}
	for name, c := range n.children {
		if !(first && strings.HasPrefix(name, "$")) && !c.all(false, yield) {
			return false
		}
	}
	return true
}
