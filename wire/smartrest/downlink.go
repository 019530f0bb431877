package smartrest

import (
	"encoding/json"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
)

// downlink says how operations with one fragment are sent.
type downlink struct {
	fragment string
	ids      []int // all messages that render may produce
	render   func(o outgoing) []string
}

// downlinks are all operations that have a static template.
var downlinks = [...]downlink{
	{"c8y_Restart", []int{510}, func(o outgoing) []string { return o.line(510) }},
	{"c8y_Command", []int{511}, func(o outgoing) []string { return o.line(511, o.get("text")) }},
	{"c8y_Configuration", []int{513}, func(o outgoing) []string { return o.line(513, o.get("config")) }},
	{"c8y_Firmware", []int{515, 525}, firmwareLines},
	{"c8y_SoftwareList", []int{516}, softwareListLines},
	{"c8y_MeasurementRequestOperation", []int{517}, func(o outgoing) []string { return o.line(517, o.get("requestName")) }},
	{"c8y_Relay", []int{518}, func(o outgoing) []string { return o.line(518, o.get("relayState")) }},
	{"c8y_RelayArray", []int{519}, relayLines},
	{"c8y_UploadConfigFile", []int{520, 526}, uploadLines},
	{"c8y_DownloadConfigFile", []int{521, 524}, downloadLines},
	{"c8y_LogfileRequest", []int{522}, logfileLines},
	{"c8y_CommunicationMode", []int{523}, func(o outgoing) []string { return o.line(523, o.get("mode")) }},
	{"c8y_DeviceProfile", []int{527, 531}, profileLines},
	{"c8y_SoftwareUpdate", []int{528, 529}, softwareUpdateLines},
	{"c8y_RemoteAccessConnect", []int{530}, remoteAccessLines},
	{typeParameterUpdate, []int{532}, parameterLines},
}

// OperationLines returns the lines for s/ds that carry the operation to the device with the given external id (of the target,
// which may be a child of the connected device). It returns nil if no fragment of the operation has a static template.
func OperationLines(op iot.Operation, externalID string) []string {
	var lines []string
	for _, d := range downlinks {
		raw := op.Fragments.Get(d.fragment)
		if raw == nil || iot.IsNull(raw) {
			continue
		}
		o := outgoing{externalID: externalID, op: op.Fragments, raw: raw, doc: object(raw)}
		lines = append(lines, d.render(o)...)
	}
	return lines
}

// outgoing is one fragment of an operation on its way to a device.
type outgoing struct {
	externalID string
	op         iot.Doc         // all fragments
	raw        json.RawMessage // this fragment
	doc        iot.Doc         // this fragment, empty if it is not an object
}

func (o outgoing) line(id int, fields ...string) []string {
	return []string{FormatLine(append([]string{strconv.Itoa(id), o.externalID}, fields...)...)}
}

func (o outgoing) get(name string) string { return plain(o.doc.Get(name)) }

// pick returns members of d as fields.
func pick(d iot.Doc, names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = plain(d.Get(n))
	}
	return out
}

// each returns the members of all objects of an array, one after another.
func each(raw json.RawMessage, names ...string) []string {
	var out []string
	items, _ := array(raw)
	for _, item := range items {
		out = append(out, pick(object(item), names...)...)
	}
	return out
}

func firmwareLines(o outgoing) []string {
	if o.get("isPatch") == "true" {
		return o.line(525, pick(o.doc, "name", "version", "url", "dependency")...)
	}
	return o.line(515, pick(o.doc, "name", "version", "url")...)
}

func softwareListLines(o outgoing) []string {
	return o.line(516, each(o.raw, "name", "version", "url")...)
}

func relayLines(o outgoing) []string {
	states, ok := array(o.raw)
	if !ok {
		return nil
	}
	fields := make([]string, len(states))
	for i, s := range states {
		fields[i] = plain(s)
	}
	return o.line(519, fields...)
}

func uploadLines(o outgoing) []string {
	if kind := o.get("type"); kind != "" {
		return o.line(526, kind)
	}
	return o.line(520)
}

func downloadLines(o outgoing) []string {
	if kind := o.get("type"); kind != "" {
		return o.line(524, o.get("url"), kind)
	}
	return o.line(521, o.get("url"))
}

func logfileLines(o outgoing) []string {
	return o.line(522, pick(o.doc, "logFile", "dateFrom", "dateTo", "searchText", "maximumLines")...)
}

// softwareUpdateLines uses 529 as soon as one item has a type, and 528 otherwise, never both: an agent would install twice.
func softwareUpdateLines(o outgoing) []string {
	if hasTypes(o.raw) {
		return o.line(529, each(o.raw, "name", "version", "softwareType", "url", "action")...)
	}
	return o.line(528, each(o.raw, "name", "version", "url", "action")...)
}

func hasTypes(raw json.RawMessage) bool {
	for _, kind := range each(raw, "softwareType") {
		if kind != "" {
			return true
		}
	}
	return false
}

func remoteAccessLines(o outgoing) []string {
	return o.line(530, pick(o.doc, "hostname", "port", "connectionKey")...)
}
