package smartrest

import (
	"reflect"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", []string{"200", "env", "hum", "40.5"}, "200,env,hum,40.5"},
		{"empty fields at the end are left off", []string{"115", "fw", "1.0", ""}, "115,fw,1.0"},
		{"an empty field inside stays", []string{"200", "env", "hum", "1", "", "2026-01-02T03:04:05.678Z"}, "200,env,hum,1,,2026-01-02T03:04:05.678Z"},
		{"comma and quote", []string{"302", "x", `a "b", c`}, `302,x,"a ""b"", c"`},
		{"line break", []string{"400", "door", "line1\nline2"}, "400,door,\"line1\nline2\""},
		{"blank at the edge", []string{"400", "door", " x"}, `400,door," x"`},
	} {
		if got := Line(c.fields...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		want          [][]string
	}{
		{"restart", "510,dev1", [][]string{{"510", "dev1"}}},
		{"relay of a child", "518,dev1-valve,CLOSED", [][]string{{"518", "dev1-valve", "CLOSED"}}},
		{"escaped by backslash", `511,dev1,"ls \"a b\""`, [][]string{{"511", "dev1", `ls "a b"`}}},
		{"escaped by doubling", `511,dev1,"ls ""a b"""`, [][]string{{"511", "dev1", `ls "a b"`}}},
		{"two operations", "510,a\r\n518,b,OPEN\n", [][]string{{"510", "a"}, {"518", "b", "OPEN"}}},
		{"line break inside quotes", "511,a,\"one\ntwo\"\n510,a", [][]string{{"511", "a", "one\ntwo"}, {"510", "a"}}},
		{"empty field", "522,a,,x", [][]string{{"522", "a", "", "x"}}},
		{"a field left empty at the end", "511,a,", [][]string{{"511", "a", ""}}},
		{"unclosed quote", `511,a,"x`, [][]string{{"511", "a", "x"}}},
		{"nothing", "\n\n", nil},
	} {
		if got := Parse(c.payload); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for v, want := range map[float64]string{21.256: "21.26", 3: "3", 0: "0", -0.0001: "0", 100: "100", 0.5: "0.5"} {
		if got := Decimal(v, 2); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`511,dev1,"ls \"a b\""`)
	f.Add("510,a\r\n518,b,\"OPEN\"\n")
	f.Fuzz(func(t *testing.T, payload string) {
		for _, fields := range Parse(payload) {
			if len(fields) == 0 {
				t.Fatalf("%q gave a line without fields", payload)
			}
		}
	})
}

func FuzzWhatLineWritesParseReads(f *testing.F) {
	f.Add("a \"b\", c")
	f.Add("x\ny")
	f.Fuzz(func(t *testing.T, field string) {
		if strings.ContainsAny(field, "\\\r") || strings.TrimSpace(field) != field {
			return // a backslash means different things up and down; carriage returns and blanks are the reader's to trim
		}
		got := Parse(Line("1", field, "2"))
		if want := [][]string{{"1", field, "2"}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%q came back as %q", field, got)
		}
	})
}
