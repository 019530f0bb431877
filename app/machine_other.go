//go:build !unix

package app

import "errors"

// freeBytes returns how much may still be written to the file system of a folder: not known here.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
