package ldap_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/go-ldap/ldap/v3"

	"github.com/isobar-iot/isobar/app"
)

const adminPassword = "Secret-12345678"

func tlsConfig(pool *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// rig is a platform whose log can be read.
type rig struct {
	url, mqtt string
	log       *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// String returns what was written so far.
func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{log: &safeBuffer{}}
	pf, err := app.Start(context.Background(), app.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", LogLevel: "debug", LogFormat: "text", AdminPassword: adminPassword, OIDCAllowInsecure: true},
		slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := pf.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.url, r.mqtt = "http://"+pf.Addr("http"), "tcp://"+pf.Addr("mqtt")
	return r
}

// call makes a request with Basic authentication.
func (r *rig) call(t *testing.T, user, password, method, path string, body any) (int, map[string]any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, r.url+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("main/"+user, password)
	req.Header.Set("Accept", "application/vnd.com.nsn.cumulocity.user+json")
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if len(text) > 0 && json.Unmarshal(text, &out) != nil {
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return res.StatusCode, out
}

func (r *rig) admin(t *testing.T, want int, method, path string, body any) map[string]any {
	t.Helper()
	status, out := r.call(t, "admin", adminPassword, method, path, body)
	if status != want {
		t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

// form logs in with the form, which remembers no password.
func (r *rig) form(t *testing.T, user, password string) (int, string) {
	t.Helper()
	res, err := http.PostForm(r.url+"/tenant/oauth?tenant_id=main", url.Values{"grant_type": {"PASSWORD"}, "username": {user}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func (r *rig) groups(t *testing.T, user string) string {
	t.Helper()
	var ids []string
	for _, ref := range r.admin(t, 200, "GET", "/user/main/users/"+user+"/groups", nil)["references"].([]any) {
		ids = append(ids, fmt.Sprint(ref.(map[string]any)["group"].(map[string]any)["id"]))
	}
	return strings.Join(ids, ",")
}

func (r *rig) users(t *testing.T) string {
	t.Helper()
	var names []string
	for _, u := range r.admin(t, 200, "GET", "/user/main/users?pageSize=100", nil)["users"].([]any) {
		names = append(names, fmt.Sprint(u.(map[string]any)["userName"]))
	}
	return strings.Join(names, " ")
}

// option is a login option for the directory.
func (s *slapd) option(object string) map[string]any {
	roles := []any{}
	if object != "" {
		roles = append(roles, map[string]any{"managedObject": object, "roleIds": []int{1}})
	}
	return map[string]any{"type": "LDAP", "providerName": "Company", "urls": []string{"ldaps://" + s.tls}, "caCertificates": s.ca,
		"bindDN": "cn=isobar," + suffix, "bindPassword": "password of isobar", "baseDN": "ou=people," + suffix,
		"userFilter": "(&(|(uid={user})(mail={user}))(employeeType=active))",
		"groups":     map[string]any{"baseDN": "ou=groups," + suffix},
		"groupMappings": []any{
			map[string]any{"group": "STAFF", "thenGroups": []int{2}},
			map[string]any{"group": `cn=ops\, night,ou=groups,` + suffix, "thenGroups": []int{3}, "thenInventoryRoles": roles},
		}}
}

func (s *slapd) modify(t *testing.T, change func(*ldap.Conn) error) {
	t.Helper()
	l := s.root(t, &bytes.Buffer{})
	defer l.Close()
	if err := change(l); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordsOfADirectory(t *testing.T) {
	s, r := startSlapd(t), start(t)
	object := fmt.Sprint(r.admin(t, 201, "POST", "/inventory/managedObjects", map[string]any{"name": "site"})["id"])
	r.admin(t, 201, "POST", "/user/main/users", map[string]any{"userName": "lou", "email": "l@example.com", "password": "Secret-12345"})
	r.admin(t, 200, "POST", "/tenant/loginOptions", s.option(object))

	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"ada", "password of ada", 200},
		{"ada@example.org", "password of ada", 200}, // is ada
		{"ADA", "password of ada", 200},             // directories do not look at the case
		{"ada", "password of bob", 401},
		{"ada", "", 401},
		{"ada", "\x00", 401},
		{"nopass", "", 401},
		{"nopass", "x", 401},
		{"nobody", "password of nobody", 401},
		{"dora", "password of dora", 401},              // disabled
		{"gus", "password of gus", 403},                // in no group that is mapped
		{"lou", "password of lou", 401},                // is managed here
		{"lou", "Secret-12345", 200},                   // as before
		{"admin", "password of ada", 401},              // there is none in the directory
		{"twin@example.org", "password of twin1", 401}, // fits two
		{"*", "password of ada", 401},
		{"ad*", "password of ada", 401},
		{"ada)(uid=*", "password of ada", 401},
		{"*)(objectClass=*", "password of ada", 401},
		{"ada)(|(uid=*", "password of ada", 401},
		{"(ada", "password of ada", 401},
		{"ada\x00", "password of ada", 401},
		{"{dn}", "password of ada", 401},
		{"ada,ou=people," + suffix, "password of ada", 401},
		{strings.Repeat("a", 5000), "password of ada", 401},
	} {
		if status, text := r.form(t, c.user, c.password); status != c.want {
			t.Errorf("%.40q with %q: %d, not %d: %s", c.user, c.password, status, c.want, text)
		}
	}
	if got := r.users(t); got != "ada admin lou" {
		t.Errorf("the users are %s", got)
	}
	if got := r.groups(t, "ada"); got != "2,3" {
		t.Errorf("groups %s", got)
	}
	if got := fmt.Sprint(r.admin(t, 200, "GET", "/user/main/users/ada/roles/inventory", nil)); !strings.Contains(got, "managedObject:"+object) {
		t.Errorf("inventory roles %s", got)
	}
	status, me := r.call(t, "ada", "password of ada", "GET", "/user/currentUser", nil)
	if custom, _ := me["customProperties"].(map[string]any); status != 200 || me["firstName"] != "Person ada" || me["lastName"] != "Byron" || me["email"] != "ada@example.org" || me["phone"] != "+49 1" || custom["userOrigin"] != "LDAP" {
		t.Errorf("%d %v", status, me)
	}
	if got := fmt.Sprint(r.admin(t, 200, "GET", "/audit/auditRecords?pageSize=500", nil)); !strings.Contains(got, "LDAP: Access is denied") || !strings.Contains(got, "Login of 'nobody'") {
		t.Error("refusals are not audited")
	}
	if strings.Contains(r.log.String(), "password of") {
		t.Error("a password is in the log")
	}

	// MQTT asks the same directory.
	for password, want := range map[string]bool{"password of ada": true, "wrong": false} {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(r.mqtt).SetClientID("ada-" + password[:5]).SetUsername("main/ada").SetPassword(password).SetAutoReconnect(false))
		k := c.Connect()
		if !k.WaitTimeout(10*time.Second) || (k.Error() == nil) != want {
			t.Errorf("MQTT with %q: %v", password, k.Error())
		}
		c.Disconnect(0)
	}

	// Rights and people follow the directory.
	s.modify(t, func(l *ldap.Conn) error {
		m := ldap.NewModifyRequest(groupDN("Ops, night"), nil)
		m.Replace("member", []string{dn("bob")})
		return l.Modify(m)
	})
	if status, text := r.form(t, "ada", "password of ada"); status != 200 || r.groups(t, "ada") != "2" {
		t.Errorf("%d %s, groups %s", status, text, r.groups(t, "ada"))
	}
	s.modify(t, func(l *ldap.Conn) error {
		m := ldap.NewModifyRequest(groupDN("staff"), nil)
		m.Delete("member", []string{dn("ada")})
		return l.Modify(m)
	})
	if status, _ := r.form(t, "ada", "password of ada"); status != 403 || r.groups(t, "ada") != "" {
		t.Errorf("in no group any more: %d, groups %s", status, r.groups(t, "ada"))
	}
	s.modify(t, func(l *ldap.Conn) error { return l.Del(ldap.NewDelRequest(dn("ada"), nil)) })
	if status, _ := r.form(t, "ada", "password of ada"); status != 401 {
		t.Errorf("removed: %d", status)
	}
}

func TestWaysToADirectory(t *testing.T) {
	s := startSlapd(t)
	dead := freeAddress(t)
	for _, c := range []struct {
		name   string
		change func(map[string]any)
		want   int
		log    string // what an administrator reads
	}{
		{name: "StartTLS", change: func(o map[string]any) { o["urls"] = []string{"ldap://" + s.plain} }, want: 200},
		{name: "no encryption", change: func(o map[string]any) { o["urls"], o["startTls"] = []string{"ldap://" + s.plain}, false }, want: 503, log: "Confidentiality Required"},
		{name: "a server that is down, then one that is not", change: func(o map[string]any) { o["urls"] = []string{"ldaps://" + dead, "ldaps://" + s.tls} }, want: 200},
		{name: "all servers down", change: func(o map[string]any) { o["urls"] = []string{"ldaps://" + dead} }, want: 503, log: "connection refused"},
		{name: "an unknown authority", change: func(o map[string]any) { delete(o, "caCertificates") }, want: 503, log: "unknown authority"},
		{name: "a wrong service account", change: func(o map[string]any) { o["bindPassword"] = "wrong" }, want: 503, log: "refuses the service account"},
		{name: "memberOf", change: func(o map[string]any) { o["groups"] = map[string]any{"memberOf": true} }, want: 200},
		{name: "everybody", change: func(o map[string]any) {
			o["groups"], o["groupMappings"] = map[string]any{}, []any{map[string]any{"group": "*", "thenGroups": []int{2, 3}}}
		}, want: 200},
		{name: "the DN follows from the name", change: func(o map[string]any) {
			for _, m := range []string{"baseDN", "userFilter", "bindDN", "bindPassword"} {
				delete(o, m)
			}
			o["userDN"], o["groups"] = "uid={user},ou=people,"+suffix, map[string]any{"memberOf": true}
		}, want: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			option := s.option("")
			c.change(option)
			r.admin(t, 200, "POST", "/tenant/loginOptions", option)
			if status, text := r.form(t, "ada", "password of ada"); status != c.want {
				t.Fatalf("%d, not %d: %s\n%s", status, c.want, text, r.log)
			}
			if c.want == 200 {
				if got := r.groups(t, "ada"); got != "2,3" {
					t.Errorf("groups %q", got)
				}
				if status, _ := r.form(t, "ada", "wrong"); status != 401 {
					t.Errorf("a wrong password: %d", status)
				}
				if status, _ := r.form(t, "ada,ou=people", "password of ada"); status != 401 {
					t.Errorf("a name with a comma: %d", status)
				}
			}
			if got := r.log.String(); c.log != "" && (!strings.Contains(got, "does not answer: its people cannot log in") || !strings.Contains(got, c.log)) {
				t.Errorf("no %q in the log\n%s", c.log, got)
			}
			if status, _ := r.form(t, "admin", adminPassword); status != 200 {
				t.Errorf("admin, who is managed here: %d", status)
			}
		})
	}
}

func TestManyLoginsAtOnceAndARestart(t *testing.T) {
	s, r := startSlapd(t), start(t)
	r.admin(t, 200, "POST", "/tenant/loginOptions", s.option(""))
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if status, text := r.form(t, "bob", "password of bob"); status != 200 {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	wg.Wait()
	s.stop()
	if status, _ := r.form(t, "bob", "password of bob"); status != 503 {
		t.Errorf("with the server down: %d", status)
	}
}
