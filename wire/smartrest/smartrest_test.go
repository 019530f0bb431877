package smartrest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

func parse(payload string, limits smartrest.Limits) (out []smartrest.Line) {
	for l := range smartrest.Parse([]byte(payload), now, limits) {
		out = append(out, l)
	}
	return out
}

func message[M smartrest.Message](t *testing.T, line string) M {
	t.Helper()
	lines := parse(line, smartrest.Limits{})
	m, ok := lines[0].Message.(M)
	if !ok {
		t.Fatalf("%s: %s", line, view(lines[0]))
	}
	return m
}

func doc(t *testing.T, s string) iot.Doc {
	t.Helper()
	d, err := iot.ParseDoc([]byte(s), iot.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		limits        smartrest.Limits
		lines, errs   int
	}{
		{"a payload at the limit", "500,xx", smartrest.Limits{Bytes: 6}, 1, 0},
		{"a payload above the limit", "500,xxx", smartrest.Limits{Bytes: 6}, 1, 1},
		{"the default is 16 KiB", "500," + strings.Repeat("x", 16<<10-4), smartrest.Limits{}, 1, 0},
		{"and not more", "500," + strings.Repeat("x", 16<<10-3), smartrest.Limits{}, 1, 1},
		{"as many lines as allowed", "500\n\n500\n", smartrest.Limits{Lines: 2}, 2, 0},
		{"one line too many ends the message", "500\n500\n500\n500", smartrest.Limits{Lines: 2}, 3, 1},
		{"ten thousand lines", strings.Repeat("500\n", 10_000), smartrest.Limits{Bytes: 1 << 20}, 10_000, 0},
		{"as many fields as allowed", "114" + strings.Repeat(",x", 4999), smartrest.Limits{}, 1, 0},
		{"one field too many spares the next line", "114" + strings.Repeat(",x", 5000) + "\n500", smartrest.Limits{}, 2, 1},
		{"commas in quotes are no fields", `400,x,"` + strings.Repeat(",", 6000) + `"`, smartrest.Limits{}, 1, 0},
	} {
		lines := parse(c.payload, c.limits)
		errs := 0
		for _, l := range lines {
			if l.Err != nil {
				errs++
			}
		}
		if len(lines) != c.lines || errs != c.errs {
			t.Errorf("%s: %d lines with %d errors", c.name, len(lines), errs)
		}
	}
}

func TestSplitServesCustomTemplates(t *testing.T) {
	var got []string
	for f, err := range smartrest.Split([]byte("dm101,\"a,b\", c \n995,,12.5\nx,\"open"), smartrest.Limits{}) {
		if err != nil {
			got = append(got, err.Line())
			continue
		}
		for s, ok := f.Next(); ok; s, ok = f.Next() {
			got = append(got, s)
		}
	}
	want := []string{"dm101", "a,b", "c", "995", "", "12.5", "42,x,a quoted field is not closed"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCommandsDoNotAliasThePayload(t *testing.T) {
	payload := []byte(`200,fragment,series,25,C`)
	for l := range smartrest.Parse(payload, now, smartrest.Limits{}) {
		clear(payload)
		m := l.Message.(smartrest.Measure).Measurement
		if m.Samples[0].Fragment != "fragment" || m.Samples[0].Unit != "C" {
			t.Errorf("got %+v", m)
		}
	}
}

func TestFailuresOfTheServer(t *testing.T) {
	equal(t, "repeated 100", smartrest.Failed("100", fault.E(fault.Exists, "x")).Line(), "41,100,Device already exists")
	equal(t, "exists", smartrest.Failed("102", fault.E(fault.Exists, "x")).Line(), "41,102,x")
	equal(t, "denied", smartrest.Failed("200", fault.E(fault.Denied)).Line(), "50,200,403,Access is denied")
	equal(t, "our defect", smartrest.Failed("200", errors.New("disk")).Line(), "50,200,500,internal error")
}

func TestObjects(t *testing.T) {
	mo := smartrest.CreateDevice{}.Object("dev1")
	equal(t, "device", mo.Type+" "+mo.Name+" "+patchText(mo.Fragments), `c8y_MQTTDevice MQTT Device dev1 {"c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`)
	mo = smartrest.AutoChild("c1").Object()
	equal(t, "child", mo.Type+" "+mo.Name+" "+patchText(mo.Fragments), `c8y_MQTTChildDevice MQTT Device c1 {"c8y_IsDevice":{}}`)
	mo = message[smartrest.CreateChild](t, "101,c1,,,false").Object()
	equal(t, "child that is no device", patchText(mo.Fragments), `{}`)
	mo = message[smartrest.CreateService](t, "102,s,systemd,ssh,up").Object()
	equal(t, "service", mo.Type+" "+mo.Name+" "+patchText(mo.Fragments), `c8y_Service ssh {"serviceType":"systemd","status":"up"}`)
	equal(t, "status", patchText(message[smartrest.SetServiceStatus](t, "104,down").Patch()), `{"status":"down"}`)
	equal(t, "107", patchText(message[smartrest.RemoveFragments](t, "107,b,a,b").Patch()), `{"a":null,"b":null}`)
	equal(t, "307", patchText(message[smartrest.RemoveAlarmFragments](t, "307,t,a").Patch()), `{"a":null}`)
	equal(t, "407", patchText(message[smartrest.RemoveEventFragments](t, "407,t,a").Patch()), `{"a":null}`)
}

func TestRequiredAvailabilityIsSetOnce(t *testing.T) {
	first := message[smartrest.RequiredAvailability](t, "117,10").Patch(nil)
	equal(t, "first", patchText(first), `{"c8y_RequiredAvailability":{"responseInterval":10}}`)
	second := message[smartrest.RequiredAvailability](t, "117,20").Patch(first)
	equal(t, "second", patchText(second), "unchanged")
	equal(t, "maintenance", patchText(message[smartrest.RequiredAvailability](t, "117,-1").Patch(nil)), `{"c8y_RequiredAvailability":{"responseInterval":-1}}`)
}

func TestProfile(t *testing.T) {
	op := &iot.Operation{Fragments: doc(t, `{"profileId":"7","profileName":"p","c8y_DeviceProfile":{}}`)}
	for line, want := range map[string]string{
		"121,true":    `{"c8y_Profile":{"profileName":"p","profileId":"7","profileExecuted":true}}`,
		"121,false,7": `{"c8y_Profile":{"profileName":"p","profileId":"7","profileExecuted":false}}`,
		"121,true,8":  `{"c8y_Profile":{"profileId":"8","profileExecuted":true}}`,
	} {
		equal(t, line, patchText(message[smartrest.Profile](t, line).Patch(op)), want)
	}
	equal(t, "no operation", patchText(message[smartrest.Profile](t, "121,true").Patch(nil)), `{"c8y_Profile":{"profileExecuted":true}}`)
}

func TestAdvancedSoftware(t *testing.T) {
	list := message[smartrest.ReplaceSoftware](t, "140,a,1,apt,,b,2,apt,").Apply(nil)
	list = message[smartrest.MergeSoftware](t, "141,a,3,apt,u,a,1,docker,").Apply(list)
	equal(t, "merged", string(smartrest.SoftwareJSON(list)), `[{"name":"a","version":"3","softwareType":"apt","url":"u"},{"name":"b","version":"2","softwareType":"apt","url":""},{"name":"a","version":"1","softwareType":"docker","url":""}]`)
	if back := smartrest.ParseSoftware(smartrest.SoftwareJSON(list)); !slices.Equal(back, list) {
		t.Errorf("came back as %v", back)
	}
	list = message[smartrest.RemoveSoftware](t, "142,a,3,b,").Apply(list)
	equal(t, "removed", string(smartrest.SoftwareJSON(list)), `[{"name":"a","version":"1","softwareType":"docker","url":""}]`)
	equal(t, "emptied", string(smartrest.SoftwareJSON(message[smartrest.ReplaceSoftware](t, "140,,,,").Apply(list))), `[]`)
}

func TestParameterUpdateMergesDeeply(t *testing.T) {
	m := message[smartrest.ParameterUpdate](t, "408,,,true,r.left,BOOLEAN,true,n,NUMBER,1,r.right.x,STRING,y,gone,STRING,")
	current := doc(t, `{"r":{"left":false,"other":[1, 2]},"n":1.0,"else":{}}`)
	patch := m.Patch(current)
	equal(t, "patch", patchText(patch), `{"r":{"left":true,"other":[1, 2],"right":{"x":"y"}}}`)
	equal(t, "known already", patchText(m.Patch(current.Merge(patch))), `{}`)
	equal(t, "before", patchText(current), `{"r":{"left":false,"other":[1, 2]},"n":1.0,"else":{}}`)
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"200,a,b,1", `400,x,"a ""b"", c\"` + "\n" + `"`, "a\r\n\r\nb,,", `"a"b"c" ,d`, "\xff,\x00", `,"\\",`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for fields, err := range smartrest.Split(b, smartrest.Limits{Lines: 100, Fields: 100}) {
			if err != nil {
				continue
			}
			var list []string
			for s, ok := fields.Next(); ok; s, ok = fields.Next() {
				list = append(list, s)
			}
			if line := smartrest.FormatLine(list...); strings.Trim(line, " ") != "" {
				roundTrip(t, line, list)
			}
		}
	})
}

func FuzzFormat(f *testing.F) {
	f.Add("511", "ls \"a b\"", " \\\" ")
	f.Add("a", "\r\n\t", "\\")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		list := []string{a, b, c}
		for i, s := range list {
			list[i] = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
		}
		roundTrip(t, smartrest.FormatLine(list...), list)
	})
}

// roundTrip checks that a line which the writer made is one line with the same fields.
func roundTrip(t *testing.T, line string, want []string) {
	t.Helper()
	var got []string
	lines := 0
	for f, err := range smartrest.Split([]byte(line), smartrest.Limits{Bytes: 1 << 20}) {
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines++
		for s, ok := f.Next(); ok; s, ok = f.Next() {
			got = append(got, s)
		}
	}
	if lines != 1 || !slices.Equal(got, want) {
		t.Fatalf("%q became %q in %d lines, want %q", line, got, lines, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, id := range smartrest.Capabilities() {
		f.Add([]byte(id + ",a,1,b,2,c\n" + id + ",true,,,x.y,NUMBER,1"))
	}
	f.Add([]byte(`302,x,"a ""b"""`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for l := range smartrest.Parse(b, now, smartrest.Limits{Lines: 100}) {
			if (l.Err == nil) == (l.Message == nil) {
				t.Fatalf("neither or both: %+v", l)
			}
			if l.Err != nil {
				oneLine(t, l.Err.Line())
			}
			valid(t, l.Message)
		}
	})
}

func oneLine(t *testing.T, line string) {
	lines := 0
	for _, err := range smartrest.Split([]byte(line), smartrest.Limits{}) {
		if lines++; err != nil && !strings.Contains(line, "\x00") {
			t.Fatalf("%q: %v", line, err)
		}
	}
	if lines != 1 {
		t.Fatalf("%q is %d lines", line, lines)
	}
}

// valid checks that what a command says about documents is JSON within the limits of every store.
func valid(t *testing.T, m smartrest.Message) {
	var d iot.Doc
	switch m := m.(type) {
	case smartrest.UpdateObject:
		d = m.Patch
	case smartrest.SendEvent:
		d = m.Event.Fragments
	case smartrest.ParameterUpdate:
		d = m.Patch(m.Event.Fragments[:0])
	case smartrest.Measure:
		d = iot.Doc{}.Set("m", measurementJSON(m.Measurement))
	case smartrest.StatusByID:
		d, _ = smartrest.ApplyResult("", iot.Operation{Fragments: iot.Doc{}.Set("c8y_Command", []byte("{}"))}, m.Params, now)
	}
	text := d.AppendTo(nil)
	back, err := iot.ParseDoc(text, iot.MaxDepth)
	if err != nil || len(back) != len(d) {
		t.Fatalf("%s: %d members of %d, %v", text, len(back), len(d), err)
	}
}
