package diskguard_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/diskguard"
)

const mib = 1 << 20

// disk is a pretended file system of 1 GiB, whose low-water mark is a twentieth of it.
type disk struct{ free atomic.Uint64 }

func (d *disk) stat(string) (diskguard.Space, error) {
	return diskguard.Space{Total: 1 << 30, Free: d.free.Load()}, nil
}

func open(t *testing.T, free uint64) (*diskguard.Guard, *disk, string) {
	t.Helper()
	d, dir := &disk{}, t.TempDir()
	d.free.Store(free)
	g, err := diskguard.Open(dir, diskguard.Options{Stat: d.stat, Every: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	return g, d, dir
}

func TestRoom(t *testing.T) {
	g, d, _ := open(t, 500*mib)
	_, low := g.Space()
	if low != 1<<30/20 {
		t.Fatalf("the mark of a disk of 1 GiB is %d", low)
	}
	for _, x := range []struct {
		free uint64
		room bool
	}{{low, true}, {low - 1, false}, {low + low/8 - 1, false}, {low + low/8, true}, {low, true}, {0, false}, {1 << 30, true}} {
		d.free.Store(x.free)
		if err := g.Room(); (err == nil) != x.room {
			t.Errorf("%d bytes free: %v", x.free, err)
		} else if err != nil && (!fault.Is(err, fault.Full) || fault.RetryAfter(err) == 0) {
			t.Errorf("the error is %v", err)
		}
	}
	var none *diskguard.Guard
	if none.Room() != nil || none.Full() || none.FS(vfs.Default) != vfs.Default {
		t.Error("a nil guard guards")
	}
}

// TestBallast follows the ballast file and what is told through a whole life: plenty of space, nearly none, plenty again.
func TestBallast(t *testing.T) {
	g, d, dir := open(t, 900*mib)
	_, low := g.Space()
	ctx, cancel := context.WithCancel(context.Background())
	ticks, told := make(chan time.Time), make(chan bool, 4) // Run may see a change one tick early, and must not wait for the test then
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Run(ctx, ticks, func(full bool) { told <- full })
	}()
	there := func() bool {
		_, err := os.Stat(filepath.Join(dir, "ballast"))
		return err == nil
	}
	tick := func() { ticks <- time.Time{} }
	if <-told {
		t.Fatal("full at first")
	}
	tick() // the ballast of the first round is made when this is taken
	if !there() {
		t.Fatal("there is no ballast")
	}
	d.free.Store(low - 1)
	tick()
	if !<-told {
		t.Fatal("not told that it is full")
	}
	if !there() {
		t.Error("the ballast was given up too early")
	}
	d.free.Store(low/4 - 1)
	if g.Room() == nil || there() {
		t.Error("the ballast was not given up")
	}
	d.free.Store(900 * mib)
	tick()
	if <-told {
		t.Fatal("not told that there is space again")
	}
	tick()
	if !there() {
		t.Error("the ballast was not made again")
	}
	cancel()
	<-done
}

// TestStartGivesTheBallastUp opens on a disk without space.
func TestStartGivesTheBallastUp(t *testing.T) {
	d, dir := &disk{}, t.TempDir()
	name := filepath.Join(dir, "ballast")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := diskguard.Open(dir, diskguard.Options{Stat: d.stat})
	if err != nil || !g.Full() {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("the ballast is still there")
	}
}

// TestWhoMayWriteTheLastBytes takes space away step by step: compactions stop first, then flushes, never the log.
func TestWhoMayWriteTheLastBytes(t *testing.T) {
	g, d, dir := open(t, 900*mib)
	_, low := g.Space()
	fs := g.FS(vfs.Default)
	write := func(category vfs.DiskWriteCategory, size int) error {
		f, err := fs.Create(filepath.Join(dir, string(category)), category)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Write(make([]byte, size))
		return err
	}
	for _, x := range []struct {
		free                   uint64
		compaction, flush, log bool
	}{{low, true, true, true}, {low / 4, true, true, true}, {low/4 - 1, false, true, true}, {low/8 - 1, false, false, true}, {0, false, false, true}} {
		d.free.Store(x.free)
		for category, may := range map[vfs.DiskWriteCategory]bool{"pebble-compaction": x.compaction, "pebble-memtable-flush": x.flush, "pebble-wal": x.log, "pebble-manifest": x.log} {
			if err := write(category, 10); (err == nil) != may || err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s with %d bytes free: %v", category, x.free, err)
			}
		}
	}
	d.free.Store(low)
	f, err := fs.Create(filepath.Join(dir, "long"), "pebble-compaction")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d.free.Store(0)
	if _, err := f.Write(make([]byte, mib)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a compaction that is under way: %v", err)
	}
}
