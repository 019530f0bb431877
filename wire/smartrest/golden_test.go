package smartrest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

var updateGolden = flag.Bool("update", false, "rewrite the expected part of the golden files")

var now = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

const separator = "\n----\n"

// golden runs a function over every file of a folder: input above the line of dashes, expected output below.
func golden(t *testing.T, folder string, run func(t *testing.T, input string) string) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.golden"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			input, want := readGolden(t, file)
			got := run(t, input)
			if *updateGolden {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func readGolden(t *testing.T, file string) (input, want string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	input, want, ok := strings.Cut(string(b), separator)
	if !ok {
		t.Fatalf("%s: no line of dashes", file)
	}
	return input, want
}

func TestUplink(t *testing.T) {
	golden(t, "up", func(_ *testing.T, input string) string {
		var b strings.Builder
		for l := range smartrest.Parse([]byte(input), now, smartrest.Limits{}) {
			b.WriteString(view(l) + "\n")
		}
		return b.String()
	})
}

// view shows a line as stable JSON: the name of its type, then its members.
func view(l smartrest.Line) string {
	if l.Err != nil {
		return "error " + l.Err.Line()
	}
	var shown any = l.Message
	switch m := l.Message.(type) {
	case smartrest.Measure:
		shown = measurementJSON(m.Measurement)
	case smartrest.RaiseAlarm:
		shown = map[string]any{"type": m.Alarm.Type, "text": m.Alarm.Text, "severity": m.Alarm.Severity, "status": m.Alarm.Status, "time": iot.FormatTime(m.Alarm.Time)}
	case smartrest.SendEvent:
		shown = map[string]any{"event": eventJSON(m.Event), "updatePosition": m.UpdatePosition}
	case smartrest.ParameterUpdate:
		shown = map[string]any{"event": eventJSON(m.Event), "parameters": m.Parameters, "detectChange": m.DetectChange}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(shown); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %s %s", l.ID, reflect.TypeOf(l.Message).Name(), strings.TrimSpace(b.String()))
}

func measurementJSON(m *iot.Measurement) json.RawMessage {
	d := iot.Doc{}.SetText("type", m.Type).SetText("time", iot.FormatTime(m.Time))
	for i := 0; i < len(m.Samples); {
		fragment, series := m.Samples[i].Fragment, iot.Doc{}
		for ; i < len(m.Samples) && m.Samples[i].Fragment == fragment; i++ {
			s := m.Samples[i]
			v := iot.Doc{}.Set("value", s.Value.AppendTo(nil))
			if s.Unit != "" {
				v = v.SetText("unit", s.Unit)
			}
			series = append(series, iot.Member{Name: s.Series, Raw: v.AppendTo(nil)})
		}
		d = append(d, iot.Member{Name: fragment, Raw: series.AppendTo(nil)})
	}
	return d.AppendTo(nil)
}

func eventJSON(e *iot.Event) json.RawMessage {
	d := iot.Doc{}.SetText("type", e.Type).SetText("text", e.Text).SetText("time", iot.FormatTime(e.Time))
	return append(d, e.Fragments...).AppendTo(nil)
}

// TestDownlink reads the fragments of an operation, or a reply with its arguments.
func TestDownlink(t *testing.T) {
	golden(t, "down", func(t *testing.T, input string) string {
		d, err := iot.ParseDoc([]byte(input), iot.MaxDepth)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		if reply, ok := d.Text("reply"); ok {
			lines = append(lines, renderReply(t, reply, d.Get("args")))
		} else {
			lines = smartrest.OperationLines(iot.Operation{Fragments: d}, "dev1")
		}
		if lines == nil {
			return "none\n"
		}
		return strings.Join(lines, "\n") + "\n"
	})
}

func renderReply(t *testing.T, id string, raw json.RawMessage) string {
	t.Helper()
	var args []string
	if err := json.Unmarshal(raw, &args); err != nil {
		t.Fatal(err)
	}
	switch id {
	case "106":
		return smartrest.ReplyChildren(args)
	case "124":
		return smartrest.ReplyID(4711)
	case "601":
		return smartrest.ReplyVersion(args[0])
	case "603":
		return smartrest.ReplyCapabilities(args...)
	case "20":
		return smartrest.ReplyCollection(args[0], 4711)
	case "41":
		return smartrest.ReplyNoCollection(args[0])
	case "70":
		return smartrest.ReplyCredentials(iot.TenantID(args[0]), iot.UserName(args[1]), args[2])
	case "71":
		return smartrest.ReplyToken(args[0])
	}
	t.Fatalf("unknown reply %s", id)
	return ""
}

// TestResult feeds a line 503 or 506 and an operation on the line below it to ApplyResult.
func TestResult(t *testing.T) {
	golden(t, "result", func(t *testing.T, input string) string {
		line, op, _ := strings.Cut(input, "\n")
		d, err := iot.ParseDoc([]byte(op), iot.MaxDepth)
		if err != nil {
			t.Fatal(err)
		}
		var fragment string
		var params []string
		for l := range smartrest.Parse([]byte(line), now, smartrest.Limits{}) {
			switch m := l.Message.(type) {
			case smartrest.StatusByFragment:
				fragment, params = m.Fragment, m.Params
			case smartrest.StatusByID:
				params = m.Params
			default:
				t.Fatalf("not a result: %v", view(l))
			}
		}
		opPatch, devicePatch := smartrest.ApplyResult(fragment, iot.Operation{Fragments: d}, params, now)
		return fmt.Sprintf("operation %s\ndevice %s\n", patchText(opPatch), patchText(devicePatch))
	})
}

func patchText(d iot.Doc) string {
	if d == nil {
		return "unchanged"
	}
	return string(d.AppendTo(nil))
}

func TestEveryTemplateHasGoldenFiles(t *testing.T) {
	for _, id := range smartrest.Capabilities() {
		kinds := []string{"up/" + id + "-full", "up/" + id + "-min"}
		if smartrest.TemplateName(id) == "" {
			kinds = []string{"down/" + id}
		}
		for _, kind := range kinds {
			files, _ := filepath.Glob(filepath.Join("testdata", kind+"*.golden"))
			found := slices.ContainsFunc(files, func(file string) bool {
				input, want := readGolden(t, file)
				if strings.HasPrefix(kind, "up/") {
					return strings.HasPrefix(input, id) && strings.HasPrefix(want, id)
				}
				return strings.HasPrefix("\n"+want, "\n"+id) || strings.Contains(want, "\n"+id+",")
			})
			if !found {
				t.Errorf("template %s: no golden file testdata/%s*.golden that shows it", id, kind)
			}
		}
	}
}
