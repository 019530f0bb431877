package c8ymqtt

import (
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// configuration starts the fragments of message 120. c8y: what follows is the type as the agent has it, "tedge.toml" or a path.
const configuration = "c8y_Configuration_"

// writable refuses a patch of an object that reaches for what is no fragment: lines change neither id, type, name nor owner.
func writable(patch iot.Doc) error {
	for _, m := range patch {
		if strings.HasPrefix(m.Name, configuration) && len(m.Name) > len(configuration) && len(m.Name) <= maxFragment {
			continue
		}
		draft, err := registry.DraftOf(iot.Doc{{Name: m.Name, Raw: []byte("null")}})
		if err != nil {
			return err
		}
		if len(draft.Fragments) == 0 {
			return untouchable(m.Name)
		}
	}
	return nil
}

// maxFragment bounds the name of a fragment, as the registry does.
const maxFragment = 256

func untouchable(name string) error {
	return fault.Errorf("c8ymqtt.Write", fault.Invalid, "%.40q cannot be changed by a line", name)
}

// reportable refuses fragments of an event that would stand for its own members.
func reportable(d iot.Doc) error {
	for _, m := range d {
		if slices.Contains(eventMembers, m.Name) {
			return untouchable(m.Name)
		}
	}
	return nil
}

// eventMembers are what an event is besides its fragments.
var eventMembers = []string{"id", "self", "source", "type", "text", "time", "creationTime", "lastUpdated"}

// measurable refuses a measurement whose fragments would stand for its own members.
func measurable(m *iot.Measurement) error {
	for i := range m.Samples {
		switch name := m.Samples[i].Fragment; name {
		case "id", "self", "source", "type", "time":
			return fault.Errorf("c8ymqtt.Measure", fault.Invalid, "%q cannot be a fragment of a measurement", name)
		}
	}
	return nil
}
