package usage

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Counter is one of the things that are counted.
type Counter uint8

// The counters.
const (
	Requests       Counter = iota // every request, whatever came of it
	DeviceRequests                // those that devices make
	InventoriesCreated
	InventoriesUpdated
	EventsCreated
	EventsUpdated
	AlarmsCreated
	AlarmsUpdated
	MeasurementsCreated
	OperationsCreated
	OperationsUpdated
	Counters int = iota
)

var counterNames = [Counters]string{"requestCount", "deviceRequestCount", "inventoriesCreatedCount", "inventoriesUpdatedCount", "eventsCreatedCount", "eventsUpdatedCount",
	"alarmsCreatedCount", "alarmsUpdatedCount", "measurementsCreatedCount", "operationsCreatedCount", "operationsUpdatedCount"}

// String returns the name under which a counter is stored and shown.
func (c Counter) String() string { return counterNames[c] }

// CounterNamed returns the counter with a name.
func CounterNamed(name string) (Counter, bool) {
	for i, n := range counterNames {
		if n == name {
			return Counter(i), true
		}
	}
	return 0, false
}

// Counts are the counters of a time.
type Counts [Counters]int64

func (c *Counts) add(o Counts) {
	for i := range c {
		c[i] += o[i]
	}
}

// Total is the number of resources that were created and updated.
func (c Counts) Total() (n int64) {
	for _, x := range c[InventoriesCreated:] {
		n += x
	}
	return n
}

// Gauges are measured, not counted.
type Gauges struct {
	Devices   int64 // objects with c8y_IsDevice
	All       int64 // these, and the child devices that are not marked so
	Endpoints int64 // those of all that have no child devices
	Storage   int64 // bytes of documents, files and measurements
}

func (g Gauges) peak(o Gauges) Gauges {
	return Gauges{max(g.Devices, o.Devices), max(g.All, o.All), max(g.Endpoints, o.Endpoints), max(g.Storage, o.Storage)}
}

// Day is a UTC day, as the number of days since 1970-01-01.
type Day int64

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(floor(t.Unix(), 86400)) }

func floor(a, b int64) int64 {
	if a%b < 0 {
		return a/b - 1
	}
	return a / b
}

// Start returns the first moment of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Daily is what a tenant used on a day. Gauges are the last that were measured until then.
type Daily struct {
	Day Day
	Counts
	Gauges
	Peak Gauges
}

// Summary is what a tenant used in a span of days. Its gauges are the last ones, Peak the highest.
type Summary struct {
	Tenant iot.TenantID
	Last   Day // the last day with figures in the span; the first day of the span if there are none
	Counts
	Gauges
	Peak Gauges
}

// DeviceCount is how many measurements, events and alarms of a device were created and updated.
type DeviceCount struct {
	Device iot.ID
	Count  int64
}

// File is a report over all tenants.
type File struct {
	ID        string
	Type      string // Real or Test
	Generated time.Time
	From, To  Day // inclusive
	Instance  string
}

// Types of files.
const (
	Real = "REAL" // of a whole month, made by the platform
	Test = "TEST" // made when somebody asked
)

// Sums are what a Meter adds to what is stored.
type Sums struct {
	Counts  map[Day]Counts
	Devices map[Day]map[iot.ID]int64
}

// Store keeps figures. Errors are raw: a missing row is sql.ErrNoRows. Safe for concurrent use.
type Store interface {
	// Add adds sums to what is stored of a tenant, all or nothing.
	Add(ctx context.Context, t iot.TenantID, sums Sums) error
	// Measured replaces the gauges of a day and raises their peak.
	Measured(ctx context.Context, t iot.TenantID, day Day, g Gauges) error
	// Days returns the days in a span, both ends included, that have figures, in order. A day without gauges has those of the day before.
	Days(ctx context.Context, t iot.TenantID, from, to Day) ([]Daily, error)
	// Devices returns what devices sent in a span, both ends included, in order of id. device zero: all of them.
	Devices(ctx context.Context, t iot.TenantID, from, to Day, device iot.ID, offset, limit int) ([]DeviceCount, error)
	// ForgetDevices removes the counts of devices before a day.
	ForgetDevices(ctx context.Context, before Day) error
	// CreateFile fails so that sqlkit.IsUnique holds if there is one with the id.
	CreateFile(ctx context.Context, f File) error
	File(ctx context.Context, id string) (File, error)
	// Files returns those that touch a span, the newest first.
	Files(ctx context.Context, from, to Day) ([]File, error)
	NextNumber(ctx context.Context) (int64, error)
}
