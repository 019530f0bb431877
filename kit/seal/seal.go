// Package seal remembers in what state files were left, so that damage done while nobody used them is found before anybody does.
//
// Logs of databases cannot tell by themselves whether their end was damaged or never written, and SQLite has no checksums at all. A Write at the
// end of a clean stop and a Check at the next start close that gap for everything that is small enough to be read in a moment; of larger files and
// of those that carry their own checksums only the size is kept. After a crash there is no seal, and the stores' own means must do.
package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Name is the file that holds the seal, in the folder that is sealed.
const Name = "seal.json"

// maxSummed is the size up to which a file is summed up: what is read within a fraction of a second.
const maxSummed = 256 << 20

var table = crc32.MakeTable(crc32.Castagnoli)

type file struct {
	Name string  `json:"name"` // with slashes
	Size int64   `json:"size"`
	Sum  *uint32 `json:"crc32c,omitempty"` // nil: only the size is known
}

type content struct {
	Files []file `json:"files"`
	Sum   uint32 `json:"sum"` // over the list
}

func (c *content) sum() uint32 {
	h := crc32.New(table)
	for _, f := range c.Files {
		fmt.Fprintf(h, "%s %d ", f.Name, f.Size)
		if f.Sum != nil {
			fmt.Fprintf(h, "%08x", *f.Sum)
		}
		_, _ = h.Write([]byte{'\n'})
	}
	return h.Sum32()
}

// Write seals the named files and folders of dir, which nobody may change meanwhile. Files whose name ends in one of checked have checksums of
// their own. Names that do not exist are left out.
func Write(dir string, names []string, checked ...string) error {
	var c content
	for _, name := range names {
		files, err := below(dir, name, checked)
		if err != nil {
			return err
		}
		c.Files = append(c.Files, files...)
	}
	c.Sum = c.sum()
	raw, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, Name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

func below(dir, name string, checked []string) (files []file, err error) {
	err = filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "LOCK" { // says only who uses a folder
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := file{Name: filepath.ToSlash(rel), Size: info.Size()}
		if f.Size <= maxSummed && !slices.ContainsFunc(checked, func(s string) bool { return strings.HasSuffix(path, s) }) {
			sum, err := sumOf(path)
			if err != nil {
				return err
			}
			f.Sum = &sum
		}
		files = append(files, f)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return files, err
}

func sumOf(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := crc32.New(table)
	_, err = io.CopyBuffer(h, f, make([]byte, 1<<20))
	return h.Sum32(), err
}

// Check compares the files with the seal and returns a line for each that is not as it was left. sealed is false if there is no seal.
func Check(dir string) (damage []string, sealed bool, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var c content
	if json.Unmarshal(raw, &c) != nil || c.Sum != c.sum() {
		return []string{Name + " is damaged itself"}, true, nil
	}
	for _, f := range c.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			damage = append(damage, f.Name+" is missing")
			continue
		case err != nil:
			return damage, true, err
		case info.Size() != f.Size:
			damage = append(damage, fmt.Sprintf("%s has %d bytes instead of %d", f.Name, info.Size(), f.Size))
			continue
		case f.Sum == nil:
			continue
		}
		if sum, err := sumOf(path); err != nil {
			return damage, true, err
		} else if sum != *f.Sum {
			damage = append(damage, f.Name+" was changed")
		}
	}
	return damage, true, nil
}

// Break removes the seal, which must be done before anything is changed.
func Break(dir string) error {
	err := os.Remove(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
