//go:build !linux

package mqtt

import (
	"net"
	"syscall"
)

// settled is not known here.
func settled(net.Conn) bool { return false }

// rawOf is nil: flush leaves everything to the writer.
func rawOf(net.Conn) syscall.RawConn { return nil }

func tryWrite(syscall.RawConn, []byte) int { return 0 }
