package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// webRequests are the requests that foreign web applications for this API (the cockpit, the device management and the administration) were seen to send, by
// verb and path. Each must be covered by rows of the test below.
const webRequests = `
GET /alarm/alarms
GET /application/applications/{contextPath}/manifest
GET /application/applications/{id}
GET /application/applicationsByTenant/{tenant}
GET /application/applicationsByUser/{user}
GET /apps/public/public-options@app-{contextPath}/options.json
GET /apps/public/user-defined-translations/en_US.json
GET /apps/{contextPath}/
GET /apps/{contextPath}/cumulocity.json
GET /apps/{contextPath}/en_US.json
GET /features
GET /inventory/managedObjects
POST /inventory/managedObjects
PUT /inventory/managedObjects/{id}
GET /inventory/managedObjects/{id}/childAssets
WS /notification/realtime
GET /tenant/currentTenant
GET /tenant/loginOptions
GET /tenant/loginOptions/BASIC
GET /tenant/loginOptions/OAUTH2
GET /tenant/loginOptions/OAUTH2_INTERNAL
GET /tenant/options/configuration/map-config
GET /tenant/options/configuration/map-layers
GET /tenant/options/configuration/system.support.url
GET /tenant/options/storage.limitation
GET /tenant/security-options/password/limit.validity
GET /tenant/statistics/summary
GET /tenant/system/options/support-user/enabled
GET /tenant/system/options/support/url
GET /tenant/system/options/system/version
GET /user/currentUser
GET /user/{tenant}/users
GET /alarm/alarms/reports/downtimeDuration
GET /alarm/alarms/reports/downtimeDuration/aggregation
GET /application/applications
GET /application/applicationsByName/feature-microservice-hosting
GET /audit/auditRecords
GET /devicecontrol/newDeviceRequests
GET /devicecontrol/newDeviceRequests/limit
GET /devicecontrol/operations
GET /event/events
GET /identity/globalIds/{id}/externalIds
GET /inventory/managedObjects/{id}
GET /inventory/managedObjects/{id}/childAdditions
GET /inventory/managedObjects/{id}/childDevices
GET /inventory/managedObjects/{id}/kpis
GET /inventory/managedObjects/{id}/supportedMeasurements
GET /inventory/managedObjects/{id}/supportedSeries
GET /measurement/measurements/series
WS> /notification/realtime
GET /retention/retentions
GET /tenant/loginOptions/oauth2
GET /tenant/options/access.control/allow.origin
GET /tenant/options/alarm.type.mapping
GET /tenant/options/application/default.application
GET /tenant/options/configuration/tenant.login.ignore-case
GET /tenant/options/device-registration/security-token.policy
GET /tenant/options/oauth.internal/basic-token.lifespan.seconds
GET /tenant/options/two-factor-authentication/enabled
GET /tenant/options/two-factor-authentication/enforced
GET /tenant/options/two-factor-authentication/pin.validity
GET /tenant/options/two-factor-authentication/strategy
GET /tenant/options/two-factor-authentication/token.validity
GET /tenant/security-options/password/strength.validity
GET /tenant/statistics/allTenantsSummary
GET /tenant/system/options/files/max.size
GET /tenant/system/options/password/enforce.strength
GET /tenant/system/options/password/limit.validity
GET /tenant/system/options/ssl/shared-truststore.enabled
GET /tenant/system/options/two-factor-authentication/enabled
GET /tenant/system/options/two-factor-authentication/enforced.group
GET /tenant/system/options/two-factor-authentication/tenant-scope-settings.enabled
GET /tenant/tenants
GET /tenant/tenants/{tenant}/tfa
GET /tenant/tenants/{tenant}/trusted-certificates
PUT /tenant/options/password/limit.validity
PUT /tenant/options/storage.limitation
PUT /user/{tenant}/users/{user}/tfa
GET /user/inventoryroles
GET /user/{tenant}/groups
`

const (
	asUser     = "application/vnd.com.nsn.cumulocity.user+json"
	somewhen   = "2020-01-01T00:00:00+00:00"
	tomorrow   = "2099-12-31T00:00:00+00:00"
	anyPreset  = "key value self"
	absent     = "404" // nobody set it in this tenant, and the applications do without
	alarmOrder = "$orderby=status asc,severity asc,time.date desc,text asc"
)

// webRow is one request as an application sends it, and what it needs of the answer.
type webRow struct {
	key    string   // in webRequests
	query  []string // names and values; they are encoded
	status string   // statuses that do, "200" if empty
	need   string   // members that the answer must have, as paths: applications.0.id; of a refusal nothing is demanded
	equals []string // paths and values, as shown tells them
	body   any
	accept string
	nobody bool // without credentials
}

// TestWebApplications plays what the applications ask while somebody logs in and walks through their pages, on a platform with a small fleet, and looks for
// the members that their scripts read without asking whether they are there.
func TestWebApplications(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	w := newWebWorld(t, s)
	covered := map[string]bool{"WS /notification/realtime": true, "WS> /notification/realtime": true} // below
	for _, row := range w.rows() {
		covered[row.key] = true
		name := row.key
		if len(row.query) > 0 {
			name += "?" + strings.Join(row.query, " ")
		}
		t.Run(name, func(t *testing.T) { w.play(t, row) })
	}
	for _, key := range strings.Split(strings.TrimSpace(webRequests), "\n") {
		if !covered[key] {
			t.Errorf("no row for %s", key)
		}
	}
	for key := range covered {
		if !strings.Contains(webRequests, "\n"+key+"\n") {
			t.Errorf("%s is not a request that was seen", key)
		}
	}
	t.Run("preferences", w.preferences)
	t.Run("probes", w.probes)
	t.Run("sessions", w.sessions)
	t.Run("realtime", w.realtime)
	t.Run("walk", w.walk)
	noDefects(t, s)
}

// webWorld is what the applications find.
type webWorld struct {
	s                           *rig.Server
	admin                       rig.User
	app, device, group, sub, an string // ids; an: of an object to change
	place                       *strings.Replacer
}

func newWebWorld(t *testing.T, s *rig.Server) *webWorld {
	w := &webWorld{s: s, admin: s.Admin()}
	objects := "/inventory/managedObjects"
	w.device = w.admin.Create(t, objects, map[string]any{"name": "Pump", "type": "web_Pump", "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{},
		"c8y_Position": map[string]any{"lat": 51.3, "lng": 12.4}})
	w.group = w.admin.Create(t, objects, map[string]any{"name": "Yard", "type": "c8y_DeviceGroup", "c8y_IsDeviceGroup": map[string]any{}})
	w.sub = w.admin.Create(t, objects, map[string]any{"name": "Zone", "type": "c8y_DeviceSubgroup", "c8y_IsDeviceGroup": map[string]any{}})
	w.an = w.admin.Create(t, objects, map[string]any{"name": "prefs", "type": "c8y_UserPreference"})
	for _, id := range []string{w.device, w.sub} {
		w.admin.Want(t, 201, "POST", objects+"/"+w.group+"/childAssets", map[string]any{"managedObject": map[string]string{"id": id}}, nil)
	}
	child := w.admin.Create(t, objects, map[string]any{"name": "Valve", "type": "web_Valve", "c8y_IsDevice": map[string]any{}})
	w.admin.Want(t, 201, "POST", objects+"/"+w.device+"/childDevices", map[string]any{"managedObject": map[string]string{"id": child}}, nil)
	for _, kind := range []string{"c8y_Service", "web_Other"} {
		w.admin.Want(t, 201, "POST", objects+"/"+w.device+"/childAdditions", map[string]any{"name": kind, "type": kind}, nil)
	}
	w.admin.Create(t, objects, map[string]any{"name": "Report", "type": "c8y_Report", "c8y_Report": map[string]any{}, "c8y_IsNavigatorNode": map[string]any{}})
	w.admin.Create(t, objects, map[string]any{"name": "Heat", "c8y_Kpi": map[string]any{"fragment": "c8y_Temperature", "series": "T"}, "c8y_Global": map[string]any{}})
	w.admin.Create(t, objects, map[string]any{"name": "with", "type": "c8y_Firmware", "url": "https://example.org/x"})
	w.admin.Create(t, objects, map[string]any{"name": "without", "type": "c8y_Firmware"})
	w.admin.Want(t, 201, "POST", "/identity/globalIds/"+w.device+"/externalIds", map[string]string{"type": "c8y_Serial", "externalId": "pump-1"}, nil)
	source := map[string]string{"id": w.device}
	for i, alarm := range []string{"ACTIVE MINOR b", "ACTIVE CRITICAL c", "ACKNOWLEDGED CRITICAL d", "ACTIVE CRITICAL a"} {
		parts := strings.Fields(alarm)
		w.admin.Create(t, "/alarm/alarms", map[string]any{"source": source, "type": "web_" + strconv.Itoa(i), "text": parts[2], "status": parts[0], "severity": parts[1], "time": "2026-01-01T10:00:00Z"})
	}
	w.admin.Create(t, "/event/events", map[string]any{"source": source, "type": "web_E", "text": "started", "time": "2026-01-01T10:00:00Z"})
	w.admin.Create(t, "/event/events", map[string]any{"source": map[string]string{"id": child}, "type": "web_E", "text": "below", "time": "2026-01-01T10:00:00Z"})
	for i, v := range []int{20, 21} {
		w.admin.Create(t, "/measurement/measurements", map[string]any{"source": source, "type": "web_T", "time": fmt.Sprintf("2026-01-01T10:0%d:00Z", i),
			"c8y_Temperature": map[string]any{"T": map[string]any{"value": v, "unit": "C"}}})
	}
	for _, n := range []int{1, 2} {
		w.admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": w.device, "description": "run " + strconv.Itoa(n), "c8y_Command": map[string]any{"text": "x"}})
	}
	w.admin.Want(t, 201, "POST", "/devicecontrol/newDeviceRequests", map[string]string{"id": "web-new"}, nil)
	w.upload(t)
	w.place = strings.NewReplacer("{contextPath}", "cockpit", "{tenant}", "main", "{user}", "admin")
	return w
}

// upload puts a hosted application where the foreign one would be: at its context path, with the files that it reads before the login.
func (w *webWorld) upload(t *testing.T) {
	t.Helper()
	var app madeApp
	w.admin.Want(t, 201, "POST", "/application/applications", map[string]string{"name": "cockpit", "key": "cockpit-key", "type": "HOSTED", "contextPath": "cockpit", "resourcesUrl": "/"}, &app)
	w.app = app.ID
	archive := rig.Zip(t, map[string]string{"index.html": "<!doctype html><title>ours</title>", "en_US.json": `{"a":["b"]}`,
		"cumulocity.json": `{"name":"cockpit","contextPath":"cockpit","key":"cockpit-key","version":"1.2.3","dynamicOptionsUrl":"/apps/public/public-options@app-cockpit/options.json"}`})
	var version struct{ ID string }
	a, err := w.admin.Do("POST", "/application/applications/"+app.ID+"/binaries", archive, "Content-Type", "application/zip")
	if err != nil || a.Status != 201 || json.Unmarshal(a.Body, &version) != nil {
		t.Fatalf("upload: %v %d %s", err, a.Status, a.Body)
	}
	w.admin.Want(t, 200, "PUT", "/application/applications/"+app.ID, map[string]string{"activeVersionId": version.ID}, nil)
}

// play sends the request of a row and checks its answer.
func (w *webWorld) play(t *testing.T, row webRow) {
	verb, path, _ := strings.Cut(row.key, " ")
	id := w.device
	switch {
	case strings.HasPrefix(path, "/application/"):
		id = w.app
	case verb == "PUT":
		id = w.an
	case strings.HasSuffix(path, "childAssets"):
		id = w.group
	}
	path = strings.ReplaceAll(w.place.Replace(path), "{id}", id) + encodeQuery(row.query)
	user := w.admin
	if row.nobody {
		user = rig.User{URL: w.s.URL}
	}
	header := []string{"UseXBasic", "true", "X-Requested-With", "XMLHttpRequest"}
	if row.accept != "" {
		header = append(header, "Accept", row.accept)
	}
	a, err := user.Do(verb, path, row.body, header...)
	if err != nil {
		t.Fatal(err)
	}
	wanted := row.status
	if wanted == "" {
		wanted = "200"
	}
	if !slices.Contains(strings.Fields(wanted), strconv.Itoa(a.Status)) {
		t.Fatalf("%s %s: status %d, want %s\n%s", verb, path, a.Status, wanted, a.Body)
	}
	if a.Status >= 400 {
		return
	}
	if row.need == "" && row.equals == nil {
		return
	}
	var doc any
	if err := json.Unmarshal(a.Body, &doc); err != nil {
		t.Fatalf("%v\n%s", err, a.Body)
	}
	for _, at := range strings.Fields(row.need) {
		if _, ok := member(doc, at); !ok {
			t.Errorf("%s is not there\n%s", at, a.Body)
		}
	}
	for i := 0; i+1 < len(row.equals); i += 2 {
		if got := shown(doc, row.equals[i]); got != row.equals[i+1] {
			t.Errorf("%s is %s, want %s\n%s", row.equals[i], got, row.equals[i+1], a.Body)
		}
	}
}

func encodeQuery(pairs []string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(url.QueryEscape(pairs[i]))
		if pairs[i+1] != noValue {
			b.WriteString("=" + url.QueryEscape(pairs[i+1]))
		}
	}
	return b.String()
}

// noValue is the value of a parameter that is only named, as in ?auth.
const noValue = "\x00"

// member finds what is at a path of names and indices.
func member(doc any, at string) (any, bool) {
	for step := range strings.SplitSeq(at, ".") {
		switch v := doc.(type) {
		case map[string]any:
			next, ok := v[strings.ReplaceAll(step, "~", ".")]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil, false
			}
			doc = v[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// shown is what is at a path, as text: for "list#" the number of members of a list, for "list/path" what each of them has at that path.
func shown(doc any, at string) string {
	list, name, each := strings.Cut(at, "/")
	list, count := strings.CutSuffix(list, "#")
	v, ok := member(doc, list)
	if list == "" {
		v, ok = doc, true
	}
	if !ok {
		return "absent"
	}
	items, isList := v.([]any)
	switch {
	case count && isList:
		return strconv.Itoa(len(items))
	case each && isList:
		var out []string
		for _, item := range items {
			x, _ := member(item, name)
			out = append(out, fmt.Sprint(x))
		}
		return strings.Join(out, " ")
	}
	return fmt.Sprint(v)
}

// preferences are objects that are found by the name of a fragment, which has characters that others would not allow.
func (w *webWorld) preferences(t *testing.T) {
	for _, fragment := range []string{"c8y_Dashboard!name!home-cockpit1", "device-grid-alladmin", "all-devices-columns-configadmin", "all-devices-columns-meta_admin", "unitadmin"} {
		find := "/inventory/managedObjects?fragmentType=" + url.QueryEscape(fragment) + "&pageSize=1"
		var found struct {
			ManagedObjects []map[string]any
		}
		w.admin.Want(t, 200, "GET", find, nil, &found)
		if len(found.ManagedObjects) != 0 {
			t.Fatalf("%s is there already", fragment)
		}
		id := w.admin.Create(t, "/inventory/managedObjects", map[string]any{"type": "c8y_UserPreference", fragment: map[string]any{"a": []int{1}}})
		w.admin.Want(t, 200, "PUT", "/inventory/managedObjects/"+id, map[string]any{fragment: map[string]any{"a": []int{2}}}, nil)
		w.admin.Want(t, 200, "GET", find, nil, &found)
		if len(found.ManagedObjects) != 1 || shown(found.ManagedObjects[0], "id") != id || fmt.Sprint(found.ManagedObjects[0][fragment]) != "map[a:[2]]" {
			t.Errorf("%s: found %v", fragment, found.ManagedObjects)
		}
	}
}

// probes are what a browser sends before anybody logged in: a refusal must not make it ask for a password in a dialog of its own.
func (w *webWorld) probes(t *testing.T) {
	for _, probe := range []string{"GET /user/currentUser", "GET /user/currentUser?auth", "GET /tenant/currentTenant", "GET /tenant/currentTenant?withParent=true", "GET /application/applications/cockpit/manifest", "POST /user/logout"} {
		verb, path, _ := strings.Cut(probe, " ")
		for _, u := range []rig.User{{URL: w.s.URL}, {URL: w.s.URL, Name: "main/admin", Password: "not it"}} {
			a, err := u.Do(verb, path, nil, "UseXBasic", "true")
			if err != nil || a.Status != 401 && verb != "POST" {
				t.Fatalf("%s: %v %d", probe, err, a.Status)
			}
			if got := a.Header.Get("WWW-Authenticate"); a.Status == 401 && !strings.HasPrefix(got, "XBasic ") {
				t.Errorf("%s: WWW-Authenticate is %q", probe, got)
			}
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, target := range map[string]string{"/apps/cockpit": "/apps/cockpit/", "/apps/cockpit?a=b": "/apps/cockpit/?a=b", "/apps/public/login?token=t&email=e": "/apps/public/login/?token=t&email=e"} {
		res, err := client.Get(w.s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusFound || res.Header.Get("Location") != target {
			t.Errorf("%s: status %d, to %q", path, res.StatusCode, res.Header.Get("Location"))
		}
	}
	if a, err := (rig.User{URL: w.s.URL}).Do("GET", "/apps/public/login/?code=c&session_state=s", nil); err != nil || a.Status != 200 || !bytes.Contains(a.Body, []byte("<script")) {
		t.Errorf("the page for logging in: %v %d", err, a.Status)
	}
}

// session logs in as the form does, and returns the header of further requests.
func (w *webWorld) session(t *testing.T) (cookie, xsrf string) {
	t.Helper()
	form := url.Values{"grant_type": {"PASSWORD"}, "username": {"admin"}, "password": {rig.AdminPassword}, "tfa_code": {"undefined"}}.Encode() // sic
	a, err := (rig.User{URL: w.s.URL}).Do("POST", "/tenant/oauth?tenant_id=main", form, "Content-Type", "application/x-www-form-urlencoded", "UseXBasic", "true")
	if err != nil || a.Status != 200 {
		t.Fatalf("%v %d %s", err, a.Status, a.Body)
	}
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		switch {
		case c.Name == "authorization" && c.HttpOnly && !c.Secure: // this is HTTP
			cookie = "authorization=" + c.Value
		case c.Name == "XSRF-TOKEN" && !c.HttpOnly: // scripts read it
			xsrf = c.Value
		}
	}
	if cookie == "" || xsrf == "" {
		t.Fatalf("cookies %q", a.Header.Values("Set-Cookie"))
	}
	return cookie + "; XSRF-TOKEN=" + xsrf, xsrf
}

func (w *webWorld) sessions(t *testing.T) {
	cookie, xsrf := w.session(t)
	nobody := rig.User{URL: w.s.URL}
	for i, c := range []struct {
		verb, path string
		body       any
		xsrf       string
		want       int
	}{
		{"GET", "/user/currentUser", nil, xsrf, 200},
		{"POST", "/inventory/managedObjects", map[string]any{"name": "by cookie"}, xsrf, 201},
		{"POST", "/inventory/managedObjects", map[string]any{"name": "forged"}, "", 401},
		{"POST", "/user/logout", nil, xsrf, 200},
		{"GET", "/user/currentUser", nil, xsrf, 401},
	} {
		a, err := nobody.Do(c.verb, c.path, c.body, "UseXBasic", "true", "Cookie", cookie, "X-XSRF-TOKEN", c.xsrf)
		if err != nil || a.Status != c.want {
			t.Errorf("%d: %s %s: %v %d, want %d\n%s", i, c.verb, c.path, err, a.Status, c.want, a.Body)
		}
	}
	form := url.Values{"grant_type": {"PASSWORD"}, "username": {"admin"}, "password": {"not it"}, "tfa_code": {"undefined"}}.Encode()
	if a, err := nobody.Do("POST", "/tenant/oauth?tenant_id=main", form, "Content-Type", "application/x-www-form-urlencoded", "UseXBasic", "true"); err != nil || a.Status != 401 || a.Header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong password: %v %d %v", err, a.Status, a.Header)
	}
}

// realtime speaks Bayeux over a WebSocket as the applications do: arrays, a first connect that does not wait, one subscription each, with a cookie's token or with Basic.
func (w *webWorld) realtime(t *testing.T) {
	cookie, xsrf := w.session(t)
	for name, c := range map[string]struct {
		header http.Header
		authn  map[string]string
	}{
		"cookie": {http.Header{"Cookie": {cookie}}, map[string]string{"xsrfToken": xsrf}},
		"basic":  {nil, map[string]string{"token": basicToken(w.admin)}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			conn, res, err := websocket.Dial(ctx, strings.Replace(w.s.URL, "http", "ws", 1)+"/notification/realtime", &websocket.DialOptions{HTTPHeader: c.header})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			if res.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("status %d", res.StatusCode)
			}
			b := &webSocket{t: t, ctx: ctx, conn: conn}
			shake := b.ask(map[string]any{"channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0", "supportedConnectionTypes": []string{"websocket", "long-polling"},
				"advice": map[string]int{"timeout": 60000, "interval": 0}, "ext": map[string]any{"com.cumulocity.authn": c.authn}})
			b.client = shown(shake, "clientId")
			b.ask(map[string]any{"channel": "/meta/connect", "connectionType": "websocket", "advice": map[string]int{"timeout": 0}})
			b.send(map[string]any{"channel": "/meta/connect", "connectionType": "websocket"})
			for _, channel := range []string{"/bootstrap", "/operations/*", "/eventsWithChildren/*", "/measurements/" + w.device, "/eventsWithChildren/" + w.device, "/managedobjects/*", "/alarmsWithChildren/*"} {
				b.ask(map[string]any{"channel": "/meta/subscribe", "subscription": channel})
			}
			w.admin.Create(t, "/event/events", map[string]any{"source": map[string]string{"id": w.device}, "type": "web_Live", "text": name, "time": "2026-01-01T10:00:00Z"})
			b.await("/eventsWithChildren/"+w.device, "data.data.text", name)
			w.admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": w.device, "description": "live " + name})
			b.await("/operations/*", "data.data.description", "live "+name)
			b.ask(map[string]any{"channel": "/meta/unsubscribe", "subscription": "/bootstrap"})
		})
	}
}

func basicToken(u rig.User) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(u.Name, u.Password)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

type webSocket struct {
	t      *testing.T
	ctx    context.Context
	conn   *websocket.Conn
	client string
	n      int
	got    []map[string]any // what came while an answer was awaited
}

func (b *webSocket) send(m map[string]any) string {
	b.t.Helper()
	b.n++
	m["id"] = strconv.Itoa(b.n)
	if b.client != "" {
		m["clientId"] = b.client
	}
	if err := wsjson.Write(b.ctx, b.conn, []any{m}); err != nil {
		b.t.Fatal(err)
	}
	return strconv.Itoa(b.n)
}

// ask sends a message and returns its answer, which must say that it succeeded.
func (b *webSocket) ask(m map[string]any) map[string]any {
	b.t.Helper()
	id := b.send(m)
	answer := b.until(func(m map[string]any) bool { return m["id"] == id })
	if answer["successful"] != true {
		b.t.Fatalf("%v", answer)
	}
	return answer
}

func (b *webSocket) await(subscription, at, want string) {
	b.t.Helper()
	b.until(func(m map[string]any) bool {
		channel, _ := m["channel"].(string)
		top, id, _ := strings.Cut(strings.TrimPrefix(subscription, "/"), "/")
		return strings.HasPrefix(channel, "/"+top+"/") && (id == "*" || strings.HasSuffix(channel, "/"+id)) && shown(m, at) == want
	})
}

// until reads until a message is there that was asked for.
func (b *webSocket) until(is func(map[string]any) bool) map[string]any {
	b.t.Helper()
	for {
		for i, m := range b.got {
			if is(m) {
				b.got = slices.Delete(b.got, i, i+1)
				return m
			}
		}
		var more []map[string]any
		if err := wsjson.Read(b.ctx, b.conn, &more); err != nil {
			b.t.Fatalf("%v; what came beside: %v", err, b.got)
		}
		b.got = append(b.got, more...)
	}
}

// walk goes from page to page of a list by its links, and comes to an end.
func (w *webWorld) walk(t *testing.T) {
	next, seen := "/inventory/managedObjects?pageSize=2&q=", 0
	for pages := 0; next != ""; pages++ {
		if pages > 5 {
			t.Fatal("there is always another page")
		}
		var page struct {
			Next           string
			ManagedObjects []struct{ ID string }
		}
		w.admin.Want(t, 200, "GET", next, nil, &page)
		seen += len(page.ManagedObjects)
		next = strings.TrimPrefix(page.Next, w.s.URL)
	}
	if seen != 2 {
		t.Errorf("%d devices", seen)
	}
}
