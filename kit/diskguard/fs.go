package diskguard

import (
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS wraps a file system for Pebble. What Pebble can do again later is told that the disk is full before it is: compactions below a quarter
// of the low-water mark, flushes below an eighth. Log and manifest are never refused, and if they meet the end of the disk all the same, the
// ballast is given up and the write is done again. A nil guard returns base.
func (g *Guard) FS(base vfs.FS) vfs.FS {
	if g == nil {
		return base
	}
	return &guardedFS{vfs.OnDiskFull(base, g.release), g} // what the guard itself refuses does not cost the ballast
}

// pause slows Pebble's background work down, which tries again at once.
const pause = 50 * time.Millisecond

// step is how much a file may write before the space is looked at again.
const step = 256 << 10

type guardedFS struct {
	vfs.FS
	g *Guard
}

// Create implements vfs.FS.
func (f *guardedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	floor := f.g.floor(category)
	if err := f.g.above(floor); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name, category)
	if err != nil || floor == 0 {
		return file, err
	}
	return &guardedFile{File: file, g: f.g, floor: floor}, nil
}

// Unwrap implements vfs.FS.
func (f *guardedFS) Unwrap() vfs.FS { return f.FS }

// floor is the free space that a kind of writer must leave; zero: none.
func (g *Guard) floor(category vfs.DiskWriteCategory) uint64 {
	switch category {
	case "pebble-compaction", "pebble-blob-file-rewrite":
		return g.critical()
	case "pebble-memtable-flush":
		return g.critical() / 2
	}
	return 0
}

func (g *Guard) above(floor uint64) error {
	if floor == 0 {
		return nil
	}
	if s, err := g.o.Stat(g.dir); err == nil && s.Free < floor {
		time.Sleep(pause)
		return syscall.ENOSPC
	}
	return nil
}

// guardedFile is a table that is being written, by one goroutine.
type guardedFile struct {
	vfs.File
	g     *Guard
	floor uint64
	since int // bytes since the last look
}

// Write implements vfs.File.
func (f *guardedFile) Write(p []byte) (int, error) {
	if f.since += len(p); f.since >= step {
		f.since = 0
		if err := f.g.above(f.floor); err != nil {
			return 0, err
		}
	}
	return f.File.Write(p)
}
