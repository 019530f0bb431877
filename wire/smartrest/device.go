package smartrest

import "github.com/isobar-iot/isobar/iot"

// Types of objects that are created over MQTT, unless the device asks for another one.
const (
	TypeDevice      = "c8y_MQTTDevice"
	TypeChildDevice = "c8y_MQTTChildDevice"
	TypeService     = "c8y_Service"
)

// namePrefix starts the default name of every device.
const namePrefix = "MQTT Device "

// Object returns the managed object to create for the connected device; the zero CreateDevice serves for automatic creation.
// Owner, id and times are left to the caller.
func (m CreateDevice) Object(serial string) iot.ManagedObject {
	mo := iot.ManagedObject{Type: m.Type, Name: m.Name}
	if mo.Type == "" {
		mo.Type = TypeDevice
	}
	if mo.Name == "" {
		mo.Name = namePrefix + serial
	}
	mo.Fragments = iot.Doc{}.Set(iot.FragmentIsDevice, emptyObject()).Set(iot.FragmentAgent, emptyObject())
	return mo
}

// AutoChild returns the command that is executed first when a device publishes to a child that does not exist yet.
func AutoChild(externalID string) CreateChild {
	return CreateChild{ExternalID: externalID, Name: namePrefix + externalID, Type: TypeChildDevice, IsDevice: true}
}

// Object returns the managed object to create. Owner, id and times are left to the caller.
func (m CreateChild) Object() iot.ManagedObject {
	mo := iot.ManagedObject{Type: m.Type, Name: m.Name, Fragments: iot.Doc{}}
	if m.IsDevice {
		mo.Fragments = mo.Fragments.Set(iot.FragmentIsDevice, emptyObject())
	}
	return mo
}

// Object returns the managed object to create or, if it exists, to merge. Owner, id and times are left to the caller.
func (m CreateService) Object() iot.ManagedObject {
	return iot.ManagedObject{Type: TypeService, Name: m.Name,
		Fragments: iot.Doc{}.SetText("serviceType", m.Type).SetText("status", m.Status)}
}

// Patch returns the change of the service.
func (m SetServiceStatus) Patch() iot.Doc { return iot.Doc{}.SetText("status", m.Status) }

// Patch returns the change of the object: a null per fragment.
func (m RemoveFragments) Patch() iot.Doc { return nulls(m.Fragments) }

// Patch returns the change of the alarm: a null per fragment.
func (m RemoveAlarmFragments) Patch() iot.Doc { return nulls(m.Fragments) }

// Patch returns the change of the event: a null per fragment.
func (m RemoveEventFragments) Patch() iot.Doc { return nulls(m.Fragments) }

// Patch returns the change of an object with the given fragments, nil if there is none.
//
// c8y: the interval is set only once, so that what a person has changed since survives the next start of the agent.
// Zero and less mean maintenance.
func (m RequiredAvailability) Patch(current iot.Doc) iot.Doc {
	if _, ok := member(current.Get(iot.FragmentRequiredAvailability), "responseInterval"); ok {
		return nil
	}
	interval := iot.Number{Mant: int64(m.Minutes)}
	return iot.Doc{}.Set(iot.FragmentRequiredAvailability, iot.Doc{}.Set("responseInterval", interval.AppendTo(nil)).AppendTo(nil))
}

// Patch returns the change of the object. The operation is the profile operation that the report is about, nil if unknown.
func (m Profile) Patch(op *iot.Operation) iot.Doc {
	id, name := m.ID, ""
	if op != nil {
		opID := plain(op.Fragments.Get("profileId"))
		if id == "" {
			id = opID
		}
		if id == opID {
			name = plain(op.Fragments.Get("profileName"))
		}
	}
	profile := texts("profileName", name, "profileId", id)
	return iot.Doc{}.Set("c8y_Profile", profile.Set("profileExecuted", boolean(m.Executed)).AppendTo(nil))
}

func createDevice(a args) (Message, *LineError) {
	m := CreateDevice{Name: a.text(), Type: a.textOr(TypeDevice)}
	return m, a.err
}

// c8y: the documentation combines the serial of the root with the id of the child; clients look children up by the plain id.
// Only the literal false keeps the child from being a device.
func createChild(a args) (Message, *LineError) {
	id := a.need("child id")
	m := CreateChild{ExternalID: id, Name: a.textOr(namePrefix + id), Type: a.textOr(TypeChildDevice)}
	m.IsDevice = a.text() != "false"
	return m, a.err
}

func createService(a args) (Message, *LineError) {
	m := CreateService{ExternalID: a.need("service id"), Type: a.need("service type"), Name: a.need("name"), Status: a.need("status")}
	return m, a.err
}

func setServiceStatus(a args) (Message, *LineError) {
	m := SetServiceStatus{Status: a.need("status")}
	return m, a.err
}

func listChildren(args) (Message, *LineError) { return ListChildren{}, nil }

func removeFragments(a args) (Message, *LineError) {
	m := RemoveFragments{Fragments: a.needList("fragment")}
	return m, a.err
}

func setRequiredAvailability(a args) (Message, *LineError) {
	m := RequiredAvailability{Minutes: a.minutes()}
	return m, a.err
}

func setProfile(a args) (Message, *LineError) {
	executed := a.need("executed")
	if executed != "true" && executed != "false" {
		a.fail("the parameter executed is neither true nor false")
	}
	m := Profile{Executed: executed == "true", ID: a.text()}
	return m, a.err
}

func getID(args) (Message, *LineError) { return GetID{}, nil }

func heartbeat(args) (Message, *LineError) { return Heartbeat{}, nil }

func getPlatformVersion(args) (Message, *LineError) { return GetPlatformVersion{}, nil }

func getCapabilities(args) (Message, *LineError) { return GetCapabilities{}, nil }
