package compat_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/oracle"
	"github.com/isobar-iot/isobar/compat/internal/rig"
)

const personPassword = "Compat-Person-1!"

// stage is one tenant of a running platform beside the oracle's picture of it. Whatever is made goes through the stage, so that both know it.
type stage struct {
	*rig.Server
	t      *testing.T
	tenant string
	admin  *caller
	others *stage // another tenant of the same platform
	mark   string // is in every name, text and fragment of this tenant and nowhere else
	world  *oracle.World
	mu     sync.Mutex
	n      int
}

// unlimited lets one address ask as often as it can.
var unlimited = []string{"--limit-requests-address", "0", "--limit-requests-user", "0", "--limit-requests-tenant", "0"}

func newStage(t *testing.T, s *rig.Server, tenant, mark string) *stage {
	return &stage{Server: s, t: t, tenant: tenant, mark: mark, admin: logIn(t, rig.User{URL: s.URL, Name: tenant + "/admin", Password: rig.AdminPassword}), world: oracle.New()}
}

// next returns a number that was never used.
func (s *stage) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.n
}

// person is a user as the oracle knows it, with an account.
type person struct {
	oracle.User
	as *caller
}

// caller speaks REST with a token, so that thousands of requests cost no password check each.
type caller struct {
	rig.User
	token string
}

func logIn(t *testing.T, u rig.User) *caller {
	t.Helper()
	tenant, name, _ := strings.Cut(u.Name, "/")
	form := url.Values{"grant_type": {"PASSWORD"}, "username": {name}, "password": {u.Password}}.Encode()
	a, err := rig.User{URL: u.URL}.Do("POST", "/tenant/oauth/token?tenant_id="+tenant, form, "Content-Type", "application/x-www-form-urlencoded")
	var login struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal(a.Body, &login) != nil || login.Token == "" {
		t.Fatalf("%s: %v, status %d: %s", u.Name, err, a.Status, a.Body)
	}
	return &caller{u, login.Token}
}

// Do is rig.User.Do with the token.
func (c *caller) Do(method, path string, body any, header ...string) (rig.Answer, error) {
	if c.token == "" {
		return c.User.Do(method, path, body, header...)
	}
	return rig.User{URL: c.URL}.Do(method, path, body, append(slices.Clone(header), "Authorization", "Bearer "+c.token)...)
}

// Want is rig.User.Want with the token.
func (c *caller) Want(t testing.TB, status int, method, path string, body, into any) {
	t.Helper()
	a, err := c.Do(method, path, body)
	if err != nil || a.Status != status {
		t.Fatalf("%s %s: %v, status %d, want %d\n%s", method, path, err, a.Status, status, a.Body)
	}
	if into != nil {
		if err := json.Unmarshal(a.Body, into); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, a.Body)
		}
	}
}

// Create is rig.User.Create with the token.
func (c *caller) Create(t testing.TB, path string, body any) string {
	t.Helper()
	var o rig.Object
	c.Want(t, 201, "POST", path, body, &o)
	return o.ID
}

// person makes a user.
func (s *stage) person(name string, permissions ...string) *person {
	s.t.Helper()
	s.admin.Want(s.t, 201, "POST", "/user/"+s.tenant+"/users", map[string]any{"userName": name, "email": name + "@" + s.tenant + ".example", "password": personPassword}, nil)
	p := &person{User: oracle.User{Name: name}, as: logIn(s.t, rig.User{URL: s.URL, Name: s.tenant + "/" + name, Password: personPassword})}
	p.Permissions = []string{"ROLE_USER_MANAGEMENT_OWN_READ", "ROLE_USER_MANAGEMENT_OWN_ADMIN"} // decision 11
	for _, r := range permissions {
		s.permit(p, r)
	}
	return p
}

func (s *stage) permit(p *person, role string) {
	s.t.Helper()
	s.admin.Want(s.t, 201, "POST", "/user/"+s.tenant+"/users/"+p.Name+"/roles", map[string]any{"role": map[string]string{"self": "/user/roles/" + role}}, nil)
	p.Permissions = append(p.Permissions, role)
}

func (s *stage) forbid(p *person, role string) {
	s.t.Helper()
	s.admin.Want(s.t, 204, "DELETE", "/user/"+s.tenant+"/users/"+p.Name+"/roles/"+role, nil, nil)
	p.Permissions = slices.DeleteFunc(p.Permissions, func(r string) bool { return r == role })
}

// group makes a global role and puts people into it.
func (s *stage) group(permissions []string, members ...*person) int64 {
	s.t.Helper()
	var g struct{ ID int64 }
	s.admin.Want(s.t, 201, "POST", "/user/"+s.tenant+"/groups", map[string]any{"name": fmt.Sprint("group", s.next(), s.mark)}, &g)
	path := fmt.Sprint("/user/", s.tenant, "/groups/", g.ID)
	for _, r := range permissions {
		s.admin.Want(s.t, 201, "POST", path+"/roles", map[string]any{"role": map[string]string{"self": "/user/roles/" + r}}, nil)
	}
	for _, p := range members {
		s.admin.Want(s.t, 201, "POST", path+"/users", map[string]any{"user": map[string]string{"self": "/user/" + s.tenant + "/users/" + p.Name}}, nil)
		p.Permissions = append(p.Permissions, permissions...)
	}
	return g.ID
}

// line is a permission of an inventory role or a device permission: SCOPE:fragment:LEVEL.
func line(g oracle.Grant) string { return g.Scope + ":" + g.Fragment + ":" + g.Level }

func grants(object string, below bool, lines ...string) []oracle.Grant {
	out := make([]oracle.Grant, len(lines))
	for i, l := range lines {
		f := strings.Split(l, ":")
		out[i] = oracle.Grant{Object: object, Below: below, Scope: f[0], Fragment: f[1], Level: f[2]}
	}
	return out
}

// inventoryRole makes an inventory role of lines.
func (s *stage) inventoryRole(lines ...string) int64 {
	s.t.Helper()
	var permissions []map[string]string
	for _, g := range grants("", true, lines...) {
		permissions = append(permissions, map[string]string{"scope": g.Scope, "type": g.Fragment, "permission": g.Level})
	}
	var role struct{ ID int64 }
	s.admin.Want(s.t, 201, "POST", "/user/inventoryroles", map[string]any{"name": fmt.Sprint("role", s.next(), s.mark), "permissions": permissions}, &role)
	return role.ID
}

// assign gives inventory roles to a user at an object and returns the id of the assignment.
func (s *stage) assign(p *person, object string, lines ...string) int64 {
	s.t.Helper()
	var a struct{ ID int64 }
	s.admin.Want(s.t, 200, "POST", "/user/"+s.tenant+"/users/"+p.Name+"/roles/inventory",
		map[string]any{"managedObject": object, "roles": []map[string]int64{{"id": s.inventoryRole(lines...)}}}, &a)
	p.Grants = append(p.Grants, grants(object, true, lines...)...)
	return a.ID
}

// allow gives device permissions to users and to groups of users.
func (s *stage) allow(object string, users map[*person][]string, groups map[int64][]string, members map[int64][]*person) {
	s.t.Helper()
	var us, gs []map[string]any
	for p, lines := range users {
		us = append(us, map[string]any{"userName": p.Name, "devicePermissions": map[string][]string{object: lines}})
		p.Grants = append(p.Grants, grants(object, false, lines...)...)
	}
	for g, lines := range groups {
		gs = append(gs, map[string]any{"id": g, "devicePermissions": map[string][]string{object: lines}})
		for _, p := range members[g] {
			p.Grants = append(p.Grants, grants(object, false, lines...)...)
		}
	}
	s.admin.Want(s.t, 200, "PUT", "/user/devicePermissions/"+object, map[string]any{"users": us, "groups": gs}, nil)
}

// object makes a managed object that belongs to somebody.
func (s *stage) object(owner, typ string, fragments ...string) *oracle.Object {
	s.t.Helper()
	o := &oracle.Object{Owner: owner, Name: fmt.Sprint("o", s.next(), s.mark), Type: typ, Fragments: fragments}
	body := map[string]any{"name": o.Name, "type": typ}
	for _, f := range fragments {
		body[f] = map[string]any{"v": s.mark}
		if f == "c8y_RequiredAvailability" {
			body[f] = map[string]any{"responseInterval": 5}
		}
	}
	o.ID = s.admin.Create(s.t, "/inventory/managedObjects", body)
	s.own(o)
	return o
}

func (s *stage) own(o *oracle.Object) {
	if o.Owner != "admin" {
		s.admin.Want(s.t, 200, "PUT", "/inventory/managedObjects/"+o.ID, map[string]any{"owner": o.Owner}, nil)
	}
	s.world.Objects[o.ID] = o
}

// binary makes a file that belongs to somebody.
func (s *stage) binary(owner string) *oracle.Object {
	s.t.Helper()
	var got struct{ ID string }
	a, err := s.admin.Do("POST", "/inventory/binaries", "content of "+s.mark, "Content-Type", "text/plain")
	if err != nil || a.Status != 201 || json.Unmarshal(a.Body, &got) != nil {
		s.t.Fatalf("%v, status %d: %s", err, a.Status, a.Body)
	}
	o := &oracle.Object{ID: got.ID, Owner: owner, Name: fmt.Sprint("b", s.next(), s.mark), Binary: true}
	s.admin.Want(s.t, 200, "PUT", "/inventory/managedObjects/"+o.ID, map[string]string{"name": o.Name}, nil)
	var doc map[string]any
	s.admin.Want(s.t, 200, "GET", "/inventory/managedObjects/"+o.ID, nil, &doc)
	for name := range doc {
		if !slices.Contains(standard, name) {
			o.Fragments = append(o.Fragments, name)
		}
	}
	s.own(o)
	return o
}

// standard are the attributes of a managed object that are no fragments (6.2).
var standard = []string{"id", "type", "name", "owner", "self", "creationTime", "lastUpdated", "childDevices", "childAssets", "childAdditions", "deviceParents", "assetParents", "additionParents"}

// link hangs an object below another.
func (s *stage) link(parent, child *oracle.Object, kind string) {
	s.t.Helper()
	s.admin.Want(s.t, 201, "POST", "/inventory/managedObjects/"+parent.ID+"/"+kind, map[string]any{"managedObject": map[string]string{"id": child.ID}}, nil)
	parent.Children = append(parent.Children, oracle.Child{Kind: kind, ID: child.ID})
}

// external binds an external id and returns it as type/id.
func (s *stage) external(o *oracle.Object) string {
	s.t.Helper()
	id := fmt.Sprint("x", s.next(), s.mark)
	s.admin.Want(s.t, 201, "POST", "/identity/globalIds/"+o.ID+"/externalIds", map[string]string{"type": "isb_Serial", "externalId": id}, nil)
	o.External = append(o.External, "isb_Serial/"+id)
	return "isb_Serial/" + id
}

// resources are the paths and list names of documents.
var resources = map[oracle.Kind]struct{ path, list string }{
	oracle.Measurement: {"/measurement/measurements", "measurements"}, oracle.Event: {"/event/events", "events"}, oracle.Alarm: {"/alarm/alarms", "alarms"},
	oracle.Operation: {"/devicecontrol/operations", "operations"}, oracle.Audit: {"/audit/auditRecords", "auditRecords"},
	oracle.ManagedObject: {"/inventory/managedObjects", "managedObjects"}, oracle.Binary: {"/inventory/binaries", "managedObjects"},
}

// data are the childKinds of documents.
var data = []oracle.Kind{oracle.Measurement, oracle.Event, oracle.Alarm, oracle.Operation, oracle.Audit}

// dayOf returns the time of a document. Days are close together, so that hundreds of them lie in the past.
func dayOf(n int) time.Time { return time.Date(2024, 1, 1, 0, n, 0, 0, time.UTC) }

// body is a document as it is posted.
func (s *stage) body(d *oracle.Document) map[string]any {
	b := map[string]any{"time": dayOf(d.Day).Format(time.RFC3339), "type": d.Type, "source": map[string]string{"id": d.Source}}
	switch d.Kind {
	case oracle.Event:
		b["text"] = "text of " + s.mark
	case oracle.Alarm:
		b["text"], b["severity"], b["status"] = "text of "+s.mark, "MAJOR", "ACTIVE"
	case oracle.Operation:
		b = map[string]any{"deviceId": d.Source}
	case oracle.Audit:
		b["text"], b["activity"] = "text of "+s.mark, "compat"
	}
	for _, f := range d.Fragments {
		b[f] = map[string]any{"v": map[string]any{"value": 1, "unit": s.mark}}
	}
	return b
}

// document makes a document.
func (s *stage) document(k oracle.Kind, source *oracle.Object, fragments ...string) *oracle.Document {
	s.t.Helper()
	n := s.next()
	d := &oracle.Document{Kind: k, Source: source.ID, Fragments: fragments, Type: fmt.Sprint("isb_", n), Day: n}
	d.ID = s.admin.Create(s.t, resources[k].path, s.body(d))
	s.world.Documents = append(s.world.Documents, d)
	return d
}

// listed is an answer to a list, as far as the judge wants it.
type listed struct {
	status int
	ids    []string
	total  int
	body   []byte
}

// list reads a list page by page and checks that the pages are full and the total is the same on each.
func (s *stage) list(t *testing.T, u *caller, path, name string, size int) listed {
	t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	out := listed{total: -1}
	for page := 1; ; page++ {
		a, err := u.Do("GET", fmt.Sprintf("%s%swithTotalPages=true&withTotalElements=true&pageSize=%d&currentPage=%d", path, sep, size, page), nil)
		if err != nil {
			t.Fatal(err)
		}
		out.status, out.body = a.Status, append(out.body, a.Body...)
		if a.Status != 200 {
			return out
		}
		var all map[string]json.RawMessage
		var items []struct {
			ID            string
			ManagedObject struct{ ID string }
		}
		var statistics struct{ TotalElements, TotalPages *int }
		if json.Unmarshal(a.Body, &all) != nil || json.Unmarshal(all[name], &items) != nil || json.Unmarshal(all["statistics"], &statistics) != nil {
			t.Fatalf("%s: %s", path, a.Body)
		}
		for _, i := range items {
			out.ids = append(out.ids, i.ID+i.ManagedObject.ID)
		}
		if n := statistics.TotalElements; n == nil || statistics.TotalPages == nil {
			t.Errorf("%s as %s: no totals", path, u.Name)
		} else {
			if out.total >= 0 && out.total != *n {
				t.Errorf("%s as %s: total %d on page %d, %d before", path, u.Name, *n, page, out.total)
			}
			if pages := (*n + size - 1) / size; *statistics.TotalPages != pages {
				t.Errorf("%s as %s: %d pages for %d elements of %d", path, u.Name, *statistics.TotalPages, *n, size)
			}
			out.total = *n
		}
		if len(items) < size {
			if out.total > len(out.ids) {
				t.Errorf("%s as %s: page %d has %d of %d, and %d of %d came", path, u.Name, page, len(items), size, len(out.ids), out.total)
			}
			return out
		}
		if page > 200 {
			t.Fatalf("%s as %s: there is no end", path, u.Name)
		}
	}
}

// agree compares a list with what the oracle expects.
func (s *stage) agree(t *testing.T, p *person, path, name string, answered verdict, want []string, size int) {
	t.Helper()
	got := s.list(t, p.as, path, name, size)
	switch {
	case answered == open && got.status == 403 && len(want) == 0:
	case answered == deny && got.status != 403:
		t.Errorf("%s as %s: status %d, want 403; %s", path, p.Name, got.status, got.body)
	case answered != deny && got.status != 200:
		t.Errorf("%s as %s: status %d, want 200; %s", path, p.Name, got.status, got.body)
	case answered != deny:
		slices.Sort(got.ids)
		slices.Sort(want)
		if !slices.Equal(got.ids, want) || got.total != len(want) {
			t.Errorf("%s as %s: %d in total\n got %v\nwant %v\n%s", path, p.Name, got.total, got.ids, want, p.describe())
		}
	}
}

// describe says what the oracle knows about a person.
func (p *person) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s holds %v", p.Name, p.Permissions)
	for _, g := range p.Grants {
		fmt.Fprintf(&b, ", %s on %s (below: %v)", line(g), g.Object, g.Below)
	}
	return b.String()
}

// lists compares every list, whole, with what a person may read. Filters are the random test's matter.
func (s *stage) lists(t *testing.T, p *person, size int) {
	t.Helper()
	s.agree(t, p, "/inventory/managedObjects", "managedObjects", allow, s.world.ReadableObjects(p.User), size)
	var binaries []string
	for _, id := range s.world.ReadableObjects(p.User) {
		if s.world.Objects[id].Binary {
			binaries = append(binaries, id)
		}
	}
	s.agree(t, p, "/inventory/binaries", "managedObjects", allow, binaries, size)
	for _, k := range data {
		path := resources[k].path
		switch k {
		case oracle.Audit:
			continue // the platform writes records of its own
		case oracle.Measurement:
			path += "?dateFrom=1970-01-01"
		}
		s.agree(t, p, path, resources[k].list, iff(s.world.MayList(p.User, k)), ids(s.world.ReadableDocuments(p.User, k)), size)
	}
}

func ids(documents []*oracle.Document) []string {
	var out []string
	for _, d := range documents {
		out = append(out, d.ID)
	}
	return out
}

// explained asks the platform why, and compares with the oracle.
func (s *stage) explained(t *testing.T, asker *caller, p *person, a oracle.Action, k oracle.Kind, object string, fragments []string, want bool) {
	t.Helper()
	q := url.Values{"user": {p.Name}, "action": {string(a)}, "type": {string(k)}, "object": {object}, "fragments": {strings.Join(fragments, ",")}}
	answer, err := asker.Do("GET", "/isobar/access/explain?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Answer struct{ Allowed bool } }
	if answer.Status != 200 || json.Unmarshal(answer.Body, &got) != nil {
		t.Errorf("explain %s: status %d: %s", q.Encode(), answer.Status, answer.Body)
	} else if got.Answer.Allowed != want {
		t.Errorf("explain says %v, the rules say %v: %s\n%s\n%s", got.Answer.Allowed, want, q.Encode(), p.describe(), answer.Body)
	}
}

// fill puts values into {names}.
func fill(text string, values map[string]string) string {
	for name, v := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", v)
	}
	return text
}
