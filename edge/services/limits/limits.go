package limits

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
)

// Rates are the limits where a tenant's options say nothing. Zero is no limit; the least one is 1.
type Rates struct {
	RequestsPerAddress    float64 // per second
	RequestsPerUser       float64 // per second
	RequestsPerTenant     float64 // per second
	ConnectsPerAddress    float64 // MQTT, per second
	ConnectionsPerAddress int     // MQTT, at once
	ConnectionsPerTenant  int     // MQTT, at once
	Publishes             float64 // MQTT, per second and connection
	PublishesPerTenant    float64 // MQTT, per second
}

// Keys of the tenant options in the category Category. A value is a number from 1, or 0 for no limit; anything else counts as not set.
const (
	Category              = "limits"
	KeyRequestsPerTenant  = "requests.per.second"
	KeyRequestsPerUser    = "requests.per.second.user"
	KeyPublishesPerTenant = "publishes.per.second"
	KeyPublishes          = "publishes.per.second.device"
	KeyConnections        = "connections"
)

// Options of Limits.
type Options struct {
	Rates
	// Option reads an option of a tenant; nil: tenants have none.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
	// Exempt names addresses that speak for many clients: limits per address do not hold for them. Nil: none.
	Exempt func(netip.Addr) bool
	// Sleep waits for d or until cut is closed; nil: by the machine's timers.
	Sleep func(d time.Duration, cut <-chan struct{})
	Clock clock.Clock
	Log   *slog.Logger
	Reg   prometheus.Registerer // may be nil
}

// Limits counts and decides. It is safe for concurrent use.
type Limits struct {
	o        Options
	exceeded *prometheus.CounterVec

	addresses buckets[netip.Addr]
	users     buckets[user]
	tenants   buckets[iot.TenantID]
	connects  buckets[netip.Addr]
	publishes buckets[iot.TenantID]
	settings  *otter.Cache[iot.TenantID, *settings]

	closing chan struct{} // closed when waiting makes no sense any more
	once    sync.Once

	mu     sync.Mutex // guards the fields below
	byAddr map[netip.Addr]int
	byRoom map[iot.TenantID]int
}

type user struct {
	tenant iot.TenantID
	name   iot.UserName
}

// What was exceeded: label values, a closed set.
const (
	exceededAddress     = "requests_address"
	exceededUser        = "requests_user"
	exceededTenant      = "requests_tenant"
	exceededConnects    = "connects_address"
	exceededConnsAddr   = "connections_address"
	exceededConnsTenant = "connections_tenant"
	exceededPublish     = "publishes_slowed"
	exceededPublishFar  = "publishes_disconnected"
)

// New returns the limits.
func New(o Options) *Limits {
	l := &Limits{o: o, addresses: newBuckets[netip.Addr](), users: newBuckets[user](), tenants: newBuckets[iot.TenantID](), connects: newBuckets[netip.Addr](),
		publishes: newBuckets[iot.TenantID](), settings: otter.Must(&otter.Options[iot.TenantID, *settings]{MaximumSize: maxBuckets}),
		closing: make(chan struct{}), byAddr: map[netip.Addr]int{}, byRoom: map[iot.TenantID]int{},
		exceeded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_limits_exceeded_total", Help: "Requests, connections and publishes beyond a limit, by limit."}, []string{"limit"})}
	if l.o.Sleep == nil {
		l.o.Sleep = sleep
	}
	if o.Reg != nil {
		o.Reg.MustRegister(l.exceeded)
	}
	return l
}

// Close ends all waiting: publishers that are slowed down go on at once.
func (l *Limits) Close() { l.once.Do(func() { close(l.closing) }) }

// Address takes one request of a network address ("host:port"). An address that is none is not limited.
func (l *Limits) Address(remote string) error {
	addr, ok := l.address(remote)
	if !ok {
		return nil
	}
	return l.verdict(exceededAddress, "from your address", l.o.RequestsPerAddress, l.addresses.take(l.o.Clock.Now(), addr, l.o.RequestsPerAddress))
}

// Request takes one request of a user, who is known by now.
func (l *Limits) Request(ctx context.Context, p iot.Principal) error {
	now := l.o.Clock.Now()
	s := l.of(ctx, p.Tenant, now)
	if wait := l.users.take(now, user{p.Tenant, p.User}, s.RequestsPerUser); wait > 0 {
		return l.verdict(exceededUser, "of this user", s.RequestsPerUser, wait)
	}
	return l.verdict(exceededTenant, "of this tenant", s.RequestsPerTenant, l.tenants.take(now, p.Tenant, s.RequestsPerTenant))
}

// verdict turns a time to wait into a fault of kind Exhausted.
func (l *Limits) verdict(what, whose string, perSecond float64, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	l.exceeded.WithLabelValues(what).Inc()
	return fault.E(fault.Op("limits.Request"), fault.Exhausted, wait, fmt.Sprintf("more than %g requests per second %s: wait as long as Retry-After says", perSecond, whose))
}

func sleep(d time.Duration, cut <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-cut:
	}
}

// address returns what counts as one address: whoever has an IPv6 address has a /64 of them. False means that it is not limited.
func (l *Limits) address(remote string) (netip.Addr, bool) {
	h, _, err := net.SplitHostPort(remote)
	if err != nil {
		h = remote
	}
	a, err := netip.ParseAddr(h)
	if err != nil {
		return a, false
	}
	a = a.Unmap().WithZone("")
	if l.o.Exempt != nil && l.o.Exempt(a) {
		return a, false
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	return a, true
}

// settings are the limits of one tenant.
type settings struct {
	Rates
	until   time.Time   // when they are to be read again
	renewal atomic.Bool // somebody does
}

// settingsTime is how long a changed option takes to count.
const settingsTime = 10 * time.Second

// of returns the limits of a tenant. Whoever finds them old reads them again, while all others go on with the old ones.
func (l *Limits) of(ctx context.Context, t iot.TenantID, now time.Time) *settings {
	s, ok := l.settings.GetIfPresent(t)
	if ok && (now.Before(s.until) || s.renewal.Swap(true)) {
		return s
	}
	ctx = context.WithoutCancel(ctx) // the next ones need it as well
	s = &settings{Rates: l.o.Rates, until: now.Add(settingsTime)}
	if l.o.Option != nil {
		for key, v := range map[string]*float64{KeyRequestsPerTenant: &s.RequestsPerTenant, KeyRequestsPerUser: &s.RequestsPerUser, KeyPublishesPerTenant: &s.PublishesPerTenant, KeyPublishes: &s.Publishes} {
			l.number(ctx, t, key, v)
		}
		connections := float64(s.ConnectionsPerTenant)
		l.number(ctx, t, KeyConnections, &connections)
		s.ConnectionsPerTenant = int(min(connections, math.MaxInt32))
	}
	l.settings.Set(t, s)
	return s
}

func (l *Limits) number(ctx context.Context, t iot.TenantID, key string, v *float64) {
	text, ok := l.o.Option(ctx, t, Category, key)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) || n > 0 && n < 1 {
		l.o.Log.Warn("a limit must be 0 or a number from 1; this one does not count", "tenant", t, "option", Category+"."+key)
		return
	}
	*v = n
}
