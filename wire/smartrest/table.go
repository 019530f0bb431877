package smartrest

import (
	"slices"
	"strconv"
)

// template is one row of the table of uplink messages.
type template struct {
	id     int
	name   string // what it does, in a few words
	decode func(args) (Message, *LineError)
}

// templates are all messages that devices may send to s/us.
var templates = [...]template{
	{100, "create device", createDevice},
	{101, "create child device", createChild},
	{102, "create service", createService},
	{104, "set service status", setServiceStatus},
	{105, "list child devices", listChildren},
	{107, "remove fragments", removeFragments},
	{110, "set hardware", setHardware},
	{111, "set mobile", setMobile},
	{112, "set position", setPosition},
	{113, "set configuration", setConfiguration},
	{114, "set supported operations", setSupportedOperations},
	{115, "set firmware", setFirmware},
	{116, "set software list", setSoftwareList},
	{117, "set required availability", setRequiredAvailability},
	{118, "set supported logs", setSupportedLogs},
	{119, "set supported configurations", setSupportedConfigurations},
	{120, "set applied configuration", setTypedConfiguration},
	{121, "set profile state", setProfile},
	{122, "set agent", setAgent},
	{123, "get object id", getID},
	{125, "heartbeat", heartbeat},
	{140, "replace advanced software list", replaceSoftware},
	{141, "merge into advanced software list", mergeSoftware},
	{142, "remove from advanced software list", removeSoftware},
	{143, "set supported software types", setSupportedSoftwareTypes},
	{150, "set remote access protocols", setRemoteAccessProtocols},
	{200, "create measurement", measureOne},
	{201, "create measurement with several series", measureMany},
	{210, "create signal strength measurement", measureSignal},
	{211, "create temperature measurement", measureTemperature},
	{212, "create battery measurement", measureBattery},
	{301, "raise critical alarm", raiseCritical},
	{302, "raise major alarm", raiseMajor},
	{303, "raise minor alarm", raiseMinor},
	{304, "raise warning", raiseWarning},
	{305, "change severity of alarm", changeSeverity},
	{306, "clear alarm", clearAlarm},
	{307, "remove fragments of alarm", removeAlarmFragments},
	{400, "create event", sendEvent},
	{401, "create location event", sendLocation},
	{402, "create location event and set position", sendLocationAndPosition},
	{407, "remove fragments of event", removeEventFragments},
	{408, "report updated parameters", updateParameters},
	{500, "get pending operations", pendingOperations},
	{501, "start operation by fragment", startByFragment},
	{502, "fail operation by fragment", failByFragment},
	{503, "finish operation by fragment", finishByFragment},
	{504, "start operation by id", startByID},
	{505, "fail operation by id", failByID},
	{506, "finish operation by id", finishByID},
	{507, "fail all executing operations", failAll},
	{600, "get platform version", getPlatformVersion},
	{602, "get capabilities", getCapabilities},
}

// templateIndex holds for each id of three digits its position in templates plus one.
var templateIndex = func() (index [1000]uint8) {
	for i, t := range templates {
		index[t.id] = uint8(i + 1)
	}
	return index
}()

// find returns the template for a message id, nil if there is none.
func find(id string) *template {
	if len(id) != 3 {
		return nil
	}
	n := 0
	for i := range len(id) {
		c := id[i] - '0'
		if c > 9 {
			return nil
		}
		n = n*10 + int(c)
	}
	if i := templateIndex[n]; i > 0 {
		return &templates[i-1]
	}
	return nil
}

// replyIDs are the messages to devices that answer a question.
var replyIDs = [...]int{106, 124, 601, 603}

// TemplateName returns what an uplink message does, in a few words; it is empty for an unknown id.
func TemplateName(id string) string {
	if t := find(id); t != nil {
		return t.name
	}
	return ""
}

// Capabilities returns the ids of all static templates, up and down, in ascending order.
func Capabilities() []string {
	ids := slices.Clone(replyIDs[:])
	for _, t := range templates {
		ids = append(ids, t.id)
	}
	for _, d := range downlinks {
		ids = append(ids, d.ids...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.Itoa(id)
	}
	return out
}
