package telemetry

import (
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
)

// maxMessage bounds a message on the bus; a batch beyond it is split. The default of a NATS server is 1 MiB.
const maxMessage = 768 << 10

type topic struct {
	tenant iot.TenantID
	rules  bool
}

// maxSpare buffers are kept for reuse.
const maxSpare = 16

// outbox collects one message per topic.
type outbox struct {
	bus *bus.Bus
	m   map[topic][]byte
	buf [][]byte // for reuse
}

func (o *outbox) add(to topic, m *iot.Measurement) {
	b, ok := o.m[to]
	switch {
	case !ok && len(o.buf) > 0:
		b, o.buf = o.buf[len(o.buf)-1], o.buf[:len(o.buf)-1]
		fallthrough
	case !ok:
		b = appendBatchStart(b[:0], iot.Created)
	default:
		b = append(b, ',')
	}
	b = AppendMeasurement(b, m)
	if len(b) > maxMessage {
		o.send(to, b)
		return
	}
	o.m[to] = b
}

func (o *outbox) send(to topic, b []byte) {
	subject := bus.Subject(to.tenant, string(iot.KindMeasurement), string(iot.Created))
	if to.rules {
		subject += "." + bus.Rules
	}
	o.bus.Publish(subject, append(b, batchEnd...))
	delete(o.m, to)
	if len(o.buf) < maxSpare {
		o.buf = append(o.buf, b)
	}
}

func (o *outbox) flush() {
	for to, b := range o.m {
		o.send(to, b)
	}
}
