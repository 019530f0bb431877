package exchange

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// inFlightBytes bounds what one connection has, but for one message, however large.
	inFlightBytes = 1 << 20
	// aheadBytes bounds what is read for a consumer before a connection takes it, but for one message.
	aheadBytes = 256 << 10
	// volatileBytes bounds what waits for a consumer of a topic that lives in memory, but for one message.
	volatileBytes = 4 << 20
	// ownBytes is what a consumer may always have, so that those that hold much cannot stop the others.
	ownBytes = 16 << 10
	// overhead is what a message costs beside its document.
	overhead = 256
	// defaultMaxHeld bounds the messages of all consumers of the node.
	defaultMaxHeld = 256 << 20
)

func (n *Notification) size() int64 { return int64(len(n.Doc)) + overhead }

// pool counts the bytes of messages that the consumers of this node hold. It is safe for concurrent use; its mutex is taken last.
type pool struct {
	max   int64
	gauge prometheus.Gauge

	mu      sync.Mutex // guards the following
	used    int64
	starved map[*hub]bool // are told when something is given back
}

func newPool(limit int64, gauge prometheus.Gauge) *pool {
	return &pool{max: limit, gauge: gauge, starved: map[*hub]bool{}}
}

// take reports whether there was room for n bytes. If not, the hub is told when there is more.
func (p *pool) take(h *hub, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used+n > p.max {
		p.starved[h] = true
		return false
	}
	p.add(n)
	return true
}

// force takes n bytes, whether there is room or not.
func (p *pool) force(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(n)
}

func (p *pool) give(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(-n)
	for h := range p.starved {
		h.wake()
	}
	clear(p.starved)
}

func (p *pool) add(n int64) {
	p.used += n
	p.gauge.Set(float64(p.used))
}

func (p *pool) forget(h *hub) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.starved, h)
}
