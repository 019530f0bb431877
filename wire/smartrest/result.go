package smartrest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// effect computes what finishing an operation changes. The fragment is an object or anything else that was in the operation.
type effect func(r finished) (opPatch, devicePatch iot.Doc)

// effects are the fragments whose result parameters have a meaning.
var effects = map[string]effect{
	"c8y_Command":             func(r finished) (iot.Doc, iot.Doc) { return r.set("result", r.joined()), nil },
	"c8y_LogfileRequest":      func(r finished) (iot.Doc, iot.Doc) { return r.set("file", r.first()), nil },
	"c8y_UploadConfigFile":    func(r finished) (iot.Doc, iot.Doc) { return r.set("file", r.first()), nil },
	"c8y_DownloadConfigFile":  downloaded,
	"c8y_RelayArray":          relays,
	"c8y_Relay":               func(r finished) (iot.Doc, iot.Doc) { return nil, r.copy("relayState") },
	"c8y_CommunicationMode":   func(r finished) (iot.Doc, iot.Doc) { return nil, r.copy("mode") },
	"c8y_Firmware":            nothing,
	"c8y_SoftwareList":        nothing,
	"c8y_SoftwareUpdate":      nothing,
	"c8y_Restart":             nothing,
	"c8y_DeviceProfile":       nothing,
	"c8y_RemoteAccessConnect": nothing,
	typeParameterUpdate:       nothing,
}

// ApplyResult returns what the parameters of 503 and 506 change: in the operation, and in the managed object of its device.
// Either is nil if nothing changes. The fragment is the one that 503 names; empty, as with 506, it is found in the operation.
// The time is when the message arrived.
func ApplyResult(fragment string, op iot.Operation, params []string, now time.Time) (opPatch, devicePatch iot.Doc) {
	if fragment == "" {
		fragment = resultFragment(op.Fragments)
	}
	raw := op.Fragments.Get(fragment)
	if raw == nil {
		return nil, nil
	}
	r := finished{fragment: fragment, raw: raw, params: params, now: now}
	if e := effects[fragment]; e != nil {
		return e(r)
	}
	return r.free()
}

// resultFragment returns the fragment that the results of an operation belong to.
func resultFragment(d iot.Doc) string {
	for _, m := range d {
		if effects[m.Name] != nil {
			return m.Name
		}
	}
	return firstObject(d)
}

// finished is a successful operation with its results.
type finished struct {
	fragment string
	raw      json.RawMessage
	params   []string
	now      time.Time
}

func (r finished) first() string {
	if len(r.params) == 0 {
		return ""
	}
	return r.params[0]
}

// joined returns the parameters as one text: what a command prints may contain commas, and not every agent quotes them.
func (r finished) joined() string { return strings.Join(r.params, ",") }

// set returns a patch that adds a text to the fragment, nil if the device sent no parameters.
func (r finished) set(name, value string) iot.Doc {
	if len(r.params) == 0 {
		return nil
	}
	return iot.Doc{}.Set(r.fragment, object(r.raw).SetText(name, value).AppendTo(nil))
}

// copy returns a patch with the fragment reduced to one member, nil if the operation lacks it.
func (r finished) copy(name string) iot.Doc {
	value, ok := member(r.raw, name)
	if !ok {
		return nil
	}
	return iot.Doc{}.Set(r.fragment, iot.Doc{}.Set(name, value).AppendTo(nil))
}

func nothing(finished) (opPatch, devicePatch iot.Doc) { return nil, nil }

// relays takes the states that the device reports; if it reports none, those of the operation hold.
func relays(r finished) (opPatch, devicePatch iot.Doc) {
	if len(r.params) > 0 && r.first() != "" {
		return nil, iot.Doc{}.Set(r.fragment, iot.AppendTexts(nil, r.params))
	}
	if _, ok := array(r.raw); !ok {
		return nil, nil
	}
	return nil, iot.Doc{}.Set(r.fragment, r.raw)
}

// downloaded records which configuration a device applied. With a type the device reports that itself, by message 120.
//
// c8y: without one, the object gets the id of the configuration file (the last part of its address) and the time.
func downloaded(r finished) (opPatch, devicePatch iot.Doc) {
	if _, ok := member(r.raw, "type"); ok {
		return nil, nil
	}
	url, _ := object(r.raw).Text("url")
	id, ok := iot.ParseID(url[strings.LastIndexByte(url, '/')+1:])
	if !ok {
		return nil, nil
	}
	at := r.now
	if t, err := iot.ParseTime(r.first()); err == nil {
		at = t
	}
	return nil, iot.Doc{}.Set("c8y_ConfigurationDump", texts("id", id.String(), "time", iot.FormatTime(at)).AppendTo(nil))
}

// free keeps the results of an operation that the platform does not know: in its fragment if that is an object, beside it
// otherwise. One result is a text, several are a list.
func (r finished) free() (opPatch, devicePatch iot.Doc) {
	if len(r.params) == 0 {
		return nil, nil
	}
	value := text(r.first())
	if len(r.params) > 1 {
		value = iot.AppendTexts(nil, r.params)
	}
	if len(r.raw) > 0 && r.raw[0] == '{' {
		return iot.Doc{}.Set(r.fragment, object(r.raw).Set("result", value).AppendTo(nil)), nil
	}
	return iot.Doc{}.Set("result", value), nil
}
