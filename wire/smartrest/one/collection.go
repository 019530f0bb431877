package one

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/jsonpath"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// How a collection is kept in the inventory. c8y: the names of the members are those of the platform's own clients.
const (
	ExternalType = "c8y_SmartRestDeviceIdentifier"
	Fragment     = "com_cumulocity_model_smartrest_SmartRestTemplate"
)

const (
	// MaxTemplates bounds the request and the response templates of a collection, each.
	MaxTemplates = 1000
	// MaxFields bounds the parameters of a request and the patterns of a response.
	MaxFields = 200
	// MaxLine bounds a line that a response template makes, in bytes; a longer one is left out.
	MaxLine = 64 << 10
	// MaxBody bounds what devices send at once, in bytes.
	MaxBody = 1 << 20
	// MaxRows bounds the lines of a body that use templates.
	MaxRows = 1000
	maxID   = 20
)

// Request is a template of a request to the REST API.
type Request struct {
	ID          string
	Method      string
	URI         string
	ContentType string
	Accept      string
	Placeholder string
	Params      []string // types, in the order of the placeholders: first those of the URI, then those of the body
	Body        string
}

// Response is a template of lines about a document.
type Response struct {
	ID        string
	base      jsonpath.Path
	condition jsonpath.Path
	patterns  []jsonpath.Path
}

// Collection is a set of templates. It is not changed after it was made.
type Collection struct {
	Requests  []Request
	Responses []Response
}

// Find returns the request template with an id, nil if there is none.
func (c *Collection) Find(id string) *Request {
	for i := range c.Requests {
		if c.Requests[i].ID == id {
			return &c.Requests[i]
		}
	}
	return nil
}

// params are the types of parameters, and whether they take a value from the line.
var params = map[string]bool{"STRING": true, "UNSIGNED": true, "INTEGER": true, "NUMBER": true, "DATE": true, "NOW": false}

var methods = map[string]bool{"GET": true, "POST": true, "PUT": true, "DELETE": true}

// problem is what is wrong with a body and where.
type problem struct {
	row  int // from 1; zero: nowhere in particular
	text string
}

// line tells of it: c8y: 41, the row and, for people, a text.
func (p *problem) line() string {
	if p.row == 0 {
		return Format("41", p.text)
	}
	return Format("41", fmt.Sprint(p.row), p.text)
}

// parse reads the rows that register a collection.
func parse(rows []row) (*Collection, *problem) {
	c := &Collection{}
	for _, r := range rows {
		if r.bad != nil {
			return nil, &problem{r.number, r.bad.Text}
		}
		why := ""
		switch f := r.fields; {
		case strings.HasPrefix(f[0], "#"):
			continue
		case len(c.Requests) == MaxTemplates || len(c.Responses) == MaxTemplates:
			why = fmt.Sprintf("there are more than %d templates", MaxTemplates)
		case f[0] == "10":
			why = c.request(f)
		case f[0] == "11":
			why = c.response(f)
		default:
			why = "a template starts with 10 or 11"
		}
		if why != "" {
			return nil, &problem{r.number, why}
		}
	}
	return c, nil
}

func field(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

// validID: c8y: a whole number without sign, and not one of the built-in messages.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && strings.Trim(id, "0123456789") == "" && (len(id) > 2 || id[0] == '0')
}

// request reads 10,<id>,<method>,<URI>,<content type>,<accept>,<placeholder>,<types>,<body>.
func (c *Collection) request(f []string) (why string) {
	r := Request{ID: field(f, 1), Method: strings.ToUpper(field(f, 2)), URI: field(f, 3), ContentType: field(f, 4), Accept: field(f, 5), Placeholder: field(f, 6), Body: field(f, 8)}
	r.Params = strings.Fields(strings.ToUpper(field(f, 7)))
	if c.Find(r.ID) != nil {
		return "there are two request templates " + r.ID
	}
	if why = r.check(); why == "" {
		c.Requests = append(c.Requests, r)
	}
	return why
}

func (r *Request) check() string {
	sends := r.Method == "POST" || r.Method == "PUT"
	switch {
	case !validID(r.ID):
		return "the id of a request template must be a number of at least three digits"
	case !methods[r.Method]:
		return fmt.Sprintf("the method %.10q is not supported", r.Method)
	case !strings.HasPrefix(r.URI, "/"):
		return "the URI must start with a slash"
	case sends && (r.ContentType == "" || r.Body == ""):
		return "content type and template text are needed for " + r.Method
	case !sends && r.Body != "":
		return "template text is not allowed for " + r.Method
	case len(r.Params) > MaxFields || r.places() > MaxFields:
		return fmt.Sprintf("there are more than %d parameters", MaxFields)
	}
	for _, p := range r.Params {
		if _, ok := params[p]; !ok {
			return fmt.Sprintf("there is no type of parameter %.20q", p)
		}
	}
	return ""
}

// places counts the placeholders.
func (r *Request) places() int {
	if r.Placeholder == "" {
		return 0
	}
	return strings.Count(r.URI, r.Placeholder) + strings.Count(r.Body, r.Placeholder)
}

// response reads 11,<id>,<base>,<condition>,<pattern>...
func (c *Collection) response(f []string) (why string) {
	r, err := newResponse(field(f, 1), field(f, 2), field(f, 3), f[min(4, len(f)):])
	if err != nil {
		return fault.Message(err)
	}
	c.Responses = append(c.Responses, r)
	return ""
}

func newResponse(id, base, condition string, patterns []string) (r Response, err error) {
	if !validID(id) {
		return r, fault.Errorf("one.Parse", fault.Invalid, "the id of a response template must be a number of at least three digits")
	}
	r.ID = id
	if r.base, err = jsonpath.Parse(base); err != nil {
		return r, err
	}
	if r.condition, err = jsonpath.Parse(condition); err != nil {
		return r, err
	}
	if patterns = jsonpath.Trim(patterns); len(patterns) == 0 || len(patterns) > MaxFields {
		return r, fault.Errorf("one.Parse", fault.Invalid, "a response template needs between 1 and %d patterns", MaxFields)
	}
	r.patterns, err = jsonpath.ParseList(patterns)
	return r, err
}

// Render returns the lines that the response templates make of a document. number is that of the row that asked; 1 for what nobody asked for.
//
// c8y: a base that is a list yields a line for each element. Condition and patterns start at the base. What a pattern does not find is an
// empty field; without a condition something must be found.
func (c *Collection) Render(doc json.RawMessage, number int) (lines []string) {
	for i := range c.Responses {
		lines = c.Responses[i].render(lines, doc, number)
	}
	return lines
}

func (r *Response) render(lines []string, doc json.RawMessage, number int) []string {
	for _, base := range r.base.Find(doc) {
		elements := []json.RawMessage{base}
		if items, err := iot.ParseArray(base, iot.MaxDepth); err == nil {
			elements = items[:min(len(items), jsonpath.MaxFound)]
		}
		for _, e := range elements {
			if line, ok := r.line(e, number); ok && len(line) <= MaxLine {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func (r *Response) line(e json.RawMessage, number int) (string, bool) {
	conditional := !r.condition.Root()
	if conditional && !r.condition.Exists(e) {
		return "", false
	}
	fields := []string{r.ID, fmt.Sprint(number)}
	found := conditional
	for _, p := range r.patterns {
		values := p.Find(e)
		found = found || len(values) > 0
		if len(values) == 0 {
			fields = append(fields, "")
		}
		for _, v := range values {
			fields = append(fields, smartrest.FieldText(v))
		}
	}
	return Format(fields...), found && len(fields) <= 2+jsonpath.MaxFound
}

// Doc returns the stored form.
func (c *Collection) Doc() iot.Doc {
	requests, responses := []byte{'['}, []byte{'['}
	for i, r := range c.Requests {
		if i > 0 {
			requests = append(requests, ',')
		}
		d := iot.Doc{}.SetText("msgId", r.ID).SetText("method", r.Method).SetText("resourceUri", r.URI).SetText("contentType", r.ContentType).SetText("accept", r.Accept).
			SetText("placeholder", r.Placeholder).Set("values", iot.AppendTexts(nil, r.Params)).SetText("templateString", r.Body)
		requests = d.AppendTo(requests)
	}
	for i, r := range c.Responses {
		if i > 0 {
			responses = append(responses, ',')
		}
		d := iot.Doc{}.SetText("msgId", r.ID).SetText("base", r.base.String()).SetText("condition", r.condition.String()).Set("pattern", iot.AppendTexts(nil, jsonpath.Texts(r.patterns)))
		responses = d.AppendTo(responses)
	}
	return iot.Doc{}.Set("requestTemplates", append(requests, ']')).Set("responseTemplates", append(responses, ']'))
}

// Read reads the stored form. Templates that are not right are left out.
func Read(d iot.Doc) *Collection {
	c := &Collection{}
	requests, _ := iot.ParseDocs(d.Get("requestTemplates"), iot.MaxDepth)
	for _, t := range requests[:min(len(requests), MaxTemplates)] {
		get := func(name string) string { return smartrest.FieldText(t.Get(name)) }
		r := Request{ID: get("msgId"), Method: strings.ToUpper(get("method")), URI: get("resourceUri"), ContentType: get("contentType"), Accept: get("accept"), Placeholder: get("placeholder"), Body: get("templateString")}
		for _, p := range texts(t, "values") {
			r.Params = append(r.Params, strings.ToUpper(p))
		}
		if r.check() == "" {
			c.Requests = append(c.Requests, r)
		}
	}
	responses, _ := iot.ParseDocs(d.Get("responseTemplates"), iot.MaxDepth)
	for _, t := range responses[:min(len(responses), MaxTemplates)] {
		get := func(name string) string { return smartrest.FieldText(t.Get(name)) }
		if r, err := newResponse(get("msgId"), get("base"), get("condition"), texts(t, "pattern")); err == nil {
			c.Responses = append(c.Responses, r)
		}
	}
	return c
}

// texts reads a member that is a list of texts.
func texts(d iot.Doc, name string) (out []string) {
	items, _ := iot.ParseArray(d.Get(name), iot.MaxDepth)
	for _, i := range items {
		out = append(out, smartrest.FieldText(i))
	}
	return out
}
