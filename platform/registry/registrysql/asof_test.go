package registrysql_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/security/access"
)

type silent struct{}

func (silent) Record(context.Context, iot.Principal, iot.AuditRecord) {}

// past is a registry with a clock that moves a second with every change, and what an outside observer saw.
type past struct {
	t     *testing.T
	r     *registry.Registry
	s     *registrysql.Store
	clock *clock.Manual
	now   map[iot.ID]iot.ManagedObject
	seen  []moment
}

// moment is what there was at a time.
type moment struct {
	at      time.Time
	objects map[iot.ID]iot.ManagedObject
}

var (
	ctx  = context.Background()
	root = iot.Principal{Tenant: "acme", User: "root", Roles: []string{"ROLE_BINARY_ADMIN", "ROLE_BINARY_READ", "ROLE_INVENTORY_ADMIN", "ROLE_INVENTORY_READ"}}
	ann  = iot.Principal{Tenant: "acme", User: "ann", Roles: []string{"ROLE_INVENTORY_CREATE"}}
)

func newPast(t *testing.T, db *sqlkit.DB) *past {
	log, c := slog.New(slog.DiscardHandler), clock.NewManual(time.UnixMilli(1_000_000))
	b, err := bus.Open(bus.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s, err := registrysql.New(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.NewRegistry(registry.Deps{Store: s, Policy: &access.Policy{}, Audit: silent{}, Bus: b, Clock: c, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &past{t: t, r: r, s: s, clock: c, now: map[iot.ID]iot.ManagedObject{}}
}

func draft(t *testing.T, text string) registry.Draft {
	t.Helper()
	d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	out, err := registry.DraftOf(d)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tick ends a moment.
func (x *past) tick(id iot.ID, o *iot.ManagedObject) {
	if delete(x.now, id); o != nil {
		x.now[id] = *o
	}
	m := moment{x.clock.Now(), map[iot.ID]iot.ManagedObject{}}
	for id, o := range x.now {
		m.objects[id] = o
	}
	x.seen = append(x.seen, m)
	x.clock.Advance(time.Second)
}

func (x *past) create(p iot.Principal, text string) iot.ID {
	x.t.Helper()
	o, err := x.r.Create(ctx, p, registry.Place{}, draft(x.t, text))
	if err != nil {
		x.t.Fatal(err)
	}
	x.tick(o[0].ID, &o[0].ManagedObject)
	return o[0].ID
}

func (x *past) patch(id iot.ID, text string) {
	x.t.Helper()
	o, err := x.r.Patch(ctx, root, id, draft(x.t, text))
	if err != nil {
		x.t.Fatal(err)
	}
	x.tick(id, &o.ManagedObject)
}

func (x *past) remove(id iot.ID) {
	x.t.Helper()
	if _, err := x.r.Delete(ctx, root, id, registry.DeleteOptions{}); err != nil {
		x.t.Fatal(err)
	}
	x.tick(id, nil)
}

func show(objects []iot.ManagedObject) string {
	var parts []string
	for _, o := range objects {
		parts = append(parts, fmt.Sprintf("%s:%s/%s", o.ID, o.Name, o.Type))
	}
	return strings.Join(parts, " ")
}

// want returns what a list of a moment must show.
func (m moment) want(of func(iot.ManagedObject) bool) (out []iot.ManagedObject) {
	for _, o := range m.objects {
		if of(o) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b iot.ManagedObject) int { return int(a.ID) - int(b.ID) })
	return out
}

// pages reads a list page by page.
func (x *past) pages(p iot.Principal, q registry.Query, at time.Time, size int) (out []iot.ManagedObject) {
	x.t.Helper()
	q.Limit, q.Count = size, true
	for {
		page, n, err := x.r.ListAsOf(ctx, p, q, at)
		if err != nil {
			x.t.Fatal(err)
		}
		if len(page) > size {
			x.t.Fatalf("a page of %d has %d", size, len(page))
		}
		out = append(out, page...)
		if q.Offset += size; len(page) == 0 {
			if n != len(out) {
				x.t.Errorf("%d are counted, %d are on the pages", n, len(out))
			}
			return out
		}
	}
}

func TestListsOfThePast(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		x := newPast(t, db)
		var ids []iot.ID
		for i := range 9 {
			p := root
			if i%3 == 0 {
				p = ann
			}
			ids = append(ids, x.create(p, fmt.Sprintf(`{"name":"n%d","type":"t%d"}`, i, i%2)))
		}
		x.patch(ids[1], `{"type":"t0"}`)
		x.patch(ids[2], `{"name":"renamed","mark":{}}`)
		x.patch(ids[2], `{"mark":null}`)
		x.remove(ids[4])
		x.patch(ids[8], `{"owner":"ann"}`)
		x.remove(ids[1])
		x.patch(ids[3], `{"mark":{"v":1}}`)
		x.create(root, `{"name":"late","type":"t0","mark":{}}`)
		before := x.seen[0].at.Add(-time.Second)
		if got := x.pages(root, registry.Query{}, before, 2); len(got) != 0 {
			t.Errorf("before there was anything: %s", show(got))
		}
		for i, m := range x.seen {
			for name, c := range map[string]struct {
				p  iot.Principal
				q  registry.Query
				of func(iot.ManagedObject) bool
			}{
				"all":   {root, registry.Query{}, func(iot.ManagedObject) bool { return true }},
				"type":  {root, registry.Query{Type: "t0"}, func(o iot.ManagedObject) bool { return o.Type == "t0" }},
				"mark":  {root, registry.Query{Fragment: "mark"}, func(o iot.ManagedObject) bool { return o.Fragments.Has("mark") }},
				"owner": {root, registry.Query{Owner: "ann"}, func(o iot.ManagedObject) bool { return o.Owner == "ann" }},
				"ids":   {root, registry.Query{IDs: ids[:5], Type: "t0"}, func(o iot.ManagedObject) bool { return slices.Contains(ids[:5], o.ID) && o.Type == "t0" }},
				"what ann owns now": {ann, registry.Query{}, func(o iot.ManagedObject) bool {
					is, ok := x.now[o.ID]
					return ok && is.Owner == "ann"
				}},
			} {
				want := show(m.want(c.of))
				for _, size := range []int{1, 2, 3, 100} {
					if got := show(x.pages(c.p, c.q, m.at.Add(time.Duration(i%2)*999*time.Millisecond), size)); got != want {
						t.Errorf("%s after change %d in pages of %d: %s, want %s", name, i, size, got, want)
					}
				}
			}
		}
	})
}

// TestPastOfFragments: who reads an object for the sake of a fragment does not get versions with others.
func TestPastOfFragments(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		x := newPast(t, db)
		id := x.create(root, `{"name":"secret","closed":{}}`)
		file := x.create(root, `{"name":"file","c8y_IsBinary":{}}`)
		x.patch(id, `{"name":"open","closed":null,"open":{}}`)
		x.patch(id, `{"name":"now"}`)
		x.patch(file, `{"name":"file 2"}`)
		x.remove(file)
		bob := iot.Principal{Tenant: "acme", User: "bob", Grants: []iot.Grant{{Object: id, Scope: "MANAGED_OBJECT", Fragment: "open", Level: "READ"}}}
		noFiles := iot.Principal{Tenant: "acme", User: "carl", Roles: []string{"ROLE_MANAGED_OBJECT_READ"}}
		for i, want := range []struct{ bob, carl, root string }{
			{"", "secret", "secret"}, {"", "secret", "secret file"}, {"open", "open", "open file"}, {"now", "now", "now file"}, {"now", "now", "now file 2"}, {"now", "now", "now"},
		} {
			for who, w := range map[*iot.Principal]string{&bob: want.bob, &noFiles: want.carl, &root: want.root} {
				var got []string
				for _, o := range x.pages(*who, registry.Query{}, x.seen[i].at, 10) {
					got = append(got, o.Name)
				}
				if strings.Join(got, " ") != w {
					t.Errorf("%s after change %d: %q, want %q", who.User, i, got, w)
				}
			}
		}
	})
}

func TestPastIsBounded(t *testing.T) {
	x := newPast(t, sqltest.SQLite(t))
	id := x.create(root, `{"name":"a"}`)
	x.patch(id, `{"name":"b"}`)
	x.patch(id, `{"name":"c"}`)
	other := x.create(root, `{"name":"a"}`)
	x.patch(other, `{"name":"b"}`)
	everything := func(iot.ManagedObject) bool { return true }
	if v, looked, err := x.s.Former(ctx, "acme", x.seen[3].at, 1, everything); err != nil || looked != 1 || len(v) != 1 || v[0].ID != other {
		t.Errorf("%s, %d looked at, %v", show(v), looked, err)
	}
	if n, err := x.s.Ended(ctx, "acme", x.seen[0].at, 2); err != nil || n != 2 {
		t.Errorf("%d changes were counted up to 2: %v", n, err)
	}
	if n, err := x.s.Ended(ctx, "other", x.seen[0].at, 2); err != nil || n != 0 {
		t.Errorf("%d changes of another tenant: %v", n, err)
	}
	full := overfull{x.s, registry.MaxFormer + 1, 0}
	for i, s := range []*overfull{&full, {x.s, 0, registry.MaxEnded + 1}} {
		b, err := bus.Open(bus.Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		r, err := registry.NewRegistry(registry.Deps{Store: s, Policy: &access.Policy{}, Audit: silent{}, Bus: b, Clock: x.clock, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		if _, _, err := r.ListAsOf(ctx, root, registry.Query{Limit: 5}, x.seen[0].at); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d: %v", i, err)
		}
		if got, _, err := r.ListAsOf(ctx, root, registry.Query{Limit: 5, IDs: []iot.ID{id}}, x.seen[0].at); err != nil || show(got) != id.String()+":a/" {
			t.Errorf("%d, named: %s, %v", i, show(got), err)
		}
	}
}

// overfull is a store with more changes than there are.
type overfull struct {
	*registrysql.Store
	looked, ended int
}

func (o overfull) Former(ctx context.Context, t iot.TenantID, at time.Time, limit int, match func(iot.ManagedObject) bool) ([]iot.ManagedObject, int, error) {
	v, n, err := o.Store.Former(ctx, t, at, limit, match)
	return v, min(n+o.looked, limit), err
}

func (o overfull) Ended(ctx context.Context, t iot.TenantID, after time.Time, limit int) (int, error) {
	n, err := o.Store.Ended(ctx, t, after, limit)
	return min(n+o.ended, limit), err
}

// TestRelationsOfThePast reads children and parents as they were, with the names of then, as far as somebody may read them.
func TestRelationsOfThePast(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		x := newPast(t, db)
		group, hers, other := x.create(root, `{"name":"group","owner":"ann"}`), x.create(ann, `{"name":"hers"}`), x.create(root, `{"name":"other"}`)
		do := func(err error) time.Time {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			at := x.clock.Now()
			x.clock.Advance(time.Second)
			return at
		}
		before := x.clock.Now().Add(-time.Millisecond)
		linked := do(x.r.Link(ctx, root, group, iot.ChildAsset, []iot.ID{other, hers}))
		renamed := do(func() error { _, err := x.r.Patch(ctx, root, hers, draft(t, `{"name":"renamed"}`)); return err }())
		gone := do(func() error { _, err := x.r.Delete(ctx, root, other, registry.DeleteOptions{}); return err }())
		apart := do(x.r.Unlink(ctx, root, group, iot.ChildAsset, []iot.ID{hers}))
		for _, c := range []struct {
			at         time.Time
			all, anns  string
			parentName string
		}{{before, "", "", ""}, {linked, "other hers", "hers", "group"}, {renamed, "other renamed", "renamed", "group"}, {gone, "renamed", "renamed", "group"}, {apart, "", "", ""}} {
			for p, want := range map[*iot.Principal]string{&root: c.all, &ann: c.anns} {
				rel, err := x.r.NeighboursAsOf(ctx, *p, []iot.ID{group}, false, c.at)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, r := range rel {
					names = append(names, r.Name)
				}
				listed, n, err := x.r.RelatedAsOf(ctx, *p, group, false, registry.Query{Kind: iot.ChildAsset, Limit: 10}, c.at)
				if err != nil || n != len(listed) {
					t.Fatal(n, listed, err)
				}
				var full []string
				for _, o := range listed {
					full = append(full, o.Name)
				}
				if strings.Join(names, " ") != want || strings.Join(full, " ") != want {
					t.Errorf("%s at %v: references %q, objects %q, want %q", p.User, c.at, names, full, want)
				}
			}
			up, n, err := x.r.RelatedAsOf(ctx, root, hers, true, registry.Query{Kind: iot.ChildAsset, Limit: 10}, c.at)
			if err != nil || (n == 1) != (c.parentName != "") || n == 1 && up[0].Name != c.parentName {
				t.Errorf("parents at %v: %+v %v", c.at, up, err)
			}
		}
		page, n, err := x.r.RelatedAsOf(ctx, root, group, false, registry.Query{Kind: iot.ChildAsset, Offset: 1, Limit: 1}, linked)
		if err != nil || n != 2 || len(page) != 1 || page[0].Name != "hers" {
			t.Errorf("the second page: %+v of %d, %v", page, n, err)
		}
		if _, err := x.r.ChildAsOf(ctx, root, group, iot.ChildDevice, hers, linked); !fault.Is(err, fault.Invalid) {
			t.Errorf("a child of another kind: %v", err)
		}
		if _, _, err := x.r.RelatedAsOf(ctx, iot.Principal{Tenant: "acme", User: "eve"}, group, false, registry.Query{Kind: iot.ChildAsset, Limit: 1}, linked); !fault.Is(err, fault.Denied) {
			t.Errorf("without a right: %v", err)
		}

		// One from before relations had a history counts as having been there since both objects were.
		again := do(x.r.Link(ctx, root, group, iot.ChildAsset, []iot.ID{hers}))
		if err := db.Write(ctx, func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE object_child SET since = 0, rev_by = '', rev_set = ''`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for at, want := range map[time.Time]int{again: 1, before: 1, time.UnixMilli(1): 0} {
			if rel, err := x.r.NeighboursAsOf(ctx, root, []iot.ID{group}, false, at); err != nil || len(rel) != want {
				t.Errorf("an old relation at %v: %+v %v", at, rel, err)
			}
		}
	})
}
