package c8yrest_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestPublishedEndpointsShowWhatTheCallerMayRead calls one endpoint as people with different rights.
func TestPublishedEndpointsShowWhatTheCallerMayRead(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	s.must(t, "admin", "POST", "/isobar/published", `{"name":"all","kind":"INVENTORY","state":"PUBLISHED","query":"$filter=id ge '${after}'","parameters":[{"name":"after","type":"ID","default":"1"}]}`)
	const path = "/isobar/published/all/v1?pageSize=100"
	foreign := fill(`"id":"{foreign}"`, s.ids)
	if a := s.must(t, "admin", "GET", path, ""); !strings.Contains(a.body, foreign) {
		t.Errorf("the administrator does not see it: %s", a.body)
	}
	// Somebody with an inventory role on nothing but one object.
	s.must(t, "admin", "POST", "/user/main/users", `{"userName":"clerk","password":"Secret-123","email":"clerk@x.y"}`)
	s.must(t, "admin", "POST", "/user/main/users/clerk/roles", `{"role":{"self":"/user/roles/ROLE_APPLICATION_MANAGEMENT_READ"}}`)
	s.must(t, "admin", "POST", "/user/inventoryroles", `{"name":"one","permissions":[{"type":"*","permission":"READ","scope":"MANAGED_OBJECT"}]}`)
	list := s.must(t, "admin", "GET", "/user/inventoryroles?pageSize=100", "").body
	var id string
	for i := 0; ; i++ {
		prefix := ".roles." + strconv.Itoa(i)
		name, ok := lookup([]byte(list), prefix+".name")
		if !ok {
			t.Fatal("no role", list)
		}
		if name == "one" {
			id, _ = lookup([]byte(list), prefix+".id")
			break
		}
	}
	s.must(t, "admin", "POST", "/user/main/users/clerk/roles/inventory", fill(`{"managedObject":"{dev}","roles":[{"id":`+id+`}]}`, s.ids))
	a := s.must(t, "clerk:Secret-123", "GET", path+"&withTotalElements=true", "")
	if !strings.Contains(a.body, fill(`"id":"{dev}"`, s.ids)) || strings.Contains(a.body, foreign) {
		t.Errorf("the clerk sees %s", a.body)
	}
	// A key needs the scope to call, and what it reads.
	s.wants(t, s.key(t, "admin", `{"name":"c","scopes":[{"resource":"APPLICATION_MANAGEMENT","verb":"READ"}]}`), 403, "GET", path, "")
	s.wants(t, s.key(t, "admin", `{"name":"i","scopes":[{"resource":"INVENTORY","verb":"READ"}]}`), 403, "GET", path, "")
	both := s.key(t, "admin", `{"name":"b","scopes":[{"resource":"APPLICATION_MANAGEMENT","verb":"READ"},{"resource":"INVENTORY","verb":"READ"}]}`)
	s.wants(t, both, 200, "GET", path, "")
	s.wants(t, both, 403, "PUT", "/isobar/published/all/v1/definition", `{"state":"RETIRED"}`)

	// Drafts exist only for who may publish.
	s.must(t, "admin", "POST", "/isobar/published", `{"name":"all","kind":"INVENTORY","query":"$filter=has(a)"}`)
	s.must(t, "admin", "GET", "/isobar/published/all/v2", "")
	s.wants(t, both, 404, "GET", "/isobar/published/all/v2", "")
	for as, shown := range map[string]bool{"admin": true, "clerk:Secret-123": false} {
		if a := s.must(t, as, "GET", "/isobar/published", ""); strings.Contains(a.body, `"version":2`) != shown {
			t.Errorf("%s sees drafts: %v", as, !shown)
		}
	}

	// Calls are counted by endpoint and caller, refused ones as well; the document of the tenant has it.
	s.must(t, "admin", "PUT", "/isobar/published/all/v1/definition", `{"state":"DEPRECATED","sunset":"2030-01-01T00:00:00Z"}`)
	if a := s.must(t, "admin", "GET", path, ""); !strings.HasPrefix(a.header.Get("Deprecation"), "@") || a.header.Get("Sunset") != "Tue, 01 Jan 2030 00:00:00 GMT" {
		t.Errorf("headers %v", a.header)
	}
	if a := s.send(t, "admin", "GET", path+"&after=x", nil, ""); a.status != 422 {
		t.Errorf("%d %s", a.status, a.body)
	}
	usage := s.must(t, "admin", "GET", "/isobar/usage?kind=ENDPOINT&consumer=all/v1:admin", "").body
	if n, _ := lookup([]byte(usage), ".usage.0.requests"); n != "3" {
		t.Errorf("usage %s", usage)
	}
	if n, _ := lookup([]byte(usage), ".usage.0.errors"); n != "1" {
		t.Errorf("usage %s", usage)
	}
	doc := s.must(t, "clerk:Secret-123", "GET", "/isobar/publishedApi.json", "").body
	if !strings.Contains(doc, `"/isobar/published/all/v1":`) || strings.Contains(doc, `"/isobar/published/all/v2":`) {
		t.Error("the document does not have what is published")
	}
	s.must(t, "admin", "PUT", "/isobar/published/all/v1/definition", `{"state":"RETIRED"}`)
	if a := s.send(t, "admin", "GET", path, nil, ""); a.status != http.StatusGone || !strings.Contains(a.body, `/Gone"`) {
		t.Errorf("retired: %d %s", a.status, a.body)
	}
	audit := s.must(t, "admin", "GET", "/audit/auditRecords?type=PublishedEndpoint&pageSize=50", "").body
	if !strings.Contains(audit, `'all/v1' is RETIRED`) || !strings.Contains(audit, `'all/v2' is DRAFT`) {
		t.Errorf("audit %s", audit)
	}
}
