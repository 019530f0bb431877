package custom_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest"
	"github.com/isobar-iot/isobar/wire/smartrest/custom"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

const lines = `10,900,POST,MEASUREMENT,false,pump,,pump.flow.value,NUMBER,,pump.flow.unit,STRING,l/min
10,g,GET,INVENTORY,,true
10,u,PUT,INVENTORY,,c8y_X.y,FLAG
10,v,PUT,INVENTORY,true,false,c8y_Serial,"['a b'].y",INTEGER
10,p,POST,INVENTORY,,c8y_Serial,name,STRING
10,o,PUT,OPERATION,,c8y_X,status,OPERATIONSTATUS,,null,DATE,null
10,a,POST,ALARM,,t,,ACTIVE,,,x,SEVERITY
11,901,pump_Set,pump_Set,rate,mode
11,902,,,"$.list[*].x","a""b"`

func TestTheStoredFormSaysTheSame(t *testing.T) {
	c, bad := custom.Parse([]byte(strings.Replace(lines, `,"a""b"`, "", 1)))
	if bad != nil {
		t.Fatal(bad)
	}
	stored := c.Doc()
	again, problems := custom.Read(stored)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if a, b := string(stored.AppendTo(nil)), string(again.Doc().AppendTo(nil)); a != b {
		t.Errorf("stored\n%s\nread\n%s", a, b)
	}
	if !again.Find("u").Self || again.Find("v").Self {
		t.Error("which request is about the connected device is lost")
	}
}

func TestWhatIsBadInTheStoredFormIsLeftOut(t *testing.T) {
	for doc, want := range map[string]int{
		`{}`: 0, `{"requestTemplates":7}`: 1, `{"requestTemplates":[{}]}`: 1, `{"requestTemplates":[{"msgId":"1","method":"POST","api":"EVENT","customValues":[{"path":"a..b"}]}]}`: 1,
		`{"responseTemplates":[{"msgId":"1","base":"$..x"}]}`: 1, `{"responseTemplates":[{"pattern":["a"]}]}`: 1, `{"requestTemplates":[{"msgId":1,"method":"post","api":"event","mandatoryValues":null}],"responseTemplates":null}`: 0,
	} {
		d, err := iot.ParseDoc([]byte(doc), iot.MaxDepth)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := custom.Read(d); len(problems) != want {
			t.Errorf("%s: %q", doc, problems)
		}
	}
}

func TestRender(t *testing.T) {
	target := "d1"
	for _, x := range []struct{ template, doc, want string }{
		{"11,1,a,c,x,y", `{"a":{"x":1},"c":0}`, "1,d1,1,"},
		{"11,1,a,c,x,y", `{"c":true}`, "1,d1,,"},
		{"11,1,a,c,x", `{"a":{"x":1}}`, ""},
		{"11,1,a,c,x", `{"a":{"x":1},"c":null}`, ""},
		{"11,1,a,,x", `{"b":1}`, ""},
		{"11,1,a,,x", `{"a":{"y":1}}`, ""},
		{"11,1,,,x", `{"x":"a, \"b\""}`, `1,d1,"a, \"b\""`},
		{"11,1,,x", `{"x":1}`, "1,d1"},
		{"11,1,,,l[*].x,z", `{"l":[{"x":1},{"x":{"y":2}}]}`, `1,d1,1,"{\"y\":2}",`},
		{"11,1,l[*],,x", `{"l":[{"x":1},{"x":2}]}`, `1,d1,1,2`},
		{"11,1,,,x", `{"x":"` + strings.Repeat("y", custom.MaxLine) + `"}`, ""},
	} {
		c, bad := custom.Parse([]byte(x.template))
		if bad != nil {
			t.Fatal(bad)
		}
		if got := strings.Join(c.Render([]byte(x.doc), &target), "|"); got != x.want {
			t.Errorf("%s of %.50s: %q, want %q", x.template, x.doc, got, x.want)
		}
	}
}

func TestBounds(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("11,1,,,x\n", custom.MaxTemplates+1), "11,1,,," + strings.Repeat("x,", custom.MaxFields) + "x", "10,1,POST,EVENT,,t,x,," + strings.Repeat("a,STRING,,", custom.MaxFields+1),
		"10," + strings.Repeat("x", 100) + ",GET,INVENTORY",
	} {
		if _, bad := custom.Parse([]byte(text)); bad == nil {
			t.Errorf("%.40s... is accepted", text)
		}
	}
}

// FuzzCollection: no lines, no line that uses them and no document makes the package panic; what is accepted survives being stored, and what
// is rendered is one line that splits again.
func FuzzCollection(f *testing.F) {
	f.Add(lines, "900,,17.5", `{"pump_Set":{"rate":3},"list":[{"x":"a\n\"b"}]}`)
	f.Add("10,1,POST,EVENT,true,t,,,a.b,OBJECTARRAY", `1,x,,"[{}]"`, "{}")
	f.Add("10,1,POST,ALARM\n11,x,$,a,b", "1,t,x,,MAJOR", `{"a":1,"b":[1,2]}`)
	f.Add("#\n11,\"", "", "[")
	f.Fuzz(func(t *testing.T, templates, use, doc string) {
		c, bad := custom.Parse([]byte(templates))
		if (c == nil) == (bad == nil) {
			t.Fatal("neither a collection nor an error")
		}
		if bad != nil {
			return
		}
		again, problems := custom.Read(c.Doc())
		if len(problems) > 0 || len(again.Requests) != len(c.Requests) || len(again.Responses) != len(c.Responses) {
			t.Fatalf("%q: %q", templates, problems)
		}
		for fields, err := range smartrest.Split([]byte(use), smartrest.Limits{}) {
			if err != nil {
				continue
			}
			id, _ := fields.Next()
			if r := c.Find(id); r != nil {
				if cmd, err := r.Bind(fields, now); err == nil {
					if _, err := iot.ParseDoc(cmd.Body.AppendTo(nil), iot.MaxDepth+40); err != nil {
						t.Fatalf("%q: %s: %v", templates, cmd.Body.AppendTo(nil), err)
					}
				}
			}
		}
		target := "t"
		for _, line := range c.Render([]byte(doc), &target) {
			n := 0
			for _, err := range smartrest.Split([]byte(line), smartrest.Limits{Bytes: len(line) + 1, Fields: 10_000}) {
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				n++
			}
			if n != 1 || !utf8.ValidString(line) {
				t.Fatalf("%q: %d lines", line, n)
			}
		}
	})
}
