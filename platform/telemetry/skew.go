package telemetry

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Options of a tenant that say what is done with readings whose time cannot be right, because the clock of their source is wrong.
const (
	// IngestCategory is the category of the options.
	IngestCategory = "ingest"
	// OptionAhead is how many seconds a reading may be ahead of the platform's clock; 300 unless set.
	OptionAhead = "clock.ahead.seconds"
	// OptionBehind is how many days a reading may be old; 0, which is the default: any.
	OptionBehind = "clock.behind.days"
	// OptionClock is what happens to a reading beyond: "accept", the default, stores it as it is; "correct" stores it with the time of its
	// arrival and keeps its own time in the member isobar_DeviceTime; "refuse" tells the sender.
	OptionClock = "clock.action"
)

// DeviceTime is the member that keeps the time which a corrected reading had.
const DeviceTime = "isobar_DeviceTime"

// skewAfter is how far ahead a reading's time may be before it counts as skewed.
const skewAfter = 5 * time.Minute

// clockRule is what a tenant wants.
type clockRule struct {
	ahead, behind time.Duration // behind: zero for any age
	action        string
	until         time.Time
}

// clockRules remembers the rules of tenants for some seconds.
type clockRules struct {
	mu sync.RWMutex // guards m
	m  map[iot.TenantID]clockRule
}

// ruleTime is how long a changed option takes to count.
const ruleTime = 10 * time.Second

func (tm *Telemetry) clockRule(ctx context.Context, t iot.TenantID, now time.Time) clockRule {
	tm.clocks.mu.RLock()
	r, ok := tm.clocks.m[t]
	tm.clocks.mu.RUnlock()
	if ok && now.Before(r.until) {
		return r
	}
	r = clockRule{ahead: skewAfter, action: "accept", until: now.Add(ruleTime)}
	if tm.d.Option != nil {
		number := func(key string, unit time.Duration, d *time.Duration) {
			text, ok := tm.d.Option(ctx, t, IngestCategory, key)
			if n, err := strconv.Atoi(text); ok && err == nil && n >= 0 && n <= 36500 {
				*d = time.Duration(n) * unit
			}
		}
		number(OptionAhead, time.Second, &r.ahead)
		number(OptionBehind, 24*time.Hour, &r.behind)
		if text, ok := tm.d.Option(ctx, t, IngestCategory, OptionClock); ok {
			r.action = text
		}
	}
	tm.clocks.mu.Lock()
	defer tm.clocks.mu.Unlock()
	if tm.clocks.m == nil {
		tm.clocks.m = map[iot.TenantID]clockRule{}
	}
	tm.clocks.m[t] = r
	return r
}

// timely judges a reading's time by the tenant's rule, and corrects it if that is what the rule says.
func (tm *Telemetry) timely(ctx context.Context, t iot.TenantID, m *iot.Measurement) error {
	now := tm.d.Clock.Now()
	r := tm.clockRule(ctx, t, now)
	lag := now.Sub(m.Time)
	if lag >= -r.ahead && (r.behind == 0 || lag <= r.behind) {
		return nil
	}
	switch r.action {
	case "correct":
		m.Extra = append(m.Extra.Without(DeviceTime), iot.Member{Name: DeviceTime, Raw: iot.AppendText(nil, m.Time.UTC().Format(time.RFC3339Nano))})
		m.Time = iot.FromMillis(now.UnixMilli())
	case "refuse":
		return fault.Errorf("telemetry.Submit", fault.Invalid, "the time %s is too far from the platform's, which is %s: set the clock of the device",
			m.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
