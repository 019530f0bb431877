package bayeux_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/wire/bayeux"
)

func TestRights(t *testing.T) {
	f := setup(t)
	own := f.device("device_d", `{"name":"own","c8y_IsDevice":{}}`)
	foreign := f.device("reader", `{"name":"foreign"}`)
	global := f.device("reader", `{"name":"global","c8y_Global":{}}`)
	collections := []string{"/alarms/", "/events/", "/measurements/", "/managedobjects/", "/operations/", "/alarmsWithChildren/", "/eventsWithChildren/"}
	for _, c := range []struct {
		user string
		id   string
		ok   bool
	}{
		{"acme/reader", "*", true}, {"acme/reader", own.String(), true}, {"acme/reader", "999999", true},
		{"acme/device_d", "*", false}, {"acme/device_d", own.String(), true}, {"acme/device_d", foreign.String(), false}, {"acme/device_d", "999999", false},
		{"acme/nobody", "*", false}, {"acme/nobody", own.String(), false}, {"other/reader", own.String(), true}, // of their own tenant: nothing will come
	} {
		cl := f.open(c.user)
		for _, collection := range collections {
			r := cl.subscribe(collection + c.id)
			if r.ok() != c.ok {
				t.Errorf("%s %s%s: %v", c.user, collection, c.id, r)
			}
			if !c.ok && r.text("error") != "403:"+collection+c.id+":Access is denied" {
				t.Errorf("error: %v", r)
			}
		}
	}
	device := f.open("acme/device_d", "/managedobjects/"+global.String(), "/bootstrap", "/my/own/channel")
	if r := device.subscribe("/events/" + global.String()); r.ok() {
		t.Error("c8y_Global opens the object, not its data")
	}
	if r := device.subscribe([]string{"/events/" + own.String(), "/events/*"}); r.ok() {
		t.Error("a list was accepted although one of it is denied")
	}
	if r := device.subscribe(nil); r.ok() {
		t.Error("no channel was accepted")
	}
}

func TestShapes(t *testing.T) {
	f := setup(t)
	id := f.device("reader", `{"name":"pump","c8y_IsDevice":{}}`)
	c := f.open("acme/reader", "/alarms/"+id.String(), "/events/*", "/measurements/"+id.String(), "/managedobjects/*", "/operations/"+id.String())
	check := func(publish func(), channel, action, self string) {
		t.Helper()
		publish()
		m := c.next(1)[0]
		got, data := m.data()
		doc, _ := data.(map[string]any)
		if m.text("channel") != channel || got != action || doc["self"] != f.url+self {
			t.Errorf("got %v", m)
		}
	}
	gone := func(publish func(), channel, gone string) {
		t.Helper()
		publish()
		want(t, c.next(1)[0], `{"channel":"`+channel+`","data":{"realtimeAction":"DELETE","data":"`+gone+`"}}`)
	}
	at := "/" + id.String()
	check(func() { f.alarm(iot.Created, id, 11) }, "/alarms"+at, "CREATE", "/alarm/alarms/11")
	check(func() { f.alarm(iot.Updated, id, 11) }, "/alarms"+at, "UPDATE", "/alarm/alarms/11")
	check(func() { f.event(acme, iot.Created, id, 12, "x") }, "/events"+at, "CREATE", "/event/events/12")
	gone(func() { f.event(acme, iot.Deleted, id, 12, "") }, "/events"+at, "12")
	m := iot.Measurement{Source: id, Time: f.clock.Now(), Seq: 3, Type: "t", Samples: []iot.Sample{{Fragment: "c8y_T", Series: "T", Unit: "C", Value: iot.FloatNumber(21)}}}
	check(func() { f.measurement(iot.Created, m) }, "/measurements"+at, "CREATE", "/measurement/measurements/"+m.ID().String())
	gone(func() { f.measurement(iot.Deleted, m) }, "/measurements"+at, m.ID().String())
	check(func() { f.operation(iot.Created, id, id, 13) }, "/operations"+at, "CREATE", "/devicecontrol/operations/13")
	check(func() { f.operation(iot.Updated, id, id, 13) }, "/operations"+at, "UPDATE", "/devicecontrol/operations/13")
	gone(func() { f.operation(iot.Deleted, id, id, 13) }, "/operations"+at, "13")
	name := "pump 2"
	check(func() {
		_, err := f.registry.Patch(t.Context(), iot.System(acme), id, registry.Draft{Name: &name})
		f.must(err)
	}, "/managedobjects"+at, "UPDATE", "/inventory/managedObjects"+at)
	gone(func() {
		_, err := f.registry.Delete(t.Context(), iot.System(acme), id, registry.DeleteOptions{})
		f.must(err)
	}, "/managedobjects"+at, id.String())
}

// drain publishes an event that everybody hears of as a fence and returns what came before it.
func (c *client) drain() []string {
	c.f.t.Helper()
	c.f.event(acme, iot.Created, 777, 777, "fence")
	var out []string
	for {
		for _, m := range c.next(1) {
			if m.text("channel") == "/events/777" {
				return out
			}
			_, data := m.data()
			doc, _ := data.(map[string]any)
			out = append(out, fmt.Sprint(m.text("channel"), " ", doc["text"]))
		}
	}
}

func TestOnlyWhatWasSubscribedArrives(t *testing.T) {
	f := setup(t)
	c := f.open("acme/reader", "/events/777", "/events/1", "/events/1", "/eventsWithChildren/*", "/bootstrap")
	all := f.open("acme/reader", "/events/*", "/events/1")
	f.event(acme, iot.Created, 1, 10, "mine")
	f.event(acme, iot.Created, 2, 11, "of another device")
	f.event(other, iot.Created, 1, 12, "of another tenant")
	f.bus.Publish(bus.Subject(acme, "event", "CREATE", "1", "rules"), []byte(`{"Action":"CREATE","Event":{"ID":14,"Source":1,"Text":"for rules"}}`))
	f.bus.Publish(bus.Subject(acme, "event", "CREATE", "1"), []byte(`no JSON`))
	if got := c.drain(); !slices.Equal(got, []string{"/events/1 mine", "/eventsWithChildren/1 mine", "/eventsWithChildren/2 of another device"}) &&
		!slices.Equal(got, []string{"/eventsWithChildren/1 mine", "/events/1 mine", "/eventsWithChildren/2 of another device"}) {
		t.Errorf("got %q", got)
	}
	if got := all.drain(); !slices.Equal(got, []string{"/events/1 mine", "/events/2 of another device"}) {
		t.Errorf("got %q", got)
	}
	if r := c.send(msg{"id": "5", "channel": "/meta/unsubscribe", "clientId": c.id, "subscription": "/events/1"})[0]; !r.ok() || r.text("subscription") != "/events/1" {
		t.Errorf("unsubscribe: %v", r)
	}
	c.send(msg{"channel": "/meta/unsubscribe", "clientId": c.id, "subscription": "/eventsWithChildren/*"})
	c.drain() // what came for the fence of the other client
	f.event(acme, iot.Created, 1, 13, "not any more")
	if got := c.drain(); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestWithChildren(t *testing.T) {
	f := setup(t)
	root, child, grandchild, stranger := f.device("reader", `{}`), f.device("reader", `{}`), f.device("reader", `{}`), f.device("reader", `{}`)
	f.must(f.registry.Link(t.Context(), iot.System(acme), root, iot.ChildAsset, []iot.ID{child}))
	f.must(f.registry.Link(t.Context(), iot.System(acme), child, iot.ChildDevice, []iot.ID{grandchild}))
	name := "/eventsWithChildren/" + root.String()
	c := f.open("acme/reader", name, "/events/777")
	for i, id := range []iot.ID{grandchild, stranger, child, root} {
		f.event(acme, iot.Created, id, iot.ID(100+i), fmt.Sprint(i))
	}
	if got := c.drain(); !slices.Equal(got, []string{name + " 0", name + " 2", name + " 3"}) {
		t.Errorf("got %q", got)
	}
}

func TestOwnershipIsDecidedAtEveryMessage(t *testing.T) {
	f := setup(t)
	fence := f.device("device_d", `{}`)
	root, child := f.device("device_d", `{}`), f.device("reader", `{}`)
	f.must(f.registry.Link(t.Context(), iot.System(acme), root, iot.ChildDevice, []iot.ID{child}))
	c := f.open("acme/device_d", "/events/"+root.String(), "/eventsWithChildren/"+root.String(), "/events/"+fence.String())
	f.event(acme, iot.Created, child, 1, "of a child that somebody else owns")
	f.event(acme, iot.Created, root, 2, "own")
	got := c.next(2)
	for _, m := range got {
		if _, data := m.data(); data.(map[string]any)["text"] != "own" {
			t.Errorf("got %v", m)
		}
	}
	owner := "reader"
	_, err := f.registry.Patch(t.Context(), iot.System(acme), root, registry.Draft{Owner: &owner})
	f.must(err)
	f.event(acme, iot.Created, root, 3, "after it was sold")
	f.event(acme, iot.Created, fence, 4, "fence")
	if m := c.next(1)[0]; m.text("channel") != "/events/"+fence.String() {
		t.Errorf("got %v", m)
	}
}

func TestTenantsNeverMeet(t *testing.T) {
	f := setup(t)
	mine, theirs := f.open("acme/reader", "/events/*", "/managedobjects/*"), f.open("other/reader", "/events/*", "/managedobjects/*")
	f.event(other, iot.Created, 5, 50, "theirs")
	f.event(acme, iot.Created, 5, 51, "mine")
	for c, text := range map[*client]string{mine: "mine", theirs: "theirs"} {
		if _, data := c.next(1)[0].data(); data.(map[string]any)["text"] != text {
			t.Errorf("got %v instead of %s", data, text)
		}
	}
	f.deviceOf(other, "reader", `{"name":"theirs"}`)
	f.device("reader", `{"name":"mine"}`)
	for c, name := range map[*client]string{mine: "mine", theirs: "theirs"} {
		if _, data := c.next(1)[0].data(); data.(map[string]any)["name"] != name {
			t.Errorf("got %v instead of %s", data, name)
		}
	}
}

func TestASlowClientLosesTheOldest(t *testing.T) {
	for name, c := range map[string]struct{ n, size int }{
		"too many messages": {bayeux.MaxQueueMessages + 200, 1},
		"too many bytes":    {60, bayeux.MaxQueueBytes / 30},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			slow, fast := f.open("acme/reader", "/events/1"), f.open("acme/reader", "/events/2")
			text := strings.Repeat("x", c.size)
			for i := range c.n {
				f.event(acme, iot.Created, 1, iot.ID(i+1), text)
			}
			f.event(acme, iot.Created, 2, 1, "all others are in the queue when this is")
			fast.next(1)
			var ids []string
			for last := fmt.Sprint(c.n); len(ids) == 0 || ids[len(ids)-1] != last; {
				for _, m := range slow.next(1) {
					_, data := m.data()
					ids = append(ids, data.(map[string]any)["id"].(string))
				}
			}
			dropped := int(f.counter("isobar_realtime_dropped_messages_total"))
			if dropped == 0 || len(ids)+dropped != c.n {
				t.Fatalf("%d arrived, %d were dropped, %d were sent", len(ids), dropped, c.n)
			}
			for i, id := range ids {
				if id != fmt.Sprint(dropped+i+1) {
					t.Fatalf("message %d is %s", dropped+i+1, id)
				}
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	f := setup(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			source := iot.ID(i/2 + 1)
			c := f.open([]string{"acme/reader", "other/reader"}[i%2], "/events/"+source.String(), "/alarmsWithChildren/*")
			for n := range 20 {
				c.subscribe("/measurements/*")
				f.event([]iot.TenantID{acme, other}[i%2], iot.Created, source, iot.ID(n+1), "x")
				c.send(msg{"channel": "/meta/unsubscribe", "clientId": c.id, "subscription": "/measurements/*"})
			}
			for n, m := range c.next(20) {
				if _, data := m.data(); data.(map[string]any)["id"] != fmt.Sprint(n+1) {
					t.Errorf("message %d is %v", n+1, data)
				}
			}
			c.send(msg{"channel": "/meta/disconnect", "clientId": c.id})
		})
	}
	wg.Wait()
	if n := f.counter("isobar_realtime_sessions"); n != 0 {
		t.Errorf("%v sessions are left", n)
	}
}
