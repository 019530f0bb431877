package c8yrest_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// key makes an API key as a user and returns the header that carries it.
func (s *stage) key(t *testing.T, as, body string) http.Header {
	t.Helper()
	token, ok := lookup([]byte(s.must(t, as, "POST", "/isobar/apiKeys", fill(body, s.ids)).body), ".key")
	if !ok {
		t.Fatal("no key in the answer")
	}
	return http.Header{"X-API-Key": {token}, "Accept": {"application/json"}}
}

func (s *stage) wants(t *testing.T, h http.Header, want int, method, path, body string) {
	t.Helper()
	if a := s.send(t, "anonymous", method, fill(path, s.ids), h, fill(body, s.ids)); a.status != want {
		t.Errorf("%s %s: %d, want %d: %.200s", method, path, a.status, want, a.body)
	}
}

func TestKeyCannotBeWidened(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	const mo, alarms = "/inventory/managedObjects", "/alarm/alarms"
	read := s.key(t, "admin", `{"name":"r","scopes":[{"resource":"ALARM","verb":"READ"}]}`)
	s.wants(t, read, 200, "GET", alarms+"/{alarm}", "")
	s.wants(t, read, 403, "PUT", alarms+"/{alarm}", `{"status":"CLEARED"}`)
	s.wants(t, read, 403, "GET", mo, "")              // no list of what is one's own either
	s.wants(t, read, 403, "GET", mo+"/{foreign}", "") // which the owner of the key owns
	s.wants(t, read, 403, "PUT", mo+"/{foreign}", `{"a":1}`)
	s.wants(t, read, 403, "GET", mo+"/{global}", "")
	s.wants(t, read, 403, "GET", mo+"/{foreign}/history", "")
	s.must(t, "admin", "PUT", fill(mo+"/{foreign}", s.ids), `{"mark":1}`)
	s.must(t, "admin", "PUT", fill(alarms+"/{alarm}", s.ids), `{"text":"other"}`)
	if a := s.send(t, "anonymous", "GET", "/isobar/changes?withTotalElements=true&pageSize=1", read, ""); a.status != 200 || !strings.Contains(a.body, `"totalElements":1`) {
		t.Errorf("a key for alarms sees other changes than the one of an alarm: %d %s", a.status, a.body)
	}
	if a := s.send(t, "anonymous", "GET", "/isobar/changes?withTotalElements=true&kind=option,managedobject", read, ""); a.status != 200 || !strings.Contains(a.body, `"totalElements":0`) {
		t.Errorf("a key for alarms sees changes of options and objects: %d %s", a.status, a.body)
	}
	s.wants(t, read, 404, "POST", "/isobar/changes/none/undo", "")
	for _, path := range []string{"/user/currentUser", "/user/main/users", "/isobar/apiKeys", "/isobar/usage", "/tenant/tenants"} {
		s.wants(t, read, 403, "GET", path, "")
	}
	s.wants(t, read, 403, "PUT", "/user/currentUser/password", `{"currentUserPassword":"`+adminPassword+`","newPassword":"Other-12345"}`)
	s.wants(t, read, 403, "POST", "/isobar/apiKeys", `{"name":"more","scopes":[{"resource":"INVENTORY","verb":"ADMIN"}]}`)

	s.lineWithKey(t) // nor does a line of SmartREST reach more

	// Nobody makes a key for what one does not hold, whoever owns the objects.
	for as, body := range map[string]string{
		"reader:Secret-123":  `{"name":"x","scopes":[{"resource":"ALARM","verb":"ADMIN"}]}`,
		"nothing:Secret-123": `{"name":"x","scopes":[{"resource":"ALARM","verb":"READ"}]}`,
		s.as[owner]:          `{"name":"x","scopes":[{"resource":"INVENTORY","verb":"READ"}]}`,
	} {
		if a := s.send(t, as, "POST", "/isobar/apiKeys", nil, body); a.status != 403 {
			t.Errorf("%s made a key: %d %s", as, a.status, a.body)
		}
	}

	// A key for single sources stays there.
	at := s.key(t, "admin", `{"name":"s","sources":["{dev}"],"scopes":[{"resource":"INVENTORY","verb":"READ"},{"resource":"ALARM","verb":"READ"},{"resource":"ALARM","verb":"ADMIN"}]}`)
	s.wants(t, at, 200, "GET", mo+"/{dev}", "")
	s.wants(t, at, 200, "GET", mo+"/{child}", "") // below it
	s.wants(t, at, 403, "GET", mo+"/{foreign}", "")
	s.wants(t, at, 403, "PUT", mo+"/{dev}", `{"a":1}`)
	s.wants(t, at, 200, "PUT", alarms+"/{alarm}", `{"text":"y"}`)
	s.wants(t, at, 403, "POST", alarms, `{"source":{"id":"{foreign}"},"type":"t","text":"x","severity":"MAJOR","time":"2024-01-01"}`)
	if a := s.send(t, "anonymous", "GET", mo+"?withTotalElements=true", at, ""); !strings.Contains(a.body, `"totalElements":2`) {
		t.Errorf("a list of what is in reach: %s", a.body)
	}

	// What the owner loses, the key loses.
	mine := s.key(t, "reader:Secret-123", `{"name":"m","scopes":[{"resource":"ALARM","verb":"READ"},{"resource":"EVENT","verb":"READ"}]}`)
	s.wants(t, mine, 200, "GET", alarms+"/{alarm}", "")
	s.must(t, "admin", "DELETE", "/user/main/users/reader/roles/ROLE_ALARM_READ", "")
	s.wants(t, mine, 403, "GET", alarms+"/{alarm}", "")
	s.wants(t, mine, 200, "GET", "/event/events/{event}", "")
	s.must(t, "admin", "PUT", "/user/main/users/reader", `{"enabled":false}`)
	s.wants(t, mine, 401, "GET", "/event/events/{event}", "")

	// Nor does it work where the tenant or the id is another one.
	forged := strings.Replace(read.Get("X-API-Key"), ".main.", ".management.", 1)
	s.wants(t, http.Header{"X-API-Key": {forged}}, 401, "GET", alarms+"/{alarm}", "")
	s.wants(t, http.Header{"X-API-Key": {"ibk.main"}}, 401, "GET", alarms, "")
}

func TestQuotaUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	const most, callers = 40, 100
	h := s.key(t, "admin", `{"name":"q","requestsPerDay":40,"scopes":[{"resource":"ALARM","verb":"READ"}]}`)
	var good, refused atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			switch a := s.send(t, "anonymous", "GET", "/alarm/alarms", h, ""); {
			case a.status == 200:
				good.Add(1)
			case a.status == 429 && a.header.Get("Retry-After") != "":
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	if good.Load() != most || refused.Load() != callers-most {
		t.Errorf("%d were let through and %d refused, want %d and %d", good.Load(), refused.Load(), most, callers-most)
	}
	a := s.must(t, "admin", "GET", "/isobar/usage?kind=KEY", "")
	if n, _ := lookup([]byte(a.body), ".usage.0.requests"); n != "40" {
		t.Errorf("the figures say %s: %s", n, a.body)
	}
}

// TestHistoryShowsNoMore attacks history with rights on some fragments, on other objects, and on what was deleted.
func TestHistoryShowsNoMore(t *testing.T) {
	t.Parallel()
	s := setStage(t)
	const mo = "/inventory/managedObjects"
	s.must(t, "admin", "PUT", fill(mo+"/{foreign}", s.ids), `{"acme_Secret":{"pin":"4711"},"acme_Open":{"v":1}}`)
	s.must(t, "admin", "PUT", fill(mo+"/{foreign}", s.ids), `{"acme_Secret":null}`)
	gone := s.ids["own0"]
	s.must(t, s.as[owner], "DELETE", mo+"/"+gone, "")
	sets := s.must(t, "admin", "GET", "/isobar/changes?pageSize=2000&source="+s.ids["foreign"], "")
	latest, _ := lookup([]byte(sets.body), ".changeSets.0.id")
	deletion, _ := lookup([]byte(s.must(t, "admin", "GET", "/isobar/changes?source="+gone, "").body), ".changeSets.0.id")

	// somebody who may read objects with acme_Open only
	role := s.must(t, "admin", "POST", "/user/inventoryroles", `{"name":"open","permissions":[{"type":"acme_Open","permission":"READ","scope":"MANAGED_OBJECT"}]}`)
	id, _ := lookup([]byte(s.send(t, "admin", "GET", "/user/inventoryroles?pageSize=100", nil, "").body), ".roles.0.id")
	if location := role.header.Get("Location"); location != "" {
		id = location[strings.LastIndexByte(location, '/')+1:]
	}
	s.must(t, "admin", "POST", "/user/main/users/nothing/roles/inventory", fill(`{"managedObject":"{foreign}","roles":[{"id":`+id+`}]}`, s.ids))
	partly := "nothing:Secret-123"
	if a := s.send(t, partly, "GET", fill(mo+"/{foreign}", s.ids), nil, ""); a.status != 200 {
		t.Fatalf("the grant does not work: %d %s", a.status, a.body)
	}
	for _, path := range []string{mo + "/{foreign}/history", mo + "/{foreign}?asOf=2099-01-01", "/isobar/changes", "/isobar/changes/" + latest} {
		a := s.send(t, partly, "GET", fill(path, s.ids), nil, "")
		if a.status != 200 || strings.Contains(a.body, "4711") || strings.Contains(a.body, "acme_Secret") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.send(t, partly, "GET", "/isobar/changes/"+latest, nil, ""); !strings.Contains(a.body, `"withheld":true`) {
		t.Errorf("nothing says that something is withheld: %s", a.body)
	}
	if a := s.send(t, partly, "POST", "/isobar/changes/"+latest+"/undo", nil, ""); a.status != 403 {
		t.Errorf("took back what it may not see: %d %s", a.status, a.body)
	}

	// what was deleted is for who may read everything
	for as, want := range map[string]int{partly: 404, "adm:Secret-123": 404, "reader:Secret-123": 200} {
		if a := s.send(t, as, "GET", "/isobar/changes/"+deletion, nil, ""); a.status != want {
			t.Errorf("%s sees the deletion: %d, want %d", as, a.status, want)
		}
	}
	if a := s.send(t, "reader:Secret-123", "POST", "/isobar/changes/"+deletion+"/undo", nil, ""); a.status != 403 {
		t.Errorf("who may only read brought an object back: %d", a.status)
	}
	s.must(t, "admin", "POST", "/isobar/changes/"+deletion+"/undo", "")
	if a := s.send(t, s.as[owner], "GET", mo+"/"+gone, nil, ""); a.status != 200 {
		t.Errorf("it did not come back: %d", a.status)
	}

	// a change set belongs to who named it
	named := http.Header{"X-Isobar-Change-Set": {"mine"}}
	if a := s.send(t, "admin", "PUT", fill(mo+"/{dev}", s.ids), named, `{"a":1}`); a.status != 200 {
		t.Error(a.status, a.body)
	}
	if a := s.send(t, s.as[owner], "PUT", fill(mo+"/{dev}", s.ids), named, `{"a":2}`); a.status != 409 {
		t.Errorf("joined the change set of somebody else: %d", a.status)
	}
}

// lineWithKey logs out by a line of SmartREST, which needs no permission: in person, and with a key.
func (s *stage) lineWithKey(t *testing.T) {
	t.Helper()
	x := http.Header{"X-Id": {"acme_keys"}}
	if a := s.send(t, "admin", "POST", "/s", x, "10,301,POST,/user/logout,application/json,,%%,STRING,%%\n"); !strings.HasPrefix(a.body, "20,") {
		t.Fatalf("no template: %s", a.body)
	}
	if a := s.send(t, "admin", "POST", "/s", x, "301,x"); strings.Contains(a.body, ",403") || strings.HasPrefix(a.body, "40,") {
		t.Errorf("in person: %d %s", a.status, a.body)
	}
	x["X-API-Key"] = s.key(t, "admin", `{"name":"l","scopes":[{"resource":"INVENTORY","verb":"READ"},{"resource":"IDENTITY","verb":"READ"}]}`)["X-API-Key"]
	if a := s.send(t, "anonymous", "POST", "/s", x, "301,x"); !strings.Contains(a.body, "50,1,403") {
		t.Errorf("a key reached an account by a line: %d %s", a.status, a.body)
	}
}
