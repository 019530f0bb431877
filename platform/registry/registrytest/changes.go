package registrytest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

var everything = access.Scope{All: true}

// set is the revision n in a change set of a name.
func set(n int, name string) sqlkit.Revision {
	r := rev(n)
	r.Set = name
	return r
}

func (f *fixture) rename(id iot.ID, r sqlkit.Revision, name string) {
	f.t.Helper()
	if _, _, err := f.s.Update(f.ctx, tenant, id, r, func(o iot.ManagedObject) (iot.ManagedObject, error) { o.Name = name; return o, nil }); err != nil {
		f.t.Fatal(err)
	}
}

// views are what a scope of objects shows of objects and relations.
func (f *fixture) views(scope access.Scope) []changes.View {
	return []changes.View{{Kind: iot.KindManagedObject, Documents: f.s.Objects(), Scope: scope}, {Kind: iot.KindRelation, Documents: f.s.Links(), Scope: scope}}
}

func (f *fixture) undo(name string, r sqlkit.Revision) ([]changes.Change, []changes.Conflict) {
	f.t.Helper()
	refused := errors.New("refused")
	done, conflicts, err := f.log.Undo(f.ctx, tenant, changes.Undo{Set: name, Rev: r, Reason: "why", Views: f.views(everything), Decide: func(_ []changes.Change, c []changes.Conflict) error {
		if len(c) > 0 {
			return refused
		}
		return nil
	}})
	if (err != nil) != (len(conflicts) > 0) || err != nil && !errors.Is(err, refused) {
		f.t.Fatalf("undo of %s: %v with %v", name, err, conflicts)
	}
	return done, conflicts
}

// nameIn is the name in a version of an object.
func nameIn(raw []byte) string {
	var o iot.ManagedObject
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.Name
}

// sets lists the names of the change sets in scope, each with how many changes it has there.
func (f *fixture) sets(scope access.Scope, q changes.Query) map[string]int {
	f.t.Helper()
	q.Limit, q.Count = 100, true
	all, n, err := f.log.ChangeSets(f.ctx, tenant, f.views(scope), q)
	if err != nil || n != len(all) {
		f.t.Fatal(n, all, err)
	}
	out := map[string]int{}
	for i, s := range all {
		out[s.ID] = s.Changes
		if i > 0 && s.At.After(all[i-1].At) {
			f.t.Errorf("%s is later than %s before it", s.ID, all[i-1].ID)
		}
	}
	return out
}

func (f *fixture) expect(got map[string]int, want map[string]int) {
	f.t.Helper()
	for name := range got {
		if got[name] != want[name] {
			f.t.Errorf("%s has %d changes, want %d", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		f.t.Errorf("got %v, want %v", got, want)
	}
}

// testUndo takes back an update, a deletion and a creation in one set, and finds what stands against that.
func testUndo(t *testing.T, f *fixture) {
	changed, deleted := f.add(`{"name":"a","x":{"n":1}}`), f.add(`{"name":"b","c8y_IsDevice":{}}`)
	f.rename(changed, set(1, "big"), "a1")
	f.rename(changed, set(2, "big"), "a2")
	if _, err := f.s.Delete(f.ctx, tenant, []iot.ID{deleted}, set(2, "big"), nil); err != nil {
		t.Fatal(err)
	}
	made, err := f.s.NextID(f.ctx, tenant)
	if err != nil {
		t.Fatal(err)
	}
	r := set(3, "big")
	if err := f.s.Create(f.ctx, tenant, []registry.New{{Object: iot.ManagedObject{ID: made, Name: "c", Owner: "ann", CreationTime: r.At, LastUpdated: r.At}}}, r); err != nil {
		t.Fatal(err)
	}
	f.expect(f.sets(everything, changes.Query{}), map[string]int{"set0": 2, "big": 4})
	f.expect(f.sets(everything, changes.Query{Object: deleted}), map[string]int{"set0": 1, "big": 1})
	f.expect(f.sets(everything, changes.Query{From: rev(1).At}), map[string]int{"big": 4})
	f.expect(f.sets(everything, changes.Query{By: "bob"}), map[string]int{})

	other := f.add(`{"name":"child"}`)
	if _, err := f.s.Link(f.ctx, tenant, made, iot.ChildAsset, []iot.ID{other}, set(3, "hang")); err != nil {
		t.Fatal(err)
	}
	if _, conflicts := f.undo("big", set(4, "u")); len(conflicts) != 1 || conflicts[0].ID != made.String() {
		t.Errorf("with a child: %+v", conflicts)
	}
	if got := f.query(""); got != "a2 c child" {
		t.Errorf("a refused undo left %q", got)
	}
	if _, err := f.s.Unlink(f.ctx, tenant, made, iot.ChildAsset, []iot.ID{other}, set(4, "hang")); err != nil {
		t.Fatal(err)
	}
	done, _ := f.undo("big", set(5, "u"))
	if len(done) != 3 || f.query("") != "a b child" || f.query("has(c8y_IsDevice)") != "b" {
		t.Errorf("done %+v, left %q", done, f.query(""))
	}
	s, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(everything), "u", 10)
	if err != nil || len(seen) != 3 || s.Undoes != "big" || s.Reason != "why" {
		t.Errorf("%+v %+v %v", s, seen, err)
	}
	f.rename(deleted, set(6, "later"), "b2")
	if _, conflicts := f.undo("u", set(7, "uu")); len(conflicts) != 1 || conflicts[0].Set != "later" {
		t.Errorf("changed since: %+v", conflicts)
	}
	f.undo("later", set(8, "u2"))
	if _, conflicts := f.undo("u", set(9, "uu")); len(conflicts) != 1 || conflicts[0].Set != "later" { // not even if that was taken back
		t.Errorf("changed and back: %+v", conflicts)
	}
	if done, conflicts := f.undo("nothing", set(10, "x")); len(done)+len(conflicts) != 0 {
		t.Error("something was undone", done, conflicts)
	}
}

// testLog looks at the change log through scopes.
func testLog(t *testing.T, f *fixture) {
	mine, theirs, gone := f.add(`{"name":"m","owner":"bob"}`), f.add(`{"name":"t"}`), f.add(`{"name":"g","owner":"bob"}`)
	for i, id := range []iot.ID{mine, theirs, gone} {
		f.rename(id, set(1, "one"), "n"+id.String())
		f.rename(id, set(2+i, "own"+id.String()), "o"+id.String())
	}
	if _, err := f.s.Delete(f.ctx, tenant, []iot.ID{gone}, set(9, "end"), nil); err != nil {
		t.Fatal(err)
	}
	bob := access.Scope{Owner: "bob"}
	f.expect(f.sets(bob, changes.Query{}), map[string]int{"set0": 1, "one": 1, "own" + mine.String(): 1})
	f.expect(f.sets(access.Scope{Owner: "eve"}, changes.Query{}), map[string]int{})
	if _, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(bob), "one", 10); err != nil || len(seen) != 1 || seen[0].Object != mine {
		t.Errorf("%+v %v", seen, err)
	}
	if _, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(bob), "end", 10); err != nil || len(seen) != 0 { // not even the former owner
		t.Errorf("%+v %v", seen, err)
	}
	if _, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(everything), "one", 10); err != nil || len(seen) != 3 || nameIn(seen[0].Before) != "m" || nameIn(seen[0].After) != "n"+mine.String() {
		t.Errorf("%+v %v", seen, err)
	}
	if sets, _, err := f.log.ChangeSets(f.ctx, "other", f.views(everything), changes.Query{Limit: 10}); err != nil || len(sets) != 0 {
		t.Errorf("another tenant sees %v %v", sets, err)
	}
	named := sqlkit.ChangeSet{ID: "one", At: rev(1).At, By: "ann", Reason: "first"}
	if got, err := f.log.NameSet(f.ctx, tenant, named); err != nil || got != named {
		t.Errorf("%+v %v", got, err)
	}
	second := named
	second.By, second.Reason = "eve", "second"
	if got, err := f.log.NameSet(f.ctx, tenant, second); err != nil || got != named {
		t.Errorf("a second name won: %+v %v", got, err)
	}
}
