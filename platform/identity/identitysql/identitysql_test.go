package identitysql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/identity/identitysql"
	"github.com/isobar-iot/isobar/platform/identity/identitytest"
)

func TestConformance(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *sqlkit.DB{"sqlite": sqltest.SQLite, "postgres": sqltest.Postgres} {
		t.Run(name, func(t *testing.T) {
			identitytest.TestStore(t, func(t *testing.T) identity.Store {
				s, err := identitysql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
			identitytest.TestAnchorStore(t, func(t *testing.T) identity.AnchorStore {
				s, err := identitysql.New(context.Background(), open(t))
				if err != nil {
					t.Fatal(err)
				}
				return s.Anchors()
			})
		})
	}
}

func TestHistoryHoldsNoToken(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		s, err := identitysql.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		rev := sqlkit.Revision{By: "ann", Set: "s"}
		if err := s.Create(t.Context(), identity.Registration{ID: "x", Tenant: "acme", Token: identity.Token("secret"), Enrollment: identity.Token("secret")}, rev); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "acme", "x", rev); err != nil {
			t.Fatal(err)
		}
		v, err := db.History(t.Context(), "acme", string(iot.KindRegistration), "x")
		if err != nil || len(v) != 1 || !v[0].Deleted || !strings.Contains(string(v[0].Doc), `"Token":null`) || !strings.Contains(string(v[0].Doc), `"Enrollment":null`) {
			t.Errorf("history %+v, %v", v, err)
		}
	})
}
