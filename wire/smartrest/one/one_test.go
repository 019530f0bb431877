package one

import (
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func collection(t testing.TB, text string) *Collection {
	t.Helper()
	c, wrong := parse(rows([]byte(text)))
	if wrong != nil {
		t.Fatal(wrong.line())
	}
	return c
}

func TestFill(t *testing.T) {
	for _, x := range []struct{ template, use, uri, body string }{
		{"10,300,GET,/a/%%?x=%%,,,%%,STRING UNSIGNED,", "b c,7", "/a/b%20c?x=7", ""},
		{"10,300,GET,/a/%%,,,%%,STRING,", "a%20b%zz?&/ä", "/a/a%20b%25zz%3F&/%C3%A4", ""},
		{`10,300,PUT,/a/%%,application/json,,%%,UNSIGNED STRING,"{""a"":[%%]}"`, `7,"""x"",1"`, "/a/7", `{"a":["x",1]}`},
		{`10,300,PUT,/a/%%,application/json,,%%,UNSIGNED STRING STRING,"{""%%"":""%%""}"`, `7,k,"say ""hi""` + "\n" + `"`, "/a/7", `{"k":"say \"hi\"\n"}`},
		{`10,300,PUT,/a,application/json,,%%,STRING,"{""a"":""%%""}"`, `said \\n and \"x\"`, "/a", `{"a":"said \\n and \"x\""}`},
		{`10,300,POST,/a,application/json,,%%,NOW UNSIGNED,"{""t"":""%%"",""n"":%%}"`, "7", "/a", `{"t":"2026-01-02T03:04:05.678Z","n":7}`},
		{`10,300,POST,/a,application/json,,%%,,"{""l"":[%%],""m"":""%%""}"`, `"1,2",x`, "/a", `{"l":[1,2],"m":"x"}`},
		{"10,300,GET,/a,,,,,", "", "/a", ""},
		{"10,300,GET,/a,,,,,", ",,", "/a", ""},
		{"10,300,GET,/a/%%,,,%%,DATE,", "2026-01-01T00:00:00+01:00", "/a/2026-01-01T00:00:00+01:00", ""},
		{`10,300,POST,/a,text/plain,,%%,STRING,"raw %%"`, `{"`, "/a", `raw {"`},
	} {
		c := collection(t, x.template)
		uri, body, ok := c.Requests[0].Fill(fields(x.use), now)
		if !ok || uri != x.uri || body != x.body {
			t.Errorf("%s with %s: %v %q %q", x.template, x.use, ok, uri, body)
		}
	}
	for template, uses := range map[string][]string{
		"10,300,GET,/%%,,,%%,UNSIGNED,": {"", "-1", "x", "1,2", "1.5"}, "10,300,GET,/%%,,,%%,INTEGER,": {"1.5", "-", "--1"}, "10,300,GET,/%%,,,%%,NUMBER,": {"x", ""},
		"10,300,GET,/%%,,,%%,DATE,": {"soon"}, "10,300,GET,/a,,,,,": {"1"}, "10,300,GET,/%%/%%,,,%%,NOW STRING,": {"1,2"},
	} {
		for _, use := range uses {
			if _, _, ok := collection(t, template).Requests[0].Fill(fields(use), now); ok {
				t.Errorf("%s takes %q", template, use)
			}
		}
	}
}

func fields(line string) (out []string) {
	if line == "" {
		return nil
	}
	f := smartrest.SplitFields(line)
	for s, ok := f.Next(); ok; s, ok = f.Next() {
		out = append(out, s)
	}
	return out
}

func TestRender(t *testing.T) {
	for _, x := range []struct{ template, doc, want string }{
		{"11,800,,$.c8y_X,$.id,$.none", `{"id":"7","c8y_X":{}}`, "800,1,7,"},
		{"11,800,,$.c8y_X,$.id", `{"id":"7"}`, ""},
		{"11,800,$.list,$.a,$.n,$.a", `{"list":[{"n":1,"a":"x"},{"n":2},{"n":3,"a":"say \"y\""}]}`, `800,1,1,x|800,1,3,"say ""y"""`},
		{"11,800,list,,$.n", `{"list":[{"n":1},{"m":2}]}`, "800,1,1"},
		{"11,800,$.obj,,$.n", `{"obj":{"n":true}}`, "800,1,true"},
		{"11,800,$.obj,,$.n", `{"other":{"n":true}}`, ""},
		{"11,800,,,$.l[*].x", `{"l":[{"x":1},{"x":2}]}`, "800,1,1,2"},
	} {
		if got := strings.Join(collection(t, x.template).Render([]byte(x.doc), 1), "|"); got != x.want {
			t.Errorf("%s of %s: %s", x.template, x.doc, got)
		}
	}
}

func TestTheStoredFormSaysTheSame(t *testing.T) {
	c := collection(t, "# agent\n10,300,GET,/a/%%,,application/json,%%,STRING,\r\n10,301,POST,/a,application/json,,%%,NOW UNSIGNED,\"{\"\"a\"\":%%%%}\"\n11,800,$.a,$.b,$.c,$.d[0]\n")
	again := Read(c.Doc())
	if a, b := string(c.Doc().AppendTo(nil)), string(again.Doc().AppendTo(nil)); a != b || len(again.Requests) != 2 || len(again.Responses) != 1 {
		t.Errorf("stored\n%s\nread\n%s", a, b)
	}
	d, _ := iot.ParseDoc([]byte(`{"requestTemplates":[{"msgId":"300"},{"msgId":301,"method":"get","resourceUri":"/x"}],"responseTemplates":[{},{"msgId":"800","pattern":["$..a"]}]}`), iot.MaxDepth)
	if c := Read(d); len(c.Requests) != 1 || len(c.Responses) != 0 {
		t.Errorf("%+v", c)
	}
}

// FuzzTemplates: nothing panics; what is accepted survives being stored; what is rendered is one line; a body that is filled by a template of
// JSON is JSON if it can be.
func FuzzTemplates(f *testing.F) {
	f.Add("10,300,PUT,/a/%%,application/json,,%%,UNSIGNED STRING,\"{\"\"a\"\":\"\"%%\"\"}\"\n11,800,$.list,$.a,$.n", `300,7,"say ""x"""`, `{"list":[{"a":1,"n":"x,\n"}]}`)
	f.Add("10,300,GET,/%%,,,%%,DATE,", "300,2026-01-01", "{}")
	f.Add("10,300,GET,/%%,,,%,NOW,\n11,999,,,a", "300", `{"a":[1,{"b":null}]}`)
	f.Add("# x\n\"", "", "")
	f.Fuzz(func(t *testing.T, templates, use, doc string) {
		c, wrong := parse(rows([]byte(templates)))
		if wrong != nil {
			return
		}
		if again := Read(c.Doc()); len(again.Requests) != len(c.Requests) || len(again.Responses) != len(c.Responses) {
			t.Fatalf("%q: %s", templates, c.Doc().AppendTo(nil))
		}
		for _, r := range rows([]byte(use)) {
			if r.bad != nil {
				continue
			}
			if q := c.Find(r.fields[0]); q != nil {
				if uri, _, ok := q.Fill(r.fields[1:], now); ok && strings.ContainsAny(strings.ReplaceAll(uri, q.Placeholder, ""), "\r\n") && !strings.ContainsAny(q.URI, "\r\n") {
					t.Fatalf("%q: %q", use, uri)
				}
			}
		}
		for _, line := range c.Render([]byte(doc), 1) {
			n := 0
			for range smartrest.Split([]byte(line), smartrest.Limits{Bytes: len(line) + 1, Fields: 10_000}) {
				n++
			}
			if n != 1 {
				t.Fatalf("%q: %d lines", line, n)
			}
		}
	})
}
