package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
	"github.com/isobar-iot/isobar/engine/mqtt"
)

// threeValues is a message with three values, as in the published figures of ThingsBoard.
func threeValues(_, n int) (topic, payload string) {
	return "s/us", fmt.Sprintf("201,c8y_Climate,,c8y_Climate,T,%02d.%d,C,c8y_Climate,H,%02d.%d,%%,c8y_Climate,P,10%02d,hPa", 20+n%10, n%7, 40+n%20, n%9, n%30)
}

// startIsobar starts the platform on an empty folder; every fsync takes longer by delay.
func startIsobar(o *options, bin, dir string, delay time.Duration) (*system, error) {
	so := loadgen.ServerOptions{Bin: bin, Data: filepath.Join(dir, "data"), Args: strings.Fields(o.serverArgs)}
	if delay > 0 {
		strace, err := installed("strace")
		if err != nil {
			return nil, err
		}
		so.Wrapper = []string{strace, "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
			"-e", fmt.Sprint("inject=fsync,fdatasync:delay_exit=", delay.Microseconds())}
	}
	server, err := loadgen.StartServer(so)
	if err != nil {
		return nil, err
	}
	s := &system{procs: []*loadgen.Process{server.Process}, mqtt: server.MQTT, query: server.HTTP, server: server, data: so.Data, login: server.Login, message: loadgen.SmartREST, stored: server.Stored}
	s.probeIsobar()
	return s, nil
}

// startTransient starts the platform for messages that are to be processed but not stored.
func startTransient(o *options, dir string) (*system, error) {
	s, err := startIsobar(o, o.bin, dir, 0)
	if err != nil {
		return nil, err
	}
	s.stored = nil
	s.message = func(conn, n int) (topic, payload string) {
		_, payload = loadgen.SmartREST(conn, n)
		return "t/us", payload
	}
	return s, nil
}

// probeIsobar publishes values that grow, and asks for the newest one of the device.
func (s *system) probeIsobar() {
	source := "0"
	s.probing = func() error {
		status, body, err := s.server.Do("GET", "/identity/externalIds/c8y_Serial/"+probeClient, nil)
		if err != nil {
			return err
		}
		var v struct{ ManagedObject struct{ ID string } }
		if err := json.Unmarshal(body, &v); err != nil || v.ManagedObject.ID == "" {
			return fmt.Errorf("find the device of the probes: answered with %d: %.300s", status, body)
		}
		source = v.ManagedObject.ID
		return nil
	}
	s.probe = func(n int) (topic, payload string, request []byte, found func(int, []byte) bool) {
		path := "/measurement/measurements?pageSize=1&revert=true&dateFrom=1970-01-01&valueFragmentType=bench_Probe&source=" + source
		return "s/us", fmt.Sprint("200,bench_Probe,x,", n), s.server.Request("GET", path, nil, ""),
			func(status int, body []byte) bool {
				return status == http.StatusOK && strings.Contains(string(body), fmt.Sprintf(`"value":%d}`, n))
			}
	}
}

// serveFloor is our broker with a policy that lets everybody in and acknowledges at once.
func serveFloor(ctx context.Context, addr string) error {
	s, err := mqtt.New(mqtt.Config{Gate: openGate{}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

type openGate struct{}

func (openGate) Connect(context.Context, *mqtt.ConnectRequest) (mqtt.Handler, error) {
	return ackAtOnce{}, nil
}

type ackAtOnce struct{}

func (ackAtOnce) Owner() string                                    { return "" }
func (ackAtOnce) User() string                                     { return "" }
func (ackAtOnce) MayReceive(string) bool                           { return true }
func (ackAtOnce) Realm() string                                    { return "floor" }
func (ackAtOnce) Publish(_ *mqtt.Message, done func(mqtt.Verdict)) { done(mqtt.Verdict{}) }
func (ackAtOnce) Subscribe(_ string, qos byte) mqtt.Reason         { return mqtt.Reason(qos) }
func (ackAtOnce) Subscribed(string, byte)                          {}
func (ackAtOnce) Unsubscribed(string)                              {}
func (ackAtOnce) Closed(mqtt.CloseReason)                          {}
