package directory_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/enterprise/directory"
	"github.com/isobar-iot/isobar/fault"
)

const claims = `{"group":"ops","groups":["staff","ops",7],"level":5,"big":"12.5","admin":true,"none":null,"address":{"country":"DE","a.b":{"c":"deep"}},"https://example.com/roles":["r1"],"empty":[],"list":[["x"]],"huge":1e999}`

func evaluate(t *testing.T, when, claims string) bool {
	t.Helper()
	var r directory.Rules
	if err := json.Unmarshal([]byte(`{"mappings":[{"when":`+when+`,"thenGroups":[1]}]}`), &r); err != nil {
		t.Fatal(err)
	}
	c, err := directory.ParseClaims([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return r.Evaluate(c).Matched
}

func TestPredicates(t *testing.T) {
	for _, c := range []struct {
		operator, path, value string
		want                  bool
	}{
		{"EQ", "group", "ops", true}, {"EQ", "group", "op", false}, {"EQ", "group", "*", true}, {"EQ", "group", "o*s", true}, {"EQ", "group", "o*x", false}, {"EQ", "group", "**", true}, {"EQ", "group", "ops*", true},
		{"EQ", "group", "Ops", false}, {"EQ", "group", "", false}, {"EQ", "absent", "*", false}, {"EQ", "none", "*", false}, {"EQ", "groups", "staff", false}, {"EQ", "address", "*", false},
		{"EQ", "level", "5", true}, {"EQ", "admin", "true", true}, {"EQ", "address.country", "DE", true}, {"EQ", "address.a.b.c", "deep", true}, {"EQ", "address.country.x", "*", false},
		{"NEQ", "group", "x", true}, {"NEQ", "group", "ops", false}, {"NEQ", "absent", "x", false}, {"NEQ", "none", "x", false}, {"NEQ", "groups", "x", false},
		{"GT", "level", "4", true}, {"GT", "level", "5", false}, {"GTE", "level", "5", true}, {"LT", "level", "5", false}, {"LT", "level", "5.5", true}, {"LTE", "level", "5", true}, {"GT", "big", "12", true},
		{"GT", "group", "1", false}, {"LT", "group", "1", false}, {"GT", "absent", "1", false}, {"LT", "absent", "1", false}, {"GT", "huge", "1", false},
		{"IN", "groups", "staff", true}, {"IN", "groups", "7", true}, {"IN", "groups", "sta", false}, {"IN", "groups", "*", false}, {"IN", "group", "ops", true}, {"IN", "absent", "x", false},
		{"IN", "https://example.com/roles", "r1", true}, {"IN", "empty", "x", false}, {"IN", "list", "x", false}, {"LIKE", "group", "ops", false}, {"", "group", "ops", false},
	} {
		when := fmt.Sprintf(`{"operator":%q,"parameterPath":%q,"value":%q}`, c.operator, c.path, c.value)
		if got := evaluate(t, when, claims); got != c.want {
			t.Errorf("%s is %v", when, got)
		}
	}
	const yes, no = `{"operator":"EQ","parameterPath":"group","value":"ops"}`, `{"operator":"EQ","parameterPath":"group","value":"x"}`
	for when, want := range map[string]bool{
		`{"operator":"AND","childPredicates":[` + yes + `,` + yes + `]}`: true, `{"operator":"AND","childPredicates":[` + yes + `,` + no + `]}`: false, `{"operator":"AND","childPredicates":[]}`: false,
		`{"operator":"OR","childPredicates":[` + no + `,` + yes + `]}`: true, `{"operator":"OR","childPredicates":[` + no + `]}`: false, `{"operator":"OR"}`: false,
		`{"operator":"AND","childPredicates":[{"operator":"OR","childPredicates":[` + no + `,` + yes + `]},` + yes + `]}`: true, nested(8, yes): true, nested(9, yes): false, `{}`: false,
	} {
		if got := evaluate(t, when, claims); got != want {
			t.Errorf("%s is %v", when, got)
		}
	}
}

// nested is a predicate at a depth.
func nested(depth int, leaf string) string {
	return strings.Repeat(`{"operator":"AND","childPredicates":[`, depth-1) + leaf + strings.Repeat(`]}`, depth-1)
}

func TestRulesThatAreRefused(t *testing.T) {
	const leaf = `{"operator":"EQ","parameterPath":"a","value":"b"}`
	rule := func(when, then string) string { return `{"mappings":[{"when":` + when + then + `}]}` }
	for _, c := range []struct {
		rules string
		good  bool
	}{
		{rule(leaf, `,"thenGroups":[1]`), true}, {rule(nested(8, leaf), ""), true}, {rule(nested(9, leaf), ""), false}, {`{}`, true},
		{rule(`{"operator":"EQ","parameterPath":"a","value":5}`, ""), true},
		{rule(`{"operator":"AND","childPredicates":[]}`, ""), false}, {rule(`{"operator":"OR"}`, ""), false}, {rule(`{"operator":"LIKE","parameterPath":"a"}`, ""), false}, {rule(`{}`, ""), false},
		{rule(`{"operator":"EQ"}`, ""), false}, {rule(`{"operator":"EQ","parameterPath":"`+strings.Repeat("a.", 11)+`"}`, ""), false}, {rule(`{"operator":"EQ","parameterPath":"`+strings.Repeat("a", 300)+`"}`, ""), false},
		{rule(`{"operator":"GT","parameterPath":"a","value":"x"}`, ""), false}, {rule(`{"operator":"EQ","parameterPath":"a","value":"`+strings.Repeat("x", 2000)+`"}`, ""), false},
		{rule(`{"operator":"OR","childPredicates":[`+strings.Repeat(leaf+",", 200)+leaf+`]}`, ""), false},
		{rule(leaf, `,"thenApplications":[1]`), false}, {rule(leaf, `,"thenApplications":[]`), true},
		{rule(leaf, `,"thenInventoryRoles":[{"managedObject":"7","roleIds":[1]}]`), true}, {rule(leaf, `,"thenInventoryRoles":[{"managedObject":7,"roleIds":[1]}]`), true},
		{rule(leaf, `,"thenInventoryRoles":[{"managedObject":"x","roleIds":[1]}]`), false}, {rule(leaf, `,"thenInventoryRoles":[{"managedObject":"7","roleIds":[]}]`), false},
		{`{"mappings":[` + strings.Repeat(`{"when":`+leaf+`},`, 200) + `{"when":` + leaf + `}]}`, false},
	} {
		var r directory.Rules
		if err := json.Unmarshal([]byte(c.rules), &r); err != nil {
			t.Fatalf("%.100s: %v", c.rules, err)
		}
		if err := r.Check(); (err == nil) != c.good || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%.100s: %v", c.rules, err)
		}
	}
}

func TestAddressesThatAreReached(t *testing.T) {
	for _, c := range []struct {
		url                 string
		ordinary, withTests bool
	}{
		{"https://login.example.com/realm", true, true}, {"https://10.0.0.1:8443/", true, true}, {"http://login.example.com", false, false}, {"http://127.0.0.1:80/", false, true},
		{"http://localhost/", false, true}, {"http://[::1]:5/", false, true}, {"http://127.0.0.1.example.com/", false, false}, {"https://user@login.example.com", false, false}, {"https://", false, false},
		{"file:///etc/passwd", false, false}, {"", false, false}, {"https://a/#x", false, false}, {"gopher://a", false, false},
	} {
		for allow, want := range map[bool]bool{false: c.ordinary, true: c.withTests} {
			if err := (directory.Door{AllowLoopback: allow}).CheckURL("x", c.url); (err == nil) != want {
				t.Errorf("%s with loopback %v: %v", c.url, allow, err)
			}
		}
	}
	for address, want := range map[string]bool{"127.0.0.1:1": false, "[::1]:1": false, "0.0.0.0:1": false, "169.254.169.254:80": false, "[fe80::1]:80": false, "224.0.0.1:80": false, "[::ffff:127.0.0.1]:1": false,
		"[::ffff:169.254.169.254]:80": false, "10.1.2.3:443": true, "192.0.2.1:443": true} {
		err := directory.Door{}.Dialer().ControlContext(t.Context(), "tcp", address, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add(`{"mappings":[{"when":{"operator":"AND","childPredicates":[{"operator":"IN","parameterPath":"groups","value":"staff"}]},"thenGroups":[1]}]}`, claims)
	f.Add(`{"inventoryMappings":[{"when":{"operator":"EQ","parameterPath":"a.b","value":"*x*"},"thenInventoryRoles":[{"managedObject":"7","roleIds":[1]}]}]}`, `{"a":{"b":"yxz"}}`)
	f.Add(`{"mappings":[{"when":{"operator":"GT","parameterPath":"a","value":1}}]}`, `{"a":"0x1p-2"}`)
	f.Fuzz(func(t *testing.T, rules, claims string) {
		var r directory.Rules
		if json.Unmarshal([]byte(rules), &r) != nil {
			return
		}
		c, err := directory.ParseClaims([]byte(claims))
		if err != nil {
			return
		}
		got := r.Evaluate(c) // also without Check: it must not depend on that
		if !got.Matched && len(got.Groups)+len(got.Roles) > 0 {
			t.Errorf("nothing matched, but %+v is given", got)
		}
		if r.Check() == nil && len(c) == 0 && got.Matched {
			t.Error("rules match somebody of whom nothing is known")
		}
	})
}
