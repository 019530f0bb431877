package custom

import (
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/jsonpath"
)

// How a collection is kept in the inventory. c8y: the names are those that the user interface of the platform reads and writes.
const (
	ObjectType   = "c8y_SmartRest2Template"
	ExternalType = "c8y_SmartRest2DeviceIdentifier"
	Fragment     = "com_cumulocity_model_smartrest_csv_CsvSmartRestTemplate"
	NameMember   = "__externalId"
)

const (
	// MaxTemplates bounds the request and the response templates of a collection, each.
	MaxTemplates = 1000
	// MaxFields bounds the values of a request template and the patterns of a response template.
	MaxFields = 200
	// MaxLine bounds a line that a response template makes, in bytes. A longer one is left out: c8y: a message holds 16,184 bytes.
	MaxLine = 16 << 10
	// maxID bounds the id of a template, in bytes.
	maxID = 64
)

// Method is what a request does.
type Method string

// API is what it does it to.
type API string

// The methods and what they can be applied to.
const (
	Get  Method = "GET"
	Post Method = "POST"
	Put  Method = "PUT"

	Inventory   API = "INVENTORY"
	Measurement API = "MEASUREMENT"
	Event       API = "EVENT"
	Alarm       API = "ALARM"
	Operation   API = "OPERATION"
)

// Value is one value of a request: fixed, or taken from the line.
type Value struct {
	Path  []string // names of the members that lead to it
	Type  Type
	Text  string // the fixed value; empty: the line has it
	given bool   // there is a fixed value, which may be empty text
}

// Request is a template of a line from a device.
type Request struct {
	ID           string
	Name         string // a person's, may be empty
	Method       Method
	API          API
	Response     bool // the answer is run through the response templates
	ByID         bool
	ExternalType string // of the external id that names the object; empty: the line has it
	// Self says that the template names no object at all: c8y: one of the inventory without its two fixed fields is about the connected device.
	Self   bool
	Fixed  []Value // those that the kind of request always has
	Custom []Value
}

// Response is a template of lines to a device.
type Response struct {
	ID        string
	Name      string
	base      jsonpath.Path
	condition jsonpath.Path
	patterns  []jsonpath.Path
}

// Collection is a set of templates. The zero value is an empty one.
type Collection struct {
	Requests  []Request
	Responses []Response
	requests  map[string]*Request
}

func (c *Collection) index() {
	c.requests = make(map[string]*Request, len(c.Requests))
	for i := range c.Requests {
		if _, ok := c.requests[c.Requests[i].ID]; !ok { // the first one counts
			c.requests[c.Requests[i].ID] = &c.Requests[i]
		}
	}
}

// Find returns the request template with an id, nil if there is none.
func (c *Collection) Find(id string) *Request { return c.requests[id] }

// fixed are the values that each kind of request has before the custom ones, in the order of the line.
func fixed(m Method, a API) (values []Value, ok bool) {
	text := func(name string) Value { return Value{Path: []string{name}, Type: String} }
	at := Value{Path: []string{"time"}, Type: Date}
	switch {
	case a == Inventory && (m == Get || m == Post || m == Put):
		return nil, true
	case m == Post && a == Measurement:
		return []Value{text("type"), at}, true
	case m == Post && a == Event:
		return []Value{text("type"), text("text"), at}, true
	case m == Post && a == Alarm:
		return []Value{text("type"), text("text"), {Path: []string{"status"}, Type: AlarmStatus}, {Path: []string{"severity"}, Type: Severity}, at}, true
	case m == Put && a == Alarm:
		return []Value{text("type")}, true
	case m == Put && a == Operation:
		return []Value{text(fragmentMember)}, true
	}
	return nil, false
}

// fragmentMember stands for the fragment of the operation that a request is about.
const fragmentMember = "fragment"

// Doc returns the stored form of a collection.
func (c *Collection) Doc() iot.Doc {
	requests, responses := []byte{'['}, []byte{'['}
	for i, r := range c.Requests {
		if i > 0 {
			requests = append(requests, ',')
		}
		requests = r.doc().AppendTo(requests)
	}
	for i, r := range c.Responses {
		if i > 0 {
			responses = append(responses, ',')
		}
		responses = r.doc().AppendTo(responses)
	}
	return iot.Doc{}.Set("requestTemplates", append(requests, ']')).Set("responseTemplates", append(responses, ']'))
}

func (r *Request) doc() iot.Doc {
	d := iot.Doc{}.SetText("msgId", r.ID).SetText("name", r.label()).SetText("method", string(r.Method)).SetText("api", string(r.API)).Set("response", boolean(r.Response))
	if r.API == Inventory && !r.Self {
		d = d.Set("byId", boolean(r.ByID))
		if r.ExternalType != "" {
			d = d.SetText("externalIdType", r.ExternalType)
		}
	}
	return d.Set("mandatoryValues", values(r.Fixed)).Set("customValues", values(r.Custom))
}

func (r *Request) label() string {
	if r.Name == "" {
		return r.ID
	}
	return r.Name
}

func values(list []Value) []byte {
	b := []byte{'['}
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		d := iot.Doc{}.SetText("path", "$."+pathText(v.Path)).SetText("type", string(v.Type))
		if v.given {
			d = d.SetText("value", v.Text)
		} else {
			d = d.Set("value", []byte("null"))
		}
		b = d.AppendTo(b)
	}
	return append(b, ']')
}

// pathText joins names into a path, quoting those that need it.
func pathText(names []string) string {
	var out []byte
	for i, n := range names {
		if _, err := jsonpath.Parse(n); err != nil || containsStep(n) {
			out = append(append(append(out, "['"...), n...), "']"...)
			continue
		}
		if i > 0 {
			out = append(out, '.')
		}
		out = append(out, n...)
	}
	return string(out)
}

func containsStep(n string) bool {
	p, _ := jsonpath.Parse(n)
	names, ok := p.Names()
	return !ok || len(names) != 1 || names[0] != n
}

func (r *Response) doc() iot.Doc {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	d := iot.Doc{}.SetText("msgId", r.ID).SetText("name", name).SetText("base", r.base.String()).SetText("condition", r.condition.String())
	return d.Set("pattern", iot.AppendTexts(nil, jsonpath.Texts(r.patterns)))
}

func boolean(b bool) []byte {
	if b {
		return []byte("true")
	}
	return []byte("false")
}
