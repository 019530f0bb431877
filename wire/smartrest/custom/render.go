package custom

import (
	"encoding/json"

	"github.com/isobar-iot/isobar/wire/jsonpath"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// Render returns the lines that the response templates make of a document, which is an operation or the answer to a request. target is the
// external id that comes behind the id of the template; nil for answers.
//
// c8y: every template is tried, the condition on the whole document, the patterns below the base. What a pattern does not find is an empty
// field, and a template with a condition that holds yields its line even if nothing is found. One without a condition yields it only if its
// base is there and anything is found, since it would otherwise answer every operation there is.
func (c *Collection) Render(doc json.RawMessage, target *string) (lines []string) {
	for i := range c.Responses {
		if line, ok := c.Responses[i].render(doc, target); ok && len(line) <= MaxLine {
			lines = append(lines, line)
		}
	}
	return lines
}

func (r *Response) render(doc json.RawMessage, target *string) (line string, ok bool) {
	conditional := !r.condition.Root()
	if conditional && !r.condition.Exists(doc) {
		return "", false
	}
	bases := []json.RawMessage{doc}
	if !r.base.Root() {
		bases = r.base.Find(doc)
	}
	fields := []string{r.ID}
	if target != nil {
		fields = append(fields, *target)
	}
	found := len(r.patterns) == 0 && len(bases) > 0
	for _, p := range r.patterns {
		n := len(fields)
		fields = appendFound(fields, p, bases)
		found = found || len(fields) > n
		if len(fields) == n {
			fields = append(fields, "")
		}
		if len(fields) > jsonpath.MaxFound {
			return "", false
		}
	}
	if !found && !conditional {
		return "", false
	}
	return smartrest.FormatLine(fields...), true
}

// appendFound appends what a pattern finds below the bases.
func appendFound(fields []string, p jsonpath.Path, bases []json.RawMessage) []string {
	for _, b := range bases {
		for _, raw := range p.Find(b) {
			fields = append(fields, smartrest.FieldText(raw))
		}
	}
	return fields
}
