package smartrest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

const typeParameterUpdate = "c8y_ParameterUpdate"

// Parameter is one value at a place in an object: the names from the fragment down, with dots between them.
type Parameter struct {
	Path  string
	Value json.RawMessage
}

// maxPath is the deepest parameter: the fragments around it and its own value must stay within iot.MaxDepth.
const maxPath = iot.MaxDepth / 2

// Patch returns the change of an object with the given fragments: the fragments that have other values now, whole.
// It is empty if the object has these values already.
func (m ParameterUpdate) Patch(current iot.Doc) iot.Doc {
	patch := iot.Doc{}
	for _, f := range grow(m.Parameters).children {
		if old := current.Get(f.name); f.changes(old) {
			patch = append(patch, iot.Member{Name: f.name, Raw: f.apply(old)})
		}
	}
	return patch
}

// branch is one level of the tree that the paths of parameters make up.
type branch struct {
	name     string
	value    json.RawMessage // set on leaves only
	children []*branch
	index    map[string]*branch
}

func grow(list []Parameter) *branch {
	root := &branch{}
	for _, p := range list {
		b := root
		for name := range strings.SplitSeq(p.Path, ".") {
			b = b.child(name)
		}
		b.value, b.children, b.index = p.Value, nil, nil
	}
	return root
}

func (b *branch) child(name string) *branch {
	b.value = nil
	if c := b.index[name]; c != nil {
		return c
	}
	if b.index == nil {
		b.index = map[string]*branch{}
	}
	c := &branch{name: name}
	b.children = append(b.children, c)
	b.index[name] = c
	return c
}

// apply returns old with the values of the branch in it.
func (b *branch) apply(old json.RawMessage) json.RawMessage {
	if b.value != nil {
		return b.value
	}
	d := object(old)
	for _, c := range b.children {
		d = d.Set(c.name, c.apply(d.Get(c.name)))
	}
	return d.AppendTo(nil)
}

// changes reports whether apply(old) means anything else than old.
func (b *branch) changes(old json.RawMessage) bool {
	if b.value != nil {
		return !sameValue(b.value, old)
	}
	d := object(old)
	return slices.ContainsFunc(b.children, func(c *branch) bool { return c.changes(d.Get(c.name)) })
}

// sameValue compares two scalars by what they mean: 1.0 is 1, and what is absent is null.
func sameValue(x, y json.RawMessage) bool {
	if len(x) == 0 || iot.IsNull(x) {
		return len(y) == 0 || iot.IsNull(y)
	}
	s, isText := iot.RawText(x)
	t, alsoText := iot.RawText(y)
	if isText || alsoText {
		return isText && alsoText && s == t
	}
	m, err := iot.ParseNumber(string(x))
	n, err2 := iot.ParseNumber(string(y))
	if err == nil && err2 == nil {
		return m == n || m.Float() == n.Float()
	}
	return bytes.Equal(x, y)
}

func updateParameters(a args) (Message, *LineError) {
	text, at := a.text(), a.time()
	m := ParameterUpdate{DetectChange: strings.EqualFold(a.text(), "true")}
	for g := make([]string, 3); a.group(g); {
		m.Parameters = append(m.Parameters, a.parameter(g[0], g[1], g[2]))
	}
	if len(m.Parameters) == 0 {
		a.missing("path")
	}
	if a.err != nil {
		return nil, a.err
	}
	m.Event = &iot.Event{Type: typeParameterUpdate, Text: text, Time: at, Fragments: ParameterUpdate{Parameters: m.Parameters}.Patch(nil)}
	if text == "" {
		m.Event.Text = "Parameter '" + strings.Join(fragments(m.Parameters), ", ") + "' was updated"
	}
	return m, nil
}

// fragments returns the names of the fragments that the parameters are in.
func fragments(list []Parameter) []string {
	var names []string
	for _, f := range grow(list).children {
		names = append(names, f.name)
	}
	return names
}

func (a *args) parameter(path, kind, value string) Parameter {
	p := Parameter{Path: path, Value: null()}
	switch {
	case path == "":
		a.missing("path")
	case kind == "":
		a.missing("type")
	case strings.Contains("."+path+".", "..") || strings.Count(path, ".") >= maxPath:
		a.fail("the parameter path is not a list of names with dots between them")
	case value != "":
		p.Value = a.typed(kind, value)
	}
	return p
}

// typed returns a value as JSON of the named type; types that are not known are texts.
func (a *args) typed(kind, value string) json.RawMessage {
	switch strings.ToUpper(kind) {
	case "BOOLEAN":
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			a.fail("the value is neither true nor false")
		}
		return boolean(strings.EqualFold(value, "true"))
	case "NUMBER", "INTEGER", "UNSIGNED":
		n := a.parseNumber("value", value)
		return n.AppendTo(nil)
	}
	return text(value)
}
