package registrysql_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/changes/changessql"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/registry/registrytest"
	"github.com/isobar-iot/isobar/security/access"
)

// slow are the steps of a plan that read documents, or everything, to find a page.
var slow = regexp.MustCompile(`(?i)seq scan|SEARCH m USING PRIMARY KEY \(tenant=\?\)|SCAN (m|d|s|f|v|managed_object|object_\w+)\b`)

// sorting is the step that sorts all that matches, before a page of it is known.
var sorting = regexp.MustCompile(`(?i)^\s*(->)?\s*sort\b|TEMP B-TREE FOR ORDER BY`)

// TestListsAreReadAlongIndexes asks the engines how they would find pages of a fleet of 20,000.
func TestListsAreReadAlongIndexes(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, err := registrysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		groups := registrytest.Crowd(t, db, s, tenant, 20)
		clerk := func(ids []iot.ID) access.Scope {
			scope := access.Scope{Owner: "someone", Global: true}
			for _, id := range ids {
				scope.Grants = append(scope.Grants, iot.Grant{Object: id, Below: true, Scope: "*", Fragment: "*", Level: iot.GrantRead})
			}
			return scope
		}
		all := access.Scope{All: true}
		for _, c := range []struct {
			text   string
			q      registry.Query
			scope  access.Scope
			sorted bool
		}{
			{"", registry.Query{}, all, false},
			{"$filter=has(c8y_IsDevice) and c8y_Hardware.model eq 'Model C'", registry.Query{}, all, false},
			{"$filter=has(c8y_IsDevice) and c8y_Hardware.model eq 'Model C' and c8y_Firmware.version eq '2.1.3'", registry.Query{}, all, false},
			{"$filter=c8y_Availability.status eq 'AVAILABLE' and has(c8y_Position)", registry.Query{}, all, false},
			{"$filter=has(c8y_Network) and has(c8y_Position)", registry.Query{}, all, false},
			{"$filter=type eq 'c8y_Kind3'", registry.Query{}, all, false},
			{"$filter=type eq 'c8y_Kind3' and c8y_Hardware.model eq 'Model C'", registry.Query{}, all, false},
			{"$orderby=name", registry.Query{}, all, false},
			{"$orderby=name", registry.Query{OnlyDevices: true}, all, false},
			{"$filter=c8y_Firmware.version eq '2.9.99' $orderby=name", registry.Query{}, all, true},
			{"$filter=has(c8y_Hardware)", registry.Query{OnlyDevices: true}, all, false},
			{"", registry.Query{Type: "c8y_Kind3"}, all, false},
			{"", registry.Query{Fragment: "c8y_Position"}, all, false},
			{"", registry.Query{Owner: "admin"}, all, false},
			{"", registry.Query{Text: "0042"}, all, false},
			{"", registry.Query{}, clerk(groups.Small), true},
			{"", registry.Query{}, clerk(groups.Large), true},
			{"$filter=has(c8y_IsDevice) and c8y_Hardware.model eq 'Model C'", registry.Query{}, clerk(groups.Small), true},
		} {
			c.q.Limit = 1000
			if c.text != "" {
				if c.q.Query, err = query.Parse(c.text); err != nil {
					t.Fatal(err)
				}
			}
			steps, err := s.Plan(ctx, tenant, c.scope, c.q)
			if err != nil {
				t.Fatal(c.text, err)
			}
			for _, step := range steps {
				if slow.MatchString(step) && !strings.Contains(step, "external_id") || !c.sorted && db.Dialect == sqlkit.SQLite && sorting.MatchString(step) {
					t.Errorf("%q %+v: %s\n%s", c.text, c.q, step, strings.Join(steps, "\n"))
				}
			}
		}
	})
}

// TestPagesAreTheSameFromAKnownPosition reads the pages of lists in any order, while objects come, go and change, and compares them with what is
// counted to anew.
func TestPagesAreTheSameFromAKnownPosition(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, err := registrysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := registrysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		registrytest.Crowd(t, db, s, tenant, 1)
		rev := func(i int) sqlkit.Revision {
			return sqlkit.Revision{At: time.UnixMilli(1_800_000_000_000 + int64(i)), By: "x", Set: fmt.Sprint(i)}
		}
		texts := []string{"", "$orderby=name", "$filter=has(c8y_Position) and c8y_Hardware.model eq 'Model C'", "$filter=c8y_Availability.status eq 'AVAILABLE' $orderby=name",
			"$filter=c8y_Mobile.lac gt '3'", "$filter=type eq 'c8y_Kind3' $orderby=name desc", "$filter=c8y_Position.alt ge 100"}
		compare := func(when string) {
			t.Helper()
			for _, text := range texts {
				q := registry.Query{Limit: 30, Count: true}
				if text != "" {
					if q.Query, err = query.Parse(text); err != nil {
						t.Fatal(err)
					}
				}
				for _, page := range []int{2, 0, 3, 1, 2, 4, 40} {
					q.Offset = page * q.Limit
					fresh.Forget()
					got, n, err := s.List(ctx, tenant, access.Scope{All: true}, q)
					if err != nil {
						t.Fatal(err)
					}
					want, m, err := fresh.List(ctx, tenant, access.Scope{All: true}, q)
					if err != nil {
						t.Fatal(err)
					}
					if n != m || fmt.Sprint(idsOf(got)) != fmt.Sprint(idsOf(want)) {
						t.Errorf("%s, %q page %d: %v of %d, want %v of %d", when, text, page, idsOf(got), n, idsOf(want), m)
					}
				}
			}
		}
		compare("at first")
		compare("again")
		page, _, err := s.List(ctx, tenant, access.Scope{All: true}, registry.Query{Limit: 200})
		if err != nil {
			t.Fatal(err)
		}
		change := func(id iot.ID, doc string) {
			d, err := iot.ParseDoc([]byte(doc), iot.MaxDepth)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Update(ctx, tenant, id, rev(int(id)), func(o iot.ManagedObject) (iot.ManagedObject, error) {
				o.Fragments = o.Fragments.Merge(d)
				if name, ok := d.Text("named"); ok {
					o.Name = name
				}
				return o, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		steps := []struct {
			name string
			do   func()
		}{
			{"deleted", func() {
				if _, err := s.Delete(ctx, tenant, []iot.ID{page[60].ID, page[61].ID}, rev(1), nil); err != nil {
					t.Fatal(err)
				}
			}},
			{"without a fragment", func() { change(page[70].ID, `{"c8y_Position":null}`) }},
			{"another model", func() { change(page[71].ID, `{"c8y_Hardware":{"model":"Model C"}}`) }},
			{"a model in a list", func() { change(page[72].ID, `{"c8y_Hardware":{"model":["Model X","Model C"]}}`) }},
			{"a number", func() { change(page[73].ID, `{"c8y_Position":{"alt":1}}`) }},
			{"another name", func() { change(page[74].ID, `{"named":"aaa"}`) }},
			{"away", func() {
				if err := s.Touch(ctx, tenant, map[iot.ID]registry.Touch{page[75].ID: {Availability: "UNAVAILABLE"}}); err != nil {
					t.Fatal(err)
				}
			}},
			{"created", func() {
				id, err := s.NextID(ctx, tenant)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Create(ctx, tenant, []registry.New{{Object: iot.ManagedObject{ID: id, Name: "abc", Type: "c8y_Kind3", CreationTime: rev(2).At, LastUpdated: rev(2).At}}}, rev(2)); err != nil {
					t.Fatal(err)
				}
			}},
		}
		for _, step := range steps {
			step.do()
			compare(step.name)
		}
	})
}

// TestLatestChangeSetsAreFoundBehindLargeOnes has fewer sets among the latest changes than a page takes.
func TestLatestChangeSetsAreFoundBehindLargeOnes(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, err := registrysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		var ids []iot.ID
		create := func(set string, at int64, n int) {
			rev := sqlkit.Revision{At: time.UnixMilli(at), By: "ann", Set: set}
			var news []registry.New
			for range n {
				id, err := s.NextID(ctx, tenant)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
				news = append(news, registry.New{Object: iot.ManagedObject{ID: id, CreationTime: rev.At, LastUpdated: rev.At}})
			}
			if err := s.Create(ctx, tenant, news, rev); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			create(fmt.Sprint("one ", i), int64(1000+i), 1)
		}
		create("large", 2000, 150)
		if _, err := s.Delete(ctx, tenant, ids[:30], sqlkit.Revision{At: time.UnixMilli(3000), By: "bob", Set: "gone"}, nil); err != nil {
			t.Fatal(err)
		}
		list := func(q changes.Query) string {
			sets, _, err := changessql.New(db).ChangeSets(ctx, tenant, []changes.View{{Kind: iot.KindManagedObject, Documents: s.Objects(), Scope: access.Scope{All: true}}, {Kind: iot.KindRelation, Documents: s.Links(), Scope: access.Scope{All: true}}}, q)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, x := range sets {
				out = append(out, fmt.Sprint(x.ID, ":", x.Changes))
			}
			return strings.Join(out, ", ")
		}
		for want, q := range map[string]changes.Query{
			"gone:30, large:150, one 59:1, one 58:1": {Limit: 4},
			"one 57:1, one 56:1":                     {Limit: 2, Offset: 4},
			"one 1:1, one 0:1":                       {Limit: 5, Offset: 60},
			"gone:30":                                {Limit: 5, By: "bob"},
			"one 3:1, one 2:1":                       {Limit: 2, To: time.UnixMilli(1004)},
		} {
			if got := list(q); got != want {
				t.Errorf("%+v: %s, want %s", q, got, want)
			}
		}
	})
}

func idsOf(list []registry.Object) (out []iot.ID) {
	for _, o := range list {
		out = append(out, o.ID)
	}
	return out
}

// TestOldObjectsAreEnteredIntoTheIndexOfTexts opens a store as an older version left it.
func TestOldObjectsAreEnteredIntoTheIndexOfTexts(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		s, err := registrysql.New(ctx, db)
		if err != nil {
			t.Fatal(err)
		}
		registrytest.Crowd(t, db, s, tenant, 1)
		q := registry.Query{Limit: 2000, Count: true}
		if q.Query, err = query.Parse("$filter=c8y_Hardware.model eq 'Model C'"); err != nil {
			t.Fatal(err)
		}
		_, want, err := s.List(ctx, tenant, access.Scope{All: true}, q)
		if err != nil || want < 100 {
			t.Fatal(want, err)
		}
		if err := registrysql.Unfill(ctx, db); err != nil {
			t.Fatal(err)
		}
		s.Forget()
		if _, n, err := s.List(ctx, tenant, access.Scope{All: true}, q); err != nil || n != 0 {
			t.Fatal("the index is not used", n, err)
		}
		if s, err = registrysql.New(ctx, db); err != nil {
			t.Fatal(err)
		}
		if _, n, err := s.List(ctx, tenant, access.Scope{All: true}, q); err != nil || n != want {
			t.Errorf("%d of %d, %v", n, want, err)
		}
	})
}

const tenant = iot.TenantID("acme")
