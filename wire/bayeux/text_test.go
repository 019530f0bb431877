package bayeux_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/bayeux"
)

// lines stands for the templates: one line with the X-Id and the id of the document, none of documents with an odd text.
func lines(_ context.Context, t iot.TenantID, xid string, doc json.RawMessage) ([]string, error) {
	d, err := iot.ParseDoc(doc, iot.MaxDepth)
	if text, _ := d.Text("text"); text == "odd" {
		return nil, nil
	}
	id, _ := d.Text("id")
	return []string{"807,1," + xid + "," + id}, err
}

func textClient(f *fixture, user, path string) *client {
	c := f.client(user)
	c.path = path
	c.head.Set("X-Id", "4711")
	return c
}

// ask sends lines, which are answered with 200 and without chunks.
func (c *client) ask(body string) {
	c.f.t.Helper()
	r, err := http.NewRequest(http.MethodPost, c.f.url+c.path, strings.NewReader(body))
	c.f.must(err)
	r.Header = c.head.Clone()
	a, err := http.DefaultClient.Do(r)
	c.f.must(err)
	a.Body.Close()
	if a.StatusCode == http.StatusOK && (a.ContentLength < 0 || a.Header.Get("Content-Type") != "text/plain;charset=UTF-8") {
		c.f.t.Errorf("length %d, %s", a.ContentLength, a.Header.Get("Content-Type"))
	}
}

// say sends lines and returns those of the answer.
func (c *client) say(body string) string {
	c.f.t.Helper()
	_, b := c.post(body)
	return string(b)
}

func TestAgentsPollWithLines(t *testing.T) {
	for _, path := range []string{"/devicecontrol/notifications", "/notification/operations"} {
		f := setup(t, func(d *bayeux.Deps) { d.Lines = lines })
		agent := f.device("device_d", `{"com_cumulocity_model_Agent":{}}`)
		c := textClient(f, "acme/device_d", path)
		id := c.say("80,true")
		if len(id) < 20 || strings.ContainsAny(id, ",\n") {
			t.Fatalf("handshake: %q", id)
		}
		if got := c.say("81," + id + ",/" + agent.String()); got != "" {
			t.Errorf("subscribe: %q", got)
		}
		f.operation(iot.Created, agent, agent, 900)
		if got := c.say("83," + id); got != "86,1,5400000,0,retry\n88,1\n807,1,4711,900" {
			t.Errorf("connect: %q", got)
		}
		if got := c.say("83," + id + ",0"); got != "86,1,5400000,0,retry\n88,1\n807,1,4711,900" { // the batch did not arrive
			t.Errorf("connect without acknowledgement: %q", got)
		}
		f.operation(iot.Created, agent, agent, 901)
		if got := c.say("83," + id + ",1"); got != "86,1,5400000,0,retry\n88,2\n807,1,4711,901" {
			t.Errorf("the next batch: %q", got)
		}
		f.operation(iot.Created, agent, agent, 902)
		if got := c.say("83," + id); got != "86,1,5400000,0,retry\n88,3\n807,1,4711,902" { // who does not number has everything
			t.Errorf("without numbers: %q", got)
		}
		c.ask("82," + id + ",/" + agent.String())
		if got := c.say("84," + id); got != "" {
			t.Errorf("goodbye: %q", got)
		}
		if got := c.say("83," + id); got != "86,1,0,0,handshake" {
			t.Errorf("after the goodbye: %q", got)
		}
	}
}

func TestRealtimeAsLines(t *testing.T) {
	for _, path := range []string{"/notification/realtime", "/cep/realtime"} {
		f := setup(t, func(d *bayeux.Deps) { d.Lines = lines })
		dev := f.device("device_d", `{}`)
		c := textClient(f, "acme/reader", path)
		id := c.say("80,true")
		c.say("81," + id + ",/events/" + dev.String() + "\n81," + id + ",/alarms/*")
		f.event(acme, iot.Created, dev, 5, "odd") // the templates make nothing of it, so that the poll goes on
		f.event(acme, iot.Created, dev, 6, "even")
		if got := c.say("83," + id); got != "86,1,5400000,0,retry\n88,1\n807,1,4711,6" {
			t.Errorf("%s: %q", path, got)
		}
		if got := c.say("15,other\n83," + id + ",0"); !strings.HasSuffix(got, "88,1\n807,1,4711,6") {
			t.Errorf("%s: repeated as %q", path, got)
		}
	}
}

func TestPollsOfLinesEnd(t *testing.T) {
	f := setup(t, func(d *bayeux.Deps) { d.Lines, d.Hold = lines, 10*time.Millisecond })
	c := textClient(f, "acme/reader", "/notification/realtime")
	id := c.say("80,true")
	if got := c.say("83," + id); got != "86,1,5400000,0,retry" {
		t.Errorf("%q", got)
	}
}

func TestBadLinesOfPolls(t *testing.T) {
	f := setup(t, func(d *bayeux.Deps) { d.Lines = lines })
	c := textClient(f, "acme/nobody", "/notification/realtime")
	id := c.say("80,true")
	for body, want := range map[string]string{
		"81," + id + ",/alarms/*": "50,1,403",
		"81,none,/alarms/*":       "86,1,0,0,handshake",
		"83,none":                 "86,1,0,0,handshake",
		"99,x":                    "43,1",
		"85":                      "43,1",
		"82," + id + ",/alarms/*": "",
		"81," + id:                "50,1,403",
		"8\n\"x":                  "43,1\n42,2,a quoted field is not closed",
	} {
		if got := c.say(body); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
	stranger := textClient(f, "acme/stranger", "/notification/realtime")
	if status, _ := stranger.post("80,true"); status != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", status)
	}
}
