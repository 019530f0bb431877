// Package devicemgmttest is the conformance suite that every driver of platform/devicemgmt must pass.
package devicemgmttest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/security/access"
)

const tenant = iot.TenantID("acme")

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all   = access.Scope{All: true}
)

// TestStore runs the suite; open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) devicemgmt.Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"operations are found by every condition": testQueries, "pages with equal times are stable": testPaging, "an update keeps history": testUpdate,
		"what is too old goes without a trace": testExpire, "delivery makes no version": testDelivery, "operations are deleted in batches": testDelete, "tenants never meet": testTenants,
		"concurrent updates are not lost": testConcurrent, "ids start small": testIDs,
	} {
		t.Run(name, func(t *testing.T) { test(t, &fixture{t, open(t), context.Background()}) })
	}
}

type fixture struct {
	t   *testing.T
	s   devicemgmt.Store
	ctx context.Context
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func rev(n int) sqlkit.Revision {
	return sqlkit.Revision{At: at(n), By: "ann", Set: fmt.Sprint("set", n)}
}

func (f *fixture) doc(text string) iot.Doc {
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	f.must(err)
	return d
}

// add stores an operation named by its description.
func (f *fixture) add(o iot.Operation, seconds int, fragments string) iot.ID {
	f.t.Helper()
	var err error
	o.ID, err = f.s.NextID(f.ctx, tenant)
	f.must(err)
	if o.Status == "" {
		o.Status = iot.Pending
	}
	o.CreationTime, o.LastUpdated, o.Fragments = at(seconds), at(seconds), f.doc(fragments)
	f.must(f.s.Create(f.ctx, tenant, o, rev(0)))
	return o.ID
}

func (f *fixture) list(q devicemgmt.Query) string {
	f.t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	q.Count = true
	found, n, err := f.s.List(f.ctx, tenant, all, q)
	f.must(err)
	if n != len(found) && q.Limit == 100 && q.Offset == 0 {
		f.t.Errorf("%+v: count %d, got %d", q, n, len(found))
	}
	names := make([]string, len(found))
	for i, o := range found {
		names[i] = o.Description
	}
	return strings.Join(names, " ")
}

func testQueries(t *testing.T, f *fixture) {
	f.add(iot.Operation{Description: "a", Device: 1, Agent: 1}, 1, `{"c8y_Restart":{}}`)
	f.add(iot.Operation{Description: "b", Device: 2, Agent: 1, Status: iot.Executing, BulkID: 7}, 2, `{"c8y_Command":{"text":"x"},"c8y_Restart":{}}`)
	f.add(iot.Operation{Description: "c", Device: 3, Agent: 3, Status: iot.Failed, BulkID: 7}, 3, `{}`)
	for want, queries := range map[string][]devicemgmt.Query{
		"a b c": {{}, {Devices: []iot.ID{1, 2, 3}}, {From: at(0), To: at(9)}},
		"c b a": {{Descending: true}},
		"a b":   {{Receiver: 1}, {Devices: []iot.ID{1, 2}}, {Fragment: "c8y_Restart"}, {To: at(3)}},
		"b":     {{Device: 2}, {Status: iot.Executing, Receiver: 1}, {Fragment: "c8y_Command"}, {Offset: 1, Limit: 1}},
		"b c":   {{BulkID: 7}, {From: at(2)}},
		"":      {{Devices: []iot.ID{}}, {Fragment: "text"}, {Status: iot.Successful}, {Device: 9}, {Offset: 3}},
	} {
		for _, q := range queries {
			if got := f.list(q); got != want {
				t.Errorf("%+v: got %q, want %q", q, got, want)
			}
		}
	}
}

func testPaging(t *testing.T, f *fixture) {
	const n = 13
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("o%02d", i))
		f.add(iot.Operation{Description: want[i], Device: 1, Agent: 1}, 5, `{"f":1}`)
	}
	for _, q := range []devicemgmt.Query{{}, {Receiver: 1, Status: iot.Pending}, {Device: 1, Fragment: "f"}} {
		var got []string
		for q.Offset = 0; q.Offset < n; q.Offset += 4 {
			q.Limit = 4
			got = append(got, f.list(q))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

func testUpdate(t *testing.T, f *fixture) {
	id := f.add(iot.Operation{Description: "d", Device: 1, Agent: 1}, 1, `{"a":1}`)
	change := func(o iot.Operation) iot.Operation {
		o.Status, o.FailureReason, o.Fragments, o.Device = iot.Failed, "why ☃", f.doc(`{"b":2}`), 99
		return o
	}
	before, after, written, err := f.s.Update(f.ctx, tenant, id, rev(300), change)
	if err != nil || !written || before.Status != iot.Pending || after.Status != iot.Failed || after.Device != 1 || !after.LastUpdated.Equal(at(300)) {
		t.Fatalf("%+v -> %+v, %v, %v", before, after, written, err)
	}
	if _, _, written, err = f.s.Update(f.ctx, tenant, id, rev(301), change); err != nil || written {
		t.Errorf("an update that changes nothing: %v, %v", written, err)
	}
	o, err := f.s.Get(f.ctx, tenant, id)
	if err != nil || o.FailureReason != "why ☃" || !o.CreationTime.Equal(at(1)) || o.Fragments.Has("a") {
		t.Errorf("stored %+v, %v", o, err)
	}
	if f.list(devicemgmt.Query{Fragment: "a"}) != "" || f.list(devicemgmt.Query{Fragment: "b"}) != "d" {
		t.Error("the fragments are not found as they are now")
	}
	v, err := f.s.History(f.ctx, tenant, id, time.Time{})
	if err != nil || len(v) != 1 || v[0].Operation.Status != iot.Pending || !v[0].Operation.Fragments.Has("a") || v[0].Until.By != "ann" || !v[0].From.Equal(at(1)) {
		t.Errorf("history %+v, %v", v, err)
	}
	for when, want := range map[int]int{0: 0, 1: 1, 299: 1, 300: 0} { // from its creation up to the change
		if v, err := f.s.History(f.ctx, tenant, id, at(when)); err != nil || len(v) != want {
			t.Errorf("as of %d: %+v, %v, want %d", when, v, err, want)
		}
	}
	if _, _, _, err := f.s.Update(f.ctx, tenant, 99999, rev(1), change); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("update of nothing: %v", err)
	}
}

func testDelivery(t *testing.T, f *fixture) {
	id := f.add(iot.Operation{Device: 1, Agent: 1, Delivery: iot.Delivery{Status: iot.DeliveryPending, Time: at(1)}}, 1, `{}`)
	f.must(f.s.SetDelivery(f.ctx, tenant, id, iot.Delivery{Status: iot.DeliveryDelivered, Time: at(2)}))
	o, err := f.s.Get(f.ctx, tenant, id)
	if err != nil || o.Delivery != (iot.Delivery{Status: iot.DeliveryDelivered, Time: at(2)}) || o.Status != iot.Pending || !o.LastUpdated.Equal(at(1)) {
		t.Errorf("stored %+v, %v", o, err)
	}
	if v, err := f.s.History(f.ctx, tenant, id, time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("history %v, %v", v, err)
	}
	if err := f.s.SetDelivery(f.ctx, tenant, 99999, iot.Delivery{}); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("delivery of nothing: %v", err)
	}
}

func testDelete(t *testing.T, f *fixture) {
	for i := range devicemgmt.DeleteBatch + 2 {
		f.add(iot.Operation{Device: 1, Agent: 1}, i, `{"f":1}`)
	}
	f.add(iot.Operation{Description: "stays", Device: 2, Agent: 1}, 1, `{"f":1}`)
	var first iot.ID
	for i, want := range []int{devicemgmt.DeleteBatch, 2, 0} {
		gone, err := f.s.Delete(f.ctx, tenant, all, devicemgmt.Query{Device: 1}, rev(900))
		if err != nil || len(gone) != want {
			t.Fatalf("removed %d, want %d, %v", len(gone), want, err)
		}
		if i == 0 {
			first = gone[0].ID
		}
	}
	if got := f.list(devicemgmt.Query{Fragment: "f"}); got != "stays" {
		t.Errorf("left %q", got)
	}
	if v, err := f.s.History(f.ctx, tenant, first, time.Time{}); err != nil || len(v) != 1 || !v[0].Deleted {
		t.Errorf("history %+v, %v", v, err)
	}
}

func testExpire(t *testing.T, f *fixture) {
	first := f.add(iot.Operation{Device: 1, Agent: 1}, 0, `{"f":1}`)
	for i := range devicemgmt.DeleteBatch {
		f.add(iot.Operation{Device: 2, Agent: 1}, i, `{"f":1}`)
	}
	f.add(iot.Operation{Description: "young", Device: 1, Agent: 1}, 2000, `{"f":1}`)
	_, _, _, err := f.s.Update(f.ctx, tenant, first, rev(1), func(o iot.Operation) iot.Operation { o.Status = iot.Successful; return o })
	f.must(err)
	q := devicemgmt.Query{Fragment: "f", To: at(1000)}
	if h, err := f.s.Held(f.ctx, tenant, q); err != nil || h != (devicemgmt.Held{Documents: devicemgmt.DeleteBatch + 1, Devices: 2, Bytes: 7 * (devicemgmt.DeleteBatch + 1)}) {
		t.Errorf("held %+v, %v", h, err)
	}
	for want, except := range map[int64][]iot.Selector{0: {{Fragment: "f"}}, 1: {{Source: 2}, {Fragment: "g"}}, devicemgmt.DeleteBatch: {{Source: 1, Fragment: "f"}, {Type: "t"}, {Source: 2, Fragment: "g"}}} {
		q := q
		q.Except = except
		if h, err := f.s.Held(f.ctx, tenant, q); err != nil || h.Documents != want {
			t.Errorf("held %+v, want %d, %v", h, want, err)
		}
	}
	for _, want := range []int{devicemgmt.DeleteBatch, 1, 0} {
		if gone, err := f.s.Expire(f.ctx, tenant, q); err != nil || len(gone) != want {
			t.Errorf("removed %d, want %d, %v", len(gone), want, err)
		}
	}
	if got := f.list(devicemgmt.Query{}); got != "young" {
		t.Errorf("left %q", got)
	}
	if v, err := f.s.History(f.ctx, tenant, first, time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("versions stay: %+v, %v", v, err)
	}
}

func testTenants(t *testing.T, f *fixture) {
	id := f.add(iot.Operation{Description: "mine", Device: 1, Agent: 1}, 1, `{"f":1}`)
	const other = iot.TenantID("other")
	if _, err := f.s.Get(f.ctx, other, id); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("get: %v", err)
	}
	f.must(f.s.Create(f.ctx, other, iot.Operation{ID: id, Device: 1, Agent: 1, Status: iot.Pending, Description: "theirs"}, rev(0)))
	if _, err := f.s.Delete(f.ctx, other, all, devicemgmt.Query{}, rev(1)); err != nil {
		t.Error(err)
	}
	if f.list(devicemgmt.Query{Fragment: "f"}) != "mine" {
		t.Error("a deletion reached another tenant")
	}
}

func testConcurrent(t *testing.T, f *fixture) {
	id := f.add(iot.Operation{Device: 1, Agent: 1}, 1, `{}`)
	const callers, times = 6, 5
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range times {
				_, _, _, err := f.s.Update(f.ctx, tenant, id, rev(1), func(o iot.Operation) iot.Operation {
					o.FailureReason += "x"
					return o
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if o, err := f.s.Get(f.ctx, tenant, id); err != nil || len(o.FailureReason) != callers*times {
		t.Errorf("%d of %d updates, %v", len(o.FailureReason), callers*times, err)
	}
}

func testIDs(t *testing.T, f *fixture) {
	if id, err := f.s.NextID(f.ctx, tenant); err != nil || id != 1 {
		t.Errorf("the first id is %d, %v", id, err)
	}
}
