package ldap

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/access"
)

// Bounds of connections.
const (
	maxIdle   = 4  // of one login option
	maxOpen   = 16 // of one login option: more logins at once wait for their turn
	maxKept   = 64 // of all login options
	idleTime  = time.Minute
	maxPacket = 1 << 20
)

// boundPackets makes the parser refuse packets that a server says are huge, before it makes room for them. The library has this as a variable of
// the process only.
var boundPackets = sync.OnceFunc(func() { ber.MaxPacketLengthBytes = maxPacket })

// pool keeps connections for some time, because TLS costs more than what is asked. Who takes one binds first, so that it does not matter as whom
// the last one was bound.
type pool struct {
	clock clock.Clock
	mu    sync.Mutex // guards the rest
	idle  map[[32]byte][]idle
	open  map[[32]byte]chan struct{}
	kept  int
	ended bool
}

type idle struct {
	conn  *ldap.Conn
	since time.Time
}

func newPool(c clock.Clock) *pool {
	boundPackets()
	return &pool{clock: c, idle: map[[32]byte][]idle{}, open: map[[32]byte]chan struct{}{}}
}

// key names the connections of a login option as it is now.
func key(t iot.TenantID, o access.LoginOption) [32]byte {
	return sha256.Sum256(append([]byte(string(t)+"\x00"+o.ID+"\x00"), o.Doc.AppendTo(nil)...))
}

// turn waits until a connection may be used. done must be called.
func (p *pool) turn(ctx context.Context, k [32]byte) (done func(), err error) {
	p.mu.Lock()
	slots := p.open[k]
	if slots == nil {
		if len(p.open) > 10*maxKept { // login options that have been changed leave theirs behind
			for other, s := range p.open {
				if len(s) == 0 {
					delete(p.open, other)
				}
			}
		}
		slots = make(chan struct{}, maxOpen)
		p.open[k] = slots
	}
	p.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, fault.E(fault.Op("ldap.Turn"), fault.Exhausted, "too many logins at once: try again in a moment")
	}
}

// take returns an idle connection, nil if there is none.
func (p *pool) take(k [32]byte) *ldap.Conn {
	var old []*ldap.Conn
	defer func() { end(old) }() // after the lock
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.expire(k, &old)
	for len(list) > 0 {
		last := list[len(list)-1]
		list = list[:len(list)-1]
		p.kept--
		p.keep(k, list)
		if !last.conn.IsClosing() {
			return last.conn
		}
		old = append(old, last.conn)
	}
	return nil
}

// expire takes out what has been idle for too long, and returns what is left for k. The caller holds the lock and ends old without it.
func (p *pool) expire(k [32]byte, old *[]*ldap.Conn) []idle {
	now := p.clock.Now()
	for other, list := range p.idle { // few
		for len(list) > 0 && now.Sub(list[0].since) >= idleTime {
			*old = append(*old, list[0].conn)
			list = list[1:]
			p.kept--
		}
		p.keep(other, list)
	}
	return p.idle[k]
}

func (p *pool) keep(k [32]byte, list []idle) {
	if p.idle[k] = list; len(list) == 0 {
		delete(p.idle, k)
	}
}

// give keeps a connection for the next one.
func (p *pool) give(k [32]byte, l *ldap.Conn) {
	var old []*ldap.Conn
	defer func() { end(old) }()
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.expire(k, &old)
	if p.ended || len(list) >= maxIdle || p.kept >= maxKept || l.IsClosing() {
		old = append(old, l)
		return
	}
	p.keep(k, append(list, idle{l, p.clock.Now()}))
	p.kept++
}

func end(conns []*ldap.Conn) {
	for _, l := range conns {
		_ = l.Close()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	all := p.idle
	p.idle, p.kept, p.ended = map[[32]byte][]idle{}, 0, true
	p.mu.Unlock()
	for _, list := range all {
		for _, x := range list {
			_ = x.conn.Close()
		}
	}
}

// with calls do with a connection to the first server that answers: one that is open already, or a new one. do may be called again after the
// connection was lost.
func (s *Directories) with(ctx context.Context, k [32]byte, c *config, do func(*ldap.Conn) error) error {
	const op = fault.Op("ldap.Connect")
	done, err := s.pool.turn(ctx, k)
	if err != nil {
		return err
	}
	defer done()
	if l := s.pool.take(k); l != nil {
		if err := s.use(k, l, do); !lost(err) {
			return classify(op, err)
		}
	}
	var errs []error
	for _, raw := range c.URLs {
		if ctx.Err() != nil {
			errs = append(errs, ctx.Err())
			break
		}
		l, err := s.dial(ctx, c, raw)
		if err == nil {
			if err = s.use(k, l, do); !lost(err) {
				return classify(op, err)
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", raw, err))
	}
	return fault.E(op, fault.Unavailable, errors.Join(errs...), "the directory cannot be reached: try again in a moment")
}

// use runs do and keeps the connection unless it was lost.
func (s *Directories) use(k [32]byte, l *ldap.Conn, do func(*ldap.Conn) error) error {
	err := do(l)
	if lost(err) {
		_ = l.Close()
		return err
	}
	s.pool.give(k, l)
	return err
}

// lost reports that the server did not answer, or said that it cannot.
func lost(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeout, ldap.LDAPResultServerDown, ldap.LDAPResultConnectError)
}

// classify makes a fault of what a server answers: what is not about the person means that the directory cannot tell.
func classify(op fault.Op, err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) {
		return err
	}
	return fault.E(op, fault.Unavailable, err, "the directory does not answer as it should: an administrator finds the reason in the log")
}

// dial connects to one server, with TLS.
func (s *Directories) dial(ctx context.Context, c *config, raw string) (*ldap.Conn, error) {
	if err := s.checkURL(c, raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	roots, err := directory.Pool(c.CA)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, opTime)
	defer cancel()
	conn, err := s.d.Door.Dialer().DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: u.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12}
	if u.Scheme == "ldaps" {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = secure
	}
	l := ldap.NewConn(conn, u.Scheme == "ldaps")
	l.SetTimeout(opTime)
	l.Start()
	if u.Scheme == "ldap" && c.startTLS() {
		deadline, _ := ctx.Deadline()
		_ = conn.SetDeadline(deadline) // the library waits without end
		if err := l.StartTLS(config); err != nil {
			_ = l.Close()
			return nil, err
		}
		_ = conn.SetDeadline(time.Time{})
	}
	return l, nil
}
