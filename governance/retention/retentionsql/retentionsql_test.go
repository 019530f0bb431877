package retentionsql_test

import (
	"context"
	"testing"

	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/governance/retention/retentionsql"
	"github.com/isobar-iot/isobar/governance/retention/retentiontest"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			retentiontest.TestStore(t, func(t *testing.T) retention.Store {
				s, err := retentionsql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
