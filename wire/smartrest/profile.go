package smartrest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

// profileLines renders a device profile.
//
// c8y: 527 has no place for the type of software; if any item has one, 531 is sent in addition, not instead.
func profileLines(o outgoing) []string {
	lines := o.profile(527, "name", "version", "url", "action")
	if hasTypes(o.doc.Get("software")) {
		lines = append(lines, o.profile(531, "name", "version", "softwareType", "url", "action")...)
	}
	return lines
}

func (o outgoing) profile(id int, software ...string) []string {
	var fields []string
	if fw := object(o.doc.Get("firmware")); len(fw) > 0 {
		isPatch := plain(fw.Get("isPatch"))
		if isPatch == "" {
			isPatch = "false"
		}
		fields = append(fields, "$FW")
		fields = append(fields, pick(fw, "name", "version", "url")...)
		fields = append(fields, isPatch, plain(fw.Get("dependency")))
	}
	if items := each(o.doc.Get("software"), software...); len(items) > 0 {
		fields = append(append(fields, "$SW"), items...)
	}
	if items := each(o.doc.Get("configuration"), "url", "type"); len(items) > 0 {
		fields = append(append(fields, "$CONF"), items...)
	}
	return o.line(id, fields...)
}

const parameterMarker = typeParameterUpdate + "_"

// parameterLines renders the fragments for which the operation has a marker c8y_ParameterUpdate_<fragment>. Objects are sent
// member by member.
func parameterLines(o outgoing) []string {
	var fields []string
	for _, m := range o.op {
		name, ok := strings.CutPrefix(m.Name, parameterMarker)
		if value := o.op.Get(name); ok && value != nil {
			fields = appendParameter(fields, name, value, maxPath)
		}
	}
	if len(fields) == 0 { // without markers the values may be in the fragment itself
		for _, m := range o.doc {
			fields = appendParameter(fields, m.Name, m.Raw, maxPath)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return o.line(532, fields...)
}

func appendParameter(fields []string, path string, value json.RawMessage, depth int) []string {
	if d := object(value); len(d) > 0 && depth > 0 {
		for _, m := range d {
			fields = appendParameter(fields, path+"."+m.Name, m.Raw, depth-1)
		}
		return fields
	}
	return append(fields, path, typeLetter(value), plain(value))
}

// typeLetter returns the letter of a value's type. Only b is documented; the others follow its pattern.
func typeLetter(value json.RawMessage) string {
	if len(value) == 0 {
		return "s"
	}
	switch value[0] {
	case 't', 'f':
		return "b"
	case '[':
		return "a"
	case '{':
		return "o"
	case '"', 'n':
		return "s"
	}
	return "n"
}

// firstObject returns the name of the first fragment that is an object or a list, empty if there is none.
func firstObject(d iot.Doc) string {
	i := slices.IndexFunc(d, func(m iot.Member) bool { return len(m.Raw) > 0 && (m.Raw[0] == '{' || m.Raw[0] == '[') })
	if i < 0 {
		return ""
	}
	return d[i].Name
}
