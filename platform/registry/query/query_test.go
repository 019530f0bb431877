package query_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isobar-iot/isobar/platform/registry/query"
)

func text(s string) query.Value { return query.Value{Kind: query.Text, Text: s} }

func TestParseFormsThatClientsSend(t *testing.T) {
	typ := func(v string) query.Expr {
		return query.Compare{Path: query.Path{"type"}, Op: query.Eq, Value: text(v)}
	}
	has := func(path ...string) query.Expr { return query.Has{path} }
	byName := []query.Order{{Path: query.Path{"name"}}}
	for _, c := range []struct {
		in   string
		want query.Query
	}{
		{"", query.Query{}},
		{"type eq c8y_Service", query.Query{Filter: typ("c8y_Service")}},
		{"$filter=type eq 'x'", query.Query{Filter: typ("x")}},
		{"$filter=(has(c8y_IsDeviceGroup))$orderby=name", query.Query{Filter: has("c8y_IsDeviceGroup"), Order: byName}},
		{"$filter= $orderby=name asc", query.Query{Order: byName}},
		{"$orderby=c8y_IsDeviceGroup desc,name asc", query.Query{Order: []query.Order{{Path: query.Path{"c8y_IsDeviceGroup"}, Desc: true}, {Path: query.Path{"name"}}}}},
		{"has('c8y_Dashboard!name!home-cockpit1')", query.Query{Filter: has("c8y_Dashboard!name!home-cockpit1")}},
		{"not(has(c8y_IsDynamicGroup.invisible))", query.Query{Filter: query.Not{has("c8y_IsDynamicGroup", "invisible")}}},
		{"(bygroupid(12, 13)) and hasany(a,b)", query.Query{Filter: query.And{query.ByGroup{12, 13}, query.Has{{"a"}, {"b"}}}}},
		{"type eq 'a' or type eq 'b' and not type eq 'c'", query.Query{Filter: query.Or{typ("a"), query.And{typ("b"), query.Not{typ("c")}}}}},
		{`name eq 'it''s \[1\] \\ *'`, query.Query{Filter: query.Compare{Path: query.Path{"name"}, Op: query.Eq, Value: query.Value{Kind: query.Text, Text: `it's [1] \ *`, Wildcard: true}}}},
		{"c8y_Position.lng gt -12.3d", query.Query{Filter: query.Compare{Path: query.Path{"c8y_Position", "lng"}, Op: query.Gt, Value: query.Value{Kind: query.Number, Num: -12.3, Text: "-12.3"}}}},
		{"a.b le 0f", query.Query{Filter: query.Compare{Path: query.Path{"a", "b"}, Op: query.Le, Value: query.Value{Kind: query.Number, Text: "0"}}}},
		{"a eq 12", query.Query{Filter: query.Compare{Path: query.Path{"a"}, Op: query.Eq, Value: query.Value{Kind: query.Number, Num: 12, Text: "12", Exact: true}}}},
		{"a eq 1.5", query.Query{Filter: query.Compare{Path: query.Path{"a"}, Op: query.Eq, Value: text("1.5")}}},
		{"a eq true and b eq null", query.Query{Filter: query.And{
			query.Compare{Path: query.Path{"a"}, Op: query.Eq, Value: query.Value{Kind: query.Bool, Bool: true}},
			query.Compare{Path: query.Path{"b"}, Op: query.Eq, Value: query.Value{Kind: query.Null}}}}},
		{"isinhierarchyof(7)", query.Query{Filter: query.InHierarchy{7}}},
		{"NOT (order eq 'x')", query.Query{Filter: query.Not{query.Compare{Path: query.Path{"order"}, Op: query.Eq, Value: text("x")}}}},
	} {
		got, err := query.Parse(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.in, d)
		}
	}
}

func TestParseRefusesWithAHint(t *testing.T) {
	for in, want := range map[string]string{
		"type ne 'x'":                "one of eq, gt, ge, lt, le",
		"type eq":                    "a value",
		"type eq 'x":                 "closing quote",
		"(type eq 'x'":               "')'",
		"has()":                      "an argument",
		"has(a,b)":                   "one argument",
		"foo(a)":                     "unknown function",
		"bygroupid(abc)":             "not an id",
		"type eq 'x' type eq 'y'":    "'and', 'or'",
		"$orderby=":                  "a property",
		"a..b eq 1":                  "not a path",
		strings.Repeat("(", 200):     "nested",
		strings.Repeat("not ", 200):  "nested",
		strings.Repeat("x", 33*1024): "longer",
		"and":                        "one of eq",
		"$filter=a eq 1 $filter=b":   "$filter",
		strings.Repeat("a eq 1 or ", 600) + "a eq 1": "conditions",
	} {
		if q, err := query.Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %+v, %v; want %q", in, q, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "$filter=(has(a))$orderby=name", "a eq 'x''\\y*' and not(b gt 1.5f)", "bygroupid(1,2)", "$orderby=a.b desc,c", "((((", "a eq"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if q, err := query.Parse(s); err == nil && q.Filter == nil && len(q.Order) == 0 && strings.Contains(s, "(") {
			t.Errorf("%q was read as nothing", s)
		}
	})
}
