package registrysql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/changes/changessql"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/registry/registrytest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			registrytest.TestStore(t, func(t *testing.T) (registry.Driver, changes.Store) {
				db := open(t)
				s, err := registrysql.New(context.Background(), db)
				if err != nil {
					t.Fatal(err)
				}
				return s, changessql.New(db)
			})
		})
		t.Run(name+" with long scopes", func(t *testing.T) {
			registrytest.TestLists(t, func(t *testing.T) registry.Driver {
				s, err := registrysql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s.NameAtMost(3)
			})
		})
	}
}
