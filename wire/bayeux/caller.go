package bayeux

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// caller is one request, or one WebSocket connection, and what it says of itself. It is used by one goroutine.
type caller struct {
	srv      *Server
	endpoint endpoint
	base     string
	r        *http.Request // only what a login needs
	socket   bool
	foreign  bool // a WebSocket whose page came from elsewhere
	denied   bool // a login failed
	opened   bool // a session was opened or used

	asked bool
	who   iot.Principal // of the request itself
	err   error
}

func (s *Server) caller(r *http.Request, e endpoint, socket bool) *caller {
	c := &caller{srv: s, endpoint: e, base: base(r), socket: socket}
	c.r = &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, TLS: r.TLS, RemoteAddr: r.RemoteAddr, Header: http.Header{}}
	for _, name := range []string{"Authorization", "Cookie", "X-Xsrf-Token", "X-Cumulocity-Application-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "User-Agent"} {
		if v := r.Header.Values(name); len(v) > 0 {
			c.r.Header[name] = v
		}
	}
	if origin := r.Header.Get("Origin"); socket && origin != "" { // a foreign page can open a WebSocket, but not send the XSRF header
		from, err := url.Parse(origin)
		here, _ := url.Parse(c.base)
		c.foreign = err != nil || here == nil || !strings.EqualFold(from.Host, here.Host)
	}
	return c
}

// base is the scheme and host under which the client reached us, also behind a proxy.
func base(r *http.Request) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if v := first(r.Header.Get("X-Forwarded-Proto")); v == "http" || v == "https" {
		scheme = v
	}
	if v := first(r.Header.Get("X-Forwarded-Host")); v != "" && !strings.ContainsAny(v, "/\\\"<> ") {
		host = v
	}
	return scheme + "://" + host
}

func first(list string) string {
	v, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(v)
}

// login is the request that proves who sent a handshake. bearer means that the handshake itself carries credentials.
func (c *caller) login(m *message) (r *http.Request, bearer bool) {
	r = c.r.Clone(context.Background())
	if token := m.Ext.Authn.Token; token != "" {
		for _, scheme := range []string{"Bearer ", "Basic "} {
			token = strings.TrimPrefix(token, scheme)
		}
		scheme := "Basic "
		if strings.Count(token, ".") == 2 { // a JWT; base64 has no points
			scheme = "Bearer "
		}
		r.Header.Set("Authorization", scheme+token)
		return r, true
	}
	if xsrf := m.Ext.Authn.XSRF; xsrf != "" {
		r.Header.Set("X-XSRF-TOKEN", xsrf)
		bearer = true
	}
	return r, bearer
}

// handshake opens a session.
func (c *caller) handshake(ctx context.Context, m *message) reply {
	s := c.srv
	r, bearer := c.login(m)
	if c.foreign && r.Header.Get("Authorization") == "" { // a browser adds the cookie to whatever a foreign page asks for
		c.denied = true
		return m.refuse(errHandshake)
	}
	verify := func(ctx context.Context) (iot.Principal, error) { return s.d.Authenticate(r.WithContext(ctx)) }
	p, err := verify(ctx)
	if err != nil {
		c.denied = fault.Is(err, fault.Unauthenticated)
		s.log.Debug("handshake denied", "err", err)
		return m.refuse(errHandshake)
	}
	x := &session{srv: s, id: rand.Text(), endpoint: c.endpoint, who: p, base: c.base, verify: verify, bearer: bearer,
		wake: make(chan struct{}, 1), done: make(chan struct{}), subs: map[string]channel{}, seen: s.d.Clock.Now()}
	oldest, ok := s.table.add(x)
	if !ok {
		return m.refuse(errBusy)
	}
	if oldest != nil {
		oldest.end()
	}
	c.opened = true
	return reply{ID: m.ID, Channel: m.Channel, ClientID: x.id, Successful: true, Version: "1.0", MinimumVersion: "1.0",
		Types: []string{"long-polling", "smartrest-long-polling", "websocket"}, Advice: retry()}
}

// session returns the session that a message belongs to, nil if there is none or it is not the caller's.
func (c *caller) session(ctx context.Context, m *message) *session {
	x := c.srv.table.get(m.ClientID, c.endpoint, c.srv.d.Clock.Now())
	if x == nil {
		return nil
	}
	if !c.socket { // over a WebSocket only the handshake has credentials; the id of the session cannot be guessed
		if !c.asked {
			c.asked = true
			c.who, c.err = c.srv.d.Authenticate(c.r.WithContext(ctx))
		}
		switch {
		case c.err != nil && !x.bearer:
			c.denied = c.denied || fault.Is(c.err, fault.Unauthenticated)
			return nil
		case c.err == nil && !x.same(c.who):
			if c.who.Tenant == x.who.Tenant && c.who.User == x.who.User { // permissions changed
				c.srv.table.remove(x)
			}
			return nil
		}
	}
	c.opened = true
	x.touch()
	return x
}

// handle does what a message asks for. A connect that may be held comes back with its session.
func (c *caller) handle(ctx context.Context, m *message) (reply, *session) {
	if m.Channel == metaHandshake {
		return c.handshake(ctx, m), nil
	}
	x := c.session(ctx, m)
	if x == nil {
		return m.refuse(errClient), nil
	}
	done := reply{ID: m.ID, Channel: m.Channel, ClientID: x.id, Subscription: m.Subscription, Successful: true}
	switch m.Channel {
	case metaConnect:
		done.Advice = retry()
		return done, x
	case metaSubscribe:
		return c.subscribe(ctx, m, x, done), nil
	case metaUnsubscribe:
		names, err := m.channels()
		if err != nil {
			return m.refuse("403:" + metaUnsubscribe + ":" + err.Error()), nil
		}
		for _, name := range names {
			x.unsubscribe(name)
		}
		return done, nil
	case metaDisconnect:
		x.left.Store(true)
		c.srv.table.remove(x)
		return done, nil
	}
	return m.refuse(errMessage), nil
}

// subscribe adds all channels of a message or, if one of them is refused, none.
func (c *caller) subscribe(ctx context.Context, m *message, x *session, done reply) reply {
	names, err := m.channels()
	if err != nil {
		return m.refuse("403:" + metaSubscribe + ":" + err.Error())
	}
	byObject := make([]bool, len(names))
	channels := make([]channel, len(names))
	for i, name := range names {
		channels[i] = parseChannel(c.endpoint, name)
		if byObject[i], err = c.srv.authorize(ctx, x.who, channels[i]); err != nil {
			return m.refuse(denied(name, "Access is denied"))
		}
	}
	for i, name := range names {
		if !x.subscribe(name, channels[i], byObject[i]) {
			return m.refuse(denied(name, "Too many subscriptions"))
		}
	}
	return done
}
