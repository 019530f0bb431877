package bayeux

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// pollBytes is how much one answer to a poll carries; the rest waits for the next one.
const pollBytes = 1 << 20

// poll serves one request of a long-polling client.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, e endpoint) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		c8yrest.RefuseFault(w, r, fault.E(fault.TooLarge, err, "the request is too large or incomplete"))
		return
	}
	if isText(body) {
		s.pollText(w, r, e, body)
		return
	}
	messages, err := parseMessages(body)
	if err != nil {
		c8yrest.RefuseFault(w, r, fault.E(fault.Malformed, "the body must be a list of Bayeux messages: "+err.Error()))
		return
	}
	c, out := s.caller(r, e, false), &stream{w: w, rc: http.NewResponseController(w)}
	replies := make([]reply, len(messages))
	var x *session
	connect := 0
	for i := range messages {
		var held *session
		if replies[i], held = c.handle(r.Context(), &messages[i]); held != nil {
			x, connect = held, i
		}
	}
	var items []item
	if x != nil {
		var ok bool
		// Replies to other messages must not wait for a connect that came with them.
		if items, ok = s.hold(r, out, x, &messages[connect], &replies[connect], len(messages) == 1); !ok {
			return
		}
	}
	if c.denied {
		out.status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", challenge(r))
	}
	out.write(encode(items, replies...))
}

// hold waits for messages of a session as long as its client wants. It reports false if the client is gone.
func (s *Server) hold(r *http.Request, out *stream, x *session, m *message, answer *reply, wait bool) ([]item, bool) {
	carrier, ok := x.attach()
	if !ok {
		*answer = x.farewell(m, *answer)
		return nil, true
	}
	defer x.detach(carrier)
	items := x.take(carrier, pollBytes)
	d := s.holdFor(m)
	if len(items) > 0 || d == 0 || !wait {
		return items, true
	}
	out.unlimited()
	timer, beat := time.NewTimer(d), time.NewTicker(s.d.Heartbeat)
	defer timer.Stop()
	defer beat.Stop()
	for {
		select {
		case <-x.wake:
			if items := x.take(carrier, pollBytes); len(items) > 0 {
				return items, true
			}
		case <-beat.C:
			if out.space() != nil {
				return nil, false
			}
		case <-timer.C:
			return nil, true
		case <-carrier:
			return nil, true
		case <-x.done:
			*answer = x.farewell(m, *answer)
			return nil, true
		case <-r.Context().Done():
			return nil, false
		}
	}
}

// holdFor is how long to hold a connect.
func (s *Server) holdFor(m *message) time.Duration {
	if d, ok := m.timeout(); ok {
		return d
	}
	return s.d.Hold
}

// farewell is the answer to a connect whose session has ended.
func (x *session) farewell(m *message, success reply) reply {
	if x.left.Load() {
		success.Advice = nil
		return success
	}
	return m.refuse(errClient)
}

// challenge is Basic, or c8y: XBasic for clients that do not want the browser's own dialog.
func challenge(r *http.Request) string {
	if strings.EqualFold(r.Header.Get("UseXBasic"), "true") {
		return `XBasic realm="Isobar"`
	}
	return `Basic realm="Isobar"`
}

// stream is the answer to a poll. c8y: while it is held, spaces before the JSON show the client that the connection is alive.
type stream struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	status int // zero: 200
	began  bool
	silent bool // lines of SmartREST: agents bear nothing before them
}

// unlimited lifts the deadlines that the server has for ordinary requests. Where there are none, there is nothing to lift.
func (o *stream) unlimited() {
	_ = o.rc.SetReadDeadline(time.Time{})
	_ = o.rc.SetWriteDeadline(time.Time{})
}

func (o *stream) begin() {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // the machine's clock: it is the network's
	if o.began {
		return
	}
	o.began = true
	o.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	o.w.Header().Set("Cache-Control", "no-store")
	if o.status != 0 {
		o.w.WriteHeader(o.status)
	}
}

func (o *stream) space() error {
	if o.silent {
		return nil
	}
	return o.send([]byte{' '})
}

// write ends the answer. If the client is gone, what it took is lost; Bayeux without acknowledgement knows no better.
func (o *stream) write(b []byte) { _ = o.send(b) }

func (o *stream) send(b []byte) error {
	o.begin()
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	err := o.rc.Flush()
	_ = o.rc.SetWriteDeadline(time.Time{}) // the connection may serve another request, much later
	return err
}
