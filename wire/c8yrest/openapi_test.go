package c8yrest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

type openapi struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Tags        []string
		Parameters  []struct {
			Name, In string
			Required bool
			Ref      string `json:"$ref"`
		}
		Responses map[string]any
	}
}

// TestOpenAPIDescribesEveryRoute holds the document to the table of routes.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	b, err := c8yrest.OpenAPI("1.0", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	var doc openapi
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var ids []string
	n := 0
	for _, methods := range doc.Paths {
		n += len(methods)
	}
	routes := c8yrest.Routes()
	if n != len(routes) || doc.OpenAPI != "3.1.0" {
		t.Errorf("%d operations of version %s, want %d of 3.1.0", n, doc.OpenAPI, len(routes))
	}
	for _, rt := range routes {
		op, ok := doc.Paths[rt.Path][strings.ToLower(rt.Method)]
		if !ok {
			t.Errorf("%s %s is missing", rt.Method, rt.Path)
			continue
		}
		ids = append(ids, op.OperationID)
		if strings.ContainsAny(op.OperationID, "()*-. ") || len(op.Tags) != 1 || op.Responses["default"] == nil {
			t.Errorf("%s %s: %+v", rt.Method, rt.Path, op)
		}
		for part := range strings.SplitSeq(rt.Path, "/") {
			if name := strings.Trim(part, "{}"); name != part && (len(op.Parameters) == 0 || !slices.ContainsFunc(op.Parameters, func(p struct {
				Name, In string
				Required bool
				Ref      string `json:"$ref"`
			}) bool {
				return p.Name == name && p.In == "path" && p.Required
			})) {
				t.Errorf("%s %s has no parameter %s", rt.Method, rt.Path, name)
			}
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(routes) {
		t.Error("operation ids are not unique")
	}
	checkRefs(t, b)
}

// checkRefs finds references that lead nowhere.
func checkRefs(t *testing.T, b []byte) {
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if target, ok := v["$ref"].(string); ok {
				at := doc
				for part := range strings.SplitSeq(strings.TrimPrefix(target, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", target)
				}
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
}
