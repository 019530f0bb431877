package service

import "sync"

// Calls counts what is under way, so that who ends can refuse more and wait for the rest. The zero value lets in. It is safe for concurrent use.
type Calls struct {
	mu      sync.Mutex // guards refused, and the start of work
	refused bool
	work    sync.WaitGroup
}

// Enter counts a call that Wait waits for, until Leave. It reports false, and counts nothing, once Refuse was called.
func (c *Calls) Enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused {
		return false
	}
	c.work.Add(1)
	return true
}

// Leave ends a call that Enter let in.
func (c *Calls) Leave() { c.work.Done() }

// Refuse lets no more calls in.
func (c *Calls) Refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = true
}

// Wait returns when all that was let in has left.
func (c *Calls) Wait() { c.work.Wait() }
