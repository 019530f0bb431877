// Package blobdisk keeps the content of blobs in files of a folder.
//
// A file is written under a name that ends in .part, synced, given its own name, and then its folder is synced: a file without that ending is
// whole, whenever the machine stops. Files lie in subfolders named by the first two letters, so that no folder becomes large.
// What is needed of the operating system is that a file that was removed can still be read by who has opened it.
package blobdisk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Partial ends the names of files that are not whole.
const Partial = ".part"

const copyBytes = 256 << 10

// Folder implements blob.Outside. It is safe for concurrent use.
type Folder struct{ dir string }

// Open makes the folder if it is not there.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed("blobdisk.Open", err)
	}
	return &Folder{dir}, syncFolder(filepath.Dir(dir))
}

// File returns the file of a name below a folder.
func File(dir, name string) string { return filepath.Join(dir, name[:2], name) }

// valid says that a name cannot lead out of the folder.
func valid(op fault.Op, name string) error {
	if len(name) < 3 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		return fault.E(op, fault.Invalid, fault.Subject(name), "no name of a file")
	}
	return nil
}

func failed(op fault.Op, err error) error {
	kind := fault.Unavailable
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = fault.Full
	case errors.Is(err, fs.ErrNotExist):
		kind = fault.NotFound
	}
	return fault.E(op, kind, err)
}

// Write implements blob.Outside.
func (f *Folder) Write(_ context.Context, name string, r io.Reader) error {
	const op = fault.Op("blobdisk.Write")
	if err := valid(op, name); err != nil {
		return err
	}
	to := File(f.dir, name)
	folder := filepath.Dir(to)
	if _, err := os.Stat(folder); err != nil {
		if err := errors.Join(os.MkdirAll(folder, 0o700), syncFolder(f.dir)); err != nil {
			return failed(op, err)
		}
	}
	out, err := os.OpenFile(to+Partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(op, err)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, r, make([]byte, copyBytes))
	if err == nil {
		err = out.Sync()
	}
	err = errors.Join(err, out.Close())
	if err == nil {
		err = os.Rename(to+Partial, to)
	}
	if err == nil {
		err = syncFolder(folder)
	}
	if err != nil {
		_ = os.Remove(to + Partial)
		_ = os.Remove(to)
	}
	return failed(op, err)
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system can, and those that cannot need not
	return d.Close()
}

// Open implements blob.Outside.
func (f *Folder) Open(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
	const op = fault.Op("blobdisk.Open")
	if err := valid(op, name); err != nil {
		return nil, err
	}
	in, err := os.Open(File(f.dir, name))
	if err != nil {
		return nil, failed(op, err)
	}
	if _, err := in.Seek(offset, io.SeekStart); err != nil {
		_ = in.Close()
		return nil, failed(op, err)
	}
	return in, nil
}

// Remove implements blob.Outside.
func (f *Folder) Remove(_ context.Context, name string) error {
	const op = fault.Op("blobdisk.Remove")
	if err := valid(op, name); err != nil {
		return err
	}
	for _, file := range []string{File(f.dir, name) + Partial, File(f.dir, name)} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(op, err)
		}
	}
	return nil
}

// List implements blob.Outside. Files with other names than ours are left alone.
func (f *Folder) List(ctx context.Context, yield func(name string, written time.Time) error) error {
	return filepath.WalkDir(f.dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return ctx.Err()
		}
		if err != nil {
			return failed("blobdisk.List", err)
		}
		name := strings.TrimSuffix(d.Name(), Partial)
		info, err := d.Info()
		if err != nil || valid("", name) != nil {
			return ctx.Err() // gone since it was listed, or not ours
		}
		return yield(name, info.ModTime())
	})
}
