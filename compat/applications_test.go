package compat_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

type madeApp struct{ ID, Password string }

// TestMicroserviceProcess uploads a program that runs as a microservice, on both engines.
func TestMicroserviceProcess(t *testing.T) {
	program := filepath.Join(t.TempDir(), "hello")
	if out, err := exec.Command("go", "build", "-o", program, "./internal/hello").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	archive := rig.Zip(t, map[string]string{"hello": string(code), "cumulocity.json": `{"name":"hello","apiVersion":"v2","version":"1.0.0","process":{"command":["./hello"]},
		"requiredRoles":["ROLE_INVENTORY_ADMIN","ROLE_MEASUREMENT_ADMIN"]}`})
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			o := engine.options(t)
			o.Args = append(o.Args, "--microservice-processes")
			s := rig.Start(t, o)
			admin := s.Admin()
			var app madeApp
			admin.Want(t, 201, "POST", "/application/applications", map[string]string{"name": "hello", "key": "hello-key", "type": "MICROSERVICE"}, &app)
			at := "/application/applications/" + app.ID
			if a, err := admin.Do("POST", at+"/binaries", archive, "Content-Type", "application/zip"); err != nil || a.Status != 201 {
				t.Fatalf("upload: %v %d %s", err, a.Status, a.Body)
			}
			admin.Want(t, 404, "GET", "/service/hello/who", nil, nil)
			admin.Want(t, 201, "POST", "/tenant/tenants/main/applications", map[string]any{"application": map[string]string{"id": app.ID}}, nil)
			up := func() bool {
				a, err := admin.Do("GET", "/service/hello/who?a=b", nil)
				return err == nil && a.Status == 200 && string(a.Body) == "main/admin a=b "
			}
			rig.Eventually(t, "the service answers with the caller's name, and knows nothing of the platform's environment", up)
			a, err := admin.Do("GET", "/service/hello/measure", nil)
			if err != nil || a.Status != 200 {
				t.Fatalf("%v %d %s", err, a.Status, a.Body)
			}
			var list struct{ Measurements []struct{ ID string } }
			admin.Want(t, 200, "GET", "/measurement/measurements?source="+string(a.Body), nil, &list)
			if len(list.Measurements) != 1 {
				t.Errorf("%d measurements", len(list.Measurements))
			}
			var device struct{ Owner string }
			admin.Want(t, 200, "GET", "/inventory/managedObjects/"+string(a.Body), nil, &device)
			if device.Owner != "service_hello" {
				t.Errorf("owner %s", device.Owner)
			}
			for _, path := range []string{"/service/hello/who", "/service/none/who"} {
				if a, err := (rig.User{URL: s.URL}).Do("GET", path, nil); err != nil || a.Status != 401 {
					t.Errorf("%s without credentials: %v %d", path, err, a.Status)
				}
			}
			other := rig.User{URL: s.URL, Name: "management/admin", Password: rig.AdminPassword}
			other.Want(t, 404, "GET", "/service/hello/who", nil, nil) // not subscribed
			_, _ = admin.Do("GET", "/service/hello/die", nil)
			rig.Eventually(t, "it is started again", up)
			var log struct {
				Logs     string
				Restarts int
			}
			admin.Want(t, 200, "GET", at+"/logs/hello-1", nil, &log)
			if log.Restarts < 1 || strings.Count(log.Logs, "hello starts") < 2 {
				t.Errorf("%+v", log)
			}
			admin.Want(t, 204, "DELETE", "/tenant/tenants/main/applications/"+app.ID, nil, nil)
			admin.Want(t, 404, "GET", "/service/hello/who", nil, nil)
			if code, _ := s.Stop(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			noDefects(t, s)
		})
	}
}

// TestMicroserviceByURL passes requests on to a service that was registered, and refuses what would reach into the network of the server.
func TestMicroserviceByURL(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		http.SetCookie(w, &http.Cookie{Name: "authorization", Value: "stolen"})
		http.SetCookie(w, &http.Cookie{Name: "own", Value: "1"})
		w.Header().Set("X-Seen", strings.Join([]string{user, r.URL.EscapedPath(), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("Keep-Alive")}, " "))
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(service.Close)
	s := rig.Start(t, rig.Options{})
	admin, management := s.Admin(), rig.User{URL: s.URL, Name: "management/admin", Password: rig.AdminPassword}
	register := func(u rig.User, availability string) {
		var app madeApp
		u.Want(t, 201, "POST", "/application/applications", map[string]string{"name": "echo", "key": "echo-key", "type": "MICROSERVICE", "availability": availability, "externalUrl": service.URL + "/base"}, &app)
		admin.Want(t, 201, "POST", "/tenant/tenants/main/applications", map[string]any{"application": map[string]string{"id": app.ID}}, nil)
		if u.Name == admin.Name {
			admin.Want(t, 403, "GET", "/service/echo/x", nil, nil)
			admin.Want(t, 204, "DELETE", "/application/applications/"+app.ID, nil, nil)
		}
	}
	register(admin, "PRIVATE")
	register(management, "MARKET")
	a, err := admin.Do("POST", "/service/echo/a%2Fb", "body", "Keep-Alive", "hop", "X-Forwarded-Proto", "https")
	if err != nil || a.Status != http.StatusAccepted || a.Header.Get("X-Seen") != "main/admin /base/a%2Fb https" {
		t.Fatalf("%v %d %v", err, a.Status, a.Header)
	}
	if got := a.Header.Values("Set-Cookie"); len(got) != 1 || !strings.HasPrefix(got[0], "own=") {
		t.Errorf("cookies %v", got)
	}
	for _, path := range []string{"/service/echo/%2e%2e/secret", "/service/echo/a/../../secret", "/service/echo/..%2fsecret"} {
		if a, err := admin.Do("GET", path, nil); err != nil || a.Status < 400 || a.Header.Get("X-Seen") != "" {
			t.Errorf("%s: %v %d %v", path, err, a.Status, a.Header)
		}
	}
	service.Close()
	admin.Want(t, 503, "GET", "/service/echo/x", nil, nil)
}

// TestRestrictedRoles: what a tenant keeps from microservices, none of them gets, whether it comes later or was there before.
func TestRestrictedRoles(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	admin := s.Admin()
	const restricted = "/tenant/tenants/main/applications/restricted-roles"
	microservice := func(name string, roles ...string) map[string]any {
		return map[string]any{"name": name, "key": name, "type": "MICROSERVICE", "requiredRoles": roles}
	}
	var app madeApp
	admin.Want(t, 201, "POST", "/application/applications", microservice("tool", "ROLE_EVENT_READ", "ROLE_ALARM_READ"), &app)
	at := "/application/applications/" + app.ID
	subscribe := func(status int, id string) {
		admin.Want(t, status, "POST", "/tenant/tenants/main/applications", map[string]any{"application": map[string]string{"id": id}}, nil)
	}
	subscribe(201, app.ID)
	var bootstrap struct{ Name, Password string }
	admin.Want(t, 200, "GET", at+"/bootstrapUser", nil, &bootstrap)
	var accounts struct {
		Users []struct{ Name, Password string }
	}
	rig.User{URL: s.URL, Name: "main/" + bootstrap.Name, Password: bootstrap.Password}.Want(t, 200, "GET", "/application/currentApplication/subscriptions", nil, &accounts)
	service := rig.User{URL: s.URL, Name: "main/" + accounts.Users[0].Name, Password: accounts.Users[0].Password}
	service.Want(t, 200, "GET", "/event/events", nil, nil)

	admin.Want(t, 200, "POST", restricted+"/ROLE_EVENT_READ", nil, nil)
	service.Want(t, 403, "GET", "/event/events", nil, nil)
	service.Want(t, 200, "GET", "/alarm/alarms", nil, nil)
	admin.Want(t, 403, "POST", "/application/applications", microservice("other", "ROLE_EVENT_READ"), nil)
	admin.Want(t, 200, "PUT", at, map[string]any{"description": "it keeps what it had, and gets no more"}, nil)
	admin.Want(t, 200, "PUT", at, map[string]any{"requiredRoles": []string{"ROLE_EVENT_READ", "ROLE_ALARM_READ", "ROLE_INVENTORY_READ"}}, nil)
	service.Want(t, 403, "GET", "/event/events", nil, nil)
	service.Want(t, 200, "GET", "/inventory/managedObjects", nil, nil)

	// A service of the management asks in vain as well.
	management := rig.User{URL: s.URL, Name: "management/admin", Password: rig.AdminPassword}
	market := microservice("market", "ROLE_EVENT_READ")
	market["availability"] = "MARKET"
	var offered madeApp
	management.Want(t, 201, "POST", "/application/applications", market, &offered)
	subscribe(403, offered.ID)
	admin.Want(t, 200, "DELETE", restricted+"/ROLE_EVENT_READ", nil, nil)
	service.Want(t, 200, "GET", "/event/events", nil, nil)
	subscribe(201, offered.ID)
}

// TestErasedOwnerLeavesNoApplications: what a tenant owned goes with it, and is counted in the receipt; nobody beside it ever saw it.
func TestErasedOwnerLeavesNoApplications(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	management := rig.User{URL: s.URL, Name: "management/admin", Password: rig.AdminPassword}
	management.Want(t, 201, "POST", "/tenant/tenants", map[string]any{"id": "upper", "company": "Upper", "domain": "upper.example.com", "adminName": "boss", "adminPass": "Secret-12345", "adminEmail": "boss@example.com", "allowCreateTenants": true}, nil)
	upper := rig.User{URL: s.URL, Name: "upper/boss", Password: "Secret-12345"}
	var app madeApp
	upper.Want(t, 201, "POST", "/application/applications", map[string]any{"name": "tool", "key": "tool", "type": "MICROSERVICE", "requiredRoles": []string{"ROLE_EVENT_READ"}}, &app)
	upper.Want(t, 201, "POST", "/tenant/tenants/upper/applications", map[string]any{"application": map[string]string{"id": app.ID}}, nil)
	upper.Want(t, 404, "POST", "/tenant/tenants/main/applications", map[string]any{"application": map[string]string{"id": app.ID}}, nil)
	s.Admin().Want(t, 404, "GET", "/application/applications/"+app.ID, nil, nil)
	management.Want(t, 204, "DELETE", "/tenant/tenants/upper", nil, nil)
	var receipts struct {
		Receipts []struct{ Counts map[string]int64 }
	}
	management.Want(t, 200, "GET", "/isobar/tenants/receipts", nil, &receipts)
	if len(receipts.Receipts) != 1 || receipts.Receipts[0].Counts["applications"] != 1 {
		t.Errorf("%+v", receipts)
	}
}
