package smartrest

import (
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

func update(a args, fragment string, value []byte) (Message, *LineError) {
	return UpdateObject{Patch: iot.Doc{}.Set(fragment, value)}, a.err
}

// updateList replaces a fragment that is a list of texts.
func updateList(a args, fragment string) (Message, *LineError) {
	return update(a, fragment, iot.AppendTexts(nil, a.list()))
}

// updateOrRemove is updateList, but an empty list removes the fragment.
func updateOrRemove(a args, fragment string, list []string) (Message, *LineError) {
	if len(list) == 0 {
		return update(a, fragment, null())
	}
	return update(a, fragment, iot.AppendTexts(nil, list))
}

func setHardware(a args) (Message, *LineError) {
	d := texts("serialNumber", a.text(), "model", a.text(), "revision", a.text())
	return update(a, "c8y_Hardware", d.AppendTo(nil))
}

func setMobile(a args) (Message, *LineError) {
	d := texts("imei", a.text(), "iccid", a.text(), "imsi", a.text(), "mcc", a.text(), "mnc", a.text(), "lac", a.text(), "cellId", a.text())
	return update(a, "c8y_Mobile", d.AppendTo(nil))
}

func setPosition(a args) (Message, *LineError) {
	d := a.position()
	return update(a, fragmentPosition, d.AppendTo(nil))
}

const fragmentPosition = "c8y_Position"

// position reads latitude, longitude, altitude and accuracy.
func (a *args) position() iot.Doc {
	d := iot.Doc{}
	for _, name := range [...]string{"lat", "lng", "alt", "accuracy"} {
		if n, ok := a.number(name); ok {
			d = d.Set(name, n.AppendTo(nil))
		}
	}
	return d
}

func setConfiguration(a args) (Message, *LineError) {
	return update(a, "c8y_Configuration", iot.Doc{}.SetText("config", a.text()).AppendTo(nil))
}

func setSupportedOperations(a args) (Message, *LineError) {
	return updateList(a, "c8y_SupportedOperations")
}

func setSupportedLogs(a args) (Message, *LineError) { return updateList(a, "c8y_SupportedLogs") }

func setSupportedConfigurations(a args) (Message, *LineError) {
	return updateList(a, "c8y_SupportedConfigurations")
}

func setFirmware(a args) (Message, *LineError) {
	d := texts("name", a.text(), "version", a.text(), "url", a.text())
	return update(a, "c8y_Firmware", d.AppendTo(nil))
}

// c8y: the type becomes part of the name of the fragment as it is, with slashes and dots.
func setTypedConfiguration(a args) (Message, *LineError) {
	kind, url := a.need("type"), a.need("url")
	name, at := a.textOr(kind), a.time()
	d := texts("name", name, "type", kind, "url", url, "time", iot.FormatTime(at))
	return update(a, "c8y_Configuration_"+kind, d.AppendTo(nil))
}

func setAgent(a args) (Message, *LineError) {
	d := texts("name", a.need("name"), "version", a.need("version"), "url", a.text(), "maintainer", a.need("maintainer"))
	return update(a, "c8y_Agent", d.AppendTo(nil))
}

func setSupportedSoftwareTypes(a args) (Message, *LineError) {
	return updateOrRemove(a, "c8y_SupportedSoftwareTypes", a.list())
}

// c8y: the protocols are upper case in the inventory, while devices send any case.
func setRemoteAccessProtocols(a args) (Message, *LineError) {
	list := a.list()
	for i, s := range list {
		list[i] = strings.ToUpper(s)
	}
	return updateOrRemove(a, "c8y_RemoteAccessSupportedProtocols", list)
}
