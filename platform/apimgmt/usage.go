package apimgmt

import (
	"context"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

const (
	flushEvery = 10 * time.Second
	// maxLines bounds the figures that wait to be stored, and the keys whose quota is counted. Consumers beyond count as Others.
	maxLines = 20_000
	// Others is the consumer of a tenant that stands for those who had no line of their own.
	Others = "*"
)

// Management is the face. It is safe for concurrent use.
type Management struct {
	d    Deps
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	lines  map[lineKey]*UsageLine
	quotas map[quotaKey]*quota
}

type lineKey struct {
	t        iot.TenantID
	day      string
	kind     ConsumerKind
	consumer string
}

type quotaKey struct {
	t  iot.TenantID
	id string
}

// quota counts the requests of one key in the present minute and day, both of UTC.
type quota struct {
	minute, day     int64 // since 1970
	inMinute, inDay int64
	loaded          int64 // the day whose figure was read from the store
}

// New returns the face, which stores figures until Close.
func New(d Deps) *Management {
	m := &Management{d: d, stop: make(chan struct{}), done: make(chan struct{}), lines: map[lineKey]*UsageLine{}, quotas: map[quotaKey]*quota{}}
	go func() {
		defer close(m.done)
		tick := time.NewTicker(flushEvery)
		defer tick.Stop()
		for {
			select {
			case <-m.stop:
				return
			case <-tick.C:
				if err := m.Flush(context.Background()); err != nil {
					m.d.Log.Warn("figures of use are not stored yet", "err", err)
				}
			}
		}
	}()
	return m
}

// Close stores what was counted.
func (m *Management) Close(ctx context.Context) error {
	close(m.stop)
	<-m.done
	return m.Flush(ctx)
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// take counts one request of a key, or refuses it.
func (m *Management) take(ctx context.Context, t iot.TenantID, k Key, now time.Time) error {
	if k.PerMinute == 0 && k.PerDay == 0 {
		return nil
	}
	minute, day := now.Unix()/60, now.Unix()/86400
	m.mu.Lock()
	q := m.quotas[quotaKey{t, k.ID}]
	known := q != nil && (k.PerDay == 0 || q.loaded == day)
	m.mu.Unlock()
	stored := int64(0)
	if !known && k.PerDay > 0 { // after a start: what the key has used of its day
		lines, _, err := m.d.Store.Usage(ctx, t, UsageQuery{From: dayOf(now), To: dayOf(now), Kind: ByKey, Consumer: k.ID, Limit: 1})
		if err != nil {
			return sqlkit.Fault("apimgmt.Quota", err)
		}
		if len(lines) > 0 {
			stored = lines[0].Requests
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	q = m.quotas[quotaKey{t, k.ID}]
	if q == nil {
		m.shed(minute)
		q = &quota{}
		m.quotas[quotaKey{t, k.ID}] = q
	}
	if q.minute != minute {
		q.minute, q.inMinute = minute, 0
	}
	if q.day != day {
		q.day, q.inDay = day, 0
	}
	if k.PerDay > 0 && q.loaded != day { // the first of those who came at once
		q.inDay, q.loaded = q.inDay+stored, day
	}
	const op = fault.Op("apimgmt.Quota")
	switch {
	case k.PerDay > 0 && q.inDay >= k.PerDay:
		return fault.E(op, fault.Exhausted, time.Unix((day+1)*86400, 0).Sub(now), "the API key has used up its requests of the day")
	case k.PerMinute > 0 && q.inMinute >= k.PerMinute:
		return fault.E(op, fault.Exhausted, time.Unix((minute+1)*60, 0).Sub(now), "the API key has used up its requests of the minute")
	}
	q.inMinute++
	q.inDay++
	return nil
}

// shed makes room among the quotas by those that were not used in this minute: what they have used of the day is in the figures.
func (m *Management) shed(minute int64) {
	if len(m.quotas) < maxLines {
		return
	}
	for k, q := range m.quotas {
		if q.minute != minute {
			delete(m.quotas, k)
		}
	}
}

// Count adds one request to the figures; in and out are the bytes of the bodies. endpoint names the published endpoint that was called, as Endpoint.Label
// does, empty if it was none.
func (m *Management) Count(p iot.Principal, endpoint string, failed bool, in, out int64) {
	if p.Tenant == "" {
		return
	}
	now := m.d.Clock.Now()
	kind, consumer := ByUser, string(p.User)
	if p.Key != "" {
		kind, consumer = ByKey, p.Key
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(UsageLine{Tenant: p.Tenant, Day: dayOf(now), Kind: kind, Consumer: consumer, Owner: p.User, Last: now}, failed, in, out)
	if p.Application != "" && p.Key == "" {
		m.add(UsageLine{Tenant: p.Tenant, Day: dayOf(now), Kind: ByApplication, Consumer: p.Application, Last: now}, failed, in, out)
	}
	if endpoint != "" {
		m.add(UsageLine{Tenant: p.Tenant, Day: dayOf(now), Kind: ByEndpoint, Consumer: endpoint + ":" + consumer, Owner: p.User, Last: now}, failed, in, out)
	}
}

func (m *Management) add(x UsageLine, failed bool, in, out int64) {
	const longest = 200
	if len(x.Consumer) > longest {
		x.Consumer = Others
	}
	k := lineKey{x.Tenant, x.Day, x.Kind, x.Consumer}
	line := m.lines[k]
	if line == nil && len(m.lines) >= maxLines {
		k.consumer, x.Consumer, x.Owner = Others, Others, ""
		line = m.lines[k]
	}
	if line == nil {
		line = &x
		m.lines[k] = line
	}
	line.Requests++
	line.In += in
	line.Out += out
	line.Last = x.Last
	if failed {
		line.Errors++
	}
}

// Flush stores what was counted so far. If that fails, it is kept for the next time.
func (m *Management) Flush(ctx context.Context) error {
	m.mu.Lock()
	lines := m.lines
	m.lines = map[lineKey]*UsageLine{}
	m.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	list := make([]UsageLine, 0, len(lines))
	for _, x := range lines {
		list = append(list, *x)
	}
	err := m.d.Store.AddUsage(ctx, list)
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, x := range lines {
		if now := m.lines[k]; now != nil {
			now.Requests, now.Errors, now.In, now.Out = now.Requests+x.Requests, now.Errors+x.Errors, now.In+x.In, now.Out+x.Out
		} else {
			m.lines[k] = x
		}
	}
	return sqlkit.Fault("apimgmt.Flush", err)
}

// Usage returns a page of the figures, up to this moment, and the number of all: of the whole tenant for who holds ROLE_TENANT_STATISTICS_READ, of
// oneself and of one's own keys for everybody else.
func (m *Management) Usage(ctx context.Context, p iot.Principal, q UsageQuery) ([]UsageLine, int, error) {
	const op = fault.Op("apimgmt.Usage")
	if m.d.Policy.Check(ctx, p, access.Statistics, access.Read, access.Object{}) != nil {
		if err := m.d.Policy.Check(ctx, p, access.OwnUser, access.Read, access.Object{}); err != nil {
			return nil, 0, err
		}
		q.Owner = p.User
	}
	for _, day := range []string{q.From, q.To} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return nil, 0, fault.E(op, fault.Invalid, "dateFrom and dateTo must be days such as 2026-01-31")
		}
	}
	if err := m.Flush(ctx); err != nil {
		return nil, 0, err
	}
	lines, n, err := m.d.Store.Usage(ctx, p.Tenant, q)
	return lines, n, sqlkit.Fault(op, err)
}
