package tenancy

import (
	"context"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
)

const (
	// remembered is how long a setting is remembered at most, should the news of its change be lost.
	remembered = 10 * time.Second
	// maxFacts bounds the settings that are remembered. When there are more, all are read again.
	maxFacts = 10_000
)

// settingKey names an option, or a feature (whose category is empty).
type settingKey struct {
	tenant iot.TenantID
	OptionKey
}

type setting struct {
	value string
	set   bool
	until time.Time
}

// memory holds settings that are asked for with every request. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex // guards what follows
	facts   map[settingKey]setting
	changes uint64 // how often something was forgotten: what was read before must not be remembered
}

func (m *memory) find(k settingKey, now time.Time) (x setting, ok bool, changes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x, ok = m.facts[k]
	return x, ok && now.Before(x.until), m.changes
}

func (m *memory) keep(k settingKey, x setting, changes uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changes != changes {
		return
	}
	if m.facts == nil || len(m.facts) >= maxFacts {
		m.facts = map[settingKey]setting{}
	}
	m.facts[k] = x
}

func (m *memory) forget(t iot.TenantID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for k := range m.facts {
		if k.tenant == t {
			delete(m.facts, k)
		}
	}
}

// recall returns a setting, from the store only if it is not remembered. What cannot be read is not remembered.
func (s *Tenants) recall(t iot.TenantID, key OptionKey, read func() (value string, set bool, err error)) (string, bool, error) {
	k := settingKey{t, key}
	now := s.d.Clock.Now()
	x, ok, changes := s.settings.find(k, now)
	if ok {
		return x.value, x.set, nil
	}
	value, set, err := read()
	if err == nil {
		s.settings.keep(k, setting{value, set, now.Add(remembered)}, changes)
	}
	return value, set, err
}

// Cached is Value for who asks with every request: what it returns is remembered until an option of the tenant changes, on whichever node, and for ten seconds at
// most.
func (s *Tenants) Cached(ctx context.Context, t iot.TenantID, key OptionKey, def string) string {
	value, set, err := s.recall(t, key, func() (string, bool, error) { return s.Lookup(ctx, t, key) })
	if err != nil {
		s.d.Log.Warn("read option", "tenant", t, "option", key.Category+"."+key.Key, "err", err)
	}
	if err != nil || !set {
		return def
	}
	return value
}

// resettle makes every node read the settings of a tenant again.
func (s *Tenants) resettle(t iot.TenantID) {
	s.settings.forget(t)
	s.d.Bus.Publish(bus.Subject(t, "tenant", "settings"), nil)
}
