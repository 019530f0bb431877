package applogicsql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/applogic"
	"github.com/isobar-iot/isobar/platform/applogic/applogicsql"
	"github.com/isobar-iot/isobar/platform/applogic/applogictest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			applogictest.TestStore(t, func(t *testing.T) applogic.Store {
				s, err := applogicsql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
