//go:build unix

package loadgen

import (
	"fmt"
	"syscall"
)

// RaiseFiles raises the limit on open files of this process, and of what it starts, as far as it may. The error says that it stays below n.
func RaiseFiles(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	if uint64(l.Max) < uint64(n) {
		return fmt.Errorf("%d open files are needed, but the hard limit is %d: raise it (ulimit -Hn %[1]d as root, or LimitNOFILE), or take fewer connections", n, uint64(l.Max))
	}
	return nil
}
