package custom

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Type is how a value is written into the document.
type Type string

// The types of values.
const (
	String          Type = "STRING"
	Date            Type = "DATE"
	Number          Type = "NUMBER"
	Integer         Type = "INTEGER"
	Unsigned        Type = "UNSIGNED"
	Flag            Type = "FLAG" // an empty object; takes nothing from the line
	Boolean         Type = "BOOLEAN"
	Severity        Type = "SEVERITY"
	AlarmStatus     Type = "ALARMSTATUS"
	OperationStatus Type = "OPERATIONSTATUS"
	Array           Type = "ARRAY"       // a JSON array, or one value of it
	ObjectArray     Type = "OBJECTARRAY" // a JSON array of objects
)

var types = map[Type]bool{String: true, Date: true, Number: true, Integer: true, Unsigned: true, Flag: true, Boolean: true, Severity: true, AlarmStatus: true, OperationStatus: true, Array: true, ObjectArray: true}

// typeOf reads a type. c8y: none means a text.
func typeOf(text string) (Type, bool) {
	if text == "" {
		return String, true
	}
	t := Type(strings.ToUpper(text))
	return t, types[t]
}

// encode makes the JSON of a value; nil means that it is left out. now stands for a time that is not given.
func (t Type) encode(text string, now time.Time) (json.RawMessage, error) {
	bad := func(want string) (json.RawMessage, error) {
		return nil, fault.Errorf("custom.Value", fault.Invalid, "the value %.40q is not %s", text, want)
	}
	switch t {
	case Flag:
		return json.RawMessage("{}"), nil
	case Date:
		if text == "" {
			return iot.AppendText(nil, iot.FormatTime(now)), nil
		}
		if _, err := iot.ParseTime(text); err != nil {
			return bad("an ISO 8601 date-time")
		}
		return iot.AppendText(nil, text), nil
	}
	if text == "" {
		return nil, nil
	}
	switch t {
	case Number, Integer, Unsigned:
		n, err := iot.ParseNumber(text)
		if err != nil || t != Number && strings.ContainsAny(text, ".eE") || t == Unsigned && text[0] == '-' {
			return bad("of type " + string(t))
		}
		return n.AppendTo(nil), nil
	case Boolean:
		if text != "true" && text != "false" {
			return bad("true or false")
		}
		return json.RawMessage(text), nil
	case Severity:
		if s := strings.ToUpper(text); iot.Severity(s).Valid() {
			return iot.AppendText(nil, s), nil
		}
		return bad("one of CRITICAL, MAJOR, MINOR, WARNING")
	case AlarmStatus:
		if s := strings.ToUpper(text); iot.AlarmStatus(s).Valid() {
			return iot.AppendText(nil, s), nil
		}
		return bad("one of ACTIVE, ACKNOWLEDGED, CLEARED")
	case OperationStatus:
		if s := strings.ToUpper(text); iot.OperationStatus(s).Valid() {
			return iot.AppendText(nil, s), nil
		}
		return bad("one of PENDING, EXECUTING, SUCCESSFUL, FAILED")
	case Array, ObjectArray:
		return t.list(text)
	}
	return iot.AppendText(nil, text), nil
}

func (t Type) list(text string) (json.RawMessage, error) {
	_, err := iot.ParseArray([]byte(text), iot.MaxDepth)
	if err == nil && t == ObjectArray {
		_, err = iot.ParseDocs([]byte(text), iot.MaxDepth)
	}
	if err == nil {
		return json.RawMessage(text), nil
	}
	if t == ObjectArray || strings.HasPrefix(text, "[") {
		return nil, fault.Errorf("custom.Value", fault.Invalid, "the value %.40q is not a JSON array", text)
	}
	return append(iot.AppendText([]byte{'['}, text), ']'), nil
}
