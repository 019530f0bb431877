package iot_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

func TestNumberKeepsTheTextOfTheDevice(t *testing.T) {
	for _, s := range []string{"0", "25", "-7", "16.0", "23.50", "0.05", "-0.001", "9223372036854775", "123456789012345678", "9223372036854775807", "-9223372036854775807", "1e-9", "-0", "1.7976931348623157e308"} {
		n, err := iot.ParseNumber(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		var want float64
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		if got := n.Float(); got != want {
			t.Errorf("%s: float %v, want %v", s, got, want)
		}
		if !strings.ContainsAny(s, "eE") && s != "-0" && n.String() != s {
			t.Errorf("%s came back as %s", s, n)
		}
		var back float64
		if err := json.Unmarshal([]byte(n.String()), &back); err != nil || back != want || math.Signbit(back) != math.Signbit(want) {
			t.Errorf("%s -> %s reads back as %v (%v)", s, n, back, err)
		}
	}
	for _, s := range []string{"", "-", ".", "1.", "NaN", "inf", "0x10", "1_0", "1e999", "--1", "1-"} {
		if n, err := iot.ParseNumber(s); err == nil && s != "1." {
			t.Errorf("%q was read as %v", s, n)
		}
	}
}

func TestMeasurementIDRoundTrip(t *testing.T) {
	for _, m := range []iot.MeasurementID{{1, 0, 0}, {4711, 1763760000123, 42}, {1 << 62, -62135596800000, iot.MaxSeq}, {9, 253402300799999, 1}} {
		got, ok := iot.ParseMeasurementID(m.String())
		if !ok || got != m {
			t.Errorf("%v -> %s -> %v %v", m, m, got, ok)
		}
	}
	for _, s := range []string{"", "0", "12345", strings.Repeat("0", 25), "1" + strings.Repeat("x", 21), "-1" + strings.Repeat("1", 21)} {
		if m, ok := iot.ParseMeasurementID(s); ok {
			t.Errorf("%q was read as %v", s, m)
		}
	}
}

func TestParseTimeForms(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for _, s := range []string{"2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678123456Z", "2026-01-02T04:04:05.678+01:00", "2026-01-02T04:04:05.678 01:00", "2026-01-02T04:04:05.678+0100", "2026-01-02T03:04:05.678", "2026-01-02T03:04:05,678Z"} {
		if got, err := iot.ParseTime(s); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	if got, err := iot.ParseTime("2019-04-20"); err != nil || iot.FormatTime(got) != "2019-04-20T00:00:00.000Z" {
		t.Errorf("date only: %v %v", got, err)
	}
	for _, s := range []string{"", "yesterday", "2026-13-01", "2026-01-02T25:00:00Z", "12345"} {
		if got, err := iot.ParseTime(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func TestParseDocRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty": "", "array": "[]", "text after": "{} x", "open": `{"a":`, "comma": `{"a":1,}`, "NUL": `{"a":"\u0000"}`, "half pair": `{"a":"\ud800"}`,
		"raw control": "{\"a\":\"\n\"}", "bad utf8": "{\"a\":\"\xff\"}", "range": `{"a":1e999}`, "plus": `{"a":+1}`, "leading zero": `{"a":01}`,
		"deep": strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "word": `{"a":nul}`, "escape": `{"a":"\x"}`,
	} {
		if d, err := iot.ParseDoc([]byte(s), iot.MaxDepth); err == nil {
			t.Errorf("%s: %q was accepted as %v", name, s, d)
		}
	}
}

func TestParseDocsReadsWhatParseArrayAndParseDocRead(t *testing.T) {
	for _, s := range []string{`[]`, ` [ ] `, `[{"a":1}, {"b":{"c":"x"}} ,{}]`, `[{"value":1,"unit":"C","id":"1","source":{},"time":"","type":"","text":"","v\u0061lue":2}]`,
		``, `{}`, `[1]`, `[{}`, `[{},]`, `[,{}]`, `[{}] x`, `[null]`, `[[]]`, `[{"a":1]`, `[{"a"}]`, "[{\"a\":\"\xff\"}]"} {
		var want []iot.Doc
		items, err := iot.ParseArray([]byte(s), iot.MaxDepth)
		for _, item := range items {
			d, docErr := iot.ParseDoc(item, iot.MaxDepth)
			if docErr != nil {
				err = docErr
			}
			want = append(want, d)
		}
		got, gotErr := iot.ParseDocs([]byte(s), iot.MaxDepth)
		if (err == nil) != (gotErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s %v, want %s %v", s, got, gotErr, want, err)
		}
	}
}

func TestDocKeepsTextAndOrder(t *testing.T) {
	in := `{"b":16.0,"a":{"x":[1,2.50,1e2]},"ü":"\u00e4\ud83d\ude00"}`
	d, err := iot.ParseDoc([]byte(in), iot.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.AppendTo(nil)); got != in {
		t.Errorf("got %s", got)
	}
	patch, _ := iot.ParseDoc([]byte(`{"a":null,"c":1}`), iot.MaxDepth)
	if got := string(d.Merge(patch).AppendTo(nil)); got != `{"b":16.0,"ü":"\u00e4\ud83d\ude00","c":1}` {
		t.Errorf("merged: %s", got)
	}
}

// FuzzParseDoc checks the scanner against encoding/json: what we accept, it accepts, and the text survives.
func FuzzParseDoc(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1}`, `{"a":{"b":[1,2,"x"]},"c":null}`, `{"a":"\u12ab\ud83d\ude00"}`, `[`, `{"a":1e999}`, "{\"\xff\":1}", `{"a":-0.0e-5}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := iot.ParseDoc(b, iot.MaxDepth)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted what is no JSON: %q", b)
		}
		out := d.AppendTo(nil)
		again, err := iot.ParseDoc(out, iot.MaxDepth)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q -> %q: %v", b, out, err)
		}
	})
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"1", "-1.50", "1e9", "0.0", "18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := iot.ParseNumber(s)
		if err != nil {
			return
		}
		back, err := iot.ParseNumber(n.String())
		if err != nil || back.Float() != n.Float() || !json.Valid([]byte(n.String())) {
			t.Fatalf("%q -> %s -> %v %v", s, n, back, err)
		}
	})
}

// TestLargeDocumentsBehaveAsSmallOnes holds the ways through an index to the ways without one.
func TestLargeDocumentsBehaveAsSmallOnes(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 25, 60} {
		var text, twice strings.Builder
		for i := range n {
			fmt.Fprintf(&text, `,"m%d":%d`, i, i)
			fmt.Fprintf(&twice, `,"m%d":"old"`, i)
		}
		d := mustParse(t, "{"+strings.TrimPrefix(text.String(), ",")+"}")
		if again := mustParse(t, "{"+strings.TrimPrefix(twice.String()+text.String(), ",")+"}"); !again.Equal(d) || len(again) != n {
			t.Errorf("%d: a repeated member does not replace the earlier one: %v", n, again)
		}
		patch := mustParse(t, `{"m0":null,"m23":"new","more":1,"gone":null,"m1":2,"m1":1}`)
		merged := d.Merge(patch)
		want := iot.Doc{}
		for _, m := range d {
			switch m.Name {
			case "m0":
			case "m23":
				want = append(want, iot.Member{"m23", []byte(`"new"`)})
			default:
				want = append(want, m)
			}
		}
		for _, m := range []iot.Member{{"m23", []byte(`"new"`)}, {"more", []byte("1")}, {"m1", []byte("1")}} {
			if !want.Has(m.Name) {
				want = append(want, m)
			}
		}
		if !merged.Equal(want) {
			t.Errorf("%d: merged to %s, want %s", n, merged.AppendTo(nil), want.AppendTo(nil))
		}
		changed := map[string]bool{}
		for _, c := range iot.Diff(d, merged) {
			changed[c.Attribute] = true
		}
		for _, name := range []string{"m0", "m23", "more", "m1"} {
			if (string(d.Get(name)) != string(merged.Get(name))) != changed[name] {
				t.Errorf("%d: %s in the differences: %v", n, name, changed[name])
			}
		}
	}
}

func mustParse(t *testing.T, text string) iot.Doc {
	t.Helper()
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	if err != nil {
		t.Fatal(text, err)
	}
	return d
}

func BenchmarkLargeDocument(b *testing.B) {
	for _, n := range []int{1000, 40_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			for i := range n {
				fmt.Fprintf(&text, `,"member_%d":{"value":%d}`, i, i)
			}
			raw := []byte("{" + text.String()[1:] + "}")
			for b.Loop() {
				d, err := iot.ParseDoc(raw, iot.MaxDepth)
				if err != nil || !d.Merge(d).Equal(d) || len(iot.Diff(d, nil)) != n {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/member")
		})
	}
}
