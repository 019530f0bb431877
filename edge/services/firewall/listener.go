package firewall

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/prometheus/client_golang/prometheus"
)

// ListenerOptions say how one listener is guarded. Zero numbers set no bound.
type ListenerOptions struct {
	Name           string // for metrics
	MaxConnections int    // at once
	MaxPerAddress  int    // at once; an IPv6 address counts as its /64
	ProxyProtocol  bool   // trusted proxies may introduce a client by a PROXY header
	// Stall is how long a client may take nothing of what is written to it; slow ones get more time by the size of a write. Zero: for ever.
	Stall time.Duration
}

// Reasons of refused connections. They are label values: a closed set.
const (
	reasonDenied  = "denied"
	reasonAddress = "address_limit"
	reasonTotal   = "total_limit"
	reasonHeader  = "proxy_header"
)

const (
	headerTimeout = 5 * time.Second // for a PROXY header
	slowest       = 512             // bytes per second that a client must take, beyond Stall
)

// Listener hands out the connections of another one that may come in. It is safe for concurrent use.
type Listener struct {
	net.Listener
	f     *Firewall
	o     ListenerOptions
	ready chan accepted
	done  chan struct{}
	close sync.Once
	count prometheus.Gauge

	mu      sync.Mutex // guards the fields below
	total   int        // with those whose PROXY header is awaited
	open    map[*conn]struct{}
	perAddr map[netip.Addr]int
}

type accepted struct {
	conn net.Conn
	err  error
}

// Listener guards l, which it owns from now on.
func (f *Firewall) Listener(l net.Listener, o ListenerOptions) *Listener {
	g := &Listener{Listener: l, f: f, o: o, ready: make(chan accepted), done: make(chan struct{}), count: f.open.WithLabelValues(o.Name),
		open: map[*conn]struct{}{}, perAddr: map[netip.Addr]int{}}
	f.mu.Lock()
	f.listeners[g] = struct{}{}
	f.mu.Unlock()
	go g.run()
	return g
}

// Accept waits for a connection that may come in.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops listening. Open connections stay.
func (l *Listener) Close() (err error) {
	l.close.Do(func() {
		close(l.done)
		err = l.Listener.Close()
		l.f.mu.Lock()
		delete(l.f.listeners, l)
		l.f.mu.Unlock()
	})
	return err
}

// Shut stops listening and ends all open connections.
func (l *Listener) Shut() {
	_ = l.Close()
	l.end(func(*conn) bool { return true }, "")
}

// end closes the connections that which names and counts them under a reason.
func (l *Listener) end(which func(*conn) bool, reason string) int {
	l.mu.Lock()
	var all []*conn
	for c := range l.open {
		if which(c) {
			all = append(all, c)
		}
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
		if reason != "" {
			l.refuse(reason)
		}
	}
	return len(all)
}

func (l *Listener) refuse(reason string) {
	l.f.refused.WithLabelValues(l.o.Name, reason).Inc()
}

// run accepts. It must never wait for a client, or one that is silent would keep all others out.
func (l *Listener) run() {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				_ = l.Close()
				return
			}
			if !l.deliver(nil, err) { // whoever accepts knows how to wait for better times
				return
			}
			continue
		}
		if !l.reserve() {
			l.refuse(reasonTotal)
			_ = nc.Close()
			continue
		}
		addr := address(nc.RemoteAddr())
		if l.o.ProxyProtocol && l.f.Trusted(addr) {
			go l.introduce(nc)
			continue
		}
		if !l.admit(&conn{Conn: nc, raw: nc, l: l, addr: addr, remote: nc.RemoteAddr()}) {
			return
		}
	}
}

func (l *Listener) deliver(nc net.Conn, err error) bool {
	select {
	case l.ready <- accepted{nc, err}:
		return true
	case <-l.done:
		if nc != nil {
			_ = nc.Close()
		}
		return false
	}
}

// reserve takes one of the places of the listener.
func (l *Listener) reserve() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.o.MaxConnections > 0 && l.total >= l.o.MaxConnections {
		return false
	}
	l.total++
	return true
}

func (l *Listener) unreserve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
}

// introduce reads the PROXY header of a trusted proxy. One that sends none speaks for itself, as health checks do.
func (l *Listener) introduce(nc net.Conn) {
	p := proxyproto.NewConn(nc, proxyproto.WithPolicy(proxyproto.USE), proxyproto.SetReadHeaderTimeout(headerTimeout))
	remote := p.RemoteAddr()
	if _, err := p.Read(nil); err != nil { // reads nothing, but tells what was wrong with the header
		l.refuse(reasonHeader)
		_ = nc.Close()
		l.unreserve()
		return
	}
	l.admit(&conn{Conn: p, raw: nc, l: l, addr: address(remote), remote: remote})
}

// admit decides over a connection whose place is reserved. False means that the listener is closed.
func (l *Listener) admit(c *conn) bool {
	if !l.f.Allows(c.addr) {
		l.refuse(reasonDenied)
		_ = c.Conn.Close()
		l.unreserve()
		return true
	}
	l.mu.Lock()
	key := host(c.addr)
	if l.o.MaxPerAddress > 0 && l.perAddr[key] >= l.o.MaxPerAddress {
		l.total--
		l.mu.Unlock()
		l.refuse(reasonAddress)
		_ = c.Conn.Close()
		return true
	}
	l.perAddr[key]++
	l.open[c] = struct{}{}
	l.mu.Unlock()
	l.count.Inc()
	if !l.f.Allows(c.addr) { // the rules changed just now, perhaps before this one could be seen among the open ones
		l.refuse(reasonDenied)
		_ = c.Close()
		return true
	}
	return l.deliver(c, nil)
}

func (l *Listener) release(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	delete(l.open, c)
	key := host(c.addr)
	if l.perAddr[key]--; l.perAddr[key] == 0 {
		delete(l.perAddr, key)
	}
	l.count.Dec()
}

// address returns the address of a peer; invalid if the network has none.
func address(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(t.IP)
	return plain(ip)
}

// host is what counts as one address: whoever has an IPv6 address has a /64 of them.
func host(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// conn is a connection that came in. It knows its client's address and gives its place back when it is closed.
type conn struct {
	net.Conn
	raw    net.Conn
	l      *Listener
	addr   netip.Addr
	remote net.Addr
	once   sync.Once
	until  atomic.Int64 // Unix nanoseconds of the write deadline
}

// RemoteAddr is the address of the client, also behind a proxy that introduced it.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// NetConn is the connection below, for who asks the kernel about it.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Close ends the connection. It may be called more than once.
func (c *conn) Close() error {
	c.once.Do(func() { c.l.release(c) })
	return c.Conn.Close()
}

// Write bounds how long a client may take nothing. A deadline that is right to a tenth is left as it is: moving it costs more than a short
// write.
func (c *conn) Write(b []byte) (int, error) {
	if stall := c.l.o.Stall; stall > 0 {
		limit := stall + time.Duration(len(b)/slowest)*time.Second
		until := time.Now().Add(limit + limit/10)
		if until.UnixNano()-c.until.Load() > int64(limit/10) {
			if err := c.SetWriteDeadline(until); err != nil {
				return 0, err
			}
		}
	}
	return c.Conn.Write(b)
}

// SetWriteDeadline is the user's own wish, which counts until the next Write that finds it too near.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.until.Store(t.UnixNano())
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	c.until.Store(t.UnixNano())
	return c.Conn.SetDeadline(t)
}

// CloseWrite lets net/http end an answer without cutting it off.
func (c *conn) CloseWrite() error {
	if w, ok := c.raw.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
