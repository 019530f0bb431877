//go:build !unix

package loadgen

// RaiseFiles raises the limit on open files of this process: here there is none to raise.
func RaiseFiles(int) error { return nil }
