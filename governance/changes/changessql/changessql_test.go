package changessql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/changes/changessql"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/governance/tenancy/tenancysql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/platform/telemetry/telemetrysql"
	"github.com/isobar-iot/isobar/security/access"
)

const tenant = iot.TenantID("acme")

var (
	ctx        = context.Background()
	errRefused = errors.New("refused")
)

// fixture is the drivers of all kinds on one database.
type fixture struct {
	t          testing.TB
	log        *changessql.Store
	objects    *registrysql.Store
	data       *telemetrysql.Store
	operations *devicemgmtsql.Store
	options    *tenancysql.Store
	device     iot.ID
}

func newFixture(t testing.TB, db *sqlkit.DB) *fixture {
	t.Helper()
	f := &fixture{t: t, log: changessql.New(db)}
	var errs [4]error
	f.objects, errs[0] = registrysql.New(ctx, db)
	f.data, errs[1] = telemetrysql.New(ctx, db)
	f.operations, errs[2] = devicemgmtsql.New(ctx, db)
	f.options, errs[3] = tenancysql.New(ctx, db)
	f.must(errors.Join(errs[:]...))
	f.device = f.object("device", rev(0, "setup"))
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func rev(second int, set string) sqlkit.Revision {
	return sqlkit.Revision{At: time.Unix(1_800_000_000+int64(second), 0).UTC(), By: "ann", Set: set}
}

// views are those of who sees managed objects, and data about them, in a scope, and options if they see all.
func (f *fixture) views(scope access.Scope) []changes.View {
	out := []changes.View{{Kind: iot.KindManagedObject, Documents: f.objects.Objects(), Scope: scope}, {Kind: iot.KindRelation, Documents: f.objects.Links(), Scope: scope},
		{Kind: iot.KindAlarm, Documents: f.data.AlarmDocuments(), Scope: scope}, {Kind: iot.KindEvent, Documents: f.data.EventDocuments(), Scope: scope},
		{Kind: iot.KindOperation, Documents: f.operations.Documents(), Scope: scope}}
	if scope.All {
		out = append(out, changes.View{Kind: iot.KindOption, Documents: f.options.OptionDocuments(), Scope: scope})
	}
	return out
}

func (f *fixture) everything() []changes.View { return f.views(access.Scope{All: true}) }

func (f *fixture) object(name string, r sqlkit.Revision) iot.ID {
	f.t.Helper()
	id, err := f.objects.NextID(ctx, tenant)
	f.must(err)
	f.must(f.objects.Create(ctx, tenant, []registry.New{{Object: iot.ManagedObject{ID: id, Name: name, Owner: "ann", CreationTime: r.At, LastUpdated: r.At}}}, r))
	return id
}

func (f *fixture) rename(id iot.ID, name string, r sqlkit.Revision) {
	f.t.Helper()
	_, _, err := f.objects.Update(ctx, tenant, id, r, func(o iot.ManagedObject) (iot.ManagedObject, error) { o.Name = name; return o, nil })
	f.must(err)
}

func (f *fixture) raise(source iot.ID, typ string, r sqlkit.Revision) iot.ID {
	f.t.Helper()
	id, err := f.data.NextID(ctx, tenant)
	f.must(err)
	a := iot.Alarm{ID: id, Source: source, Type: typ, Text: typ, Time: r.At, CreationTime: r.At, LastUpdated: r.At, Severity: iot.Major, Status: iot.Active, Count: 1}
	_, after, err := f.data.Raise(ctx, tenant, a, r, func(open iot.Alarm) iot.Alarm { open.Count++; open.Time = r.At; return open })
	f.must(err)
	return after.ID
}

func (f *fixture) clear(id iot.ID, r sqlkit.Revision) {
	f.t.Helper()
	_, err := f.data.UpdateAlarms(ctx, tenant, []iot.ID{id}, r, func(a iot.Alarm) iot.Alarm { a.Status = iot.Cleared; return a })
	f.must(err)
}

func (f *fixture) event(text string, r sqlkit.Revision, fragments iot.Doc) iot.ID {
	f.t.Helper()
	id, err := f.data.NextID(ctx, tenant)
	f.must(err)
	f.must(f.data.CreateEvent(ctx, tenant, iot.Event{ID: id, Source: f.device, Type: "t", Text: text, Time: r.At, CreationTime: r.At, LastUpdated: r.At, Fragments: fragments}, r))
	return id
}

func (f *fixture) reword(id iot.ID, text string, r sqlkit.Revision) {
	f.t.Helper()
	_, _, err := f.data.UpdateEvent(ctx, tenant, id, r, func(e iot.Event) (iot.Event, error) { e.Text = text; return e, nil })
	f.must(err)
}

func (f *fixture) put(key, value string, r sqlkit.Revision) {
	f.t.Helper()
	f.must(f.options.PutOptions(ctx, tenant, []tenancy.Option{{OptionKey: tenancy.OptionKey{Category: "c", Key: key}, Value: value}}, r))
}

// state is everything that the tests change, in words.
func (f *fixture) state() string {
	f.t.Helper()
	var out []string
	objects, _, err := f.objects.List(ctx, tenant, access.Scope{All: true}, registry.Query{Limit: 100})
	f.must(err)
	for _, o := range objects {
		rel, err := f.objects.Neighbours(ctx, tenant, []iot.ID{o.ID}, false)
		f.must(err)
		text := o.Name
		for _, x := range rel {
			text += ">" + x.Name
		}
		out = append(out, text)
	}
	alarms, _, err := f.data.Alarms(ctx, tenant, access.Scope{All: true}, telemetry.AlarmQuery{Limit: 100})
	f.must(err)
	for _, a := range alarms {
		out = append(out, fmt.Sprint(a.Type, "=", a.Status, ":", a.Count))
	}
	events, _, err := f.data.Events(ctx, tenant, access.Scope{All: true}, telemetry.EventQuery{Limit: 100})
	f.must(err)
	for _, e := range events {
		out = append(out, e.Text)
	}
	operations, _, err := f.operations.List(ctx, tenant, access.Scope{All: true}, devicemgmt.Query{Limit: 100})
	f.must(err)
	for _, o := range operations {
		out = append(out, string(o.Status))
	}
	options, err := f.options.Options(ctx, tenant, "")
	f.must(err)
	for _, o := range options {
		out = append(out, o.Key+"="+o.Value)
	}
	return strings.Join(out, " ")
}

func (f *fixture) undo(set string, r sqlkit.Revision) ([]changes.Change, []changes.Conflict) {
	f.t.Helper()
	done, conflicts, err := f.log.Undo(ctx, tenant, changes.Undo{Set: set, Rev: r, Reason: "why", Views: f.everything(), Decide: func(_ []changes.Change, c []changes.Conflict) error {
		if len(c) > 0 {
			return errRefused
		}
		return nil
	}})
	if (err != nil) != (len(conflicts) > 0) || err != nil && !errors.Is(err, errRefused) {
		f.t.Fatalf("undo of %s: %v with %+v", set, err, conflicts)
	}
	return done, conflicts
}

// sets lists the change sets with how many changes each has in view, the latest first.
func (f *fixture) sets(views []changes.View, q changes.Query) string {
	f.t.Helper()
	q.Limit, q.Count = 100, true
	all, n, err := f.log.ChangeSets(ctx, tenant, views, q)
	f.must(err)
	if n != len(all) {
		f.t.Errorf("%d are counted of %d", n, len(all))
	}
	var out []string
	for _, s := range all {
		out = append(out, fmt.Sprint(s.ID, ":", s.Changes))
		_, inside, err := f.log.ChangeSet(ctx, tenant, views, s.ID, 100)
		f.must(err)
		if len(inside) != s.Changes && q.Object == 0 { // with an object, only its changes are counted
			f.t.Errorf("%s is listed with %d changes and has %d", s.ID, s.Changes, len(inside))
		}
	}
	return strings.Join(out, " ")
}

// TestOneSetOfAllKinds takes back changes of all kinds at once, or none of them.
func TestOneSetOfAllKinds(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := newFixture(t, db)
		group, old := f.object("group", rev(1, "setup")), f.object("old", rev(1, "setup"))
		_, err := f.objects.Link(ctx, tenant, group, iot.ChildAsset, []iot.ID{f.device, old}, rev(1, "setup"))
		f.must(err)
		open, doomed := f.raise(f.device, "open", rev(2, "in")), f.raise(f.device, "doomed", rev(2, "in"))
		said, unsaid := f.event("said", rev(3, "in"), nil), f.event("unsaid", rev(4, "in"), nil)
		f.put("speed", "1", rev(5, "setup"))
		f.put("credentials.key", "sealed:one", rev(5, "setup"))
		f.put("gone", "x", rev(5, "setup"))
		before := f.state()

		r := rev(10, "big")
		f.rename(f.device, "renamed", r)
		_, err = f.objects.Delete(ctx, tenant, []iot.ID{old}, r, nil)
		f.must(err)
		fresh := f.object("fresh", r)
		_, err = f.objects.Link(ctx, tenant, group, iot.ChildAsset, []iot.ID{fresh}, r)
		f.must(err)
		f.clear(open, r)
		_, err = f.data.DeleteAlarms(ctx, tenant, access.Scope{All: true}, telemetry.AlarmQuery{IDs: []iot.ID{doomed}}, r)
		f.must(err)
		f.reword(said, "changed", r)
		_, err = f.data.DeleteEvents(ctx, tenant, access.Scope{All: true}, telemetry.EventQuery{IDs: []iot.ID{unsaid}}, r)
		f.must(err)
		f.put("speed", "2", r)
		f.put("speed", "3", r)
		f.put("credentials.key", "sealed:two", r)
		f.put("new", "y", r)
		f.must(f.options.DeleteOption(ctx, tenant, tenancy.OptionKey{Category: "c", Key: "gone"}, r))
		after := f.state()
		if got := f.sets(f.everything(), changes.Query{From: r.At}); got != "big:14" {
			t.Errorf("the log has %s", got)
		}

		stays := f.object("stays", rev(11, "late"))
		_, err = f.objects.Link(ctx, tenant, fresh, iot.ChildAsset, []iot.ID{stays}, rev(11, "late"))
		f.must(err)
		hindered := f.state()
		if _, conflicts := f.undo("big", rev(12, "x")); len(conflicts) != 1 || conflicts[0].ID != fresh.String() || f.state() != hindered {
			t.Errorf("with something below what would go: %+v, and it left\n%s, want\n%s", conflicts, f.state(), hindered)
		}
		f.undo("late", rev(13, "away"))
		if f.state() != after {
			t.Errorf("without it there is\n%s, want\n%s", f.state(), after)
		}
		if done, _ := f.undo("big", rev(14, "back")); len(done) != 13 || f.state() != before {
			t.Errorf("taking back %d changes left\n%s, want\n%s", len(done), f.state(), before)
		}
		f.put("speed", "4", rev(15, "later"))
		for set, later := range map[string]string{"back": "later", "big": "back"} {
			if _, conflicts := f.undo(set, rev(16, "x")); len(conflicts) == 0 || conflicts[len(conflicts)-1].Set != later {
				t.Errorf("undo of %s after a change: %+v", set, conflicts)
			}
		}
	})
}

// TestUndoAndRedo takes back a set of all kinds, and then that, again and again.
func TestUndoAndRedo(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := newFixture(t, db)
		open, doomed := f.raise(f.device, "open", rev(2, "in")), f.raise(f.device, "doomed", rev(2, "in"))
		unsaid := f.event("unsaid", rev(4, "in"), nil)
		f.put("credentials.key", "sealed:one", rev(5, "setup"))
		before, r := f.state(), rev(10, "0")
		f.rename(f.device, "renamed", r)
		f.clear(open, r)
		_, err := f.data.DeleteAlarms(ctx, tenant, access.Scope{All: true}, telemetry.AlarmQuery{IDs: []iot.ID{doomed}}, r)
		f.must(err)
		_, err = f.data.DeleteEvents(ctx, tenant, access.Scope{All: true}, telemetry.EventQuery{IDs: []iot.ID{unsaid}}, r)
		f.must(err)
		f.put("credentials.key", "sealed:two", r)
		f.put("new", "y", r)
		after := f.state()
		for n := range 4 {
			done, _ := f.undo(fmt.Sprint(n), rev(11+n, fmt.Sprint(n+1)))
			want := before
			if n%2 == 1 {
				want = after
			}
			if got := f.state(); len(done) != 6 || got != want {
				t.Errorf("after undo %d of %d: %s, want %s", n, len(done), got, want)
			}
		}
		if got := f.sets(f.everything(), changes.Query{From: r.At}); got != "4:6 3:6 2:6 1:6 0:6" {
			t.Errorf("the log has %s", got)
		}
	})
}

// TestWhatCannotBeTakenBack: operations, attachments, and what hangs below what would go.
func TestWhatCannotBeTakenBack(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := newFixture(t, db)
		id, err := f.operations.NextID(ctx, tenant)
		f.must(err)
		r := rev(1, "order")
		f.must(f.operations.Create(ctx, tenant, iot.Operation{ID: id, Device: f.device, Agent: f.device, Status: iot.Pending, CreationTime: r.At, LastUpdated: r.At}, r))
		_, _, _, err = f.operations.Update(ctx, tenant, id, rev(2, "start"), func(o iot.Operation) iot.Operation { o.Status = iot.Executing; return o })
		f.must(err)
		_, _, _, err = f.operations.Update(ctx, tenant, id, rev(3, "end"), func(o iot.Operation) iot.Operation { o.Status = iot.Failed; return o })
		f.must(err)
		if got := f.sets(f.everything(), changes.Query{From: r.At}); got != "end:1 start:1 order:1" {
			t.Errorf("the log has %s", got)
		}
		if _, conflicts := f.undo("end", rev(4, "x")); len(conflicts) != 1 || !strings.Contains(conflicts[0].Reason, "operations cannot be taken back") {
			t.Errorf("%+v", conflicts)
		}
		_, err = f.operations.Delete(ctx, tenant, access.Scope{All: true}, devicemgmt.Query{}, rev(5, "swept"))
		f.must(err)
		if got := f.sets(f.everything(), changes.Query{From: r.At}); got != "swept:1 end:1 start:1 order:1" {
			t.Errorf("the log has %s", got)
		}
		if _, conflicts := f.undo("swept", rev(6, "x")); len(conflicts) != 1 || conflicts[0].Set != "" {
			t.Errorf("%+v", conflicts)
		}

		attached := f.event("with a file", rev(7, "in"), iot.Doc{{Name: iot.FragmentIsBinary, Raw: json.RawMessage(`{"name":"f"}`)}})
		f.reword(attached, "still with it", rev(8, "words"))
		_, err = f.data.DeleteEvents(ctx, tenant, access.Scope{All: true}, telemetry.EventQuery{IDs: []iot.ID{attached}}, rev(9, "lost"))
		f.must(err)
		if _, conflicts := f.undo("lost", rev(10, "x")); len(conflicts) != 1 || !strings.Contains(conflicts[0].Reason, "attached") {
			t.Errorf("%+v", conflicts)
		}
	})
}

// TestDataThatComesIn: that an alarm was raised is no change, that it was raised again or cleared is, and an undo in between is found.
func TestDataThatComesIn(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := newFixture(t, db)
		flapping := f.raise(f.device, "flapping", rev(1, "raised"))
		r := rev(2, "raised and cleared")
		f.clear(f.raise(f.device, "both", r), r)
		for n := range 300 {
			f.raise(f.device, "flapping", rev(10+n, fmt.Sprint("again ", n)))
		}
		f.clear(flapping, rev(400, "cleared"))
		mine := changes.Query{Kinds: []iot.Kind{iot.KindAlarm}, Limit: 3}
		views := f.everything()[2:3]
		all, _, err := f.log.ChangeSets(ctx, tenant, views, mine)
		f.must(err)
		if len(all) != 3 || all[0].ID != "cleared" || all[1].ID != "again 299" || all[2].ID != "again 298" {
			t.Errorf("%+v", all)
		}
		if got := f.sets(views, changes.Query{To: rev(10, "").At}); got != "raised and cleared:1" {
			t.Errorf("the first are %s", got)
		}
		if _, seen, err := f.log.ChangeSet(ctx, tenant, views, "again 7", 10); err != nil || len(seen) != 1 || seen[0].Action != iot.Updated || seen[0].Object != f.device ||
			!strings.Contains(string(seen[0].Before), `"Count":8`) || !strings.Contains(string(seen[0].After), `"Count":9`) {
			t.Errorf("%+v %v", seen, err)
		}
		if _, conflicts := f.undo("again 7", rev(500, "x")); len(conflicts) != 1 || conflicts[0].Set != "again 8" {
			t.Errorf("%+v", conflicts)
		}
		f.undo("cleared", rev(501, "open again"))
		f.undo("raised and cleared", rev(502, "only raised"))
		if got := f.state(); got != "device flapping=ACTIVE:301 both=ACTIVE:1" {
			t.Errorf("left is %s", got)
		}
	})
}

// TestWhoSeesWhatOfData: who sees a managed object sees what was changed of its data, and nothing of data that was deleted.
func TestWhoSeesWhatOfData(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := newFixture(t, db)
		_, _, err := f.objects.Update(ctx, tenant, f.device, rev(1, "given"), func(o iot.ManagedObject) (iot.ManagedObject, error) { o.Owner = "bob"; return o, nil })
		f.must(err)
		other := f.object("other", rev(1, "setup"))
		mine, theirs, gone := f.raise(f.device, "mine", rev(2, "in")), f.raise(other, "theirs", rev(2, "in")), f.raise(f.device, "gone", rev(2, "in"))
		for _, id := range []iot.ID{mine, theirs, gone} {
			f.clear(id, rev(3, "cleared"))
		}
		_, err = f.data.DeleteAlarms(ctx, tenant, access.Scope{All: true}, telemetry.AlarmQuery{IDs: []iot.ID{gone}}, rev(4, "deleted"))
		f.must(err)
		f.put("speed", "1", rev(5, "options"))
		bob := f.views(access.Scope{Owner: "bob"})
		if got := f.sets(bob, changes.Query{}); got != "cleared:1 given:1 setup:1" {
			t.Errorf("bob sees %s", got)
		}
		if got := f.sets(bob, changes.Query{Object: other}); got != "" {
			t.Errorf("bob sees %s of another object", got)
		}
		if got := f.sets(f.everything(), changes.Query{Object: f.device}); got != "deleted:1 cleared:2 given:1 setup:1" {
			t.Errorf("of the device there are %s", got)
		}
		if got := f.sets(f.everything(), changes.Query{Object: other}); got != "cleared:1 setup:1" {
			t.Errorf("of the other there are %s", got)
		}
		f.undo("deleted", rev(6, "returned"))
		if got := f.sets(bob, changes.Query{From: rev(3, "").At}); got != "returned:1 deleted:1 cleared:2" {
			t.Errorf("then bob sees %s", got)
		}
		if sets, n, err := f.log.ChangeSets(ctx, "other", f.everything(), changes.Query{Limit: 10, Count: true}); err != nil || len(sets)+n != 0 {
			t.Errorf("another tenant sees %+v %v", sets, err)
		}
	})
}
