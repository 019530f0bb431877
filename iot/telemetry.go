package iot

import (
	"slices"
	"time"
)

// Sample is one value of one series of a measurement.
type Sample struct {
	Fragment string
	Series   string
	Unit     string // empty if the device sent none
	Value    Number
}

// Measurement is one set of values that a source took at one time.
type Measurement struct {
	Source  ID
	Time    time.Time // milliseconds
	Seq     uint32    // set by the store, see MeasurementID
	Type    string
	Samples []Sample
	// Extra are the members that are no series: free properties, and fragments without any valid series.
	Extra Doc
}

// ID returns the identifier of a stored measurement.
func (m *Measurement) ID() MeasurementID {
	return MeasurementID{Source: m.Source, Time: m.Time.UnixMilli(), Seq: m.Seq}
}

// Fragments returns the names of the measurement's fragments, each once.
func (m *Measurement) Fragments() []string {
	var out []string
	for i := range m.Samples {
		if f := m.Samples[i].Fragment; !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	for _, x := range m.Extra {
		if !slices.Contains(out, x.Name) {
			out = append(out, x.Name)
		}
	}
	return out
}

// Event is something that happened at a source.
type Event struct {
	ID           ID
	Source       ID
	Type         string
	Text         string
	Time         time.Time
	CreationTime time.Time
	LastUpdated  time.Time
	Fragments    Doc
}

// Severity ranks alarms.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "CRITICAL"
	Major    Severity = "MAJOR"
	Minor    Severity = "MINOR"
	Warning  Severity = "WARNING"
)

// Severities lists them, worst first.
var Severities = [...]Severity{Critical, Major, Minor, Warning}

// Valid reports whether s is one of the four severities.
func (s Severity) Valid() bool { return s == Critical || s == Major || s == Minor || s == Warning }

// AlarmStatus is the place of an alarm in its life: ACTIVE, ACKNOWLEDGED, CLEARED.
type AlarmStatus string

// The statuses of an alarm.
const (
	Active       AlarmStatus = "ACTIVE"
	Acknowledged AlarmStatus = "ACKNOWLEDGED"
	Cleared      AlarmStatus = "CLEARED"
)

// Valid reports whether s is one of the three statuses.
func (s AlarmStatus) Valid() bool { return s == Active || s == Acknowledged || s == Cleared }

// Alarm is a condition of a source that a person should know of. At most one alarm that is not cleared exists
// per source and type; raising it again counts.
type Alarm struct {
	ID              ID
	Source          ID
	Type            string
	Text            string
	Severity        Severity
	Status          AlarmStatus
	Time            time.Time
	FirstOccurrence time.Time // zero unless Count > 1
	Count           int64
	CreationTime    time.Time
	LastUpdated     time.Time
	Fragments       Doc
}

// OperationStatus is the place of an operation in its life.
type OperationStatus string

// The statuses of an operation.
const (
	Pending    OperationStatus = "PENDING"
	Executing  OperationStatus = "EXECUTING"
	Successful OperationStatus = "SUCCESSFUL"
	Failed     OperationStatus = "FAILED"
)

// Valid reports whether s is one of the four statuses.
func (s OperationStatus) Valid() bool {
	return s == Pending || s == Executing || s == Successful || s == Failed
}

// Final reports whether the operation has ended.
func (s OperationStatus) Final() bool { return s == Successful || s == Failed }

// Operation is a command to a device, kept from the request to its outcome.
type Operation struct {
	ID            ID
	Device        ID
	Agent         ID // the device itself or its nearest ancestor that can receive operations
	Status        OperationStatus
	FailureReason string
	Description   string
	CreationTime  time.Time
	LastUpdated   time.Time
	BulkID        ID       // the bulk operation it belongs to, zero if none
	Delivery      Delivery // how far it got on its way to the device
	Fragments     Doc
}

// Delivery tells how far an operation got on its way to the device; it says nothing about the outcome.
type Delivery struct {
	Status string // PENDING, FORWARDED, DELIVERED
	Time   time.Time
}

// Delivery statuses.
const (
	DeliveryPending   = "PENDING"
	DeliveryDelivered = "DELIVERED"
)
