package simulator

import (
	"fmt"
	"sync/atomic"
	"time"
)

// EventKind tells what happened to a simulated device.
type EventKind string

// The kinds of event.
const (
	Registered   EventKind = "registered"
	Connected    EventKind = "connected"
	Disconnected EventKind = "disconnected"
	HistorySent  EventKind = "history sent"
	Operated     EventKind = "operation"
	AlarmRaised  EventKind = "alarm raised"
	AlarmCleared EventKind = "alarm cleared"
)

// Event is something that happened to a device of the fleet.
type Event struct {
	Time   time.Time
	Device string // external id
	Kind   EventKind
	Text   string
}

// Stats counts what the fleet does. It is safe for concurrent use; the zero value is ready.
type Stats struct {
	Devices    atomic.Int64 // homes and machines
	Connected  atomic.Int64 // of them
	Published  atomic.Int64 // messages handed to MQTT; a message that is sent again counts again
	Acked      atomic.Int64 // messages that the server has acknowledged
	Dropped    atomic.Int64 // messages given up while offline for too long
	Operations atomic.Int64 // operations answered, well or not
	Reconnects atomic.Int64
}

// String returns the counters as one line for a terminal.
func (s *Stats) String() string {
	line := fmt.Sprintf("%d of %d devices connected, %d published, %d acked, %d operations, %d reconnects",
		s.Connected.Load(), s.Devices.Load(), s.Published.Load(), s.Acked.Load(), s.Operations.Load(), s.Reconnects.Load())
	if n := s.Dropped.Load(); n > 0 {
		line += fmt.Sprintf(", %d dropped", n)
	}
	return line
}
