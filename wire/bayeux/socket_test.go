package bayeux_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/wire/bayeux"
)

// socket is a WebSocket client.
type socket struct {
	f    *fixture
	conn *websocket.Conn
	id   string
	got  []msg
}

func (f *fixture) dial(path string, head http.Header) *socket {
	f.t.Helper()
	conn, _, err := websocket.Dial(f.t.Context(), strings.Replace(f.url, "http", "ws", 1)+path, &websocket.DialOptions{HTTPHeader: head})
	f.must(err)
	conn.SetReadLimit(-1)
	f.t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{f: f, conn: conn}
}

func (s *socket) send(ms ...msg) {
	s.f.t.Helper()
	b, err := json.Marshal(ms)
	s.f.must(err)
	s.f.must(s.conn.Write(s.f.t.Context(), websocket.MessageText, b))
}

func (s *socket) read() (msg, error) {
	for len(s.got) == 0 {
		ctx, cancel := context.WithTimeout(s.f.t.Context(), patience)
		_, b, err := s.conn.Read(ctx)
		cancel()
		if err != nil {
			return nil, err
		}
		s.f.must(json.Unmarshal(b, &s.got))
	}
	m := s.got[0]
	s.got = s.got[1:]
	return m, nil
}

func (s *socket) next() msg {
	s.f.t.Helper()
	m, err := s.read()
	s.f.must(err)
	return m
}

func (s *socket) call(m msg) msg {
	s.f.t.Helper()
	s.send(m)
	return s.next()
}

// open shakes hands with credentials in the message and subscribes.
func (f *fixture) openSocket(path, user string, channels ...string) *socket {
	f.t.Helper()
	s := f.dial(path, nil)
	r := s.call(msg{"id": "1", "channel": "/meta/handshake", "ext": msg{"com.cumulocity.authn": msg{"token": basic(user)}}})
	if s.id = r.text("clientId"); s.id == "" {
		f.t.Fatalf("handshake: %v", r)
	}
	for _, c := range channels {
		if r := s.call(msg{"id": "2", "channel": "/meta/subscribe", "clientId": s.id, "subscription": c}); !r.ok() {
			f.t.Fatalf("subscribe: %v", r)
		}
	}
	return s
}

func (s *socket) connect(timeout any) {
	s.f.t.Helper()
	m := msg{"id": "c", "channel": "/meta/connect", "clientId": s.id, "connectionType": "websocket"}
	if timeout != nil {
		m["advice"] = msg{"timeout": timeout}
	}
	s.send(m)
}

func TestSocket(t *testing.T) {
	f := setup(t, func(d *bayeux.Deps) { d.Heartbeat = 5 * time.Millisecond })
	s := f.openSocket("/cep/realtime", "acme/reader", "/events/*")
	s.connect(0)
	if r := s.next(); !r.ok() || r.text("id") != "c" {
		t.Errorf("first connect: %v", r)
	}
	s.connect(nil) // held: data does not wait for it
	const n = 500
	for i := range n {
		f.event(acme, iot.Created, 1, iot.ID(i+1), "x")
	}
	for i := range n {
		m := s.next()
		if _, data := m.data(); m.text("channel") != "/events/1" || data.(map[string]any)["id"] != fmt.Sprint(i+1) {
			t.Fatalf("message %d: %v", i+1, m)
		}
	}
	s.connect(1) // the held one is answered, and soon this one
	if a, b := s.next(), s.next(); !a.ok() || !b.ok() {
		t.Errorf("connects: %v %v", a, b)
	}

	again := f.dial("/notification/realtime/connect", nil) // the client comes back on another connection
	again.id = s.id
	again.connect(0)
	if r := again.next(); !r.ok() {
		t.Errorf("connect on another connection: %v", r)
	}
	f.event(acme, iot.Created, 2, 9, "y")
	if _, data := again.next().data(); data.(map[string]any)["id"] != "9" {
		t.Errorf("got %v", data)
	}
	again.connect(nil)
	again.send(msg{"id": "d", "channel": "/meta/disconnect", "clientId": s.id})
	a, b := again.next(), again.next()
	if !a.ok() || !b.ok() || a.text("id") == b.text("id") {
		t.Errorf("disconnect: %v %v", a, b)
	}
}

func TestSocketAuthentication(t *testing.T) {
	f := setup(t)
	cookie, xsrf := http.Header{"Cookie": {"authorization=j.acme/reader.t"}}, msg{"xsrfToken": "xsrf"}
	foreign := http.Header{"Cookie": cookie["Cookie"], "Origin": {"https://evil.example"}}
	for name, c := range map[string]struct {
		head http.Header
		ext  msg
		ok   bool
	}{
		"nothing":                           {},
		"a header":                          {head: http.Header{"Authorization": {"Basic " + basic("acme/reader")}}, ok: true},
		"the cookie alone":                  {head: cookie},
		"the cookie and its token":          {head: cookie, ext: xsrf, ok: true},
		"the cookie, from a foreign page":   {head: foreign, ext: xsrf},
		"a token, from a foreign page":      {head: foreign, ext: msg{"token": "j.acme/reader.t"}, ok: true},
		"the cookie, from the page's proxy": {head: http.Header{"Cookie": cookie["Cookie"], "Origin": {"https://iot.example"}, "X-Forwarded-Host": {"iot.example"}}, ext: xsrf, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.dial("/notification/realtime", c.head)
			r := s.call(msg{"channel": "/meta/handshake", "ext": msg{"com.cumulocity.authn": c.ext}})
			if r.ok() != c.ok || (!c.ok && r.text("error") != "403::Handshake denied") {
				t.Errorf("got %v", r)
			}
			if r := s.call(msg{"channel": "/meta/subscribe", "clientId": "guess", "subscription": "/events/*"}); r.text("error") != "402::Unknown client" {
				t.Errorf("without a session: %v", r)
			}
		})
	}
}

func TestASocketThatSendsNonsenseIsClosed(t *testing.T) {
	f := setup(t)
	s := f.dial("/notification/realtime", nil)
	f.must(s.conn.Write(t.Context(), websocket.MessageText, []byte(" ")))
	f.must(s.conn.Write(t.Context(), websocket.MessageText, []byte("80")))
	if _, err := s.read(); websocket.CloseStatus(err) != websocket.StatusInvalidFramePayloadData {
		t.Errorf("got %v", err)
	}
}

func TestLinksUseTheHostOfTheClient(t *testing.T) {
	f := setup(t)
	s := f.dial("/notification/realtime", http.Header{"X-Forwarded-Host": {"iot.example"}, "X-Forwarded-Proto": {"https"}})
	direct := f.open("acme/reader", "/events/*")
	s.id = s.call(msg{"channel": "/meta/handshake", "ext": msg{"com.cumulocity.authn": msg{"token": basic("acme/reader")}}}).text("clientId")
	s.call(msg{"channel": "/meta/subscribe", "clientId": s.id, "subscription": "/events/*"})
	s.connect(nil)
	f.event(acme, iot.Created, 1, 7, "x")
	for base, m := range map[string]msg{"https://iot.example": s.next(), f.url: direct.next(1)[0]} {
		if _, data := m.data(); data.(map[string]any)["self"] != base+"/event/events/7" {
			t.Errorf("got %v", data)
		}
	}
}

func TestChangedPermissionsEndASession(t *testing.T) {
	f := setup(t)
	s := f.openSocket("/notification/realtime", "acme/reader", "/events/*")
	s.connect(nil)
	f.event(acme, iot.Created, 1, 1, "x")
	s.next()
	f.users.set("acme/reader")
	f.bus.Publish(bus.Subject(acme, "access"), nil)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // the fact arrives when it arrives
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				f.server.Sweep()
			}
		}
	}()
	if r := s.next(); r.text("error") != "402::Unknown client" || r.text("id") != "c" {
		t.Errorf("got %v", r)
	}
	close(stop)
	<-stopped
}

func TestCloseEndsSockets(t *testing.T) {
	f := setup(t)
	s := f.openSocket("/notification/realtime", "acme/reader", "/events/*")
	s.connect(nil)
	f.event(acme, iot.Created, 1, 1, "x")
	s.next()
	f.server.Close()
	for {
		if _, err := s.read(); err != nil {
			return
		}
	}
}

// told collects what the server says of agents.
type told chan string

func (c told) PushConnected(t iot.TenantID, id iot.ID)    { c <- fmt.Sprint("+", t, "/", id) }
func (c told) PushDisconnected(t iot.TenantID, id iot.ID) { c <- fmt.Sprint("-", t, "/", id) }

func TestAgents(t *testing.T) {
	presence := make(told, 100)
	f := setup(t, func(d *bayeux.Deps) { d.Presence = presence })
	is := func(want string) {
		t.Helper()
		select {
		case got := <-presence:
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("nothing was told, want %s", want)
		}
	}
	agent, foreign := f.device("device_d", `{"c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`), f.device("reader", `{}`)
	c := f.client("acme/device_d")
	c.path = "/notification/operations"
	c.open("/" + agent.String())
	for _, name := range []string{"/" + foreign.String(), "/999999"} {
		if r := c.subscribe(name); r.ok() {
			t.Errorf("%s: %v", name, r)
		}
	}
	f.operation(iot.Created, foreign, foreign, 1)
	f.operation(iot.Created, agent, agent, 2)
	f.operation(iot.Updated, agent, agent, 2)
	f.operation(iot.Created, agent, foreign, 3) // of a child
	for i, m := range c.next(2) {
		id := fmt.Sprint(i + 2)
		op, _ := m["data"].(map[string]any)
		if m.text("channel") != "/"+agent.String() || op["id"] != id || op["agentId"] != agent.String() || op["status"] != "PENDING" {
			t.Errorf("got %v", m)
		}
	}
	push := fmt.Sprint("acme/", agent)
	is("+" + push)

	second := f.openSocket("/notification/operations", "acme/device_d", "/"+agent.String())
	second.connect(0)
	second.next()
	c.send(msg{"channel": "/meta/disconnect", "clientId": c.id})
	second.send(msg{"channel": "/meta/unsubscribe", "clientId": second.id, "subscription": "/" + agent.String()})
	is("-" + push)

	c.open("/" + agent.String())
	c.connect(0)
	is("+" + push)
	f.clock.Advance(bayeux.PresenceGrace + time.Second)
	f.server.Sweep()
	is("-" + push)
	c.connect(0)
	is("+" + push)
	f.server.Close()
	is("-" + push)
}
