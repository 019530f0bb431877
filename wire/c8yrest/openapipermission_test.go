package c8yrest_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/wire/c8yrest"
)

var needed = regexp.MustCompile(`ROLE_[A-Z0-9_]+`)

// probe is a request to a route that finds what its path names where there is something.
func (s *stage) probe(rt c8yrest.Route) string {
	id := s.ids["foreign"]
	switch {
	case strings.HasPrefix(rt.Path, "/event"):
		id = s.ids["event"]
	case strings.HasPrefix(rt.Path, "/alarm/alarms/{"):
		id = s.ids["alarm"]
	case strings.HasPrefix(rt.Path, "/measurement"):
		id = s.ids["m0"]
	case strings.HasPrefix(rt.Path, "/devicecontrol/op"):
		id = s.ids["op"]
	case strings.HasPrefix(rt.Path, "/audit"):
		id = s.ids["audit"]
	case strings.HasPrefix(rt.Path, "/application"):
		id = s.ids["app"]
	}
	path := strings.NewReplacer("{id}", id, "{child}", s.ids["global"], "{tenant}", "main", "{user}", "reader", "{type}", "c8y_Serial", "{external}", "SN", "{role}", "ROLE_ALARM_READ",
		"{group}", "2", "{name}", "admins", "{version}", "v1", "{date}", "2024-01-01", "{month}", "2024-01-01", "{feature}", "statistics.devices").Replace(rt.Path)
	return path + "?source=" + s.ids["foreign"] + "&deviceId=" + s.ids["foreign"] + "&dateFrom=2024-01-01&dateTo=2024-02-01&action=READ&type=EVENT&object=" + s.ids["foreign"] + "&user=reader&targetTenant=main"
}

// TestOpenAPINamesWhatIsEnforced asks every route as a user without any permission: who is refused is told a permission, which the document must name, and
// where the document names none nobody may be refused for want of one. Nothing can be done by it, because nothing is allowed.
func TestOpenAPINamesWhatIsEnforced(t *testing.T) {
	s := setStage(t)
	doc := document(t)
	body := fill(`{"source":{"id":"{foreign}"},"deviceId":"{foreign}","managedObject":{"id":"{global}"},"type":"t","text":"x","severity":"MAJOR","time":"2024-01-01","activity":"x","maximumAge":3,"name":"n",
"kind":"INVENTORY","query":"$filter=has(a)","context":"tenant","subscription":"s","subscriber":"s","externalId":"7","active":true,"dateFrom":"2024-01-01","dateTo":"2024-01-02"}`, s.ids)
	refused := 0
	ask := func(rt c8yrest.Route, path, body string) {
		a := s.send(t, s.as[nothing], rt.Method, path, http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}, body)
		said, named := needed.FindString(a.body), doc.Paths[rt.Path][strings.ToLower(rt.Method)].Permissions
		if a.status < 300 && len(named) > 0 && !strings.Contains(path, s.ids["global"]) { // which everybody may read
			t.Errorf("%s %s is open to everybody, the document says %v", rt.Method, path, named)
		}
		if a.status != http.StatusForbidden || said == "" {
			return
		}
		refused++
		if !slices.Contains(named, said) {
			t.Errorf("%s %s asks for %s, the document says %v", rt.Method, rt.Path, said, named)
		}
	}
	routes := c8yrest.Routes()
	for _, rt := range routes {
		if rt.Access != c8yrest.Public && rt.Path != "/user/logout" && rt.Path != "/isobar/apiKeys" { // a key needs what its scopes say
			ask(rt, s.probe(rt), body)
		}
	}
	if refused < 150 {
		t.Errorf("only %d routes refused: the requests do not reach what decides", refused)
	}
	for _, c := range permissionCases() { // with bodies that are right
		method, path, _ := strings.Cut(c.request, " ")
		path = strings.ReplaceAll(fill(path, s.ids), "#", "1")
		if rt, ok := c8yrest.RouteOf(method, path); ok && rt.Path != "/isobar/apiKeys" {
			ask(rt, path, strings.ReplaceAll(fill(c.body, s.ids), "#", "1"))
		}
	}
}
