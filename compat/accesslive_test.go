package compat_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/isobar-iot/isobar/compat/internal/oracle"
	"github.com/isobar-iot/isobar/compat/internal/rig"
	"github.com/isobar-iot/isobar/wire/smartrest"
)

// channels are the realtime channels of kinds of data.
var channels = map[oracle.Kind]string{oracle.ManagedObject: "managedobjects", oracle.Measurement: "measurements", oracle.Event: "events", oracle.Alarm: "alarms", oracle.Operation: "operations"}

// ear is a realtime session that keeps all that it hears.
type ear struct {
	mu       sync.Mutex
	heard    []string // whole messages
	accepted map[string]bool
}

func (e *ear) has(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.heard, func(m string) bool { return strings.Contains(m, text) })
}

// hear opens a realtime session and subscribes, whether that is accepted or not.
func hear(t *testing.T, u rig.User, subscriptions ...string) *ear {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, _, err := websocket.Dial(ctx, strings.Replace(u.URL, "http", "ws", 1)+"/notification/realtime", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { cancel(); _ = conn.CloseNow() })
	e := &ear{accepted: map[string]bool{}}
	token := base64.StdEncoding.EncodeToString([]byte(u.Name + ":" + u.Password))
	n := 0
	call := func(m map[string]any) map[string]any {
		n++
		m["id"] = fmt.Sprint(n)
		if err := wsjson.Write(ctx, conn, []any{m}); err != nil {
			t.Fatal(err)
		}
		for {
			var answers []map[string]any
			if err := wsjson.Read(ctx, conn, &answers); err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				if a["id"] == m["id"] {
					return a
				}
			}
		}
	}
	id := call(map[string]any{"channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0", "supportedConnectionTypes": []string{"websocket"},
		"ext": map[string]any{"com.cumulocity.authn": map[string]string{"token": token}}})["clientId"]
	for _, s := range subscriptions {
		ok, _ := call(map[string]any{"channel": "/meta/subscribe", "clientId": id, "subscription": s})["successful"].(bool)
		e.accepted[s] = ok
	}
	if err := wsjson.Write(ctx, conn, []any{map[string]any{"id": "c", "channel": "/meta/connect", "clientId": id, "connectionType": "websocket"}}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			var messages []json.RawMessage
			if wsjson.Read(ctx, conn, &messages) != nil {
				return
			}
			e.mu.Lock()
			for _, m := range messages {
				e.heard = append(e.heard, string(m))
			}
			e.mu.Unlock()
		}
	}()
	return e
}

// TestAccessLive compares what everybody hears over Bayeux, and what they say over MQTT, with the oracle.
func TestAccessLive(t *testing.T) {
	t.Parallel()
	for _, id := range smartrest.Capabilities() {
		if smartrest.TemplateName(id) != "" && lineSamples[id] == "" {
			t.Errorf("the template %s has no sample", id)
		}
	}
	m := newMatrix(t, rig.Start(t, rig.Options{Args: unlimited}), false)
	// The bell that says that everything before it was delivered is a free topic.
	m.admin.Want(t, 200, "PUT", "/isobar/mqtt/topicRules", map[string]any{"rules": []any{map[string]any{"filter": "free/#", "access": "ALLOW", "action": "BOTH", "for": []string{"everybody"}}}}, nil)
	people := append(m.people[1:len(m.people):len(m.people)], m.other)
	t.Run("Bayeux", func(t *testing.T) { m.realtime(t, people) })
	for i, p := range people {
		for _, way := range []string{"as the device", "for a child", "as JSON"} {
			t.Run("MQTT "+p.Name+" "+way, func(t *testing.T) {
				m.t = t
				m.speak(t, p, way, fmt.Sprint("dev", i, way[:2], way[len(way)-1:]))
			})
		}
	}
	noDefects(t, m.Server)
}

// realtime lets everybody subscribe to everything and compares what they hear with what they may read.
func (m *matrix) realtime(t *testing.T, people []*person) {
	m.t = t
	ears := map[*person]*ear{}
	bells := map[*person]*oracle.Object{}
	for _, p := range people {
		var subscriptions []string
		if p != m.other {
			bells[p] = m.object(p.Name, "bell", "com_cumulocity_model_Agent", "isb_Bell")
		}
		for _, k := range append(data[:4:4], oracle.ManagedObject) {
			for _, id := range []string{m.dev.ID, m.names["foreign"], "*"} {
				subscriptions = append(subscriptions, "/"+channels[k]+"/"+id)
			}
			if b := bells[p]; b != nil {
				subscriptions = append(subscriptions, "/"+channels[k]+"/"+b.ID)
			}
		}
		ears[p] = hear(t, p.as.User, subscriptions...)
	}
	// Each message carries a word of its own. The bell, which everybody owns, comes after the rest of its kind.
	type said struct {
		kind      oracle.Kind
		object    string
		fragments []string
		word      string
	}
	var all []said
	say := func(k oracle.Kind, o *oracle.Object, fragments ...string) string {
		word := fmt.Sprintf("word%04dw", m.next())
		if k == oracle.ManagedObject {
			m.admin.Want(t, 200, "PUT", mos+"/"+o.ID, map[string]any{custom: map[string]string{"word": word}}, nil)
			if !slices.Contains(o.Fragments, custom) {
				o.Fragments = append(o.Fragments, custom)
			}
		} else {
			d := &oracle.Document{Kind: k, Source: o.ID, Fragments: fragments, Type: word, Day: m.next()}
			body := m.body(d)
			if k == oracle.Operation {
				body[custom] = map[string]string{"word": word}
				d.Fragments = append(d.Fragments, custom)
			}
			m.admin.Create(t, resources[k].path, body)
			fragments = d.Fragments
		}
		all = append(all, said{k, o.ID, fragments, word})
		return word
	}
	for _, k := range append(data[:4:4], oracle.ManagedObject) {
		for _, id := range []string{m.dev.ID, m.names["foreign"]} {
			say(k, m.world.Objects[id], custom)
		}
		say(k, m.dev, "isb_Uncovered")
	}
	last := map[*person][]string{}
	for p, b := range bells {
		for _, k := range append(data[:4:4], oracle.ManagedObject) {
			last[p] = append(last[p], say(k, b, custom))
		}
	}
	for _, p := range people {
		e := ears[p]
		for _, word := range last[p] { // decision 6: an owner reads all of it
			for end := time.Now().Add(5 * time.Second); !e.has(word); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("%s does not hear %s of an object of their own; accepted: %v", p.Name, word, e.accepted)
					break
				}
			}
		}
		for _, x := range all {
			if slices.Contains(last[p], x.word) {
				continue
			}
			may := p != m.other && m.world.May(p.User, oracle.Read, x.kind, x.object, x.fragments)
			if heard := e.has(x.word); heard != may && (heard || x.object == m.dev.ID || x.object == m.names["foreign"]) {
				t.Errorf("%s hears a message of kind %s about %s %v: %v, the rules say %v\n%s\naccepted: %v", p.Name, x.kind, x.object, x.fragments, heard, may, p.describe(), e.accepted)
			}
		}
		if p == m.other && e.has(m.mark) {
			t.Error("another tenant hears of us")
		}
	}
}

// TestAccessRevoked takes each kind of right away from somebody with an open subscription and open requests: at most a second later
// neither shows anything.
func TestAccessRevoked(t *testing.T) {
	t.Parallel()
	s := rig.Start(t, rig.Options{Args: unlimited})
	m := newStage(t, s, "main", "RevokedMarker1234")
	var all []*revoked
	for _, c := range []struct {
		name string
		give func(p *person, group, dev *oracle.Object) (take func())
	}{
		{"a permission", func(p *person, _, _ *oracle.Object) func() {
			m.permit(p, "ROLE_EVENT_READ")
			return func() { m.forbid(p, "ROLE_EVENT_READ") }
		}},
		{"membership in a group", func(p *person, _, _ *oracle.Object) func() {
			g := m.group([]string{"ROLE_EVENT_READ"}, p)
			return func() {
				m.admin.Want(t, 204, "DELETE", fmt.Sprint("/user/main/groups/", g, "/users/", p.Name), nil, nil)
			}
		}},
		{"a permission of a group", func(p *person, _, _ *oracle.Object) func() {
			g := m.group([]string{"ROLE_EVENT_READ"}, p)
			return func() {
				m.admin.Want(t, 204, "DELETE", fmt.Sprint("/user/main/groups/", g, "/roles/ROLE_EVENT_READ"), nil, nil)
			}
		}},
		{"an inventory role on a group", func(p *person, group, _ *oracle.Object) func() {
			a := m.assign(p, group.ID, "EVENT:*:READ")
			return func() {
				m.admin.Want(t, 204, "DELETE", fmt.Sprint("/user/main/users/", p.Name, "/roles/inventory/", a), nil, nil)
			}
		}},
		{"the inventory role itself", func(p *person, group, _ *oracle.Object) func() {
			role := m.inventoryRole("EVENT:*:READ")
			m.admin.Want(t, 200, "POST", "/user/main/users/"+p.Name+"/roles/inventory", map[string]any{"managedObject": group.ID, "roles": []map[string]int64{{"id": role}}}, nil)
			return func() {
				m.admin.Want(t, 200, "PUT", fmt.Sprint("/user/inventoryroles/", role), map[string]any{"permissions": []map[string]string{{"scope": "ALARM", "type": "*", "permission": "READ"}}}, nil)
			}
		}},
		{"the place in the group", func(p *person, group, dev *oracle.Object) func() {
			m.assign(p, group.ID, "EVENT:*:READ")
			return func() { m.admin.Want(t, 204, "DELETE", mos+"/"+group.ID+"/childAssets/"+dev.ID, nil, nil) }
		}},
		{"the place of the group above", func(p *person, group, dev *oracle.Object) func() {
			top := m.object("admin", "c8y_DeviceGroup", "c8y_IsDeviceGroup")
			m.link(top, group, "childAssets")
			m.assign(p, top.ID, "EVENT:*:READ")
			return func() { m.admin.Want(t, 204, "DELETE", mos+"/"+top.ID+"/childAssets/"+group.ID, nil, nil) }
		}},
		{"a device permission", func(p *person, _, dev *oracle.Object) func() {
			m.allow(dev.ID, map[*person][]string{p: {"EVENT:*:READ"}}, nil, nil)
			return func() {
				m.admin.Want(t, 200, "PUT", "/user/devicePermissions/"+dev.ID, map[string]any{"users": []map[string]any{{"userName": p.Name, "devicePermissions": map[string][]string{dev.ID: {}}}}}, nil)
			}
		}},
		{"ownership", func(p *person, _, dev *oracle.Object) func() {
			m.admin.Want(t, 200, "PUT", mos+"/"+dev.ID, map[string]string{"owner": p.Name}, nil)
			return func() { m.admin.Want(t, 200, "PUT", mos+"/"+dev.ID, map[string]string{"owner": "admin"}, nil) }
		}},
	} {
		group, dev := m.object("admin", "c8y_DeviceGroup", "c8y_IsDeviceGroup"), m.object("admin", "isb_Type")
		m.link(group, dev, "childAssets")
		x := &revoked{name: c.name, p: m.person(fmt.Sprint("revoked", m.next())), dev: dev, event: m.document(oracle.Event, dev)}
		x.take = c.give(x.p, group, dev)
		all = append(all, x)
	}
	for _, x := range all {
		if got := x.status(t); got != 200 {
			t.Fatalf("%s before: status %d", x.name, got)
		}
		x.live = hear(t, x.p.as.User, "/events/"+x.dev.ID)
		first := m.document(oracle.Event, x.dev)
		rig.Eventually(t, "the subscription to work", func() bool { return x.live.has(first.Type) })
	}
	witness := hear(t, m.admin.User, "/events/*")
	for _, x := range all {
		x.take()
		if got := x.status(t); got != 403 {
			t.Errorf("%s after: status %d", x.name, got)
		}
	}
	for late := time.Now().Add(time.Second); time.Now().Before(late); { // within this second they may still hear something
		m.document(oracle.Event, all[0].dev)
	}
	for range 2 {
		for _, x := range all {
			x.after = append(x.after, m.document(oracle.Event, x.dev).Type)
		}
	}
	for _, x := range all {
		for _, word := range x.after {
			rig.Eventually(t, "the witness", func() bool { return witness.has(word) })
			if x.live.has(word) {
				t.Errorf("%s is taken away, but the open subscription still hears", x.name)
			}
		}
	}
	noDefects(t, s)
}

// revoked is somebody who loses a right.
type revoked struct {
	name  string
	p     *person
	dev   *oracle.Object
	event *oracle.Document
	live  *ear
	take  func()
	after []string
}

func (x *revoked) status(t *testing.T) int {
	t.Helper()
	a, err := x.p.as.Do("GET", "/event/events/"+x.event.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Status
}

// TestAccessStripped: decision 12.
func TestAccessStripped(t *testing.T) {
	t.Parallel()
	s := rig.Start(t, rig.Options{Args: unlimited})
	m := newStage(t, s, "main", "StrippedMarker123")
	dev := m.object("admin", "isb_Type")
	p := m.person("partly")
	m.assign(p, dev.ID, "MEASUREMENT:isb_A:READ")
	whole, both, none := m.document(oracle.Measurement, dev, "isb_A"), m.document(oracle.Measurement, dev, "isb_A", "isb_B"), m.document(oracle.Measurement, dev, "isb_B")
	check := func(stripped bool) {
		t.Helper()
		want := []string{whole.ID}
		if stripped {
			want = append(want, both.ID)
		}
		m.agree(t, p, "/measurement/measurements?dateFrom=1970-01-01", "measurements", allow, want, 1)
		m.agree(t, p, "/measurement/measurements?source="+dev.ID, "measurements", allow, slices.Clone(want), 10)
		for _, d := range []*oracle.Document{whole, both, none} {
			a, err := p.as.Do("GET", "/measurement/measurements/"+d.ID, nil)
			if may := slices.Contains(want, d.ID); err != nil || may != (a.Status == 200) || !may && a.Status != 403 {
				t.Errorf("stripped %v: GET of %v: %v, %d", stripped, d.Fragments, err, a.Status)
			}
			if strings.Contains(string(a.Body), "isb_B") {
				t.Errorf("stripped %v: %s shows a fragment that is not covered", stripped, a.Body)
			}
		}
		for _, path := range []string{"/measurement/measurements?source=" + dev.ID, "/measurement/measurements/series?dateFrom=1970-01-01&dateTo=2030-01-01&source=" + dev.ID,
			"/measurement/measurements?valueFragmentType=isb_B&source=" + dev.ID} {
			a, err := p.as.Do("GET", path, nil)
			if err != nil || strings.Contains(string(a.Body), `"isb_B"`) || strings.Contains(string(a.Body), both.ID) && strings.Contains(path, "isb_B") {
				t.Errorf("stripped %v: %v, %s: %s", stripped, err, path, a.Body)
			}
		}
	}
	check(false)
	m.admin.Want(t, 200, "POST", "/tenant/options", map[string]string{"category": "configuration", "key": "acl.measurement.only-accessible-fragments", "value": "true"}, nil)
	check(true)
}

// lineSamples is a line for every SmartREST template. What they touch is read from the first digit.
var lineSamples = map[string]string{
	"100": "100,n,t", "101": "101,kid{n},n,t", "102": "102,svc{n},t,n,up", "104": "104,up", "105": "105", "107": "107,isb_Custom", "110": "110,1,m,r", "111": "111,i,c,s", "112": "112,1,2,3",
	"113": "113,conf{n}", "114": "114,c8y_Restart", "115": "115,fw,{n},u", "116": "116,a,{n},u", "117": "117,{m}", "118": "118,log{n}", "119": "119,type{n}", "120": "120,t,u,n",
	"121": "121,true", "122": "122,a,{n},u,m", "123": "123", "125": "125", "140": "140,a,{n},t,u", "141": "141,b,{n},t,u", "142": "142,b,{n}", "143": "143,apt{n}", "150": "150,VNC",
	"200": "200,isb_Custom,v,{n}", "201": "201,t,2024-01-01T00:00:00Z,isb_Custom,v,{n}", "210": "210,{m}", "211": "211,{m}", "212": "212,{m}",
	"301": "301,a{n},x", "302": "302,b{n},x", "303": "303,c{n},x", "304": "304,d{n},x", "305": "305,seed,MINOR", "306": "306,seed", "307": "307,seed,isb_Custom",
	"400": "400,t,x{n}", "401": "401,1,2,{m}", "402": "402,1,2,{m}", "407": "407,t,isb_Custom", "408": "408",
	"500": "500", "501": "501,isb_Custom", "502": "502,isb_Custom,no", "503": "503,isb_Custom", "504": "504,{op}", "505": "505,{op},no", "506": "506,{op}", "507": "507,no", "600": "600", "602": "602",
}

// jsonSamples are topics of JSON via MQTT with a payload. {serial} is the device's external id.
var jsonSamples = []struct{ topic, payload string }{
	{"measurement/measurements/create", `{"type":"t","externalSource":{"externalId":"{serial}","type":"c8y_Serial"},"isb_Custom":{"v":{"value":{n}}}}`},
	{"measurement/measurements/createBulk", `{"measurements":[{"type":"t","externalSource":{"externalId":"{serial}","type":"c8y_Serial"},"isb_Custom":{"v":{"value":{n}}}}]}`},
	{"event/events/create", `{"type":"t{n}","text":"x","time":"2024-01-01T00:00:00Z","externalSource":{"externalId":"{serial}","type":"c8y_Serial"}}`},
	{"event/events/createBulk", `{"events":[{"type":"t{n}","text":"x","time":"2024-01-01T00:00:00Z","externalSource":{"externalId":"{serial}","type":"c8y_Serial"}}]}`},
	{"event/events/update/{event}", `{"text":"changed{n}"}`},
	{"event/events/delete/{event}", ``},
	{"alarm/alarms/create", `{"type":"j{n}","text":"x","severity":"MAJOR","time":"2024-01-01T00:00:00Z","externalSource":{"externalId":"{serial}","type":"c8y_Serial"}}`},
	{"alarm/alarms/createBulk", `{"alarms":[{"type":"k{n}","text":"x","severity":"MAJOR","time":"2024-01-01T00:00:00Z","externalSource":{"externalId":"{serial}","type":"c8y_Serial"}}]}`},
	{"alarm/alarms/update/{alarm}", `{"severity":"MINOR","text":"changed{n}"}`},
	{"alarm/alarms/delete/{alarm}", ``},
	{"inventory/managedObjects/update/{serial}", `{"isb_Custom":{"v":"{n}"}}`},
	{"inventory/managedObjects/delete/{serial}", ``},
}

// speak makes a device of somebody else and lets a person say every SmartREST line or every JSON message about it: as the device itself, as
// another one that names it, or from another tenant. What changed must be what the oracle allows.
func (m *matrix) speak(t *testing.T, p *person, way, serial string) {
	dev := m.object("owner", "isb_Type", "c8y_IsDevice", "com_cumulocity_model_Agent", custom)
	m.place(dev)
	m.admin.Want(t, 201, "POST", "/identity/globalIds/"+dev.ID+"/externalIds", map[string]string{"type": "c8y_Serial", "externalId": serial}, nil)
	x := map[string]string{"serial": serial, "n": fmt.Sprint(m.next()), "m": fmt.Sprint(1 + m.next()%50)}
	x["op"] = m.document(oracle.Operation, dev, custom).ID
	x["event"] = m.document(oracle.Event, dev, custom).ID
	alarm := &oracle.Document{Kind: oracle.Alarm, Source: dev.ID, Type: "seed", Fragments: []string{custom}}
	x["alarm"] = m.admin.Create(t, "/alarm/alarms", m.body(alarm))
	before := m.snapshot(t, dev)
	client := serial
	if way != "as the device" {
		client = "own" + serial
	}
	o := paho.NewClientOptions().AddBroker("tcp://" + m.MQTT).SetClientID(client).SetUsername(p.as.Name).SetPassword(p.as.Password).SetAutoReconnect(false).SetConnectRetry(false)
	var mu sync.Mutex
	var got []string
	o.SetDefaultPublishHandler(func(_ paho.Client, msg paho.Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, msg.Topic()+" "+string(msg.Payload()))
	})
	c := paho.NewClient(o)
	if k := c.Connect(); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
		t.Fatalf("connect: %v", k.Error())
	}
	defer c.Disconnect(0)
	for _, topic := range []string{"s/e", "error", "s/ds", "devicecontrol/notifications", "#"} {
		c.Subscribe(topic, 1, nil).WaitTimeout(5 * time.Second)
	}
	send := func(topic, payload string) {
		if k := c.Publish(fill(topic, x), 1, false, fill(payload, x)); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			t.Fatalf("publish %s %s: %v", topic, payload, k.Error())
		}
	}
	switch way {
	case "as JSON":
		for _, j := range jsonSamples {
			if !strings.Contains(j.topic, "delete") {
				send(j.topic, j.payload)
			}
		}
	default:
		topic := "s/us"
		if way == "for a child" {
			topic = "s/us/{serial}"
		}
		for _, mode := range []string{topic, strings.Replace(topic, "s/", "t/", 1)} {
			for _, line := range lineSamples {
				send(mode, line)
			}
			x["n"] = fmt.Sprint(m.next())
		}
	}
	after := m.snapshot(t, dev)
	for _, k := range append(data[:4:4], oracle.ManagedObject) {
		may := m.world.May(p.User, oracle.Change, k, dev.ID, []string{custom}) || m.world.May(p.User, oracle.Create, k, dev.ID, nil)
		if p == m.other {
			may = false
		}
		changed := before[k] != after[k]
		if k == oracle.ManagedObject && !may {
			may = m.world.May(p.User, oracle.Create, k, "", nil) // may hang what is their own below it (decision 4)
		}
		if changed && !may {
			t.Errorf("%s changed of a device that is not theirs\nbefore %s\nafter  %s\n%s", k, before[k], after[k], p.describe())
		}
		if !changed && p.Name == "owner" && way == "as the device" {
			t.Errorf("the owner changed nothing of kind %s: %v", k, got)
		}
	}
	// Operations reach only who may act as the device.
	word := fmt.Sprintf("word%dw", m.next())
	m.admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": dev.ID, "c8y_Command": map[string]string{"text": word}})
	send("free/bell"+serial, "bell "+serial)
	rig.Eventually(t, "the bell", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(got, func(g string) bool { return strings.HasSuffix(g, "bell "+serial) })
	})
	mu.Lock()
	defer mu.Unlock()
	// who reads operations, or changes them, may learn of them; nobody else
	may := m.world.May(p.User, oracle.Read, oracle.Operation, dev.ID, []string{"c8y_Command"}) || m.world.May(p.User, oracle.Change, oracle.Operation, dev.ID, []string{"c8y_Command"})
	if p == m.other {
		may = false
	}
	for _, g := range got {
		if strings.Contains(g, word) && !may {
			t.Errorf("an operation of another's device arrived: %s\n%s", g, p.describe())
		}
		if p == m.other && strings.Contains(g, m.mark) {
			t.Errorf("another tenant received %s", g)
		}
	}
}

// snapshot is what the platform holds of a device, by kind, without what changes by itself.
func (m *matrix) snapshot(t *testing.T, dev *oracle.Object) map[oracle.Kind]string {
	t.Helper()
	out := map[oracle.Kind]string{}
	var o map[string]any
	m.admin.Want(t, 200, "GET", mos+"/"+dev.ID+"?withChildren=true", nil, &o)
	for _, name := range []string{"lastUpdated", "c8y_Availability", "c8y_Connection", "c8y_ActiveAlarmsStatus"} {
		delete(o, name)
	}
	b, _ := json.Marshal(o)
	out[oracle.ManagedObject] = string(b)
	for k, query := range map[oracle.Kind]string{oracle.Measurement: "?source=", oracle.Event: "?source=", oracle.Alarm: "?source=", oracle.Operation: "?deviceId="} {
		a, err := m.admin.Do("GET", resources[k].path+query+dev.ID+"&pageSize=500", nil)
		if err != nil || a.Status != 200 {
			t.Fatalf("%v, %d %s", err, a.Status, a.Body)
		}
		out[k] = string(a.Body)
	}
	return out
}
