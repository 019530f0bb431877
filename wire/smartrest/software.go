package smartrest

import (
	"encoding/json"

	"github.com/isobar-iot/isobar/iot"
)

// Software is one installed package.
type Software struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Type    string `json:"softwareType,omitempty"`
	URL     string `json:"url"`
}

// ParseSoftware reads a list of software as the inventory holds it. What is no list is empty, what is no software is skipped.
func ParseSoftware(raw json.RawMessage) []Software {
	items, _ := array(raw)
	out := make([]Software, 0, len(items))
	for _, item := range items {
		d := object(item)
		s := Software{Name: plain(d.Get("name")), Version: plain(d.Get("version")), Type: plain(d.Get("softwareType")), URL: plain(d.Get("url"))}
		if s.Name != "" {
			out = append(out, s)
		}
	}
	return out
}

// SoftwareJSON returns a list of software as the inventory holds it. Name, version and url are always present.
func SoftwareJSON(list []Software) json.RawMessage {
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		d := iot.Doc{}.SetText("name", s.Name).SetText("version", s.Version)
		if s.Type != "" {
			d = d.SetText("softwareType", s.Type)
		}
		b = d.SetText("url", s.URL).AppendTo(b)
	}
	return append(b, ']')
}

// Apply returns the new list.
func (m ReplaceSoftware) Apply([]Software) []Software { return m.Items }

// Apply returns the current list with the items of the message: one with the name and type of a present one replaces it.
// The current list is not changed.
func (m MergeSoftware) Apply(current []Software) []Software {
	type key struct{ name, kind string }
	out := make([]Software, 0, len(current)+len(m.Items))
	at := make(map[key]int, len(current)+len(m.Items))
	for _, list := range [...][]Software{current, m.Items} {
		for _, s := range list {
			k := key{s.Name, s.Type}
			if i, ok := at[k]; ok {
				out[i] = s
				continue
			}
			at[k] = len(out)
			out = append(out, s)
		}
	}
	return out
}

// Apply returns the current list without the items of the message. An item without version means every version.
// The current list is not changed.
func (m RemoveSoftware) Apply(current []Software) []Software {
	type key struct{ name, version string }
	gone := make(map[key]bool, len(m.Items))
	for _, s := range m.Items {
		gone[key{s.Name, s.Version}] = true
	}
	out := make([]Software, 0, len(current))
	for _, s := range current {
		if !gone[key{s.Name, s.Version}] && !gone[key{s.Name, ""}] {
			out = append(out, s)
		}
	}
	return out
}

// software reads groups of parameters into a list; fill says which parameter goes where.
func (a *args) software(width int, fill func(g []string) Software) []Software {
	list := []Software{}
	for g := make([]string, width); a.group(g); {
		s := fill(g)
		if s.Name == "" {
			a.missing("name")
		}
		list = append(list, s)
	}
	return list
}

func setSoftwareList(a args) (Message, *LineError) {
	list := a.software(3, func(g []string) Software { return Software{Name: g[0], Version: g[1], URL: g[2]} })
	return update(a, "c8y_SoftwareList", SoftwareJSON(list))
}

func typedSoftware(g []string) Software {
	return Software{Name: g[0], Version: g[1], Type: g[2], URL: g[3]}
}

// c8y: "140,,,," is how thin-edge says that nothing is installed.
func replaceSoftware(a args) (Message, *LineError) {
	m := ReplaceSoftware{Items: a.software(4, typedSoftware)}
	return m, a.err
}

func mergeSoftware(a args) (Message, *LineError) {
	m := MergeSoftware{Items: a.software(4, typedSoftware)}
	if len(m.Items) == 0 {
		a.missing("name")
	}
	return m, a.err
}

func removeSoftware(a args) (Message, *LineError) {
	m := RemoveSoftware{Items: a.software(2, func(g []string) Software { return Software{Name: g[0], Version: g[1]} })}
	if len(m.Items) == 0 {
		a.missing("name")
	}
	return m, a.err
}
