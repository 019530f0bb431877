package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteNew writes a file, durably: it is there completely or not at all. A file that is there already stays as it is, and that is no error: of
// several callers at once the first wins (on a file system without hard links, the last). The folder must exist.
func WriteNew(file string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(f.Name(), file); err != nil { // a file system without hard links
			return err
		}
	}
	return SyncFolder(filepath.Dir(file))
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
