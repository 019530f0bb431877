package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
)

const limit = 1 << 20

type fixture struct {
	*testing.T
	db    *sqlkit.DB
	s     *blob.Store
	clock *clock.Manual
}

func each(t *testing.T, test func(f *fixture)) {
	sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
		f := &fixture{T: t, db: db, clock: clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
		var err error
		if f.s, err = blob.New(context.Background(), db, f.clock); err != nil {
			t.Fatal(err)
		}
		test(f)
	})
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return b
}

func (f *fixture) put(t iot.TenantID, key string, data []byte) {
	f.Helper()
	size, sha, err := f.s.Put(f.Context(), t, key, bytes.NewReader(data), limit)
	sum := sha256.Sum256(data)
	if err != nil || size != int64(len(data)) || sha != hex.EncodeToString(sum[:]) {
		f.Fatalf("put: %d, %s, %v", size, sha, err)
	}
}

func (f *fixture) expect(t iot.TenantID, key string, offset int64, want []byte) {
	f.Helper()
	r, size, err := f.s.Open(f.Context(), t, key, offset)
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) || size != int64(len(want))+offset {
		f.Errorf("%s from %d: %d bytes of %d, %v", key, offset, len(got), size, err)
	}
}

func (f *fixture) chunks() (n int) {
	f.Helper()
	if err := f.db.QueryRow(f.Context(), `SELECT count(*) FROM blob_chunk`).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

func TestContentSurvives(t *testing.T) {
	each(t, func(f *fixture) {
		for _, n := range []int{0, 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, limit} {
			data := pattern(n)
			f.put("acme", "k", data)
			for _, offset := range []int{0, n / 3, n} {
				f.expect("acme", "k", int64(offset), data[offset:])
			}
			if _, _, err := f.s.Open(f.Context(), "acme", "k", int64(n+1)); !fault.Is(err, fault.Invalid) {
				f.Errorf("an offset beyond the end: %v", err)
			}
		}
	})
}

func TestAFailedUploadChangesNothing(t *testing.T) {
	each(t, func(f *fixture) {
		f.put("acme", "k", []byte("before"))
		if _, _, err := f.s.Put(f.Context(), "acme", "k", bytes.NewReader(pattern(limit+1)), limit); !fault.Is(err, fault.TooLarge) {
			f.Errorf("too large: %v", err)
		}
		broken := errors.New("the client went away")
		if _, _, err := f.s.Put(f.Context(), "acme", "k", io.MultiReader(bytes.NewReader(pattern(300<<10)), iotest.ErrReader(broken)), limit); !errors.Is(err, broken) {
			f.Errorf("a reader that fails: %v", err)
		}
		if _, _, err := f.s.Create(f.Context(), "acme", "k", strings.NewReader("x"), limit); !fault.Is(err, fault.Exists) {
			f.Errorf("create: %v", err)
		}
		f.expect("acme", "k", 0, []byte("before"))
		if n := f.chunks(); n != 1 {
			f.Errorf("%d chunks are left", n)
		}
	})
}

func TestReplaceAndDelete(t *testing.T) {
	each(t, func(f *fixture) {
		f.put("acme", "k", pattern(600<<10))
		f.put("other", "k", []byte("theirs"))
		r, _, err := f.s.Open(f.Context(), "acme", "k", 0)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			f.Fatal(err)
		}
		f.put("acme", "k", pattern(5))
		if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			f.Errorf("a reader of what was replaced: %v", err)
		}
		f.expect("acme", "k", 0, pattern(5))
		for _, want := range []bool{true, false} {
			if found, err := f.s.Delete(f.Context(), "acme", "k"); err != nil || found != want {
				f.Errorf("delete: %v, %v", found, err)
			}
		}
		if _, _, err := f.s.Open(f.Context(), "acme", "k", 0); !fault.Is(err, fault.NotFound) {
			f.Errorf("open: %v", err)
		}
		f.expect("other", "k", 0, []byte("theirs"))
		if n := f.chunks(); n != 1 {
			f.Errorf("%d chunks are left", n)
		}
	})
}

func TestConcurrentUploadsNeverMix(t *testing.T) {
	each(t, func(f *fixture) {
		var wg sync.WaitGroup
		var mu sync.Mutex // guards created
		created := 0
		for i := range 6 {
			wg.Go(func() {
				data := bytes.Repeat([]byte{byte(i)}, 300<<10)
				if _, _, err := f.s.Put(f.Context(), "acme", "put", bytes.NewReader(data), limit); err != nil {
					f.Error(err)
				}
				_, _, err := f.s.Create(f.Context(), "acme", "create", bytes.NewReader(data), limit)
				if err != nil && !fault.Is(err, fault.Exists) {
					f.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					created++
				}
			})
		}
		wg.Wait()
		for _, key := range []string{"put", "create"} {
			r, _, err := f.s.Open(f.Context(), "acme", key, 0)
			if err != nil {
				f.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || len(got) != 300<<10 || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
				f.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
		}
		if created != 1 || f.chunks() != 4 {
			f.Errorf("%d created, %d chunks", created, f.chunks())
		}
	})
}

func TestAbandonedUploadsAreSwept(t *testing.T) {
	each(t, func(f *fixture) {
		f.put("acme", "k", []byte("stays"))
		err := f.db.Write(f.Context(), func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(f.Context(), `INSERT INTO blob_chunk (upload, n, created, data) VALUES ('crashed', 0, ?, ?)`, f.clock.Now().UnixMilli(), []byte("x"))
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
		f.reopen(2)
		f.clock.Advance(25 * time.Hour)
		f.reopen(1)
		f.expect("acme", "k", 0, []byte("stays"))
	})
}

func (f *fixture) reopen(chunks int) {
	f.Helper()
	if _, err := blob.New(f.Context(), f.db, f.clock); err != nil {
		f.Fatal(err)
	}
	if n := f.chunks(); n != chunks {
		f.Errorf("%d chunks, want %d", n, chunks)
	}
}
