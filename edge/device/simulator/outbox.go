package simulator

import (
	"strings"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
)

// The topics of a device.
const (
	upTopic    = "s/us"                            // lines of the device itself; followed by /<external id> for a child
	downTopic  = "s/ds"                            // operations
	errorTopic = "s/e"                             // what the server did not like
	twinTopic  = "inventory/managedObjects/update" // JSON for the device's managed object; followed by /<external id>
)

// message is one publish.
type message struct{ topic, payload string }

// maxQueued bounds what a device keeps while it is offline; at the bound the oldest message goes. A message holds up to 16,000 bytes of
// lines, which is hours of a home's reports.
const maxQueued = 64

// outbox is what a device has to send, in order. Lines for one topic share a publish where they fit.
type outbox struct {
	queue     []message
	dropped   int64
	unbounded bool // for what is sent at once
}

// line adds a line for the device itself.
func (o *outbox) line(fields ...string) { o.add(upTopic, smartrest.Line(fields...)) }

// child adds a line for a child.
func (o *outbox) child(id string, fields ...string) {
	o.add(upTopic+"/"+id, smartrest.Line(fields...))
}

// twin adds a JSON update of the managed object of a device or child.
func (o *outbox) twin(id, json string) { o.push(message{twinTopic + "/" + id, json}) }

func (o *outbox) add(topic, line string) {
	for i := len(o.queue) - 1; i >= 0; i-- {
		m := &o.queue[i]
		if m.topic != topic {
			continue
		}
		if len(m.payload)+1+len(line) > smartrest.MaxPayload {
			break
		}
		m.payload += "\n" + line
		return
	}
	o.push(message{topic, line})
}

func (o *outbox) push(m message) {
	if len(o.queue) >= maxQueued && !o.unbounded {
		o.queue = o.queue[1:]
		o.dropped++
	}
	o.queue = append(o.queue, m)
}

// isTwin reports whether the message is one that a server without JSON over MQTT may answer by closing the connection.
func (m message) isTwin() bool { return strings.HasPrefix(m.topic, twinTopic) }
