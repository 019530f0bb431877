package rig

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Tmpfs mounts a file system in memory of a size in MiB and returns its folder. It skips the test where mounting is not allowed.
func Tmpfs(t testing.TB, mib string) string {
	t.Helper()
	dir := t.TempDir()
	mount(t, "mount", "-t", "tmpfs", "-o", "size="+mib+"m", "tmpfs", dir)
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func mount(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Skipf("this test mounts a file system of its own, which is not allowed or not possible here (it needs root): %v: %s", err, out)
	}
}

// Fill writes a file until no byte is left on its file system.
func Fill(t testing.TB, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); ; {
		if _, err := f.Write(block); err != nil {
			if len(block) > 1 && errors.Is(err, syscall.ENOSPC) {
				block = block[:len(block)/2]
				continue
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			return
		}
	}
}

// Files lists the files below a folder.
func Files(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
