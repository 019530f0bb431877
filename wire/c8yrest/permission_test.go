package c8yrest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/platform/registry"
)

// The people of the permission table. Each holds only what its name says, beside the right to read itself.
const (
	anonymous = iota
	nothing   // a user without any permission
	reader    // READ of every family
	admin     // ADMIN of every family, which does not include READ
	owner     // the account of the device that owns the objects; the group devices, no write permission
	elsewhere // the administrator of another tenant, with main's ids
	people
)

var names = [people]string{"anonymous", "nothing", "reader", "admin", "owner", "elsewhere"}

// permissionCase is one request and the status that each of the people must get.
type permissionCase struct {
	request string // "METHOD /path"
	body    string
	want    [people]int
}

// stage is a platform with the people, and a device with one document of every kind.
type stage struct {
	*server
	as  [people]string
	ids map[string]string
}

var families = strings.Fields("ALARM AUDIT DEVICE_CONTROL EVENT IDENTITY INVENTORY MEASUREMENT USER_MANAGEMENT OPTION_MANAGEMENT TENANT_MANAGEMENT MQTT_SERVICE APPLICATION_MANAGEMENT BULK_OPERATION")

// alone are permissions that have no other level.
var alone = map[string][]string{"reader": {"TENANT_STATISTICS_READ"}, "adm": {"NOTIFICATION_2_ADMIN"}}

func setStage(t *testing.T) *stage {
	s := &stage{server: start(t), ids: map[string]string{}}
	s.as = [people]string{"anonymous", "nothing:Secret-123", "reader:Secret-123", "adm:Secret-123", "", "management"}
	for name, level := range map[string]string{"nothing": "", "reader": "_READ", "adm": "_ADMIN"} {
		s.must(t, "admin", "POST", "/user/main/users", `{"userName":"`+name+`","email":"`+name+`@x.y","password":"Secret-123"}`)
		for _, f := range families {
			if level != "" {
				s.must(t, "admin", "POST", "/user/main/users/"+name+"/roles", `{"role":{"self":"/user/roles/ROLE_`+f+level+`"}}`)
			}
		}
	}
	for name, list := range alone {
		for _, r := range list {
			s.must(t, "admin", "POST", "/user/main/users/"+name+"/roles", `{"role":{"self":"/user/roles/ROLE_`+r+`"}}`)
		}
	}
	s.must(t, "admin", "POST", "/devicecontrol/newDeviceRequests", `{"id":"d"}`)
	s.send(t, "bootstrap", "POST", "/devicecontrol/deviceCredentials", nil, `{"id":"d"}`)
	s.must(t, "admin", "PUT", "/devicecontrol/newDeviceRequests/d", `{"status":"ACCEPTED"}`)
	password, _ := lookup([]byte(s.must(t, "bootstrap", "POST", "/devicecontrol/deviceCredentials", `{"id":"d"}`).body), ".password")
	s.as[owner] = "device_d:" + password
	s.fill(t)
	return s
}

// fill makes documents. Each kind that a case deletes exists once per person.
func (s *stage) fill(t *testing.T) {
	own := s.as[owner]
	// Ids are counted per tenant: main's must be ones that another tenant does not have.
	s.must(t, "admin", "POST", "/inventory/managedObjects", `{"managedObjects":[{}`+strings.Repeat(",{}", registry.MaxBulk-1)+`]}`)
	make := func(name, as, path, body string) {
		t.Helper()
		location := s.must(t, as, "POST", fill(path, s.ids), fill(body, s.ids)).header.Get("Location")
		s.ids[name] = location[strings.LastIndexByte(location, '/')+1:]
	}
	make("dev", own, "/inventory/managedObjects", `{"name":"d","c8y_IsDevice":{},"com_cumulocity_model_Agent":{},"c8y_RequiredAvailability":{"responseInterval":5}}`)
	make("foreign", "admin", "/inventory/managedObjects", `{"name":"foreign"}`)
	make("global", "admin", "/inventory/managedObjects", `{"name":"global","c8y_Global":{}}`)
	make("child", own, "/inventory/managedObjects/{dev}/childDevices", `{"name":"child","c8y_IsDevice":{}}`)
	s.must(t, own, "POST", fill("/identity/globalIds/{dev}/externalIds", s.ids), `{"type":"c8y_Serial","externalId":"SN"}`)
	make("event", own, "/event/events", `{"source":{"id":"{dev}"},"type":"t","text":"x","time":"2024-01-01"}`)
	make("alarm", own, "/alarm/alarms", `{"source":{"id":"{dev}"},"type":"t","text":"x","severity":"MAJOR","time":"2024-01-01"}`)
	make("op", "admin", "/devicecontrol/operations", `{"deviceId":"{dev}"}`)
	make("audit", "admin", "/audit/auditRecords", `{"type":"t","activity":"x","text":"y","time":"2024-01-01"}`)
	make("app", "admin", "/application/applications", `{"name":"web","key":"web","contextPath":"web","type":"HOSTED"}`)
	for i := range people {
		make(fmt.Sprintf("own%d", i), own, "/inventory/managedObjects", `{"name":"gone"}`)
		make(fmt.Sprintf("ev%d", i), own, "/event/events", `{"source":{"id":"{dev}"},"type":"t","text":"x","time":"2024-01-01"}`)
		make(fmt.Sprintf("m%d", i), own, "/measurement/measurements", fmt.Sprintf(`{"source":{"id":"{dev}"},"type":"t","time":"2024-01-0%d","a":{"b":{"value":1}}}`, i+1))
	}
}

func (s *stage) must(t *testing.T, as, method, path, body string) answer {
	t.Helper()
	a := s.send(t, as, method, path, http.Header{"Content-Type": {"application/json"}}, body)
	if a.status >= 300 {
		t.Fatalf("%s %s as %s: %d %s", method, path, as, a.status, a.body)
	}
	return a
}

func TestPermissions(t *testing.T) {
	s := setStage(t)
	s.lists(t) // first, while everybody owns only what the stage gave them
	for _, c := range permissionCases() {
		t.Run(c.request, func(t *testing.T) {
			method, path, _ := strings.Cut(c.request, " ")
			for who, want := range c.want {
				number := func(s string) string { return strings.ReplaceAll(s, "#", fmt.Sprint(who)) }
				a := s.send(t, s.as[who], method, fill(number(path), s.ids), http.Header{"Accept": {"application/json"}}, fill(number(c.body), s.ids))
				if a.status != want {
					t.Errorf("as %s: %d, want %d: %.300s", names[who], a.status, want, a.body)
				}
			}
		})
	}
}

// lists counts what each of the people sees.
func (s *stage) lists(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		list string
		want [people]string // totalElements; empty: refused
	}{
		// c8y: lists of managed objects and alarms need no permission, they show what one may read
		{"/inventory/managedObjects", [people]string{"", "1", "60", "1", "60", "0"}},
		{"/alarm/alarms", [people]string{"", "", "1", "", "1", "0"}},
		{"/event/events", [people]string{"", "", "7", "", "7", "0"}},
		{"/measurement/measurements", [people]string{"", "", "6", "", "6", "0"}},
		{"/devicecontrol/operations", [people]string{"", "", "1", "", "1", "0"}},
	} {
		t.Run(c.list, func(t *testing.T) {
			for who, want := range c.want {
				a := s.send(t, s.as[who], "GET", c.list+"?withTotalElements=true", nil, "")
				got, _ := lookup([]byte(a.body), ".statistics.totalElements")
				if refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden; got != want || refused != (want == "") {
					t.Errorf("as %s: %d with %q, want %q", names[who], a.status, got, want)
				}
			}
		})
	}
}
