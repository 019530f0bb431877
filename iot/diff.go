package iot

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDiffValue bounds each value in what Diff returns, in bytes.
const maxDiffValue = 1 << 10

// Diff returns what differs between two versions of a document, member by member at the top level, with the JSON text before and after: a member
// that was added has no Previous, one that was removed no New. Members of before come first, in its order, then those that were added. Values
// that only differ in blanks are the same.
//
// Members whose name is in secret (in any case) are named without values. A value beyond 1 KiB is cut, with a mark that says how long it was.
func Diff(before, after Doc, secret ...string) []AttributeChange {
	var out []AttributeChange
	add := func(name string, from, to json.RawMessage) {
		c := AttributeChange{Attribute: name}
		if !slices.ContainsFunc(secret, func(s string) bool { return strings.EqualFold(s, name) }) {
			c.Previous, c.New = clip(from), clip(to)
		}
		out = append(out, c)
	}
	now, was := after.getter(), before.getter()
	for _, m := range before {
		if to := now(m.Name); !sameJSON(m.Raw, to) {
			add(m.Name, m.Raw, to)
		}
	}
	for _, m := range after {
		if was(m.Name) == nil {
			add(m.Name, nil, m.Raw)
		}
	}
	return out
}

func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil || bytes.Equal(a, b) {
		return bytes.Equal(a, b)
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func clip(raw json.RawMessage) string {
	if len(raw) <= maxDiffValue {
		return string(raw)
	}
	mark := "... (" + strconv.Itoa(len(raw)) + " bytes)"
	end := maxDiffValue - len(mark)
	for end > 0 && !utf8.RuneStart(raw[end]) {
		end--
	}
	return string(raw[:end]) + mark
}
