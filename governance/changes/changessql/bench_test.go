package changessql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/security/access"
)

// BenchmarkLog looks at a log of 200,000 changes of alarms of 100 devices, one set each, of which one alarm changed 50,000 times.
func BenchmarkLog(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkLog(b, sqltest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkLog(b, sqltest.Postgres(b)) })
}

func benchmarkLog(b *testing.B, db *sqlkit.DB) {
	f := newFixture(b, db)
	devices := []iot.ID{f.device}
	for i := range 99 {
		devices = append(devices, f.object(fmt.Sprint("device ", i), rev(0, "setup")))
	}
	const all, once = 200_000, 1000
	at := func(n int) time.Time { return time.UnixMilli(1_800_000_001_000 + int64(n)) }
	for from := 0; from < all; from += once {
		f.must(db.Write(ctx, func(tx *sqlkit.Tx) error {
			for n := from; n < from+once; n++ {
				device := n % 100
				if n%4 == 0 {
					device = 0
				}
				if err := tx.Supersede(ctx, sqlkit.Superseded{Tenant: string(tenant), Kind: string(iot.KindAlarm), ID: fmt.Sprint(1000 + device), From: at(n - 1),
					Until: sqlkit.Revision{At: at(n), By: fmt.Sprint("user ", n%10), Set: fmt.Sprint("set ", n)}, Doc: []byte(`{"ID":1,"Status":"ACTIVE","Fragments":{}}`), Object: int64(devices[device])}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	if db.Dialect == sqlkit.Postgres {
		f.must(db.Write(ctx, func(tx *sqlkit.Tx) error { _, err := tx.Exec(ctx, `ANALYZE`); return err }))
	}
	list := func(scope access.Scope, q changes.Query) func() error {
		q.Limit = 100
		return func() error {
			sets, _, err := f.log.ChangeSets(ctx, tenant, f.views(scope), q)
			if err == nil && len(sets) == 0 {
				b.Error("nothing was found")
			}
			return err
		}
	}
	everything := access.Scope{All: true}
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"latest", list(everything, changes.Query{})},
		{"of one author", list(everything, changes.Query{By: "user 3"})},
		{"of one device", list(everything, changes.Query{Object: devices[7]})},
		{"of an hour", list(everything, changes.Query{From: at(0), To: at(1000)})},
		{"of one owner", list(access.Scope{Owner: "ann"}, changes.Query{})},
		{"one set", func() error {
			_, seen, err := f.log.ChangeSet(ctx, tenant, f.everything(), "set 100", 100)
			if err == nil && len(seen) != 1 {
				b.Error(seen)
			}
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				f.must(c.do())
			}
		})
	}
}
