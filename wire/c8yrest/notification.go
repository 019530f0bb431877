package c8yrest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/exchange"
)

func notificationRoutes() []Route {
	const subs, token = "/notification2/subscriptions", "/notification2/token"
	return []Route{
		get("/notification2", notificationRoot), get(subs, listSubscriptions), post(subs, createSubscription), del(subs, deleteSubscriptions),
		get(subs+"/{id}", getSubscription), del(subs+"/{id}", deleteSubscription),
		post(token, createNotificationToken), get(token, getNotificationToken),
		public(post("/notification2/unsubscribe", unsubscribe)), // the token is the credential
	}
}

// Base is the scheme and host under which a client reached us, also behind a proxy.
func Base(r *http.Request) string { return base(r) }

func notificationRoot(c *call) error {
	var o object
	at := c.base() + "/notification2"
	o.open()
	o.begin("notificationSubscriptions")
	o.text("self", at+"/subscriptions")
	o.raw("subscriptions", []byte("null"))
	o.close()
	o.text("notificationSubscriptionsBySource", at+"/subscriptions?source={source}")
	o.text("notificationSubscriptionsBySourceAndContext", at+"/subscriptions?source={source}&context={context}")
	o.text("notificationSubscriptionsByContext", at+"/subscriptions?context={context}")
	o.text("self", at)
	o.close()
	return c.json(http.StatusOK, "notificationapi", o.b)
}

func (c *call) subscriptionURL(s exchange.Subscription) string {
	return c.base() + "/notification2/subscriptions/" + s.ID.String()
}

func (c *call) writeSubscription(o *object, s exchange.Subscription) {
	o.open()
	o.text("id", s.ID.String())
	o.text("self", c.subscriptionURL(s))
	o.text("context", string(s.Scope))
	if s.Source != 0 {
		o.begin("source")
		o.text("id", s.Source.String())
		if src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, s.Source); err == nil {
			o.some("name", src.Name)
		}
		o.text("self", c.base()+"/inventory/managedObjects/"+s.Source.String())
		o.close()
	}
	o.text("subscription", s.Name)
	if len(s.APIs) > 0 || s.TypeFilter != "" {
		o.begin("subscriptionFilter")
		if len(s.APIs) > 0 {
			o.raw("apis", texts(s.APIs))
		}
		o.some("typeFilter", s.TypeFilter)
		o.close()
	}
	if len(s.Fragments) > 0 {
		o.raw("fragmentsToCopy", texts(s.Fragments))
	}
	o.bool("nonPersistent", s.Volatile)
	o.close()
}

func texts[S ~string](list []S) []byte {
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = iot.AppendText(b, string(s))
	}
	return append(b, ']')
}

// subscriptionBody is what a client says of a subscription.
type subscriptionBody struct {
	Context      string `json:"context"`
	Subscription string `json:"subscription"`
	Source       *struct {
		ID json.RawMessage `json:"id"`
	} `json:"source"`
	Filter *struct {
		APIs       []exchange.API `json:"apis"`
		TypeFilter string         `json:"typeFilter"`
	} `json:"subscriptionFilter"`
	Fragments     []string `json:"fragmentsToCopy"`
	NonPersistent bool     `json:"nonPersistent"`
}

func (c *call) decodeBody(to any) error {
	b, err := c.objectBody()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		what := "a member of the body"
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
			what = wrong.Field
		}
		return fault.E(fault.Op("c8yrest.Body"), fault.Invalid, fault.Reason("validation"), what+" has the wrong type")
	}
	return nil
}

func createSubscription(c *call) error {
	const op = fault.Op("c8yrest.Subscription")
	var b subscriptionBody
	if err := c.decodeBody(&b); err != nil {
		return err
	}
	if b.Context == "" {
		return missing("context")
	}
	if b.Subscription == "" {
		return missing("subscription")
	}
	s := exchange.Subscription{Scope: exchange.Scope(b.Context), Name: b.Subscription, Volatile: b.NonPersistent, Fragments: b.Fragments}
	if b.Source != nil {
		text, ok := iot.RawText(b.Source.ID)
		if !ok {
			text = string(b.Source.ID)
		}
		if s.Source, ok = iot.ParseID(text); !ok {
			return fault.E(op, fault.NotFound, "there is no managed object with the id of the source")
		}
	}
	if b.Filter != nil {
		s.APIs, s.TypeFilter = b.Filter.APIs, b.Filter.TypeFilter
	}
	s, err := c.s.Exchange.Subscribe(c.ctx, c.p, s)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "subscription", c.subscriptionURL(s), func() ([]byte, error) {
		var o object
		c.writeSubscription(&o, s)
		return o.b, nil
	})
}

func listSubscriptions(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := exchange.Query{Scope: exchange.Scope(c.query.Get("context")), Source: c.idParam("source"), Name: c.query.Get("subscription"),
		TypeFilter: c.query.Get("typeFilter"), Offset: p.offset(), Limit: p.size}
	subs, n, err := c.s.Exchange.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	var o object
	o.open()
	o.list("subscriptions")
	for _, s := range subs {
		c.writeSubscription(&o, s)
	}
	o.endList()
	c.finish(&o, p, len(subs) == 0)
	o.close()
	return c.json(http.StatusOK, "subscriptionCollection", o.b)
}

func getSubscription(c *call) error {
	id, err := c.id("id", "subscription")
	if err != nil {
		return err
	}
	s, err := c.s.Exchange.Subscription(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	var o object
	c.writeSubscription(&o, s)
	return c.json(http.StatusOK, "subscription", o.b)
}

func deleteSubscription(c *call) error {
	id, err := c.id("id", "subscription")
	if err != nil {
		return err
	}
	if err := c.s.Exchange.Drop(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

// deleteSubscriptions: c8y: the context is mo unless it is given; without any parameter nothing is deleted.
func deleteSubscriptions(c *call) error {
	scope := exchange.OfObject
	if v := c.query.Get("context"); v != "" {
		scope = exchange.Scope(v)
	}
	if err := c.s.Exchange.DropAll(c.ctx, c.p, scope, c.idParam("source")); err != nil {
		return err
	}
	return c.noContent()
}

// createNotificationToken makes a token. c8y: signed may be false; our tokens are always signed, which every client takes.
func createNotificationToken(c *call) error {
	const op = fault.Op("c8yrest.NotificationToken")
	b := struct {
		Subscriber    string   `json:"subscriber"`
		Subscription  string   `json:"subscription"`
		Expires       *float64 `json:"expiresInMinutes"`
		Type          string   `json:"type"`
		Signed        *bool    `json:"signed"`
		Shared        bool     `json:"shared"`
		NonPersistent bool     `json:"nonPersistent"`
	}{Type: "notification"}
	if err := c.decodeBody(&b); err != nil {
		return err
	}
	switch {
	case b.Subscriber == "":
		return missing("subscriber")
	case b.Subscription == "":
		return missing("subscription")
	case b.Type != "notification":
		return fault.E(op, fault.Invalid, "type must be notification")
	}
	validity := 24 * time.Hour
	if b.Expires != nil {
		if *b.Expires <= 0 || *b.Expires > exchange.MaxValidity.Minutes() {
			return fault.E(op, fault.Invalid, "expiresInMinutes must be a positive number of at most ten years")
		}
		validity = time.Duration(*b.Expires * float64(time.Minute))
	}
	token, err := c.s.Exchange.Token(c.ctx, c.p, exchange.Pass{Topic: b.Subscription, Subscriber: b.Subscriber, Shared: b.Shared, Volatile: b.NonPersistent}, validity)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("token", token)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// getNotificationToken tells, in the words of the request, what a token of the caller's tenant is good for.
func getNotificationToken(c *call) error {
	pass, err := c.notificationPass()
	if err != nil {
		return err
	}
	if pass.Tenant != c.p.Tenant {
		return fault.E(fault.Op("c8yrest.NotificationToken"), fault.NotFound, "the token is not one of this tenant")
	}
	var o object
	o.open()
	o.text("subscriber", pass.Subscriber)
	o.text("subscription", pass.Topic)
	o.text("type", "notification")
	o.bool("shared", pass.Shared)
	o.bool("nonPersistent", pass.Volatile)
	o.bool("signed", true)
	o.int("expiresInMinutes", int64(pass.Expires.Sub(pass.Issued).Minutes())) // what was asked for
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func (c *call) notificationPass() (exchange.Pass, error) {
	token := c.query.Get("token")
	if token == "" {
		return exchange.Pass{}, missing("token")
	}
	return c.s.Exchange.Verify(c.ctx, token)
}

func unsubscribe(c *call) error {
	pass, err := c.notificationPass()
	if err != nil {
		return err
	}
	if err := c.s.Exchange.Unsubscribe(c.ctx, pass); err != nil {
		return err
	}
	body := []byte(`{"result":` + strconv.Quote("DONE") + `}`)
	return c.json(http.StatusOK, "", body)
}
