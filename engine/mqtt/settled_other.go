//go:build !linux

package mqtt

import "net"

// settled is not known here.
func settled(net.Conn) bool { return false }
