package connectivity

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
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

	// UnavailabilityAlarm is the type of the alarm of a device that was not heard of in time.
	UnavailabilityAlarm = "c8y_UnavailabilityAlarm"
)

// presence collects signs of life.
type presence struct {
	c *Connectivity

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
	p := &presence{c: c, waiting: map[device]registry.Touch{}, tenants: map[iot.TenantID]bool{}, push: map[device]int{}, announced: map[device]time.Time{}, wake: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "isobar_connectivity_connected_devices", Help: "Devices with a push connection on this node."})}
	if c.d.Reg != nil {
		c.d.Reg.MustRegister(p.connected)
	}
	go p.run()
	return p
}

func (p *presence) close() {
	close(p.quit)
	<-p.done
}

func (p *presence) run() {
	defer close(p.done)
	flush, overdue := time.NewTicker(flushEvery), time.NewTicker(overdueEvery)
	defer flush.Stop()
	defer overdue.Stop()
	for {
		select {
		case <-p.quit:
			p.flush()
			return
		case <-p.wake:
			p.flush()
		case <-flush.C:
			p.flush()
		case <-overdue.C:
			p.overdue()
		}
	}
}

func (p *presence) note(d device, t registry.Touch, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.waiting[d]
	if t.LastMessage.Before(old.LastMessage) {
		t.LastMessage = old.LastMessage
	}
	if t.Connection == "" {
		t.Connection = old.Connection
	}
	if t.Availability == "" {
		t.Availability = old.Availability
	}
	p.waiting[d] = t
	p.tenants[d.t] = true
	if now || len(p.waiting) >= maxWaiting {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
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
			p.c.d.Log.Warn("signs of life lost", "tenant", t, "devices", len(touches), "err", err)
		}
	}
}

// judge makes a device that is heard of again available, and clears its alarm.
func (p *presence) judge(ctx context.Context, d device, t registry.Touch) registry.Touch {
	if t.LastMessage.IsZero() {
		return t
	}
	src, err := p.c.d.Registry.Source(ctx, d.t, d.id)
	if err != nil || !src.Monitored || src.Maintenance {
		return t
	}
	mo, err := p.c.d.Registry.Get(ctx, iot.System(d.t), d.id)
	if err != nil || mo.State.Availability == registry.Available {
		return t
	}
	t.Availability = registry.Available
	alarm, err := p.c.d.Telemetry.ActiveAlarm(ctx, iot.System(d.t), d.id, UnavailabilityAlarm)
	if err == nil {
		cleared := iot.Cleared
		if _, err := p.c.d.Telemetry.PatchAlarm(ctx, iot.System(d.t), alarm.ID, telemetry.AlarmPatch{Status: &cleared}); err != nil {
			p.c.d.Log.Warn("clear alarm", "tenant", d.t, "device", d.id, "err", err)
		}
	}
	return t
}

// overdue marks devices that were not heard of in time, and raises their alarm.
func (p *presence) overdue() {
	p.flush() // whoever was heard of just now is not overdue
	p.mu.Lock()
	tenants := make([]iot.TenantID, 0, len(p.tenants))
	for t := range p.tenants {
		tenants = append(tenants, t)
	}
	p.mu.Unlock()
	ctx := context.Background()
	now := p.c.d.Clock.Now()
	for _, t := range tenants {
		ids, err := p.c.d.Registry.Overdue(ctx, t, now)
		if err != nil {
			p.c.d.Log.Warn("look for overdue devices", "tenant", t, "err", err)
			continue
		}
		for _, id := range ids {
			p.unavailable(ctx, t, id, now)
		}
	}
}

func (p *presence) unavailable(ctx context.Context, t iot.TenantID, id iot.ID, now time.Time) {
	if err := p.c.d.Registry.Touch(ctx, t, map[iot.ID]registry.Touch{id: {Availability: registry.Unavailable}}); err != nil {
		p.c.d.Log.Warn("mark unavailable", "tenant", t, "device", id, "err", err)
		return
	}
	_, _, err := p.c.d.Telemetry.RaiseAlarm(ctx, iot.System(t), iot.Alarm{Source: id, Type: UnavailabilityAlarm, Severity: iot.Major, Status: iot.Active, Time: now,
		Text: "No data received from device within required interval."})
	if err != nil && !fault.Is(err, fault.NotFound) {
		p.c.d.Log.Warn("raise alarm", "tenant", t, "device", id, "err", err)
	}
}

// Heard says that a device sent something.
func (c *Connectivity) Heard(t iot.TenantID, id iot.ID) {
	c.presence.note(device{t, id}, registry.Touch{LastMessage: c.d.Clock.Now()}, false)
}

// PushConnected says that a device opened a connection on which it can be reached.
func (c *Connectivity) PushConnected(t iot.TenantID, id iot.ID) {
	p, d := c.presence, device{t, id}
	p.mu.Lock()
	p.push[d]++
	first := p.push[d] == 1
	p.connected.Set(float64(len(p.push)))
	p.mu.Unlock()
	if first {
		p.note(d, registry.Touch{LastMessage: c.d.Clock.Now(), Connection: registry.Connected}, true)
	}
}

// PushDisconnected takes PushConnected back.
func (c *Connectivity) PushDisconnected(t iot.TenantID, id iot.ID) {
	p, d := c.presence, device{t, id}
	p.mu.Lock()
	p.push[d]--
	last := p.push[d] <= 0
	if last {
		delete(p.push, d)
	}
	p.connected.Set(float64(len(p.push)))
	p.mu.Unlock()
	if last {
		p.note(d, registry.Touch{Connection: registry.Disconnected}, true)
	}
}
