package usage

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
)

const (
	// writeEvery is how often sums are written, and so how much of them a crash can lose.
	writeEvery = 10 * time.Second
	// measureEvery is how old gauges become before they are measured again.
	measureEvery = 8 * time.Hour
	// deviceDays is how long the counts of single devices are kept.
	deviceDays = 400
	// maxDevices bounds the devices that wait to be written. It is reached only while the store cannot be written.
	maxDevices = 1 << 18
	shards     = 32
)

// tally holds the sums of a tenant that are not written yet.
type tally struct {
	mu   sync.Mutex // guards the fields below
	day  Day
	now  Counts         // of day
	past map[Day]Counts // of other days; nil: none
}

func (y *tally) add(day Day, c Counter, n int64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if day == y.day {
		y.now[c] += n
		return
	}
	if y.past == nil {
		y.past = map[Day]Counts{}
	}
	if day > y.day {
		if y.now != (Counts{}) {
			y.put(y.day, y.now)
		}
		y.day, y.now = day, Counts{}
		y.now[c] = n
		return
	}
	var sum Counts
	sum[c] = n
	y.put(day, sum)
}

func (y *tally) put(day Day, sum Counts) {
	old := y.past[day]
	old.add(sum)
	y.past[day] = old
}

// take returns what is to be written and begins anew.
func (y *tally) take() map[Day]Counts {
	y.mu.Lock()
	defer y.mu.Unlock()
	out := y.past
	if y.now != (Counts{}) {
		if out == nil {
			out = map[Day]Counts{}
		}
		sum := out[y.day]
		sum.add(y.now)
		out[y.day] = sum
	}
	y.past, y.now = nil, Counts{}
	return out
}

// back takes back what could not be written.
func (y *tally) back(sums map[Day]Counts) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.past == nil && len(sums) > 0 {
		y.past = map[Day]Counts{}
	}
	for day, sum := range sums {
		y.put(day, sum)
	}
}

type deviceKey struct {
	tenant iot.TenantID
	day    Day
	device iot.ID
}

type shard struct {
	mu sync.Mutex // guards m
	m  map[deviceKey]int64
}

// sums is what is counted and not written yet.
type sums struct {
	tallies sync.Map // iot.TenantID to *tally; bounded by the number of tenants
	shards  [shards]shard
}

func (s *sums) tally(t iot.TenantID) *tally {
	if y, ok := s.tallies.Load(t); ok {
		return y.(*tally)
	}
	y, _ := s.tallies.LoadOrStore(t, &tally{})
	return y.(*tally)
}

func (s *sums) shard(device iot.ID) *shard {
	return &s.shards[(uint64(device)^uint64(device)>>16)%shards]
}

// device adds to the count of a device; false: there is no place.
func (s *sums) device(k deviceKey, n int64) bool {
	h := s.shard(k.device)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[deviceKey]int64{}
	}
	if _, ok := h.m[k]; !ok && len(h.m) >= maxDevices/shards {
		return false
	}
	h.m[k] += n
	return true
}

// take empties the sums of a tenant, or of all if it is empty.
func (s *sums) take(only iot.TenantID) map[iot.TenantID]Sums {
	out := map[iot.TenantID]Sums{}
	s.tallies.Range(func(key, y any) bool {
		if t := key.(iot.TenantID); only == "" || t == only {
			if counts := y.(*tally).take(); len(counts) > 0 {
				out[t] = Sums{Counts: counts}
			}
		}
		return true
	})
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for k, n := range h.m {
			if only != "" && k.tenant != only {
				continue
			}
			sum := out[k.tenant]
			if sum.Devices == nil {
				sum.Devices = map[Day]map[iot.ID]int64{}
			}
			if sum.Devices[k.day] == nil {
				sum.Devices[k.day] = map[iot.ID]int64{}
			}
			sum.Devices[k.day][k.device] += n
			out[k.tenant] = sum
			delete(h.m, k)
		}
		h.mu.Unlock()
	}
	return out
}

// Made counts n documents of a kind that were stored or changed at a time, and what of it belongs to a device. Other kinds and actions do not
// count. It does not block on the store. A nil Meter counts nothing.
func (m *Meter) Made(t iot.TenantID, source iot.ID, k iot.Kind, a iot.Action, at time.Time, n int64) {
	if m == nil || n == 0 {
		return
	}
	c, ok := counterOf(k, a)
	if !ok {
		return
	}
	day := DayOf(at)
	m.sums.tally(t).add(day, c, n)
	if k == iot.KindMeasurement || k == iot.KindEvent || k == iot.KindAlarm {
		if !m.sums.device(deviceKey{t, day, source}, n) {
			m.dropped.Add(float64(n))
		}
	}
}

func counterOf(k iot.Kind, a iot.Action) (Counter, bool) {
	var c Counter
	switch k {
	case iot.KindManagedObject:
		c = InventoriesCreated
	case iot.KindEvent:
		c = EventsCreated
	case iot.KindAlarm:
		c = AlarmsCreated
	case iot.KindMeasurement:
		return MeasurementsCreated, a == iot.Created
	case iot.KindOperation:
		c = OperationsCreated
	default:
		return 0, false
	}
	if a == iot.Updated {
		c++
	}
	return c, a == iot.Created || a == iot.Updated
}

// Request counts n requests to a tenant. device: they are such as devices make. A nil Meter counts nothing.
func (m *Meter) Request(t iot.TenantID, device bool, n int64) {
	if m == nil || n == 0 || t == "" {
		return
	}
	y, day := m.sums.tally(t), DayOf(m.d.Clock.Now())
	y.add(day, Requests, n)
	if device {
		y.add(day, DeviceRequests, n)
	}
}

// flush writes the sums of a tenant, or of all if it is empty. What cannot be written stays for the next time; what belongs to a tenant that
// is gone is dropped with it.
func (m *Meter) flush(ctx context.Context, only iot.TenantID) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	collectors := m.collectors
	m.mu.Unlock()
	for _, collect := range collectors {
		collect(only)
	}
	var first error
	for t, sum := range m.sums.take(only) {
		if _, err := m.d.Tenants.Get(ctx, t); fault.Is(err, fault.NotFound) {
			m.sums.tallies.Delete(t)
			continue
		}
		if len(sum.Devices) > 0 && !m.d.Tenants.Enabled(ctx, t, tenancy.DeviceStatistics) {
			sum.Devices = nil
		}
		if err := m.d.Store.Add(ctx, t, sum); err != nil {
			m.failed.Inc()
			m.d.Log.Warn("write the usage of a tenant; it is kept", "tenant", t, "err", err)
			m.back(t, sum)
			if first == nil {
				first = err
			}
		}
	}
	return first
}

func (m *Meter) back(t iot.TenantID, sum Sums) {
	m.sums.tally(t).back(sum.Counts)
	for day, devices := range sum.Devices {
		for id, n := range devices {
			if !m.sums.device(deviceKey{t, day, id}, n) {
				m.dropped.Add(float64(n))
			}
		}
	}
}

// Collect registers what counts on its own and tells its sums with Made when asked, for one tenant or, if it is empty, for all.
func (m *Meter) Collect(tell func(t iot.TenantID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collectors = append(m.collectors, tell)
}

func (m *Meter) run() {
	defer close(m.done)
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	var measured time.Time
	for {
		select {
		case <-ticker.C:
			_ = m.flush(context.Background(), "") // told and kept
			if now := m.d.Clock.Now(); now.Sub(measured) >= measureEvery || DayOf(now) != DayOf(measured) {
				measured = now
				m.upkeep(m.background, now)
			}
		case <-m.quit:
			_ = m.flush(context.Background(), "")
			return
		}
	}
}

// Close writes what was counted and ends the background work. Close what counts before.
func (m *Meter) Close() {
	m.once.Do(func() { m.cancel(); close(m.quit) })
	<-m.done
}

func (m *Meter) export(reg prometheus.Registerer) {
	m.failed = prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_usage_failures_total", Help: "Writes of usage figures that failed; the figures are kept and written later."})
	m.dropped = prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_usage_dropped_total", Help: "Documents that are missing in the counts of single devices, because too many devices waited to be written."})
	if reg != nil {
		reg.MustRegister(m.failed, m.dropped)
	}
}
