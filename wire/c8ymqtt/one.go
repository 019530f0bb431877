package c8ymqtt

import (
	"strings"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// publishOne executes lines of SmartREST 1 (s/ul/<X-Id>, or s/ul with a line 15). c8y: all answers to a publish come in one message, on
// s/dl/<X-Id> or, as agents subscribe that publish with their X-Id nevertheless, on s/dl.
func (h *handler) publishOne(mode iot.ProcessingMode, xid string, payload []byte, done func(mqtt.Verdict)) {
	if h.g.One == nil {
		h.lineError(&smartrest.LineError{Code: smartrest.CodeUnknown, Text: "SmartREST 1 is not served here"})
		done(mqtt.Verdict{})
		return
	}
	if err := h.g.Room(); err != nil {
		h.lineError(smartrest.Failed("", err))
		done(verdict(err))
		return
	}
	if h.serial != "" { // what a device sends is a sign of life, and makes its connection the way to it
		h.find()
		if id := h.attached(); id != 0 {
			h.g.Connectivity.Heard(h.p.Tenant, id)
		}
	}
	if xid != "" {
		h.pin(oneBoard + xid)
	}
	lines, err := h.g.One.Run(h.ctx, h.p, mode, xid, payload, one.Origin{RemoteAddr: h.conn.RemoteAddr().String()})
	if len(lines) > 0 {
		board := "s/dl"
		if _, ok := h.conn.SubscribedTo("s/dl/" + xid); ok && xid != "" {
			board += "/" + xid
		}
		h.conn.Deliver(board, []byte(strings.Join(lines, "\n")), 2, nil)
	}
	if h.serial != "" && h.attached() == 0 {
		h.find() // the lines may have created the device
	}
	if err != nil && !fault.KindOf(err).Ours() {
		h.refused(err)
	}
	done(verdict(err))
}
