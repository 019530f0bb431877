package sqlkit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

// TestNotesFollowTheCommits: a reader that has seen a note never finds one before it later, and what is rolled back leaves none.
func TestNotesFollowTheCommits(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		var left atomic.Int64
		noting := sqlkit.WithNotes(ctx, &sqlkit.Notes{Tenant: "a", Node: "n", Left: func() { left.Add(1) }})
		refused := errors.New("refused")
		const writers, each = 8, 20
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					err := db.Write(noting, func(tx *sqlkit.Tx) error {
						if _, err := tx.Exec(ctx, `INSERT INTO thing (tenant, id, doc) VALUES (?, ?, ?)`, "a", int64(w*each+i), `{}`); err != nil {
							return err
						}
						err := tx.Note(noting, func() (string, []byte, error) { return "s", fmt.Append(nil, w*each+i), nil })
						if err == nil && i%5 == 4 {
							return refused
						}
						return err
					})
					if (err != nil) != (i%5 == 4) {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		after, seen := int64(0), map[string]bool{}
		for ended := false; ; {
			notes, err := db.Notes(ctx, "a", "n", after, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range notes {
				after = n.ID
				seen[string(n.Data)] = true
			}
			if len(notes) == 0 && ended {
				break
			}
			select {
			case <-done:
				ended = true
			default:
			}
		}
		if want := writers * each * 4 / 5; len(seen) != want || left.Load() != int64(want) {
			t.Errorf("a reader found %d notes and was told of %d, want %d", len(seen), left.Load(), want)
		}
	})
}

func TestNobodyWaitsForNotes(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		ctx := migrated(t, db)
		err := db.Write(ctx, func(tx *sqlkit.Tx) error {
			return tx.Note(ctx, func() (string, []byte, error) { t.Error("the fact is made"); return "", nil, nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		if notes, err := db.Notes(context.Background(), "a", "", 0, 10); err != nil || len(notes) != 0 {
			t.Errorf("notes %v: %v", notes, err)
		}
	})
}
