package c8yrest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// TestNamesOfSeries holds what becomes of names that no series can have: the measurement is accepted, and they are no series.
func TestNamesOfSeries(t *testing.T) {
	s := start(t)
	source := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"names"}`).id(t)
	good := []string{"T", "c8y_Temperature", "a-b", "a/b", "a'b", "ä", "1"}
	bad := []string{"", "a b", "a\tb", "a\nb", "a\u00a0b", "a.b", "a,b", "a*", "a[0]", "a(1)", "a@b", "$a"}
	for _, name := range append(good, bad...) {
		quoted := string(iot.AppendText(nil, name))
		isGood := false
		for _, g := range good {
			isGood = isGood || g == name
		}
		for _, c := range []struct{ member, kept string }{
			{quoted + `:{"v":{"value":1}}`, quoted + `:{"v":`},
			{`"f":{` + quoted + `:{"value":1}}`, quoted + `:{"value":`},
		} {
			d, err := iot.ParseDoc([]byte("{"+c.member+"}"), iot.MaxDepth)
			if err != nil {
				t.Fatal(err)
			}
			m, err := c8yrest.DecodeMeasurement(d)
			if err != nil || (len(m.Samples) == 1) != isGood || (len(m.Extra) == 1) == isGood {
				t.Errorf("%s: %+v %v", c.member, m, err)
			}
			a := s.must(t, 201, "POST", "/measurement/measurements", fmt.Sprintf(`{"source":{"id":%q},"type":"t","time":"2026-01-01T00:00:00Z",%s}`, source, c.member))
			if got := s.must(t, 200, "GET", "/measurement/measurements/"+a.id(t), ""); !strings.Contains(strings.ReplaceAll(got.body, " ", ""), strings.ReplaceAll(c.kept, " ", "")) {
				t.Errorf("%s: it was not kept: %s", c.member, got.body)
			}
		}
	}
	// Beside one that is a series, one that is none is left out.
	d, err := iot.ParseDoc([]byte(`{"f":{"a b":{"value":1},"c":{"value":2}}}`), iot.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c8yrest.DecodeMeasurement(d); err != nil || len(m.Samples) != 1 || m.Samples[0].Series != "c" || len(m.Extra) != 0 {
		t.Errorf("%+v %v", m, err)
	}
}
