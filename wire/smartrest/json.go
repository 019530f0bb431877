package smartrest

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/isobar-iot/isobar/iot"
)

func emptyObject() json.RawMessage { return json.RawMessage("{}") }

func null() json.RawMessage { return json.RawMessage("null") }

func boolean(b bool) json.RawMessage {
	if b {
		return json.RawMessage("true")
	}
	return json.RawMessage("false")
}

func text(s string) json.RawMessage { return iot.AppendText(nil, s) }

// texts returns an object of texts from names and values in turn; empty values are left out.
func texts(pairs ...string) iot.Doc {
	d := make(iot.Doc, 0, len(pairs)/2+1)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			d = append(d, iot.Member{Name: pairs[i], Raw: text(pairs[i+1])})
		}
	}
	return d
}

// nulls returns the patch that removes the named members.
func nulls(names []string) iot.Doc {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	d := make(iot.Doc, len(names))
	for i, n := range names {
		d[i] = iot.Member{Name: n, Raw: null()}
	}
	return d
}

// object reads raw as an object; it is empty if raw is something else.
func object(raw json.RawMessage) iot.Doc {
	d, err := iot.ParseDoc(raw, iot.MaxDepth)
	if err != nil {
		return nil
	}
	return d
}

// array reads raw as an array; ok is false if raw is something else.
func array(raw json.RawMessage) (items []json.RawMessage, ok bool) {
	items, err := iot.ParseArray(raw, iot.MaxDepth)
	return items, err == nil
}

// member returns a member of an object that is neither absent nor null.
func member(raw json.RawMessage, name string) (value json.RawMessage, ok bool) {
	value = object(raw).Get(name)
	return value, value != nil && !iot.IsNull(value)
}

// plain returns a JSON value as the text of a field: strings without quotes, nothing for null, everything else as it is.
func plain(raw json.RawMessage) string {
	if s, ok := iot.RawText(raw); ok {
		return s
	}
	if len(raw) == 0 || iot.IsNull(raw) {
		return ""
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// FieldText returns a JSON value as the text of a field: strings without quotes, nothing for null, everything else as compact JSON.
func FieldText(raw json.RawMessage) string { return plain(raw) }
