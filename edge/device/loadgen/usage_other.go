//go:build !unix

package loadgen

import "time"

// Usage returns the processor time that this process has used: not known here.
func Usage() time.Duration { return 0 }
