package smartrest

import "github.com/isobar-iot/isobar/iot"

// Message is one command of a device. Its dynamic type is one of the types of this package that say so, one per effect.
// Dev, below, is the object that the command is about: the connected device, or the child that the topic names.
type Message interface{ message() }

// CreateDevice (100) creates Dev. An empty name means the default, which Object fills in.
type CreateDevice struct{ Name, Type string }

// CreateChild (101) creates a device below Dev. Repeating it changes nothing.
type CreateChild struct {
	ExternalID string
	Name       string
	Type       string
	IsDevice   bool
}

// CreateService (102) creates or refreshes a service, a child addition of Dev.
type CreateService struct{ ExternalID, Type, Name, Status string }

// SetServiceStatus (104) sets the status of Dev, which is a service.
type SetServiceStatus struct{ Status string }

// ListChildren (105) asks for the external ids of the child devices, see ReplyChildren.
type ListChildren struct{}

// RemoveFragments (107) removes fragments from Dev.
type RemoveFragments struct{ Fragments []string }

// UpdateObject (110-116, 118-120, 122, 143, 150) merges a patch into Dev; a null removes the fragment.
type UpdateObject struct{ Patch iot.Doc }

// RequiredAvailability (117) sets the interval in which Dev wants to be heard of, unless it is set already.
type RequiredAvailability struct{ Minutes int }

// Profile (121) reports whether a device profile was applied. An empty id means that of the oldest executing profile operation.
type Profile struct {
	Executed bool
	ID       string
}

// GetID (123) asks for the id of Dev, see ReplyID.
type GetID struct{}

// Heartbeat (125) is a sign of life of Dev and nothing more.
type Heartbeat struct{}

// ReplaceSoftware (140) replaces the advanced software list of Dev.
type ReplaceSoftware struct{ Items []Software }

// MergeSoftware (141) adds to the advanced software list of Dev.
type MergeSoftware struct{ Items []Software }

// RemoveSoftware (142) takes from the advanced software list of Dev; only names and versions are given.
type RemoveSoftware struct{ Items []Software }

// Measure (200, 201, 210, 211, 212) stores a measurement, which lacks only its source.
type Measure struct{ Measurement *iot.Measurement }

// RaiseAlarm (301-304) raises an alarm, which lacks only its source.
type RaiseAlarm struct{ Alarm *iot.Alarm }

// AlarmSeverity (305) changes the severity of the active alarm of a type.
type AlarmSeverity struct {
	Type     string
	Severity iot.Severity
}

// ClearAlarm (306) clears the alarms of a type.
type ClearAlarm struct{ Type string }

// RemoveAlarmFragments (307) removes fragments from the alarm of a type.
type RemoveAlarmFragments struct {
	Type      string
	Fragments []string
}

// SendEvent (400-402) stores an event, which lacks only its source. If UpdatePosition is true (402), the fragments of the event,
// which are c8y_Position alone, are merged into Dev as well.
type SendEvent struct {
	Event          *iot.Event
	UpdatePosition bool
}

// RemoveEventFragments (407) removes fragments from the latest event of a type.
type RemoveEventFragments struct {
	Type      string
	Fragments []string
}

// ParameterUpdate (408) reports parameters: they are merged into Dev (see Patch) and the event is stored, which lacks only its
// source. If DetectChange is true, the event is stored only if the patch is not empty.
type ParameterUpdate struct {
	Event        *iot.Event
	Parameters   []Parameter
	DetectChange bool
}

// PendingOperations (500) asks for all pending operations of the agent and its children.
type PendingOperations struct{}

// StatusByFragment (501, 502, 503, 507) changes the oldest operation of Dev that has the status From and the fragment. If All is
// true (507), it changes all of them, and an empty fragment means any. If there is none, nothing happens.
type StatusByFragment struct {
	Fragment string
	From, To iot.OperationStatus
	Reason   string   // why it failed
	Params   []string // results, see ApplyResult
	All      bool
}

// StatusByID (504, 505, 506) changes one operation, which must belong to Dev.
type StatusByID struct {
	ID     iot.ID
	To     iot.OperationStatus
	Reason string   // why it failed
	Params []string // results, see ApplyResult
}

// GetPlatformVersion (600) asks for the version of the platform, see ReplyVersion.
type GetPlatformVersion struct{}

// GetCapabilities (602) asks for the templates that the platform knows, see ReplyCapabilities.
type GetCapabilities struct{}

func (CreateDevice) message()         {}
func (CreateChild) message()          {}
func (CreateService) message()        {}
func (SetServiceStatus) message()     {}
func (ListChildren) message()         {}
func (RemoveFragments) message()      {}
func (UpdateObject) message()         {}
func (RequiredAvailability) message() {}
func (Profile) message()              {}
func (GetID) message()                {}
func (Heartbeat) message()            {}
func (ReplaceSoftware) message()      {}
func (MergeSoftware) message()        {}
func (RemoveSoftware) message()       {}
func (Measure) message()              {}
func (RaiseAlarm) message()           {}
func (AlarmSeverity) message()        {}
func (ClearAlarm) message()           {}
func (RemoveAlarmFragments) message() {}
func (SendEvent) message()            {}
func (RemoveEventFragments) message() {}
func (ParameterUpdate) message()      {}
func (PendingOperations) message()    {}
func (StatusByFragment) message()     {}
func (StatusByID) message()           {}
func (GetPlatformVersion) message()   {}
func (GetCapabilities) message()      {}
