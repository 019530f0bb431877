package bayeux_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/wire/bayeux"
)

func TestHandshake(t *testing.T) {
	f := setup(t)
	for name, c := range map[string]struct {
		head map[string]string
		ext  msg
		ok   bool
	}{
		"basic authentication":              {head: map[string]string{"Authorization": "Basic " + basic("acme/reader")}, ok: true},
		"no credentials":                    {},
		"an unknown user":                   {head: map[string]string{"Authorization": "Basic " + basic("acme/stranger")}},
		"a bearer token":                    {head: map[string]string{"Authorization": "Bearer j.acme/reader.t"}, ok: true},
		"basic credentials in ext":          {ext: msg{"token": basic("acme/reader")}, ok: true},
		"wrong credentials in ext":          {ext: msg{"token": basic("acme/stranger")}},
		"a JWT in ext":                      {ext: msg{"token": "j.acme/reader.t"}, ok: true},
		"the cookie and the header":         {head: map[string]string{"Cookie": "authorization=j.acme/reader.t", "X-XSRF-TOKEN": "xsrf"}, ok: true},
		"the cookie and the token in ext":   {head: map[string]string{"Cookie": "authorization=j.acme/reader.t"}, ext: msg{"xsrfToken": "xsrf"}, ok: true},
		"the cookie and a wrong token":      {head: map[string]string{"Cookie": "authorization=j.acme/reader.t"}, ext: msg{"xsrfToken": "forged"}},
		"the cookie alone":                  {head: map[string]string{"Cookie": "authorization=j.acme/reader.t"}},
		"the cookie behind a proxy":         {head: map[string]string{"Cookie": "authorization=j.acme/reader.t", "X-XSRF-TOKEN": "xsrf", "Origin": "https://iot.example"}, ok: true},
		"a token in ext, from another page": {head: map[string]string{"Origin": "https://dashboard.example"}, ext: msg{"token": basic("acme/reader")}, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			cl := f.client("")
			for k, v := range c.head {
				cl.head.Set(k, v)
			}
			r := cl.handshake(c.ext)
			id := r.text("clientId")
			delete(r, "clientId")
			if !c.ok {
				want(t, r, `{"id":"1","channel":"/meta/handshake","successful":false,"error":"403::Handshake denied","advice":{"reconnect":"handshake","interval":10000}}`)
				return
			}
			want(t, r, `{"id":"1","channel":"/meta/handshake","successful":true,"version":"1.0","minimumVersion":"1.0",
				"supportedConnectionTypes":["long-polling","smartrest-long-polling","websocket"],"advice":{"reconnect":"retry","interval":0,"timeout":5400000}}`)
			if len(id) < 20 {
				t.Errorf("the client id %q can be guessed", id)
			}
			if _, r := cl.connect(0); !r.ok() {
				t.Errorf("connect: %v", r)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	f := setup(t)
	for name, c := range map[string]struct {
		path, body string
		status     int
		has        string
	}{
		"a single message":        {"/notification/realtime", `{"id":7,"channel":"/meta/handshake"}`, 200, `"id":7,`},
		"a suffix":                {"/notification/realtime/handshake", `[{"channel":"/meta/handshake"}]`, 200, `"successful":true`},
		"the old path":            {"/cep/realtime", `[{"channel":"/meta/handshake"}]`, 200, `"successful":true`},
		"the path of agents":      {"/notification/operations", `[{"channel":"/meta/handshake"}]`, 200, `"successful":true`},
		"another path":            {"/notification/realtimes", `[]`, 404, ""},
		"no JSON":                 {"/notification/realtime", `hello`, 400, ""},
		"no messages":             {"/notification/realtime", `[]`, 200, `[]`},
		"too large":               {"/notification/realtime", strings.Repeat(" ", 300_000), 413, ""},
		"an unknown client":       {"/notification/realtime", `[{"id":"9","channel":"/meta/connect","clientId":"x"}]`, 200, `"error":"402::Unknown client","advice":{"reconnect":"handshake","interval":0}`},
		"an unknown meta channel": {"/notification/realtime", `[{"channel":"/meta/dance","clientId":"x"}]`, 200, `"successful":false`},
	} {
		t.Run(name, func(t *testing.T) {
			cl := f.client("acme/reader")
			cl.path = c.path
			status, b := cl.post(c.body)
			if status != c.status || !strings.Contains(string(b), c.has) {
				t.Errorf("got %d %s", status, b)
			}
		})
	}
}

func TestWrongCredentialsAreAlsoAnHTTPError(t *testing.T) {
	f := setup(t)
	c := f.client("acme/stranger")
	if status, _ := c.post(`[{"channel":"/meta/handshake"}]`); status != http.StatusUnauthorized {
		t.Errorf("got %d", status)
	}
}

func TestUnknownClient(t *testing.T) {
	f := setup(t)
	unknown := func(why string, c *client) {
		t.Helper()
		if _, r := c.connect(0); r.text("error") != "402::Unknown client" {
			t.Errorf("%s: %v", why, r)
		}
	}
	mine := f.open("acme/reader")

	theirs := f.client("acme/nobody")
	theirs.id = mine.id
	unknown("the session of another user", theirs)
	namesake := f.client("other/reader")
	namesake.id = mine.id
	unknown("the session of the same name in another tenant", namesake)
	elsewhere := f.client("acme/reader")
	elsewhere.id, elsewhere.path = mine.id, "/notification/operations"
	unknown("the session of another endpoint", elsewhere)
	if _, r := mine.connect(0); !r.ok() {
		t.Fatalf("the session itself: %v", r)
	}

	f.clock.Advance(bayeux.MaxIdle + time.Second)
	unknown("after a long silence", mine)

	mine = f.open("acme/reader")
	if r := mine.send(msg{"id": "4", "channel": "/meta/disconnect", "clientId": mine.id})[0]; !r.ok() {
		t.Errorf("disconnect: %v", r)
	}
	unknown("after disconnect", mine)

	mine = f.open("acme/reader")
	f.users.set("acme/reader", "ROLE_ALARM_READ")
	unknown("after the permissions changed", mine)
	if n := f.counter("isobar_realtime_sessions"); n != 0 {
		t.Errorf("%v sessions are left", n)
	}
}

func TestTheOldestSessionOfAUserGivesWay(t *testing.T) {
	f := setup(t)
	sessions := make([]*client, bayeux.MaxPerUser+1)
	for i := range sessions {
		sessions[i] = f.open("acme/reader")
	}
	for i, c := range sessions {
		if _, r := c.connect(0); r.ok() != (i > 0) {
			t.Errorf("session %d: %v", i, r)
		}
	}
}

func TestConnectIsHeldAsTheClientWants(t *testing.T) {
	f := setup(t, func(d *bayeux.Deps) { d.Heartbeat = time.Millisecond })
	c := f.open("acme/reader", "/events/*")
	for _, timeout := range []any{0, 30} {
		data, r := c.connect(timeout)
		want(t, r, `{"id":"3","channel":"/meta/connect","clientId":"`+c.id+`","successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":5400000}}`)
		if len(data) != 0 {
			t.Errorf("got %v", data)
		}
	}
	_, b := c.post(`[{"channel":"/meta/connect","clientId":"` + c.id + `","advice":{"timeout":200}}]`)
	if !strings.HasPrefix(string(b), "  ") {
		t.Errorf("no sign of life in %q", b)
	}
}

func TestAConnectAmongOtherMessagesDoesNotHoldThemBack(t *testing.T) {
	f := setup(t)
	c := f.open("acme/reader")
	ms := c.send(msg{"channel": "/meta/subscribe", "clientId": c.id, "subscription": []string{"/events/*", "/alarms/*"}}, msg{"channel": "/meta/connect", "clientId": c.id})
	if len(ms) != 2 || !ms[0].ok() || !ms[1].ok() {
		t.Errorf("got %v", ms)
	}
}

func TestANewConnectTakesOver(t *testing.T) {
	f := setup(t)
	c := f.open("acme/reader", "/events/*")
	type answer struct {
		data []msg
		r    msg
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			data, r := c.connect(nil)
			answers <- answer{data, r}
		}()
	}
	if a := <-answers; len(a.data) != 0 || !a.r.ok() {
		t.Errorf("the one that gave way: %v", a)
	}
	f.event(acme, "CREATE", 1, 2, "x")
	if a := <-answers; len(a.data) != 1 || !a.r.ok() {
		t.Errorf("the one that stayed: %v", a)
	}
}

func TestCloseEndsPolls(t *testing.T) {
	f := setup(t)
	c := f.open("acme/reader", "/events/*")
	ended := make(chan msg)
	go func() {
		_, r := c.connect(nil)
		ended <- r
	}()
	f.event(acme, "CREATE", 1, 2, "x")
	<-ended
	go func() {
		_, b := c.post(`[{"channel":"/meta/connect","clientId":"` + c.id + `"}]`)
		ended <- msg{"body": string(b)}
	}()
	f.server.Close()
	if b := (<-ended).text("body"); !strings.Contains(b, "402::Unknown client") && !strings.Contains(b, "closing") {
		t.Errorf("got %s", b)
	}
}

// TestRefusalsAreErrorsOfTheAPI: what is no Bayeux at all is answered as everywhere else, with the id of the request.
func TestRefusalsAreErrorsOfTheAPI(t *testing.T) {
	f := setup(t)
	for _, c := range []struct {
		method, body, name string
		status             int
	}{
		{"DELETE", "", "notification/Method Not Allowed", 405},
		{"POST", "{", "notification/Bad Request", 400},
		{"POST", strings.Repeat(" ", 256<<10+1), "notification/Payload Too Large", 413},
	} {
		r, err := http.NewRequest(c.method, f.url+"/notification/realtime", strings.NewReader(c.body))
		f.must(err)
		r.Header.Set("X-Request-Id", "abc123")
		answer, err := http.DefaultClient.Do(r)
		f.must(err)
		var got struct{ Error, Message, Info string }
		err = json.NewDecoder(answer.Body).Decode(&got)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.status || got.Error != c.name || got.Message == "" || !strings.HasSuffix(got.Info, "#request=abc123") {
			t.Errorf("%s: %d %+v, %v", c.method, answer.StatusCode, got, err)
		}
	}
}
