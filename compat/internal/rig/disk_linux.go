package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

// Inject lets system calls of a running process go wrong with strace: what is a set of calls and what happens to them, as in
// "fsync,fdatasync:error=EIO:when=3+". It returns when it is in force; stop takes it away. It skips the test if strace is not there.
func Inject(t testing.TB, p *Process, what string) (stop func()) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: run through make test")
	}
	calls, _, _ := strings.Cut(what, ":")
	cmd := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+calls, "-e", "signal=none", "-e", "inject="+what, "-p", strconv.Itoa(p.cmd.Process.Pid))
	var said Output
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // lets go of the process
		<-done
	})
	t.Cleanup(stop)
	Eventually(t, "strace having attached to all threads", func() bool {
		select {
		case <-done:
			if text := said.String(); text != "" {
				t.Skipf("strace cannot trace here: %s", text)
			}
			return true // it had an effect at once: the process has ended
		case <-p.done:
			return true
		default:
		}
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
		if err != nil || len(threads) == 0 {
			return false
		}
		for _, name := range threads {
			if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
				return false
			}
		}
		return true
	})
	return stop
}
