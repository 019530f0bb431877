package c8yrest_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// shown are the headers of an answer that are always shown.
var shown = []string{"Content-Type", "Location", "Content-Disposition", "Content-Range", "WWW-Authenticate", "Retry-After"}

const width = 150 // what fits into a line stays in one

// view turns answers into text without what differs from run to run.
type view struct {
	host     string
	captured map[string]string
	brief    bool // leave out empty lists of references
}

func (v *view) answer(a answer, more []string) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for _, name := range append(slices.Clone(shown), more...) {
		for _, value := range a.header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, v.text(value))
		}
	}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		c.Value = v.text(c.Value)
		fmt.Fprintf(&b, "Set-Cookie: %s\n", c)
	}
	if a.body != "" {
		b.WriteString("\n" + v.body(a.body))
	}
	return strings.Trim(b.String(), "\n")
}

func (v *view) body(s string) string {
	var b strings.Builder
	v.json(&b, []byte(s), "")
	return b.String()
}

// json prints JSON with its members in their order, as few lines as fit.
func (v *view) json(b *strings.Builder, raw []byte, indent string) {
	if doc, err := iot.ParseDoc(raw, iot.MaxDepth); err == nil && raw[0] == '{' {
		var items []string
		for _, m := range doc {
			if v.brief && bytes.HasSuffix(m.Raw, []byte(`,"references":[]}`)) {
				continue
			}
			items = append(items, string(iot.AppendText(nil, v.text(m.Name)))+": "+v.inner(m.Raw, indent+"  "))
		}
		b.WriteString(lay("{", items, "}", indent))
		return
	}
	if list, err := iot.ParseArray(raw, iot.MaxDepth); err == nil && raw[0] == '[' {
		var items []string
		for _, x := range list {
			items = append(items, v.inner(x, indent+"  "))
		}
		b.WriteString(lay("[", items, "]", indent))
		return
	}
	if s, ok := iot.RawText(raw); ok {
		b.Write(iot.AppendText(nil, v.text(s)))
		return
	}
	if _, err := iot.ParseNumber(string(raw)); err == nil {
		b.Write(raw)
		return
	}
	b.WriteString(v.text(strings.ReplaceAll(string(raw), "\r\n", "\n")))
}

func (v *view) inner(raw []byte, indent string) string {
	if s, ok := iot.RawText(raw); ok {
		return string(iot.AppendText(nil, v.text(s)))
	}
	if raw[0] != '{' && raw[0] != '[' {
		return string(raw)
	}
	var b strings.Builder
	v.json(&b, raw, indent)
	return b.String()
}

func lay(open string, items []string, end, indent string) string {
	one := open + strings.Join(items, ", ") + end
	if len(indent)+len(one) <= width && !strings.Contains(one, "\n") {
		return one
	}
	return open + "\n" + indent + "  " + strings.Join(items, ",\n"+indent+"  ") + "\n" + indent + end
}

var volatile = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)|(?:pageSize|currentPage|Max-Age)=\d+|eyJ[\w-]+\.[\w-]+\.[\w-]+|\b[A-Z2-7]{16,26}\b|\b[0-9a-f]{64}\b|(?:^|[/='])\d+\b`)

// text replaces in a text what differs from run to run: what was captured, times that the server set, tokens, the address.
func (v *view) text(s string) string {
	s = strings.ReplaceAll(s, v.host, "HOST")
	s, _, _ = strings.Cut(s, "#request=")
	names := map[string]string{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(v.captured))) { // of names for one value, always the same wins
		value := v.captured[name]
		names[value] = name
		if len(value) > 5 && strings.Trim(value, "0123456789") != "" {
			s = strings.ReplaceAll(s, value, "{"+name+"}")
		}
	}
	return volatile.ReplaceAllStringFunc(s, func(m string) string {
		if t, err := time.Parse(time.RFC3339, m); err == nil {
			if time.Since(t).Abs() < time.Hour {
				return "TIME"
			}
			return m
		}
		id := strings.TrimLeft(m, "/='")
		switch name, ok := names[id]; {
		case ok && (id != m || m == s):
			return m[:len(m)-len(id)] + "{" + name + "}"
		case strings.HasPrefix(m, "eyJ"):
			return "JWT"
		case strings.Trim(id, "0123456789") == "" || strings.Contains(m, "="):
			return m
		}
		return "RANDOM"
	})
}
