package mqtt

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// settled tells whether the peer's host has confirmed every byte that was written to the connection.
func settled(nc net.Conn) bool {
	s := socket(nc, true)
	return s != nil && queued(s) == 0
}

// socket returns the socket under a connection, looking through wrappers that have a NetConn method; nil if there is none to be found. TLS
// has that method as well: it is looked through only if sealed says so, because bytes must not bypass it.
func socket(nc net.Conn, sealed bool) syscall.Conn {
	for {
		if s, ok := nc.(syscall.Conn); ok {
			return s
		}
		if _, ok := nc.(*tls.Conn); ok && !sealed {
			return nil
		}
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		nc = inner.NetConn()
	}
}

// rawOf returns the way for flush to the socket of a connection; nil if there is none.
func rawOf(nc net.Conn) syscall.RawConn {
	s := socket(nc, false)
	if s == nil {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// tryWrite writes what the socket takes without waiting, and returns how much that was. An error is left for the next write to find.
func tryWrite(raw syscall.RawConn, b []byte) (n int) {
	_ = raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true
	})
	return max(n, 0)
}

// queued returns the bytes that the kernel holds for the peer, sent or not; -1 if it does not say.
func queued(s syscall.Conn) int {
	n := -1
	raw, err := s.SyscallConn()
	if err != nil {
		return n
	}
	_ = raw.Control(func(fd uintptr) {
		if v, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = v
		}
	})
	return n
}
