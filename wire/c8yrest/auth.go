package c8yrest

import (
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

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
	return s.authenticate(r, Route{})
}

// authenticate accepts Basic, a bearer token, or the login cookie with its XSRF token.
func (s *Server) authenticate(r *http.Request, rt Route) (iot.Principal, error) {
	const op = fault.Op("c8yrest.Authenticate")
	application := r.Header.Get(appKey)
	h := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(h, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		user, password, ok := r.BasicAuth()
		if !ok {
			return iot.Principal{}, fault.E(op, fault.Unauthenticated)
		}
		return s.Users.Basic(r.Context(), access.Login{Tenant: s.hostTenant(r), User: user, Password: password, Application: application, RemoteAddr: remote(r)})
	case strings.EqualFold(scheme, "Bearer"):
		return s.token(r, strings.TrimSpace(value), application)
	case h != "":
		return iot.Principal{}, fault.E(op, fault.Unauthenticated, "the scheme of the Authorization header must be Basic or Bearer")
	}
	cookie, err := r.Cookie(tokenCookie)
	if err != nil {
		return iot.Principal{}, fault.E(op, fault.Unauthenticated)
	}
	p, err := s.token(r, cookie.Value, application)
	if err != nil {
		return p, err
	}
	if !rt.Download && subtle.ConstantTimeCompare([]byte(r.Header.Get(xsrfHeader)), []byte(p.XSRF)) != 1 {
		return iot.Principal{}, fault.E(op, fault.Unauthenticated, "the header X-XSRF-TOKEN is missing or wrong: send the value of the cookie XSRF-TOKEN")
	}
	return p, nil
}

func (s *Server) token(r *http.Request, token, application string) (iot.Principal, error) {
	p, err := s.Users.Token(r.Context(), token)
	p.Application, p.RemoteAddr = application, remote(r)
	return p, err
}

// hostTenant resolves the tenant from the host: empty for the default.
func (s *Server) hostTenant(r *http.Request) iot.TenantID {
	name, _, _ := strings.Cut(host(r), ".")
	if t := iot.TenantID(name); t.Valid() && s.Tenants.Active(r.Context(), t) == nil && strings.Contains(host(r), ".") {
		return t
	}
	return ""
}

func host(r *http.Request) string {
	h := r.Host
	if n, _, err := net.SplitHostPort(h); err == nil {
		h = n
	}
	return h
}

func remote(r *http.Request) string { return r.RemoteAddr }

// base is the scheme and host that links in answers start with: those under which the client reached us, also behind a proxy.
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
