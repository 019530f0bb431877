package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// Ext4 is a file system of its own on which power cuts can be played: what was not synced is lost.
type Ext4 struct {
	Dir   string
	image string
}

// NewExt4 makes a file system of a size in MiB. It skips the test where that is not possible.
func NewExt4(t testing.TB, mib int64) *Ext4 {
	t.Helper()
	e := &Ext4{Dir: t.TempDir(), image: filepath.Join(t.TempDir(), "disk.img")}
	f, err := os.Create(e.image)
	if err == nil {
		err = f.Truncate(mib << 20)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	mount(t, "mkfs.ext4", "-q", "-F", e.image)
	e.Mount(t)
	t.Cleanup(func() { _ = syscall.Unmount(e.Dir, syscall.MNT_DETACH) })
	return e
}

// Mount mounts it, also after a power cut; the journal is played back then.
func (e *Ext4) Mount(t testing.TB) {
	t.Helper()
	mount(t, "mount", "-o", "loop", e.image, e.Dir)
}

// Cut drops everything that was not synced and lets every later access fail, as the kernel's shutdown ioctl without flushing the journal does.
func (e *Ext4) Cut(t testing.TB) {
	t.Helper()
	const shutdown, withoutFlush = 0x8004587d, 2
	dir, err := os.Open(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	flag := uint32(withoutFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		t.Fatalf("the shutdown of the file system: %v", errno)
	}
}

// Unmount takes it away. Nothing may be open on it.
func (e *Ext4) Unmount(t testing.TB) {
	t.Helper()
	if out, err := exec.Command("umount", e.Dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
}
