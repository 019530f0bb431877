package compat_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/oracle"
	"github.com/isobar-iot/isobar/compat/internal/rig"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// TestAccessMatrix walks every route as everybody and compares with the oracle. accessroutes_test.go says for each route what it needs.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, r := range routeRules() {
		known[r.route] = true
	}
	routes := map[string]bool{}
	for _, r := range c8yrest.Routes() {
		name := r.Method + " " + r.Path
		routes[name] = true
		if !known[name] {
			t.Errorf("%s has no line in accessroutes_test.go that says who may use it", name)
		}
	}
	for name := range known {
		if !routes[name] {
			t.Errorf("%s has a line in accessroutes_test.go, but is no route", name)
		}
	}
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			o := engine.options(t)
			o.Args = append(o.Args, unlimited...)
			m := newMatrix(t, rig.Start(t, o), o.Postgres == "") // global permissions are not the store's matter
			for _, p := range m.people[1:] {
				m.lists(t, p, 7)
			}
			rules := routeRules()
			if o.Postgres != "" {
				rules = slices.Concat(inventoryRules(), childRules(), dataRules(), deviceRules()) // what is decided in the store
			}
			for _, r := range rules {
				m.try(t, r, m.people)
			}
			noDefects(t, m.Server)
		})
	}
}

// matrix is the stage of TestAccessMatrix: a device at the end of three chains of groups, one document of every kind, and the people.
type matrix struct {
	*stage
	people []*person
	top    map[string]*oracle.Object // by kind of child, two levels above the device
	mid    map[string]*oracle.Object
	dev    *oracle.Object
	names  map[string]string // for {names} in requests
	other  *person           // the administrator of another tenant
}

var childKinds = []string{"childDevices", "childAssets", "childAdditions"}

// families are the permissions that come as READ and ADMIN.
var families = strings.Fields("ALARM AUDIT DEVICE_CONTROL EVENT IDENTITY INVENTORY MEASUREMENT USER_MANAGEMENT OPTION_MANAGEMENT TENANT_MANAGEMENT APPLICATION_MANAGEMENT MQTT_SERVICE")

func allOf(level string) []string {
	var out []string
	for _, f := range families {
		out = append(out, "ROLE_"+f+"_"+level)
	}
	return out
}

// newMatrix makes the stage; single adds one person for every single permission.
func newMatrix(t *testing.T, s *rig.Server, single bool) *matrix {
	m := &matrix{stage: newStage(t, s, "main", "Ma1nMarker7f3c9d"), top: map[string]*oracle.Object{}, mid: map[string]*oracle.Object{}, names: map[string]string{}}
	var fillers []map[string]any // ids are counted per tenant: main's must be ones that another tenant does not have
	for range 50 {
		fillers = append(fillers, map[string]any{"name": "filler"})
	}
	var made struct{ ManagedObjects []rig.Object }
	m.admin.Want(t, 201, "POST", "/inventory/managedObjects", map[string]any{"managedObjects": fillers}, &made)
	for _, o := range made.ManagedObjects {
		m.world.Objects[o.ID] = &oracle.Object{ID: o.ID, Owner: "admin", Name: "filler"}
	}
	owner := m.person("owner") // makes the objects; without any permission
	m.dev = m.object("owner", "isb_Type", "c8y_IsDevice", "com_cumulocity_model_Agent", "c8y_RequiredAvailability", "isb_Custom")
	for _, kind := range childKinds {
		m.top[kind] = m.object("admin", "c8y_DeviceGroup", "c8y_IsDeviceGroup", "isb_Group")
		m.mid[kind] = m.object("admin", "c8y_DeviceSubgroup", "c8y_IsDeviceSubgroup")
		m.link(m.top[kind], m.mid[kind], kind)
	}
	m.place(m.dev)
	child, foreign, global := m.object("admin", "isb_Child", "isb_Child"), m.object("admin", "isb_Foreign", "com_cumulocity_model_Agent"), m.object("admin", "isb_Global", "c8y_Global", "isb_Custom")
	for _, kind := range childKinds {
		m.link(m.dev, child, kind)
	}
	bin := m.binary("owner")
	d := m.Register(t, "machine")
	machine := &oracle.Object{ID: d.ID, Owner: "device_machine", Fragments: []string{"c8y_IsDevice", "com_cumulocity_model_Agent"}}
	m.world.Objects[d.ID] = machine
	m.place(machine)
	m.names = map[string]string{"dev": m.dev.ID, "child": child.ID, "foreign": foreign.ID, "global": global.ID, "machine": machine.ID, "bin": bin.ID, "ext": m.external(m.dev), "url": s.URL}
	fragments := map[oracle.Kind][]string{oracle.Measurement: {"isb_Custom"}, oracle.Event: {"isb_Custom"}, oracle.Alarm: {"isb_Custom"}, oracle.Operation: {"isb_Custom"}, oracle.Audit: nil}
	for _, k := range data {
		m.names[string(k)] = m.document(k, m.dev, fragments[k]...).ID
		m.document(k, m.dev)
		m.document(k, foreign, fragments[k]...)
	}
	m.hire(owner, single)
	return m
}

// place hangs an object at the end of the three chains.
func (m *matrix) place(o *oracle.Object) {
	for _, kind := range childKinds {
		m.link(m.mid[kind], o, kind)
	}
}

// hire makes the people.
func (m *matrix) hire(owner *person, single bool) {
	add := func(name string, permissions ...string) *person {
		p := m.person(name, permissions...)
		m.people = append(m.people, p)
		return p
	}
	m.people = append(m.people, &person{User: oracle.User{Name: ""}, as: &caller{User: rig.User{URL: m.URL}}}) // anonymous
	add("nothing")
	bare := add("bare")
	m.forbid(bare, "ROLE_USER_MANAGEMENT_OWN_READ")
	m.forbid(bare, "ROLE_USER_MANAGEMENT_OWN_ADMIN")
	add("reader", allOf("READ")...)
	add("creator", "ROLE_INVENTORY_CREATE")
	add("updater", "ROLE_INVENTORY_UPDATE")
	add("administrator", allOf("ADMIN")...)
	m.people = append(m.people, owner)
	for _, kind := range childKinds {
		for name, level := range map[string]string{"read": "READ", "change": "ADMIN", "all": "*"} {
			m.assign(add("inv_"+name+"_"+kind), m.top[kind].ID, "*:*:"+level)
		}
	}
	for _, scope := range strings.Fields("MANAGED_OBJECT MEASUREMENT EVENT ALARM OPERATION AUDIT") {
		m.assign(add("scope_"+strings.ToLower(scope)), m.top["childAssets"].ID, scope+":*:*")
	}
	m.assign(add("covers"), m.top["childAssets"].ID, "*:isb_Custom:*", "MANAGED_OBJECT:c8y_RequiredAvailability:READ")
	m.assign(add("covers_not"), m.top["childAssets"].ID, "*:c8y_RequiredAvailability:*")
	union := add("covers_together")
	m.assign(union, m.top["childAssets"].ID, "*:isb_Custom:*")
	m.assign(union, m.top["childDevices"].ID, "MANAGED_OBJECT:c8y_RequiredAvailability:*")
	lone, change := add("single_all"), add("single_change")
	held := add("single_by_group")
	g := m.group(nil, held)
	m.allow(m.dev.ID, map[*person][]string{lone: {"*:*:*"}, change: {"*:*:ADMIN"}}, map[int64][]string{g: {"*:*:READ"}}, map[int64][]*person{g: {held}})
	member := add("by_group")
	m.group([]string{"ROLE_INVENTORY_READ", "ROLE_EVENT_ADMIN"}, member)
	m.other = &person{User: oracle.User{Name: "elsewhere"}, as: logIn(m.t, rig.User{URL: m.URL, Name: "management/admin", Password: rig.AdminPassword})}
	if !single {
		return
	}
	for _, r := range strings.Fields("INVENTORY_READ INVENTORY_ADMIN MANAGED_OBJECT_READ MANAGED_OBJECT_ADMIN MANAGED_OBJECT_CREATE BINARY_READ BINARY_ADMIN BINARY_CREATE IDENTITY_READ IDENTITY_ADMIN " +
		"MEASUREMENT_READ MEASUREMENT_ADMIN EVENT_READ EVENT_ADMIN ALARM_READ ALARM_ADMIN AUDIT_READ AUDIT_ADMIN DEVICE_CONTROL_READ DEVICE_CONTROL_ADMIN " +
		"USER_MANAGEMENT_READ USER_MANAGEMENT_ADMIN USER_MANAGEMENT_CREATE OPTION_MANAGEMENT_READ OPTION_MANAGEMENT_ADMIN TENANT_MANAGEMENT_READ TENANT_MANAGEMENT_ADMIN " +
		"APPLICATION_MANAGEMENT_READ APPLICATION_MANAGEMENT_ADMIN NOTIFICATION_2_ADMIN") {
		add("only_"+strings.ToLower(r), "ROLE_"+r)
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// verdict is what the rules say about a request.
type verdict int

// The verdicts. Open means that the texts do not decide.
const (
	deny verdict = iota
	allow
	open
)

func iff(b bool) verdict {
	if b {
		return allow
	}
	return deny
}

// rule says for a route who may use it, by a sample request. {names} in the request stand for the ids of the stage, {n} for a new number,
// and what make returns.
type rule struct {
	route   string // as in the table of routes
	request string // path and query; empty: the route's
	body    string
	header  []string
	// make makes what a request that succeeds consumes. It returns more {names}.
	make func(m *matrix) map[string]string
	// may decides; x are the names.
	may func(w *oracle.World, u oracle.User, x map[string]string) verdict
	// elsewhere is the status for the administrator of another tenant; 0: 404 if the request names an id of the stage, 2xx otherwise.
	elsewhere int
	// hidden: what is refused looks as if it were not there.
	hidden bool
	// done tells the oracle what a request that succeeded has changed.
	done func(m *matrix, p *person, a rig.Answer)
	// ends sessions: it is sent without a token, and comes last.
	ends bool
	// public routes are for everybody.
	public bool
}

// anyStatus: the request is about who asks, so that another tenant matters as little as another user.
const anyStatus = -1

// try sends one request as everybody.
func (m *matrix) try(t *testing.T, r rule, people []*person) {
	method, path, _ := strings.Cut(r.route, " ")
	if r.request != "" {
		path = r.request
	}
	var fresh map[string]string
	used := placeholder.MatchString(strings.NewReplacer("{n}", "", "{url}", "").Replace(r.request + r.body))
	send := func(p *person, change func(string) string) (rig.Answer, map[string]string, string) {
		if fresh == nil {
			fresh = map[string]string{}
			if r.make != nil {
				fresh = r.make(m)
			}
		}
		x := map[string]string{}
		for _, names := range []map[string]string{m.names, fresh, {"n": fmt.Sprint(m.next())}} {
			for name, v := range names {
				x[name] = change(v)
			}
		}
		if _, ok := x["url"]; ok {
			x["url"] = m.URL
		}
		var body any
		if r.body != "" {
			body = fill(r.body, x)
		}
		as := p.as
		if r.ends {
			as = &caller{User: p.as.User}
		}
		a, err := as.Do(method, fill(path, x), body, r.header...)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status < 300 && r.make != nil {
			fresh = nil
		}
		return a, x, method + " " + fill(path, x) + " " + fill(r.body, x)
	}
	began := time.Now()
	defer func() {
		if took := time.Since(began); took > 5*time.Second {
			t.Logf("%s took %s", r.route, took)
		}
	}()
	for _, p := range people {
		if r.ends && strings.HasPrefix(p.Name, "only_") {
			continue // each costs a check of a password
		}
		a, x, request := send(p, same)
		if a.Status >= 500 {
			t.Errorf("%s as %s: %d %s", request, p.Name, a.Status, a.Body)
			continue
		}
		if r.public {
			continue
		}
		if p.Name == "" {
			if a.Status != http.StatusUnauthorized {
				t.Errorf("%s as nobody: %d, want 401: %s", request, a.Status, a.Body)
			}
			continue
		}
		refused := a.Status == http.StatusForbidden || r.hidden && a.Status >= 400
		if a.Status < 300 && r.done != nil {
			r.done(m, p, a)
		}
		switch v := r.may(m.world, p.User, x); {
		case v == deny && !refused:
			t.Errorf("%s as %s: %d, want 403: %.400s\n%s", request, p.Name, a.Status, a.Body, p.describe())
		case v == allow && (refused || a.Status == http.StatusUnauthorized || a.Status == http.StatusNotFound):
			t.Errorf("%s as %s: %d, want it allowed: %.400s\n%s", request, p.Name, a.Status, a.Body, p.describe())
		}
	}
	if r.public {
		return
	}
	a, x, request := send(m.other, same)
	want := r.elsewhere
	if want == 0 && (used || strings.Contains(path, "main")) {
		want = http.StatusNotFound
	}
	if want > 0 && a.Status != want || want == 0 && a.Status >= 300 {
		t.Errorf("%s as the administrator of another tenant: %d, want %d: %.400s", request, a.Status, want, a.Body)
	}
	if strings.Contains(string(a.Body)+fmt.Sprint(a.Header), m.mark) && !strings.Contains(request, m.mark) {
		t.Errorf("%s tells another tenant of %s: %s", request, m.mark, a.Body)
	}
	if used && a.Status >= 400 {
		b, y, _ := send(m.other, never)
		if one, two := anonymized(r, a, x), anonymized(r, b, y); one != two {
			t.Errorf("%s: another tenant can tell the id from one that never was\n%s\n%s", request, one, two)
		}
	}
}

func same(id string) string { return id }

// never makes an id, or a name, that nobody ever had.
func never(id string) string { return id + "999999" }

// anonymized is an answer without what differs between any two requests: the time, and the ids that were asked for.
func anonymized(r rule, a rig.Answer, x map[string]string) string {
	h := a.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	h.Del("Content-Length")
	h.Del("Location")
	text := a.Header.Get("Location") + "\n" + requestName.ReplaceAllString(string(a.Body), "")
	names := slices.SortedFunc(maps.Keys(x), func(a, b string) int { return len(x[b]) - len(x[a]) }) // longer ones first
	for _, name := range names {
		if name != "url" && name != "n" && strings.Contains(r.request+r.body, "{"+name+"}") {
			text = strings.ReplaceAll(text, x[name][strings.LastIndexByte(x[name], '/')+1:], "{}")
		}
	}
	return fmt.Sprint(a.Status, h, text)
}

// requestName is the name of the request in the info of an error.
var requestName = regexp.MustCompile(`#request=[0-9a-f]+`)
