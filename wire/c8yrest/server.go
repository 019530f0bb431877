package c8yrest

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/isobar-iot/isobar/enterprise/directory/oidc"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/platform/applogic"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// Deps is what the dialect needs: the faces that it calls.
type Deps struct {
	Registry      *registry.Registry
	Telemetry     *telemetry.Telemetry
	Operations    *devicemgmt.Operations
	Bulks         *devicemgmt.Bulks
	Registrations *identity.Registrations
	Anchors       *identity.Anchors
	Topics        *access.Topics
	Changes       *changes.Log
	API           *apimgmt.Management // optional: without it there are no API keys
	Users         *access.Users
	SSO           *oidc.SSO // optional: without it nobody logs in through a provider
	Policy        *access.Policy
	Tenants       *tenancy.Tenants
	Usage         *usage.Meter // nil: nobody counts
	Retention     *retention.Rules
	Audit         *audit.Log
	Blobs         *blob.Store
	MaxBinary     int64 // bytes of a file of the inventory at most; 0: 50 MiB
	Presence      Presence
	Applications  *applogic.Apps
	SmartREST     *one.Engine // executes SmartREST 1; nil: it is not served
	Exchange      *exchange.Exchange
	Clock         clock.Clock
	Log           *slog.Logger
	Reg           prometheus.Registerer
	Version       string
	// Raw keeps the bodies of what was accepted. Nil: they are not kept.
	Raw *rawlog.Log
	// Limit takes one request of a user who is known by now; an error refuses it. Nil: no limit.
	Limit func(ctx context.Context, p iot.Principal) error
}

// Presence takes signs of life of devices.
type Presence interface {
	// Heard says that a device sent something.
	Heard(t iot.TenantID, id iot.ID)
}

// Server is the handler of all routes of the dialect. It is safe for concurrent use.
type Server struct {
	Deps
	router   router
	requests *prometheus.CounterVec
	duration prometheus.Histogram
	bodies   *semaphore.Weighted // bytes of the large bodies in memory
	services proxies
	later    *background
	coders   coders
}

// maxBody bounds a JSON body: 16 MB is the documented limit of a document.
const maxBody = 16 << 20

// New returns the handler.
func New(d Deps) *Server {
	s := &Server{Deps: d, bodies: semaphore.NewWeighted(allBodies), router: router{literal: map[string]*router{}},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_http_requests_total", Help: "Requests by method and class of status."}, []string{"method", "status"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "isobar_http_request_duration_seconds", Help: "Time to answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
	}
	if s.MaxBinary <= 0 {
		s.MaxBinary = 50 << 20
	}
	if d.Reg != nil {
		d.Reg.MustRegister(s.requests, s.duration)
	}
	s.services = newProxies()
	s.later = newBackground(s.failedLater)
	for _, rt := range Routes() {
		s.router.add(rt)
	}
	return s
}

// notAllowed answers where a path exists, but not with this method.
func notAllowed(methods map[string]Route) Route {
	return Route{Access: Public, handle: func(c *call) error {
		c.w.Header().Set("Allow", allow(methods))
		return fault.E(fault.Op("c8yrest.Route"), fault.Unsupported, "the method "+clip(c.r.Method)+" is not supported here")
	}}
}

// Refuse answers a request that is refused before it comes to a route, in the form of the dialect.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.serve(w, r, Route{Access: Public, handle: func(*call) error { return err }})
}

// unknown answers where no path exists.
var unknown = Route{Access: Public, handle: func(c *call) error {
	return fault.E(fault.Op("c8yrest.Route"), fault.NotFound, "there is nothing at this path")
}}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m := r.Header.Get("X-HTTP-METHOD"); m != "" && r.Method == http.MethodPost { // c8y: for clients that only know GET and POST
		r.Method = strings.ToUpper(m)
	}
	if r.Method == http.MethodOptions {
		if end, _ := s.router.end(r); end != nil {
			s.preflight(w, r, allow(end.methods))
			return
		}
	}
	s.serve(w, r, s.router.route(r))
}

// serve runs one route: who is it, may they come in at all, do it, and turn an error into its body.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt Route) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	c := &call{s: s, w: rec, r: r, ctx: r.Context(), route: rt, began: began, request: requestID(r)}
	s.cors(w.Header(), r, "")
	w.Header().Set(requestHeader, c.request)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	err := c.run()
	c.countUse()
	if err != nil {
		c.fail(err)
	}
	s.bodies.Release(c.taken)
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	c.meter()
	s.requests.WithLabelValues(methodLabel(r.Method), string(rune('0'+rec.status/100))+"xx").Inc()
	s.duration.Observe(time.Since(began).Seconds())
	if err != nil {
		level := fault.KindOf(err).Row().Level
		s.Log.Log(context.WithoutCancel(r.Context()), level, "request failed", "request", c.request, "method", r.Method, "path", r.URL.Path, "tenant", c.p.Tenant, "user", c.p.User, "status", rec.status, "err", err)
	}
}

func (c *call) run() (err error) {
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			err = fault.E(fault.Op("c8yrest.Serve"), fault.Internal)
			c.s.Log.Error("panic in a request", "request", c.request, "path", c.r.URL.Path, "err", v, "stack", string(debug.Stack()))
		}
	}()
	if !storable(c.r.URL.Path) {
		return fault.E(fault.Op("c8yrest.Path"), fault.Malformed, "the path is not valid UTF-8")
	}
	if c.route.Access != Public {
		if !c.inside {
			if c.p, err = c.authenticate(); err != nil {
				return err
			}
		}
		if c.r.Header.Get("Origin") != "" && !c.inside && c.p.Tenant != c.s.hostOrDefault(c.r) { // whose answer it is decides who may read it
			c.s.cors(c.w.Header(), c.r, c.p.Tenant)
		}
		if err = c.keyMay(); err != nil {
			return err
		}
		if c.s.Limit != nil {
			if err = c.s.Limit(c.ctx, c.p); err != nil {
				return err
			}
		}
	}
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return fault.E(fault.Op("c8yrest.Query"), fault.Malformed, "the query string is not valid: "+err.Error())
	}
	for _, values := range c.query {
		if slices.ContainsFunc(values, func(v string) bool { return !storable(v) }) {
			return fault.E(fault.Op("c8yrest.Query"), fault.Malformed, "the query string is not valid UTF-8")
		}
	}
	if err := c.datable(); err != nil {
		return err
	}
	if err := c.readMode(); err != nil {
		return err
	}
	if err := c.joinChangeSet(); err != nil {
		return err
	}
	return c.route.handle(c)
}

// methodLabel is a method as metrics name it: a client may make up as many as it likes.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "other"
}

// storable reports whether a text can be a stored one at all: the weakest store takes neither broken UTF-8 nor NUL.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// recorder remembers the status for metrics and logs.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64 // of the body so far
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection (long polls, WebSocket).
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
