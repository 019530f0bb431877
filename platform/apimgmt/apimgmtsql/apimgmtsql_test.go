package apimgmtsql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/apimgmt"
	"github.com/isobar-iot/isobar/platform/apimgmt/apimgmtsql"
	"github.com/isobar-iot/isobar/platform/apimgmt/apimgmttest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			apimgmttest.TestStore(t, func(t *testing.T) apimgmt.Store {
				s, err := apimgmtsql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
