package iot_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/iot"
)

func TestDiff(t *testing.T) {
	parse := func(s string) iot.Doc {
		d, err := iot.ParseDoc([]byte(s), iot.MaxDepth)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", `{"a":1,"b":{"c":[1,2]}}`, `{"b":{ "c" : [1, 2] },"a":1}`, `null`},
		{"replaced", `{"a":1,"b":2}`, `{"a":1,"b":"2"}`, `[{"attribute":"b","previousValue":"2","newValue":"\"2\""}]`},
		{"added and removed", `{"a":1}`, `{"b":2}`, `[{"attribute":"a","previousValue":"1"},{"attribute":"b","newValue":"2"}]`},
		{"to null", `{"a":1}`, `{"a":null}`, `[{"attribute":"a","previousValue":"1","newValue":"null"}]`},
		{"inside", `{"a":{"x":1}}`, `{"a":{"x":2}}`, `[{"attribute":"a","previousValue":"{\"x\":1}","newValue":"{\"x\":2}"}]`},
		{"a secret changed", `{"password":"x"}`, `{"password":"y"}`, `[{"attribute":"password"}]`},
		{"a secret added in another case", `{}`, `{"PassWord":"y"}`, `[{"attribute":"PassWord"}]`},
		{"a secret unchanged", `{"password":"x"}`, `{"password":"x"}`, `null`},
		{"both empty", `{}`, `{}`, `null`},
	} {
		got, err := json.Marshal(iot.Diff(parse(c.before), parse(c.after), "password", "hash"))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s %v, want %s", c.name, got, err, c.want)
		}
	}
	long := `{"a":"` + strings.Repeat("ü", 1000) + `"}`
	for _, shift := range []string{"", "x"} { // the cut must not split a character, wherever it falls
		got := iot.Diff(nil, parse(strings.Replace(long, `"ü`, `"`+shift+"ü", 1)))[0].New
		if len(got) > 1024 || len(got) < 1000 || !utf8.ValidString(got) || !strings.HasSuffix(got, " bytes)") || got[:len(got)-20] == "" {
			t.Errorf("a long value became %d bytes: %q", len(got), got[max(0, len(got)-30):])
		}
	}
}
