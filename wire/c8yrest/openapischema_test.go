package c8yrest_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// TestOpenAPIIsValid holds the document to the schema that the OpenAPI Initiative publishes (testdata/openapi, the version of 2022-10-07), and its
// own schemas to the draft of JSON Schema that OpenAPI 3.1 names.
func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	yes := "true"
	b, err := c8yrest.OpenAPI("1.0", "http://localhost",
		apimgmt.Endpoint{Name: "a-b", Version: 2, Kind: apimgmt.InventoryQuery, State: apimgmt.Deprecated, Description: "d", MaxPage: 10, Parameters: []apimgmt.Parameter{
			{Name: "x", Type: apimgmt.BooleanType, Default: &yes, Description: "d"}, {Name: "y", Type: apimgmt.IDType}, {Name: "z", Type: apimgmt.DateTimeType}}},
		apimgmt.Endpoint{Name: "s", Version: 1, Kind: apimgmt.SeriesQuery, State: apimgmt.Published, Series: &apimgmt.Series{}})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/openapi/oas31-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	standard, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	for name, resource := range map[string]any{"https://spec.openapis.org/oas/3.1/schema/2022-10-07": standard, "https://localhost/openapi.json": doc} {
		if err := compiler.AddResource(name, resource); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := compiler.Compile("https://spec.openapis.org/oas/3.1/schema/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	if err := whole.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
	delete(doc.(map[string]any), "openapi")
	if whole.Validate(doc) == nil {
		t.Error("the schema takes anything")
	}
	for name := range member(doc, "components", "schemas") {
		if _, err := compiler.Compile("https://localhost/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
}
