package c8yrest_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

type openapi struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		Permissions []string `json:"x-isobar-permissions"`
		RequestBody struct{ Content map[string]any }
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
	if doc.Paths["/notification2/consumer/"]["get"].Responses["101"] == nil {
		t.Error("the WebSocket of notifications is missing")
	}
	if n != len(routes)+1 || doc.OpenAPI != "3.1.0" {
		t.Errorf("%d operations of version %s, want %d of 3.1.0", n, doc.OpenAPI, len(routes)+1)
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

func document(t *testing.T) (doc openapi) {
	t.Helper()
	b, err := c8yrest.OpenAPI("1.0", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// mixed finds the names of code in a text, such as tOTP.
var mixed = regexp.MustCompile(`\b[a-z]+[A-Z]`)

// TestOpenAPIIsReadable holds summaries, filters and bodies to what people need of them.
func TestOpenAPIIsReadable(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for path, methods := range doc.Paths {
		for method, op := range methods {
			words := strings.Fields(strings.ToLower(op.Summary))
			if mixed.MatchString(op.Summary) {
				t.Errorf("%s %s has a summary made from a name: %q", method, path, op.Summary)
			}
			if len(words) < 2 || len(slices.Compact(words)) != len(strings.Fields(op.Summary)) {
				t.Errorf("%s %s has the summary %q", method, path, op.Summary)
			}
		}
	}
	for path, wants := range map[string]string{
		"/inventory/managedObjects":        "query q type fragmentType owner ids text",
		"/measurement/measurements":        "source type valueFragmentType valueFragmentSeries dateFrom dateTo revert",
		"/measurement/measurements/series": "source series dateFrom dateTo aggregationType aggregationInterval aggregationFunction revert",
		"/event/events":                    "source type fragmentType dateFrom dateTo createdFrom createdTo lastUpdatedFrom lastUpdatedTo revert withSourceAssets",
		"/alarm/alarms":                    "source severity status resolved type dateFrom dateTo createdFrom createdTo revert",
		"/devicecontrol/operations":        "deviceId agentId status bulkOperationId fragmentType dateFrom dateTo revert",
		"/devicecontrol/bulkoperations":    "generalStatus withDeleted dateFrom dateTo",
		"/notification2/subscriptions":     "source context typeFilter subscription",
		"/audit/auditRecords":              "source type user application dateFrom dateTo revert",
	} {
		for _, want := range strings.Fields(wants) {
			found := false
			for _, p := range doc.Paths[path]["get"].Parameters {
				found = found || p.Name == want && p.In == "query"
			}
			if !found {
				t.Errorf("GET %s does not have %s", path, want)
			}
		}
	}
	for _, path := range []string{"/inventory/binaries", "/devicecontrol/bulkNewDeviceRequests", "/application/applications/{id}/binaries"} {
		if c := doc.Paths[path]["post"].RequestBody.Content; c["multipart/form-data"] == nil || c["application/json"] != nil {
			t.Errorf("POST %s takes %v", path, c)
		}
	}
}

// TestOpenAPIFiltersHaveRoutes finds filters of routes that are gone.
func TestOpenAPIFiltersHaveRoutes(t *testing.T) {
	t.Parallel()
	routes := map[string]bool{}
	for _, rt := range c8yrest.Routes() {
		routes[rt.Method+" "+rt.Path] = true
	}
	for _, name := range c8yrest.DescribedRoutes() {
		if !routes[name] {
			t.Errorf("%s is described, but there is no such route", name)
		}
	}
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
