//go:build !unix

package app

// lockFolder does nothing here: the stores have locks of their own.
func lockFolder(string) (unlock func() error, err error) { return func() error { return nil }, nil }
