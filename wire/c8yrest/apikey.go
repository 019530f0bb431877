package c8yrest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/security/access"
)

const keyHeader = "X-API-Key"

func apiRoutes() []Route {
	const keys = "/isobar/apiKeys"
	return []Route{get(keys, listKeys), post(keys, createKey), get(keys+"/{key}", getKey), del(keys+"/{key}", deleteKey), post(keys+"/{key}/rotation", rotateKey), get("/isobar/usage", listUsage)}
}

// apiKey returns the API key that a request carries, empty if it comes with other credentials.
func apiKey(r *http.Request) string {
	h := r.Header.Get("Authorization")
	if h == "" {
		return r.Header.Get(keyHeader)
	}
	scheme, value, _ := strings.Cut(h, " ")
	if value = strings.TrimSpace(value); strings.EqualFold(scheme, "Bearer") && apimgmt.IsKey(value) {
		return value
	}
	return ""
}

// withoutKey are the paths that no API key reaches, whatever its scopes: accounts, sessions, keys, and what gives credentials.
var withoutKey = []string{"/user/", "/isobar/access/", "/isobar/apiKeys", "/isobar/usage", "/tenant/loginOptions", "/tenant/tenants", "/devicecontrol/deviceCredentials",
	"/devicecontrol/newDeviceRequests", "/application/applications/{id}/bootstrapUser", "/application/currentApplication"}

// keyMay refuses a route that is not for API keys, also as a line of SmartREST.
func (c *call) keyMay() error {
	if c.p.Key == "" {
		return nil
	}
	for _, prefix := range withoutKey {
		if strings.HasPrefix(c.route.Path, prefix) {
			return fault.E(fault.Op("c8yrest.Authenticate"), fault.Denied, "Access is denied. This cannot be done with an API key")
		}
	}
	return nil
}

func (c *call) writeKey(o *object, k apimgmt.Key, token string) {
	o.open()
	o.text("id", k.ID)
	o.text("self", c.base()+"/isobar/apiKeys/"+k.ID)
	o.text("name", k.Name)
	o.text("owner", string(k.Owner))
	o.list("scopes")
	for _, s := range k.Scopes {
		o.open()
		o.text("resource", s.Resource)
		o.text("verb", s.Verb)
		o.close()
	}
	o.endList()
	o.list("sources")
	for _, id := range k.Sources {
		o.item(iot.AppendText(nil, id.String()))
	}
	o.endList()
	o.int("requestsPerMinute", k.PerMinute)
	o.int("requestsPerDay", k.PerDay)
	for _, f := range []struct {
		name string
		t    time.Time
	}{{"creationTime", k.Created}, {"expires", k.Expires}, {"rotationTime", k.Rotated}, {"lastUsed", k.LastUsed}} {
		if !f.t.IsZero() {
			o.time(f.name, f.t)
		}
	}
	if token != "" {
		o.text("key", token)
	}
	o.close()
}

func listKeys(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	keys, err := c.s.API.Keys(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(keys)
	return c.collection("", "apiKeys", p, func(o *object) error {
		for _, k := range cut(p, keys) {
			c.writeKey(o, k, "")
		}
		return nil
	})
}

func getKey(c *call) error {
	k, err := c.s.API.Key(c.ctx, c.p, c.r.PathValue("key"))
	if err != nil {
		return err
	}
	return c.answerKey(http.StatusOK, k, "")
}

func (c *call) answerKey(status int, k apimgmt.Key, token string) error {
	var o object
	c.writeKey(&o, k, token)
	return c.json(status, "", o.b)
}

// createKey answers with the key even without Accept: it cannot be read later.
func createKey(c *call) error {
	const op = fault.Op("c8yrest.CreateKey")
	b, err := c.objectBody()
	if err != nil {
		return err
	}
	var x struct {
		Name      string
		Scopes    []access.Right
		Sources   []string
		PerMinute int64  `json:"requestsPerMinute"`
		PerDay    int64  `json:"requestsPerDay"`
		Expires   string `json:"expires"`
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return fault.E(op, fault.Invalid, "an API key needs name and scopes, a list of {resource, verb}; sources is a list of ids, requestsPerMinute and requestsPerDay are whole numbers, expires is a date-time")
	}
	k := apimgmt.Key{Name: x.Name, Scopes: x.Scopes, PerMinute: x.PerMinute, PerDay: x.PerDay}
	for _, s := range x.Sources {
		id, ok := iot.ParseID(s)
		if !ok {
			return fault.E(op, fault.Invalid, fault.Subject(s), "sources must be a list of ids")
		}
		k.Sources = append(k.Sources, id)
	}
	if x.Expires != "" {
		if k.Expires, err = iot.ParseTime(x.Expires); err != nil {
			return fault.E(op, fault.Invalid, "expires must be a date-time such as 2026-01-31T12:00:00.000Z")
		}
	}
	k, token, err := c.s.API.Create(c.ctx, c.p, k)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", c.base()+"/isobar/apiKeys/"+k.ID)
	return c.answerKey(http.StatusCreated, k, token)
}

// rotateKey gives a key a new secret. The body may say for how many seconds the old one goes on.
func rotateKey(c *call) error {
	b, err := c.jsonBody()
	if err != nil {
		return err
	}
	var x struct {
		Grace int64 `json:"graceSeconds"`
	}
	if len(b) > 0 && (json.Unmarshal(b, &x) != nil || x.Grace < 0 || x.Grace > int64(apimgmt.MaxGrace.Seconds())) {
		return fault.Errorf("c8yrest.RotateKey", fault.Invalid, "graceSeconds must be a whole number between 0 and %d", int(apimgmt.MaxGrace.Seconds()))
	}
	k, token, err := c.s.API.Rotate(c.ctx, c.p, c.r.PathValue("key"), time.Duration(x.Grace)*time.Second)
	if err != nil {
		return err
	}
	return c.answerKey(http.StatusOK, k, token)
}

func deleteKey(c *call) error {
	if err := c.s.API.Delete(c.ctx, c.p, c.r.PathValue("key")); err != nil {
		return err
	}
	return c.noContent()
}

func listUsage(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := apimgmt.UsageQuery{From: c.query.Get("dateFrom"), To: c.query.Get("dateTo"), Kind: apimgmt.ConsumerKind(strings.ToUpper(c.query.Get("kind"))), Consumer: c.query.Get("consumer"), Offset: p.offset(), Limit: p.size}
	lines, n, err := c.s.API.Usage(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("", "usage", p, func(o *object) error {
		for _, x := range lines {
			o.open()
			o.text("day", x.Day)
			o.text("kind", string(x.Kind))
			o.text("consumer", x.Consumer)
			o.some("owner", string(x.Owner))
			o.int("requests", x.Requests)
			o.int("errors", x.Errors)
			o.int("bytesIn", x.In)
			o.int("bytesOut", x.Out)
			o.close()
		}
		return nil
	})
}

// meter adds the request to the figures of who made it.
func (c *call) meter() {
	if c.s.API == nil || c.p.Tenant == "" {
		return
	}
	c.s.API.Count(c.p, c.endpoint, c.w.status >= http.StatusBadRequest, max(c.r.ContentLength, int64(len(c.sent)), 0), c.w.bytes)
}
