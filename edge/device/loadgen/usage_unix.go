//go:build unix

package loadgen

import (
	"syscall"
	"time"
)

// Usage returns the processor time that this process has used.
func Usage() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
