package telemetry

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// EventQuery selects events, newest first unless Ascending; equal times are ordered by id. All conditions must hold, zero values are none.
// Times are half-open ranges; equal bounds mean that instant.
type EventQuery struct {
	Source                                 iot.ID
	Sources                                []iot.ID // more sources; any of them
	WithAssets, WithDevices, WithAdditions bool     // and what is below Source
	IDs                                    []iot.ID
	Type                                   string
	Fragment                               string         // top-level member that must exist
	FragmentValue                          string         // and be this string
	Except                                 []iot.Selector // these are left out
	From, To                               time.Time
	CreatedFrom, CreatedTo                 time.Time
	UpdatedFrom, UpdatedTo                 time.Time
	Ascending                              bool
	Offset, Limit                          int
	Count                                  bool // also count all that match
}

// AlarmQuery selects alarms, newest first unless Ascending or Order say otherwise; what is equal is ordered by id. As EventQuery.
type AlarmQuery struct {
	Source                                 iot.ID
	Sources                                []iot.ID
	WithAssets, WithDevices, WithAdditions bool
	IDs                                    []iot.ID
	Statuses                               []iot.AlarmStatus
	Severities                             []iot.Severity
	Types                                  []string
	Except                                 []iot.Selector // these are left out; no alarm has a fragment
	Resolved                               *bool          // true: only cleared; false: only others; overrides Statuses
	From, To                               time.Time
	CreatedFrom, CreatedTo                 time.Time
	UpdatedFrom, UpdatedTo                 time.Time
	Order                                  []AlarmOrder
	Ascending                              bool
	Offset, Limit                          int
	Count                                  bool
}

// AlarmOrder is one key of an order: status (in the order of an alarm's life), severity (worst first), time, text, type, creationTime or
// lastUpdated.
type AlarmOrder struct {
	Field string
	Desc  bool
}

// Version is a superseded version of an event or alarm.
type Version[D any] struct {
	Document D
	From     time.Time
	Until    sqlkit.Revision
	Deleted  bool
}

// DeleteBatch is how many documents a driver removes with one call at most.
const DeleteBatch = 500

// Store is all that a driver of events and alarms does. Errors are raw: a missing row is sql.ErrNoRows. Every method works in one tenant, is
// atomic and durable when it returns, keeps superseded versions, and is safe for concurrent use. Drivers look at Sources, not at Source and
// With..., which the face resolves, and take bounds literally. A function passed to a driver may run more than once and must have no
// other effect.
type Store interface {
	Events
	Alarms
	Ledgers
	// Connected remembers a new connection of a client among what is kept of its deliveries, as series.Store does.
	Connected(ctx context.Context, t iot.TenantID, client uint64, conn int64) error
	// NextID returns the next id of a document of the tenant.
	NextID(ctx context.Context, t iot.TenantID) (iot.ID, error)
}

// Events keeps events.
type Events interface {
	CreateEvent(ctx context.Context, t iot.TenantID, e iot.Event, rev sqlkit.Revision) error
	Event(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Event, error)
	// Events returns a page of those whose sources are in scope, and the number of all of them if q.Count.
	Events(ctx context.Context, t iot.TenantID, scope access.Scope, q EventQuery) ([]iot.Event, int, error)
	// UpdateEvent replaces text and fragments by what change makes of them. If it changes nothing, nothing is stored and written is false.
	UpdateEvent(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(iot.Event) (iot.Event, error)) (e iot.Event, written bool, err error)
	// DeleteEvents removes up to DeleteBatch events in scope that match q and returns them in the order of q. Fewer than DeleteBatch means: all are gone.
	DeleteEvents(ctx context.Context, t iot.TenantID, scope access.Scope, q EventQuery, rev sqlkit.Revision) ([]iot.Event, error)
	// ExpireEvents is DeleteEvents without a trace: no version of the events stays.
	ExpireEvents(ctx context.Context, t iot.TenantID, q EventQuery) ([]iot.Event, error)
	// HeldEvents counts the events that match q, and their sources.
	HeldEvents(ctx context.Context, t iot.TenantID, q EventQuery) (Held, error)
	// EventDocuments tells the change log of events.
	EventDocuments() changes.Documents
	// EventHistory returns the superseded versions, oldest first; with a time that is not zero only the one that was current then, if any was.
	EventHistory(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]Version[iot.Event], error)
}

// Alarms keeps alarms.
type Alarms interface {
	// Raise replaces the open alarm (ACTIVE first, then ACKNOWLEDGED, the newest) of the source and type of a by what merge makes of it, or
	// stores a if there is none. before is nil then. Of any number of callers at once, only one stores.
	Raise(ctx context.Context, t iot.TenantID, a iot.Alarm, rev sqlkit.Revision, merge func(open iot.Alarm) iot.Alarm) (before *iot.Alarm, after iot.Alarm, err error)
	Alarm(ctx context.Context, t iot.TenantID, id iot.ID) (iot.Alarm, error)
	// Alarms returns a page of those whose sources are in scope, and the number of all of them if q.Count.
	Alarms(ctx context.Context, t iot.TenantID, scope access.Scope, q AlarmQuery) ([]iot.Alarm, int, error)
	// UpdateAlarms replaces alarms by what change makes of them, all or none; ids that do not exist are skipped.
	UpdateAlarms(ctx context.Context, t iot.TenantID, ids []iot.ID, rev sqlkit.Revision, change func(iot.Alarm) iot.Alarm) ([]AlarmUpdate, error)
	// DeleteAlarms is DeleteEvents for alarms, oldest first.
	DeleteAlarms(ctx context.Context, t iot.TenantID, scope access.Scope, q AlarmQuery, rev sqlkit.Revision) ([]iot.Alarm, error)
	// ExpireAlarms is ExpireEvents for alarms, HeldAlarms is HeldEvents.
	ExpireAlarms(ctx context.Context, t iot.TenantID, q AlarmQuery) ([]iot.Alarm, error)
	HeldAlarms(ctx context.Context, t iot.TenantID, q AlarmQuery) (Held, error)
	// OpenAlarms counts the alarms of a source that are not cleared.
	OpenAlarms(ctx context.Context, t iot.TenantID, source iot.ID) (registry.Counters, error)
	// EachAlarm calls each with the alarms in scope that match q, whatever its order and page, and with the superseded versions of each, oldest first. It reads
	// them a bounded number at a time. One that changes meanwhile may come twice.
	EachAlarm(ctx context.Context, t iot.TenantID, scope access.Scope, q AlarmQuery, each func(a iot.Alarm, versions []Version[iot.Alarm]) error) error
	// AlarmDocuments tells the change log of alarms.
	AlarmDocuments() changes.Documents
	// AlarmHistory is EventHistory for alarms.
	AlarmHistory(ctx context.Context, t iot.TenantID, id iot.ID, at time.Time) ([]Version[iot.Alarm], error)
}

// AlarmUpdate is an alarm before and after a change. Written is false if the change made no difference.
type AlarmUpdate struct {
	Before, After iot.Alarm
	Written       bool
}
