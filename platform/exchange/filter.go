package exchange

import (
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Types are the types that a filter lets pass; nil: all.
type Types []string

const maxFilter = 8 << 10

// ParseTypes reads a filter: one type, quoted or not, or quoted types joined by or: 'c8y_Temperature' or 'c8y_Pressure'. A quote inside
// quotes is doubled. A leading "type eq" before each is understood.
func ParseTypes(s string) (Types, error) {
	const op = fault.Op("exchange.ParseTypes")
	bad := func(why string) (Types, error) { return nil, fault.E(op, fault.Invalid, "typeFilter: "+why) }
	if len(s) > maxFilter {
		return bad("it is too long")
	}
	if s = strings.TrimSpace(s); s == "" {
		return nil, nil
	}
	if !strings.Contains(s, "'") {
		return Types{s}, nil
	}
	var out Types
	for {
		s = strings.TrimSpace(strings.TrimPrefix(s, "type eq "))
		value, rest, ok := quoted(s)
		if !ok {
			return bad("types must be in single quotes and joined by or")
		}
		out = append(out, value)
		if s = strings.TrimSpace(rest); s == "" {
			return out, nil
		}
		word, rest, ok := strings.Cut(s, " ")
		if !ok || !strings.EqualFold(word, "or") {
			return bad("only the operator or is supported")
		}
		s = strings.TrimSpace(rest)
	}
}

// quoted takes a text in single quotes from the start of s.
func quoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), s[i+1:], true
	}
	return "", "", false
}

// pass reports whether a fact of a type passes. Of what is deleted the type is not known any more: that passes.
func (t Types) pass(f *fact) bool {
	return t == nil || f.action == iot.Deleted || slices.Contains(t, f.typ)
}
