package c8yrest

import (
	"cmp"
	"embed"
	"encoding/json"
	"net/http"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"github.com/isobar-iot/isobar/platform/apimgmt"
)

//go:embed reference
var referenceFiles embed.FS

func openAPIRoutes() []Route {
	return []Route{tagged(public(get("/isobar/openapi.json", getOpenAPI))), public(get("/isobar/reference", getReference)), public(get("/isobar/reference.css", getReference)), public(get("/isobar/reference.js", getReference))}
}

type schema = map[string]any

func ref(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

// OpenAPI returns the description of all routes, of the WebSockets beside them, and of published endpoints that are in use, as an OpenAPI 3.1 document. base is where the server is
// reached.
func OpenAPI(version, base string, published ...apimgmt.Endpoint) ([]byte, error) {
	paths, names := map[string]map[string]schema{}, map[string]int{}
	var tags []schema
	for _, rt := range Routes() {
		tag := tagOf(rt.Path)
		if !hasTag(tags, tag) {
			tags = append(tags, schema{"name": tag})
		}
		if paths[rt.Path] == nil {
			paths[rt.Path] = map[string]schema{}
		}
		paths[rt.Path][strings.ToLower(rt.Method)] = operationOf(rt, tag, names)
	}
	for path, op := range sockets() {
		paths[path] = map[string]schema{"get": op}
	}
	for _, e := range published {
		if e.State != apimgmt.Published && e.State != apimgmt.Deprecated {
			continue
		}
		if !hasTag(tags, "published endpoints") {
			tags = append(tags, schema{"name": "published endpoints"})
		}
		paths[publishedPath+"/"+e.Label()] = map[string]schema{"get": publishedOperation(e)}
	}
	return json.Marshal(schema{
		"openapi": "3.1.0",
		"info": schema{"title": "Isobar", "version": version, "license": schema{"name": "Apache 2.0", "identifier": "Apache-2.0"},
			"description": "The REST API of the platform: all that this server answers to, made from its table of routes."},
		"servers": []schema{{"url": base}}, "tags": tags, "paths": paths,
		"security": []schema{{"basic": []string{}}, {"bearer": []string{}}, {"apiKey": []string{}}, {"cookie": []string{}, "xsrf": []string{}}},
		"components": schema{"schemas": schemas(), "parameters": parameters(), "responses": schema{"Error": schema{"description": "What went wrong.",
			"content": schema{"application/vnd.com.nsn.cumulocity.error+json": schema{"schema": ref("Error")}}}},
			"securitySchemes": schema{
				"basic":  schema{"type": "http", "scheme": "basic", "description": "tenant/user or user, and the password."},
				"bearer": schema{"type": "http", "scheme": "bearer", "description": "A token of a session, or an API key."},
				"apiKey": schema{"type": "apiKey", "in": "header", "name": keyHeader},
				"cookie": schema{"type": "apiKey", "in": "cookie", "name": tokenCookie},
				"xsrf":   schema{"type": "apiKey", "in": "header", "name": xsrfHeader},
			}},
	})
}

// sockets are the WebSockets that are no routes of this package, by path.
func sockets() map[string]schema {
	text := schema{"type": "string"}
	param := func(name, description string, required bool) schema {
		return schema{"name": name, "in": "query", "required": required, "description": description, "schema": text}
	}
	return map[string]schema{"/notification2/consumer/": {"operationId": "consumeNotifications", "summary": "Receive notifications over a WebSocket", "tags": []string{"notifications"},
		"description": "The request must ask for an upgrade to WebSocket. Each message is a line with an id, lines that tell what it is about, an empty line and a JSON document. " +
			"The consumer sends the id back when it is done with a message; what it does not send back comes again.",
		"security":   []schema{}, // the token says who it is
		"parameters": []schema{param("token", "The token of POST /notification2/token.", true), param("consumer", "A name by which a shared consumer keeps its part of the sources.", false)},
		"responses": schema{"101": schema{"description": "From here on it is a WebSocket."}, "401": schema{"description": "The token is missing, expired or was taken back."},
			"default": schema{"description": "It could not be upgraded."}}}}
}

func hasTag(tags []schema, name string) bool {
	for _, t := range tags {
		if t["name"] == name {
			return true
		}
	}
	return false
}

// groups are the names of groups that the first segment of a path does not tell.
var groups = map[string]string{"s": "smartrest", ".well-known": "enrollment", "certificate-authority": "enrollment", "notification2": "notifications", "isobar openapi": "reference", "isobar reference": "reference",
	"isobar published": "published endpoints", "isobar publishedApi": "published endpoints"}

// tagOf is the group of a path: its first segment, and the second one of our own.
func tagOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if parts[0] == "isobar" && len(parts) > 1 {
		name, _, _ := strings.Cut(parts[1], ".")
		return cmp.Or(groups["isobar "+name], "isobar "+name)
	}
	return cmp.Or(groups[parts[0]], parts[0])
}

// nameOf is the name of a handler, such as listObjects.
func nameOf(rt Route) string {
	full := runtime.FuncForPC(reflect.ValueOf(rt.handle).Pointer()).Name()
	full = strings.TrimSuffix(full, "-fm") // a method of a value
	name := full[strings.LastIndexByte(full, '.')+1:]
	if strings.HasPrefix(name, "func") { // made by another function, whose name comes before
		parts := strings.Split(full, ".")
		name = parts[len(parts)-2]
	}
	return name
}

// inWords turns listObjects into "List objects".
func inWords(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case i == 0:
			b.WriteRune(unicode.ToUpper(r))
		case unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func operationOf(rt Route, tag string, names map[string]int) schema {
	name := nameOf(rt)
	id := name
	if names[name]++; names[name] > 1 { // several routes share a handler
		id += strconv.Itoa(names[name])
	}
	good := schema{"description": "Done.", "content": contentOf(rt)}
	op := schema{"operationId": id, "summary": summaries[rt.Method+" "+rt.Path], "tags": []string{tag}}
	status := "200"
	switch {
	case rt.Method == http.MethodDelete:
		status, good = "204", schema{"description": "Deleted."}
	}
	responses := schema{"default": schema{"$ref": "#/components/responses/Error"}}
	if rt.Method == http.MethodPost || rt.Method == http.MethodPut {
		status = "2XX" // 200 or 201, without a body for who sends no Accept
		op["requestBody"] = schema{"content": mediaOf(rt)}
	}
	responses[status] = good
	op["responses"] = responses
	if rt.Access == Public {
		op["security"] = []schema{}
	} else {
		responses["401"] = schema{"$ref": "#/components/responses/Error"}
		responses["403"] = schema{"$ref": "#/components/responses/Error"}
	}
	if p := permissionsOf(rt); p != nil {
		op["x-isobar-permissions"] = p
	}
	if list := parametersOf(rt, name); len(list) > 0 {
		op["parameters"] = list
	}
	return op
}

// contentOf is what a route answers with, by its media type.
func contentOf(rt Route) schema {
	switch {
	case rt.Download:
		return schema{"application/octet-stream": schema{}}
	case rt.Path == "/isobar/reference":
		return schema{"text/html": schema{}}
	case rt.Path == "/isobar/reference.css":
		return schema{"text/css": schema{}}
	case rt.Path == "/isobar/reference.js":
		return schema{"text/javascript": schema{}}
	}
	out := schema{"application/json": schema{"schema": answerOf(rt)}}
	if rt.Method == http.MethodGet && tables[rt.Path] {
		out["text/csv"], out[xlsxMedia] = schema{"schema": schema{"type": "string"}}, schema{}
	}
	return out
}

func parametersOf(rt Route, name string) (out []schema) {
	for part := range strings.SplitSeq(rt.Path, "/") {
		if strings.HasPrefix(part, "{") {
			out = append(out, schema{"name": strings.Trim(part, "{}"), "in": "path", "required": true, "description": "The " + strings.ToLower(inWords(strings.Trim(part, "{}"))) + " in the path.", "schema": schema{"type": "string"}})
		}
	}
	use := func(names ...string) {
		for _, n := range names {
			out = append(out, schema{"$ref": "#/components/parameters/" + n})
		}
	}
	if strings.HasPrefix(name, "list") && rt.Method == http.MethodGet {
		use("pageSize", "currentPage", "withTotalPages", "withTotalElements")
	}
	for _, f := range filters[rt.Method+" "+rt.Path] {
		out = append(out, f.schema())
	}
	if rt.Dated {
		use("asOf")
	}
	if rt.Access != Public && (rt.Method == http.MethodPost || rt.Method == http.MethodPut || rt.Method == http.MethodDelete) {
		use("changeSet", "reason")
	}
	return out
}

func parameters() schema {
	query := func(typ, name, text string) schema {
		return schema{"name": name, "in": "query", "description": text, "schema": schema{"type": typ}}
	}
	out := schema{
		"pageSize":          schema{"name": "pageSize", "in": "query", "description": "Items of a page.", "schema": schema{"type": "integer", "minimum": 0, "maximum": maxPage, "default": defaultPage}},
		"currentPage":       schema{"name": "currentPage", "in": "query", "description": "The page, from 1.", "schema": schema{"type": "integer", "minimum": 1, "default": 1}},
		"withTotalPages":    query("boolean", "withTotalPages", "Also count the pages."),
		"withTotalElements": query("boolean", "withTotalElements", "Also count the items."),
		"asOf":              query("string", "asOf", "Read it as it was at this date-time. In a list of managed objects, children or parents with ids, type, fragmentType and owner only."),
		"changeSet":         schema{"name": setHeader, "in": "header", "description": "The change set that the change belongs to.", "schema": schema{"type": "string", "maxLength": 64}},
		"reason":            schema{"name": reasonHeader, "in": "header", "description": "Why the change is made.", "schema": schema{"type": "string", "maxLength": 1000}},
	}
	return out
}

// known are the schemas of representations, by the path of the resource.
var known = map[string]string{"/inventory/managedObjects/{id}": "ManagedObject", "/measurement/measurements/{id}": "Measurement", "/event/events/{id}": "Event", "/alarm/alarms/{id}": "Alarm",
	"/devicecontrol/operations/{id}": "Operation", "/audit/auditRecords/{id}": "AuditRecord", "/isobar/apiKeys/{key}": "ApiKey", "/isobar/changes/{set}": "ChangeSet", "/isobar/changes/{set}/undo": "ChangeSet",
	"/isobar/published/{name}/{version}/definition": "Endpoint", "/measurement/measurements/series": "SeriesTable"}

var collections = map[string][2]string{"/inventory/managedObjects": {"managedObjects", "ManagedObject"}, "/measurement/measurements": {"measurements", "Measurement"}, "/event/events": {"events", "Event"},
	"/alarm/alarms": {"alarms", "Alarm"}, "/devicecontrol/operations": {"operations", "Operation"}, "/audit/auditRecords": {"auditRecords", "AuditRecord"}, "/isobar/apiKeys": {"apiKeys", "ApiKey"},
	"/isobar/changes": {"changeSets", "ChangeSet"}, "/isobar/usage": {"usage", "Usage"}, "/isobar/published": {"endpoints", "Endpoint"}}

func answerOf(rt Route) schema {
	if name, ok := known[rt.Path]; ok {
		return ref(name)
	}
	c, ok := collections[rt.Path]
	switch {
	case !ok:
		return schema{}
	case rt.Method == http.MethodPost:
		return ref(c[1])
	case rt.Method != http.MethodGet:
		return schema{}
	}
	return pageOf(c[0], c[1])
}

// pageOf is a page of representations under a name.
func pageOf(name, item string) schema {
	return schema{"allOf": []schema{ref("Page"), {"type": "object", "required": []string{name}, "properties": schema{name: schema{"type": "array", "items": ref(item)}}}}}
}

func bodyOf(rt Route) schema {
	if c, ok := collections[rt.Path]; ok && rt.Method == http.MethodPost {
		return ref(c[1])
	}
	if name, ok := known[rt.Path]; ok && rt.Method == http.MethodPut {
		return ref(name)
	}
	return schema{}
}

func schemas() schema {
	text, number, date := schema{"type": "string"}, schema{"type": "integer"}, schema{"type": "string", "format": "date-time"}
	object := func(required []string, properties schema) schema {
		return schema{"type": "object", "properties": properties, "required": required}
	}
	source := object([]string{"id"}, schema{"id": text, "self": text})
	document := func(required []string, more schema) schema {
		p := schema{"id": text, "self": text, "source": source, "type": text, "time": date, "creationTime": date}
		for k, v := range more {
			p[k] = v
		}
		s := object(required, p)
		s["description"] = "Other members are fragments."
		return s
	}
	change := object([]string{"kind", "id", "action"}, schema{"kind": text, "id": text, "source": source, "action": schema{"enum": []string{"CREATE", "UPDATE", "DELETE"}}, "time": date, "author": text,
		"before": schema{"type": "object"}, "after": schema{"type": "object"}, "withheld": schema{"type": "boolean"}})
	scope := object([]string{"resource", "verb"}, schema{"resource": text, "verb": schema{"enum": []string{"READ", "CREATE", "UPDATE", "ADMIN"}}})
	managed := object([]string{}, schema{"id": text, "self": text, "name": text, "type": text, "owner": text, "creationTime": date, "lastUpdated": date})
	managed["description"] = "Other members are fragments."
	return schema{
		"Error": object([]string{"error", "message", "info"}, schema{"error": text, "message": text, "info": text}),
		"Page": object([]string{"self", "statistics"}, schema{"self": text, "next": text, "prev": text,
			"statistics": object([]string{"currentPage", "pageSize"}, schema{"currentPage": number, "pageSize": number, "totalPages": number, "totalElements": number})}),
		"ManagedObject": managed,
		"Measurement":   document([]string{"source", "type", "time"}, nil),
		"Event":         document([]string{"source", "type", "time", "text"}, schema{"text": text}),
		"Alarm": document([]string{"source", "type", "time", "text", "severity"}, schema{"text": text, "severity": schema{"enum": []string{"CRITICAL", "MAJOR", "MINOR", "WARNING"}},
			"status": schema{"enum": []string{"ACTIVE", "ACKNOWLEDGED", "CLEARED"}}, "count": number}),
		"Operation":   document([]string{"deviceId"}, schema{"deviceId": text, "status": schema{"enum": []string{"PENDING", "EXECUTING", "SUCCESSFUL", "FAILED"}}, "failureReason": text}),
		"AuditRecord": document([]string{"type", "activity", "text", "time"}, schema{"activity": text, "text": text, "user": text, "application": text}),
		"ApiKey": object([]string{"name", "scopes"}, schema{"id": text, "self": text, "name": text, "owner": text, "scopes": schema{"type": "array", "items": scope}, "sources": schema{"type": "array", "items": text},
			"requestsPerMinute": number, "requestsPerDay": number, "expires": date, "creationTime": date, "rotationTime": date, "lastUsed": date,
			"key": schema{"type": "string", "description": "The key itself. Only in the answer that makes it."}}),
		"ChangeSet": object([]string{"id"}, schema{"id": text, "self": text, "time": date, "author": text, "count": number, "reason": text, "undoes": text, "changes": schema{"type": "array", "items": change}}),
		"SeriesTable": object([]string{"values", "series", "truncated"}, schema{"values": schema{"type": "object", "description": "By time, a list with one entry of each series, which is empty where there is no value.",
			"additionalProperties": schema{"type": "array", "items": schema{"type": "object", "additionalProperties": schema{"type": []string{"number", "null"}}}}},
			"series": schema{"type": "array", "items": object([]string{"name", "type"}, schema{"name": text, "type": text, "unit": text})}, "truncated": schema{"type": "boolean"}}),
		"Endpoint": object([]string{"name", "kind"}, schema{"name": schema{"type": "string", "pattern": "^[a-z][a-z0-9-]{0,49}$"}, "version": number, "kind": schema{"enum": []string{"INVENTORY", "SERIES"}},
			"state": schema{"enum": []string{"DRAFT", "PUBLISHED", "DEPRECATED", "RETIRED"}}, "self": text, "endpoint": text, "description": text, "query": text, "onlyDevices": schema{"type": "boolean"},
			"maxPageSize": schema{"type": "integer", "minimum": 1, "maximum": maxPage}, "owner": text, "creationTime": date, "lastUpdated": date, "sunset": date,
			"series": object([]string{"source", "aggregationInterval"}, schema{"source": text, "series": schema{"type": "array", "items": text}, "aggregationInterval": text,
				"aggregationFunctions": schema{"type": "array", "items": text}, "timezone": text}),
			"parameters": schema{"type": "array", "items": object([]string{"name", "type"}, schema{"name": text, "type": schema{"enum": []string{"TEXT", "NUMBER", "BOOLEAN", "DATE_TIME", "ID"}},
				"default": text, "description": text})}}),
		"Usage": object([]string{"day", "kind", "consumer", "requests"}, schema{"day": text, "kind": text, "consumer": text, "owner": text, "requests": number, "errors": number, "bytesIn": number, "bytesOut": number}),
	}
}

func getOpenAPI(c *call) error {
	b, err := OpenAPI(c.s.Version, c.base())
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "", b)
}

// getReference serves the page that shows the document, and its two files.
func getReference(c *call) error {
	name, media := "index.html", "text/html; charset=utf-8"
	switch {
	case strings.HasSuffix(c.route.Path, ".css"):
		name, media = "reference.css", "text/css; charset=utf-8"
	case strings.HasSuffix(c.route.Path, ".js"):
		name, media = "reference.js", "text/javascript; charset=utf-8"
	}
	b, err := referenceFiles.ReadFile("reference/" + name)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(http.StatusOK)
	_, err = c.w.Write(b)
	return err
}
