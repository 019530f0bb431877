package exchangesql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/exchange/exchangesql"
	"github.com/isobar-iot/isobar/platform/exchange/exchangetest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			exchangetest.TestStore(t, func(t *testing.T) exchange.Store {
				s, err := exchangesql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
