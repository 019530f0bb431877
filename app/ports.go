package app

import (
	"context"
	"net"

	"github.com/isobar-iot/isobar/fault"
)

// startPorts finds out whether the addresses are free before anything is made: a first start that fails later would have made passwords
// that nobody has seen. It does not keep them, as clients that come early would wait for a platform that is not ready.
func startPorts(_ context.Context, p *parts) (stopFunc, error) {
	for flag, addr := range map[string]string{"http": p.conf.HTTP, "https": p.conf.HTTPS, "mqtt": p.conf.MQTT, "mqtts": p.conf.MQTTS, "mtls": p.conf.MTLS} {
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "0" {
			continue // there is no such listener, or the system chooses the port
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, cannotListen(flag, addr, err)
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func cannotListen(flag, addr string, err error) error {
	return fault.E(fault.Op("listener.Open"), fault.Unavailable, err, "cannot listen on "+addr+": "+err.Error()+"; choose another address with --"+flag)
}
