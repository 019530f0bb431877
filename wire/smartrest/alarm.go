package smartrest

import (
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

func raise(a args, s iot.Severity) (Message, *LineError) {
	kind := a.need("type")
	text, at := a.textOr("Alarm of type "+kind+" raised"), a.time()
	return RaiseAlarm{&iot.Alarm{Type: kind, Text: text, Severity: s, Status: iot.Active, Time: at, Count: 1}}, a.err
}

func raiseCritical(a args) (Message, *LineError) { return raise(a, iot.Critical) }

func raiseMajor(a args) (Message, *LineError) { return raise(a, iot.Major) }

func raiseMinor(a args) (Message, *LineError) { return raise(a, iot.Minor) }

func raiseWarning(a args) (Message, *LineError) { return raise(a, iot.Warning) }

func changeSeverity(a args) (Message, *LineError) {
	m := AlarmSeverity{Type: a.need("type"), Severity: iot.Severity(strings.ToUpper(a.need("severity")))}
	if !m.Severity.Valid() {
		a.fail("the severity is none of CRITICAL, MAJOR, MINOR, WARNING")
	}
	return m, a.err
}

func clearAlarm(a args) (Message, *LineError) {
	m := ClearAlarm{Type: a.need("type")}
	return m, a.err
}

func removeAlarmFragments(a args) (Message, *LineError) {
	m := RemoveAlarmFragments{Type: a.need("type"), Fragments: a.needList("fragment")}
	return m, a.err
}
