package devicemgmttest

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
)

// BothStores is a driver with all of it.
type BothStores interface {
	devicemgmt.Store
	devicemgmt.BulkStore
}

// TestBulkStore runs the suite of bulk operations; open returns an empty store.
func TestBulkStore(t *testing.T, open func(t *testing.T) BothStores) {
	for name, test := range map[string]func(*testing.T, *bulkFixture){
		"a bulk operation comes back as it was stored": testBulkRoundTrip, "bulk operations are found by every condition": testBulkList,
		"every device gets one operation, whoever is first": testBulkOnce, "the pace is kept": testBulkPace, "counters follow the operations": testBulkCounters,
		"a cancelled one creates nothing": testBulkCancel, "what is due is found": testBulkDue, "what is over goes without a trace": testBulkExpire,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			test(t, &bulkFixture{fixture{t, s, context.Background()}, s})
		})
	}
}

type bulkFixture struct {
	fixture
	b devicemgmt.BulkStore
}

func (f *bulkFixture) bulk(n int, start int) devicemgmt.Bulk {
	f.t.Helper()
	b := devicemgmt.Bulk{ID: iot.ID(n), Status: devicemgmt.BulkActive, Owner: "ann", Group: 77, Start: at(start), Ramp: 1500 * time.Millisecond, Note: "n", Description: "d",
		Fragments: f.doc(`{"c8y_Restart":{"a":1}}`), Created: at(0), Changed: at(0), Due: at(start)}
	f.must(f.b.CreateBulk(f.ctx, tenant, b, rev(0)))
	return b
}

func (f *bulkFixture) get(id int) devicemgmt.Bulk {
	f.t.Helper()
	b, err := f.b.GetBulk(f.ctx, tenant, iot.ID(id))
	f.must(err)
	return b
}

func child(id, device, bulk iot.ID) iot.Operation {
	return iot.Operation{ID: id, Device: device, Agent: device, Status: iot.Pending, BulkID: bulk, CreationTime: at(1), LastUpdated: at(1), Delivery: iot.Delivery{Status: iot.DeliveryPending, Time: at(1)}}
}

func testBulkRoundTrip(t *testing.T, f *bulkFixture) {
	want := f.bulk(1, 5)
	got := f.get(1)
	if !got.Fragments.Equal(want.Fragments) {
		t.Errorf("fragments %s", got.Fragments.AppendTo(nil))
	}
	got.Fragments, want.Fragments = nil, nil
	if got.Start.Equal(want.Start) && got.Due.Equal(want.Due) {
		got.Start, got.Due = want.Start, want.Due
	}
	if got.ID != want.ID || got.Status != want.Status || got.Owner != want.Owner || got.Group != want.Group || got.Ramp != want.Ramp || got.Note != want.Note || got.Description != want.Description ||
		!got.Start.Equal(want.Start) || !got.Due.Equal(want.Due) || got.Progress != want.Progress {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if _, err := f.b.GetBulk(f.ctx, "other", 1); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("another tenant sees it: %v", err)
	}
	boom := errors.New("no")
	if _, _, err := f.b.UpdateBulk(f.ctx, tenant, 1, rev(2), func(b devicemgmt.Bulk) (devicemgmt.Bulk, error) { return b, boom }); !errors.Is(err, boom) {
		t.Errorf("an update that is refused: %v", err)
	}
	before, after, err := f.b.UpdateBulk(f.ctx, tenant, 1, rev(2), func(b devicemgmt.Bulk) (devicemgmt.Bulk, error) {
		b.Note, b.Ramp, b.Due = "m", time.Second, time.Time{}
		return b, nil
	})
	f.must(err)
	if got := f.get(1); before.Note != "n" || after.Note != "m" || got.Note != "m" || got.Ramp != time.Second || !got.Due.IsZero() || !got.Changed.Equal(at(2)) {
		t.Errorf("%+v", got)
	}
}

func testBulkList(t *testing.T, f *bulkFixture) {
	for n := 1; n <= 4; n++ {
		f.bulk(n, 10*n)
	}
	_, _, err := f.b.UpdateBulk(f.ctx, tenant, 2, rev(1), func(b devicemgmt.Bulk) (devicemgmt.Bulk, error) { b.Status = devicemgmt.BulkDeleted; return b, nil })
	f.must(err)
	_, _, err = f.b.BeginBulk(f.ctx, tenant, 3, []iot.ID{1}, "", rev(30))
	f.must(err)
	for _, c := range []struct {
		name string
		q    devicemgmt.BulkQuery
		want []iot.ID
		n    int
	}{
		{"all", devicemgmt.BulkQuery{Limit: 9}, []iot.ID{4, 3, 1}, 3},
		{"deleted as well", devicemgmt.BulkQuery{Limit: 9, Deleted: true}, []iot.ID{4, 3, 2, 1}, 4},
		{"a page", devicemgmt.BulkQuery{Limit: 1, Offset: 1}, []iot.ID{3}, 3},
		{"none", devicemgmt.BulkQuery{}, nil, 3},
		{"statuses", devicemgmt.BulkQuery{Limit: 9, General: []devicemgmt.GeneralStatus{devicemgmt.BulkCanceled, devicemgmt.BulkExecuting}}, []iot.ID{3, 2}, 2},
		{"a time", devicemgmt.BulkQuery{Limit: 9, From: at(10), To: at(40)}, []iot.ID{3, 1}, 2},
	} {
		c.q.Count = true
		list, n, err := f.b.ListBulks(f.ctx, tenant, c.q)
		f.must(err)
		var got []iot.ID
		for _, b := range list {
			got = append(got, b.ID)
		}
		if !slices.Equal(got, c.want) || n != c.n {
			t.Errorf("%s: %v of %d, want %v of %d", c.name, got, n, c.want, c.n)
		}
	}
}

func testBulkOnce(t *testing.T, f *bulkFixture) {
	f.bulk(1, 5)
	devices := []iot.ID{10, 11, 12, 13, 14, 15, 16, 17}
	if _, began, err := f.b.BeginBulk(f.ctx, tenant, 1, devices, "", rev(4)); err != nil || began {
		t.Fatalf("begun before it is due: %v, %v", began, err)
	}
	after, began, err := f.b.BeginBulk(f.ctx, tenant, 1, devices, "", rev(6))
	if err != nil || !began || after.Status != devicemgmt.BulkInProgress || after.Progress.Waiting != len(devices) {
		t.Fatalf("%+v, %v, %v", after, began, err)
	}
	if _, began, err := f.b.BeginBulk(f.ctx, tenant, 1, devices, "", rev(6)); err != nil || began {
		t.Fatalf("begun twice: %v, %v", began, err)
	}
	var made sync.Map
	var nodes sync.WaitGroup
	for node := range 4 {
		nodes.Go(func() {
			for n := 1; ; n++ {
				device, err := f.b.NextMember(f.ctx, tenant, 1)
				if err != nil {
					t.Error(err)
				}
				if device == 0 || err != nil {
					return
				}
				id := iot.ID(node*1000 + n)
				_, ok, err := f.b.StepBulk(f.ctx, tenant, child(id, device, 1), rev(3600+2*n))
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := made.LoadOrStore(device, id); ok && twice {
					t.Errorf("device %d has two", device)
				}
				if !ok {
					made.CompareAndDelete(device, id)
				}
			}
		})
	}
	nodes.Wait()
	list, n, err := f.s.List(f.ctx, tenant, all, devicemgmt.Query{BulkID: 1, Limit: 100, Count: true})
	f.must(err)
	seen := map[iot.ID]int{}
	for _, o := range list {
		seen[o.Device]++
	}
	if n != len(devices) || len(seen) != len(devices) {
		t.Errorf("%d operations for %d devices", n, len(seen))
	}
	if b := f.get(1); b.Status != devicemgmt.BulkCompleted || b.Progress != (devicemgmt.Progress{Pending: len(devices)}) || !b.Due.IsZero() {
		t.Errorf("%+v", b)
	}
}

func testBulkPace(t *testing.T, f *bulkFixture) {
	f.bulk(1, 5)
	_, _, err := f.b.BeginBulk(f.ctx, tenant, 1, []iot.ID{10, 11, 12}, "", rev(5))
	f.must(err)
	step := func(id, device iot.ID, when int, want bool) devicemgmt.Bulk {
		t.Helper()
		after, made, err := f.b.StepBulk(f.ctx, tenant, child(id, device, 1), rev(when))
		if err != nil || made != want {
			t.Fatalf("at %d: %v, %v", when, made, err)
		}
		return after
	}
	if b := step(1, 10, 5, true); !b.Due.Equal(at(5).Add(1500 * time.Millisecond)) {
		t.Errorf("due %s", b.Due)
	}
	step(2, 11, 6, false)
	if _, err := f.s.Get(f.ctx, tenant, 2); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("too early, but there it is: %v", err)
	}
	if b := step(2, 11, 100, true); !b.Due.Equal(at(100)) {
		t.Errorf("after a pause due %s", b.Due)
	}
	step(3, 11, 101, false) // it has one
	if b := step(3, 12, 101, true); b.Status != devicemgmt.BulkCompleted {
		t.Errorf("%+v", b)
	}
	if device, err := f.b.NextMember(f.ctx, tenant, 1); err != nil || device != 0 {
		t.Errorf("%d waits, %v", device, err)
	}
}

func testBulkCounters(t *testing.T, f *bulkFixture) {
	f.bulk(1, 5)
	_, _, err := f.b.BeginBulk(f.ctx, tenant, 1, []iot.ID{10, 11, 12, 13}, "", rev(5))
	f.must(err)
	for i := range 4 {
		o := child(iot.ID(i+1), iot.ID(10+i), 1)
		if i == 3 {
			o.Status = iot.Failed
		}
		_, made, err := f.b.StepBulk(f.ctx, tenant, o, rev(100+10*i))
		if err != nil || !made {
			t.Fatal(made, err)
		}
	}
	to := func(id iot.ID, s iot.OperationStatus) {
		t.Helper()
		_, _, _, err := f.s.Update(f.ctx, tenant, id, rev(200), func(o iot.Operation) iot.Operation { o.Status = s; return o })
		f.must(err)
	}
	want := func(p devicemgmt.Progress, g devicemgmt.GeneralStatus) {
		t.Helper()
		if b := f.get(1); b.Progress != p || b.General() != g {
			t.Errorf("%+v %s, want %+v %s", b.Progress, b.General(), p, g)
		}
		if list, _, err := f.b.ListBulks(f.ctx, tenant, devicemgmt.BulkQuery{General: []devicemgmt.GeneralStatus{g}, Limit: 5}); err != nil || len(list) != 1 {
			t.Errorf("%s finds %d, %v", g, len(list), err)
		}
	}
	want(devicemgmt.Progress{Pending: 3, Failed: 1}, devicemgmt.BulkExecutingWithError)
	to(1, iot.Executing)
	to(2, iot.Successful)
	want(devicemgmt.Progress{Pending: 1, Executing: 1, Successful: 1, Failed: 1}, devicemgmt.BulkExecutingWithError)
	failed, err := f.b.FailedDevices(f.ctx, tenant, 1, 9)
	if err != nil || !slices.Equal(failed, []iot.ID{13}) {
		t.Errorf("failed %v, %v", failed, err)
	}
	to(4, iot.Successful)
	to(1, iot.Successful)
	want(devicemgmt.Progress{Pending: 1, Successful: 3}, devicemgmt.BulkExecuting)
	_, err = f.s.Delete(f.ctx, tenant, all, devicemgmt.Query{BulkID: 1}, rev(300)) // what is over has happened, what is open never will
	f.must(err)
	want(devicemgmt.Progress{Successful: 3}, devicemgmt.BulkSuccessful)
}

func testBulkCancel(t *testing.T, f *bulkFixture) {
	f.bulk(1, 5)
	_, _, err := f.b.BeginBulk(f.ctx, tenant, 1, []iot.ID{10, 11}, "", rev(5))
	f.must(err)
	_, _, err = f.b.UpdateBulk(f.ctx, tenant, 1, rev(6), func(b devicemgmt.Bulk) (devicemgmt.Bulk, error) {
		b.Status, b.Progress.Waiting = devicemgmt.BulkDeleted, 0
		return b, nil
	})
	f.must(err)
	if _, made, err := f.b.StepBulk(f.ctx, tenant, child(1, 10, 1), rev(100)); err != nil || made {
		t.Errorf("%v, %v", made, err)
	}
	if device, err := f.b.NextMember(f.ctx, tenant, 1); err != nil || device != 0 {
		t.Errorf("%d waits, %v", device, err)
	}
	f.bulk(2, 5)
	if b, began, err := f.b.BeginBulk(f.ctx, tenant, 2, nil, "empty", rev(5)); err != nil || !began || b.Status != devicemgmt.BulkCompleted || b.General() != devicemgmt.BulkFailed || b.Reason != "empty" {
		t.Errorf("%+v, %v, %v", b, began, err)
	}
}

func testBulkDue(t *testing.T, f *bulkFixture) {
	if due, next, err := f.b.DueBulks(f.ctx, at(5), 9); err != nil || due != nil || !next.IsZero() {
		t.Fatalf("%v, %s, %v", due, next, err)
	}
	f.bulk(1, 20)
	f.bulk(2, 10)
	want := func(when int, next time.Time, ids ...iot.ID) {
		t.Helper()
		due, got, err := f.b.DueBulks(f.ctx, at(when), 9)
		f.must(err)
		var list []iot.ID
		for _, k := range due {
			list = append(list, k.ID)
		}
		if !slices.Equal(list, ids) || !got.Equal(next) {
			t.Errorf("at %d: %v, then %s", when, list, got)
		}
	}
	want(9, at(10))
	want(10, time.Time{}, 2)
	want(20, time.Time{}, 2, 1)
	f.must(f.b.PostponeBulk(f.ctx, tenant, 2, at(30)))
	want(20, time.Time{}, 1)
	f.must(f.b.PostponeBulk(f.ctx, tenant, 1, time.Time{}))
	f.must(f.b.PostponeBulk(f.ctx, tenant, 1, at(20))) // there is no work to put off
	want(20, at(30))
}

func testBulkExpire(t *testing.T, f *bulkFixture) {
	over := func(n int, made time.Time, s devicemgmt.BulkStatus, p devicemgmt.Progress, doc string) {
		t.Helper()
		f.must(f.b.CreateBulk(f.ctx, tenant, devicemgmt.Bulk{ID: iot.ID(n), Status: s, Owner: "ann", Group: 77, Start: at(0), Ramp: time.Second, Note: "n", Description: "d",
			Fragments: f.doc(doc), Created: made, Changed: made, Progress: p}, rev(0)))
	}
	done := devicemgmt.Progress{Successful: 1, Failed: 1}
	over(1, at(0), devicemgmt.BulkCompleted, done, `{"f":1}`)
	over(2, at(0), devicemgmt.BulkDeleted, devicemgmt.Progress{}, `{"f":1}`)
	over(3, at(0), devicemgmt.BulkCompleted, devicemgmt.Progress{Executing: 1}, `{"f":1}`)
	over(4, at(2000), devicemgmt.BulkCompleted, done, `{"f":1}`)
	over(5, at(0), devicemgmt.BulkCompleted, done, `{"g":1}`)
	f.bulk(6, 1)
	_, _, err := f.b.UpdateBulk(f.ctx, tenant, 1, rev(1), func(b devicemgmt.Bulk) (devicemgmt.Bulk, error) { b.Note = "n"; return b, nil })
	f.must(err)
	if h, err := f.b.HeldBulks(f.ctx, tenant, devicemgmt.Old{Before: at(1000), Fragment: "f"}); err != nil || h != (devicemgmt.Held{Documents: 2, Bytes: 18}) {
		t.Errorf("held %+v %v", h, err)
	}
	if h, err := f.b.HeldBulks(f.ctx, "other", devicemgmt.Old{Before: at(1000)}); err != nil || h != (devicemgmt.Held{}) {
		t.Errorf("another tenant holds %+v %v", h, err)
	}
	for _, want := range [][]iot.ID{{1, 2}, nil} {
		if gone, err := f.b.ExpireBulks(f.ctx, tenant, devicemgmt.Old{Before: at(1000), Fragment: "f"}); err != nil || !slices.Equal(gone, want) {
			t.Errorf("removed %v, want %v, %v", gone, want, err)
		}
	}
	kept := devicemgmt.Old{Before: at(1000), Except: []iot.Selector{{Fragment: "h"}, {Source: 1}, {Type: "t"}, {Fragment: "g"}}}
	if h, err := f.b.HeldBulks(f.ctx, tenant, kept); err != nil || h != (devicemgmt.Held{}) {
		t.Errorf("held %+v in spite of an exception, %v", h, err)
	}
	if gone, err := f.b.ExpireBulks(f.ctx, tenant, kept); err != nil || len(gone) != 0 {
		t.Errorf("removed %v in spite of an exception, %v", gone, err)
	}
	kept.Except = kept.Except[:3] // none of which a bulk operation can meet
	if gone, err := f.b.ExpireBulks(f.ctx, tenant, kept); err != nil || !slices.Equal(gone, []iot.ID{5}) {
		t.Errorf("removed %v of any fragment, %v", gone, err)
	}
	for _, id := range []int{3, 4, 6} {
		f.get(id)
	}
	if _, err := f.b.GetBulk(f.ctx, tenant, 1); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("what was removed is there: %v", err)
	}
}
