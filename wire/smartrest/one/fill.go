package one

import (
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Fill puts the values of a line into the placeholders. ok is false if their number or one of their types does not fit.
func (r *Request) Fill(values []string, now time.Time) (uri, body string, ok bool) {
	for n := r.wanted(); len(values) > n && values[len(values)-1] == ""; { // trailing commas
		values = values[:len(values)-1]
	}
	if len(values) != r.wanted() {
		return "", "", false
	}
	filled := make([]string, 0, max(len(r.Params), r.places()))
	for i := range cap(filled) {
		kind := "STRING"
		if i < len(r.Params) {
			kind = r.Params[i]
		}
		if kind == "NOW" {
			filled = append(filled, iot.FormatTime(now))
			continue
		}
		if !fits(kind, values[0]) {
			return "", "", false
		}
		filled = append(filled, values[0])
		values = values[1:]
	}
	uri, used := r.fill(r.URI, filled, uriValue)
	if r.Body == "" {
		return uri, "", true
	}
	filled = filled[used:]
	body, _ = r.fill(r.Body, filled, plainValue)
	if strings.Contains(r.ContentType, "json") && !isJSON(body) {
		if escaped, _ := r.fill(r.Body, filled, jsonValue); isJSON(escaped) {
			body = escaped
		}
	}
	return uri, body, true
}

// wanted is how many values a line must have. c8y: a template may leave the types out, or those of the last placeholders.
func (r *Request) wanted() int {
	n := max(len(r.Params), r.places())
	for _, p := range r.Params {
		if !params[p] {
			n--
		}
	}
	return n
}

func fits(kind, value string) bool {
	switch kind {
	case "UNSIGNED":
		return value != "" && strings.Trim(value, "0123456789") == ""
	case "INTEGER":
		digits := strings.TrimPrefix(value, "-")
		return digits != "" && strings.Trim(digits, "0123456789") == ""
	case "NUMBER":
		_, err := iot.ParseNumber(value)
		return err == nil
	case "DATE":
		_, err := iot.ParseTime(value)
		return err == nil
	}
	return true
}

// fill replaces the placeholders of a text in turn, and says how many there were. write appends a value; quoted says that it stands in a
// JSON string.
func (r *Request) fill(text string, values []string, write func(b []byte, value string, quoted bool) []byte) (string, int) {
	if r.Placeholder == "" {
		return text, 0
	}
	var b []byte
	used, quoted := 0, false
	for used < len(values) {
		before, after, ok := strings.Cut(text, r.Placeholder)
		if !ok {
			break
		}
		quoted = quoted != oddQuotes(before)
		b = write(append(b, before...), values[used], quoted)
		text = after
		used++
	}
	return string(append(b, text...)), used
}

// oddQuotes reports whether a piece of JSON opens or closes a string without doing the other.
func oddQuotes(s string) (odd bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			odd = !odd
		}
	}
	return odd
}

func plainValue(b []byte, value string, _ bool) []byte { return append(b, value...) }

func jsonValue(b []byte, value string, quoted bool) []byte {
	if !quoted {
		return append(b, value...)
	}
	text := iot.AppendText(nil, value)
	return append(b, text[1:len(text)-1]...)
}

// uriValue escapes what must not stand in a URI, and leaves what is escaped already.
func uriValue(b []byte, value string, _ bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?\\^`{|}", c) >= 0 || c == '%' && !escaped(value[i:]) {
			b = append(b, '%', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

func escaped(s string) bool { return len(s) >= 3 && hex(s[1]) && hex(s[2]) }

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isJSON(s string) bool {
	if _, err := iot.ParseDoc([]byte(s), iot.MaxDepth); err == nil {
		return true
	}
	_, err := iot.ParseArray([]byte(s), iot.MaxDepth)
	return err == nil
}
