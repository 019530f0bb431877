//go:build unix

package app

import "syscall"

// freeBytes returns how much may still be written to the file system of a folder.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	return int64(s.Bavail) * int64(s.Bsize), err
}
