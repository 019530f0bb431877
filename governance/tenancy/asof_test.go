package tenancy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

func TestOptionsAsTheyWere(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		_, store := open(t, db)
		box, err := secret.New([]byte(strings.Repeat("k", 32)))
		if err != nil {
			t.Fatal(err)
		}
		s := openFace(t, store, box)
		p := iot.Principal{Tenant: "ta", User: "u", Roles: optionRoles}
		at := func(n int) time.Time { return time.UnixMilli(int64(1000 * n)).UTC() }
		put := func(n int, options ...tenancy.Option) {
			t.Helper()
			if err := store.PutOptions(ctx, "ta", options, sqlkit.Revision{At: at(n), By: "u", Set: fmt.Sprint("set", n)}); err != nil {
				t.Fatal(err)
			}
		}
		put(1, option("c", "a/b", "1"), option("ca", "k", "x"), option("c", "credentials.p", "sealed:one"))
		put(2, option("c", "a/b", "2 ☃"))
		if err := store.DeleteOption(ctx, "ta", tenancy.OptionKey{Category: "c", Key: "a/b"}, sqlkit.Revision{At: at(3), By: "u", Set: "set3"}); err != nil {
			t.Fatal(err)
		}
		put(4, option("c", "a/b", "4"), option("c", "credentials.p", "sealed:two"), option("B", "k", "y"))
		for n, want := range map[int]string{0: "", 1: "c.a/b=1 c.credentials.p= ca.k=x", 2: "c.a/b=2 ☃ c.credentials.p= ca.k=x", 3: "c.credentials.p= ca.k=x", 4: "B.k=y c.a/b=4 c.credentials.p= ca.k=x"} {
			for _, category := range []string{"", "c", "none"} {
				got, err := s.OptionsAsOf(ctx, p, category, at(n).Add(999*time.Millisecond))
				if err != nil {
					t.Fatal(err)
				}
				var parts, wanted []string
				for _, o := range got {
					parts = append(parts, o.Category+"."+o.Key+"="+o.Value)
				}
				for part := range strings.SplitSeq(strings.ReplaceAll(want, "2 ☃", "2_☃"), " ") {
					if category == "" && part != "" || category != "" && strings.HasPrefix(part, category+".") {
						wanted = append(wanted, strings.ReplaceAll(part, "_", " "))
					}
				}
				if strings.Join(parts, " ") != strings.Join(wanted, " ") {
					t.Errorf("as of %d, category %q: %q, want %q", n, category, parts, wanted)
				}
			}
		}
		if got, err := s.OptionsAsOf(ctx, iot.Principal{Tenant: "tb", User: "u", Roles: optionRoles}, "", at(4)); err != nil || len(got) != 0 {
			t.Errorf("another tenant: %v %v", got, err)
		}
		if _, err := s.OptionsAsOf(ctx, iot.Principal{Tenant: "ta", User: "x"}, "", at(4)); !fault.Is(err, fault.Denied) {
			t.Errorf("without the permission: %v", err)
		}

		// A change belongs to the change set of its context.
		joined := sqlkit.InChangeSet(ctx, "tune-1")
		for _, v := range []string{"5", "6"} {
			if err := s.PutOptions(joined, p, []tenancy.Option{option("d", "k", v), option("d", "credentials.q", v+"-secret")}); err != nil {
				t.Fatal(err)
			}
		}
		if h, err := db.History(ctx, "ta", string(iot.KindOption), "d/k"); err != nil || len(h) != 1 || h[0].Until.Set != "tune-1" {
			t.Errorf("history %+v %v", h, err)
		}
		if h, err := db.History(ctx, "ta", string(iot.KindOption), "d/credentials.q"); err != nil || len(h) != 1 || strings.Contains(string(h[0].Doc), "5-secret") {
			t.Errorf("a secret in history: %+v %v", h, err)
		}
	})
}
