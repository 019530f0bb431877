package registrytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/security/access"
)

// forest is what a driver should hold: the objects and who hangs below whom, kept the naive way.
type forest struct {
	ids     []iot.ID
	objects map[iot.ID]registry.Object
	parents map[iot.ID]map[[2]iot.ID]bool // of a child: parent and kind
}

// above returns all ancestors, by walking.
func (f *forest) above(id iot.ID) []iot.ID {
	seen := map[iot.ID]bool{}
	var walk func(iot.ID)
	walk = func(id iot.ID) {
		for x := range f.parents[id] {
			if !seen[x[0]] {
				seen[x[0]] = true
				walk(x[0])
			}
		}
	}
	walk(id)
	var out []iot.ID
	for x := range seen {
		out = append(out, x)
	}
	slices.Sort(out)
	return out
}

// shuffle links, unlinks and deletes at random.
func (f *forest) shuffle(t *testing.T, x *fixture, r *rand.Rand, steps int) {
	pick := func() iot.ID { return f.ids[r.IntN(len(f.ids))] }
	for range steps {
		parent, child, kind := pick(), pick(), iot.ChildKinds[r.IntN(len(iot.ChildKinds))]
		key := [2]iot.ID{parent, iot.ID(kind)}
		switch r.IntN(8) {
		case 0, 1, 2, 3, 4:
			_, err := x.s.Link(x.ctx, tenant, parent, kind, []iot.ID{child}, rev(0))
			cycle := parent == child || slices.Contains(f.above(parent), child)
			if (err != nil) != cycle {
				t.Fatalf("link %d below %d: %v", child, parent, err)
			}
			if !cycle {
				if f.parents[child] == nil {
					f.parents[child] = map[[2]iot.ID]bool{}
				}
				f.parents[child][key] = true
			}
		case 5, 6:
			if _, err := x.s.Unlink(x.ctx, tenant, parent, kind, []iot.ID{child}, rev(0)); err != nil {
				t.Fatal(err)
			}
			delete(f.parents[child], key)
		case 7:
			if len(f.ids) < 8 || r.IntN(3) > 0 {
				continue
			}
			if _, err := x.s.Delete(x.ctx, tenant, []iot.ID{child}, rev(0), nil); err != nil {
				t.Fatal(err)
			}
			f.ids = slices.DeleteFunc(f.ids, func(id iot.ID) bool { return id == child })
			delete(f.objects, child)
			delete(f.parents, child)
			for _, of := range f.parents {
				for key := range of {
					if key[0] == child {
						delete(of, key)
					}
				}
			}
		}
	}
}

// testAbove holds the index of ancestors to the relations, whatever happens to them.
func testAbove(t *testing.T, x *fixture) {
	r := rand.New(rand.NewPCG(1, 2))
	f := &forest{objects: map[iot.ID]registry.Object{}, parents: map[iot.ID]map[[2]iot.ID]bool{}}
	for i := range 14 {
		f.ids = append(f.ids, x.add(fmt.Sprintf(`{"name":"n%d"}`, i)))
	}
	for range 12 {
		f.shuffle(t, x, r, 12)
		for _, id := range f.ids {
			got, err := x.s.Ancestors(x.ctx, tenant, id)
			slices.Sort(got)
			if want := f.above(id); err != nil || !slices.Equal(got, want) {
				t.Fatalf("above %d: %v %v, want %v", id, got, err, want)
			}
		}
	}
}

// testReach compares what lists show under random scopes with what deciding about each object alone gives: every page and the count.
func testReach(t *testing.T, x *fixture) {
	r := rand.New(rand.NewPCG(3, 4))
	f := &forest{objects: map[iot.ID]registry.Object{}, parents: map[iot.ID]map[[2]iot.ID]bool{}}
	fragments := []string{"c8y_Position", `od'd "name\ä`, "c8y_Notes", "c8y_IsDevice", "c8y_Global", "c8y_IsBinary"}
	for i := range 40 {
		doc := fmt.Sprintf(`{"name":"n%02d","type":"t%d","owner":"%s"`, i, r.IntN(3), []string{"ann", "bob", "cid"}[r.IntN(3)])
		for j, name := range fragments {
			if r.IntN(3) == 0 && (j < 4 || r.IntN(3) == 0) {
				doc += fmt.Sprintf(`,%s:{"v":%d}`, iot.AppendText(nil, name), r.IntN(3))
			}
		}
		f.ids = append(f.ids, x.add(doc+"}"))
	}
	f.shuffle(t, x, r, 90)
	objects, err := x.s.Get(x.ctx, tenant, f.ids...)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		f.objects[o.ID] = o
	}
	byName, _ := query.Parse("$orderby=name desc")
	policy := &access.Policy{}
	for i := range 120 {
		p := someone(r, f.ids, fragments)
		scope, err := policy.Scope(x.ctx, p, access.ManagedObject, access.Read)
		if err != nil {
			t.Fatal(err)
		}
		q := registry.Query{Count: true, Limit: 7}
		match := func(registry.Object) bool { return true }
		switch i % 6 {
		case 1:
			q.Type, match = "t1", func(o registry.Object) bool { return o.Type == "t1" }
		case 2:
			q.OnlyDevices, match = true, func(o registry.Object) bool { return o.Fragments.Has("c8y_IsDevice") }
		case 3:
			q.Query = byName
		case 4:
			parent := f.ids[r.IntN(len(f.ids))]
			q.Parent, q.Kind = parent, iot.ChildDevice
			match = func(o registry.Object) bool { return f.parents[o.ID][[2]iot.ID{parent, iot.ID(iot.ChildDevice)}] }
		}
		may := func(o registry.Object) bool {
			family := access.ManagedObject
			if o.Fragments.Has("c8y_IsBinary") {
				family = access.Binary
			}
			return policy.Check(x.ctx, p, family, access.Read, access.Object{ID: o.ID, Owner: o.Owner, Global: o.Fragments.Has("c8y_Global"), Above: f.above(o.ID),
				Fragments: access.CustomFragments(o.Fragments)}) == nil
		}
		if i%6 == 5 {
			q.OnlyRoots = true
			match = func(o registry.Object) bool {
				for key := range f.parents[o.ID] {
					if may(f.objects[key[0]]) {
						return false
					}
				}
				return true
			}
		}
		want := map[iot.ID]bool{}
		for _, o := range f.objects {
			if match(o) && may(o) {
				want[o.ID] = true
			}
		}
		got := map[iot.ID]bool{}
		for ; ; q.Offset += q.Limit {
			page, n, err := x.s.List(x.ctx, tenant, scope, q)
			if err != nil || n != len(want) {
				t.Fatalf("%+v with %+v: %d of %d, %v", q, p, n, len(want), err)
			}
			if full := min(q.Limit, max(0, n-q.Offset)); len(page) != full {
				t.Fatalf("%+v with %+v: a page of %d, want %d", q, p, len(page), full)
			}
			for _, o := range page {
				got[o.ID] = true
			}
			if len(page) == 0 {
				break
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%+v: %v, want %v", p, got, want)
		}
		for id := range want {
			if !got[id] {
				t.Fatalf("%+v: %d is missing", p, id)
			}
		}
	}
}

// someone is a random principal.
func someone(r *rand.Rand, ids []iot.ID, fragments []string) iot.Principal {
	p := iot.Principal{Tenant: tenant, User: iot.UserName([]string{"ann", "bob", "nobody"}[r.IntN(3)])}
	for _, role := range []string{"ROLE_BINARY_READ", "ROLE_INVENTORY_READ", "ROLE_MANAGED_OBJECT_READ"} {
		if r.IntN(15) == 0 {
			p.Roles = append(p.Roles, role)
		}
	}
	for range r.IntN(5) {
		g := iot.Grant{Object: ids[r.IntN(len(ids))], Below: r.IntN(3) > 0, Scope: []iot.GrantScope{"*", "MANAGED_OBJECT", "EVENT"}[r.IntN(3)],
			Level: []iot.GrantLevel{"READ", "*", "ADMIN"}[r.IntN(3)], Fragment: "*"}
		if r.IntN(2) == 0 {
			g.Fragment = fragments[r.IntN(3)]
		}
		p.Grants = append(p.Grants, g)
	}
	return p
}
