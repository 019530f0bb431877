package registrysql_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/security/access"
)

// BenchmarkList compares a page of 20 devices out of 100,000 objects for an administrator and for users with inventory roles on groups of
// different sizes; the first line of each engine is the floor of the others.
func BenchmarkList(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		b.Run(name, func(b *testing.B) { benchmarkList(b, open(b)) })
	}
}

const benchTenant = iot.TenantID("bench")

func benchmarkList(b *testing.B, db *sqlkit.DB) {
	ctx := context.Background()
	s, err := registrysql.New(ctx, db)
	if err != nil {
		b.Fatal(err)
	}
	roots := plant(b, s)
	if db.Dialect == sqlkit.Postgres { // as its autovacuum would by itself
		if err := db.Write(ctx, func(tx *sqlkit.Tx) error { _, err := tx.Exec(ctx, "ANALYZE"); return err }); err != nil {
			b.Fatal(err)
		}
	}
	grant := func(ids ...iot.ID) access.Scope {
		scope := access.Scope{Owner: "someone", Global: true}
		for _, id := range ids {
			scope.Grants = append(scope.Grants, iot.Grant{Object: id, Below: true, Scope: "*", Fragment: "*", Level: iot.GrantRead})
		}
		return scope
	}
	byName, err := query.Parse("$orderby=name")
	if err != nil {
		b.Fatal(err)
	}
	for _, list := range []struct {
		name string
		q    registry.Query
	}{
		{"page", registry.Query{OnlyDevices: true, Limit: 20}},
		{"page by name", registry.Query{OnlyDevices: true, Limit: 20, Query: byName}},
		{"page of a type", registry.Query{OnlyDevices: true, Limit: 20, Type: "type0"}},
		{"count", registry.Query{OnlyDevices: true, Limit: 20, Count: true}},
	} {
		for _, who := range []struct {
			name  string
			scope access.Scope
		}{
			{"administrator", access.Scope{All: true}}, {"role on 20", grant(roots[20])}, {"role on 1000", grant(roots[1000])}, {"role on 50000", grant(roots[50000])},
			{"roles on 20 groups of 20", grant(roots[20], roots[21], roots[22], roots[23], roots[24], roots[25], roots[26], roots[27], roots[28], roots[29],
				roots[30], roots[31], roots[32], roots[33], roots[34], roots[35], roots[36], roots[37], roots[38], roots[39])},
		} {
			b.Run(list.name+"/"+who.name, func(b *testing.B) {
				for b.Loop() {
					page, _, err := s.List(ctx, benchTenant, who.scope, list.q)
					if err != nil || len(page) == 0 {
						b.Fatal(len(page), err)
					}
				}
			})
		}
	}
}

// plant creates 100,000 devices, most of them in groups: of 50,000, of 1,000 (spread over all), and of 20. It returns the groups; 20 to 39 are the
// small ones.
func plant(b *testing.B, s *registrysql.Store) map[int]iot.ID {
	ctx := context.Background()
	rev := sqlkit.Revision{At: time.UnixMilli(1), By: "bench", Set: "set"}
	groups := map[int]iot.ID{}
	next := func() iot.ID {
		id, err := s.NextID(ctx, benchTenant)
		if err != nil {
			b.Fatal(err)
		}
		return id
	}
	create := func(batch []registry.New) {
		if err := s.Create(ctx, benchTenant, batch, rev); err != nil {
			b.Fatal(err)
		}
	}
	doc := func(text string) iot.Doc {
		d, err := iot.ParseDoc([]byte(text), iot.MaxDepth)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	group := func(n int) {
		groups[n] = next()
		create([]registry.New{{Object: iot.ManagedObject{ID: groups[n], Name: fmt.Sprint("group ", n), Owner: "admin", Fragments: doc(`{"c8y_IsDeviceGroup":{}}`)}}})
	}
	group(50000)
	group(1000)
	for n := 20; n < 40; n++ {
		group(n)
	}
	device := doc(`{"c8y_IsDevice":{},"c8y_Hardware":{"model":"M1","serialNumber":"12345"},"c8y_Position":{"lat":51.2,"lng":6.8}}`)
	var batch []registry.New
	for i := range 100_000 {
		n := registry.New{Object: iot.ManagedObject{ID: next(), Type: fmt.Sprint("type", i%10), Name: fmt.Sprintf("device %d", i*7919%100_000), Owner: "admin", Fragments: device}, Kind: iot.ChildAsset}
		switch {
		case i%100 == 50:
			n.Parent = groups[1000]
		case i >= 90_000 && i%500 < 20 && i%500 != 50:
			n.Parent = groups[20+(i-90_000)/500]
		case i%2 == 0:
			n.Parent = groups[50000]
		}
		if batch = append(batch, n); len(batch) == 500 {
			create(batch)
			batch = batch[:0]
		}
	}
	return groups
}
