package main

import (
	"net"
	"strings"
)

// freePort returns a loopback address that nobody listens on now.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// listening says whether somebody accepts connections.
func listening(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}
