package sqlkit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

// TestACallerThatLeavesHarmsNobody cancels a write in the middle of a long statement while others wait to be committed with it. All of them must
// be there, whatever becomes of the one that left; what fails must not be there.
func TestACallerThatLeavesHarmsNobody(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		bg := context.Background()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(db.Write(bg, func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(bg, `CREATE TABLE kept (n BIGINT PRIMARY KEY)`)
			return err
		}))
		insert := func(ctx context.Context, n int) error {
			return db.Write(ctx, func(tx *sqlkit.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO kept (n) VALUES (?)`, n)
				return err
			})
		}
		for round := range 5 {
			base := 1_000_000 * (round + 1)
			ctx, leave := context.WithCancel(bg)
			var wg sync.WaitGroup
			results := make([]error, 40)
			release, inside := make(chan struct{}), make(chan struct{})
			wg.Go(func() { // while this one runs, the others queue up, to be committed together
				_ = db.Write(bg, func(*sqlkit.Tx) error { close(inside); <-release; return nil })
			})
			<-inside
			var left error
			for i := range results {
				if i == len(results)/2 {
					wg.Go(func() {
						left = db.Write(ctx, func(tx *sqlkit.Tx) error {
							time.AfterFunc(15*time.Millisecond, leave) // in the middle of the statement
							_, err := tx.Exec(ctx, `INSERT INTO kept (n) WITH RECURSIVE c (n) AS (SELECT CAST(? AS BIGINT) UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT n FROM c`, base, base+300_000)
							return err
						})
					})
				}
				wg.Go(func() { results[i] = insert(bg, base-1-i) })
			}
			time.AfterFunc(20*time.Millisecond, func() { close(release) }) // enough for most to queue; the others come later and must be kept as well
			wg.Wait()
			leave()
			for i, err := range results {
				if err != nil {
					t.Errorf("round %d, write %d: %v", round, i, err)
				}
			}
			var kept, long int
			must(db.QueryRow(bg, `SELECT count(*) FROM kept WHERE n < ? AND n >= ?`, base, base-len(results)).Scan(&kept))
			must(db.QueryRow(bg, `SELECT count(*) FROM kept WHERE n >= ? AND n <= ?`, base, base+300_000).Scan(&long))
			if kept != len(results) || (left == nil) != (long == 300_001) || (left != nil && long != 0) {
				t.Errorf("round %d: %d of %d writes, %d rows of the one that left with %v", round, kept, len(results), long, left)
			}
		}
	})
}

// TestARolledBackGroupRunsAgain lets one write of a group roll back the whole transaction, as SQLite itself does when the disk is full. The others
// of the group must be kept, and only that one fail.
func TestARolledBackGroupRunsAgain(t *testing.T) {
	db, bg := sqltest.SQLite(t), context.Background()
	insert := func(verb string, n int) error {
		return db.Write(bg, func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(bg, verb+` INTO kept (n) VALUES (?)`, n)
			return err
		})
	}
	if err := db.Write(bg, func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(bg, `CREATE TABLE kept (n BIGINT PRIMARY KEY)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := insert("INSERT", 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	release, inside := make(chan struct{}), make(chan struct{})
	wg.Go(func() { _ = db.Write(bg, func(*sqlkit.Tx) error { close(inside); <-release; return nil }) })
	<-inside
	results := make([]error, 41)
	for i := range results {
		verb, n := "INSERT", i+1
		if i == len(results)/2 {
			verb, n = "INSERT OR ROLLBACK", 0 // taken
		}
		wg.Go(func() { results[i] = insert(verb, n) })
	}
	time.AfterFunc(20*time.Millisecond, func() { close(release) }) // enough for most to queue
	wg.Wait()
	for i, err := range results {
		if (err != nil) != (i == len(results)/2) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	var kept int
	if err := db.QueryRow(bg, `SELECT count(*) FROM kept`).Scan(&kept); err != nil || kept != len(results) {
		t.Errorf("%d of %d rows, %v", kept, len(results), err)
	}
}
