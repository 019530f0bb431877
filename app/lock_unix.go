//go:build unix

package app

import (
	"errors"
	"os"
	"syscall"

	"github.com/isobar-iot/isobar/fault"
)

// lockFolder keeps other servers out of a data folder until it is unlocked, or the process ends in whatever way.
func lockFolder(dir string) (unlock func() error, err error) {
	const op = fault.Op("disk.Open")
	f, err := os.Open(dir)
	if err != nil {
		return nil, fault.E(op, fault.Unavailable, err, "the data folder cannot be opened: "+err.Error())
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.E(op, fault.Conflict, err, "another server uses the data folder "+dir+": stop it, or name another folder with --data")
		}
		return func() error { return nil }, nil // a file system without locks, as some networks have; the stores have locks of their own
	}
	return f.Close, nil
}
