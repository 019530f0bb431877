package bayeux

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

const (
	// maxSockets bounds the WebSockets of the server; beyond it they are refused.
	maxSockets = 2 * maxSessions
	// greetTimeout is how long a new WebSocket may go without a session.
	greetTimeout = 30 * time.Second
	// frameBytes is how much one frame carries, unless one message is larger. Common clients refuse frames above 64 KiB.
	frameBytes = 60 << 10
)

// socket is one WebSocket connection. Its sessions outlive it.
type socket struct {
	srv   *Server
	conn  *websocket.Conn
	ctx   context.Context // the life of the connection, of which no request's context knows
	end   context.CancelFunc
	pumps map[*session]*pump // of the reading goroutine
	wg    sync.WaitGroup
}

// socket serves one WebSocket. Its origin does not matter before a handshake, which checks it.
func (s *Server) socket(w http.ResponseWriter, r *http.Request, e endpoint) {
	defer s.sockets.Add(-1)
	if s.sockets.Add(1) > maxSockets {
		c8yrest.RefuseFault(w, r, fault.E(fault.Unavailable, "too many connections"))
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil { // answered
		s.log.Debug("upgrade", "err", err)
		return
	}
	conn.SetReadLimit(maxBody)
	so := &socket{srv: s, conn: conn, pumps: map[*session]*pump{}}
	so.ctx, so.end = context.WithCancel(s.ctx)
	so.run(func() { so.ping(s.d.Heartbeat) })
	so.read(s.caller(r, e, true))
	so.end()
	_ = conn.CloseNow()
	so.wg.Wait()
}

func (so *socket) run(work func()) {
	so.wg.Add(1)
	go func() {
		defer so.wg.Done()
		defer so.srv.recover()
		work()
	}()
}

// read handles what the client sends until the connection ends.
func (so *socket) read(c *caller) {
	greet := time.AfterFunc(greetTimeout, so.end)
	defer greet.Stop()
	for {
		if c.opened {
			greet.Stop()
		}
		_, text, err := so.conn.Read(so.ctx)
		if err != nil {
			return
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		messages, err := parseMessages(text)
		if err != nil {
			_ = so.conn.Close(websocket.StatusInvalidFramePayloadData, "a frame must be a list of Bayeux messages")
			return
		}
		so.handle(c, messages)
	}
}

func (so *socket) handle(c *caller, messages []message) {
	var replies []reply
	var held []connect
	for i := range messages {
		answer, x := c.handle(so.ctx, &messages[i])
		if x != nil {
			held = append(held, connect{x, &messages[i], answer})
			continue
		}
		replies = append(replies, answer)
	}
	if len(replies) > 0 {
		so.write(encode(nil, replies...))
	}
	for _, h := range held {
		so.hold(h)
	}
}

// write sends one frame. A client that does not take it loses the connection.
func (so *socket) write(b []byte) {
	ctx, cancel := context.WithTimeout(so.ctx, writeTimeout)
	defer cancel()
	if so.conn.Write(ctx, websocket.MessageText, b) != nil {
		so.end()
	}
}

// ping keeps the connection alive and finds out when it is dead.
func (so *socket) ping(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-so.ctx.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(so.ctx, writeTimeout)
		err := so.conn.Ping(ctx)
		cancel()
		if err != nil {
			so.end()
		}
	}
}

// connect is a connect that waits for its answer.
type connect struct {
	x      *session
	m      *message
	answer reply
}

// hold gives a connect to the pump of its session, which starts with the first one.
func (so *socket) hold(h connect) {
	p := so.pumps[h.x]
	if p != nil && p.over() {
		p = nil
	}
	if p == nil {
		carrier, ok := h.x.attach()
		if !ok {
			delete(so.pumps, h.x)
			so.write(encode(nil, h.x.farewell(h.m, h.answer)))
			return
		}
		p = &pump{so: so, x: h.x, carrier: carrier, connects: make(chan connect), done: make(chan struct{})}
		so.pumps[h.x] = p
		so.run(p.run)
	}
	select {
	case p.connects <- h:
	case <-p.done:
		so.write(encode(nil, h.x.farewell(h.m, h.answer)))
	}
}

// pump carries the messages of one session to its WebSocket as they come, whether or not a connect is waiting.
type pump struct {
	so       *socket
	x        *session
	carrier  chan struct{}
	connects chan connect
	done     chan struct{} // closed when it has ended
	held     *connect
}

func (p *pump) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *pump) run() {
	defer close(p.done)
	defer p.x.detach(p.carrier)
	timer := time.NewTimer(maxHold)
	defer timer.Stop()
	for {
		select {
		case h := <-p.connects:
			p.answer()
			p.held = &h
			timer.Reset(p.so.srv.holdFor(h.m))
		case <-p.x.wake:
			if items := p.x.take(p.carrier, frameBytes); len(items) > 0 {
				p.so.write(encode(items))
			}
		case <-timer.C:
			p.answer()
		case <-p.carrier:
			p.answer()
			return
		case <-p.x.done:
			p.farewell()
			return
		case <-p.so.ctx.Done():
			return
		}
	}
}

// answer answers the connect that waits, if one does.
func (p *pump) answer() {
	if p.held != nil {
		p.so.write(encode(nil, p.held.answer))
		p.held = nil
	}
}

// farewell tells the client that its session has ended, also if no connect waits.
func (p *pump) farewell() {
	switch {
	case p.held != nil:
		p.so.write(encode(nil, p.x.farewell(p.held.m, p.held.answer)))
	case !p.x.left.Load():
		m := message{Channel: metaConnect}
		p.so.write(encode(nil, m.refuse(errClient)))
	}
}
