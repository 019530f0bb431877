package c8yrest

import (
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/platform/applogic"
)

// Limits of what is passed on to microservices.
const (
	maxServiceBody = 128 << 20
	serviceDial    = 5 * time.Second
	serviceAnswer  = time.Minute // to the head of the answer
	serviceIdle    = 64          // connections that are kept to one service
)

// proxies pass requests on: one to any address, one only to addresses in the public Internet.
type proxies struct{ open, guarded http.RoundTripper }

func newProxies() proxies {
	to := func(d *net.Dialer) http.RoundTripper {
		return &http.Transport{DialContext: d.DialContext, DisableCompression: true, MaxIdleConnsPerHost: serviceIdle, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: serviceDial, ResponseHeaderTimeout: serviceAnswer, MaxResponseHeaderBytes: 1 << 20}
	}
	return proxies{to(&net.Dialer{Timeout: serviceDial}), to(&net.Dialer{Timeout: serviceDial, Control: applogic.PublicOnly})}
}

// ServeService serves everything below /service/: c8y: "/service/<context path>/<path of the service>".
func (s *Server) ServeService(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		s.preflight(w, r, corsMethods)
		return
	}
	rt := Route{Path: "/service/", Passing: true, handle: passOn}
	// A browser opens links with its cookie alone. It does so for WebSockets of any site as well, so that these must come from our own.
	rt.Download = r.Method == http.MethodGet && (r.Header.Get("Upgrade") == "" || sameOrigin(r))
	s.serve(w, r, rt)
}

// passOn sends the request to the service, with the caller's own credentials.
func passOn(c *call) error {
	rest := strings.TrimPrefix(strings.TrimLeft(c.r.URL.EscapedPath(), "/"), "service/")
	place, rest, _ := strings.Cut(rest, "/")
	place, err := url.PathUnescape(place)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Service"), fault.Malformed, "the path is not valid")
	}
	service, err := c.s.Applications.Service(c.ctx, c.p, place)
	if err != nil {
		return err
	}
	plain, err := url.PathUnescape(rest)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Service"), fault.Malformed, "the path is not valid")
	}
	for part := range strings.SplitSeq(plain, "/") { // it must not leave the path that was registered
		if part == ".." || part == "." {
			return fault.E(fault.Op("c8yrest.Service"), fault.Malformed, "the path must not have segments of dots")
		}
	}
	if c.r.ContentLength > maxServiceBody {
		return fault.E(fault.Op("c8yrest.Service"), fault.TooLarge, "the body is larger than 128 MB")
	}
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxServiceBody)
	for name := range c.w.Header() { // the service answers, not we
		if !strings.HasPrefix(name, "Access-Control-") && name != "Set-Cookie" {
			c.w.Header().Del(name)
		}
	}
	return c.pass(service, plain, rest)
}

func (c *call) pass(service applogic.Service, plain, raw string) (failed error) {
	transport := c.s.services.open
	if service.PublicOnly {
		transport = c.s.services.guarded
	}
	proxy := httputil.ReverseProxy{Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path, r.Out.URL.RawPath = "/"+plain, "/"+raw
			r.SetURL(service.URL)
			r.SetXForwarded()
			own, _ := url.Parse(c.base())
			r.Out.Header.Set("X-Forwarded-Proto", own.Scheme)
			r.Out.Header.Set("X-Forwarded-Host", own.Host)
		},
		ModifyResponse: func(r *http.Response) error {
			cookies := r.Header.Values("Set-Cookie")
			r.Header.Del("Set-Cookie")
			for _, v := range cookies { // a service must not log its visitors in as somebody else
				name, _, _ := strings.Cut(v, "=")
				if name = strings.TrimSpace(name); name != tokenCookie && name != xsrfCookie {
					r.Header.Add("Set-Cookie", v)
				}
			}
			for name := range r.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					c.w.Header().Del(name)
				}
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = serviceFault(err) },
	}
	proxy.ServeHTTP(c.w, c.r)
	return failed
}

func serviceFault(err error) error {
	const op = fault.Op("c8yrest.Service")
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return fault.E(op, fault.TooLarge, "the body is larger than 128 MB")
	case fault.Is(err, fault.Denied):
		return fault.E(op, fault.Denied, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fault.E(op, fault.Deadline, err, "the microservice does not answer")
	}
	return fault.E(op, fault.Unavailable, err, "the microservice cannot be reached")
}
