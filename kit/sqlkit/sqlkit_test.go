package sqlkit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

var things = fstest.MapFS{"migrations/0001_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE thing (tenant TEXT NOT NULL, id BIGINT NOT NULL, doc TEXT NOT NULL, q {{.Doc}}, PRIMARY KEY (tenant, id)) {{.NoRowID}};
`)}}

func migrated(t *testing.T, db *sqlkit.DB) context.Context {
	t.Helper()
	ctx := context.Background()
	for range 2 { // the second run finds nothing to do
		if err := db.Migrate(ctx, "things", things); err != nil {
			t.Fatal(err)
		}
	}
	return ctx
}

func TestWriteIsAtomicAndGroupsDoNotMix(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		var wg sync.WaitGroup
		bad := errors.New("refused")
		for i := range 200 {
			wg.Go(func() {
				err := db.Write(ctx, func(tx *sqlkit.Tx) error {
					if _, err := tx.Exec(ctx, `INSERT INTO thing (tenant, id, doc) VALUES (?, ?, ?)`, "a", int64(i), `{"n":1}`); err != nil {
						return err
					}
					switch {
					case i%10 == 3:
						return bad
					case i%10 == 4:
						panic("boom")
					}
					return nil
				})
				if wantErr := i%10 == 3 || i%10 == 4; (err != nil) != wantErr {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		var n int
		if err := db.QueryRow(ctx, `SELECT count(*) FROM thing WHERE tenant = ?`, "a").Scan(&n); err != nil || n != 160 {
			t.Errorf("%d rows, want 160 (%v)", n, err)
		}
	})
}

func TestPortableJSON(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		err := db.Write(ctx, func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO thing (tenant, id, doc) VALUES (?, ?, ?)`, "a", 1, `{"c8y_X!y-1/z":{"s":"it's ?"}, "v":16.0}`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var doc string
		err = db.QueryRow(ctx, `SELECT doc FROM thing WHERE tenant = ? AND q -> 'c8y_X!y-1/z' ->> 's' = ? AND doc <> '?'`, "a", "it's ?").Scan(&doc)
		if err != nil || doc != `{"c8y_X!y-1/z":{"s":"it's ?"}, "v":16.0}` {
			t.Errorf("%q %v", doc, err)
		}
	})
}

func TestUniqueViolationIsRecognised(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		insert := func() error {
			return db.Write(ctx, func(tx *sqlkit.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO thing (tenant, id, doc) VALUES ('a', 1, '{}')`)
				return err
			})
		}
		if err := insert(); err != nil {
			t.Fatal(err)
		}
		if err := insert(); !sqlkit.IsUnique(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSequencesAreUniqueAcrossGoroutinesAndTenants(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for range 100 {
					tenant := fmt.Sprint("t", g%2)
					id, err := db.NextID(context.Background(), tenant, "doc")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if key := fmt.Sprint(tenant, id); seen[key] {
						t.Errorf("%s twice", key)
					} else {
						seen[key] = true
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if !seen["t01"] || !seen["t11"] || len(seen) != 800 {
			t.Errorf("%d ids, sequences must start at 1", len(seen))
		}
	})
}

func TestHistoryAnswersAsOf(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := context.Background()
		at := func(n int64) time.Time { return time.UnixMilli(1000 * n).UTC() }
		for i := int64(1); i <= 3; i++ {
			err := db.Write(ctx, func(tx *sqlkit.Tx) error {
				return tx.Supersede(ctx, sqlkit.Superseded{Tenant: "a", Kind: "thing", ID: "1", From: at(i), Deleted: i == 3,
					Until: sqlkit.Revision{At: at(i + 1), By: "ann", Set: fmt.Sprint("s", i)}, Doc: fmt.Appendf(nil, `{"v":%d}`, i)})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		versions, err := db.History(ctx, "a", "thing", "1")
		if err != nil || len(versions) != 3 || !versions[2].Deleted || versions[0].Until.By != "ann" {
			t.Fatalf("%+v %v", versions, err)
		}
		v, err := db.AsOf(ctx, "a", "thing", "1", at(2))
		if err != nil || string(v.Doc) != `{"v":2}` {
			t.Errorf("as of 2: %s %v", v.Doc, err)
		}
		if _, err := db.AsOf(ctx, "b", "thing", "1", at(2)); err == nil {
			t.Error("another tenant sees the history")
		}
	})
}

func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlkit.OpenSQLite(context.Background(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	migrated(t, db)
	if err := db.QueryRow(context.Background(), `SELECT count(*) FROM thing`).Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("the log was not folded into the database")
	}
	if err := db.Write(context.Background(), func(*sqlkit.Tx) error { return nil }); !errors.Is(err, sqlkit.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}
}
