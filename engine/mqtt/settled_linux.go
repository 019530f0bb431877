package mqtt

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// settled tells whether the peer's host has confirmed every byte that was written to the connection. It looks through wrappers that have a
// NetConn method, as that of TLS has.
func settled(nc net.Conn) bool {
	for {
		if s, ok := nc.(syscall.Conn); ok {
			return queued(s) == 0
		}
		inner, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		nc = inner.NetConn()
	}
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
