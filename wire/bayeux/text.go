package bayeux

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// Long polling as lines of SmartREST 1, on the same paths as JSON.
//
// c8y: 80 is the handshake, answered by the id of the session alone; 81 subscribes and 82 unsubscribes a channel; 83 polls, with the number of
// the batch that came last; 84 says goodbye. A poll is answered by 86, what to do next, by 88, the number of the batch, and by the lines that
// the templates of the X-Id make of what happened. 86 has the number of the line in front of its values: agents do a handshake for each
// poll if it has not.

// batch are the lines that a client has not acknowledged yet.
type batch struct {
	number int
	lines  []string
}

// isText reports whether a body is lines: they start with a digit, JSON messages with a bracket.
func isText(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] >= '0' && body[0] <= '9'
}

// text is a request of lines on its way.
type text struct {
	c   *caller
	xid string
	out []string
}

func (t *text) say(fields ...string) { t.out = append(t.out, one.Format(fields...)) }

func (s *Server) pollText(w http.ResponseWriter, r *http.Request, e endpoint, body []byte) {
	t := &text{c: s.caller(r, e, false), xid: strings.TrimSpace(r.Header.Get("X-Id"))}
	number := 0
	for f, bad := range smartrest.Split(body, smartrest.Limits{Bytes: maxBody, Lines: maxBatch}) {
		number++
		if bad != nil {
			t.say("42", strconv.Itoa(number), bad.Text)
			continue
		}
		if !t.line(r, w, number, f) {
			return // the client is gone
		}
	}
	if t.c.denied {
		w.Header().Set("WWW-Authenticate", challenge(r))
		http.Error(w, "the user is not known, or the password is wrong", http.StatusUnauthorized)
		return
	}
	answer := strings.Join(t.out, "\n")
	h := w.Header()
	h.Set("Content-Type", "text/plain;charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(answer))) // agents read no chunks
	h.Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = w.Write([]byte(answer))
}

// line executes one line. It reports false if the client is gone.
func (t *text) line(r *http.Request, w http.ResponseWriter, number int, f smartrest.Fields) bool {
	next := func() string { v, _ := f.Next(); return v }
	kind := next()
	m := message{}
	if kind != "80" {
		m.ClientID = next()
	}
	n := strconv.Itoa(number)
	switch kind {
	case "15":
		t.xid = m.ClientID
		return true
	case "80":
		m.Channel = metaHandshake
	case "81", "82":
		m.Channel = metaSubscribe
		if kind == "82" {
			m.Channel = metaUnsubscribe
		}
		m.Subscription = iot.AppendText(nil, next())
	case "83":
		m.Channel = metaConnect
	case "84":
		m.Channel = metaDisconnect
	default:
		t.say("43", n)
		return true
	}
	answer, held := t.c.handle(r.Context(), &m)
	switch {
	case !answer.Successful:
		t.refused(n, answer)
	case kind == "80":
		t.say(answer.ClientID)
	case kind == "83":
		return t.connect(r, w, n, next(), held, &m, &answer)
	}
	return true
}

// refused tells of a reply that was no success. c8y: an advice where there is one to give.
func (t *text) refused(number string, answer reply) {
	if a := answer.Advice; a != nil && !t.c.denied {
		t.advise(number, a)
		return
	}
	status, _, _ := strings.Cut(answer.Error, ":")
	t.say("50", number, status)
}

func (t *text) advise(number string, a *advice) {
	t.say("86", number, strconv.FormatInt(a.Timeout, 10), strconv.FormatInt(a.Interval, 10), a.Reconnect)
}

// connect waits for messages. What the client did not acknowledge comes again.
func (t *text) connect(r *http.Request, w http.ResponseWriter, number, acknowledged string, x *session, m *message, answer *reply) bool {
	b, until := x.unacknowledged(acknowledged), time.Now().Add(t.c.srv.d.Hold)
	for len(b.lines) == 0 && time.Now().Before(until) {
		items, ok := t.c.srv.hold(r, &stream{w: w, rc: http.NewResponseController(w), silent: true}, x, m, answer, true)
		if !ok {
			return false
		}
		if !answer.Successful {
			t.refused(number, *answer)
			return true
		}
		if len(items) == 0 {
			break
		}
		if b = x.newBatch(t.render(r, x, items)); len(b.lines) == 0 {
			continue // the templates make nothing of it
		}
	}
	t.advise(number, retry())
	if len(b.lines) > 0 {
		t.say("88", strconv.Itoa(b.number))
		t.out = append(t.out, b.lines...)
	}
	return true
}

// render makes the lines of messages. The templates see the operation itself on the channel of an agent, and elsewhere the document.
func (t *text) render(r *http.Request, x *session, items []item) (lines []string) {
	s := t.c.srv
	if s.d.Lines == nil {
		return nil
	}
	for i := range items {
		made, err := s.d.Lines(r.Context(), x.who.Tenant, t.xid, document(items[i].data))
		if err != nil {
			s.log.Warn("templates of a client", "tenant", x.who.Tenant, "xid", t.xid, "err", err)
		}
		lines = append(lines, made...)
	}
	return lines
}

// document takes the document out of a message.
func document(data json.RawMessage) json.RawMessage {
	d, err := iot.ParseDoc(data, iot.MaxDepth)
	if err == nil && d.Has("realtimeAction") && d.Has("data") {
		return d.Get("data")
	}
	return data
}

// unacknowledged returns the last batch if the client says that it did not get it. Clients that do not number have got everything.
func (x *session) unacknowledged(acknowledged string) batch {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, err := strconv.Atoi(acknowledged)
	if err != nil || n == x.batch.number {
		x.batch.lines = nil
		return batch{}
	}
	return x.batch
}

// newBatch numbers lines, so that they can be acknowledged.
func (x *session) newBatch(lines []string) batch {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(lines) > 0 {
		x.batch = batch{number: x.batch.number + 1, lines: lines}
		return x.batch
	}
	return batch{}
}
