package c8yrest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// jsonHeader is what a client sends that speaks JSON both ways.
func jsonHeader(more ...string) http.Header {
	h := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// must sends a request and demands a status.
func (s *server) must(t *testing.T, status int, method, path, body string, more ...string) answer {
	t.Helper()
	a := s.send(t, "admin", method, path, jsonHeader(more...), body)
	if a.status != status {
		t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

func (a answer) id(t *testing.T) string {
	t.Helper()
	id, ok := lookup([]byte(a.body), ".id")
	if !ok {
		t.Fatalf("no id in %s", a.body)
	}
	return id
}

func TestOtherOrigins(t *testing.T) {
	s := start(t)
	const page = "https://app.example.com"
	for _, c := range []struct {
		option, origin string
		allowed        string // what may read the answer
		credentials    bool
	}{
		{"", page, "*", false},
		{"", "null", "*", false},
		{"*", page, "*", false},
		{page, page, page, true},
		{page, "https://APP.example.com", "https://APP.example.com", true},
		{page + "/", page, page, true},
		{page, "http://app.example.com", "", false},
		{page, page + ":8443", "", false},
		{page, page + ".evil.example", "", false},
		{page, "https://evil.example/" + page, "", false},
		{page, "null", "", false},
		{"https://*.example.com", page, page, true},
		{"https://*.example.com", "https://example.com", "", false},
		{"https://*.example.com", "https://evilexample.com", "", false},
		{"https://other.example, " + page, page, page, true},
		{"app.example.com", page, page, true},
		{"http://localhost:*", "http://localhost:4200", "http://localhost:4200", true},
		{"http://localhost:*", "http://localhost:4200.evil.example", "", false},
		{page + ",*", "https://third.example", "*", false},
		{page + ",*", page, page, true},
	} {
		if c.option == "" {
			s.send(t, "admin", "DELETE", "/tenant/options/access.control/allow.origin", nil, "")
		} else {
			s.must(t, 200, "PUT", "/tenant/options/access.control/allow.origin", fmt.Sprintf(`{"value":%q}`, c.option))
		}
		for _, r := range []struct{ as, method, path string }{
			{"admin", "GET", "/inventory/managedObjects"}, {"admin", "GET", "/inventory/managedObjects/1234567"}, {"anonymous", "GET", "/alarm/alarms"},
			{"anonymous", "OPTIONS", "/event/events"}, {"anonymous", "OPTIONS", "/notification/realtime"}, {"anonymous", "OPTIONS", "/service/x/y"}, {"anonymous", "GET", "/nothing"},
		} {
			a := s.send(t, r.as, r.method, r.path, http.Header{"Origin": {c.origin}, "Access-Control-Request-Method": {"GET"}}, "")
			credentials := a.header.Get("Access-Control-Allow-Credentials") == "true"
			if got := a.header.Get("Access-Control-Allow-Origin"); got != c.allowed || credentials != c.credentials {
				t.Errorf("option %q, page %q, %s %s: allowed %q, credentials %t", c.option, c.origin, r.method, r.path, got, credentials)
			}
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
				t.Errorf("%s %s: caches are not told that the answer depends on the origin", r.method, r.path)
			}
			if r.method == "OPTIONS" && (a.status != 204 || (a.header.Get("Access-Control-Allow-Methods") != "") != (c.allowed != "")) {
				t.Errorf("option %q, page %q, OPTIONS %s: %d %q", c.option, c.origin, r.path, a.status, a.header.Get("Access-Control-Allow-Methods"))
			}
		}
	}
	for _, value := range []string{"ftp://x", "https://a b", "https://*", "x/y", "https://a.*.b"} {
		s.must(t, 422, "PUT", "/tenant/options/access.control/allow.origin", fmt.Sprintf(`{"value":%q}`, value))
	}
	s.send(t, "admin", "DELETE", "/tenant/options/access.control/allow.origin", nil, "")
	if a := s.send(t, "admin", "GET", "/alarm/alarms", http.Header{"Origin": {s.url}}, ""); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("our own pages need no leave: %v", a.header)
	}
	a := s.send(t, "anonymous", "OPTIONS", "/alarm/alarms", http.Header{"Origin": {page}, "Access-Control-Request-Headers": {"x-cumulocity-new, X-Evil, x-cumulocity-a b"}}, "")
	if got := strings.ToLower(a.header.Get("Access-Control-Allow-Headers")); !strings.Contains(got, "x-cumulocity-new") || strings.Contains(got, "evil") || strings.Contains(got, "a b") {
		t.Errorf("allowed headers: %q", got)
	}
}

// TestEveryRouteAnswersOptions sends a preflight to each.
func TestEveryRouteAnswersOptions(t *testing.T) {
	s := start(t)
	for _, rt := range c8yrest.Routes() {
		a := s.send(t, "anonymous", "OPTIONS", parameter.ReplaceAllString(rt.Path, "1"), http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {rt.Method}}, "")
		if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Allow"), rt.Method) || a.header.Get("X-Request-Id") == "" {
			t.Errorf("OPTIONS %s: %d %v", rt.Path, a.status, a.header)
		}
	}
	if a := s.send(t, "anonymous", "OPTIONS", "/nothing/here", nil, ""); a.status != 404 {
		t.Errorf("OPTIONS of what is not there: %d", a.status)
	}
}

func TestIdsOfRequests(t *testing.T) {
	s := start(t)
	own := regexp.MustCompile(`^[0-9a-f]{16}$`)
	for _, c := range []struct {
		given string
		kept  bool
	}{{"", false}, {"abc-1.2_3", true}, {strings.Repeat("a", 64), true}, {strings.Repeat("a", 65), false}, {"a b", false}, {"a\"b", false}, {"ä", false}} {
		for _, path := range []string{"/inventory/managedObjects", "/inventory/managedObjects/99999999", "/nothing", "/apps/nothing/", "/notification/realtime", "/healthz", "/service/nothing/x"} {
			h := http.Header{}
			if c.given != "" {
				h.Set("X-Request-Id", c.given)
			}
			a := s.send(t, "admin", "GET", path, h, "")
			got := a.header.Get("X-Request-Id")
			if c.kept && got != c.given || !c.kept && !own.MatchString(got) {
				t.Errorf("GET %s with id %q: %q", path, c.given, got)
			}
			if info, ok := lookup([]byte(a.body), ".info"); ok && !strings.HasSuffix(info, "#request="+got) {
				t.Errorf("GET %s: the error's info is %q, the id %q", path, info, got)
			}
		}
	}
}

// taggedFiles replaces and deletes the files of binaries and events under a condition.
func taggedFiles(t *testing.T, s *server) {
	binary := "/inventory/binaries/" + s.must(t, 201, "POST", "/inventory/binaries", "one", "Content-Type", "text/plain").id(t)
	source := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"a"}`).id(t)
	event := "/event/events/" + s.must(t, 201, "POST", "/event/events", `{"source":{"id":"`+source+`"},"type":"t","text":"x","time":"2026-01-01T00:00:00Z"}`).id(t) + "/binaries"
	s.must(t, 412, "PUT", event, "two", "Content-Type", "text/plain", "If-Match", "*") // there is none
	s.must(t, 201, "POST", event, "one", "Content-Type", "text/plain")
	for _, file := range []string{binary, event} {
		tag := s.must(t, 200, "GET", file, "").header.Get("ETag")
		s.must(t, 201, "PUT", file, "two", "Content-Type", "text/plain", "If-Match", tag)
		s.must(t, 412, "PUT", file, "three", "Content-Type", "text/plain", "If-Match", tag)
		s.must(t, 412, "DELETE", file, "", "If-Match", tag)
		if a := s.must(t, 200, "GET", file, ""); a.body != "two" {
			t.Errorf("%s: %q", file, a.body)
		} else {
			s.must(t, 204, "DELETE", file, "", "If-Match", a.header.Get("ETag"))
		}
	}
}

func TestEntityTags(t *testing.T) {
	s := start(t)
	id := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"a","c8y_IsDevice":{}}`).id(t)
	path := "/inventory/managedObjects/" + id
	first := s.must(t, 200, "GET", path, "")
	tag := first.header.Get("ETag")
	if !regexp.MustCompile(`^W/"[\w-]+\.[\w-]+"$`).MatchString(tag) {
		t.Fatalf("ETag %q", tag)
	}
	for _, header := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
		if a := s.must(t, 304, "GET", path, "", "If-None-Match", header); a.body != "" || a.header.Get("ETag") != tag || a.header.Get("Content-Type") != "" {
			t.Errorf("If-None-Match %s: %v %q", header, a.header, a.body)
		}
	}
	s.must(t, 304, "HEAD", path, "", "If-None-Match", tag)
	s.must(t, 200, "GET", path, "", "If-None-Match", `"x"`)
	s.must(t, 200, "GET", path+"?withChildren=true&x=1", "", "If-None-Match", `"`+strings.TrimSuffix(tag, `"`))
	if a := s.send(t, "admin", "GET", path, http.Header{"If-None-Match": {tag}, "Accept": {"application/vnd.com.nsn.cumulocity.managedObject+json"}}, ""); a.status != 200 {
		t.Errorf("another media type: %d", a.status)
	}
	if a := s.send(t, "anonymous", "GET", path, http.Header{"If-None-Match": {tag}}, ""); a.status != 401 {
		t.Errorf("a stranger with the tag: %d", a.status)
	}
	if a := s.must(t, 200, "GET", "/inventory/managedObjects", ""); a.header.Get("ETag") != "" {
		t.Error("lists have no tags")
	}

	changed := s.must(t, 200, "PUT", path, `{"name":"b"}`, "If-Match", tag)
	s.must(t, 200, "GET", path, "", "If-None-Match", tag)
	stale := s.must(t, 412, "PUT", path, `{"name":"c"}`, "If-Match", tag)
	if name, _ := lookup([]byte(stale.body), ".error"); name != "inventory/Precondition Failed" {
		t.Errorf("error %q", name)
	}
	s.must(t, 412, "PUT", path, `{"name":"c"}`, "If-Match", `"x"`)
	next := changed.header.Get("ETag")
	s.must(t, 200, "PUT", path, `{"name":"d"}`, "If-Match", next)
	s.must(t, 412, "PUT", path, `{"name":"e"}`, "If-Match", next)
	s.must(t, 200, "PUT", path, `{"name":"f"}`, "If-Match", "*")
	s.must(t, 404, "PUT", "/inventory/managedObjects/99999999", `{"name":"f"}`, "If-Match", "*")
	s.must(t, 200, "PUT", path, `{"name":"g"}`)

	gone := s.must(t, 200, "GET", path, "").header.Get("ETag")
	s.must(t, 412, "DELETE", path, "", "If-Match", next)
	s.must(t, 204, "DELETE", path, "", "If-Match", gone)
	s.must(t, 404, "DELETE", path, "", "If-Match", gone)
	taggedFiles(t, s)

	api := s.must(t, 200, "GET", "/isobar/openapi.json", "")
	if a := s.must(t, 304, "GET", "/isobar/openapi.json", "", "If-None-Match", api.header.Get("ETag")); a.body != "" || a.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v %q", a.header, a.body)
	}
}

func TestKindsOfBodies(t *testing.T) {
	s := start(t)
	const body = `{"name":"x"}`
	for contentType, status := range map[string]int{
		"":                 201,
		"application/json": 201, "application/json;": 201, "application/json; charset=utf-8": 201, "APPLICATION/JSON": 201, "text/json": 201,
		"application/vnd.com.nsn.cumulocity.managedobject+json;ver=0.9;charset=UTF-8": 201, "application/vnd.com.nsn.cumulocity.managedObject+json": 201, "application/merge-patch+json": 201,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/xml": 415, "nonsense": 415, "application/jsonx": 415,
	} {
		h := http.Header{"Accept": {"*/*"}}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		a := s.send(t, "admin", "POST", "/inventory/managedObjects", h, body)
		if a.status != status {
			t.Errorf("Content-Type %q: %d, want %d\n%s", contentType, a.status, status, a.body)
		}
		if name, _ := lookup([]byte(a.body), ".error"); status == 415 && name != "inventory/Unsupported Media Type" {
			t.Errorf("Content-Type %q: error %q", contentType, name)
		}
	}
	const vendor = "application/vnd.com.nsn.cumulocity.managedobject+json;charset=UTF-8;ver=0.9"
	const plain = "application/json;charset=UTF-8"
	for accept, want := range map[string]string{"": "", "*/*": vendor, "application/json": plain, "Application/JSON": plain, "text/html": vendor, "application/pkcs10": vendor,
		"application/vnd.com.nsn.cumulocity.managedObject+json;ver=0.9": vendor, "application/json, */*;q=0.1": plain} {
		h := http.Header{"Content-Type": {"application/json"}}
		if accept != "" {
			h.Set("Accept", accept)
		}
		a := s.send(t, "admin", "POST", "/inventory/managedObjects", h, body)
		if got := a.header.Get("Content-Type"); a.status != 201 || got != want || (a.body == "") != (accept == "") || a.header.Get("Location") == "" {
			t.Errorf("Accept %q: %d %q %q", accept, a.status, got, a.body)
		}
	}
}

// TestEveryJSONRouteRefusesForms sends what a page of another origin could make a browser send.
func TestEveryJSONRouteRefusesForms(t *testing.T) {
	s := start(t)
	other := map[string]string{ // the routes whose bodies are something else, or nothing
		"POST /tenant/oauth": "a form", "POST /tenant/oauth/token": "a form", "POST /user/logout": "nothing", "POST /user/logout/{tenant}/allUsers": "nothing", "POST /s": "lines",
		"POST /inventory/binaries": "a file", "PUT /inventory/binaries/{id}": "a file", "POST /devicecontrol/newDeviceRequests/acceptAll": "nothing", "PUT /devicecontrol/newDeviceRequests/acceptAll": "nothing",
		"POST /user/currentUser/totpSecret": "nothing", "POST /certificate-authority": "nothing", "POST /isobar/retention/run": "nothing",
	}
	for _, rt := range c8yrest.Routes() {
		if rt.Method != "POST" && rt.Method != "PUT" || other[rt.Method+" "+rt.Path] != "" {
			continue
		}
		path := strings.NewReplacer("{tenant}", "main", "{user}", "admin").Replace(rt.Path)
		a := s.send(t, "admin", rt.Method, parameter.ReplaceAllString(path, "1"), http.Header{"Content-Type": {"text/plain"}, "Accept": {"application/json"}}, `{"name":"x"}`)
		if a.status < 400 {
			t.Errorf("%s %s takes plain text: %d %s", rt.Method, rt.Path, a.status, a.body)
		}
	}
}

// TestRightBodiesAsText sends what would be done if it came as JSON.
func TestRightBodiesAsText(t *testing.T) {
	s := start(t)
	for path, body := range map[string]string{
		"/inventory/managedObjects": `{"name":"x"}`, "/isobar/published": `{"name":"q","kind":"INVENTORY","query":"$filter=has(a)"}`,
		"/notification2/subscriptions": `{"context":"tenant","subscription":"s"}`, "/notification2/token": `{"subscription":"s","subscriber":"x"}`,
		"/isobar/apiKeys": `{"name":"k","scopes":[{"resource":"INVENTORY","verb":"READ"}]}`, "/retention/retentions": `{"maximumAge":10}`,
	} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded"} {
			if a := s.send(t, "admin", "POST", path, http.Header{"Content-Type": {kind}, "Accept": {"application/json"}}, body); a.status != 415 {
				t.Errorf("POST %s as %s: %d %s", path, kind, a.status, a.body)
			}
		}
		if a := s.send(t, "admin", "POST", path, http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body); a.status >= 300 {
			t.Errorf("POST %s as JSON: %d %s", path, a.status, a.body)
		}
	}
}

func TestMethods(t *testing.T) {
	s := start(t)
	id := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"x"}`).id(t)
	path := "/inventory/managedObjects/" + id
	for _, c := range []struct {
		method, path, override string
		status                 int
		allow                  string
	}{
		{"HEAD", path, "", 200, ""},
		{"GET", path + "/", "", 200, ""},
		{"GET", "//inventory//managedObjects//" + id, "", 200, ""},
		{"GET", "/inventory/managedObjects/%3" + id[:1] + id[1:], "", 200, ""}, // the first digit percent-encoded
		{"GET", "/inventory/managedObjects/%ff", "", 400, ""},
		{"GET", "/inventory/managedObjects/a%2Fb", "", 404, ""},
		{"GET", path + "?unknown=1&other", "", 200, ""},
		{"PATCH", path, "", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"POST", path, "", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"BREW", path, "", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"POST", path, "PATCH", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"POST", path, "get", 200, ""},
		{"PUT", path, "DELETE", 200, ""},
		{"GET", path, "DELETE", 200, ""},
		{"POST", path, "put", 200, ""},
		{"POST", path, "DELETE", 204, ""},
		{"GET", path, "", 404, ""},
		{"DELETE", "/audit/auditRecords", "", 405, "GET, HEAD, OPTIONS, POST"},
		{"DELETE", "/alarm/alarms/1", "", 405, "GET, HEAD, OPTIONS, PUT"},
	} {
		body := ""
		if c.method == "PUT" || strings.EqualFold(c.override, "put") {
			body = `{"name":"y"}`
		}
		h := jsonHeader()
		if c.override != "" {
			h.Set("X-HTTP-METHOD", c.override)
		}
		a := s.send(t, "admin", c.method, c.path, h, body)
		if a.status != c.status || a.header.Get("Allow") != c.allow || c.method == "HEAD" && a.body != "" {
			t.Errorf("%s (%s) %s: %d, want %d, Allow %q\n%s", c.method, c.override, c.path, a.status, c.status, a.header.Get("Allow"), a.body)
		}
	}
	metrics := s.send(t, "anonymous", "GET", "/metrics", nil, "")
	if strings.Contains(metrics.body, "BREW") {
		t.Error("a client can make up labels of metrics")
	}
}

// collections are those with pages, by the name of their list.
var collections = map[string]string{
	"/inventory/managedObjects": "managedObjects", "/inventory/binaries": "managedObjects", "/inventory/managedObjects/{device}/childDevices": "references",
	"/inventory/managedObjects/{device}/childAssets": "references", "/inventory/managedObjects/{device}/childAdditions": "references",
	"/measurement/measurements": "measurements", "/event/events": "events", "/alarm/alarms": "alarms",
	"/devicecontrol/operations": "operations", "/devicecontrol/bulkoperations": "bulkOperations", "/devicecontrol/newDeviceRequests": "newDeviceRequests",
	"/audit/auditRecords": "auditRecords", "/user/main/users": "users", "/user/main/groups": "groups", "/user/roles": "roles", "/user/main/users/admin/groups": "references",
	"/user/inventoryroles": "roles", "/tenant/options": "options", "/tenant/tenants/main/trusted-certificates": "certificates", "/application/applications": "applications",
}

// TestPages walks the edges of paging in every collection.
func TestPages(t *testing.T) {
	s := start(t)
	device := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"d","c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`).id(t)
	for i := range 3 {
		s.must(t, 201, "POST", "/event/events", fmt.Sprintf(`{"source":{"id":"%s"},"time":"2026-01-0%dT00:00:00Z","type":"t","text":"%d"}`, device, i+1, i))
		s.must(t, 201, "POST", "/alarm/alarms", fmt.Sprintf(`{"source":{"id":"%s"},"time":"2026-01-0%dT00:00:00Z","type":"t%d","text":"x","severity":"MAJOR"}`, device, i+1, i))
		s.must(t, 201, "POST", "/measurement/measurements", fmt.Sprintf(`{"source":{"id":"%s"},"time":"2026-01-0%dT00:00:00Z","type":"t","c":{"v":{"value":%d}}}`, device, i+1, i))
		s.must(t, 201, "POST", "/devicecontrol/operations", fmt.Sprintf(`{"deviceId":"%s","x":{}}`, device))
		s.must(t, 201, "POST", "/inventory/managedObjects/"+device+"/childDevices", fmt.Sprintf(`{"name":"child %d"}`, i))
		s.must(t, 201, "POST", "/identity/globalIds/"+device+"/externalIds", fmt.Sprintf(`{"type":"t","externalId":"x%d"}`, i))
	}
	for path, list := range collections {
		s.pages(t, strings.ReplaceAll(path, "{device}", device), list)
	}
	for _, path := range []string{"/measurement/measurements", "/event/events", "/alarm/alarms", "/devicecontrol/operations", "/audit/auditRecords"} {
		a := s.must(t, 200, "GET", path+"?dateFrom=2030-01-01T00:00:00Z&dateTo=2020-01-01T00:00:00Z&withTotalPages=true&withTotalElements=true", "")
		if n, _ := lookup([]byte(a.body), ".statistics.totalElements"); n != "0" {
			t.Errorf("%s from later to earlier: %s", path, a.body)
		}
		s.must(t, 422, "GET", path+"?dateFrom=yesterday", "")
	}
}

func (s *server) pages(t *testing.T, path, list string) {
	t.Helper()
	for _, c := range []struct {
		query         string
		status        int
		size, current string
		empty         bool
	}{
		{"", 200, "5", "1", false},
		{"pageSize=1", 200, "1", "1", false},
		{"pageSize=2001", 200, "2000", "1", false},
		{"pageSize=999999999", 200, "2000", "1", false},
		{"pageSize=0", 200, "0", "1", true},
		{"pageSize=&currentPage=", 200, "5", "1", false},
		{"pageSize=-1", 422, "", "", false},
		{"pageSize=abc", 422, "", "", false},
		{"pageSize=1.5", 422, "", "", false},
		{"pageSize=99999999999999999999", 422, "", "", false},
		{"currentPage=0", 200, "5", "1", false},
		{"currentPage=-1", 422, "", "", false},
		{"currentPage=x", 422, "", "", false},
		{"currentPage=100000", 200, "5", "100000", true},
		{"currentPage=99999999999999999999", 422, "", "", false},
		{"currentPage=2&pageSize=1&withTotalPages=true", 200, "1", "2", false},
		{"withTotalElements=true&withTotalPages=true&pageSize=2000&unknown=a%20b", 200, "2000", "1", false},
	} {
		a := s.send(t, "admin", "GET", path+"?"+c.query, jsonHeader(), "")
		if a.status != c.status {
			t.Errorf("GET %s?%s: %d, want %d\n%s", path, c.query, a.status, c.status, a.body)
			continue
		}
		if c.status != 200 {
			continue
		}
		var v struct {
			Self, Next, Prev string
			Statistics       struct {
				PageSize, CurrentPage     json.Number
				TotalPages, TotalElements *int
			}
		}
		all := map[string]json.RawMessage{}
		if json.Unmarshal([]byte(a.body), &v) != nil || json.Unmarshal([]byte(a.body), &all) != nil {
			t.Errorf("GET %s: %s", path, a.body)
			continue
		}
		var items []json.RawMessage
		if json.Unmarshal(all[list], &items) != nil || all[list] == nil {
			t.Errorf("GET %s: no list %s in %s", path, list, a.body)
			continue
		}
		at := "GET " + path + "?" + c.query
		if v.Statistics.PageSize.String() != c.size || v.Statistics.CurrentPage.String() != c.current {
			t.Errorf("%s: statistics %+v", at, v.Statistics)
		}
		if end := "pageSize=" + c.size + "&currentPage=" + c.current; !strings.HasSuffix(v.Self, end) || !strings.HasPrefix(v.Self, s.url+path+"?") {
			t.Errorf("%s: self %s", at, v.Self)
		}
		behind := len(items) == 0 && c.current != "1"
		if (v.Next == "") != behind || (v.Prev != "") != (c.current != "1") {
			t.Errorf("%s: next %q, prev %q", at, v.Next, v.Prev)
		}
		if c.empty && len(items) > 0 {
			t.Errorf("%s: %d items", at, len(items))
		}
		if size, _ := v.Statistics.PageSize.Int64(); int64(len(items)) > size {
			t.Errorf("%s: %d items", at, len(items))
		}
		if (v.Statistics.TotalPages != nil) != strings.Contains(c.query, "withTotalPages") || (v.Statistics.TotalElements != nil) != strings.Contains(c.query, "withTotalElements") {
			t.Errorf("%s: totals %v %v", at, v.Statistics.TotalPages, v.Statistics.TotalElements)
		}
		if n := v.Statistics.TotalElements; n != nil && *n != len(items) {
			t.Errorf("%s: %d items, total %d", at, len(items), *n)
		}
		if strings.Contains(c.query, "unknown") && !strings.Contains(v.Self, "unknown=a%20b&") {
			t.Errorf("%s: self %s", at, v.Self)
		}
	}
}

// TestChangesOfManyObjects shows that a change of many objects is all or nothing.
func TestChangesOfManyObjects(t *testing.T) {
	s := start(t)
	a := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"a"}`).id(t)
	b := s.must(t, 201, "POST", "/inventory/managedObjects", `{"name":"b"}`).id(t)
	name := func(id string) string {
		v, _ := lookup([]byte(s.must(t, 200, "GET", "/inventory/managedObjects/"+id, "").body), ".name")
		return v
	}
	many := func(items ...string) string { return `{"managedObjects":[` + strings.Join(items, ",") + `]}` }
	one := func(id, name string) string { return fmt.Sprintf(`{"id":%q,"name":%q}`, id, name) }
	for _, c := range []struct {
		body   string
		status int
	}{
		{many(one(a, "x"), one("99999999", "y")), 404},
		{many(one(a, "x"), one(b, strings.Repeat("y", 1<<20)), `{"id":"`+b+`","name":7}`), 422},
		{many(one(a, "x"), `{"name":"y"}`), 422},
		{many(), 422},
		{many(strings.Split(strings.Repeat(one(a, "x")+"|", 51), "|")[:51]...), 422},
	} {
		if got := s.must(t, c.status, "PUT", "/inventory/managedObjects", c.body); name(a) != "a" || name(b) != "b" {
			t.Fatalf("something was changed although the answer was %d: %s %s\n%s", got.status, name(a), name(b), got.body)
		}
	}
	missing := s.must(t, 404, "PUT", "/inventory/managedObjects", many(one(b, "x"), one("99999999", "y")))
	if message, _ := lookup([]byte(missing.body), ".message"); !strings.Contains(message, "99999999") {
		t.Errorf("which one is missing? %s", message)
	}
	s.must(t, 200, "PUT", "/inventory/managedObjects", many(one(b, "B"), one(a, "A"), one(b, "B2")))
	if name(a) != "A" || name(b) != "B2" {
		t.Errorf("%s %s", name(a), name(b))
	}
}
