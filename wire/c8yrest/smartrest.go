package c8yrest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

func smartRESTRoutes() []Route { return []Route{post("/s", smartREST)} }

// smartREST executes lines of SmartREST 1. c8y: the status is 200 whatever the lines say; the result is in the lines.
func smartREST(c *call) error {
	const op = fault.Op("c8yrest.SmartREST")
	if c.s.SmartREST == nil {
		return unknown.handle(c)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, one.MaxBody))
	if err != nil {
		return fault.E(op, fault.TooLarge, err, "the body is larger than 1 MB or incomplete")
	}
	lines, _ := c.s.SmartREST.Run(c.ctx, c.p, c.mode, strings.TrimSpace(c.r.Header.Get("X-Id")), body, one.Origin{Base: c.base(), RemoteAddr: remote(c.r)})
	return c.text(strings.Join(lines, "\n"))
}

func (c *call) text(s string) error {
	h := c.w.Header()
	h.Set("Content-Type", "text/plain;charset=UTF-8")
	c.w.WriteHeader(http.StatusOK)
	if _, err := io.WriteString(c.w, s); err != nil {
		return fault.E(fault.Op("c8yrest.Write"), fault.Canceled, err)
	}
	return nil
}

// maxInside bounds the answer to a request that a line made, in bytes.
const maxInside = 4 << 20

// Inside executes a request of a user who is known already, as the route of it would. It implements one.API.
func (s *Server) Inside(ctx context.Context, p iot.Principal, x one.Call) one.Answer {
	r, err := http.NewRequestWithContext(ctx, x.Method, x.URI, bytes.NewReader(x.Body))
	if err != nil || strings.Trim(r.URL.Path, "/") == "s" {
		return one.Answer{Status: http.StatusBadRequest}
	}
	r.RemoteAddr = x.Origin.RemoteAddr
	if scheme, host, ok := strings.Cut(x.Origin.Base, "://"); ok {
		r.Host = host
		r.Header.Set("X-Forwarded-Proto", scheme)
	}
	for name, value := range map[string]string{"Content-Type": x.ContentType, "Accept": x.Accept, "X-Cumulocity-Processing-Mode": modeNames[x.Mode]} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	w := &memory{header: http.Header{}}
	c := &call{s: s, w: &recorder{ResponseWriter: w}, r: r, ctx: ctx, route: s.router.route(r), p: p, began: time.Now(), inside: true}
	if err := c.run(); err != nil {
		c.fail(err)
		s.Log.Log(context.WithoutCancel(ctx), fault.KindOf(err).Row().Level, "request of a line failed", "method", r.Method, "path", r.URL.Path, "tenant", p.Tenant, "user", p.User, "status", c.w.status, "err", err)
	}
	s.bodies.Release(c.taken)
	switch {
	case w.full:
		return one.Answer{Status: http.StatusInsufficientStorage}
	case c.w.status == 0:
		return one.Answer{Status: http.StatusOK}
	}
	return one.Answer{Status: c.w.status, Body: w.body.Bytes()}
}

var modeNames = map[iot.ProcessingMode]string{iot.Transient: "TRANSIENT", iot.Quiescent: "QUIESCENT", iot.CEP: "CEP"}

// memory is a response that is kept.
type memory struct {
	header http.Header
	body   bytes.Buffer
	full   bool
}

// Header implements http.ResponseWriter.
func (m *memory) Header() http.Header { return m.header }

// WriteHeader implements http.ResponseWriter.
func (m *memory) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (m *memory) Write(b []byte) (int, error) {
	if m.body.Len()+len(b) > maxInside {
		m.full = true
		return 0, io.ErrShortBuffer
	}
	return m.body.Write(b)
}
