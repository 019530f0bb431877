package retention

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// DataType is what a rule is about.
type DataType string

// The data types.
const (
	Alarms         DataType = "ALARM"
	AuditRecords   DataType = "AUDIT"
	BulkOperations DataType = "BULK_OPERATION"
	Events         DataType = "EVENT"
	Measurements   DataType = "MEASUREMENT"
	Operations     DataType = "OPERATION"
)

// Any is the value of a condition that holds for everything, also of DataType.
const Any = "*"

// dataTypes are all, in the order in which they are worked on.
var dataTypes = []DataType{Alarms, AuditRecords, BulkOperations, Events, Measurements, Operations}

const (
	// MaxAge is the longest time of keeping, in days: ten years.
	MaxAge = 3650
	// MaxRules is how many rules a tenant can have.
	MaxRules = 1000
	// maxName is how many bytes a type or fragment type can have.
	maxName = 256
)

// Rule says how long documents are kept. Conditions are exact, or Any.
type Rule struct {
	ID           iot.ID
	DataType     DataType // or Any
	FragmentType string
	Type         string
	Source       string // the id of an object, without those below it
	MaximumAge   int    // days, 1 to MaxAge
	Editable     bool   // false: only the tenant management changes it
}

func (r Rule) check() error {
	const op = fault.Op("retention.Rule")
	switch {
	case r.DataType != Any && !slices.Contains(dataTypes, r.DataType):
		return fault.Errorf(op, fault.Invalid, "the dataType %.40q is none of ALARM, AUDIT, BULK_OPERATION, EVENT, MEASUREMENT, OPERATION, *", r.DataType)
	case r.MaximumAge < 1:
		return fault.E(op, fault.Invalid, "maximumAge must be at least 1 day")
	case r.MaximumAge > MaxAge:
		return fault.Errorf(op, fault.Invalid, "maximumAge must not be more than 10 years (%d days)", MaxAge)
	case len(r.FragmentType) > maxName || len(r.Type) > maxName:
		return fault.Errorf(op, fault.Invalid, "type and fragmentType must not have more than %d bytes", maxName)
	}
	if text := r.FragmentType + r.Type; !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return fault.E(op, fault.Invalid, "texts must be valid UTF-8 without the character U+0000")
	}
	if _, ok := iot.ParseID(r.Source); !ok && r.Source != Any {
		return fault.Errorf(op, fault.Invalid, "the source %.40q is neither an id nor *", r.Source)
	}
	return nil
}

// Query selects the documents of one data type that a rule no longer wants. Zero values are no condition, except Before.
type Query struct {
	Before         time.Time // older ones go
	Source         iot.ID
	Type, Fragment string
	Except         []iot.Selector // these stay; none without any condition
}

// query returns what a rule selects of a data type; false: nothing.
func (r Rule) query(d DataType, now time.Time) (q Query, ok bool) {
	if r.DataType != Any && r.DataType != d {
		return q, false
	}
	q.Before = now.AddDate(0, 0, -r.MaximumAge)
	if r.Source != Any {
		q.Source, _ = iot.ParseID(r.Source)
	}
	if r.Type != Any {
		q.Type = r.Type
	}
	if r.FragmentType != Any {
		q.Fragment = r.FragmentType
	}
	switch {
	case q.Type != "" && (d == Operations || d == BulkOperations), q.Source != 0 && d == BulkOperations:
		return q, false
	case q.Fragment != "" && (d == Alarms || d == AuditRecords):
		return q, false
	}
	return q, true
}

// Found is how much a query selects.
type Found struct {
	Documents, Devices int64 // devices: how many sources they are of
	Bytes              int64 // of what they say: their members as JSON, without indexes and compression
	More               bool  // counting ended before all was seen
}

// Keeper removes and counts the documents of one data type. It acts for the platform and is safe for concurrent use.
type Keeper interface {
	// Count returns how many documents q selects, and of how many devices.
	Count(ctx context.Context, t iot.TenantID, q Query) (Found, error)
	// Remove removes them in batches and returns how many; after an error, how many until then.
	Remove(ctx context.Context, t iot.TenantID, q Query) (int64, error)
}

// State is when the rules of a tenant last ran, and how far that run got.
type State struct {
	Ran      time.Time
	Busy     time.Time // until when a node has claimed the run
	Progress Progress  // zero: they never ran
}

// interrupted reports whether the run did not come to its end, and nobody is at it.
func (st State) interrupted(now time.Time) bool {
	return !st.Progress.Began.IsZero() && st.Progress.Ended.IsZero() && !st.Busy.After(now)
}

// Store keeps rules, and when they ran. Errors are raw: a missing row is sql.ErrNoRows. Every method is atomic and durable when it returns, and
// safe for concurrent use. Changes keep superseded versions.
type Store interface {
	// Begin says that the rules of a tenant ran at a time, unless it was called for the tenant before; then it does nothing.
	Begin(ctx context.Context, t iot.TenantID, now time.Time) error
	// Create stores a rule under a new id, unless there are already most of them: full.
	Create(ctx context.Context, t iot.TenantID, r Rule, most int, rev sqlkit.Revision) (created Rule, full bool, err error)
	Get(ctx context.Context, t iot.TenantID, id iot.ID) (Rule, error)
	// List returns all rules of a tenant in order of id.
	List(ctx context.Context, t iot.TenantID) ([]Rule, error)
	// Update replaces a rule by what change makes of it; its error ends the update. change may run more than once and must have no other effect.
	Update(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(Rule) (Rule, error)) (before, after Rule, err error)
	// Delete removes a rule if may, which may run more than once, returns nil for it.
	Delete(ctx context.Context, t iot.TenantID, id iot.ID, rev sqlkit.Revision, may func(Rule) error) (Rule, error)
	// State returns the state of a tenant that has begun.
	State(ctx context.Context, t iot.TenantID) (State, error)
	// Claim says that a run begins now, if the last one did not begin after a time and no node is at one. Of any number of callers at once only one
	// gets true. The claim ends by Report, or a lease later.
	Claim(ctx context.Context, t iot.TenantID, since, now time.Time, lease time.Duration) (bool, error)
	// Report keeps how far a run got and makes its claim last a lease from now on; one that has ended gives the claim up.
	Report(ctx context.Context, t iot.TenantID, p Progress, now time.Time, lease time.Duration) error
	// Rewind says that the rules ran now, if they are said to have run later: the clock was wrong then.
	Rewind(ctx context.Context, t iot.TenantID, now time.Time) error
}
