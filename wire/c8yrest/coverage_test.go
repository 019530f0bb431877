package c8yrest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

const (
	operationsFile = "testdata/api/operations.txt"
	coverageFile   = "../../docs/reference/api-coverage.md"
	// openAPIEnv names the description of the API where it lies somewhere else than openAPIFile. It is not part of the project.
	openAPIEnv  = "ISOBAR_OPENAPI"
	openAPIFile = "../../../shared/reference/openapi/cumulocity-core.json"
)

// operation is one operation of the API with what is known about it. The state of most follows from the table of routes.
type operation struct {
	method, path string
	note         string // "partial", "served" or "later"; empty: by the table of routes
	reason       string // what is missing, or who serves it
}

// readOperations reads the project's own list: "METHOD path", then, where the table of routes does not tell it all,
// "partial what is missing", "later why not yet" or "served by which package".
func readOperations(t testing.TB) []operation {
	t.Helper()
	b, err := os.ReadFile(operationsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []operation
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(f) != 2 && len(f) != 4 {
			t.Fatalf("%s: %q", operationsFile, line)
		}
		o := operation{method: f[0], path: f[1]}
		if len(f) == 4 {
			o.note, o.reason = f[2], f[3]
		}
		if o.note != "" && o.note != "partial" && o.note != "served" && o.note != "later" {
			t.Fatalf("%s: unknown state in %q", operationsFile, line)
		}
		out = append(out, o)
	}
	if !slices.IsSortedFunc(out, func(a, b operation) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) }) {
		t.Errorf("%s is not sorted by path and method", operationsFile)
	}
	return out
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// shape is a path without the names of its parameters and without a query.
func shape(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return parameter.ReplaceAllString(path, "{}")
}

// TestCoverage compares the operations of the API with what is served, and keeps the page about it.
func TestCoverage(t *testing.T) {
	routes := map[string]bool{}
	for _, rt := range c8yrest.Routes() {
		routes[rt.Method+" "+shape(rt.Path)] = true
	}
	operations := readOperations(t)
	compareWithOpenAPI(t, operations)
	counts := map[string]int{}
	var page strings.Builder
	page.WriteString("# Coverage of the API\n\nEvery operation of the published API with its state: *works*, *partial* (with what is missing) or *not yet*.\n" +
		"Generated from the table of routes: `go test ./wire/c8yrest -run TestCoverage -update`.\n\n| Operation | State | |\n|---|---|---|\n")
	for _, o := range operations {
		state := "not yet"
		switch routed := routes[o.method+" "+shape(o.path)]; {
		case o.note == "served":
			state = "works"
		case routed && o.note == "partial":
			state = "partial"
		case routed && o.note == "later":
			t.Errorf("%s %s has a route, but %s says: later", o.method, o.path, operationsFile)
		case routed:
			state = "works"
		}
		counts[state]++
		reason := o.reason
		if o.note == "served" {
			reason = "by " + reason
		}
		fmt.Fprintf(&page, "| %s %s | %s | %s |\n", o.method, o.path, state, reason)
	}
	t.Logf("%d operations: %d work, %d partially, %d not yet", len(operations), counts["works"], counts["partial"], counts["not yet"])
	if *update {
		if err := os.WriteFile(coverageFile, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if kept, err := os.ReadFile(coverageFile); err != nil || string(kept) != page.String() {
		t.Errorf("docs/reference/api-coverage.md is stale (%v): run go test ./wire/c8yrest -run TestCoverage -update", err)
	}
}

// TestServedElsewhere asks the whole platform for the operations that other packages serve.
func TestServedElsewhere(t *testing.T) {
	s := start(t)
	for _, o := range readOperations(t) {
		if o.note != "served" {
			continue
		}
		a := s.send(t, "admin", o.method, o.path, http.Header{"Content-Type": {"application/json"}}, "[]")
		if a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status >= 500 {
			t.Errorf("%s %s: %d, but %s says that %s serves it", o.method, o.path, a.status, operationsFile, o.reason)
		}
	}
}

// compareWithOpenAPI holds the own list against the description of the API, where that is at hand.
func compareWithOpenAPI(t *testing.T, operations []operation) {
	spec := openAPI(t)
	if spec == nil {
		return
	}
	own := map[string]bool{}
	for _, o := range operations {
		own[o.method+" "+o.path] = true
	}
	for key := range spec.operations {
		if !own[key] {
			t.Errorf("%s misses %s", operationsFile, key)
		}
		delete(own, key)
	}
	for key := range own {
		t.Errorf("%s has %s, which the API does not have", operationsFile, key)
	}
}

// description is the description of the API, as far as it is needed here.
type description struct {
	doc        map[string]any
	operations map[string]map[string]any // by "METHOD path"
	compiler   *jsonschema.Compiler
	mu         sync.Mutex // guards compiler and schemas
	schemas    map[string]*jsonschema.Schema
}

var loadOpenAPI = sync.OnceValues(func() (*description, error) {
	name := os.Getenv(openAPIEnv)
	if name == "" {
		name = filepath.FromSlash(openAPIFile)
		if _, err := os.Stat(name); err != nil {
			return nil, nil
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, err
	}
	doc, ok := raw.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", name)
	}
	d := &description{doc: doc, operations: map[string]map[string]any{}, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft4) // what the schemas of OpenAPI 3.0 are closest to
	asSchema(doc)
	if err := d.compiler.AddResource("api.json", doc); err != nil {
		return nil, err
	}
	for path, item := range member(doc, "paths") {
		for method, op := range item.(map[string]any) {
			if op, ok := op.(map[string]any); ok && op["responses"] != nil {
				d.operations[strings.ToUpper(method)+" "+path] = op
			}
		}
	}
	return d, nil
})

// openAPI returns the description of the API, nil if it is not at hand.
func openAPI(t testing.TB) *description {
	t.Helper()
	d, err := loadOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func member(v any, names ...string) map[string]any {
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	m, _ := v.(map[string]any)
	return m
}

// asSchema turns what only OpenAPI 3.0 knows into JSON schema: nullable, and identifiers that are no references.
func asSchema(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			asSchema(x)
		}
		if kind, ok := v["type"].(string); ok && v["nullable"] == true {
			v["type"] = []any{kind, "null"}
		}
		if _, ok := v["id"].(string); ok {
			delete(v, "id") // in draft 4 it would name the schema
		}
	case []any:
		for _, x := range v {
			asSchema(x)
		}
	}
}

// schemasOf returns the schemas that an answer may have, one per media type. None if it has no schema.
func (d *description) schemasOf(key string, status int) ([]*jsonschema.Schema, error) {
	method, path, _ := strings.Cut(key, " ")
	response := member(d.operations[key], "responses", fmt.Sprint(status))
	pointer := "/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + fmt.Sprint(status)
	if ref, ok := response["$ref"].(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
		response = member(d.doc, strings.Split(strings.Trim(pointer, "/"), "/")...)
	}
	var out []*jsonschema.Schema
	for _, media := range slices.Sorted(maps.Keys(member(response, "content"))) {
		if !strings.Contains(media, "json") || member(response, "content", media, "schema") == nil {
			continue
		}
		s, err := d.compile(pointer + "/content/" + escape(media) + "/schema")
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (d *description) compile(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile("api.json#" + pointer)
	if err == nil {
		d.schemas[pointer] = s
	}
	return s, err
}

// escape writes a name as a part of a JSON pointer in a URL.
func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "?", "%3F", " ", "%20", ";", "%3B").Replace(s)
}

// conform validates an answer with JSON against the schemas of its operation, one of which it must follow, and returns how it differs from the
// first: one text per difference, which is the same for every element of a list.
func (d *description) conform(key string, a answer) ([]string, error) {
	schemas, err := d.schemasOf(key, a.status)
	if err != nil || a.body == "" || !strings.Contains(a.header.Get("Content-Type"), "json") {
		return nil, err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err != nil {
		return []string{"not JSON"}, nil
	}
	var first *jsonschema.ValidationError
	for _, s := range schemas {
		var wrong *jsonschema.ValidationError
		switch err := s.Validate(v); {
		case err == nil:
			return nil, nil
		case !errors.As(err, &wrong):
			return nil, err
		case first == nil:
			first = wrong
		}
	}
	if first == nil {
		return nil, nil
	}
	found := map[string]bool{}
	for _, difference := range flatten(first.DetailedOutput()) {
		found[difference] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

var index = regexp.MustCompile(`/\d+`)

func flatten(u *jsonschema.OutputUnit) []string {
	if len(u.Errors) == 0 && u.Error != nil {
		b, _ := json.Marshal(u.Error)
		return []string{index.ReplaceAllString(u.InstanceLocation, "/*") + " " + strings.Trim(string(b), `"`)}
	}
	var out []string
	for i := range u.Errors {
		out = append(out, flatten(&u.Errors[i])...)
	}
	return out
}
