package jsonpath

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

const (
	// MaxSteps bounds the steps of a path.
	MaxSteps = 32
	// MaxLength bounds the text of a path, in bytes.
	MaxLength = 1024
	// MaxFound bounds the values that one path finds in a document; those behind it are left out.
	MaxFound = 1000
)

// step is one link of a path.
type step struct {
	name  string // of a member, if kind is member
	index int
	kind  kind
}

type kind uint8

const (
	member kind = iota
	position
	all
)

// Path is a parsed path. The zero value is the document itself.
type Path struct {
	steps []step
	text  string
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// Root reports whether the path is that of the document itself.
func (p Path) Root() bool { return len(p.steps) == 0 }

// Many reports whether the path may find several values.
func (p Path) Many() bool {
	for _, s := range p.steps {
		if s.kind == all {
			return true
		}
	}
	return false
}

// Names returns the names of the members on the way; ok is false if the path has positions or wildcards, or is the document itself.
func (p Path) Names() (names []string, ok bool) {
	for _, s := range p.steps {
		if s.kind != member {
			return nil, false
		}
		names = append(names, s.name)
	}
	return names, len(names) > 0
}

// Parse reads a path. Empty text and $ are the document itself. What is not supported is fault.Invalid.
func Parse(text string) (Path, error) {
	rest := strings.TrimSpace(text)
	if len(rest) > MaxLength {
		return Path{}, fault.Errorf("jsonpath.Parse", fault.Invalid, "the path is longer than %d bytes", MaxLength)
	}
	if !utf8.ValidString(rest) || strings.IndexByte(rest, 0) >= 0 { // no document has such names
		return Path{}, invalid(text, "it is not valid UTF-8")
	}
	rooted := strings.HasPrefix(rest, "$")
	if rooted {
		rest = rest[1:]
	}
	p := Path{text: text}
	for first := true; rest != ""; first = false {
		if len(p.steps) == MaxSteps {
			return Path{}, invalid(text, fmt.Sprintf("it has more than %d steps", MaxSteps))
		}
		var s step
		var err string
		switch {
		case rest[0] == '[':
			s, rest, err = bracket(rest)
		case rest[0] == '.':
			s, rest, err = dotted(rest[1:])
		case first && !rooted:
			s, rest, err = dotted(rest)
		default:
			err = "a step starts with a point or a bracket"
		}
		if err != "" {
			return Path{}, invalid(text, err)
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

// ParseList reads paths. The first that is not supported is the error.
func ParseList(texts []string) (paths []Path, err error) {
	for _, text := range texts {
		p, err := Parse(text)
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// Texts returns paths as they were written.
func Texts(paths []Path) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = p.text
	}
	return out
}

// Trim returns the texts without the empty ones at the end that trailing commas leave.
func Trim(texts []string) []string {
	for len(texts) > 0 && texts[len(texts)-1] == "" {
		texts = texts[:len(texts)-1]
	}
	return texts
}

func invalid(text, why string) error {
	return fault.Errorf("jsonpath.Parse", fault.Invalid, "the path %.60q is not supported: %s", text, why)
}

// dotted reads the name in front of the next point or bracket.
func dotted(rest string) (s step, left, err string) {
	end := strings.IndexAny(rest, ".[")
	if end < 0 {
		end = len(rest)
	}
	name := rest[:end]
	switch {
	case name == "":
		return s, "", "a name is missing"
	case name == "*":
		return step{kind: all}, rest[end:], ""
	case strings.ContainsAny(name, "$?()@,*]\"'"):
		return s, "", "a name holds a character that needs ['quotes']"
	}
	return step{name: name}, rest[end:], ""
}

// bracket reads [n], [*] or ['name'].
func bracket(rest string) (s step, left, err string) {
	if len(rest) > 1 && (rest[1] == '\'' || rest[1] == '"') {
		end := strings.IndexByte(rest[2:], rest[1])
		if end < 0 || !strings.HasPrefix(rest[2+end+1:], "]") {
			return s, "", "a quoted name is not closed"
		}
		return step{name: rest[2 : 2+end]}, rest[2+end+2:], ""
	}
	end := strings.IndexByte(rest, ']')
	if end < 0 {
		return s, "", "a bracket is not closed"
	}
	inner := strings.TrimSpace(rest[1:end])
	if inner == "*" {
		return step{kind: all}, rest[end+1:], ""
	}
	n, bad := strconv.ParseInt(inner, 10, 32)
	if bad != nil {
		return s, "", "a bracket holds a number, * or a quoted name"
	}
	return step{kind: position, index: int(n)}, rest[end+1:], ""
}

// Find returns the values at the path, in the order of the document; nil if there are none. They share the memory of the document.
// A null is found as any other value.
func (p Path) Find(doc json.RawMessage) []json.RawMessage {
	at := []json.RawMessage{doc}
	for _, s := range p.steps {
		var next []json.RawMessage
		for _, raw := range at {
			if next = s.follow(next, raw); len(next) >= MaxFound {
				next = next[:MaxFound]
				break
			}
		}
		if len(next) == 0 {
			return nil
		}
		at = next
	}
	return at
}

// Exists reports whether there is a value at the path that is not null.
func (p Path) Exists(doc json.RawMessage) bool {
	for _, raw := range p.Find(doc) {
		if !iot.IsNull(raw) {
			return true
		}
	}
	return false
}

// follow appends what a step finds in a value.
func (s step) follow(out []json.RawMessage, raw json.RawMessage) []json.RawMessage {
	if s.kind != position {
		if d, err := iot.ParseDoc(raw, iot.MaxDepth); err == nil {
			return s.members(out, d)
		}
		if s.kind == member {
			return out
		}
	}
	items, err := iot.ParseArray(raw, iot.MaxDepth)
	if err != nil {
		return out
	}
	if s.kind == all {
		return append(out, items...)
	}
	i := s.index
	if i < 0 {
		i += len(items)
	}
	if i < 0 || i >= len(items) {
		return out
	}
	return append(out, items[i])
}

func (s step) members(out []json.RawMessage, d iot.Doc) []json.RawMessage {
	if s.kind == all {
		for _, m := range d {
			out = append(out, m.Raw)
		}
		return out
	}
	if raw := d.Get(s.name); raw != nil {
		out = append(out, raw)
	}
	return out
}

// Set returns the document with a value at a chain of members, which are made where they are missing. What is on the way and is no object
// is replaced. The document given is not changed.
func Set(d iot.Doc, names []string, value json.RawMessage) iot.Doc {
	if len(names) == 0 {
		return d
	}
	if len(names) > 1 {
		inner, _ := iot.ParseDoc(d.Get(names[0]), iot.MaxDepth)
		value = Set(inner, names[1:], value).AppendTo(nil)
	}
	return append(iot.Doc(nil), d...).Set(names[0], value)
}
