package custom

import (
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/jsonpath"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// Parse reads the lines that create a collection. The first line that is not right is the error. Lines that start with # are comments.
func Parse(payload []byte) (*Collection, *smartrest.LineError) {
	c := &Collection{}
	for f, err := range smartrest.Split(payload, smartrest.Limits{Bytes: len(payload) + 1, Fields: 3*MaxFields + 20}) {
		if err != nil {
			return nil, err
		}
		if err := c.line(f); err != nil {
			return nil, err
		}
	}
	if len(c.Requests)+len(c.Responses) == 0 {
		return nil, &smartrest.LineError{Code: smartrest.CodeMalformed, Text: "there are no templates"}
	}
	c.index()
	return c, nil
}

func (c *Collection) line(f smartrest.Fields) *smartrest.LineError {
	var fields []string
	for s, ok := f.Next(); ok; s, ok = f.Next() {
		fields = append(fields, s)
	}
	kind := fields[0]
	if strings.HasPrefix(kind, "#") {
		return nil
	}
	fail := func(format string, args ...any) *smartrest.LineError {
		return &smartrest.LineError{Code: smartrest.CodeMalformed, MessageID: clip(kind), Text: fmt.Sprintf(format, args...)}
	}
	if kind != "10" && kind != "11" {
		return fail("a line of a collection starts with 10 or 11")
	}
	if len(fields) < 2 || fields[1] == "" {
		return fail("the id of the template is missing")
	}
	id := fields[1]
	if len(id) > maxID {
		return fail("the id of a template is longer than %d bytes", maxID)
	}
	if len(c.Requests) == MaxTemplates || len(c.Responses) == MaxTemplates {
		return fail("the collection has more than %d templates", MaxTemplates)
	}
	if kind == "11" {
		r, err := newResponse(id, at(fields, 2), at(fields, 3), rest(fields, 4))
		if err != nil {
			return fail("template %s: %s", id, fault.Message(err))
		}
		c.Responses = append(c.Responses, r)
		return nil
	}
	for _, r := range c.Requests {
		if r.ID == id {
			return fail("there are two request templates %s", id)
		}
	}
	r, why := newRequest(id, rest(fields, 2))
	if why != "" {
		return fail("template %s: %s", id, why)
	}
	c.Requests = append(c.Requests, r)
	return nil
}

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 32)], "") }

func at(fields []string, i int) string {
	if i < len(fields) {
		return fields[i]
	}
	return ""
}

func rest(fields []string, i int) []string { return fields[min(i, len(fields)):] }

// newRequest reads method, api, response, the fixed fields and the custom triples.
func newRequest(id string, f []string) (r Request, why string) {
	r = Request{ID: id, Method: Method(strings.ToUpper(at(f, 0))), API: API(strings.ToUpper(at(f, 1)))}
	list, ok := fixed(r.Method, r.API)
	if !ok {
		return r, fmt.Sprintf("%.20s %.20s is not supported", at(f, 0), at(f, 1))
	}
	switch response := strings.ToLower(at(f, 2)); response {
	case "true", "false":
		r.Response = response == "true"
	case "":
		r.Response = r.Method == Get
	default:
		return r, "the field response is neither true nor false"
	}
	f = rest(f, 3)
	if r.API == Inventory {
		if f, why = r.inventory(f); why != "" {
			return r, why
		}
	}
	for i := range list {
		if text := at(f, i); text != "" && !strings.EqualFold(text, "null") {
			list[i].Text, list[i].given = text, true
			if _, err := list[i].Type.encode(text, time.Time{}); err != nil {
				return r, fault.Message(err)
			}
		}
	}
	r.Fixed = list
	r.Custom, why = triples(rest(f, len(list)))
	return r, why
}

// inventory reads how the object is named.
func (r *Request) inventory(f []string) (left []string, why string) {
	if r.Method == Post {
		r.ExternalType = at(f, 0)
		return rest(f, 1), ""
	}
	switch strings.ToLower(at(f, 0)) {
	case "true":
		r.ByID = true
	case "false", "":
	default:
		r.Self = true
		return f, ""
	}
	r.ExternalType = at(f, 1)
	return rest(f, 2), ""
}

// triples reads path, type and value of the custom values. c8y: the last ones of a line may be cut off, and null stands for no value.
func triples(f []string) (out []Value, why string) {
	for i := 0; i < len(f); i += 3 {
		if f[i] == "" && at(f, i+1) == "" && at(f, i+2) == "" {
			continue // trailing commas
		}
		if len(out) == MaxFields {
			return nil, fmt.Sprintf("it has more than %d values", MaxFields)
		}
		v, why := newValue(f[i], at(f, i+1))
		if why != "" {
			return nil, why
		}
		if text := at(f, i+2); text != "" && !strings.EqualFold(text, "null") && v.Type != Flag {
			if _, err := v.Type.encode(text, time.Time{}); err != nil {
				return nil, fault.Message(err)
			}
			v.Text, v.given = text, true
		}
		out = append(out, v)
	}
	return out, ""
}

func newValue(path, kind string) (v Value, why string) {
	t, ok := typeOf(kind)
	if !ok {
		return v, fmt.Sprintf("there is no type of value %.30q", kind)
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return v, fault.Message(err)
	}
	names, ok := p.Names()
	if !ok {
		return v, fmt.Sprintf("a value cannot be written to %.60q", path)
	}
	return Value{Path: names, Type: t}, ""
}

func newResponse(id, base, condition string, patterns []string) (r Response, err error) {
	r.ID = id
	if r.base, err = jsonpath.Parse(base); err != nil {
		return r, err
	}
	if r.condition, err = jsonpath.Parse(condition); err != nil {
		return r, err
	}
	if patterns = jsonpath.Trim(patterns); len(patterns) > MaxFields {
		return r, fault.Errorf("custom.Parse", fault.Invalid, "it has more than %d patterns", MaxFields)
	}
	r.patterns, err = jsonpath.ParseList(patterns)
	return r, err
}

// Read reads the stored form of a collection. What in it is not right is left out and told in problems, so that one bad template, which a
// person may have written by hand, does not take the others with it.
func Read(d iot.Doc) (c *Collection, problems []string) {
	c = &Collection{}
	docs := func(name string) []iot.Doc {
		list, err := iot.ParseDocs(d.Get(name), iot.MaxDepth)
		if err != nil && d.Get(name) != nil && !iot.IsNull(d.Get(name)) {
			problems = append(problems, name+" is not a list of objects")
		}
		return list[:min(len(list), MaxTemplates)]
	}
	for _, t := range docs("requestTemplates") {
		r, why := readRequest(t)
		if why != "" {
			problems = append(problems, why)
			continue
		}
		c.Requests = append(c.Requests, r)
	}
	for _, t := range docs("responseTemplates") {
		var patterns []string
		items, _ := iot.ParseArray(t.Get("pattern"), iot.MaxDepth)
		for _, i := range items {
			patterns = append(patterns, smartrest.FieldText(i))
		}
		id := smartrest.FieldText(t.Get("msgId"))
		r, err := newResponse(id, smartrest.FieldText(t.Get("base")), smartrest.FieldText(t.Get("condition")), patterns)
		if err != nil || id == "" {
			problems = append(problems, fmt.Sprintf("response template %.40q: %v", id, err))
			continue
		}
		r.Name = smartrest.FieldText(t.Get("name"))
		c.Responses = append(c.Responses, r)
	}
	c.index()
	return c, problems
}

func readRequest(t iot.Doc) (r Request, why string) {
	get := func(name string) string { return smartrest.FieldText(t.Get(name)) }
	r = Request{ID: get("msgId"), Name: get("name"), Method: Method(strings.ToUpper(get("method"))), API: API(strings.ToUpper(get("api"))), ByID: get("byId") == "true", ExternalType: get("externalIdType")}
	r.Response = get("response") == "true" || get("response") == "" && r.Method == Get
	list, ok := fixed(r.Method, r.API)
	if !ok || r.ID == "" {
		return r, fmt.Sprintf("request template %.40q: %.20s %.20s is not supported", r.ID, r.Method, r.API)
	}
	r.Self = r.API == Inventory && r.Method == Put && t.Get("byId") == nil && r.ExternalType == ""
	r.Fixed = list
	stored, why := readValues(t, "mandatoryValues")
	if why != "" {
		return r, why
	}
	for i := range r.Fixed {
		for _, v := range stored {
			if v.Path[0] == r.Fixed[i].Path[0] && v.given {
				r.Fixed[i].Text, r.Fixed[i].given = v.Text, true
			}
		}
	}
	r.Custom, why = readValues(t, "customValues")
	return r, why
}

func readValues(t iot.Doc, name string) (out []Value, why string) {
	list, err := iot.ParseDocs(t.Get(name), iot.MaxDepth)
	if err != nil && t.Get(name) != nil && !iot.IsNull(t.Get(name)) || len(list) > MaxFields {
		return nil, name + " is not a list of at most " + fmt.Sprint(MaxFields) + " objects"
	}
	for _, d := range list {
		v, why := newValue(smartrest.FieldText(d.Get("path")), smartrest.FieldText(d.Get("type")))
		if why != "" {
			return nil, why
		}
		if text := smartrest.FieldText(d.Get("value")); text != "" && v.Type != Flag {
			v.Text, v.given = text, true
		}
		out = append(out, v)
	}
	return out, ""
}
