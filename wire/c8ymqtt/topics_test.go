package c8ymqtt_test

import (
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

func (b *bench) rules(rules ...access.TopicRule) {
	b.t.Helper()
	p := iot.Principal{Tenant: "main", User: "admin", Roles: []string{"ROLE_MQTT_SERVICE_ADMIN"}}
	if err := b.topics.Replace(ctx, p, rules); err != nil {
		b.t.Fatal(err)
	}
}

func rule(filter string, allow, publish, subscribe bool, who ...string) access.TopicRule {
	return access.TopicRule{Filter: filter, Allow: allow, Publish: publish, Subscribe: subscribe, For: who}
}

// session makes a client come back to its session.
func session(c *packet.Connect) {
	c.Clean = false
	if c.Version == packet.V5 {
		c.Props.SessionExpiry = 3600
		c.Props.Mark(packet.PropSessionExpiry)
	}
}

func TestFreeTopicsObeyTheRules(t *testing.T) {
	b := simple(t)
	stop := must(b.gate.Watch())(t)
	defer stop()
	srv := b.broker()
	d1, d2 := b.device("main", "d1"), b.device("main", "d2")
	b.rules(rule("own/%c/#", true, true, true, "devices"), rule("own/#", false, true, true, "everybody"))

	one, two := b.peer(srv, packet.V5, "d1", d1, nil), b.peer(srv, packet.V5, "d:d2", d2, nil)
	for filter, want := range map[string]mqtt.Reason{"own/d1/x": 1, "own/d2/x": packet.NotAuthorized, "$share/g/own/d2/x": packet.NotAuthorized, "$share/g/own/d1/y": 1, "$share/g/s/us": packet.NotAuthorized,
		"$share/g/inventory/managedObjects/#": packet.NotAuthorized, "own/#": 1, "s/ds": 1, "s/us": packet.NotAuthorized, "free": 1} {
		if got := one.subscribe(filter)[0]; got != want {
			t.Errorf("subscribe to %s: %s", filter, got)
		}
	}
	one.publish("own/d2/x", "no")
	if a := expect[*packet.Ack](one); a.Code != packet.NotAuthorized {
		t.Errorf("publish: %s", a.Code)
	}
	two.publish("own/d2/x", "not for d1, whose filter matches")
	expect[*packet.Ack](two)
	two.publish("free", "for d1")
	if got := expect[*packet.Publish](one); string(got.Payload) != "for d1" {
		t.Errorf("got %s %q", got.Topic, got.Payload)
	}

	three := b.peer(srv, packet.V311, "d2", d2, nil)
	three.publish("own/d1/x", "no")
	three.ended() // an acknowledgement would be a lie
	if p := b.peer(srv, packet.V5, "auto", "main/reader", nil); p.subscribe("free")[0] != packet.NotAuthorized {
		t.Error("people without the permission may subscribe")
	}
}

func TestWhatIsDeniedLaterIsNotDelivered(t *testing.T) {
	b := simple(t)
	stop := must(b.gate.Watch())(t)
	defer stop()
	srv := b.broker()
	d1, d2 := b.device("main", "d1"), b.device("main", "d2")
	from := b.peer(srv, packet.V5, "d2", d2, nil)
	send := func(topic, payload string, retain bool) {
		t.Helper()
		from.send(&packet.Publish{PacketID: 9, QoS: 1, Topic: []byte(topic), Payload: []byte(payload), Retain: retain})
		if a := expect[*packet.Ack](from); a.Code.Failed() {
			t.Fatalf("publish: %s", a.Code)
		}
	}
	away := b.peer(srv, packet.V5, "d1", d1, session)
	away.subscribe("news/#")
	live := b.peer(srv, packet.V5, "live", d1, nil)
	live.subscribe("news/#")
	away.nc.Close()
	away.ended()
	send("news/a", "queued", false)
	send("news/b", "kept", true)
	for range 2 {
		expect[*packet.Publish](live)
	}
	b.rules(rule("news/#", false, false, true, "user:device_d1"))
	eventually(t, "the rule does not take effect", func() bool {
		// Subscribing asks the rules that hold for the connection.
		return live.subscribe("news/x")[0] == packet.NotAuthorized
	})
	send("news/c", "live", false)
	live.send(&packet.Ping{})
	expect[*packet.Ping](live) // nothing came before
	back := b.peer(srv, packet.V5, "d1", d1, session)
	back.send(&packet.Ping{})
	expect[*packet.Ping](back)
	if code := back.subscribe("news/b")[0]; code != packet.NotAuthorized {
		t.Errorf("subscribe: %s", code)
	}
	if code := back.subscribe("#")[0]; code != 1 { // other topics are left
		t.Errorf("subscribe to #: %s", code)
	}
	back.send(&packet.Ping{})
	expect[*packet.Ping](back) // and no retained message
	b.rules()
	again := b.peer(srv, packet.V5, "third", d1, nil)
	again.subscribe("news/#")
	if got := expect[*packet.Publish](again); string(got.Payload) != "kept" {
		t.Errorf("after the rule has gone: %s", got.Payload)
	}
}

func TestWillsObeyTheRules(t *testing.T) {
	b := simple(t)
	stop := must(b.gate.Watch())(t)
	defer stop()
	srv := b.broker()
	d1, d2 := b.device("main", "d1"), b.device("main", "d2")
	will := func(topic string, delay uint32) func(*packet.Connect) {
		return func(c *packet.Connect) {
			session(c)
			c.Will = &packet.Will{Topic: topic, QoS: 1, Payload: []byte("will")}
			c.Will.Props.WillDelay = delay
			c.Will.Props.Mark(packet.PropWillDelay)
		}
	}
	b.rules(rule("wills/%c", true, true, true, "devices"), rule("wills/+", false, true, false, "everybody"))
	for topic, want := range map[string]mqtt.Reason{"wills/d1": 0, "wills/d2": packet.NotAuthorized, "$SYS/x": packet.NotAuthorized, "s/nothing": packet.NotAuthorized, "s/us": 0} {
		p := b.peer(srv, packet.V5, "d1", d1, will(topic, 0))
		if p.code != want {
			t.Errorf("will to %s: %s", topic, p.code)
		}
		if want == 0 {
			p.send(&packet.Disconnect{})
			p.ended()
		}
	}
	hears := b.peer(srv, packet.V5, "d2", d2, nil)
	hears.subscribe("wills/#")
	p := b.peer(srv, packet.V5, "d1", d1, will("wills/d1", 0))
	p.nc.Close()
	if got := expect[*packet.Publish](hears); string(got.Payload) != "will" {
		t.Errorf("got %s", got.Payload)
	}
	// The rule, and then the account, change while a will waits.
	p = b.peer(srv, packet.V5, "d1", d1, will("wills/d1", 1))
	p.nc.Close()
	p.ended()
	b.rules(rule("wills/+", false, true, false, "everybody"))
	other := b.peer(srv, packet.V5, "d1b", d1, func(c *packet.Connect) { will("else", 1)(c) })
	other.nc.Close()
	other.ended()
	off := false
	must(b.users.Update(ctx, iot.Principal{Tenant: "main", User: "admin", Roles: []string{"ROLE_USER_MANAGEMENT_ADMIN", "ROLE_USER_MANAGEMENT_READ"}}, "device_d1", access.UserPatch{Enabled: &off}))(t)
	hears.subscribe("else")
	until := time.Now().Add(2500 * time.Millisecond)
	for time.Now().Before(until) {
		hears.send(&packet.Ping{})
		expect[*packet.Ping](hears) // no will
		<-time.After(50 * time.Millisecond)
	}
}

func TestStrangeClientIDsDoNotWidenRules(t *testing.T) {
	b := simple(t)
	d1 := b.device("main", "d1")
	b.rules(rule("own/%c/#", true, true, true, "devices"), rule("#", false, true, true, "everybody"))
	srv := b.broker()
	for _, id := range []string{"+", "#", "a/b", "d:+"} {
		if p := b.peer(srv, packet.V5, id, d1, nil); p.code != packet.ClientIDNotValid {
			t.Errorf("%s: %s", id, p.code)
		}
	}
}
