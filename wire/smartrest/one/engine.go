package one

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/wire/smartrest"
	"github.com/isobar-iot/isobar/wire/smartrest/shelf"
)

// Call is a request to the REST API.
type Call struct {
	Method, URI, ContentType, Accept string
	Body                             []byte
	Mode                             iot.ProcessingMode
	Origin                           Origin
}

// Origin is where a body came from.
type Origin struct {
	Base       string // scheme and host that links start with; may be empty
	RemoteAddr string
}

// Answer is what the REST API said.
type Answer struct {
	Status int
	Body   []byte
}

// API executes a request as a user. It never fails: errors are answers too.
type API func(ctx context.Context, p iot.Principal, c Call) Answer

// Deps is what an Engine needs.
type Deps struct {
	Registry *registry.Registry
	Bus      *bus.Bus
	Clock    clock.Clock
	API      API
}

// Engine executes bodies of lines.
type Engine struct {
	d     Deps
	shelf *shelf.Shelf[*Collection]
}

// New returns an engine. Close ends it.
func New(d Deps) (*Engine, error) {
	s, err := shelf.New(d.Registry, d.Bus, shelf.Kind[*Collection]{External: ExternalType, Fragment: Fragment, ByID: true, Parse: Read})
	return &Engine{d, s}, err
}

// Close ends listening to changes of collections.
func (e *Engine) Close() { e.shelf.Close() }

// Find returns the object of a collection by its X-Id, which is an external id or the id of the object; fault.NotFound if there is none.
func (e *Engine) Find(ctx context.Context, t iot.TenantID, xid string) (iot.ID, error) {
	return e.shelf.Find(ctx, t, xid)
}

// Render returns the lines that a collection makes of a document; none if there is no such collection.
func (e *Engine) Render(ctx context.Context, t iot.TenantID, xid string, doc json.RawMessage) ([]string, error) {
	book, err := e.shelf.Get(ctx, t, xid)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return book.Collection.Render(doc, 1), nil
}

// row is one line of a body.
type row struct {
	number int // from 1
	fields []string
	bad    *smartrest.LineError
}

func rows(body []byte) (out []row) {
	for f, err := range smartrest.Split(body, smartrest.Limits{Bytes: MaxBody, Lines: 2*MaxTemplates + 1000}) {
		r := row{number: len(out) + 1, bad: err}
		for s, ok := f.Next(); ok; s, ok = f.Next() {
			r.fields = append(r.fields, s)
		}
		out = append(out, r)
	}
	return out
}

// run is one body on its way.
type run struct {
	e      *Engine
	ctx    context.Context
	p      iot.Principal
	mode   iot.ProcessingMode
	from   Origin
	own    string // the X-Id that came beside the body
	xid    string // the one in use
	books  map[string]*Collection
	told   bool // that the one in use does not exist
	out    []string
	group  []string // lines since the collection changed
	failed error    // what may succeed later
}

// Run executes a body and returns the lines that answer it. xid names the collection; empty: a line 15 does. The error, which may come
// beside lines, is what the platform could not do and may be able to do later.
func (e *Engine) Run(ctx context.Context, p iot.Principal, mode iot.ProcessingMode, xid string, body []byte, from Origin) (lines []string, err error) {
	r := &run{e: e, ctx: ctx, p: p, mode: mode, from: from, own: xid, xid: xid, books: map[string]*Collection{}}
	all := rows(body)
	switch {
	case len(all) == 0:
		r.exists()
	case registers(all):
		r.register(all)
	default:
		for _, x := range all {
			r.row(x)
		}
	}
	r.endGroup()
	return r.out, r.failed
}

// registers reports whether the first line that is no comment is a template.
func registers(all []row) bool {
	for _, r := range all {
		if r.bad != nil {
			return false
		}
		if !strings.HasPrefix(r.fields[0], "#") {
			return r.fields[0] == "10" || r.fields[0] == "11"
		}
	}
	return false
}

const noTemplate = "No template for this X-ID."

func (r *run) say(fields ...string) { r.group = append(r.group, Format(fields...)) }

// endGroup ends the answers of one collection. c8y: those of a collection that a line 15 chose are announced by 87.
func (r *run) endGroup() {
	if len(r.group) > 0 && r.xid != r.own {
		r.out = append(r.out, Format("87", strconv.Itoa(len(r.group)), r.xid))
	}
	r.out = append(r.out, r.group...)
	r.group = nil
}

// trouble tells of an error of the platform.
func (r *run) trouble(number int, err error) {
	row := fault.KindOf(err).Row()
	if row.Retry || fault.KindOf(err).Ours() {
		r.failed = err
	}
	r.say("50", strconv.Itoa(number), strconv.Itoa(row.HTTP))
}

// exists answers an empty body.
func (r *run) exists() {
	id, err := r.e.shelf.Find(r.ctx, r.p.Tenant, r.xid)
	switch {
	case err == nil:
		r.say("20", id.String())
	case fault.Is(err, fault.NotFound):
		r.say("40", noTemplate)
	default:
		r.trouble(1, err)
	}
}

// register stores a collection. c8y: one that is there cannot be changed this way.
func (r *run) register(all []row) {
	if r.xid == "" {
		r.say("40", noTemplate)
		return
	}
	c, wrong := parse(all)
	if wrong != nil {
		r.group = append(r.group, wrong.line())
		return
	}
	const exists = "The template exists already."
	if _, err := r.e.shelf.Find(r.ctx, r.p.Tenant, r.xid); err == nil {
		r.say("41", exists)
		return
	}
	id, created, err := r.e.shelf.Create(r.ctx, r.p, r.xid, r.xid, c.Doc(), nil)
	switch {
	case err != nil:
		r.trouble(1, err)
	case !created:
		r.say("41", exists)
	default:
		r.say("20", id.String())
	}
}

// row executes one line.
func (r *run) row(x row) {
	number := strconv.Itoa(x.number)
	switch {
	case x.bad != nil:
		r.say("42", number, x.bad.Text)
	case strings.HasPrefix(x.fields[0], "#"):
	case x.number > MaxRows:
		if x.number == MaxRows+1 {
			r.say("42", number, "there are more than "+strconv.Itoa(MaxRows)+" lines")
		}
	case x.fields[0] == "15":
		r.endGroup()
		r.xid, r.told = field(x.fields, 1), false
	case x.fields[0] == "61":
		r.credentials(x)
	default:
		r.request(x)
	}
}

// book returns the collection in use; nil if there is none, of which the device was told.
func (r *run) book(number int) *Collection {
	if c, ok := r.books[r.xid]; ok {
		return c
	}
	book, err := r.e.shelf.Get(r.ctx, r.p.Tenant, r.xid)
	switch {
	case err == nil:
		r.books[r.xid] = book.Collection
	case !fault.Is(err, fault.NotFound):
		r.trouble(number, err)
	case !r.told:
		r.told = true
		r.say("40", noTemplate)
	}
	return book.Collection
}

func (r *run) request(x row) {
	c := r.book(x.number)
	if c == nil {
		return
	}
	number := strconv.Itoa(x.number)
	t := c.Find(x.fields[0])
	if t == nil {
		r.say("43", number)
		return
	}
	uri, body, ok := t.Fill(x.fields[1:], r.e.d.Clock.Now())
	if !ok {
		r.say("45", number)
		return
	}
	a := r.e.d.API(r.ctx, r.p, Call{Method: t.Method, URI: uri, ContentType: t.ContentType, Accept: t.Accept, Body: []byte(body), Mode: r.mode, Origin: r.from})
	if a.Status >= http.StatusBadRequest {
		r.refused(number, a.Status)
		return
	}
	if len(a.Body) > 0 {
		r.group = append(r.group, c.Render(a.Body, x.number)...)
	}
}

func (r *run) refused(number string, status int) {
	if status >= 500 || status == http.StatusTooManyRequests {
		r.failed = fault.E(fault.Op("one.Request"), fault.Unavailable)
	}
	r.say("50", number, strconv.Itoa(status))
}

// credentials is 61,<device id>: c8y: the bootstrap of devices.
func (r *run) credentials(x row) {
	number := strconv.Itoa(x.number)
	body := iot.Doc{}.SetText("id", field(x.fields, 1))
	if token := field(x.fields, 2); token != "" {
		body = body.SetText("securityToken", token)
	}
	a := r.e.d.API(r.ctx, r.p, Call{Method: http.MethodPost, URI: "/devicecontrol/deviceCredentials", ContentType: "application/json", Accept: "application/json", Body: body.AppendTo(nil), Origin: r.from})
	if a.Status >= http.StatusBadRequest {
		r.refused(number, a.Status)
		return
	}
	var c struct{ ID, TenantID, Username, Password string }
	if err := json.Unmarshal(a.Body, &c); err != nil {
		r.refused(number, http.StatusInternalServerError)
		return
	}
	r.say("70", number, c.ID, c.TenantID, c.Username, c.Password)
}
