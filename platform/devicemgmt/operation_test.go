package devicemgmt_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/security/access"
)

var ctx = context.Background()

func user(name string, roles ...string) iot.Principal {
	slices.Sort(roles)
	return iot.Principal{Tenant: "acme", User: iot.UserName(name), Roles: roles}
}

var (
	admin  = user("admin", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ", "ROLE_DEVICE_CONTROL_ADMIN", "ROLE_DEVICE_CONTROL_READ")
	device = user("device_1", "ROLE_INVENTORY_CREATE")
	nobody = user("nobody")
)

type auditor struct{ records []iot.AuditRecord }

func (a *auditor) Record(_ context.Context, _ iot.Principal, r iot.AuditRecord) {
	a.records = append(a.records, r)
}

type fixture struct {
	*testing.T
	ops   *devicemgmt.Operations
	store *devicemgmtsql.Store
	reg   *registry.Registry
	bus   *bus.Bus
	audit *auditor
	clock *clock.Manual
	// agent > child > grandchild belong to the device; lone belongs to admin and is no agent
	agent, child, grandchild, lone iot.ID
}

func setup(t *testing.T) *fixture {
	f := &fixture{T: t, audit: &auditor{}, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	log, policy, db := slog.New(slog.DiscardHandler), &access.Policy{}, sqltest.SQLite(t)
	var err error
	f.bus, err = bus.Open(bus.Config{Log: log})
	f.must(err)
	t.Cleanup(f.bus.Close)
	objects, err := registrysql.New(ctx, db)
	f.must(err)
	f.reg, err = registry.NewRegistry(registry.Deps{Store: objects, Policy: policy, Audit: f.audit, Bus: f.bus, Clock: f.clock, Log: log})
	f.must(err)
	t.Cleanup(f.reg.Close)
	store, err := devicemgmtsql.New(ctx, db)
	f.must(err)
	f.store = store
	f.ops = devicemgmt.New(devicemgmt.Deps{Store: store, Registry: f.reg, Policy: policy, Audit: f.audit, Bus: f.bus, Clock: f.clock, Log: log})
	f.agent = f.object(device, `{"c8y_IsDevice":{},"com_cumulocity_model_Agent":{}}`)
	f.child, f.grandchild = f.object(device, `{}`), f.object(device, `{}`)
	f.lone = f.object(admin, `{"c8y_IsDevice":{}}`)
	f.must(f.reg.Link(ctx, admin, f.agent, iot.ChildDevice, []iot.ID{f.child}))
	f.must(f.reg.Link(ctx, admin, f.child, iot.ChildDevice, []iot.ID{f.grandchild}))
	f.must(f.reg.Link(ctx, admin, f.agent, iot.ChildAsset, []iot.ID{f.lone}))
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) kind(what string, err error, k fault.Kind) {
	f.Helper()
	if !fault.Is(err, k) {
		f.Errorf("%s: %v, want %v", what, err, k)
	}
}

func (f *fixture) doc(text string) iot.Doc {
	f.Helper()
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	f.must(err)
	return d
}

func (f *fixture) object(p iot.Principal, text string) iot.ID {
	f.Helper()
	d, err := registry.DraftOf(f.doc(text))
	f.must(err)
	o, err := f.reg.Create(ctx, p, registry.Place{}, d)
	f.must(err)
	return o[0].ID
}

func (f *fixture) create(p iot.Principal, target iot.ID, name string) iot.Operation {
	f.Helper()
	f.clock.Advance(time.Second)
	o, err := f.ops.Create(ctx, p, iot.Operation{Device: target, Description: name, Fragments: f.doc(`{"c8y_` + name + `":{}}`)})
	f.must(err)
	return o
}

func (f *fixture) listen() <-chan string {
	f.Helper()
	out := make(chan string, 100)
	stop, err := f.bus.Subscribe("isobar.acme.operation.>", func(_ iot.TenantID, subject string, data []byte) {
		var c devicemgmt.OperationChange
		if json.Unmarshal(data, &c) == nil {
			subject += " " + string(c.Action) + " " + string(c.Operation.Status)
		}
		out <- strings.TrimPrefix(subject, "isobar.acme.operation.")
	})
	f.must(err)
	f.Cleanup(stop)
	return out
}

func names(operations []iot.Operation) string {
	out := make([]string, len(operations))
	for i, o := range operations {
		out[i] = o.Description
	}
	return strings.Join(out, " ")
}

func TestLifeOfAnOperation(t *testing.T) {
	f := setup(t)
	facts := f.listen()
	o := f.create(device, f.grandchild, "Restart")
	if o.Agent != f.agent || o.Status != iot.Pending || o.ID != 1 || o.Delivery.Status != iot.DeliveryPending {
		t.Errorf("created %+v", o)
	}
	if got := <-facts; got != "CREATE."+f.agent.String()+" CREATE PENDING" {
		t.Errorf("fact %s", got)
	}
	f.must(f.ops.Delivered(ctx, "acme", o.ID))
	f.clock.Advance(time.Second)
	status, reason := iot.OperationStatus("executing"), "late"
	for range 2 { // the second time changes nothing
		o, err := f.ops.Update(ctx, device, o.ID, devicemgmt.Patch{Status: &status, FailureReason: &reason, Fragments: f.doc(`{"c8y_Restart":{"done":1}}`)})
		if err != nil || o.Status != iot.Executing || o.FailureReason != "late" || o.Delivery.Status != iot.DeliveryDelivered || string(o.Fragments.Get("c8y_Restart")) != `{"done":1}` {
			t.Errorf("updated %+v, %v", o, err)
		}
	}
	f.must(f.ops.Delete(ctx, device, devicemgmt.Query{Device: f.grandchild}))
	for _, want := range []string{"UPDATE." + f.agent.String() + " UPDATE EXECUTING", "DELETE." + f.agent.String() + " DELETE "} {
		if got := <-facts; got != want {
			t.Errorf("fact %q, want %q", got, want)
		}
	}
	var audited []string
	for _, r := range f.audit.records {
		if r.Type == "Operation" && r.Source == o.ID {
			audited = append(audited, r.Activity)
		}
	}
	if strings.Join(audited, ", ") != "Operation created, Operation updated" {
		t.Errorf("audited %v", audited)
	}
	_, err := f.ops.Get(ctx, device, o.ID)
	f.kind("a deleted operation", err, fault.NotFound)
}

func TestWhoReceivesAnOperation(t *testing.T) {
	f := setup(t)
	_, err := f.ops.Create(ctx, admin, iot.Operation{Device: f.lone})
	f.kind("a device that is below an agent as an asset only", err, fault.Invalid)
	_, err = f.ops.Create(ctx, admin, iot.Operation{Device: 99999})
	f.kind("no device", err, fault.NotFound)
	_, err = f.ops.Create(ctx, admin, iot.Operation{})
	f.kind("no device named", err, fault.Invalid)
	_, err = f.ops.Create(ctx, nobody, iot.Operation{Device: f.agent})
	f.kind("nobody", err, fault.Denied)

	second := f.object(device, `{"com_cumulocity_model_Agent":{}}`)
	f.must(f.reg.Link(ctx, admin, f.child, iot.ChildDevice, []iot.ID{second}))
	f.create(admin, f.agent, "a")
	f.create(admin, f.child, "b")
	f.create(admin, second, "c")
	f.create(device, f.grandchild, "d")
	for _, c := range []struct {
		q    devicemgmt.Query
		want string
	}{
		{devicemgmt.Query{}, "a b c d"}, {devicemgmt.Query{Agent: f.agent}, "a b c d"}, {devicemgmt.Query{Agent: f.child}, "b c d"}, {devicemgmt.Query{Agent: f.agent, Device: f.child}, "b"},
		{devicemgmt.Query{Descending: true, Fragment: "c8y_d"}, "d"}, {devicemgmt.Query{Agent: 99999}, ""},
	} {
		c.q.Limit = 10
		found, _, err := f.ops.List(ctx, admin, c.q)
		if err != nil || names(found) != c.want {
			t.Errorf("%+v: %s, %v", c.q, names(found), err)
		}
	}
	pending, err := f.ops.Pending(ctx, "acme", f.agent)
	if err != nil || names(pending) != "a b d" {
		t.Errorf("pending %s, %v", names(pending), err)
	}
	executing := iot.Executing
	_, err = f.ops.Update(ctx, device, pending[0].ID, devicemgmt.Patch{Status: &executing})
	f.must(err)
	for _, c := range []struct {
		device   iot.ID
		fragment string
		status   iot.OperationStatus
		want     string
	}{{0, "", iot.Pending, "b"}, {0, "", iot.Executing, "a"}, {f.grandchild, "", iot.Pending, "d"}, {0, "c8y_d", iot.Pending, "d"}, {0, "c8y_c", iot.Pending, ""}} {
		o, err := f.ops.Oldest(ctx, device, f.agent, c.device, c.fragment, c.status)
		if o.Description != c.want || (err != nil) != (c.want == "") || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("oldest %+v: %q, %v", c, o.Description, err)
		}
	}
}

func TestWhoMayDoWhatWithOperations(t *testing.T) {
	f := setup(t)
	foreignAgent := f.object(admin, `{"com_cumulocity_model_Agent":{}}`)
	mine, theirs := f.create(admin, f.agent, "mine"), f.create(admin, foreignAgent, "theirs")
	done := iot.Successful
	_, err := f.ops.Get(ctx, device, theirs.ID)
	f.kind("a foreign operation", err, fault.Denied)
	_, err = f.ops.Update(ctx, device, theirs.ID, devicemgmt.Patch{Status: &done})
	f.kind("changing a foreign operation", err, fault.Denied)
	_, err = f.ops.Get(ctx, iot.Principal{Tenant: "other", User: "x", Roles: admin.Roles}, mine.ID)
	f.kind("a foreign tenant", err, fault.NotFound)
	if found, n, err := f.ops.List(ctx, device, devicemgmt.Query{Limit: 9, Count: true}); err != nil || n != 1 || names(found) != "mine" {
		t.Errorf("the device sees %s, %v", names(found), err)
	}
	_, _, err = f.ops.List(ctx, nobody, devicemgmt.Query{Limit: 9})
	f.kind("who owns nothing", err, fault.Denied)
	f.kind("deleting by status only", f.ops.Delete(ctx, device, devicemgmt.Query{Status: iot.Pending}), fault.Denied)
	f.kind("deleting a foreign one", f.ops.Delete(ctx, device, devicemgmt.Query{Agent: foreignAgent}), fault.Denied)
	f.kind("deleting without a filter", f.ops.Delete(ctx, admin, devicemgmt.Query{}), fault.Invalid)
	bad := iot.OperationStatus("DONE")
	_, err = f.ops.Update(ctx, admin, mine.ID, devicemgmt.Patch{Status: &bad})
	f.kind("a status that is none", err, fault.Invalid)
	f.kind("delivery of nothing", f.ops.Delivered(ctx, "acme", 4711), fault.NotFound)
}

func TestOperationsAsTheyWere(t *testing.T) {
	f := setup(t)
	o := f.create(admin, f.agent, "restart")
	born := o.CreationTime
	f.clock.Advance(time.Minute)
	executing := iot.Executing
	_, err := f.ops.Update(ctx, device, o.ID, devicemgmt.Patch{Status: &executing})
	f.must(err)
	changed := f.clock.Now()
	f.clock.Advance(time.Minute)
	delivered := f.clock.Now()
	f.must(f.store.SetDelivery(ctx, "acme", o.ID, iot.Delivery{Status: iot.DeliveryDelivered, Time: delivered}))
	check := func(p iot.Principal, at time.Time, status iot.OperationStatus, delivery string) {
		t.Helper()
		was, err := f.ops.AsOf(ctx, p, o.ID, at)
		if (err == nil) != (status != "") || was.Status != status || was.Delivery.Status != delivery || err != nil && !fault.Is(err, fault.NotFound) {
			t.Errorf("%s as of %v: %q %+v, %v, want %q %q", p.User, at, was.Status, was.Delivery, err, status, delivery)
		}
	}
	first := o.Delivery.Status
	for _, p := range []iot.Principal{admin, device} {
		check(p, born.Add(-time.Millisecond), "", "")
		check(p, born, iot.Pending, first)
		check(p, changed.Add(-time.Millisecond), iot.Pending, first)
		check(p, changed, iot.Executing, "")
		check(p, delivered, iot.Executing, iot.DeliveryDelivered)
	}
	_, err = f.ops.AsOf(ctx, nobody, o.ID, born)
	f.kind("without the permission", err, fault.Denied)
	f.must(f.ops.Delete(ctx, admin, devicemgmt.Query{Device: f.agent}))
	f.clock.Advance(time.Minute)
	check(admin, born, iot.Pending, first)
	check(admin, f.clock.Now(), "", "")
	check(device, born, "", "") // of what is gone, only who may read all sees anything
}
