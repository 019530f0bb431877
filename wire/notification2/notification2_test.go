package notification2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/wire/notification2"
)

const password = "Admin-12345"

// stage is a whole platform in this process.
type stage struct {
	t    *testing.T
	conf app.Config
	pf   *app.Platform
	url  string
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, conf: app.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: password, BootstrapPassword: password}}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *stage) start() {
	s.t.Helper()
	pf, err := app.Start(context.Background(), s.conf, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.pf, s.url = pf, "http://"+pf.Addr("http")
}

func (s *stage) stop() {
	http.DefaultClient.CloseIdleConnections()
	if err := s.pf.Stop(); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) do(want int, method, path, body string) map[string]any {
	s.t.Helper()
	return s.as("admin", want, method, path, body)
}

func (s *stage) as(user string, want int, method, path, body string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(user, password)
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != want {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, want, b)
	}
	var out map[string]any
	_ = json.Unmarshal(b, &out)
	return out
}

func (s *stage) device(name string) string {
	s.t.Helper()
	return s.do(201, "POST", "/inventory/managedObjects", `{"name":"`+name+`","type":"t","c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`)["id"].(string)
}

func (s *stage) subscribe(body string) {
	s.t.Helper()
	s.do(201, "POST", "/notification2/subscriptions", body)
}

func (s *stage) token(rest string) string {
	s.t.Helper()
	return s.do(200, "POST", "/notification2/token", `{"subscription":"topic","subscriber":"me"`+rest+`}`)["token"].(string)
}

func (s *stage) event(source, typ string) {
	s.t.Helper()
	s.do(201, "POST", "/event/events", `{"source":{"id":"`+source+`"},"type":"`+typ+`","text":"x","time":"2026-01-01T00:00:00Z","a":1,"b":2}`)
}

// client is one connection of a consumer.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (s *stage) dial(token, more string) *client {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/notification2/consumer/?token="+token+more, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{s.t, conn}
}

type message struct{ ack, about, action, body string }

func (c *client) next() message {
	c.t.Helper()
	m, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func (c *client) read() (message, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 15*time.Second)
	defer cancel()
	kind, b, err := c.conn.Read(ctx)
	if err != nil {
		return message{}, err
	}
	head, body, ok := strings.Cut(string(b), "\n\n")
	line := strings.Split(head, "\n")
	if kind != websocket.MessageText || !ok || len(line) != 3 {
		return message{}, fmt.Errorf("not a message: %q", b)
	}
	return message{line[0], line[1], line[2], body}, nil
}

func (c *client) ack(m message) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(m.ack)); err != nil {
		c.t.Fatal(err)
	}
}

// sure waits until what was acknowledged is stored. The pong comes only while somebody reads; what is read meanwhile is returned.
func (c *client) sure() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 15*time.Second)
	defer cancel()
	reading := c.conn.CloseRead(ctx)
	if err := c.conn.Ping(reading); err != nil {
		c.t.Fatal(err)
	}
	_ = c.conn.CloseNow()
}

func (m message) want(t *testing.T, about, action string, parts ...string) message {
	t.Helper()
	if m.about != about || m.action != action {
		t.Fatalf("got %s %s, want %s %s: %s", m.about, m.action, about, action, m.body)
	}
	for _, p := range parts {
		if not, ok := strings.CutPrefix(p, "!"); ok == strings.Contains(m.body, not) {
			t.Errorf("body of %s: %q: %s", about, p, m.body)
		}
	}
	if !json.Valid([]byte(m.body)) {
		t.Errorf("body of %s is no JSON: %s", about, m.body)
	}
	return m
}

func TestAllThatHappensToAnObject(t *testing.T) {
	s := newStage(t)
	dev, child := s.device("dev"), s.device("child")
	s.do(201, "POST", "/inventory/managedObjects/"+dev+"/childDevices", `{"managedObject":{"id":"`+child+`"}}`)
	s.subscribe(`{"context":"mo","source":{"id":"` + dev + `"},"subscription":"topic","subscriptionFilter":{"apis":["alarmsWithChildren","events","measurements","managedobjects","operations"]}}`)
	c := s.dial(s.token(""), "")
	s.event(dev, "e")
	s.event(child, "e") // nobody asked for events of children
	c.next().want(t, "/main/events/"+dev, "CREATE", `"type":"e"`, `"name":"dev"`, `"self":"http://`)
	s.do(201, "POST", "/alarm/alarms", `{"source":{"id":"`+child+`"},"type":"al","text":"x","severity":"MAJOR","status":"ACTIVE","time":"2026-01-01T00:00:00Z"}`)
	c.next().want(t, "/main/alarmsWithChildren/"+child, "CREATE", `"severity":"MAJOR"`)
	m := s.do(201, "POST", "/measurement/measurements", `{"source":{"id":"`+dev+`"},"type":"m","time":"2026-01-01T00:00:00Z","f":{"s":{"value":1.5,"unit":"C"}}}`)
	c.next().want(t, "/main/measurements/"+dev, "CREATE", `"id":"`+m["id"].(string)+`"`, `"value":1.5`)
	op := s.do(201, "POST", "/devicecontrol/operations", `{"deviceId":"`+dev+`","c8y_Restart":{}}`)["id"].(string)
	c.next().want(t, "/main/operations/"+dev, "CREATE", `"id":"`+op+`"`, `"status":"PENDING"`)
	s.do(200, "PUT", "/devicecontrol/operations/"+op, `{"status":"EXECUTING"}`)
	c.next().want(t, "/main/operations/"+dev, "UPDATE", `"status":"EXECUTING"`)
	s.do(200, "PUT", "/inventory/managedObjects/"+dev, `{"color":"red"}`)
	c.next().want(t, "/main/managedobjects/"+dev, "UPDATE", `"color":"red"`)
	s.do(204, "DELETE", "/inventory/managedObjects/"+dev, "")
	c.next().want(t, "/main/managedobjects/"+dev, "DELETE", `"id":"`+dev+`"`)
	eventually(t, "the subscription of the object is gone", func() bool {
		return len(s.do(200, "GET", "/notification2/subscriptions?source="+dev, "")["subscriptions"].([]any)) == 0
	})
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestTheTenantTypesAndFragments(t *testing.T) {
	s := newStage(t)
	s.subscribe(`{"context":"tenant","subscription":"topic","subscriptionFilter":{"apis":["events","managedobjects"],"typeFilter":"'t' or 'yes'"},"fragmentsToCopy":["a"]}`)
	c := s.dial(s.token(""), "")
	dev := s.device("dev")
	c.next().want(t, "/main/managedobjects/"+dev, "CREATE", `"name":"dev"`, `!c8y_IsDevice`)
	s.do(200, "PUT", "/inventory/managedObjects/"+dev, `{"color":"red"}`) // not told to the tenant
	s.event(dev, "no")
	s.event(dev, "yes")
	c.next().want(t, "/main/events/"+dev, "CREATE", `"type":"yes"`, `"a":1`, `!"b":2`, `"text":"x"`)
}

func TestWhatIsNotAcknowledgedComesAgainAndNothingElse(t *testing.T) {
	s := newStage(t)
	dev := s.device("dev")
	s.subscribe(`{"context":"mo","source":{"id":"` + dev + `"},"subscription":"topic","subscriptionFilter":{"apis":["events","measurements"]}}`)
	token := s.token("")
	s.event(dev, "before the consumer was there")
	c := s.dial(token, "")
	for i := range 5 {
		s.event(dev, fmt.Sprint("e", i))
	}
	for i := range 5 {
		if m := c.next().want(t, "/main/events/"+dev, "CREATE", fmt.Sprintf(`"type":"e%d"`, i)); i != 1 && i != 4 {
			c.ack(m)
		}
	}
	c.sure()
	s.event(dev, "e5") // while nobody is connected
	s.do(201, "POST", "/measurement/measurements", `{"source":{"id":"`+dev+`"},"type":"m","time":"2026-01-01T00:00:00Z","f":{"s":{"value":1.5}}}`)
	s.stop()
	s.start()
	s.event(dev, "e6")
	c = s.dial(token, "")
	for _, typ := range []string{"e1", "e4", "e5", "m", "e6"} {
		if m := c.next(); !strings.Contains(m.body, `"type":"`+typ+`"`) {
			t.Fatalf("got %+v, want %s", m, typ)
		}
	}
}

func TestConnectionsOfOneConsumer(t *testing.T) {
	s := newStage(t)
	a, b := s.device("a"), s.device("b")
	for _, id := range []string{a, b} {
		s.subscribe(`{"context":"mo","source":{"id":"` + id + `"},"subscription":"topic","subscriptionFilter":{"apis":["events","measurements"]}}`)
	}
	first := s.dial(s.token(""), "")
	second := s.dial(s.token(""), "")
	if _, err := second.read(); websocket.CloseStatus(err) != 4409 {
		t.Errorf("a second connection of a consumer that is not shared: %v", err)
	}
	s.event(a, "x")
	first.ack(first.next())
	shared := s.do(200, "POST", "/notification2/token", `{"subscription":"topic","subscriber":"team","shared":true}`)["token"].(string)
	one, two := s.dial(shared, "&consumer=1"), s.dial(shared, "&consumer=2")
	const n = 20
	for i := range n {
		s.event(a, fmt.Sprint("a", i))
		s.event(b, fmt.Sprint("b", i))
	}
	got := make(chan string, 4*n)
	for _, c := range []*client{one, two} {
		go func() {
			for {
				m, err := c.read()
				if err != nil {
					return
				}
				if c.conn.Write(context.Background(), websocket.MessageText, []byte(m.ack)) != nil {
					return
				}
				got <- m.about + " " + m.body
			}
		}()
	}
	next := map[string]int{}
	for range 2 * n {
		select {
		case m := <-got:
			for name, id := range map[string]string{"a": a, "b": b} {
				if strings.HasPrefix(m, "/main/events/"+id+" ") {
					if !strings.Contains(m, fmt.Sprintf(`"type":"%s%d"`, name, next[name])) {
						t.Fatalf("%s%d was expected: %s", name, next[name], m)
					}
					next[name]++
				}
			}
		case <-time.After(15 * time.Second):
			t.Fatalf("some are missing: %v", next)
		}
	}
	if next["a"] != n || next["b"] != n {
		t.Errorf("got %v", next)
	}
}

func TestAConnectionThatEndsGivesBackWhatItHas(t *testing.T) {
	s := newStage(t)
	dev := s.device("a")
	s.subscribe(`{"context":"mo","source":{"id":"` + dev + `"},"subscription":"topic","subscriptionFilter":{"apis":["events","measurements"]}}`)
	token := s.token(`,"shared":true`)
	one := s.dial(token, "&consumer=1")
	s.event(dev, "x")
	one.next()
	two := s.dial(token, "&consumer=2")
	_ = one.conn.CloseNow()
	two.next().want(t, "/main/events/"+dev, "CREATE", `"type":"x"`)
}

func TestUnsubscribe(t *testing.T) {
	s := newStage(t)
	dev := s.device("a")
	s.subscribe(`{"context":"mo","source":{"id":"` + dev + `"},"subscription":"topic","subscriptionFilter":{"apis":["events","measurements"]}}`)
	token := s.token("")
	c := s.dial(token, "")
	s.event(dev, "x")
	c.next()
	if got := s.do(200, "POST", "/notification2/unsubscribe?token="+token, "")["result"]; got != "DONE" {
		t.Errorf("result %v", got)
	}
	if _, err := c.read(); err == nil {
		t.Error("the connection goes on")
	}
	s.event(dev, "lost")
	c = s.dial(token, "")
	s.event(dev, "y")
	c.next().want(t, "/main/events/"+dev, "CREATE", `"type":"y"`)
	if err := c.conn.Write(t.Context(), websocket.MessageText, []byte("unsubscribe_subscriber")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("after unsubscribe_subscriber: %v", err)
	}
	c = s.dial(token, "")
	s.event(dev, "z")
	c.next().want(t, "/main/events/"+dev, "CREATE", `"type":"z"`)
}

func TestTopicsInMemory(t *testing.T) {
	s := newStage(t)
	dev := s.device("a")
	s.subscribe(`{"context":"mo","source":{"id":"` + dev + `"},"subscription":"topic","nonPersistent":true,"subscriptionFilter":{"apis":["events","measurements"]}}`)
	token := s.token(`,"nonPersistent":true`)
	c := s.dial(token, "")
	s.event(dev, "x")
	m := c.next().want(t, "/main/events/"+dev, "CREATE", `"type":"x"`)
	c.ack(m)
	s.do(201, "POST", "/measurement/measurements", `{"source":{"id":"`+dev+`"},"type":"m","time":"2026-01-01T00:00:00Z","f":{"s":{"value":1.5}}}`)
	c.next().want(t, "/main/measurements/"+dev, "CREATE", `"type":"m"`)
	_ = c.conn.CloseNow()
	eventually(t, "a new connection is let in and hears only of what is new", func() bool {
		conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/notification2/consumer?token="+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		s.event(dev, "y")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, b, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == 4409 {
			return false
		}
		if !bytes.Contains(b, []byte(`"type":"y"`)) {
			t.Fatalf("got %q, %v", b, err)
		}
		return true
	})
}

func TestTokensThatAreNone(t *testing.T) {
	s := newStage(t)
	good := s.token("")
	for _, token := range []string{"", "x", good[:len(good)-4] + "AAAA", "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + "."} {
		_, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/notification2/consumer/?token="+token, nil)
		if err == nil || res == nil || res.StatusCode != 401 {
			t.Errorf("token %.40q: %v, %v", token, res, err)
		}
	}
	r, _ := http.NewRequest("GET", s.url+"/tenant/currentTenant", nil)
	r.Header.Set("Authorization", "Bearer "+good)
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != 401 {
		t.Errorf("a token of a consumer is a login: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	s.as("management/admin", 404, "GET", "/notification2/token?token="+good, "")
}

// TestRefusalsAreErrorsOfTheAPI: clients read the body as JSON.
func TestRefusalsAreErrorsOfTheAPI(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		status int
		name   string
		header http.Header
	}{{426, "notification/upgradeRequired", nil}, {401, "security/Unauthorized", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}}} {
		r, err := http.NewRequest("GET", s.url+"/notification2/consumer/?token=x", nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			r.Header[k] = v
		}
		r.Header.Set("X-Request-Id", "abc123")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Error, Message, Info string }
		err = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || body.Error != c.name || body.Message == "" || !strings.HasSuffix(body.Info, "#request=abc123") || !strings.Contains(res.Header.Get("Content-Type"), "error+json") {
			t.Errorf("%d %v: %+v, %v", res.StatusCode, res.Header, body, err)
		}
	}
}

// TestASuspendedTenant: its connections end, and its tokens are good for nothing until it is active again.
func TestASuspendedTenant(t *testing.T) {
	s := newStage(t)
	s.as("management/admin", 201, "POST", "/tenant/tenants", `{"id":"acme","company":"Acme","domain":"acme","adminName":"admin","adminEmail":"a@example.com","adminPass":"`+password+`"}`)
	token := s.as("acme/admin", 200, "POST", "/notification2/token", `{"subscription":"topic","subscriber":"me"}`)["token"].(string)
	c := s.dial(token, "")
	s.as("management/admin", 200, "PUT", "/tenant/tenants/acme", `{"status":"SUSPENDED"}`)
	if _, err := c.read(); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the connection: %v", err)
	}
	if _, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/notification2/consumer/?token="+token, nil); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("a new connection: %v, %v", res, err)
	}
	s.do(401, "POST", "/notification2/unsubscribe?token="+token, "")
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte("AAAAAAAAAAE="))
	f.Add([]byte(" AAAAAAAAAAE=\n"))
	f.Add([]byte("unsubscribe_subscriber"))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, ok := notification2.ParseAck(text)
		if !ok {
			return
		}
		if again := notification2.AppendAck(nil, id); !bytes.Equal(again, bytes.TrimSpace(text)) {
			t.Errorf("%q means %d, which is written %q", text, id, again)
		}
	})
}
