// Package notification2 is the WebSocket of the API's Notification 2.0: a consumer of a topic of platform/exchange reads messages at
// /notification2/consumer/?token=... and sends back the first line of each when it is done with it.
//
// A message is a text frame: the acknowledgement id, the description /<tenant>/<api>/<source>, the action, an empty line, and the document
// as REST shows it. Of what was deleted, the document has only the ids.
//
// It decides nothing: the token says who may read what. It keeps no state beside connections. A client that wants to know that its
// acknowledgements are stored sends a ping, which is answered after that.
package notification2

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/service"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// Deps is what Server needs.
type Deps struct {
	Exchange *exchange.Exchange
	Registry *registry.Registry
	Log      *slog.Logger
	// Heartbeat is how often the platform pings; a client that does not answer loses the connection. Zero: 30 seconds.
	Heartbeat time.Duration
}

const (
	heartbeat    = 30 * time.Second
	writeTimeout = 30 * time.Second
	maxFrame     = 1 << 10 // of a client: an id or a command
	maxTokenSize = 16 << 10
	unsubscribe  = "unsubscribe_subscriber"
)

// Close codes of our own, as 4000 + the HTTP status that fits.
const (
	closeConflict websocket.StatusCode = 4409
	closeBusy     websocket.StatusCode = 4429
	closeUnknown  websocket.StatusCode = 4401
	closeStalled  websocket.StatusCode = 4408
	closeFull     websocket.StatusCode = 4507
)

// Server is the handler of /notification2/consumer. It is safe for concurrent use.
type Server struct {
	d      Deps
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	calls  service.Calls
}

// New returns the handler.
func New(d Deps) *Server {
	if d.Heartbeat <= 0 {
		d.Heartbeat = heartbeat
	}
	s := &Server{d: d}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.calls.Refuse()
	s.cancel()
	s.calls.Wait()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.calls.Enter() {
		c8yrest.RefuseFault(w, r, fault.E(fault.Unavailable, "the platform is stopping"))
		return
	}
	defer s.calls.Leave()
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		c8yrest.Refuse(w, r, http.StatusUpgradeRequired, "notification/upgradeRequired", "open a WebSocket here")
		return
	}
	q := r.URL.Query()
	token := q.Get("token")
	if len(token) > maxTokenSize {
		c8yrest.RefuseFault(w, r, fault.E(fault.Unauthenticated, "the token is too long"))
		return
	}
	pass, err := s.d.Exchange.Verify(r.Context(), token)
	if err != nil {
		c8yrest.RefuseFault(w, r, err)
		return
	}
	x := &connection{s: s, pass: pass, base: c8yrest.Base(r)}
	// Before the answer: whoever is connected misses nothing from then on.
	var refused error
	x.c, refused = s.d.Exchange.Attach(r.Context(), pass, q.Get("consumer"))
	if refused == nil {
		defer x.c.Detach()
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OnPingReceived: x.answerPing,
		InsecureSkipVerify: true}) // a token is no cookie: any page that has it may use it
	if err != nil { // answered
		s.d.Log.Debug("upgrade", "err", err)
		return
	}
	conn.SetReadLimit(maxFrame)
	x.conn = conn
	if refused != nil {
		level := slog.LevelDebug
		if fault.Is(refused, fault.Full) || fault.Is(refused, fault.Exhausted) {
			level = slog.LevelWarn
		}
		s.d.Log.Log(r.Context(), level, "a consumer is refused", "tenant", pass.Tenant, "topic", pass.Topic, "err", refused)
		code, reason := closeCode(refused)
		_ = conn.Close(code, reason)
		return
	}
	x.ctx, x.end = context.WithCancel(s.ctx)
	x.serve()
}

// answerPing lets the answer of a ping wait until what was acknowledged before it is stored.
func (x *connection) answerPing(ctx context.Context, _ []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return x.c.Flush(ctx) == nil
}

func closeCode(err error) (websocket.StatusCode, string) {
	switch {
	case fault.Is(err, fault.Exists):
		return closeConflict, "409: the consumer is connected already and is not shared"
	case fault.Is(err, fault.Exhausted):
		return closeBusy, "429: too many connections"
	case fault.Is(err, fault.Unauthenticated):
		return closeUnknown, "401: the tenant is suspended or gone"
	case fault.Is(err, fault.Full):
		return closeFull, "507: " + fault.Message(err)
	case fault.Is(err, fault.Conflict):
		return closeStalled, "408: " + fault.Message(err)
	case fault.Is(err, fault.Unavailable):
		return websocket.StatusTryAgainLater, "the platform cannot serve the consumer now"
	}
	return websocket.StatusInternalError, "the consumer cannot be served"
}

// connection is one WebSocket of a consumer.
type connection struct {
	s    *Server
	conn *websocket.Conn
	c    *exchange.Consumer
	pass exchange.Pass
	base string
	ctx  context.Context
	end  context.CancelFunc
	// leaving says that the client asked for the end, so that the reader closes the connection.
	leaving atomic.Bool
}

func (x *connection) serve() {
	var work sync.WaitGroup
	work.Go(x.write)
	work.Go(x.ping)
	x.read()
	x.c.Detach()
	x.end()
	_ = x.conn.CloseNow()
	work.Wait()
}

// read takes acknowledgements until the connection ends.
func (x *connection) read() {
	for {
		_, text, err := x.conn.Read(x.ctx)
		if err != nil {
			return
		}
		switch id, ok := ParseAck(text); {
		case ok:
			x.c.Acknowledge(id)
		case string(text) == unsubscribe:
			x.leaving.Store(true)
			ctx, cancel := context.WithTimeout(x.ctx, writeTimeout)
			err := x.s.d.Exchange.Unsubscribe(ctx, x.pass)
			cancel()
			if err != nil {
				x.s.d.Log.Warn("unsubscribe", "tenant", x.pass.Tenant, "err", err)
				_ = x.conn.Close(websocket.StatusInternalError, "not unsubscribed")
				return
			}
			_ = x.conn.Close(websocket.StatusNormalClosure, "unsubscribed")
			return
		}
	}
}

// write sends what comes.
func (x *connection) write() {
	for {
		batch, err := x.c.Next(x.ctx)
		if err != nil {
			if x.ctx.Err() == nil && !x.leaving.Load() { // the consumer ended
				code, reason := websocket.StatusGoingAway, "the consumer has ended"
				if !fault.Is(err, fault.Unavailable) {
					code, reason = closeCode(err)
				}
				_ = x.conn.Close(code, reason)
				x.end()
			}
			return
		}
		for i := range batch {
			frame, err := x.frame(&batch[i])
			if err != nil { // nobody can read it: it must not stop the others
				x.s.d.Log.Error("a notification cannot be shown", "tenant", x.pass.Tenant, "err", err)
				x.c.Acknowledge(batch[i].ID)
				continue
			}
			ctx, cancel := context.WithTimeout(x.ctx, writeTimeout)
			err = x.conn.Write(ctx, websocket.MessageText, frame)
			cancel()
			if err != nil {
				x.end()
				return
			}
		}
	}
}

// ping keeps the connection alive and finds out when it is dead.
func (x *connection) ping() {
	tick := time.NewTicker(x.s.d.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(x.ctx, writeTimeout)
		err := x.conn.Ping(ctx)
		cancel()
		if err != nil {
			x.end()
			return
		}
	}
}

// AppendAck appends the acknowledgement id of a message.
func AppendAck(b []byte, id uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], id)
	return base64.StdEncoding.AppendEncode(b, raw[:])
}

// ParseAck reads what a client sends to acknowledge a message.
func ParseAck(text []byte) (id uint64, ok bool) {
	text = []byte(strings.TrimSpace(string(text)))
	if len(text) != base64.StdEncoding.EncodedLen(8) {
		return 0, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw), true
}

// frame makes the frame of a notification.
func (x *connection) frame(n *exchange.Notification) ([]byte, error) {
	b := append(AppendAck(nil, n.ID), '\n', '/')
	b = append(append(append(b, x.pass.Tenant...), '/'), n.API...)
	b = append(append(append(b, '/'), n.Source.String()...), '\n')
	b = append(append(b, n.Action...), '\n', '\n')
	return x.body(b, n)
}

func (x *connection) body(b []byte, n *exchange.Notification) ([]byte, error) {
	gone := n.Action == iot.Deleted
	switch n.API {
	case exchange.ManagedObjects:
		var o registry.Object
		if err := json.Unmarshal(n.Doc, &o); err != nil {
			return nil, err
		}
		if gone {
			return append(iot.AppendText(append(b, `{"id":`...), o.ID.String()), '}'), nil
		}
		return c8yrest.AppendManagedObject(b, x.base, o), nil
	case exchange.Events, exchange.EventsWithChildren:
		var e iot.Event
		if err := json.Unmarshal(n.Doc, &e); err != nil {
			return nil, err
		}
		if gone {
			return appendGone(b, e.ID.String(), e.Source), nil
		}
		return c8yrest.AppendEvent(b, x.base, &e, x.name(e.Source)), nil
	case exchange.Alarms, exchange.AlarmsWithChildren:
		var a iot.Alarm
		if err := json.Unmarshal(n.Doc, &a); err != nil {
			return nil, err
		}
		if gone {
			return appendGone(b, a.ID.String(), a.Source), nil
		}
		return c8yrest.AppendAlarm(b, x.base, &a, x.name(a.Source)), nil
	case exchange.Operations:
		var o iot.Operation
		if err := json.Unmarshal(n.Doc, &o); err != nil {
			return nil, err
		}
		if gone {
			b = iot.AppendText(append(b, `{"id":`...), o.ID.String())
			return append(iot.AppendText(append(b, `,"deviceId":`...), o.Device.String()), '}'), nil
		}
		return c8yrest.AppendOperation(b, x.base, &o, x.name(o.Device), ""), nil
	case exchange.Measurements:
		batch, err := telemetry.DecodeMeasurements(n.Doc)
		if err != nil {
			return nil, err
		}
		if len(batch.Measurements) != 1 {
			return nil, fmt.Errorf("%d measurements in a notification", len(batch.Measurements))
		}
		m := &batch.Measurements[0]
		if gone {
			return appendGone(b, m.ID().String(), m.Source), nil
		}
		return c8yrest.AppendMeasurement(b, x.base, m), nil
	}
	return nil, fmt.Errorf("the api %q is unknown", n.API)
}

func appendGone(b []byte, id string, source iot.ID) []byte {
	b = iot.AppendText(append(b, `{"id":`...), id)
	b = iot.AppendText(append(b, `,"source":{"id":`...), source.String())
	return append(b, "}}"...)
}

// name returns the name of a source, empty if there is none any more.
func (x *connection) name(id iot.ID) string {
	ctx, cancel := context.WithTimeout(x.ctx, writeTimeout)
	defer cancel()
	src, err := x.s.d.Registry.Source(ctx, x.pass.Tenant, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		x.s.d.Log.Debug("source of a notification", "tenant", x.pass.Tenant, "err", err)
	}
	return src.Name
}
