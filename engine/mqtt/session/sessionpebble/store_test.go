package sessionpebble

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/engine/mqtt/session"
	"github.com/isobar-iot/isobar/engine/mqtt/session/sessiontest"
)

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(f) }

func tryOpen(fs vfs.FS) (*pebble.DB, error) {
	return pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}})
}

func openDB(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	db, err := tryOpen(fs)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	sessiontest.TestStore(t, func(t *testing.T) session.Store {
		db := openDB(t, vfs.NewMem())
		t.Cleanup(func() { db.Close() })
		return New(db, []byte("mqtt/"))
	})
}

// TestPowerCut keeps only what was synced: the file system forgets the rest.
func TestPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	var current *pebble.DB
	sessiontest.TestReopen(t, func(t *testing.T) session.Store {
		current = openDB(t, fs)
		db := current
		t.Cleanup(func() { db.Close() })
		return New(db, []byte("mqtt/"))
	}, func() {
		fs = fs.CrashClone(vfs.CrashCloneCfg{})
	})
}

func TestUnsyncedCommitsAreReadAtOnceAndCoveredByTheNextDurableOne(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := openDB(t, fs)
	defer db.Close()
	s := New(db, []byte("p"))
	put := []session.Op{{Kind: session.PutSession, ClientID: "c"}}
	if err := s.Commit(ctx, "r", put, false); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 1 {
		t.Fatalf("%d sessions before the crash", n)
	}
	if err := s.Commit(ctx, "r", nil, true); err != nil {
		t.Fatal(err)
	}
	again := openDB(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	defer again.Close()
	if n := count(t, New(again, []byte("p"))); n != 1 {
		t.Fatalf("%d sessions after the crash", n)
	}
}

func count(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.Sessions(context.Background(), "r", func(session.Info) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOtherKeysOfTheDatabaseAreLeftAlone(t *testing.T) {
	db := openDB(t, vfs.NewMem())
	defer db.Close()
	a, b := New(db, []byte("a/")), New(db, []byte("b/"))
	for _, s := range []*Store{a, b} {
		if err := s.Commit(context.Background(), "r", []session.Op{{Kind: session.PutSession, ClientID: "c"}}, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Purge(context.Background(), "r"); err != nil {
		t.Fatal(err)
	}
	if count(t, a) != 0 || count(t, b) != 1 {
		t.Fatal("purge reached into another store")
	}
}
