// Package registrytest is the conformance suite that every driver of platform/registry must pass.
package registrytest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/security/access"
)

const tenant = iot.TenantID("acme")

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestStore runs the suite; open returns an empty store and the change log of the same database.
func TestStore(t *testing.T, open func(t *testing.T) (registry.Driver, changes.Store)) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"query language": testQueries, "order": testOrder, "scope": testScope, "paging is stable and counted": testPaging,
		"update keeps history": testUpdate, "updates of many, all or none": testUpdateAll, "relations": testRelations, "external ids": testNames, "state": testState, "census": testCensus,
		"delete": testDelete, "tenants never meet": testTenants, "concurrent updates are not lost": testConcurrent, "text search": testText,
		"what is above an object": testAbove, "lists show what may be read": testReach, "undo": testUndo, "change log": testLog,
		"undo of relations": testUndoLinks, "relations in the change log": testLogOfLinks, "relations of the past": testFormerLinks,
	} {
		t.Run(name, func(t *testing.T) {
			s, log := open(t)
			test(t, &fixture{t, s, log, context.Background()})
		})
	}
}

// TestLists runs only the part about lists under scopes.
func TestLists(t *testing.T, open func(t *testing.T) registry.Driver) {
	testReach(t, &fixture{t, open(t), nil, context.Background()})
}

type fixture struct {
	t   *testing.T
	s   registry.Driver
	log changes.Store
	ctx context.Context
}

func rev(n int) sqlkit.Revision {
	return sqlkit.Revision{At: start.Add(time.Duration(n) * time.Second), By: "ann", Set: fmt.Sprint("set", n)}
}

// add creates an object from its JSON and returns its id.
func (f *fixture) add(doc string, names ...iot.ExternalID) iot.ID {
	f.t.Helper()
	return f.addTo(tenant, doc, names...)
}

func (f *fixture) addTo(t iot.TenantID, doc string, names ...iot.ExternalID) iot.ID {
	f.t.Helper()
	id, err := f.s.NextID(f.ctx, t)
	if err != nil {
		f.t.Fatal(err)
	}
	d, err := iot.ParseDoc([]byte(doc), iot.MaxDepth)
	if err != nil {
		f.t.Fatal(err)
	}
	o := iot.ManagedObject{ID: id, CreationTime: start.Add(time.Duration(id) * time.Second), LastUpdated: start, Owner: "ann", Fragments: d.Without("type", "name", "owner")}
	o.Type, _ = d.Text("type")
	o.Name, _ = d.Text("name")
	if owner, ok := d.Text("owner"); ok {
		o.Owner = iot.UserName(owner)
	}
	for i := range names {
		names[i].ID = id
	}
	if err := f.s.Create(f.ctx, t, []registry.New{{Object: o, ExternalIDs: names}}, rev(0)); err != nil {
		f.t.Fatal(err)
	}
	return id
}

var all = access.Scope{All: true}

// list returns the names of what a query selects, in order.
func (f *fixture) list(q registry.Query) string {
	f.t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	objects, _, err := f.s.List(f.ctx, tenant, all, q)
	if err != nil {
		f.t.Fatalf("%+v: %v", q, err)
	}
	return names(objects)
}

func names(objects []registry.Object) string {
	out := make([]string, len(objects))
	for i, o := range objects {
		out[i] = o.Name
	}
	return strings.Join(out, " ")
}

func (f *fixture) query(text string) string {
	f.t.Helper()
	q, err := query.Parse(text)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.list(registry.Query{Query: q})
}

func testQueries(t *testing.T, f *fixture) {
	a := f.add(`{"name":"a","type":"pump","c8y_IsDevice":{},"n":{"v":5,"s":"x","b":true,"d":1.5},"c8y_Hardware":{"model":"M-100"},"tags":["red","blue"],"customers":[{"id":"123"},{"id":"456"}]}`)
	b := f.add(`{"name":"b","type":"Pump","n":{"v":"5","s":"X","b":false},"c8y_Global":{},"c8y_Dashboard!name!home-cockpit1":{},"tags":"red"}`)
	c := f.add(`{"name":"c","type":"c8y_DeviceGroup","c8y_IsDeviceGroup":{},"n":{"v":-3.25,"s":"it's [1]","z":null},"a/b":{"c-d":"e"}}`)
	many := ""
	for i := range 40 {
		many += fmt.Sprintf(`"t%d":"v%d",`, i, i)
	}
	d := f.add(`{"name":"ä*ö","n":[{"v":7},{"v":9}],"texts":{` + many + `"long":["` + strings.Repeat("y", 200) + `","short"]},"long":"` + strings.Repeat("x", 200) + `","deep":{"er":{"est":"d"}},"nested":{"list":["in"]}}`)
	if _, err := f.s.Link(f.ctx, tenant, c, iot.ChildAsset, []iot.ID{b, a}, rev(0)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                            "a b c ä*ö",
		"type eq 'pump'":              "a",
		"type eq 'PU*'":               "a b",
		"type eq 'pu*p'":              "a b",
		"not(type eq 'pump')":         "b c ä*ö",
		"name eq 'c' or type eq pump": "a c",
		"has(c8y_IsDevice)":           "a",
		"has('c8y_Dashboard!name!home-cockpit1')": "b",
		"has(c8y_Hardware.model)":                 "a",
		"has(nothing)":                            "",
		"has(a/b.c-d)":                            "c",
		"hasany(c8y_IsDevice,c8y_Global)":         "a b",
		"not(has(c8y_IsDevice))":                  "b c ä*ö",
		"n.v eq 5":                                "a b",
		"n.v eq 5f":                               "a",
		"n.v gt 0f":                               "a ä*ö",
		"n.v le -3.25d":                           "c",
		"n.v gt 8d":                               "ä*ö",
		"n.d eq 1.5f":                             "a",
		"n.s eq 'x'":                              "a",
		"n.s eq 'X*'":                             "a b",
		"n.s eq 'it''s \\[1\\]'":                  "c",
		"n.s gt 'X'":                              "a c",
		"n.b eq true":                             "a",
		"n.b eq false":                            "b",
		"n.nope eq null":                          "a b c ä*ö",
		"c8y_Hardware.model eq null":              "b c ä*ö",
		"not(c8y_Hardware.model eq null)":         "a",
		"c8y_Hardware.model eq 'm-1*'":            "a",
		"c8y_Hardware.model eq '*.*'":             "",
		"tags eq 'red'":                           "a b",
		"tags eq 'blue'":                          "a",
		"customers.id eq '456'":                   "a",
		"type eq null":                            "ä*ö",
		"bygroupid(" + c.String() + ")":           "a b",
		"isinhierarchyof(" + c.String() + ")":     "a b c",
		"_id gt '" + a.String() + "'":             "b c ä*ö",
		"id eq '" + b.String() + "'":              "b",
		"id eq " + b.String():                     "b",
		"creationTime.date gt '" + iot.FormatTime(start.Add(time.Duration(b)*time.Second)) + "'": "c ä*ö",
		"creationTime gt 'yesterday'":                     "",
		"lastUpdated.date le '2026-01-02T04:04:05+01:00'": "a b c ä*ö",
		"c8y_ActiveAlarmsStatus.critical gt 0f":           "",
		"has(c8y_Availability)":                           "",
		"texts.t39 eq 'v39' and has(texts)":               "ä*ö",
		"texts.long eq 'short'":                           "ä*ö",
		"long eq '" + strings.Repeat("x", 200) + "'":      "ä*ö",
		"deep.er.est eq 'd'":                              "ä*ö",
		"nested.list eq 'in'":                             "ä*ö",
		"owner eq 'ann' and (n.v eq 5f or n.v eq 9f)":     "a ä*ö",
		"a/b.c-d eq 'e'":                                  "c",
	} {
		if got := f.query(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for kind, want := range map[iot.ChildKind]string{iot.ChildDevice: "", iot.ChildAddition: "ä*ö"} {
		if _, err := f.s.Link(f.ctx, tenant, a, kind, []iot.ID{d}, rev(0)); err != nil {
			t.Fatal(err)
		}
		if got := f.query("bygroupid(" + a.String() + ")"); got != want {
			t.Errorf("with %v: got %q, want %q", kind, got, want)
		}
		if _, err := f.s.Unlink(f.ctx, tenant, a, kind, []iot.ID{d}, rev(0)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q    registry.Query
		want string
	}{
		{registry.Query{Type: "pump"}, "a"}, {registry.Query{Fragment: "c8y_Global"}, "b"}, {registry.Query{Fragment: "n", OnlyDevices: true}, "a"},
		{registry.Query{IDs: []iot.ID{c, a, 99999}}, "a c"}, {registry.Query{IDs: []iot.ID{}}, ""}, {registry.Query{OnlyRoots: true}, "c ä*ö"},
		{registry.Query{Parent: c, Kind: iot.ChildAsset}, "b a"}, {registry.Query{Parent: c, Kind: iot.ChildDevice}, ""},
		{registry.Query{Parent: c, Kind: iot.ChildAsset, Query: query.Query{Filter: query.Has{{"n"}}, Order: []query.Order{{Path: query.Path{"name"}}}}}, "a b"},
		{registry.Query{ParentOf: a, Kind: iot.ChildAsset}, "c"}, {registry.Query{Owner: "bob"}, ""},
	} {
		if got := f.list(c.q); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
		}
	}
}

func testOrder(t *testing.T, f *fixture) {
	f.add(`{"name":"b","x":{"v":10},"g":{}}`)
	f.add(`{"name":"a","x":{"v":9}}`)
	f.add(`{"name":"B","x":{"v":"text"}}`)
	f.add(`{"name":"c"}`)
	for text, want := range map[string]string{
		"$orderby=name":              "B a b c",
		"$orderby=name desc":         "c b a B",
		"$orderby=x.v":               "c a b B",
		"$orderby=x.v desc":          "B b a c",
		"$orderby=_id desc":          "c B a b",
		"$orderby=creationTime desc": "c B a b",
		"$orderby=g desc,name asc":   "b B a c",
	} {
		if got := f.query(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func testScope(t *testing.T, f *fixture) {
	f.add(`{"name":"mine","owner":"dev"}`)
	f.add(`{"name":"global","c8y_Global":{}}`)
	f.add(`{"name":"other"}`)
	objects, n, err := f.s.List(f.ctx, tenant, access.Scope{Owner: "dev", Global: true}, registry.Query{Limit: 10, Count: true})
	if err != nil || names(objects) != "mine global" || n != 2 {
		t.Errorf("%q %d %v", names(objects), n, err)
	}
}

func testPaging(t *testing.T, f *fixture) {
	var want []string
	for i := range 23 {
		name := fmt.Sprintf("o%02d", i)
		f.add(`{"name":"` + name + `","same":{"v":1}}`)
		want = append(want, name)
	}
	q, _ := query.Parse("$orderby=same.v")
	var got []string
	for page := 0; ; page++ {
		objects, n, err := f.s.List(f.ctx, tenant, all, registry.Query{Query: q, Offset: 5 * page, Limit: 5, Count: true})
		if err != nil || n != 23 {
			t.Fatal(n, err)
		}
		if len(objects) == 0 {
			break
		}
		got = append(got, strings.Fields(names(objects))...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages gave %v", got)
	}
}

// testUpdateAll also has pairs of updates name the same objects in opposite orders, which must not wait for each other forever.
func testUpdateAll(t *testing.T, f *fixture) {
	a, b := f.add(`{"name":"a"}`), f.add(`{"name":"b"}`)
	named := func(names ...string) func(int, iot.ManagedObject) (iot.ManagedObject, error) {
		return func(i int, o iot.ManagedObject) (iot.ManagedObject, error) {
			if names[i] == "refused" {
				return o, errors.New("refused")
			}
			o.Name = names[i]
			return o, nil
		}
	}
	now := func() string {
		objects, err := f.s.Get(f.ctx, tenant, a, b)
		if err != nil || len(objects) != 2 {
			t.Fatal(objects, err)
		}
		return objects[0].Name + " " + objects[1].Name
	}
	if _, _, err := f.s.UpdateAll(f.ctx, tenant, []iot.ID{a, b}, rev(1), named("x", "refused")); err == nil || now() != "a b" {
		t.Errorf("one is refused: %v, %s", err, now())
	}
	if _, _, err := f.s.UpdateAll(f.ctx, tenant, []iot.ID{a, 99999}, rev(1), named("x", "y")); !errors.Is(err, sql.ErrNoRows) || now() != "a b" {
		t.Errorf("one is missing: %v, %s", err, now())
	}
	out, written, err := f.s.UpdateAll(f.ctx, tenant, []iot.ID{b, a, b}, rev(2), named("b1", "a", "b2"))
	if err != nil || !slices.Equal(written, []bool{true, false, true}) || out[0].Name != "b1" || out[1].ID != a || out[2].Name != "b2" || now() != "a b2" {
		t.Errorf("%+v %v %v, %s", out, written, err, now())
	}
	var wg sync.WaitGroup
	for i := range 20 {
		ids := []iot.ID{a, b}
		if i%2 == 1 {
			ids = []iot.ID{b, a}
		}
		wg.Go(func() {
			if _, _, err := f.s.UpdateAll(f.ctx, tenant, ids, rev(3+i), named(fmt.Sprint(i), fmt.Sprint(i))); err != nil {
				t.Errorf("at once: %v", err)
			}
		})
	}
	wg.Wait()
	if x, y, _ := strings.Cut(now(), " "); x != y {
		t.Errorf("updates got mixed: %s", now())
	}
}

func testUpdate(t *testing.T, f *fixture) {
	id := f.add(`{"name":"v0","a":{"n":16.0}}`)
	for i := 1; i <= 2; i++ {
		o, written, err := f.s.Update(f.ctx, tenant, id, rev(i), func(o iot.ManagedObject) (iot.ManagedObject, error) {
			o.Name = fmt.Sprint("v", i)
			o.Fragments = o.Fragments.Merge(iot.Doc{{Name: "a", Raw: []byte(`{"n":16.0}`)}, {Name: fmt.Sprint("f", i), Raw: []byte(`{}`)}})
			return o, nil
		})
		if err != nil || !written || !o.LastUpdated.Equal(rev(i).At) {
			t.Fatal(o, written, err)
		}
	}
	if _, written, err := f.s.Update(f.ctx, tenant, id, rev(3), func(o iot.ManagedObject) (iot.ManagedObject, error) { return o, nil }); err != nil || written {
		t.Errorf("an unchanged object was written: %v", err)
	}
	refused := errors.New("refused")
	if _, _, err := f.s.Update(f.ctx, tenant, id, rev(3), func(o iot.ManagedObject) (iot.ManagedObject, error) { return o, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if _, _, err := f.s.Update(f.ctx, tenant, 99999, rev(3), func(o iot.ManagedObject) (iot.ManagedObject, error) { return o, nil }); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("missing: %v", err)
	}
	if got := f.query("has(f2)"); got != "v2" {
		t.Errorf("the index of fragments: %q", got)
	}
	h, err := f.s.History(f.ctx, tenant, id, time.Time{})
	if err != nil || len(h) != 2 || h[0].Object.Name != "v0" || h[1].Object.Name != "v1" || h[1].Until.By != "ann" || string(h[0].Object.Fragments.Get("a")) != `{"n":16.0}` {
		t.Errorf("history %+v %v", h, err)
	}
	for n, want := range map[int]string{0: "v0", 1: "v1", 2: ""} { // what is current is no superseded version
		h, err := f.s.History(f.ctx, tenant, id, rev(n).At)
		if err != nil || len(h) > 1 || (len(h) == 1) != (want != "") || (len(h) == 1 && h[0].Object.Name != want) {
			t.Errorf("as of revision %d: %+v %v, want %q", n, h, err, want)
		}
	}
}

func testRelations(t *testing.T, f *fixture) {
	a, b, c := f.add(`{"name":"a"}`), f.add(`{"name":"b"}`), f.add(`{"name":"c"}`)
	link := func(p iot.ID, k iot.ChildKind, ids ...iot.ID) ([]iot.ID, error) {
		return f.s.Link(f.ctx, tenant, p, k, ids, rev(0))
	}
	if added, err := link(a, iot.ChildDevice, c, b); err != nil || len(added) != 2 {
		t.Fatal(added, err)
	}
	if added, err := link(a, iot.ChildDevice, b); err != nil || len(added) != 0 {
		t.Errorf("again: %v %v", added, err)
	}
	if _, err := link(b, iot.ChildAsset, a); !errors.Is(err, registry.ErrCycle) {
		t.Errorf("cycle: %v", err)
	}
	if _, err := link(a, iot.ChildAsset, a); !errors.Is(err, registry.ErrCycle) {
		t.Errorf("itself: %v", err)
	}
	if _, err := link(a, iot.ChildAsset, 99999); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("missing: %v", err)
	}
	if _, err := link(b, iot.ChildAddition, c); err != nil {
		t.Fatal(err)
	}
	down, err := f.s.Neighbours(f.ctx, tenant, []iot.ID{a, b}, false)
	if err != nil || len(down) != 3 || down[0].Name != "c" || down[1].Name != "b" || down[2].Kind != iot.ChildAddition {
		t.Errorf("children %+v %v", down, err)
	}
	up, err := f.s.Neighbours(f.ctx, tenant, []iot.ID{c}, true)
	if err != nil || len(up) != 2 || up[0].Name != "a" || up[1].Name != "b" {
		t.Errorf("parents %+v %v", up, err)
	}
	below, err := f.s.Descend(f.ctx, tenant, a, iot.ChildKinds[:])
	if err != nil || !slices.Equal(below, []iot.ID{c, b}) {
		t.Errorf("below %v %v", below, err)
	}
	above, err := f.s.Ascend(f.ctx, tenant, c, []iot.ChildKind{iot.ChildDevice})
	if err != nil || !slices.Equal(above, []iot.ID{a}) {
		t.Errorf("above %v %v", above, err)
	}
	if n, err := f.s.Unlink(f.ctx, tenant, a, iot.ChildDevice, []iot.ID{b, 99999}, rev(1)); err != nil || n != 1 {
		t.Errorf("unlink %d %v", n, err)
	}
}

func testNames(t *testing.T, f *fixture) {
	id := f.add(`{"name":"a"}`, iot.ExternalID{Type: "c8y_Serial", Value: "s/1"})
	other := f.add(`{"name":"b"}`)
	if err := f.s.Bind(f.ctx, tenant, iot.ExternalID{Type: "c8y_Serial", Value: "s/1", ID: other}); !sqlkit.IsUnique(err) {
		t.Errorf("taken: %v", err)
	}
	if err := f.s.Bind(f.ctx, tenant, iot.ExternalID{Type: "x", Value: "s/1", ID: other}); err != nil {
		t.Error(err)
	}
	found, err := f.s.Resolve(f.ctx, tenant, []iot.ExternalID{{Type: "no", Value: "s/1"}, {Type: "c8y_Serial", Value: "s/1"}})
	if err != nil || len(found) != 1 || found[0].ID != id {
		t.Errorf("%+v %v", found, err)
	}
	if err := f.s.Unbind(f.ctx, tenant, "c8y_Serial", "s/1"); err != nil {
		t.Error(err)
	}
	if err := f.s.Unbind(f.ctx, tenant, "c8y_Serial", "s/1"); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("twice: %v", err)
	}
}

func testState(t *testing.T, f *fixture) {
	id := f.add(`{"name":"a","c8y_IsDevice":{},"c8y_RequiredAvailability":{"responseInterval":10}}`)
	f.add(`{"name":"b","c8y_RequiredAvailability":{"responseInterval":-1}}`)
	f.add(`{"name":"c"}`)
	heard := start.Add(time.Hour)
	if err := f.s.Touch(f.ctx, tenant, map[iot.ID]registry.Touch{id: {LastMessage: heard, Connection: registry.Connected}, 99999: {LastMessage: heard}}); err != nil {
		t.Fatal(err)
	}
	if err := f.s.Touch(f.ctx, tenant, map[iot.ID]registry.Touch{id: {LastMessage: heard.Add(-time.Minute)}}); err != nil {
		t.Fatal(err)
	}
	if err := f.s.SetAlarms(f.ctx, tenant, id, registry.Counters{Critical: 2, Warning: 1}); err != nil {
		t.Fatal(err)
	}
	o, err := f.s.Get(f.ctx, tenant, id)
	if err != nil || !o[0].State.LastMessage.Equal(heard) || o[0].State.Connection != registry.Connected || o[0].State.Alarms.Critical != 2 || o[0].State.Availability != registry.Available {
		t.Errorf("%+v %v", o, err)
	}
	for text, want := range map[string]string{"c8y_ActiveAlarmsStatus.critical gt 0f": "a", "c8y_Connection.status eq 'CONNECTED'": "a", "c8y_Availability.status eq 'MAINTENANCE'": "b", "has(c8y_ActiveAlarmsStatus)": "a"} {
		if got := f.query(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for minutes, want := range map[int]int{9: 0, 11: 1} {
		late, err := f.s.Overdue(f.ctx, tenant, heard.Add(time.Duration(minutes)*time.Minute))
		if err != nil || len(late) != want {
			t.Errorf("after %d minutes: %v %v", minutes, late, err)
		}
	}
	// what an update makes of the availability is in what it returns, which goes into answers and messages
	for _, c := range []struct{ interval, want string }{{`{"responseInterval":-10}`, registry.Maintenance}, {`{"responseInterval":20}`, registry.Available}, {`{}`, ""}} {
		out, written, err := f.s.Update(f.ctx, tenant, id, rev(2), func(o iot.ManagedObject) (iot.ManagedObject, error) {
			o.Fragments = o.Fragments.Merge(iot.Doc{{Name: iot.FragmentRequiredAvailability, Raw: []byte(c.interval)}})
			return o, nil
		})
		if err != nil || !written || out.State.Availability != c.want || out.State.Connection != registry.Connected {
			t.Errorf("%s: %v %v %+v", c.interval, written, err, out.State)
		}
		if o, err := f.s.Get(f.ctx, tenant, id); err != nil || o[0].State.Availability != c.want {
			t.Errorf("%s: %+v %v", c.interval, o, err)
		}
	}
}

func testCensus(t *testing.T, f *fixture) {
	gateway, marked := f.add(`{"name":"gateway","c8y_IsDevice":{}}`), f.add(`{"name":"marked","c8y_IsDevice":{}}`)
	plain, sensor, asset := f.add(`{"name":"plain"}`), f.add(`{"name":"sensor"}`), f.add(`{"name":"asset"}`)
	for _, x := range []struct {
		parent iot.ID
		kind   iot.ChildKind
		child  iot.ID
	}{{gateway, iot.ChildDevice, marked}, {gateway, iot.ChildDevice, plain}, {plain, iot.ChildDevice, sensor}, {marked, iot.ChildDevice, sensor}, {gateway, iot.ChildAsset, asset}} {
		if _, err := f.s.Link(f.ctx, tenant, x.parent, x.kind, []iot.ID{x.child}, rev(0)); err != nil {
			t.Fatal(err)
		}
	}
	f.addTo("other", `{"name":"else","c8y_IsDevice":{}}`)
	if got, err := f.s.Census(f.ctx, tenant); err != nil || got != (registry.Census{Devices: 2, All: 4, Leaves: 1}) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := f.s.Census(f.ctx, "nobody"); err != nil || got != (registry.Census{}) {
		t.Errorf("of nobody: %+v %v", got, err)
	}
}

func testDelete(t *testing.T, f *fixture) {
	a, b := f.add(`{"name":"a","x":{}}`, iot.ExternalID{Type: "t", Value: "v"}), f.add(`{"name":"b"}`)
	if _, err := f.s.Link(f.ctx, tenant, b, iot.ChildAsset, []iot.ID{a}, rev(0)); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if _, err := f.s.Delete(f.ctx, tenant, []iot.ID{b, a}, rev(1), func(o iot.ManagedObject) error {
		if o.ID == a && o.Name == "a" {
			return refused
		}
		return nil
	}); !errors.Is(err, refused) {
		t.Errorf("what may not go: %v", err)
	}
	if found, err := f.s.Get(f.ctx, tenant, a, b); err != nil || len(found) != 2 {
		t.Errorf("after a deletion that was refused: %d, %v", len(found), err)
	}
	gone, err := f.s.Delete(f.ctx, tenant, []iot.ID{a, 99999}, rev(1), nil)
	if err != nil || len(gone) != 1 || gone[0].Name != "a" {
		t.Errorf("%+v %v", gone, err)
	}
	if rel, _ := f.s.Neighbours(f.ctx, tenant, []iot.ID{b}, false); len(rel) != 0 {
		t.Errorf("a relation is left: %+v", rel)
	}
	f.add(`{"name":"again"}`, iot.ExternalID{Type: "t", Value: "v"})
	if h, err := f.s.History(f.ctx, tenant, a, time.Time{}); err != nil || len(h) != 1 || !h[0].Deleted {
		t.Errorf("history %+v %v", h, err)
	}
	if got := f.query("has(x)"); got != "" {
		t.Errorf("index: %q", got)
	}
}

func testTenants(t *testing.T, f *fixture) {
	a := f.add(`{"name":"a","x":{}}`, iot.ExternalID{Type: "t", Value: "v"})
	b := f.addTo("other", `{"name":"b","x":{}}`, iot.ExternalID{Type: "t", Value: "v"})
	if a != b {
		t.Fatalf("ids of tenants must not tell how much others have: %d %d", a, b)
	}
	if got := f.query("has(x)"); got != "a" {
		t.Errorf("got %q", got)
	}
	if _, err := f.s.Delete(f.ctx, "other", []iot.ID{b}, rev(1), nil); err != nil {
		t.Fatal(err)
	}
	if got := f.query("has(x)"); got != "a" {
		t.Errorf("after the delete in another tenant: %q", got)
	}
}

func testConcurrent(t *testing.T, f *fixture) {
	id := f.add(`{"name":"a"}`)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, _, err := f.s.Update(f.ctx, tenant, id, rev(i), func(o iot.ManagedObject) (iot.ManagedObject, error) {
				o.Fragments = o.Fragments.Merge(iot.Doc{{Name: fmt.Sprint("f", i), Raw: []byte(`{}`)}})
				return o, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if o, err := f.s.Get(f.ctx, tenant, id); err != nil || len(o[0].Fragments) != 20 {
		t.Errorf("%d of 20 updates are there: %v", len(o[0].Fragments), err)
	}
}

func testText(t *testing.T, f *fixture) {
	a := f.add(`{"name":"Pump-7 north","type":"acme_Pump"}`, iot.ExternalID{Type: "t", Value: "IMEI42"})
	f.add(`{"name":"100%"}`)
	for text, want := range map[string]string{"pump": "Pump-7 north", "zzz NORTH": "Pump-7 north", "imei4": "Pump-7 north", a.String(): "Pump-7 north", "%": "100%", `"7 north"`: "Pump-7 north", `"north 7"`: ""} {
		if got := f.list(registry.Query{Text: text}); got != want && text != a.String() {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
