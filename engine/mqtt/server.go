package mqtt

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt/packet"
)

// Server is a broker. All methods are safe for concurrent use.
type Server struct {
	cfg     Config
	met     *metrics
	batches sync.Pool // *batch
	buffers *packet.Buffers
	turns   chan struct{} // One for each Gate.Connect that runs.

	mu        sync.Mutex // Guards the fields below.
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	realms    map[string]*realm
	stopping  bool
	wg        sync.WaitGroup // One per connection; Add only under mu while not stopping.
}

// ErrStopped is returned by a server that was shut down.
var ErrStopped = errors.New("mqtt: server is shut down")

// New makes a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg.fill()
	met, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, met: met, batches: sync.Pool{New: func() any { return new(batch) }}, buffers: packet.NewBuffers(cfg.ReadBufferBytes), turns: make(chan struct{}, cfg.MaxConnecting), conns: map[*conn]struct{}{}, listeners: map[net.Listener]struct{}{}, realms: map[string]*realm{},
	}, nil
}

// Serve accepts connections until ctx ends or the server is shut down, which is not an error. It closes the listener
// and leaves accepted connections running: those end with Shutdown.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		l.Close()
		return ErrStopped
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer s.dropListener(l)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for wait := time.Duration(0); ; {
		nc, err := l.Accept()
		if err == nil {
			wait = 0
			go s.ServeConn(context.WithoutCancel(ctx), nc)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return nil
		}
		// Out of file descriptors or the like: wait for some connections to end rather than spin or give up.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.cfg.Log.Warn("accepting a connection", "err", err, "dur", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Server) dropListener(l net.Listener) {
	l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// ServeConn serves one connection, from CONNECT on, and returns when it is closed. It is for transports that are
// accepted elsewhere, such as WebSocket. The end of ctx closes the connection. TLS is seen when nc has a
// ConnectionState method.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	c := newConn(s, nc)
	if !s.track(c) {
		s.met.refused.WithLabelValues("limit").Inc()
		return
	}
	defer s.untrack(c)
	defer context.AfterFunc(ctx, func() { c.kill(ByShutdown, packet.ServerShuttingDown, ctx.Err()) })()
	c.serve(ctx)
	c.rd.Release()
}

func (s *Server) track(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || s.cfg.MaxConnections > 0 && len(s.conns) >= s.cfg.MaxConnections {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.met.connections.Inc()
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.met.connections.Dec()
	s.wg.Done()
}

// Shutdown stops accepting, lets publishes in progress be acknowledged, sends DISCONNECT 0x8B to v5 clients, closes all
// connections and writes what the sessions need. When ctx ends first, the rest is cut off and its error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	for l := range s.listeners {
		l.Close()
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.kill(ByShutdown, packet.ServerShuttingDown, nil)
	}
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
		for _, c := range conns {
			c.abandon()
		}
		// What is left now hangs in a handler; it is not ours to wait for without end.
		select {
		case <-ended:
		case <-time.After(flushTime):
		}
	}
	return errors.Join(err, s.stopRealms())
}

func (s *Server) stopRealms() (err error) {
	s.mu.Lock()
	realms := make([]*realm, 0, len(s.realms))
	for _, r := range s.realms {
		realms = append(realms, r)
	}
	s.mu.Unlock()
	for _, r := range realms {
		r.stop()
		err = errors.Join(err, r.submitWait(nil, true))
	}
	return err
}

// realm returns the realm of a name, loaded from the store.
func (s *Server) realm(ctx context.Context, name string) (*realm, error) {
	s.mu.Lock()
	r := s.realms[name]
	if r == nil {
		r = newRealm(s, name)
		s.realms[name] = r
	}
	s.mu.Unlock()
	return r, r.load(ctx)
}

// Load reads the sessions of a realm, so that those that end and wills that are due are not late. Otherwise that happens at the first use.
func (s *Server) Load(ctx context.Context, realm string) error {
	_, err := s.realm(ctx, realm)
	return err
}

// guard runs f and turns a panic into a log line, a count and false.
func (s *Server) guard(what string, f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.met.panics.Inc()
			s.cfg.Log.Error("panic recovered", "where", what, "err", p, "stack", string(debug.Stack()))
			ok = false
		}
	}()
	f()
	return true
}
