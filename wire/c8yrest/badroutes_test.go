package c8yrest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// members are names that documents of any route have. Each is given to every route with a value of the wrong kind.
var members = strings.Fields(`id self name type owner source time text severity status count deviceId agentId key value category userName email password newPassword currentUserPassword
	roles role user group groups managedObject references application applications scopes sources query parameters series externalId active enabled editable autoAcknowledge
	subscription subscriber context subscriptionFilter expiresInMinutes template groupId startDate creationRamp operationPrototype failedBulkOperationId certInPemFormat rules
	managedObjects measurements events alarms operations dataType fragmentType maximumAge contextPath manifest tags version company domain adminName permissions responseInterval
	code token tenant days from to dateFrom priority changes when whenExpression thenGroups buttonName grantType kind state graceSeconds expires requestsPerMinute`)

// queries are parameters that lists and answers take.
var queries = strings.Fields(`pageSize currentPage withTotalPages withTotalElements dateFrom dateTo createdFrom createdTo lastUpdatedFrom lastUpdatedTo source type status severity
	resolved deviceId agentId bulkOperationId fragmentType owner query q ids text asOf series aggregationType aggregationInterval aggregationFunction maxPoints downsampling timezone
	user application tenant username groups date day kind consumer object permission token email revert valueFragmentType childAssetId cascade withChildren context subscription xconsumer limit level`)

// wrong are values in JSON of which each is wrong for nearly every member.
var wrong = map[string]string{
	"a number": `1`, "a negative number": `-1`, "a huge number": strings.Repeat("9", 400), "a number beyond a double": `1e999`, "a list": `[]`, "a list of lists": `[[1]]`, "an object": `{"a":1}`,
	"null": `null`, "a word": `true`, "nothing": `""`, "a NUL": `"a\u0000b"`, "half a surrogate": `"\ud800"`, "a long text": `"` + strings.Repeat("x", 70_000) + `"`, "a date that is none": `"2026-13-45T99:99:99Z"`,
	"a date far away": `"999999-01-01T00:00:00Z"`, "a date before all": `"-0001-01-01T00:00:00Z"`,
}

// broken are bodies that no route can take.
var broken = map[string]string{
	"nothing": "", "half an object": `{"name":`, "garbage behind": `{} x`, "a bare word": "hello", "a number": "12", "a list": `[{"name":"x"}]`, "null": "null", "XML": "<a/>", "broken UTF-8": "{\"name\":\"\xff\"}",
	"a NUL": "{\"name\":\"a\x00b\"}", "10,000 levels": strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), "10,000 lists": `{"name":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}", "an empty object": "{}",
}

// wrongTexts are values in paths and queries.
var wrongTexts = []string{"", "0", "-1", "x", "\x00", "\xff\xfe", "..", "../../etc/passwd", "'", strings.Repeat("9", 400), "999999-01-01", "2026-13-45", "1e999", "a b/c", strings.Repeat("a", 3000)}

// TestNothingBreaksARoute sends to every route what nobody should: the answer is never our fault, and a refusal has the body of an error.
func TestNothingBreaksARoute(t *testing.T) {
	s := start(t)
	b := &breaker{t: t, s: s, each: 20}
	if os.Getenv("ISOBAR_BAD_INPUT") == "all" { // 170,000 requests, some minutes
		b.each = 1
	}
	for _, rt := range c8yrest.Routes() {
		if strings.HasPrefix(rt.Path, "/user/logout/") { // would end the session of the test with it
			continue
		}
		plain := b.fill(rt.Path, "1")
		for _, text := range wrongTexts {
			if strings.Contains(rt.Path, "{") {
				b.send(rt, b.fill(rt.Path, text), "{}", fmt.Sprintf("%.20q in the path", text))
			}
			all := url.Values{}
			for _, name := range queries {
				all.Set(name, text[:min(len(text), 100)]) // a longer URL does not come to a route
			}
			b.send(rt, plain+"?"+all.Encode(), "{}", fmt.Sprintf("%.20q as all parameters", text))
			for _, name := range queries {
				if rt.Method == http.MethodGet && (name == "pageSize" || name == "currentPage" || strings.HasPrefix(name, "date") || name == "query" || name == "ids") && !b.skips() {
					b.send(rt, plain+"?"+url.Values{name: {text}}.Encode(), "", fmt.Sprintf("%.20q as %s", text, name))
				}
			}
		}
		b.send(rt, plain+"?%zz=1&;=", "{}", "a broken query")
		if rt.Method != http.MethodPost && rt.Method != http.MethodPut && rt.Method != http.MethodDelete {
			continue
		}
		for name, body := range broken {
			b.send(rt, plain, body, "a body with "+name)
		}
		for kind, v := range wrong {
			all := make([]string, len(members))
			for i, m := range members {
				all[i] = `"` + m + `":` + v
				if len(v) < 10 && !b.skips() {
					b.send(rt, plain, "{"+all[i]+"}", m+" with "+kind)
				}
			}
			b.send(rt, plain, "{"+strings.Join(all, ",")+"}", "all members with "+kind)
		}
	}
	t.Logf("%d requests", b.n)
	s.must(t, 200, "GET", "/inventory/managedObjects", "")
}

type breaker struct {
	t       *testing.T
	s       *server
	each    int // of single members and parameters, one of so many is sent
	n, next int
}

// skips leaves out most of what is much: which, differs from route to route.
func (b *breaker) skips() bool {
	b.next++
	return b.next%b.each != 0
}

// fill replaces the parameters of a path.
func (b *breaker) fill(path, by string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part == "{tenant}" && by == "1" {
			parts[i] = "main"
		} else if strings.HasPrefix(part, "{") {
			parts[i] = url.PathEscape(by)
		}
	}
	return strings.Join(parts, "/")
}

func (b *breaker) send(rt c8yrest.Route, target, body, what string) {
	b.n++
	a := b.s.send(b.t, "admin", rt.Method, target, http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}, body)
	switch {
	case a.status >= 500:
		b.t.Errorf("%s %s, %s: status %d: %.300s", rt.Method, rt.Path, what, a.status, a.body)
	case a.status >= 400 && rt.Method != http.MethodHead:
		var e struct{ Error, Message, Info string }
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error == "" || e.Message == "" || e.Info == "" {
			b.t.Errorf("%s %s, %s: status %d without the body of an error: %.300q", rt.Method, rt.Path, what, a.status, a.body)
		}
	}
}
