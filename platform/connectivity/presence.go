package connectivity

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

const (
	// flushEvery is how often signs of life are written; connections that come and go are written at once.
	flushEvery = 2 * time.Second
	// overdueEvery is how often devices are looked for that were not heard of in time.
	overdueEvery = 15 * time.Second
	// announceEvery is how often, at most, a device that keeps sending is published as updated only because it was heard of.
	announceEvery = 30 * time.Second
	// maxWaiting bounds the devices whose sign of life waits; beyond it a flush is made at once.
	maxWaiting = 20_000
)

// presence collects signs of life.
type presence struct {
	c       *Connectivity
	started time.Time

	mu      sync.Mutex // guards waiting, tenants and push; announced belongs to the goroutine of run
	waiting map[device]registry.Touch
	tenants map[iot.TenantID]bool // tenants in which a device was ever heard of here
	push    map[device]int        // push connections per device

	announced map[device]time.Time // when a device was published last; bounded by the devices that send

	wake chan struct{}
	quit chan struct{}
	done chan struct{}

	connected prometheus.Gauge
}

func newPresence(c *Connectivity) *presence {
	p := &presence{c: c, started: c.d.Clock.Now(), waiting: map[device]registry.Touch{}, tenants: map[iot.TenantID]bool{}, push: map[device]int{}, announced: map[device]time.Time{}, wake: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "isobar_connectivity_connected_devices", Help: "Devices with a push connection on this node."})}
	if c.d.Reg != nil {
		c.d.Reg.MustRegister(p.connected)
	}
	return p
}

func (p *presence) close() {
	close(p.quit)
	<-p.done
}

func (p *presence) run() {
	defer close(p.done)
	flush, stopFlush := p.c.d.Tick(flushEvery)
	defer stopFlush()
	overdue, stopOverdue := p.c.d.Tick(overdueEvery)
	defer stopOverdue()
	for {
		select {
		case <-p.quit:
			p.flush()
			return
		case <-p.wake:
			p.flush()
		case <-flush:
			p.flush()
		case <-overdue:
			p.overdue()
		}
	}
}

func (p *presence) note(d device, t registry.Touch, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noteLocked(d, t, now)
}

// noteLocked is note with mu held.
func (p *presence) noteLocked(d device, t registry.Touch, now bool) {
	p.waiting[d] = merge(p.waiting[d], t)
	p.tenants[d.t] = true
	if now || len(p.waiting) >= maxWaiting {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// merge returns what two signs of life of a device, the older one first, say together.
func merge(old, t registry.Touch) registry.Touch {
	if t.LastMessage.Before(old.LastMessage) {
		t.LastMessage = old.LastMessage
	}
	if t.Connection == "" {
		t.Connection = old.Connection
	}
	if t.Availability == "" {
		t.Availability = old.Availability
	}
	return t
}

// again puts back what could not be written, behind what was noted meanwhile. Beyond the bound it is lost.
func (p *presence) again(t iot.TenantID, touches map[iot.ID]registry.Touch) (lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, x := range touches {
		d := device{t, id}
		newer, waits := p.waiting[d]
		if !waits && len(p.waiting) >= maxWaiting {
			lost++
			continue
		}
		x.Availability = "" // judged anew
		p.waiting[d] = merge(x, newer)
	}
	return lost
}

func (p *presence) flush() {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = map[device]registry.Touch{}
	p.mu.Unlock()
	byTenant := map[iot.TenantID]map[iot.ID]registry.Touch{}
	ctx := context.Background()
	for d, t := range waiting {
		if byTenant[d.t] == nil {
			byTenant[d.t] = map[iot.ID]registry.Touch{}
		}
		t = p.judge(ctx, d, t)
		if now := p.c.d.Clock.Now(); now.Sub(p.announced[d]) >= announceEvery {
			t.Announce, p.announced[d] = true, now
		}
		byTenant[d.t][d.id] = t
	}
	for t, touches := range byTenant {
		if err := p.c.d.Registry.Touch(ctx, t, touches); err != nil {
			lost := p.again(t, touches)
			p.c.d.Log.Warn("write signs of life", "tenant", t, "devices", len(touches), "lost", lost, "err", err)
		}
	}
}

// Heard says that a device sent something.
func (c *Connectivity) Heard(t iot.TenantID, id iot.ID) {
	c.presence.note(device{t, id}, registry.Touch{LastMessage: c.d.Clock.Now()}, false)
}

// PushConnected says that a device opened a connection on which it can be reached.
func (c *Connectivity) PushConnected(t iot.TenantID, id iot.ID) {
	p, d, now := c.presence, device{t, id}, c.d.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.push[d]++
	p.connected.Set(float64(len(p.push)))
	if p.push[d] == 1 { // noted under the lock, so that the order of notes is that of what happened
		p.noteLocked(d, registry.Touch{LastMessage: now, Connection: registry.Connected}, true)
	}
}

// PushDisconnected takes PushConnected back.
func (c *Connectivity) PushDisconnected(t iot.TenantID, id iot.ID) {
	p, d := c.presence, device{t, id}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.push[d]--
	if p.push[d] <= 0 {
		delete(p.push, d)
		p.noteLocked(d, registry.Touch{Connection: registry.Disconnected}, true)
	}
	p.connected.Set(float64(len(p.push)))
}
