package simulator

// operation is one line from the server that asks a device to do something.
type operation struct {
	target   string // external id
	fragment string // by which the answer names the operation
	args     []string
}

// The operations that the devices can carry out.
const (
	restartOperation = "c8y_Restart"
	commandOperation = "c8y_Command"
	relayOperation   = "c8y_Relay"
)

// operationFragment returns the fragment of a downlink template, empty if the line is no operation.
func operationFragment(template string) string {
	switch template {
	case "510":
		return restartOperation
	case "511":
		return commandOperation
	case "513":
		return "c8y_Configuration"
	case "515", "525":
		return "c8y_Firmware"
	case "516":
		return "c8y_SoftwareList"
	case "517":
		return "c8y_MeasurementRequestOperation"
	case "518":
		return relayOperation
	case "519":
		return "c8y_RelayArray"
	case "520", "526":
		return "c8y_UploadConfigFile"
	case "521", "524":
		return "c8y_DownloadConfigFile"
	case "522":
		return "c8y_LogfileRequest"
	case "523":
		return "c8y_CommunicationMode"
	case "527":
		return "c8y_DeviceProfile"
	case "528", "529":
		return "c8y_SoftwareUpdate"
	case "530":
		return "c8y_RemoteAccessConnect"
	}
	return ""
}

// parseOperation reads one line of s/ds; ok is false for replies and for templates that are not known here.
func parseOperation(fields []string) (op operation, ok bool) {
	if len(fields) < 2 || fields[1] == "" {
		return op, false
	}
	op = operation{target: fields[1], fragment: operationFragment(fields[0]), args: fields[2:]}
	return op, op.fragment != ""
}

// arg returns the argument at i, empty if it was not sent.
func (o operation) arg(i int) string {
	if i < len(o.args) {
		return o.args[i]
	}
	return ""
}

// executing, succeed and fail answer the operation on the topic of its target. agent is the device that the connection belongs to.
func (o operation) executing(out *outbox, agent string) { o.answer(out, agent, "501", o.fragment) }

func (o operation) succeed(out *outbox, agent string, result ...string) {
	o.answer(out, agent, append([]string{"503", o.fragment}, result...)...)
}

func (o operation) fail(out *outbox, agent, reason string) {
	o.answer(out, agent, "502", o.fragment, reason)
}

func (o operation) answer(out *outbox, agent string, fields ...string) {
	if o.target == agent {
		out.line(fields...)
		return
	}
	out.child(o.target, fields...)
}
