package simulator

import (
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/physics"
)

// maxAsked bounds the operations that wait for the valve; what comes on top stays pending until the server repeats it.
const maxAsked = 8

// operate implements body.
func (h *home) operate(out *outbox, now time.Time, op operation) {
	h.live(out, now) // so that what the operation changes does not reach into the time before it
	switch {
	case op.target == h.valveID() && op.fragment == relayOperation:
		h.askValve(out, now, op)
	case op.target == h.id && op.fragment == commandOperation:
		op.executing(out, h.id)
		answer, ok := h.command(out, now, op.arg(0))
		h.answer(out, op, answer, ok)
	default:
		op.executing(out, h.id)
		h.answer(out, op, "this simulated device does not support "+op.fragment, false)
	}
}

// answer ends an operation and tells the person who watches the fleet.
func (h *home) answer(out *outbox, op operation, text string, ok bool) {
	switch {
	case !ok:
		op.fail(out, h.id, text)
	case op.fragment == commandOperation:
		op.succeed(out, h.id, text)
	default:
		op.succeed(out, h.id)
	}
	h.operated(op.fragment, text)
}

// askValve queues an operation of the valve. One is begun and ended at a time, because the server finds the operation that an answer
// belongs to by its age.
func (h *home) askValve(out *outbox, now time.Time, op operation) {
	if len(h.asked) >= maxAsked {
		return
	}
	h.asked = append(h.asked, op)
	if len(h.asked) == 1 {
		h.startValve(out, now)
	}
}

// startValve begins the first operation in the queue that makes sense.
func (h *home) startValve(out *outbox, now time.Time) {
	for len(h.asked) > 0 {
		op := h.asked[0]
		op.executing(out, h.id)
		switch op.arg(0) {
		case relayState(true), relayState(false):
			h.water.Valve.Move(op.arg(0) == relayState(true), now)
			return
		}
		h.asked = h.asked[1:]
		h.answer(out, op, "the relay state must be OPEN or CLOSED", false)
	}
}

// valveStopped answers the operation that moved the valve, and starts the next one.
func (h *home) valveStopped(out *outbox, now time.Time, err error) {
	text := "Valve " + strings.ToLower(relayState(h.water.Valve.Open()))
	if err != nil {
		text = err.Error()
	}
	if len(h.asked) > 0 {
		op := h.asked[0]
		h.asked = h.asked[1:]
		h.answer(out, op, text, err == nil)
	}
	out.child(h.valveID(), "400", valveEvent, text, stamp(now))
	h.report = now // so that the flow after the move is seen at once
	h.startValve(out, now)
}

const homeHelp = "help - this text\nstatus - what the home does\nleak - a pipe bursts\nleak slow - a pipe begins to drip\nrepair - the pipe is repaired"

// command answers a line of the device's shell.
func (h *home) command(out *outbox, now time.Time, text string) (answer string, ok bool) {
	switch strings.ToLower(strings.Join(strings.Fields(text), " ")) {
	case "help":
		return homeHelp, true
	case "status":
		floor := "dry"
		if h.water.Puddle.Wet() {
			floor = "wet"
		}
		return fmt.Sprintf("valve %s, pipe %s, floor %s, meter %.1f l, %.1f degrees",
			strings.ToLower(relayState(h.water.Valve.Open())), h.water.Pipe.Kind(), floor, h.water.Litres, h.room.Temperature()), true
	case "leak":
		h.water.Pipe.Break(physics.Burst)
		return "a pipe has burst", true
	case "leak slow":
		h.water.Pipe.Break(physics.Drip)
		return "a pipe has begun to drip", true
	case "repair":
		h.repair(out, now)
		return "the pipe is repaired", true
	}
	return "unknown command, try help", false
}
