package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/seal"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// A backup is a folder with the files of a data folder and a manifest, which is written last: without it, the backup is not complete.
const (
	manifestName   = "isobar-backup.json"
	unfinishedName = "restore-unfinished" // is in a data folder until all of a backup is in it
	backupFormat   = 1
	documentsName  = "documents.db"
	seriesName     = "series"
	sessionsName   = "sessions"
	streamsName    = "streams" // of the embedded NATS: what waits for consumers of notifications
	rawName        = "raw"
	nodeName       = "node" // the name of the node whose data this is; a copy of the data is another node
)

// manifest says what a backup consists of.
type manifest struct {
	Format  int          `json:"format"`
	Version string       `json:"version"` // of the program
	AsOf    time.Time    `json:"asOf"`    // everything that was acknowledged before is in it
	Files   []backupFile `json:"files"`
	Sum     string       `json:"sum"` // SHA-256 over all of the above
}

type backupFile struct {
	Name   string `json:"name"` // with slashes, below the folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (m *manifest) sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s\n", m.Format, m.Version, m.AsOf.Format(time.RFC3339Nano))
	for _, f := range m.Files {
		fmt.Fprintf(h, "%s %d %s\n", f.SHA256, f.Size, f.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m *manifest) bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

const usePostgres = "this platform keeps its data in PostgreSQL: back it up with pg_dump or a base backup, and copy the folder keys of every node; " +
	"MQTT sessions of the nodes are not part of that"

// backup copies the data of the running platform into a folder, which must be new or empty. Measurements come first and documents last, so that
// the source of every measurement is there.
func (p *parts) backup(ctx context.Context, dir string) (m manifest, err error) {
	const op = fault.Op("backup.Write")
	if p.conf.Postgres != "" {
		return m, fault.E(op, fault.Unsupported, usePostgres)
	}
	if !p.backingUp.TryLock() {
		return m, fault.E(op, fault.Conflict, "another backup is being made")
	}
	defer p.backingUp.Unlock()
	if inside(p.conf.Data, dir) {
		return m, fault.E(op, fault.Invalid, "the backup must not lie inside of the data folder")
	}
	if err := newFolder(op, dir); err != nil {
		return m, err
	}
	m = manifest{Format: backupFormat, Version: Version, AsOf: time.Now().UTC()}
	err = p.copyStores(ctx, dir)
	if err == nil {
		m.Files, err = inventory(dir)
	}
	if err == nil {
		m.Sum = m.sum()
		err = writeManifest(dir, m)
	}
	if err != nil {
		emptyFolder(dir)
		return m, fault.E(op, err, "the backup failed: "+err.Error())
	}
	return m, nil
}

func (p *parts) copyStores(ctx context.Context, dir string) error {
	store, ok := p.series.(interface{ Checkpoint(dir string) error })
	if !ok {
		return fmt.Errorf("measurements in %T cannot be copied", p.series)
	}
	if err := store.Checkpoint(filepath.Join(dir, seriesName)); err != nil {
		return err
	}
	if err := p.sessions.Checkpoint(filepath.Join(dir, sessionsName), pebble.WithFlushedWAL()); err != nil {
		return err
	}
	if err := p.rawlog.Checkpoint(filepath.Join(dir, rawName)); err != nil {
		return err
	}
	// Before the documents: the signed heads of the audit must not be ahead of the records.
	if err := copyRest(p.conf.Data, dir); err != nil {
		return err
	}
	// Files come after the documents that name them, and none of those goes meanwhile.
	release := p.blobs.Hold()
	defer release()
	file := filepath.Join(dir, documentsName)
	if err := p.db.Backup(ctx, file); err != nil {
		return err
	}
	if err := copyFiles(p.conf.filesFolder(), filepath.Join(dir, filesName)); err != nil {
		return err
	}
	damage, err := sqlkit.CheckFile(ctx, file)
	if err == nil && len(damage) > 0 {
		err = fault.E(fault.Corrupt, "the database is damaged: "+damage[0])
	}
	return err
}

// living are what a backup does not copy as plain files: stores that are copied in their own way, and what belongs to the running process.
var living = []string{seriesName, sessionsName, streamsName, rawName, filesName, documentsName, documentsName + "-wal", documentsName + "-shm", nodeName, "ballast", "probe.tmp", seal.Name, socketName}

// copyRest copies everything else: keys, checkpoints of the audit, certificates.
func copyRest(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil || rel == "." {
			return err
		}
		switch top, _, _ := strings.Cut(filepath.ToSlash(rel), "/"); {
		case slices.Contains(living, top) && d.IsDir():
			return filepath.SkipDir
		case slices.Contains(living, top):
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		_, err = copyFile(name, filepath.Join(to, rel))
		return err
	})
}

// copyFile copies and syncs a file and returns its checksum.
func copyFile(from, to string) (backupFile, error) {
	in, err := os.Open(from)
	if err != nil {
		return backupFile{}, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return backupFile{}, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), in)
	if err == nil {
		err = out.Sync()
	}
	return backupFile{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, errors.Join(err, out.Close())
}

// inventory reads, syncs and sums up all files below a folder, sorted by name.
func inventory(dir string) (files []backupFile, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, syncFolder(name, d))
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		n, err := io.Copy(h, f)
		files = append(files, backupFile{filepath.ToSlash(rel), n, hex.EncodeToString(h.Sum(nil))})
		return errors.Join(err, f.Sync())
	})
	slices.SortFunc(files, func(a, b backupFile) int { return strings.Compare(a.Name, b.Name) })
	return files, err
}

// syncFolder makes the names in a folder durable.
func syncFolder(name string, d fs.DirEntry) error {
	if d != nil && !d.IsDir() {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	_ = f.Sync() // not every system can, and those that cannot need not
	return f.Close()
}

func writeManifest(dir string, m manifest) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(m); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, manifestName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(dir, nil))
}

func readManifest(dir string) (m manifest, err error) {
	const op = fault.Op("backup.Read")
	raw, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fault.E(op, fault.NotFound, err, dir+" holds no complete backup: there is no "+manifestName)
	}
	if err != nil {
		return m, fault.E(op, fault.Unavailable, err, err.Error())
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fault.E(op, fault.Corrupt, err, manifestName+" is damaged: "+err.Error())
	}
	if m.Format != backupFormat {
		return m, fault.Errorf(op, fault.Unsupported, "the backup has format %d, this version reads format %d", m.Format, backupFormat)
	}
	if m.Sum != m.sum() {
		return m, fault.E(op, fault.Corrupt, manifestName+" is damaged")
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return m, fault.E(op, fault.Invalid, "the backup names a file outside of its folder: "+f.Name)
		}
	}
	return m, nil
}

// restore copies a backup into a new data folder and checks every byte of it.
func restore(from, data string) (m manifest, err error) {
	const op = fault.Op("backup.Restore")
	if m, err = readManifest(from); err != nil {
		return m, err
	}
	if inside(from, data) {
		return m, fault.E(op, fault.Invalid, "the data folder must not lie inside of the backup")
	}
	if err := newFolder(op, data); err != nil {
		return m, err
	}
	mark := filepath.Join(data, unfinishedName)
	err = os.WriteFile(mark, []byte("a restore was interrupted: empty this folder and restore again\n"), 0o600)
	for i := 0; i < len(m.Files) && err == nil; i++ {
		err = restoreFile(from, data, m.Files[i])
	}
	if err == nil {
		err = filepath.WalkDir(data, func(name string, d fs.DirEntry, err error) error { return errors.Join(err, syncFolder(name, d)) })
	}
	if err == nil {
		err = errors.Join(os.Remove(mark), syncFolder(data, nil))
	}
	if err != nil {
		emptyFolder(data)
		var known *fault.Error
		if !errors.As(err, &known) {
			err = fault.E(op, fault.Unavailable, err, "the restore failed: "+err.Error())
		}
	}
	return m, err
}

func restoreFile(from, data string, want backupFile) error {
	name := filepath.FromSlash(want.Name)
	// A pipe would be waited for, and a folder or device is not what was backed up.
	if info, err := os.Stat(filepath.Join(from, name)); err == nil && !info.Mode().IsRegular() {
		return fault.E(fault.Op("backup.Restore"), fault.Corrupt, "the backup is damaged: "+want.Name+" is not a file")
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(data, name)), 0o700); err != nil {
		return err
	}
	got, err := copyFile(filepath.Join(from, name), filepath.Join(data, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fault.E(fault.Op("backup.Restore"), fault.Corrupt, err, "the backup is damaged: "+want.Name+" is missing")
	}
	if got.Name = want.Name; err == nil && got != want {
		return fault.E(fault.Op("backup.Restore"), fault.Corrupt, "the backup is damaged: "+want.Name+" is not as it was written")
	}
	return err
}

// newFolder makes a folder unless it is there and empty.
func newFolder(op fault.Op, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fault.E(op, fault.Exists, dir+" is not empty: nothing is ever overwritten, name a new folder")
		}
	}
	return nil
}

// emptyFolder removes what an operation that failed has left in a folder that was empty before.
func emptyFolder(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		_ = os.RemoveAll(filepath.Join(dir, e.Name()))
	}
}

// inside reports whether a path, which need not exist, lies in a folder, whatever links lead there.
func inside(folder, name string) bool {
	rel, err := filepath.Rel(realPath(folder), realPath(name))
	return err == nil && filepath.IsLocal(rel)
}

// realPath returns the path without links of what of it exists.
func realPath(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	if to, err := filepath.EvalSymlinks(name); err == nil {
		return to
	}
	if dir := filepath.Dir(name); dir != name {
		return filepath.Join(realPath(dir), filepath.Base(name))
	}
	return name
}
