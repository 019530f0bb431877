package usagesql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/governance/usage/usagesql"
	"github.com/isobar-iot/isobar/governance/usage/usagetest"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			usagetest.TestStore(t, func(t *testing.T) usage.Store {
				s, err := usagesql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
