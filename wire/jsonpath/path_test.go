package jsonpath_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/jsonpath"
)

const doc = `{"a":{"b":[1,"two",{"c":null},[3,4]],"x y":true,"d.e":1.50},"list":[{"t":"p"},{"t":"q","u":7},{}],"n":null,"s":"text"}`

func TestFind(t *testing.T) {
	for path, want := range map[string]string{
		"": doc, "$": doc, "$.s": `"text"`, "s": `"text"`, "a.b[0]": "1", "$.a.b[-1]": "[3,4]", "$.a.b[-1][1]": "4", "$.a.b[4]": "", "$.a.b[-5]": "", "a['x y']": "true", `$["a"]["d.e"]`: "1.50",
		"$.list[*].t": `"p" "q"`, "list[*].u": "7", "list.*": `{"t":"p"} {"t":"q","u":7} {}`, "$.a.b[2].c": "null", "n": "null", "n.x": "", "s.x": "", "s[0]": "", "list.t": "", "a[0]": "", " s ": `"text"`, "[0]": "",
		"$.*.b[1]": `"two"`, "a.b[*]": `1 "two" {"c":null} [3,4]`,
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		var got []string
		for _, raw := range p.Find([]byte(doc)) {
			got = append(got, string(raw))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q finds %s, want %s", path, g, want)
		}
	}
	for path, want := range map[string]bool{"s": true, "n": false, "none": false, "a.b[2].c": false, "list[*].u": true, "$": true} {
		p, _ := jsonpath.Parse(path)
		if p.Exists([]byte(doc)) != want {
			t.Errorf("%q exists: %v", path, !want)
		}
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	for _, path := range []string{"..", "$..a", "a..b", "a.", "$.", "a[", "a[]", "a[x]", "a[?(@.b)]", "a[0:2]", "a[0,1]", "a['x]", "a['x'", "$a", "a[1", "a b]", "a(b)", "a$", strings.Repeat("a.", 40) + "a", strings.Repeat("a", 2000)} {
		if _, err := jsonpath.Parse(path); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestFoundIsBounded(t *testing.T) {
	p, _ := jsonpath.Parse("[*][*]")
	long := "[" + strings.Repeat("1,", 200) + "1]"
	if n := len(p.Find([]byte("[" + strings.Repeat(long+",", 20) + long + "]"))); n != jsonpath.MaxFound {
		t.Error(n)
	}
}

func TestSet(t *testing.T) {
	d, _ := iot.ParseDoc([]byte(`{"a":{"b":1},"s":"x"}`), iot.MaxDepth)
	got := d
	for i, path := range []string{"a.c.d", "s.t", "new", "a.b"} {
		p, _ := jsonpath.Parse(path)
		names, ok := p.Names()
		if !ok {
			t.Fatal(path)
		}
		got = jsonpath.Set(got, names, []byte(fmt.Sprint(i)))
	}
	if s := string(got.AppendTo(nil)); s != `{"a":{"b":3,"c":{"d":0}},"s":{"t":1},"new":2}` {
		t.Error(s)
	}
	if s := string(d.AppendTo(nil)); s != `{"a":{"b":1},"s":"x"}` {
		t.Errorf("the document was changed: %s", s)
	}
	for _, path := range []string{"", "a[0]", "a.*"} {
		p, _ := jsonpath.Parse(path)
		if _, ok := p.Names(); ok {
			t.Errorf("%q can be written to", path)
		}
	}
}

// FuzzPath: no path and no document makes it panic, what is found is valid JSON, and what was set is found.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"$.a.b[0]", "a['x y']", "list[*].t", "$..a", "a[?(@.b)]", "[-1]", "*", "$", "a.b.c", `$["q"]`, "a[99999999999]"} {
		f.Add(path, doc)
	}
	f.Add("a", "[1")
	f.Fuzz(func(t *testing.T, path, doc string) {
		p, err := jsonpath.Parse(path)
		if err != nil {
			return
		}
		d, bad := iot.ParseDoc([]byte(doc), iot.MaxDepth)
		found := p.Find([]byte(doc))
		if len(found) > jsonpath.MaxFound {
			t.Fatalf("%d values", len(found))
		}
		if bad != nil {
			return
		}
		for _, raw := range found {
			if _, err := iot.ParseArray([]byte("["+string(raw)+"]"), iot.MaxDepth+1); err != nil {
				t.Fatalf("%q finds %q: %v", path, raw, err)
			}
		}
		if names, ok := p.Names(); ok {
			if got := p.Find(jsonpath.Set(d, names, []byte("7")).AppendTo(nil)); len(names) < 20 && (len(got) != 1 || string(got[0]) != "7") {
				t.Fatalf("%q: what was set is %q", path, got)
			}
		}
	})
}
