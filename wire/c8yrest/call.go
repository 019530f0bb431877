package c8yrest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// call is one request on its way through a route.
type call struct {
	s     *Server
	w     *recorder
	r     *http.Request
	ctx   context.Context
	route Route
	p     iot.Principal
	query url.Values
	mode  iot.ProcessingMode
	began time.Time
	// request is the id of the request, for the log and for the answer.
	request string
	sent    []byte // the body, once it was read
	taken   int64  // bytes of Server.bodies
	// endpoint is the published endpoint that is called, empty if it is none.
	endpoint string
	// inside says that it comes from a line of SmartREST, whose user is known.
	inside bool
	// version is that of the document that is answered with, for its entity tag; empty if it has none.
	version string
	// holders are the device permissions of everybody, nil unless holdAll has read them.
	holders []access.DevicePermission
}

// Access says who may enter a route at all. What they may do there is decided by the faces.
type Access uint8

// The ways into a route.
const (
	Authenticated Access = iota
	Public
)

// Route is one line of the table of routes.
type Route struct {
	Method string
	Path   string // a pattern of net/http
	Access Access
	// Tagged gives the answer an entity tag, for clients that ask again and again.
	Tagged bool
	// Download lets a browser fetch with its cookie alone, as links and images do. Only for GET.
	Download bool
	// Dated answers as of the time that the parameter asOf names. Everywhere else the parameter is refused: nothing answers with the present under it.
	Dated bool
	// Passing leaves all parameters to somebody else, who knows what they mean.
	Passing bool
	handle  func(*call) error
}

// readMode reads the header of writes. c8y: what means nothing unless it is stored is stored in every mode, which then says only whether subscribers are told;
// the routes of data that may pass by ask passing for more.
func (c *call) readMode() error {
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return nil
	}
	switch strings.ToUpper(strings.TrimSpace(c.r.Header.Get("X-Cumulocity-Processing-Mode"))) {
	case "", "PERSISTENT":
	case "TRANSIENT":
		c.mode = iot.Transient
	case "QUIESCENT":
		c.mode = iot.Quiescent
	case "CEP":
		c.mode = iot.CEP
	default:
		return fault.E(fault.Op("c8yrest.Mode"), fault.Invalid, "X-Cumulocity-Processing-Mode must be PERSISTENT, TRANSIENT, QUIESCENT or CEP")
	}
	if c.mode != iot.Persistent {
		c.ctx = iot.WithMode(c.ctx, c.mode.Lasting())
	}
	return nil
}

// passing is the context of a write that need not be stored.
func (c *call) passing() context.Context { return iot.WithMode(c.ctx, c.mode) }

// id reads a path segment that is the id of a document. What cannot be an id does not exist.
func (c *call) id(name, what string) (iot.ID, error) {
	v := c.r.PathValue(name)
	id, ok := iot.ParseID(v)
	if !ok {
		return 0, fault.E(fault.Op("c8yrest.ID"), fault.NotFound, fault.Subject(v), "Finding "+what+" from database failed : No "+what+" for id '"+clip(v)+"'!")
	}
	return id, nil
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

var errTooLarge = fault.E(fault.Op("c8yrest.Body"), fault.TooLarge, "the body is larger than 16 MB")

// body reads the whole body, at most maxBody bytes.
func (c *call) body() ([]byte, error) {
	const op = fault.Op("c8yrest.Body")
	packed, err := c.packed()
	if err != nil {
		return nil, err
	}
	if c.r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	if err := c.room(packed); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	limited := http.MaxBytesReader(c.w, c.r.Body, maxBody)
	if packed {
		if err := unpack(limited, &b); err != nil {
			return nil, err
		}
		c.sent = b.Bytes()
		return c.sent, nil
	}
	if n := c.r.ContentLength; n > 0 && n <= maxBody {
		b.Grow(int(n))
	}
	_, err = b.ReadFrom(limited)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, fault.E(op, fault.Malformed, err, "the body could not be read")
	}
	c.sent = b.Bytes()
	return c.sent, nil
}

const (
	// smallBody needs no place: it is less than the connection itself takes.
	smallBody = 16 << 10
	// allBodies bounds the large bodies that are in memory at a time.
	allBodies = 256 << 20
	// patience is how long a request waits for memory or for the store before it is told to come again.
	patience = 2 * time.Second
)

// room waits for a place in memory for the body, which the end of the request gives back. One that does not say how long it is may be as
// long as may be, and so may a packed one.
func (c *call) room(packed bool) error {
	n := c.r.ContentLength
	if packed || n < 0 || n > maxBody {
		n = maxBody
	}
	if n <= smallBody || c.taken > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	if err := c.s.bodies.Acquire(ctx, n); err != nil {
		return fault.E(fault.Op("c8yrest.Body"), fault.Exhausted, time.Second, "too many large requests at once: wait as long as Retry-After says")
	}
	c.taken = n
	return nil
}

// jsonBody reads a body that must be JSON. c8y: the vendor's types, any JSON or none at all; the names of the types decide nothing. Anything else is refused, not
// least what a page of another origin could make a browser send that has kept a password: a form, or plain text.
func (c *call) jsonBody() ([]byte, error) {
	media, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media != "" && !strings.HasSuffix(media, "+json") && !strings.HasSuffix(media, "/json") && media != "application/json-stream" {
		return nil, fault.E(fault.Op("c8yrest.Body"), fault.MediaType, "the body must be JSON, not "+clip(media)+": set Content-Type to application/json")
	}
	return c.body()
}

// objectBody reads a body that must be a JSON object, for who decodes it otherwise than doc.
func (c *call) objectBody() ([]byte, error) {
	b, err := c.jsonBody()
	if err == nil {
		_, err = parseDoc(b)
	}
	return b, err
}

// doc reads the body as a JSON object.
func (c *call) doc() (iot.Doc, error) {
	b, err := c.jsonBody()
	if err != nil {
		return nil, err
	}
	return parseDoc(b)
}

func parseDoc(b []byte) (iot.Doc, error) {
	d, err := iot.ParseDoc(b, iot.MaxDepth)
	if err != nil {
		return nil, fault.E(fault.Op("c8yrest.Body"), fault.Invalid, fault.Reason("validation"), "the body is not valid JSON: "+err.Error())
	}
	return d, nil
}

// wantsBody applies the rule on Accept: c8y: a POST or PUT without the header is answered without a body.
func (c *call) wantsBody() bool { return c.r.Header.Get("Accept") != "" }

// mediaType returns the content type of an answer: plain JSON for who asks for that, the vendor's type otherwise.
func (c *call) mediaType(name string) string {
	accept := strings.ToLower(c.r.Header.Get("Accept"))
	if name == "" || strings.Contains(accept, "application/json") {
		return "application/json;charset=UTF-8"
	}
	return "application/vnd.com.nsn.cumulocity." + name + "+json;charset=UTF-8;ver=0.9"
}

// json answers with a body.
func (c *call) json(status int, media string, body []byte) error {
	h := c.w.Header()
	if c.route.Tagged && status == http.StatusOK && c.unchanged(body) {
		return nil
	}
	h.Set("Content-Type", c.mediaType(media))
	body = c.coded(body)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	_, err := c.w.Write(body)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Write"), fault.Canceled, err)
	}
	return nil
}

// stored answers a write: with the representation if the client wants it.
func (c *call) stored(status int, media string, location string, body func() ([]byte, error)) error {
	if location != "" {
		c.w.Header().Set("Location", location)
	}
	if !c.wantsBody() {
		c.w.Header().Set("Content-Length", "0")
		c.w.WriteHeader(status)
		return nil
	}
	b, err := body()
	if err != nil {
		return err
	}
	return c.json(status, media, b)
}

func (c *call) noContent() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) base() string { return base(c.r) }

// flag reads a boolean parameter.
func (c *call) flag(name string, def bool) bool {
	switch strings.ToLower(c.query.Get(name)) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return def
}

// time reads a parameter that is a date or date-time; zero if it is absent.
func (c *call) time(name string) (time.Time, error) {
	v := c.query.Get(name)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := iot.ParseTime(v)
	if err != nil {
		return t, fault.E(fault.Op("c8yrest.Query"), fault.Invalid, "the parameter "+name+" must be a date or date-time such as 2026-01-31T12:00:00.000Z")
	}
	return t, nil
}

// asOf reads the parameter of that name. ok is false if it is absent.
func (c *call) asOf() (at time.Time, ok bool, err error) {
	if !c.query.Has("asOf") {
		return at, false, nil
	}
	if at, err = c.time("asOf"); err == nil && at.IsZero() {
		err = fault.E(fault.Op("c8yrest.AsOf"), fault.Invalid, "the parameter asOf must be a date or date-time such as 2026-01-31T12:00:00.000Z")
	}
	return at, true, err
}

// past reads a document as it is or, if the parameter asOf says so, as it was.
func past[D any](c *call, id iot.ID, get func(context.Context, iot.Principal, iot.ID) (D, error), asOf func(context.Context, iot.Principal, iot.ID, time.Time) (D, error)) (D, error) {
	at, ok, err := c.asOf()
	switch {
	case err != nil:
		var none D
		return none, err
	case ok:
		return asOf(c.ctx, c.p, id, at)
	}
	return get(c.ctx, c.p, id)
}

// datable refuses the parameter asOf where it has no meaning.
func (c *call) datable() error {
	const op = fault.Op("c8yrest.AsOf")
	if !c.query.Has("asOf") || c.route.Passing || c.route.Path == "" {
		return nil
	}
	if !c.route.Dated {
		return fault.E(op, fault.Invalid, "the parameter asOf cannot be used here: what was there at a time is kept of managed objects and what hangs below them, tenant options, and single alarms, events and operations")
	}
	return nil
}

// span reads a pair of bounds.
func (c *call) span(from, to string) (a, b time.Time, err error) {
	if a, err = c.time(from); err == nil {
		b, err = c.time(to)
	}
	return a, b, err
}

// idParam reads a parameter that is an id; zero if it is absent. An id that cannot exist is replaced by one that does not.
func (c *call) idParam(name string) iot.ID {
	v := c.query.Get(name)
	if v == "" {
		return 0
	}
	if id, ok := iot.ParseID(v); ok {
		return id
	}
	return 1<<63 - 1
}

// list reads a parameter that may be repeated and hold comma-separated values.
func (c *call) list(name string) []string {
	var out []string
	for _, v := range c.query[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}
