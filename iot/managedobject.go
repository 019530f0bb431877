package iot

import "time"

// ManagedObject is the digital twin of a device, asset, group or anything else that the inventory knows.
type ManagedObject struct {
	ID           ID
	Type         string
	Name         string
	Owner        UserName
	CreationTime time.Time
	LastUpdated  time.Time
	// Fragments are all other members, including the markers (c8y_IsDevice, ...), without those that the server computes.
	Fragments Doc
}

// Marker fragments with a meaning to the platform.
const (
	FragmentIsDevice             = "c8y_IsDevice"
	FragmentIsDeviceGroup        = "c8y_IsDeviceGroup"
	FragmentAgent                = "com_cumulocity_model_Agent"
	FragmentGlobal               = "c8y_Global"
	FragmentIsBinary             = "c8y_IsBinary"
	FragmentRequiredAvailability = "c8y_RequiredAvailability"
	FragmentAvailability         = "c8y_Availability"
	FragmentConnection           = "c8y_Connection"
	FragmentActiveAlarms         = "c8y_ActiveAlarmsStatus"
)

// ChildKind is one of the three ways in which a managed object hangs below another one.
type ChildKind uint8

// The kinds of children. A managed object may have several parents of each kind.
const (
	ChildDevice ChildKind = iota + 1
	ChildAsset
	ChildAddition
)

// ChildKinds lists every kind.
var ChildKinds = [...]ChildKind{ChildDevice, ChildAsset, ChildAddition}

// String returns the name of the collection on the wire: childDevices, childAssets or childAdditions.
func (k ChildKind) String() string {
	switch k {
	case ChildDevice:
		return "childDevices"
	case ChildAsset:
		return "childAssets"
	}
	return "childAdditions"
}

// Parents returns the name of the inverse collection on the wire.
func (k ChildKind) Parents() string {
	switch k {
	case ChildDevice:
		return "deviceParents"
	case ChildAsset:
		return "assetParents"
	}
	return "additionParents"
}

// ExternalID binds an identifier of the outside world (a serial number, an IMEI) to a managed object.
// It is unique per tenant and type.
type ExternalID struct {
	Type  string
	Value string
	ID    ID
}

// SerialType is the type of external id by which devices identify themselves.
const SerialType = "c8y_Serial"
