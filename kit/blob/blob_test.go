package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/blob/blobdisk"
	"github.com/isobar-iot/isobar/kit/blob/blobs3"
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
	o     blob.Options
}

// each runs a test on every engine with every place where large content may lie.
func each(t *testing.T, test func(f *fixture)) {
	for _, place := range []string{"", "disk", "s3"} {
		t.Run("in"+place, func(t *testing.T) {
			sqltest.Each(t, func(t *testing.T, db *sqlkit.DB) {
				c := clock.NewManual(time.Now().UTC().Add(time.Minute))
				f := &fixture{T: t, db: db, clock: c, o: blob.Options{Clock: c, Place: place, Places: map[string]blob.Outside{}}}
				switch place {
				case "disk":
					f.o.Places[place] = must(blobdisk.Open(filepath.Join(t.TempDir(), "blobs")))(t)
				case "s3":
					f.o.Places[place] = bucket(t)
				}
				f.s = must(blob.Open(t.Context(), db, f.o))(t)
				test(f)
			})
		})
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// bucket returns an empty bucket of a server that speaks S3 and ends with the test.
func bucket(t testing.TB) blob.Outside {
	t.Helper()
	backend := s3mem.New()
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	return must(blobs3.Open(t.Context(), blobs3.Options{Endpoint: server.URL, Bucket: "files", Prefix: "isobar/", PathStyle: true, AccessKey: "access", SecretKey: "secret"}))(t)
}

// outside returns how many contents lie outside of the database.
func (f *fixture) outside() (n int) {
	f.Helper()
	for _, place := range f.o.Places {
		if err := place.List(f.Context(), func(string, time.Time) error { n++; return nil }); err != nil {
			f.Fatal(err)
		}
	}
	return n
}

// contents returns how many contents are kept, wherever.
func (f *fixture) contents() (n int) {
	f.Helper()
	if err := f.db.QueryRow(f.Context(), `SELECT count(DISTINCT upload) FROM blob_chunk`).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n + f.outside()
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
		if n := f.contents(); n != 1 {
			f.Errorf("%d contents are left", n)
		}
	})
}

// TestReplaceAndDelete replaces and deletes what somebody reads: a reader has the old content to its end, or ends with an error.
func TestReplaceAndDelete(t *testing.T) {
	each(t, func(f *fixture) {
		old := pattern(600 << 10)
		f.put("acme", "k", old)
		f.put("other", "k", []byte("theirs"))
		b := must(f.s.Find(f.Context(), "acme", "k"))(f)
		r := must(b.Reader(f.Context(), 0))(f)
		first := make([]byte, 10)
		if _, err := io.ReadFull(r, first); err != nil {
			f.Fatal(err)
		}
		f.put("acme", "k", pattern(5))
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(first, rest...), old) {
			f.Errorf("a reader of what was replaced: %d bytes, %v", len(rest), err)
		}
		again := must(io.ReadAll(must(b.Reader(f.Context(), 300<<10))(f)))(f) // as for a second range
		if !bytes.Equal(again, old[300<<10:]) {
			f.Error("the second range is not of the same content")
		}
		f.expect("acme", "k", 0, pattern(5))
		f.clock.Advance(blob.Grace + time.Second)
		if err := f.s.Sweep(f.Context()); err != nil {
			f.Fatal(err)
		}
		if n := f.contents(); n != 2 {
			f.Errorf("%d contents are left after the time of grace", n)
		}
		for _, want := range []bool{true, false} {
			if found, err := f.s.Delete(f.Context(), "acme", "k"); err != nil || found != want {
				f.Errorf("delete: %v, %v", found, err)
			}
		}
		if _, _, err := f.s.Open(f.Context(), "acme", "k", 0); !fault.Is(err, fault.NotFound) {
			f.Errorf("open: %v", err)
		}
		f.expect("other", "k", 0, []byte("theirs"))
		if n := f.contents(); n != 1 {
			f.Errorf("%d contents are left", n)
		}
	})
}

// TestTheQuotaHoldsAgainstManyAtOnce lets uploads that fit alone, but not together, race.
func TestTheQuotaHoldsAgainstManyAtOnce(t *testing.T) {
	each(t, func(f *fixture) {
		f.o.Quota = func(context.Context, iot.TenantID) int64 { return 1 << 20 }
		f.s = must(blob.Open(f.Context(), f.db, f.o))(f)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				_, _, err := f.s.Put(f.Context(), "acme", string(rune('a'+i)), bytes.NewReader(pattern(400<<10)), limit)
				if err != nil && !fault.Is(err, fault.TooLarge) {
					f.Error(err)
				}
			})
		}
		wg.Wait()
		if used := must(f.s.Usage(f.Context(), "acme"))(f); used != 2*400<<10 || f.contents() != 2 {
			f.Errorf("%d bytes are used, %d contents are there", used, f.contents())
		}
		f.put("other", "k", pattern(1<<20))
		if _, err := f.s.DropTenant(f.Context(), "acme"); err != nil || f.contents() != 1 {
			f.Errorf("dropping the tenant: %v, %d contents are left", err, f.contents())
		}
		f.put("other", "k", pattern(1<<20-1)) // what is replaced does not count
	})
}

// TestNoRoom ends an upload in the middle.
func TestNoRoom(t *testing.T) {
	each(t, func(f *fixture) {
		asked := 0
		f.o.Room = func() error {
			if asked++; asked > 2 {
				return fault.E(fault.Op("test"), fault.Full)
			}
			return nil
		}
		f.s = must(blob.Open(f.Context(), f.db, f.o))(f)
		if _, _, err := f.s.Put(f.Context(), "acme", "k", bytes.NewReader(pattern(40<<20)), 1<<30); !fault.Is(err, fault.Full) {
			f.Errorf("the error is %v", err)
		}
		if n := f.contents(); n != 0 {
			f.Errorf("%d contents are left", n)
		}
	})
}

// TestDamageIsNoticed changes stored bytes behind the store's back.
func TestDamageIsNoticed(t *testing.T) {
	each(t, func(f *fixture) {
		for _, n := range []int{10, 900 << 10} {
			f.put("acme", "k", pattern(n))
			f.damage()
			r, _, err := f.s.Open(f.Context(), "acme", "k", 0)
			if err == nil {
				var got []byte
				if got, err = io.ReadAll(r); len(got) == n {
					f.Errorf("all %d bytes were given out", n)
				}
			}
			if !fault.Is(err, fault.Corrupt) {
				f.Errorf("%d bytes: %v", n, err)
			}
		}
	})
}

// damage replaces the last content by other bytes.
func (f *fixture) damage() {
	f.Helper()
	var upload, place string
	var size int
	if err := f.db.QueryRow(f.Context(), `SELECT upload, place, size FROM blob WHERE tenant = 'acme' AND name = 'k'`).Scan(&upload, &place, &size); err != nil {
		f.Fatal(err)
	}
	if place != "" {
		other := append(pattern(size-1), 'x')
		if err := errors.Join(f.o.Places[place].Remove(f.Context(), upload), f.o.Places[place].Write(f.Context(), upload, bytes.NewReader(other))); err != nil {
			f.Fatal(err)
		}
		return
	}
	err := f.db.Write(f.Context(), func(tx *sqlkit.Tx) error {
		_, err := tx.Exec(f.Context(), `UPDATE blob_chunk SET data = ? WHERE upload = ? AND n = 0`, append(pattern(min(size, 256<<10)-1), 'x'), upload)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
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
		f.clock.Advance(blob.Grace + time.Second)
		if err := f.s.Sweep(f.Context()); err != nil {
			f.Fatal(err)
		}
		if created != 1 || f.contents() != 2 {
			f.Errorf("%d created, %d contents", created, f.contents())
		}
	})
}

// TestAbandonedUploadsAreSwept leaves behind what a crash in the middle of an upload does.
func TestAbandonedUploadsAreSwept(t *testing.T) {
	each(t, func(f *fixture) {
		f.put("acme", "k", []byte("stays"))
		f.put("acme", "large", pattern(700<<10))
		crash := func() {
			err := f.db.Write(f.Context(), func(tx *sqlkit.Tx) error {
				_, err := tx.Exec(f.Context(), `INSERT INTO blob_chunk (upload, n, created, data) VALUES (?, 0, ?, ?)`, rand.Text(), f.clock.Now().UnixMilli(), []byte("x"))
				return err
			})
			if place := f.o.Places[f.o.Place]; place != nil && err == nil {
				err = place.Write(f.Context(), rand.Text(), bytes.NewReader(pattern(300<<10)))
			}
			if err != nil {
				f.Fatal(err)
			}
		}
		crash()
		before := f.contents()
		f.reopen(before)
		f.clock.Advance(25 * time.Hour)
		f.reopen(2)
		crash()
		f.o.Alone = true
		f.reopen(2)
		f.expect("acme", "k", 0, []byte("stays"))
		f.expect("acme", "large", 0, pattern(700<<10))
	})
}

func (f *fixture) reopen(contents int) {
	f.Helper()
	f.s = must(blob.Open(f.Context(), f.db, f.o))(f)
	if n := f.contents(); n != contents {
		f.Errorf("%d contents, want %d", n, contents)
	}
}

// TestNothingIsRemovedWhileHeld is what a backup relies on.
func TestNothingIsRemovedWhileHeld(t *testing.T) {
	each(t, func(f *fixture) {
		f.put("acme", "k", pattern(700<<10))
		release := f.s.Hold()
		if found, err := f.s.Delete(f.Context(), "acme", "k"); err != nil || !found {
			f.Fatal(found, err)
		}
		want := 0
		if f.o.Place != "" {
			want = 1
		}
		if n := f.contents(); n != want {
			f.Errorf("%d contents while held, want %d", n, want)
		}
		release()
		if err := f.s.Sweep(f.Context()); err != nil || f.contents() != 0 {
			f.Errorf("afterwards: %v, %d contents", err, f.contents())
		}
	})
}

// TestBlobsOfBeforeStayReadable stores in the database and goes on with a place outside.
func TestBlobsOfBeforeStayReadable(t *testing.T) {
	each(t, func(f *fixture) {
		old := must(blob.New(f.Context(), f.db, f.clock))(f)
		if _, _, err := old.Put(f.Context(), "acme", "old", bytes.NewReader(pattern(limit)), limit); err != nil {
			f.Fatal(err)
		}
		f.put("acme", "new", pattern(limit-1))
		f.expect("acme", "old", 0, pattern(limit))
		if f.o.Place == "" {
			return
		}
		if _, _, err := old.Open(f.Context(), "acme", "new", 0); !fault.Is(err, fault.Unavailable) {
			f.Errorf("a place that is not configured: %v", err)
		}
	})
}
