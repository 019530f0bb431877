package smartrest

import "github.com/isobar-iot/isobar/iot"

// c8y: thin-edge sends events without text, although it is mandatory; the type then stands for it.
func sendEvent(a args) (Message, *LineError) {
	kind := a.need("type")
	e := &iot.Event{Type: kind, Text: a.textOr(kind), Time: a.time()}
	return SendEvent{Event: e}, a.err
}

// location reads the event; the position of the device is left alone if none is given.
func location(a *args, update bool) SendEvent {
	position := a.position()
	e := &iot.Event{Type: "c8y_LocationUpdate", Text: "Location updated", Time: a.time(),
		Fragments: iot.Doc{}.Set(fragmentPosition, position.AppendTo(nil))}
	return SendEvent{Event: e, UpdatePosition: update && len(position) > 0}
}

func sendLocation(a args) (Message, *LineError) {
	m := location(&a, false)
	return m, a.err
}

func sendLocationAndPosition(a args) (Message, *LineError) {
	m := location(&a, true)
	return m, a.err
}

func removeEventFragments(a args) (Message, *LineError) {
	m := RemoveEventFragments{Type: a.need("type"), Fragments: a.list()}
	return m, a.err
}
