package c8yrest

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

const (
	tokenCookie = "authorization"
	xsrfCookie  = "XSRF-TOKEN"
	xsrfHeader  = "X-XSRF-TOKEN"
	appKey      = "X-Cumulocity-Application-Key"
)

// Authenticate finds out who makes a request, for handlers that serve beside the dialect.
func (s *Server) Authenticate(r *http.Request) (iot.Principal, error) {
	p, _, err := s.identify(r, Route{})
	return p, err
}

// authenticate finds out who makes the request, and gives a browser a new token when its old one has become stale.
func (c *call) authenticate() (iot.Principal, error) {
	if key := apiKey(c.r); key != "" && c.s.API != nil {
		return c.s.API.Authenticate(c.ctx, key, remote(c.r))
	}
	p, cookie, err := c.s.identify(c.r, c.route)
	now := c.s.Clock.Now()
	// Not for a download, which needs no XSRF token; and once: after its renewal a token goes on for a minute only.
	if err != nil || cookie.RenewAfter.IsZero() || now.Before(cookie.RenewAfter) || c.route.Download || cookie.Expires.Sub(now) <= time.Minute {
		return p, err
	}
	if err := c.renew(p); err != nil {
		c.s.Log.Warn("token not renewed", "tenant", p.Tenant, "err", err) // the old one is still good
	}
	return p, nil
}

// renew sets the cookies of a fresh token of the same session.
func (c *call) renew(p iot.Principal) error {
	token, s, err := c.s.Users.Renew(c.ctx, p)
	if err != nil {
		return err
	}
	return c.sessionCookies(p.Tenant, token, s)
}

// client is what a request says of who sends it.
func (s *Server) client(r *http.Request) access.Login {
	return access.Login{Tenant: s.hostTenant(r), Application: r.Header.Get(appKey), RemoteAddr: remote(r), UserAgent: r.UserAgent()}
}

// servesSetup reports whether a route serves to set up a second factor, so that who must do that first is let in.
func servesSetup(rt Route) bool {
	return strings.HasPrefix(rt.Path, "/user/currentUser/totpSecret") || rt.Path == "/user/logout"
}

// identify accepts Basic, a bearer token, or the login cookie with its XSRF token. The session is that of the cookie, zero for the others.
func (s *Server) identify(r *http.Request, rt Route) (p iot.Principal, cookie access.Session, err error) {
	const op = fault.Op("c8yrest.Authenticate")
	l := s.client(r)
	l.Setup = servesSetup(rt)
	h := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(h, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		var ok bool
		if l.User, l.Password, ok = r.BasicAuth(); !ok {
			return p, cookie, fault.E(op, fault.Unauthenticated)
		}
		p, err = s.Users.Basic(r.Context(), l)
		return p, cookie, err
	case strings.EqualFold(scheme, "Bearer"):
		p, _, err = s.Users.Resume(r.Context(), strings.TrimSpace(value), l)
		return p, cookie, err
	case h != "":
		return p, cookie, fault.E(op, fault.Unauthenticated, "the scheme of the Authorization header must be Basic or Bearer")
	}
	token, err := r.Cookie(tokenCookie)
	if err != nil {
		return p, cookie, fault.E(op, fault.Unauthenticated)
	}
	if p, cookie, err = s.Users.Resume(r.Context(), token.Value, l); err != nil {
		return p, cookie, err
	}
	if !rt.Download && subtle.ConstantTimeCompare([]byte(r.Header.Get(xsrfHeader)), []byte(p.XSRF)) != 1 {
		s.Users.ReportXSRF(r.Context(), p)
		return iot.Principal{}, access.Session{}, fault.E(op, fault.Unauthenticated, "the header X-XSRF-TOKEN is missing or wrong: send the value of the cookie XSRF-TOKEN")
	}
	return p, cookie, nil
}

// hostTenant resolves the tenant from the host: empty for the default.
func (s *Server) hostTenant(r *http.Request) iot.TenantID {
	return s.Tenants.ByHost(r.Context(), r.Host)
}

func host(r *http.Request) string {
	h := r.Host
	if n, _, err := net.SplitHostPort(h); err == nil {
		h = n
	}
	return h
}

// remote is the client's address. The door before us has found it out, also behind a proxy that is trusted.
func remote(r *http.Request) string { return r.RemoteAddr }

// base is the scheme and host that links in answers start with: those under which the client reached us, also behind a proxy. The door before us leaves the
// headers of trusted proxies only (edge/services/firewall.Origin), so that nobody makes us write a link to https into an answer over a plain connection.
func base(r *http.Request) string {
	scheme, h := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if v := first(r.Header.Get("X-Forwarded-Proto")); v == "http" || v == "https" {
		scheme = v
	}
	if v := first(r.Header.Get("X-Forwarded-Host")); v != "" && !strings.ContainsAny(v, "/\\\"<> ") {
		h = v
	}
	return scheme + "://" + h
}

func first(list string) string {
	v, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(v)
}
