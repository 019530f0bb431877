package iot

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Doc is a JSON object kept as its top-level members in order, each with its raw, validated text, so that numbers, key order
// and unknown fragments survive a round trip unchanged.
//
// Raw values may alias the buffer they were parsed from; a Doc must be treated as immutable except through its methods,
// which never write into a raw value.
type Doc []Member

// Member is one top-level member of a Doc.
type Member struct {
	Name string
	Raw  json.RawMessage
}

// Get returns the raw value of a member, nil if it is absent.
func (d Doc) Get(name string) json.RawMessage {
	for i := range d {
		if d[i].Name == name {
			return d[i].Raw
		}
	}
	return nil
}

// Has reports whether a member is present.
func (d Doc) Has(name string) bool { return d.Get(name) != nil }

// Text returns a member that is a JSON string; ok is false if it is absent or of another type.
func (d Doc) Text(name string) (s string, ok bool) { return RawText(d.Get(name)) }

// RawText decodes raw JSON that is a string.
func RawText(raw json.RawMessage) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// Set returns d with a member replaced in place or appended.
func (d Doc) Set(name string, raw json.RawMessage) Doc {
	for i := range d {
		if d[i].Name == name {
			d[i].Raw = raw
			return d
		}
	}
	return append(d, Member{name, raw})
}

// many is from how many members on a document is looked into by an index: below, walking along it is quicker.
const many = 24

// put is Set for many members in a row: known is the index, nil at first.
func (d Doc) put(known map[string]int, name string, raw json.RawMessage) (Doc, map[string]int) {
	if len(d) < many {
		return d.Set(name, raw), nil
	}
	if known == nil {
		known = make(map[string]int, 2*len(d))
		for i := range d {
			known[d[i].Name] = i
		}
	}
	if i, ok := known[name]; ok {
		d[i].Raw = raw
		return d, known
	}
	known[name] = len(d)
	return append(d, Member{name, raw}), known
}

// getter returns Get for many names.
func (d Doc) getter() func(name string) json.RawMessage {
	if len(d) < many {
		return d.Get
	}
	known := make(map[string]json.RawMessage, len(d))
	for i := len(d) - 1; i >= 0; i-- { // as Get: the first one
		known[d[i].Name] = d[i].Raw
	}
	return func(name string) json.RawMessage { return known[name] }
}

// SetText is Set with a JSON string.
func (d Doc) SetText(name, value string) Doc { return d.Set(name, AppendText(nil, value)) }

// Without returns a copy of d that lacks the named members.
func (d Doc) Without(names ...string) Doc {
	out := make(Doc, 0, len(d))
next:
	for _, m := range d {
		for _, n := range names {
			if m.Name == n {
				continue next
			}
		}
		out = append(out, m)
	}
	return out
}

// Merge returns a copy of d in which each member of patch replaces the whole member of d; a null removes it.
// This is the partial update of the API: fragments are replaced whole, never merged deeply.
func (d Doc) Merge(patch Doc) Doc {
	out := make(Doc, len(d), len(d)+len(patch))
	copy(out, d)
	var known map[string]int
	removed := false
	for _, m := range patch {
		out, known = out.put(known, m.Name, m.Raw)
		removed = removed || IsNull(m.Raw)
	}
	if !removed {
		return out
	}
	null := map[string]bool{}
	for _, m := range patch {
		null[m.Name] = IsNull(m.Raw)
	}
	return slices.DeleteFunc(out, func(m Member) bool { return null[m.Name] })
}

// WithoutNulls returns d without members that are null (creating with null is the same as leaving out).
func (d Doc) WithoutNulls() Doc {
	for i := range d {
		if IsNull(d[i].Raw) {
			return Doc{}.Merge(d)
		}
	}
	return d
}

// Equal reports whether two documents have the same members with the same text, in any order.
func (d Doc) Equal(o Doc) bool {
	if len(d) != len(o) {
		return false
	}
	get := o.getter()
	for _, m := range d {
		if !bytes.Equal(m.Raw, get(m.Name)) {
			return false
		}
	}
	return true
}

// IsNull reports whether raw is the JSON null.
func IsNull(raw json.RawMessage) bool { return len(raw) == 4 && raw[0] == 'n' }

// MarshalJSON returns the object's text.
func (d Doc) MarshalJSON() ([]byte, error) { return d.AppendTo(nil), nil }

// UnmarshalJSON parses with the default limits.
func (d *Doc) UnmarshalJSON(b []byte) (err error) {
	*d, err = ParseDoc(bytes.Clone(b), MaxDepth)
	return err
}

// AppendTo appends the object's text.
func (d Doc) AppendTo(b []byte) []byte {
	b = append(b, '{')
	b = d.AppendMembers(b)
	return append(b, '}')
}

// AppendMembers appends the members without the braces.
func (d Doc) AppendMembers(b []byte) []byte {
	for i := range d {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(b, d[i].Name)
		b = append(b, ':')
		b = append(b, d[i].Raw...)
	}
	return b
}

const hex = "0123456789abcdef"

// AppendTexts appends a JSON array of strings.
func AppendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(b, s)
	}
	return append(b, ']')
}

// AppendText appends s as a JSON string (RFC 8259). Bytes that are not UTF-8 become U+FFFD.
func AppendText(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < 0x80 {
			continue
		}
		if c >= 0x80 {
			return appendTextSlow(b, s, start)
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendTextSlow(b []byte, s string, start int) []byte {
	for _, r := range s[start:] {
		if r < 0x80 && (r < 0x20 || r == '"' || r == '\\') {
			b = appendEscape(b, byte(r))
			continue
		}
		b = append(b, string(r)...) // an invalid byte ranges as U+FFFD
	}
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
