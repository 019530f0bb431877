package devicemgmt_test

import (
	"slices"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
)

var bulkAdmin = user("boss", "ROLE_BULK_OPERATION_ADMIN", "ROLE_BULK_OPERATION_READ", "ROLE_INVENTORY_READ", "ROLE_DEVICE_CONTROL_READ", "ROLE_DEVICE_CONTROL_ADMIN")

type bulkRig struct {
	*fixture
	s     *devicemgmt.Bulks
	group iot.ID
}

// bulks has a group with an agent, a device below it in a group of its own, and one that can receive nothing.
func bulks(t *testing.T) *bulkRig {
	f := setup(t)
	r := &bulkRig{fixture: f, s: devicemgmt.NewBulks(devicemgmt.BulkDeps{Operations: f.ops, Store: f.store})}
	r.group = f.object(admin, `{"c8y_IsDeviceGroup":{}}`)
	sub := f.object(admin, `{"c8y_IsDeviceGroup":{}}`)
	other := f.object(admin, `{"c8y_IsDevice":{},"com_cumulocity_model_Agent":{},"n":2}`)
	f.must(f.reg.Link(ctx, admin, r.group, iot.ChildAsset, []iot.ID{f.agent, sub}))
	f.must(f.reg.Link(ctx, admin, sub, iot.ChildAsset, []iot.ID{f.agent, other}))
	return r
}

func (r *bulkRig) ask(b devicemgmt.Bulk) devicemgmt.Bulk {
	r.Helper()
	if b.Start.IsZero() {
		b.Start = r.clock.Now()
	}
	b.Ramp, b.Fragments = time.Second, r.doc(`{"c8y_Restart":{}}`)
	b, err := r.s.Create(ctx, bulkAdmin, b)
	r.must(err)
	return b
}

// work does all that is due until a time has passed.
func (r *bulkRig) work(seconds int) {
	for range seconds {
		for r.s.Work(ctx) == time.Millisecond {
		}
		r.clock.Advance(time.Second)
	}
}

func (r *bulkRig) get(id iot.ID) devicemgmt.Bulk {
	r.Helper()
	b, err := r.s.Get(ctx, bulkAdmin, id)
	r.must(err)
	return b
}

func (r *bulkRig) children(id iot.ID) (out []iot.Operation) {
	r.Helper()
	out, _, err := r.ops.List(ctx, bulkAdmin, devicemgmt.Query{BulkID: id, Limit: 100})
	r.must(err)
	return out
}

func TestLifeOfABulkOperation(t *testing.T) {
	r := bulks(t)
	heard := r.listen()
	start := r.clock.Now().Add(10 * time.Second)
	b := r.ask(devicemgmt.Bulk{Group: r.group, Start: start})
	r.work(9)
	if got := r.get(b.ID); got.Status != devicemgmt.BulkActive || got.General() != devicemgmt.BulkScheduled || len(r.children(b.ID)) != 0 {
		t.Fatalf("before its start: %+v", got)
	}
	r.work(2)
	if got := r.get(b.ID); got.Status != devicemgmt.BulkInProgress || got.Progress != (devicemgmt.Progress{Waiting: 2, Pending: 1}) || got.General() != devicemgmt.BulkExecuting {
		t.Fatalf("after its start: %+v", got)
	}
	r.work(3)
	list := r.children(b.ID)
	if len(list) != 3 || slices.ContainsFunc(list, func(o iot.Operation) bool { return o.BulkID != b.ID || !o.Fragments.Has("c8y_Restart") }) {
		t.Fatalf("%+v", list)
	}
	var agents int
	for _, o := range list {
		if o.Device == r.lone {
			if o.Status != iot.Failed || o.FailureReason == "" {
				t.Errorf("a device that can receive nothing: %+v", o)
			}
			continue
		}
		agents++
		if o.Status != iot.Pending || o.Agent != o.Device {
			t.Errorf("%+v", o)
		}
		done := iot.Successful
		_, err := r.ops.Update(ctx, bulkAdmin, o.ID, devicemgmt.Patch{Status: &done})
		r.must(err)
	}
	if got := r.get(b.ID); agents != 2 || got.Status != devicemgmt.BulkCompleted || got.General() != devicemgmt.BulkFailed || got.Progress != (devicemgmt.Progress{Successful: 2, Failed: 1}) {
		t.Errorf("in the end: %+v", got)
	}
	again := r.ask(devicemgmt.Bulk{FailedParent: b.ID})
	r.work(2)
	if list := r.children(again.ID); len(list) != 1 || list[0].Device != r.lone {
		t.Errorf("repeated for %+v", list)
	}
	for range 3 {
		select {
		case <-heard:
		case <-time.After(5 * time.Second):
			t.Fatal("no word of the operations")
		}
	}
}

func TestBulkOperationsThatCannotBe(t *testing.T) {
	r := bulks(t)
	empty := r.object(admin, `{"c8y_IsDeviceGroup":{}}`)
	smart := r.object(admin, `{"c8y_IsDynamicGroup":{},"c8y_DeviceQueryString":"$filter=(n eq 7)"}`)
	good := devicemgmt.Bulk{Group: r.group, Start: r.clock.Now(), Ramp: time.Second, Fragments: r.doc(`{"a":{}}`)}
	done := r.ask(devicemgmt.Bulk{Group: r.group})
	for name, change := range map[string]func(*devicemgmt.Bulk){
		"no group": func(b *devicemgmt.Bulk) { b.Group = 0 }, "group and parent": func(b *devicemgmt.Bulk) { b.FailedParent = done.ID },
		"an empty group": func(b *devicemgmt.Bulk) { b.Group = empty }, "a smart group that finds nothing": func(b *devicemgmt.Bulk) { b.Group = smart },
		"nothing failed": func(b *devicemgmt.Bulk) { b.Group, b.FailedParent = 0, done.ID },
		"no start":       func(b *devicemgmt.Bulk) { b.Start = time.Time{} }, "no ramp": func(b *devicemgmt.Bulk) { b.Ramp = 0 }, "no prototype": func(b *devicemgmt.Bulk) { b.Fragments = nil },
		"a note that cannot be stored": func(b *devicemgmt.Bulk) { b.Note = "\x00" },
	} {
		b := good
		change(&b)
		_, err := r.s.Create(ctx, bulkAdmin, b)
		r.kind(name, err, fault.Invalid)
	}
	b := good
	b.Group = 99999
	_, err := r.s.Create(ctx, bulkAdmin, b)
	r.kind("a group that does not exist", err, fault.NotFound)
	_, err = r.s.Create(ctx, nobody, good)
	r.kind("without permission", err, fault.Denied)
	_, err = r.s.Get(ctx, nobody, done.ID)
	r.kind("reading without permission", err, fault.Denied)
	_, _, err = r.s.List(ctx, nobody, devicemgmt.BulkQuery{})
	r.kind("listing without permission", err, fault.Denied)
	_, err = r.s.Update(ctx, nobody, done.ID, devicemgmt.BulkPatch{})
	r.kind("changing without permission", err, fault.Denied)
	r.kind("cancelling without permission", r.s.Cancel(ctx, nobody, done.ID), fault.Denied)
	r.kind("cancelling what is not there", r.s.Cancel(ctx, bulkAdmin, 99), fault.NotFound)
}

func TestSmartGroupsAreAskedAtTheStart(t *testing.T) {
	r := bulks(t)
	smart := r.object(admin, `{"c8y_IsDynamicGroup":{},"c8y_DeviceQueryString":"$filter=(n eq 2) $orderby=name"}`)
	b := r.ask(devicemgmt.Bulk{Group: smart, Start: r.clock.Now().Add(time.Second)})
	late := r.object(admin, `{"c8y_IsDevice":{},"com_cumulocity_model_Agent":{},"n":2}`)
	r.work(5)
	if list := r.children(b.ID); len(list) != 2 || list[1].Device != late {
		t.Errorf("%+v", list)
	}
}

func TestBulkOperationsCanBeChangedUntilTheyStart(t *testing.T) {
	r := bulks(t)
	b := r.ask(devicemgmt.Bulk{Group: r.group, Start: r.clock.Now().Add(5 * time.Second)})
	start, ramp, note := r.clock.Now().Add(20*time.Second), 2*time.Second, "later"
	_, err := r.s.Update(ctx, bulkAdmin, b.ID, devicemgmt.BulkPatch{Start: &start, Ramp: &ramp, Note: &note, Fragments: r.doc(`{"b":{}}`)})
	r.must(err)
	r.work(20)
	if len(r.children(b.ID)) != 0 {
		t.Fatal("put off, but begun")
	}
	r.work(1)
	if list := r.children(b.ID); len(list) != 1 || !list[0].Fragments.Has("b") {
		t.Fatalf("%+v", list)
	}
	_, err = r.s.Update(ctx, bulkAdmin, b.ID, devicemgmt.BulkPatch{Start: &start, Ramp: &ramp, Fragments: r.doc(`{"b":{}}`)})
	r.must(err) // says what is so already
	_, err = r.s.Update(ctx, bulkAdmin, b.ID, devicemgmt.BulkPatch{Fragments: r.doc(`{"c":{}}`)})
	r.kind("another operation for the rest", err, fault.Invalid)
	earlier := start.Add(-time.Second)
	_, err = r.s.Update(ctx, bulkAdmin, b.ID, devicemgmt.BulkPatch{Start: &earlier})
	r.kind("another start", err, fault.Invalid)
}

func TestCancellingABulkOperation(t *testing.T) {
	r := bulks(t)
	b := r.ask(devicemgmt.Bulk{Group: r.group})
	r.work(2)
	list := r.children(b.ID)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	busy := iot.Executing
	_, err := r.ops.Update(ctx, bulkAdmin, list[0].ID, devicemgmt.Patch{Status: &busy})
	r.must(err)
	r.must(r.s.Cancel(ctx, bulkAdmin, b.ID))
	r.must(r.s.Cancel(ctx, bulkAdmin, b.ID))
	r.work(5)
	statuses := map[iot.OperationStatus]int{}
	for _, o := range r.children(b.ID) {
		statuses[o.Status]++
	}
	got := r.get(b.ID)
	if statuses[iot.Executing] != 1 || statuses[iot.Failed] != 1 || len(statuses) != 2 || got.General() != devicemgmt.BulkCanceled || got.Progress.Waiting != 0 || !got.Due.IsZero() {
		t.Errorf("%v, %+v", statuses, got)
	}
}
