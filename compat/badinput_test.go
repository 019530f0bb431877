package compat_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// bad is a request that nobody should send.
type bad struct {
	name, method, path string
	body               any
	header             []string // name, value, ...
	want               []int    // the statuses that are right
}

const (
	moType    = "application/vnd.com.nsn.cumulocity.managedobject+json"
	errorType = "application/vnd.com.nsn.cumulocity.error+json"
)

func badRequests(device string) []bad {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	arrays := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	invalid, tooLarge := []int{400, 422}, []int{400, 413, 422}
	fine := []int{200}
	huge := strings.Repeat("9", 400)
	var out []bad
	add := func(name, method, path string, body any, want []int, header ...string) {
		out = append(out, bad{name, method, path, body, header, want})
	}

	// Every collection that takes JSON gets the same bodies.
	for _, path := range []string{"/inventory/managedObjects", "/measurement/measurements", "/event/events", "/alarm/alarms", "/devicecontrol/operations",
		"/devicecontrol/newDeviceRequests", "/user/main/users", "/user/main/groups", "/identity/globalIds/" + device + "/externalIds", "/identity/search", "/tenant/options", "/audit/auditRecords",
		"/inventory/managedObjects/" + device + "/childDevices"} {
		for name, body := range map[string]string{
			"nothing": "", "half an object": `{"name":`, "trailing garbage": `{"name":"x"} y`, "two objects": `{"name":"x"}{"name":"y"}`, "a bare word": "hello", "a number": "12", "a string": `"x"`, "a list": `[{"name":"x"}]`,
			"null": "null", "XML": "<a/>", "broken UTF-8": "{\"name\":\"\xff\xfe\"}", "a lone surrogate": `{"name":"\ud800"`, "a NUL": "{\"name\":\"a\x00b\"}", "an escaped NUL in a key without end": `{"\u0000":`,
			"10,001 levels of objects": deep(10_001), "100,000 levels of lists": `{"a":` + arrays(100_000) + `}`, "a comment": `{/* */}`, "an escaped NUL": `{"name":"a\u0000b","userName":"a\u0000b","id":"a\u0000b","type":"a\u0000b"}`, "half of an escaped surrogate": `{"name":"\ud800","userName":"\ud800","id":"\ud800","type":"\ud800"}`,
			"a number beyond a double": `{"a":1e999}`, "a duplicate brace": `{{}}`, "NaN": `{"a":NaN}`, "a leading zero": `{"a":01}`,
		} {
			want := invalid
			if strings.Contains(name, "levels") {
				want = tooLarge
			}
			add(path+" with "+name, "POST", path, body, want)
		}
		add(path+" with 17 MB", "POST", path, `{"name":"`+strings.Repeat("x", 17<<20)+`"}`, tooLarge)
	}
	add("an update with a list", "PUT", "/inventory/managedObjects/"+device, "[]", invalid)
	add("an update with broken JSON", "PUT", "/inventory/managedObjects/"+device, "{", invalid)

	// Wrong types and values.
	for name, body := range map[string]string{
		"a name that is a number": `{"name":1}`, "a type that is an object": `{"type":{}}`, "a fragment name with a dot": `{"a.b":1}`, "a fragment name with a blank": `{"a b":1}`, "an owner that is a list": `{"owner":[]}`,
	} {
		add("an object with "+name, "POST", "/inventory/managedObjects", body, invalid, "Content-Type", moType)
	}
	for name, body := range map[string]string{
		"no source": `{"type":"t","time":"2026-01-01T00:00:00Z","c":{"v":{"value":1}}}`, "a source that is a string": `{"source":"1","type":"t","time":"2026-01-01T00:00:00Z"}`,
		"a source id that is no number": `{"source":{"id":"x"},"type":"t","time":"2026-01-01T00:00:00Z"}`, "a negative source id": `{"source":{"id":"-1"},"type":"t","time":"2026-01-01T00:00:00Z"}`,
		"a source id beyond 64 bit": `{"source":{"id":"` + huge + `"},"type":"t","time":"2026-01-01T00:00:00Z"}`, "a time that is a number": `{"source":{"id":"` + device + `"},"type":"t","time":1}`,
		"a time in words": `{"source":{"id":"` + device + `"},"type":"t","time":"yesterday"}`, "the 30th of February": `{"source":{"id":"` + device + `"},"type":"t","time":"2026-02-30T00:00:00Z"}`,
		"a type that is a number": `{"source":{"id":"` + device + `"},"type":1,"time":"2026-01-01T00:00:00Z"}`, "a type that is missing": `{"source":{"id":"` + device + `"},"time":1}`,
	} {
		for _, path := range []string{"/measurement/measurements", "/event/events", "/alarm/alarms"} {
			add(path+" with "+name, "POST", path, body, []int{400, 404, 422})
		}
	}
	alarm := func(rest string) string {
		return `{"source":{"id":"` + device + `"},"type":"t","time":"2026-01-01T00:00:00Z","text":"x",` + rest + `}`
	}
	add("a severity that there is not", "POST", "/alarm/alarms", alarm(`"severity":"AWFUL"`), invalid)
	add("a status that there is not", "POST", "/alarm/alarms", alarm(`"severity":"MAJOR","status":"GONE"`), invalid)
	add("a bulk of measurements with a bad one", "POST", "/measurement/measurements", `{"measurements":[{"source":{"id":"`+device+`"}},1]}`, invalid)
	add("a bulk of 51 objects", "POST", "/inventory/managedObjects", `{"managedObjects":[`+strings.TrimSuffix(strings.Repeat(`{"name":"x"},`, 51), ",")+`]}`, tooLarge, "Content-Type", "application/vnd.com.nsn.cumulocity.managedobjectcollection+json")
	add("an operation without device", "POST", "/devicecontrol/operations", `{"c8y_Restart":{}}`, invalid)
	add("an operation for nobody", "POST", "/devicecontrol/operations", `{"deviceId":"999999999","c8y_Restart":{}}`, []int{404, 422})
	add("a registration with a slash", "POST", "/devicecontrol/newDeviceRequests", `{"id":"a/b"}`, invalid)
	add("a registration with a blank", "POST", "/devicecontrol/newDeviceRequests", `{"id":"a b"}`, invalid)
	add("a registration of 1001 characters", "POST", "/devicecontrol/newDeviceRequests", `{"id":"`+strings.Repeat("x", 1001)+`"}`, invalid)
	add("a user without a name", "POST", "/user/main/users", `{"password":"Secret-1234!"}`, invalid)
	add("a user with a weak password", "POST", "/user/main/users", `{"userName":"weak","email":"a@b.c","password":"1"}`, invalid)
	add("an object as its own child", "POST", "/inventory/managedObjects/"+device+"/childDevices", `{"managedObject":{"id":"`+device+`"}}`, []int{400, 409, 422})
	add("a child that is not", "POST", "/inventory/managedObjects/"+device+"/childDevices", `{"managedObject":{"id":"999999999"}}`, []int{404, 422})

	// Ids that are not.
	for _, id := range []string{"0", "-1", "999999999", "x", "1e3", "0x10", "1.5", huge, "%00", "%2e%2e", "%2F", "%F0%9F%92%A9", "1%20or%201=1", "'", "null", "undefined"} {
		for _, path := range []string{"/inventory/managedObjects/", "/event/events/", "/alarm/alarms/", "/devicecontrol/operations/", "/inventory/binaries/", "/devicecontrol/newDeviceRequests/", "/user/main/users/", "/user/main/groups/", "/identity/externalIds/c8y_Serial/"} {
			add("GET "+path+id, "GET", path+id, nil, []int{400, 404, 422})
			if path != "/alarm/alarms/" {
				add("DELETE "+path+id, "DELETE", path+id, nil, []int{400, 404, 405, 422})
			}
		}
		add("PUT object "+id, "PUT", "/inventory/managedObjects/"+id, `{"name":"x"}`, []int{400, 404, 422})
	}
	add("another tenant's users", "GET", "/user/nobody/users", nil, []int{403, 404})
	add("a tenant that tries to climb", "GET", "/user/..%2f..%2fmanagement/users", nil, []int{400, 403, 404})

	// Routes and methods that there are not.
	for _, path := range []string{"/nothing", "/inventory", "/inventory/nothing", "/inventory/managedObjects/" + device + "/nothing", "/service/none", "/..%2f..%2fetc/passwd", "/inventory//managedObjects//1//x", "/%"} {
		want := []int{400, 404}
		if path == "/inventory" {
			want = fine
		}
		add("GET "+path, "GET", path, nil, want)
	}
	for _, method := range []string{"PATCH", "TRACE", "PROPFIND", "CONNECTX", "get"} {
		add(method+" on objects", method, "/inventory/managedObjects", nil, []int{400, 405})
	}
	add("DELETE on audit records", "DELETE", "/audit/auditRecords", nil, []int{405})
	add("DELETE on all objects", "DELETE", "/inventory/managedObjects", nil, []int{405})
	add("a method override that is none", "POST", "/inventory/managedObjects", "{}", []int{400, 405}, "X-HTTP-METHOD", "EXPLODE")

	// Query strings.
	for _, q := range []string{"query=name+eq", "query=name+ne+'x'", "query=((((name+eq+'x'", "query=name+eq+'x", "query=has()", "query=$filter=", "query=$orderby=", "query=$orderby=;drop", "query=bygroupid(x)", "query=name.eq+'x'+or",
		"query=" + strings.Repeat("(", 20_000) + "name+eq+'x'" + strings.Repeat(")", 20_000), "query=" + strings.Repeat("not(", 3_000) + "has(a)" + strings.Repeat(")", 3_000), "query=a+eq+'" + strings.Repeat("*a", 2_000) + "'",
		"query=%ff%fe", "query=%", "query=name+eq+'%00'", "query=id+eq+'" + huge + "'", "query=x.y.z+gt+" + huge + "f", "q=name+eq+and", "text=%22", "ids=1,,x," + huge, "ids=" + strings.Repeat("1,", 5_000), "type=%00", "fragmentType=a.b.c'%22", "owner=%ff",
		"pageSize=0", "pageSize=-1", "pageSize=99999999999999999999", "pageSize=x", "pageSize=2001", "currentPage=0", "currentPage=-5", "currentPage=999999999999", "currentPage=9223372036854775807&pageSize=2000", "currentPage=x",
		"withTotalPages=perhaps", "a=b;c=d", "&&&==&=", "childAssetId=x"} {
		add("objects?"+cut(q), "GET", "/inventory/managedObjects?"+q, nil, []int{200, 400, 414, 422, 431})
	}
	for _, list := range []string{"/measurement/measurements", "/event/events", "/alarm/alarms", "/devicecontrol/operations", "/audit/auditRecords"} {
		for _, q := range []string{"dateFrom=yesterday", "dateFrom=2026-13-01", "dateFrom=2026-01-01T00:00:00+99:00", "dateFrom=9999999-01-01", "dateTo=%00", "dateFrom=2026-02-01&dateTo=2026-01-01", "source=x", "source=-1", "deviceId=x", "source=" + huge,
			"pageSize=99999999&currentPage=99999999", "revert=maybe&dateFrom=2026-01-01", "type=%00%ff", "status=NONE", "severity=NONE", "currentPage=" + huge} {
			add(list+"?"+cut(q), "GET", list+"?"+q, nil, []int{200, 400, 404, 422})
		}
	}
	series := "/measurement/measurements/series?source=" + device + "&dateFrom=2026-01-01&dateTo=2026-02-01"
	for _, q := range []string{"&series=x", "&series=.", "&series=a.b.c.d", "&aggregationType=YEARLY", "&aggregationInterval=0s", "&aggregationInterval=99999999999h", "&aggregationInterval=-1h", "&aggregationInterval=1x", "&aggregationFunction=median", "&series=%00.%00",
		"&aggregationInterval=1h&aggregationFunction=percentile101", "&aggregationInterval=1h&aggregationFunction=percentile", "&timezone=../../etc/passwd", "&timezone=Local", "&timezone=%00",
		"&maxPoints=-1", "&maxPoints=1e9", "&maxPoints=9", "&downsampling=lttb", "&maxPoints=9&downsampling=x", "&maxPoints=9&aggregationInterval=1h"} {
		add("series"+q, "GET", series+q, nil, []int{200, 400, 422})
	}
	for _, q := range []string{"", "?source=", "?source=x", "?source=0", "?source=-1", "?source=" + device + "&series=x", "?source=" + device + ",,"} {
		add("latest"+q, "GET", "/measurement/measurements/latest"+q, nil, []int{200, 404, 422})
	}
	add("series of nobody", "GET", "/measurement/measurements/series?source=x", nil, []int{400, 404, 422})
	add("series without anything", "GET", "/measurement/measurements/series", nil, []int{400, 404, 422})
	add("deleting measurements without a filter", "DELETE", "/measurement/measurements", nil, invalid)

	// Headers.
	for _, h := range [][]string{{"Accept", "image/png"}, {"Accept", ";;;,,,"}, {"X-Cumulocity-Processing-Mode", "SOMETIMES"}, {"X-Cumulocity-System-Of-Units", "furlongs"}, {"Range", "bytes=5-1"}, {"X-Forwarded-Host", "evil.example\"><script>"},
		{"X-XSRF-TOKEN", "x"}, {"Cookie", "authorization=x"}, {"Cookie", "=;=;authorization=a.b.c; XSRF-TOKEN="}, {"If-None-Match", "\""}, {"Accept-Encoding", "gzip;q=x"}} {
		add("a header "+strings.Join(h, ": "), "GET", "/inventory/managedObjects?pageSize=1", nil, []int{200, 400, 401, 406, 422}, h...)
	}
	for _, mode := range []string{"SOMETIMES", "\x7f"} {
		add("processing mode", "POST", "/event/events", `{"source":{"id":"`+device+`"},"type":"t","text":"x","time":"2026-01-01T00:00:00Z"}`, []int{201, 400, 422}, "X-Cumulocity-Processing-Mode", mode)
	}
	for _, ct := range []string{"text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=", "application/x-www-form-urlencoded", ";", "\x01"} {
		add("content type "+ct, "POST", "/inventory/binaries", "x", []int{201, 400, 415, 422}, "Content-Type", ct)
		add("content type "+ct, "POST", "/devicecontrol/bulkNewDeviceRequests", "x", []int{400, 404, 415, 422}, "Content-Type", ct)
	}
	multipart := func(parts string) string { return strings.ReplaceAll(parts, "\n", "\r\n") }
	for name, body := range map[string]string{
		"no parts": "--b--\n", "half a part": "--b\nContent-Disposition: form-data; name=\"object\"\n\n{", "an object that is no JSON": "--b\nContent-Disposition: form-data; name=\"object\"\n\n{\n--b\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\n\nx\n--b--\n",
		"no name": "--b\n\nx\n--b--\n",
	} {
		add("an upload with "+name, "POST", "/inventory/binaries", multipart(body), invalid, "Content-Type", "multipart/form-data; boundary=b")
	}
	for name, csv := range map[string]string{"no header": "", "no rows": "ID\n", "an unclosed quote": "ID,CREDENTIALS\n\"x,y\n", "too many fields": "ID,CREDENTIALS\na,b,c,d\n", "broken UTF-8": "ID,CREDENTIALS\n\xff\xfe,x\n", "a column twice": "ID,ID\na,b\n"} {
		add("a bulk registration with "+name, "POST", "/devicecontrol/bulkNewDeviceRequests", multipart("--b\nContent-Disposition: form-data; name=\"file\"; filename=\"x.csv\"\n\n"+csv+"\n--b--\n"), []int{201, 400, 404, 422}, "Content-Type", "multipart/form-data; boundary=b")
	}
	add("a login with nothing", "POST", "/tenant/oauth", "", []int{400, 401, 422}, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	add("a login with a grant that there is not", "POST", "/tenant/oauth/token", "grant_type=MAGIC", []int{400, 401, 422}, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	add("a login with broken escapes", "POST", "/tenant/oauth/token", "grant_type=PASSWORD&username=%zz", []int{400, 401, 422}, "Content-Type", "application/x-www-form-urlencoded", "Authorization", "")
	return out
}

func cut(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// errorBody says what is wrong with the body of a refusal.
func errorBody(a rig.Answer) error {
	if a.Status < 400 {
		return nil
	}
	if ct := a.Header.Get("Content-Type"); !strings.HasPrefix(ct, errorType) {
		return fmt.Errorf("content type %q", ct)
	}
	var e map[string]any
	if err := json.Unmarshal(a.Body, &e); err != nil {
		return err
	}
	for _, member := range []string{"error", "message", "info"} {
		if s, _ := e[member].(string); s == "" {
			return fmt.Errorf("no %s", member)
		}
	}
	if strings.Contains(string(a.Body), "goroutine ") || strings.Contains(string(a.Body), ".go:") || strings.Contains(string(a.Body), "SQL") {
		return fmt.Errorf("it shows our insides")
	}
	return nil
}

// TestBadRequests sends what nobody should send, to both engines. The answer is the documented one, and never our fault.
func TestBadRequests(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			s := rig.Start(t, engine.options(t))
			admin, device := s.Admin(), s.Register(t, "bad-1").ID
			cases := badRequests(device)
			for _, c := range cases {
				path := c.path
				a, err := send(s, admin, c)
				switch {
				case err != nil:
					t.Errorf("%s: %s %s: %v", c.name, c.method, cut(path), err)
				case !slices.Contains(c.want, a.Status):
					t.Errorf("%s: %s %s: status %d, want %v\n\t%.300s", c.name, c.method, cut(path), a.Status, c.want, a.Body)
				default:
					if err := errorBody(a); err != nil && !bare(a) {
						t.Errorf("%s: %s %s: status %d: %v: %.200s", c.name, c.method, cut(path), a.Status, err, a.Body)
					}
				}
			}
			t.Logf("%d requests", len(cases))
			alive(t, s, device)
		})
	}
}

// bare reports the answers that net/http gives before any handler sees a request.
func bare(a rig.Answer) bool {
	return (a.Status == 400 || a.Status == 431) && strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") && a.Header.Get("X-Content-Type-Options") == ""
}

// send writes a request by itself, because net/http would not send most of these.
func send(s *rig.Server, u rig.User, c bad) (rig.Answer, error) {
	body, _ := c.body.(string)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n", c.method, strings.ReplaceAll(c.path, " ", "%20"), strings.TrimPrefix(s.URL, "http://"), len(body))
	req, _ := http.NewRequest("GET", s.URL, nil)
	req.SetBasicAuth(u.Name, u.Password)
	header := map[string]string{"Authorization": req.Header.Get("Authorization"), "Accept": "application/json", "Content-Type": "application/json"}
	for i := 0; i+1 < len(c.header); i += 2 {
		header[c.header[i]] = c.header[i+1]
	}
	for k, v := range header {
		if v != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", k, v)
		}
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.URL, "http://"), 5*time.Second)
	if err != nil {
		return rig.Answer{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { _, _ = conn.Write(b.Bytes()) }() // the server may answer, and stop reading, before everything is sent
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.method})
	if err != nil {
		return rig.Answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return rig.Answer{Status: res.StatusCode, Header: res.Header, Body: raw}, err
}

// alive fails the test unless the server still works and its log tells of no defect.
func alive(t *testing.T, s *rig.Server, device string) {
	t.Helper()
	id := s.Admin().Create(t, "/event/events", map[string]any{"source": map[string]string{"id": device}, "type": "compat_Alive", "text": "x", "time": "2026-01-01T00:00:00Z"})
	s.Admin().Want(t, 200, "GET", "/event/events/"+id, nil, nil)
	noDefects(t, s)
}

func TestRanges(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	body := "--b\r\nContent-Disposition: form-data; name=\"object\"\r\n\r\n{\"name\":\"r\"}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r\"\r\n\r\n0123456789\r\n--b--\r\n"
	a, err := s.Admin().Do("POST", "/inventory/binaries", body, "Content-Type", "multipart/form-data; boundary=b")
	var made rig.Object
	if err != nil || a.Status != 201 || json.Unmarshal(a.Body, &made) != nil {
		t.Fatalf("%v, status %d: %s", err, a.Status, a.Body)
	}
	for _, c := range []struct {
		header string
		status int
		body   string
	}{
		{"", 200, "0123456789"},
		{"bytes=2-4", 206, "234"},
		{"bytes=7-", 206, "789"},
		{"bytes=-2", 206, "89"},
		{"bytes=0-99999999999999", 206, "0123456789"},
		{"bytes=10-", 416, ""},
		{"bytes=5-1", 416, ""},
		{"bytes=99999999999999999999999-", 416, ""},
		{"bytes=x-y", 416, ""},
		{"lines=1-2", 416, ""},
	} {
		var header []string
		if c.header != "" {
			header = []string{"Range", c.header}
		}
		a, err := s.Admin().Do("GET", "/inventory/binaries/"+made.ID, nil, header...)
		if err != nil {
			t.Errorf("Range %q: %v", c.header, err)
			continue
		}
		ignored := a.Status == 200 && string(a.Body) == "0123456789" // RFC 9110 14.2: a server may ignore a Range header
		if !(a.Status == c.status && (c.status == 416 || string(a.Body) == c.body)) && !(c.status == 416 && ignored) {
			t.Errorf("Range %q: status %d, %q", c.header, a.Status, a.Body)
		}
	}
	noDefects(t, s)
}

func TestWrongCredentials(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	basic := func(user, password string) string {
		req, _ := http.NewRequest("GET", s.URL, nil)
		req.SetBasicAuth(user, password)
		return req.Header.Get("Authorization")
	}
	a, err := s.Admin().Do("POST", "/tenant/oauth/token?tenant_id=main", "grant_type=PASSWORD&username=admin&password="+strings.ReplaceAll(rig.AdminPassword, "!", "%21"), "Content-Type", "application/x-www-form-urlencoded")
	var login struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal(a.Body, &login) != nil || strings.Count(login.Token, ".") != 2 {
		t.Fatalf("token: %v, status %d: %s", err, a.Status, a.Body)
	}
	parts := strings.Split(login.Token, ".")
	const none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
	for _, auth := range []string{"", "Basic", "Basic !!!", "Basic " + strings.Repeat("A", 60_000), basic("main/admin", "wrong"), basic("main/admin", ""), basic("", ""), basic("main/nobody", "x"), basic("nothing/admin", rig.AdminPassword),
		basic("/admin", rig.AdminPassword+"x"), basic("main/", rig.AdminPassword), basic("main/admin\x00", rig.AdminPassword), basic("main/admin' or '1'='1", "x"), basic("main/"+strings.Repeat("x", 5000), "x"), basic("management/devicebootstrap", "wrong"),
		"Bearer", "Bearer x", "Bearer a.b.c", "Bearer " + parts[0] + "." + parts[1] + ".", "Bearer " + none + "." + parts[1] + ".", "Bearer " + none + "." + parts[1] + "." + parts[2], "Bearer " + parts[0] + "." + parts[1] + "x." + parts[2], "Digest x", "\x00"} {
		a, err := send(s, rig.User{}, bad{method: "GET", path: "/inventory/managedObjects", header: []string{"Authorization", auth}})
		if err != nil {
			t.Errorf("%.60q: %v", auth, err)
			continue
		}
		if bare(a) {
			continue // not HTTP
		}
		if a.Status != 401 && a.Status != 429 && a.Status != 400 {
			t.Errorf("%.60q: status %d: %s", auth, a.Status, a.Body)
		}
		if err := errorBody(a); err != nil {
			t.Errorf("%.60q: %v: %s", auth, err, a.Body)
		}
		if a.Status == 401 && a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%.60q: 401 without WWW-Authenticate (RFC 9110 11.6.1)", auth)
		}
	}
	// The devices' bootstrap account may do nothing but ask for credentials.
	boot := rig.User{URL: s.URL, Name: "management/devicebootstrap", Password: rig.BootstrapPassword}
	for _, path := range []string{"/user/management/users", "/tenant/tenants", "/tenant/options", "/audit/auditRecords", "/user/main/users"} {
		if a, err := boot.Do("GET", path, nil); err != nil || a.Status != 403 && a.Status != 404 {
			t.Errorf("bootstrap on %s: %v, status %d: %.200s", path, err, a.Status, a.Body)
		}
	}
	alive(t, s, s.Register(t, "credentials-1").ID)
}
