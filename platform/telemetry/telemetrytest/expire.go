package telemetrytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func testExpire(t *testing.T, f *fixture) {
	const extra = 2
	var first iot.ID
	for i := range telemetry.DeleteBatch + extra {
		id := f.event("x", iot.ID(1+i%2), "x", i, `{"f":1}`)
		if i == 0 {
			first = id
		}
	}
	f.event("young", 1, "x", 2000, `{"f":1}`)
	f.event("other type", 1, "y", 0, `{"f":1}`)
	f.event("other fragment", 1, "x", 0, `{"g":1}`)
	_, _, err := f.s.UpdateEvent(f.ctx, tenant, first, rev(1), func(e iot.Event) (iot.Event, error) { e.Text = "changed"; return e, nil })
	f.must(err)
	q := telemetry.EventQuery{Type: "x", Fragment: "f", To: at(1000), Ascending: true}
	if h, err := f.s.HeldEvents(f.ctx, tenant, q); err != nil || h != (telemetry.Held{Documents: telemetry.DeleteBatch + extra, Sources: 2, Bytes: 9*(telemetry.DeleteBatch+extra) + 6}) {
		t.Errorf("held %+v %v", h, err)
	}
	if h, err := f.s.HeldEvents(f.ctx, "other", q); err != nil || h != (telemetry.Held{}) {
		t.Errorf("another tenant holds %+v %v", h, err)
	}
	kept := q
	kept.Except = []iot.Selector{{Type: "y"}, {Source: 1, Type: "x", Fragment: "f"}, {Fragment: "none"}, {Source: 2, Type: "y"}}
	if h, err := f.s.HeldEvents(f.ctx, tenant, kept); err != nil || h.Documents != (telemetry.DeleteBatch+extra)/2 || h.Sources != 1 {
		t.Errorf("held %+v with exceptions, %v", h, err)
	}
	for n := range 1500 { // more than SQLite takes in a chain
		kept.Except = append(kept.Except, iot.Selector{Type: fmt.Sprint("no ", n), Source: 1, Fragment: "f"})
	}
	kept.Except = append(kept.Except, iot.Selector{})
	if gone, err := f.s.ExpireEvents(f.ctx, tenant, kept); err != nil || len(gone) != 0 {
		t.Errorf("removed %d of nothing, %v", len(gone), err)
	}
	for name, c := range map[string]struct {
		q    telemetry.EventQuery
		want int64
	}{
		"type":             {telemetry.EventQuery{To: at(1000), Except: []iot.Selector{{Type: "x"}}}, 1},
		"fragment":         {telemetry.EventQuery{To: at(1000), Except: []iot.Selector{{Fragment: "f"}}}, 1},
		"either":           {telemetry.EventQuery{To: at(1000), Except: []iot.Selector{{Fragment: "f"}, {Type: "x"}}}, 0},
		"both":             {telemetry.EventQuery{To: at(1000), Except: []iot.Selector{{Fragment: "f", Type: "y"}}}, telemetry.DeleteBatch + extra + 1},
		"source":           {telemetry.EventQuery{To: at(1000), Except: []iot.Selector{{Source: 1}}}, (telemetry.DeleteBatch + extra) / 2},
		"fragments differ": {telemetry.EventQuery{To: at(1000), Fragment: "f", Except: []iot.Selector{{Fragment: "g"}}}, telemetry.DeleteBatch + extra + 1},
	} {
		if h, err := f.s.HeldEvents(f.ctx, tenant, c.q); err != nil || h.Documents != c.want {
			t.Errorf("%s: held %+v, want %d, %v", name, h, c.want, err)
		}
	}
	for _, want := range []int{telemetry.DeleteBatch, extra, 0} {
		if gone, err := f.s.ExpireEvents(f.ctx, tenant, q); err != nil || len(gone) != want {
			t.Errorf("removed %d, want %d, %v", len(gone), want, err)
		}
	}
	if _, n, err := f.s.Events(f.ctx, tenant, all, telemetry.EventQuery{Count: true}); n != 3 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
	if v, err := f.s.EventHistory(f.ctx, tenant, first, time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("versions stay: %+v, %v", v, err)
	}
	a := f.alarm("a", 1, "x", 1, iot.Major, iot.Cleared)
	f.alarm("open", 1, "x", 1, iot.Major, iot.Active)
	f.alarm("young", 2, "x", 2000, iot.Major, iot.Cleared)
	aq := telemetry.AlarmQuery{Statuses: []iot.AlarmStatus{iot.Cleared}, To: at(1000)}
	if h, err := f.s.HeldAlarms(f.ctx, tenant, aq); err != nil || h.Documents != 1 || h.Sources != 1 || h.Bytes < 2 {
		t.Errorf("held %+v %v", h, err)
	}
	for _, x := range []iot.Selector{{Source: 1}, {Type: "x"}, {Source: 1, Type: "x"}} {
		kept := aq
		kept.Except = []iot.Selector{{Fragment: "f"}, {Source: 2}, x}
		if gone, err := f.s.ExpireAlarms(f.ctx, tenant, kept); err != nil || len(gone) != 0 {
			t.Errorf("removed %+v in spite of %+v, %v", gone, x, err)
		}
	}
	aq.Except = []iot.Selector{{Fragment: "f"}, {Source: 2}, {Source: 1, Type: "y"}}
	if gone, err := f.s.ExpireAlarms(f.ctx, tenant, aq); err != nil || len(gone) != 1 || gone[0].ID != a.ID {
		t.Errorf("removed %+v, %v", gone, err)
	}
	if v, err := f.s.AlarmHistory(f.ctx, tenant, a.ID, time.Time{}); err != nil || len(v) != 0 {
		t.Errorf("versions stay: %+v, %v", v, err)
	}
	if _, n, err := f.s.Alarms(f.ctx, tenant, all, telemetry.AlarmQuery{Count: true}); n != 2 || err != nil {
		t.Errorf("%d alarms are left, %v", n, err)
	}
}
