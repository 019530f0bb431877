package c8ymqtt_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
)

func TestWhoIsLetIn(t *testing.T) {
	b := simple(t)
	d1 := b.device("main", "d1")
	for name, c := range map[string]struct {
		id     string
		change func(*mqtt.ConnectRequest)
		want   mqtt.Reason
	}{
		"a device":                             {"d1", nil, 0},
		"with the type of connection":          {"d:d1", nil, 0},
		"with a template":                      {"d1:tpl", nil, 0},
		"with both":                            {"d:d1:tpl", nil, 0},
		"an empty device id":                   {"d:", nil, packet.ClientIDNotValid},
		"an empty device id before a template": {":tpl", nil, packet.ClientIDNotValid},
		"a colon in the device id":             {"d:d1:x:tpl", nil, packet.ClientIDNotValid},
		"another type of connection":           {"x:d1:tpl", nil, packet.ClientIDNotValid},
		"a control character":                  {"d\n1", nil, packet.ClientIDNotValid},
		"too long":                             {strings.Repeat("x", 1001), nil, packet.ClientIDNotValid},
		"no user":                              {"d1", func(r *mqtt.ConnectRequest) { r.HasUser, r.User = false, "" }, packet.NotAuthorized},
		"an empty user":                        {"d1", func(r *mqtt.ConnectRequest) { r.User = "" }, packet.NotAuthorized},
		"no password":                          {"d1", func(r *mqtt.ConnectRequest) { r.HasPassword, r.Password = false, nil }, packet.NotAuthorized},
		"an empty password":                    {"d1", func(r *mqtt.ConnectRequest) { r.Password = nil }, packet.NotAuthorized},
		"a wrong password":                     {"d1", func(r *mqtt.ConnectRequest) { r.Password = []byte("wrong") }, packet.BadUserOrPassword},
		"an unknown user":                      {"d1", func(r *mqtt.ConnectRequest) { r.User = "main/nobody" }, packet.BadUserOrPassword},
		"an unknown tenant":                    {"d1", func(r *mqtt.ConnectRequest) { r.User = "nowhere/device_d1" }, packet.BadUserOrPassword},
		"the account of another tenant":        {"d1", func(r *mqtt.ConnectRequest) { r.User = "management/device_d1" }, packet.BadUserOrPassword},
		"the default tenant":                   {"d1", func(r *mqtt.ConnectRequest) { r.User = "device_d1" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c1, err := b.dial(c.id, d1, c.change)
			var refused *mqtt.Refusal
			switch {
			case errors.As(err, &refused):
				if refused.Reason != c.want {
					t.Errorf("refused with %s, want %s", refused.Reason, c.want)
				}
			case err != nil:
				t.Error(err)
			case c.want != 0:
				t.Error("was let in")
			default:
				c1.close()
			}
		})
	}
}

func TestGuessingPasswordsIsSlowedDown(t *testing.T) {
	b := simple(t)
	for range 100 {
		_, err := b.dial("d1", "main/admin", func(r *mqtt.ConnectRequest) { r.Password = []byte("wrong") })
		var refused *mqtt.Refusal
		if errors.As(err, &refused) && refused.Reason == packet.ConnectionRateExceeded {
			return
		}
	}
	t.Error("nobody said stop")
}

func TestCredentialsAreNotLostIfNobodyListens(t *testing.T) {
	b := simple(t)
	must(b.registrations.Request(ctx, iot.System("main"), identity.Registration{ID: "p1"}, ""))(t)
	c := b.connect("p1", "management/devicebootstrap")
	c.publish("s/ucr", "")
	c.subscribe("s/dcr") // the question that waited
	must(b.registrations.Accept(ctx, iot.System("main"), "p1", ""))(t)
	c.close()

	c = b.connect("d:p1", "management/devicebootstrap")
	defer c.close()
	c.publish("s/ucr", "")
	c.publish("s/ucr", "")
	if got := c.conn.lines("s/dcr"); len(got) != 0 {
		t.Fatalf("delivered to nobody: %q", got)
	}
	c.subscribe("s/dcr")
	c.publish("s/ucr", "")
	got := c.conn.lines("s/dcr")
	if len(got) != 1 {
		t.Fatalf("credentials %q, want them once", got)
	}
	f := strings.Split(got[0], ",")
	if len(f) != 4 || f[0] != "70" || f[1] != "main" || f[2] != "device_p1" {
		t.Fatalf("credentials %q", f[:3])
	}
	b.secret["main/device_p1"] = f[3]
	device := b.connect("p1", "main/device_p1")
	defer device.close()
	device.subscribe("s/e")
	if v := device.publish("s/us", "100"); v.Reason != 0 || len(device.conn.lines("s/e")) != 0 {
		t.Errorf("the new device cannot speak: %v %q", v, device.conn.lines("s/e"))
	}
}

func TestTokenOfADevice(t *testing.T) {
	b := simple(t)
	c := b.connect("d1", b.device("main", "d1"))
	defer c.close()
	c.subscribe("s/dat")
	c.publish("s/uat", "")
	got := c.conn.lines("s/dat")
	if len(got) != 1 {
		t.Fatalf("tokens: %q", got)
	}
	token, ok := strings.CutPrefix(got[0], "71,")
	if !ok {
		t.Fatalf("%q does not start with 71", got[0])
	}
	p, err := b.users.Token(ctx, token)
	if err != nil || p.Tenant != "main" || p.User != "device_d1" {
		t.Errorf("the token is of %v, %v", p, err)
	}
}

func TestDevicesOfTwoTenantsDoNotMeet(t *testing.T) {
	b := simple(t)
	b.tenant("second")
	one, two := b.connect("d1", b.device("main", "d1")), b.connect("d1", b.device("second", "d1"))
	defer one.close()
	defer two.close()
	if one.h.Realm() == two.h.Realm() {
		t.Error("free topics are not apart")
	}
	two.subscribe("s/e")
	two.subscribe("s/ds")
	one.publish("s/us", "100,one")
	two.publish("s/us", "100,two")
	if got := two.conn.lines("s/e"); len(got) != 0 {
		t.Errorf("the second tenant's device exists already: %q", got)
	}
	id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
	must(b.operations.Create(ctx, iot.System("main"), iot.Operation{Device: id, Fragments: iot.Doc{{Name: "c8y_Restart", Raw: []byte("{}")}}}))(t)
	b.settle()
	if got := two.conn.lines("s/ds"); len(got) != 0 {
		t.Errorf("operations of the first tenant: %q", got)
	}
	if two.conn.dropped != 0 {
		t.Error("the connection of the other tenant was taken for the same device")
	}
}

func TestDelayedWillConnectsNobody(t *testing.T) {
	b := simple(t)
	c := b.connect("d1", b.device("main", "d1"))
	c.close()
	receive(t, c.submit(&mqtt.Message{Topic: "s/us", Payload: []byte("100"), Will: true}))
	b.flush()
	id := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
	if o := must(b.registry.Get(ctx, iot.System("main"), id))(t); o.State.Connection != "" {
		t.Errorf("a device that only left a will is %s", o.State.Connection)
	}
}

func TestWillOfTwoLines(t *testing.T) {
	b := simple(t)
	c := b.connect("d1", b.device("main", "d1"))
	c.publish("s/us", "102,svc,service,bridge,up")
	b.clock.Advance(time.Minute)
	v := receive(t, c.submit(&mqtt.Message{Topic: "s/us", QoS: 1, Will: true,
		Payload: []byte("102,svc,service,tedge-mapper-bridge-c8y,down\n102,svc,service,tedge-mapper-c8y,down")}))
	c.close()
	b.flush()
	svc := must(b.registry.Lookup(ctx, "main", iot.SerialType, "svc"))(t)
	o := must(b.registry.Get(ctx, iot.System("main"), svc))(t)
	if status, _ := o.Fragments.Text("status"); v.Reason != 0 || status != "down" || o.Name != "tedge-mapper-c8y" {
		t.Errorf("verdict %v, service %s %q", v, o.Name, status)
	}
	self := must(b.registry.Lookup(ctx, "main", iot.SerialType, "d1"))(t)
	if o := must(b.registry.Get(ctx, iot.System("main"), self))(t); !o.State.LastMessage.Equal(b.clock.Now()) || o.State.Connection != "DISCONNECTED" {
		t.Errorf("the will is no sign of life: %v", o.State)
	}
}
