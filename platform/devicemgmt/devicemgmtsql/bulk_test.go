package devicemgmtsql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmtsql"
	"github.com/isobar-iot/isobar/platform/devicemgmt/devicemgmttest"
)

func TestBulkConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			devicemgmttest.TestBulkStore(t, func(t *testing.T) devicemgmttest.BothStores {
				s, err := devicemgmtsql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
