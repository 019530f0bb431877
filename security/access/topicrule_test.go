package access_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/engine/mqtt/topic"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/access/accesssql"
)

func topicRule(filter string, allow bool, action string, who ...string) access.TopicRule {
	return access.TopicRule{Filter: filter, Allow: allow, Publish: action != "sub", Subscribe: action != "pub", For: who}
}

func TestTopicRules(t *testing.T) {
	device := iot.Principal{Tenant: "acme", User: "device_d1"}
	person := iot.Principal{Tenant: "acme", User: "ann"}
	sender := iot.Principal{Tenant: "acme", User: "bob", Roles: []string{"ROLE_MQTT_SERVICE_CREATE", "ROLE_MQTT_SERVICE_READ"}}
	rules := []access.TopicRule{
		topicRule("fleet/%c/#", true, "both", "devices"), topicRule("users/%u", true, "both", "everybody"), topicRule("fleet/+/cmd", true, "pub", "role:ROLE_MQTT_SERVICE_CREATE", "user:ann"),
		topicRule("fleet/#", false, "both", "everybody"), topicRule("news", false, "pub", "devices"),
	}
	for _, c := range []struct {
		who           iot.Principal
		rules         bool
		topic         string
		pub, sub, rcv bool
	}{
		{device, false, "any/thing", true, true, true}, {person, false, "any/thing", false, false, false}, {sender, false, "any/thing", true, true, true},
		{device, true, "fleet/d1", true, true, true}, {device, true, "fleet/d1/a/b", true, true, true}, {device, true, "fleet/d2", false, false, false},
		{device, true, "fleet", false, false, false}, {device, true, "news", false, true, true}, {device, true, "else", true, true, true},
		{device, true, "users/device_d1", true, true, true}, {device, true, "fleet/x/cmd", false, false, false},
		{person, true, "fleet/x/cmd", true, false, false}, {person, true, "users/ann", true, true, true}, {person, true, "users/bob", false, false, false},
		{sender, true, "fleet/x/cmd", true, false, false}, {sender, true, "news", true, true, true},
	} {
		var list []access.TopicRule
		if c.rules {
			list = rules
		}
		a := access.NewTopicAccess(list, c.who, "d1")
		if p, s, r := a.MayPublish(c.topic), a.MaySubscribe(c.topic), a.MayReceive(c.topic); p != c.pub || s != c.sub || r != c.rcv {
			t.Errorf("%s with rules %t, %s: publish %t, subscribe %t, receive %t", c.who.User, c.rules, c.topic, p, s, r)
		}
	}
	a := access.NewTopicAccess(rules, device, "d1")
	for filter, want := range map[string]bool{"#": true, "fleet/+/x": true, "fleet/d2/#": false, "fleet/#": true, "+": true, "+/d2": true, "news": true} {
		if got := a.MaySubscribe(filter); got != want {
			t.Errorf("subscribe to %s: %t", filter, got)
		}
	}
}

// TestTopicRulesOfStrangeNames: a client must not widen a rule by what it is called.
func TestTopicRulesOfStrangeNames(t *testing.T) {
	rules := []access.TopicRule{topicRule("own/%c/#", true, "both", "everybody"), topicRule("by/%u", true, "both", "everybody")}
	for _, id := range []string{"+", "#", "a/b", "a+", "", "%u", strings.Repeat("x", 2000)} {
		for name, a := range map[string]*access.TopicAccess{"client": access.NewTopicAccess(rules, iot.Principal{User: "device_d"}, id), "user": access.NewTopicAccess(rules, iot.Principal{User: iot.UserName(id)}, "d")} {
			if a.Broken() == "" || a.MayPublish("own/d/x") || a.MayReceive("own/d/x") || a.MaySubscribe("own/d/x") || a.MayPublish("free") || a.MaySubscribe("#") {
				t.Errorf("%s %.20q: something is allowed", name, id)
			}
		}
	}
	if a := access.NewTopicAccess(rules[:0], iot.Principal{User: "device_d"}, "+"); a.Broken() != "" || !a.MayPublish("x") {
		t.Error("without rules that name the client, its id does not matter")
	}
}

// TestSubscriptionsAgreeWithDeliveries: what can be received can be subscribed to, whatever the filter is, and a filter that is refused has no
// message that could be received.
func TestSubscriptionsAgreeWithDeliveries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(levels ...string) string {
		var out []string
		for range 1 + r.IntN(3) {
			out = append(out, levels[r.IntN(len(levels))])
		}
		return strings.Join(out, "/")
	}
	filter := func() string {
		f := text("a", "b", "+")
		if r.IntN(3) == 0 {
			f += "/#"
		}
		return f
	}
	device, refused := iot.Principal{User: "device_d"}, 0
	for range 20_000 {
		var rules []access.TopicRule
		for range r.IntN(4) {
			rules = append(rules, topicRule(filter(), r.IntN(2) == 0, []string{"sub", "both", "pub"}[r.IntN(3)], "everybody"))
		}
		a, f, name := access.NewTopicAccess(rules, device, "d"), filter(), text("a", "b")
		if !topic.Match(f, name) {
			continue
		}
		if !a.MaySubscribe(f) {
			refused++
			if a.MayReceive(name) {
				t.Fatalf("%+v: %s is refused, but %s could be received", rules, f, name)
			}
		}
		if a.MaySubscribe(name) != a.MayReceive(name) {
			t.Fatalf("%+v: %s can be subscribed to: %t", rules, name, a.MaySubscribe(name))
		}
	}
	if refused < 100 {
		t.Errorf("only %d refused", refused)
	}
}

func TestTopicRuleCheck(t *testing.T) {
	good := topicRule("a/+/%c/#", true, "both", "everybody", "devices", "people", "user:x", "role:ROLE_ALARM_READ")
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*access.TopicRule){
		"no filter": func(r *access.TopicRule) { r.Filter = "" }, "wildcard": func(r *access.TopicRule) { r.Filter = "a+" }, "hash": func(r *access.TopicRule) { r.Filter = "#/a" },
		"shared": func(r *access.TopicRule) { r.Filter = "$share/g/a" }, "placeholder": func(r *access.TopicRule) { r.Filter = "%d" }, "percent": func(r *access.TopicRule) { r.Filter = "a%" },
		"zero": func(r *access.TopicRule) { r.Filter = "a\x00" }, "bytes": func(r *access.TopicRule) { r.Filter = "\xff" }, "long": func(r *access.TopicRule) { r.Filter = strings.Repeat("x", 1025) },
		"nothing": func(r *access.TopicRule) { r.Publish, r.Subscribe = false, false }, "nobody": func(r *access.TopicRule) { r.For = nil },
		"who": func(r *access.TopicRule) { r.For = []string{"me"} }, "role": func(r *access.TopicRule) { r.For = []string{"role:X"} }, "user": func(r *access.TopicRule) { r.For = []string{"user:"} },
	} {
		r := good
		change(&r)
		if err := r.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTopicRulesAreKept(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, err := accesssql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TopicRules(ctx, "acme"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("before any were put: %v", err)
		}
		one, two := []access.TopicRule{topicRule("a/☃", true, "pub", "everybody")}, []access.TopicRule{topicRule("b", false, "sub", "user:x"), topicRule("c", true, "both", "devices")}
		for i, rules := range [][]access.TopicRule{one, two} {
			before, err := s.PutTopicRules(ctx, "acme", rules, sqlkit.Revision{By: "ann", Set: "s"})
			if err != nil || len(before) != i {
				t.Errorf("put %d: before %v, %v", i, before, err)
			}
		}
		got, err := s.TopicRules(ctx, "acme")
		if err != nil || len(got) != 2 || got[0].Filter != "b" || got[0].Allow || got[0].Publish || !got[0].Subscribe || got[1].For[0] != "devices" {
			t.Errorf("got %+v, %v", got, err)
		}
		if got, err := s.TopicRules(ctx, "other"); err == nil {
			t.Errorf("another tenant has %v", got)
		}
		if h, err := db.History(ctx, "acme", string(iot.KindTopicRules), "rules"); err != nil || len(h) != 1 || !strings.Contains(string(h[0].Doc), "☃") {
			t.Errorf("history %+v, %v", h, err)
		}
	})
}
