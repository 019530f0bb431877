package registrytest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

func (f *fixture) link(parent iot.ID, r sqlkit.Revision, children ...iot.ID) {
	f.t.Helper()
	if added, err := f.s.Link(f.ctx, tenant, parent, iot.ChildAsset, children, r); err != nil || len(added) != len(children) {
		f.t.Fatal(added, err)
	}
}

func (f *fixture) unlink(parent iot.ID, r sqlkit.Revision, children ...iot.ID) {
	f.t.Helper()
	if n, err := f.s.Unlink(f.ctx, tenant, parent, iot.ChildAsset, children, r); err != nil || n != len(children) {
		f.t.Fatal(n, err)
	}
}

func (f *fixture) remove(r sqlkit.Revision, ids ...iot.ID) {
	f.t.Helper()
	if _, err := f.s.Delete(f.ctx, tenant, ids, r, nil); err != nil {
		f.t.Fatal(err)
	}
}

// below lists the names of the children of an object, and checks that the index of all pairs agrees.
func (f *fixture) below(parent iot.ID) string {
	f.t.Helper()
	rel, err := f.s.Neighbours(f.ctx, tenant, []iot.ID{parent}, false)
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, x := range rel {
		names = append(names, x.Name)
		above, err := f.s.Ancestors(f.ctx, tenant, x.Child)
		if err != nil || !strings.Contains(fmt.Sprint(above), parent.String()) {
			f.t.Errorf("%s is not known to be above %s: %v %v", parent, x.Child, above, err)
		}
	}
	return strings.Join(names, " ")
}

// testUndoLinks takes back what was added and removed, alone and together with the objects at the ends.
func testUndoLinks(t *testing.T, f *fixture) {
	group, a, b, c := f.add(`{"name":"group"}`), f.add(`{"name":"a"}`), f.add(`{"name":"b"}`), f.add(`{"name":"c"}`)
	f.link(group, set(1, "fill"), a, b, c)
	f.unlink(group, set(2, "drop"), a)
	if _, conflicts := f.undo("fill", set(3, "x")); len(conflicts) != 1 || conflicts[0].Set != "drop" || conflicts[0].Kind != iot.KindRelation {
		t.Errorf("changed since: %+v", conflicts)
	}
	if done, _ := f.undo("drop", set(3, "back")); len(done) != 1 || f.below(group) != "a b c" { // at its old place
		t.Errorf("%+v, below it is %s", done, f.below(group))
	}
	f.undo("back", set(4, "again"))
	f.undo("again", set(5, "more"))
	if f.below(group) != "a b c" {
		t.Errorf("back and forth: %s", f.below(group))
	}

	// what goes with its ends comes back with them
	f.remove(set(6, "gone"), group, b)
	if done, _ := f.undo("gone", set(7, "u")); len(done) != 5 || f.below(group) != "a b c" {
		t.Errorf("%+v, below it is %s", done, f.below(group))
	}
	f.remove(set(8, "b goes"), b)
	f.remove(set(9, "group goes"), group)
	if _, conflicts := f.undo("b goes", set(10, "x")); len(conflicts) != 1 || conflicts[0].ID != (registry.RelationID{Parent: group, Child: b, Kind: iot.ChildAsset}).String() {
		t.Errorf("without the other end: %+v", conflicts)
	}
	f.undo("group goes", set(11, "u2"))
	f.undo("b goes", set(12, "u3"))
	if f.below(group) != "a b c" {
		t.Errorf("one after the other: %s", f.below(group))
	}

	// added and removed in one set, and the reverse: nothing is left to do
	f.link(a, set(13, "nothing"), c)
	f.unlink(a, set(13, "nothing"), c)
	f.unlink(group, set(14, "same"), c)
	f.link(group, set(14, "same"), c)
	f.undo("nothing", set(15, "u4"))
	f.undo("same", set(16, "u5"))
	if f.below(a) != "" || f.below(group) != "a b c" {
		t.Errorf("below a is %q, below the group %q", f.below(a), f.below(group))
	}

	// a circle that was closed since
	f.link(a, set(17, "first"), b)
	f.unlink(a, set(18, "apart"), b)
	f.link(b, set(19, "other way"), a)
	_, _, err := f.log.Undo(f.ctx, tenant, changes.Undo{Set: "apart", Rev: set(20, "x"), Views: f.views(everything), Decide: func([]changes.Change, []changes.Conflict) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "hangs below the child by now") || f.below(b) != "a" || f.below(a) != "" {
		t.Errorf("a circle: %v, below b is %q, below a %q", err, f.below(b), f.below(a))
	}

	// a child that is made below a parent goes with its relation
	made, err := f.s.NextID(f.ctx, tenant)
	if err != nil {
		t.Fatal(err)
	}
	r := set(21, "made")
	if err := f.s.Create(f.ctx, tenant, []registry.New{{Object: iot.ManagedObject{ID: made, Name: "made", CreationTime: r.At, LastUpdated: r.At}, Parent: c, Kind: iot.ChildAsset}}, r); err != nil {
		t.Fatal(err)
	}
	if done, _ := f.undo("made", set(22, "u6")); len(done) != 2 || f.below(c) != "" || strings.Contains(f.query(""), "made") {
		t.Errorf("%+v", done)
	}
	f.undo("u6", set(23, "u7"))
	if f.below(c) != "made" {
		t.Errorf("it came back below %q", f.below(c))
	}
}

// testLogOfLinks: who may read the child sees a relation, as long as both ends exist.
func testLogOfLinks(t *testing.T, f *fixture) {
	group, mine, theirs := f.add(`{"name":"group"}`), f.add(`{"name":"mine","owner":"bob"}`), f.add(`{"name":"theirs"}`)
	f.link(group, set(1, "in"), mine, theirs)
	f.unlink(group, set(2, "out"), mine)
	bob := access.Scope{Owner: "bob"}
	f.expect(f.sets(everything, changes.Query{Kinds: nil}), map[string]int{"set0": 3, "in": 2, "out": 1})
	f.expect(f.sets(everything, changes.Query{Object: mine}), map[string]int{"set0": 1, "in": 1, "out": 1})
	f.expect(f.sets(everything, changes.Query{Object: group}), map[string]int{"set0": 1, "in": 2, "out": 1})
	f.expect(f.sets(bob, changes.Query{}), map[string]int{"set0": 1, "in": 1, "out": 1})
	_, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(bob), "in", 10)
	if err != nil || len(seen) != 1 || seen[0].Peer != mine || seen[0].Object != group || seen[0].Action != iot.Created || seen[0].By != "ann" {
		t.Errorf("%+v %v", seen, err)
	}
	if _, seen, err := f.log.ChangeSet(f.ctx, tenant, f.views(bob), "out", 10); err != nil || len(seen) != 1 || seen[0].Action != iot.Deleted || seen[0].After != nil {
		t.Errorf("%+v %v", seen, err)
	}
	f.link(group, set(3, "in again"), mine)
	f.remove(set(4, "end"), group)
	f.expect(f.sets(bob, changes.Query{}), map[string]int{"set0": 1})
	f.expect(f.sets(everything, changes.Query{From: rev(4).At}), map[string]int{"end": 3})
}

// testFormerLinks reads relations as they were after every change.
func testFormerLinks(t *testing.T, f *fixture) {
	group, a, b := f.add(`{"name":"group"}`), f.add(`{"name":"a"}`), f.add(`{"name":"b"}`)
	f.link(group, rev(1), b, a)
	f.rename(a, rev(2), "a2")
	f.unlink(group, rev(3), b)
	f.link(group, rev(4), b)
	f.remove(rev(5), a)
	f.remove(rev(6), group)
	for n, want := range map[int]string{0: "", 1: "b a", 2: "b a2", 3: "a2", 4: "a2 b", 5: "b", 6: ""} {
		rel, err := f.s.NeighboursAsOf(f.ctx, tenant, []iot.ID{group, 99999}, false, rev(n).At)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range rel {
			o, err := f.s.AsOf(f.ctx, tenant, []iot.ID{x.Child}, rev(n).At)
			if err != nil || len(o) != 1 || x.Parent != group || x.Kind != iot.ChildAsset {
				t.Fatalf("%+v %+v %v", x, o, err)
			}
			got = append(got, o[0].Name)
			up, err := f.s.NeighboursAsOf(f.ctx, tenant, []iot.ID{x.Child}, true, rev(n).At)
			if err != nil || len(up) != 1 || up[0] != x {
				t.Errorf("upwards at %d: %+v %v", n, up, err)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("after change %d: %q, want %q", n, got, want)
		}
	}
	if rel, err := f.s.NeighboursAsOf(f.ctx, "other", []iot.ID{group}, false, rev(2).At); err != nil || len(rel) != 0 {
		t.Errorf("another tenant: %+v %v", rel, err)
	}
}
