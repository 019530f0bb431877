package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
	"github.com/isobar-iot/isobar/engine/mqtt"
)

const password = "Bench-123456"

var (
	ourLogin  = loadgen.Login{ClientID: "bench-", User: "main/admin", Password: password}
	basicAuth = "Basic " + base64.StdEncoding.EncodeToString([]byte("main/admin:"+password))
)

// ourMessage is one value as devices with SmartREST send it: without a time, which the server gives.
func ourMessage(_, n int) (topic, payload string) {
	return "s/us", fmt.Sprintf("200,c8y_Temperature,T,%02d.%d,C", 20+n%10, n%7)
}

// threeValues is a message with three values, as in the published figures of ThingsBoard.
func threeValues(_, n int) (topic, payload string) {
	return "s/us", fmt.Sprintf("201,c8y_Climate,,c8y_Climate,T,%02d.%d,C,c8y_Climate,H,%02d.%d,%%,c8y_Climate,P,10%02d,hPa", 20+n%10, n%7, 40+n%20, n%9, n%30)
}

// unlimited lifts what protects a server from one address: here all devices have the same.
var unlimited = []string{"--limit-requests-address", "0", "--limit-requests-user", "0", "--limit-requests-tenant", "0",
	"--limit-connects-address", "0", "--limit-connections-address", "0"}

// startIsobar starts the platform on an empty folder; every fsync takes longer by delay.
func startIsobar(o *options, bin, dir string, delay time.Duration) (*system, error) {
	s := &system{mqtt: freePort(), http: freePort(), login: ourLogin, message: ourMessage}
	args := append([]string{bin, "server", "--data", filepath.Join(dir, "data"), "--http", s.http, "--mqtt", s.mqtt, "--log-level", "warn"}, unlimited...)
	args = append(args, strings.Fields(o.serverArgs)...)
	if delay > 0 {
		strace, err := installed("strace")
		if err != nil {
			return nil, err
		}
		args = append([]string{strace, "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
			"-e", fmt.Sprint("inject=fsync,fdatasync:delay_exit=", delay.Microseconds())}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ISOBAR_ADMIN_PASSWORD="+password)
	err := s.add(cmd, func() bool {
		r, err := http.Get("http://" + s.http + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if err == nil && delay > 0 {
		s.procs[0].pid, err = childOf(s.procs[0].pid)
	}
	s.query, s.stored = s.http, s.ourCount
	s.probeIsobar()
	return s, err
}

func (s *system) get(path string) (int, []byte, error) {
	c, err := loadgen.DialHTTP(s.http)
	if err != nil {
		return 0, nil, err
	}
	defer c.Close()
	return c.Do(loadgen.Request("GET", s.http, path, nil, "Authorization", basicAuth, "Accept", "application/json"))
}

// ourCount asks over REST how many measurements there are.
func (s *system) ourCount() (int, error) {
	status, body, err := s.get("/measurement/measurements?pageSize=1&withTotalElements=true")
	if err != nil {
		return 0, err
	}
	var v struct {
		Statistics struct{ TotalElements *int }
	}
	if err := json.Unmarshal(body, &v); err != nil || v.Statistics.TotalElements == nil {
		return 0, fmt.Errorf("count: answered with %d: %.300s", status, body)
	}
	return *v.Statistics.TotalElements, nil
}

// probeIsobar publishes values that grow, and asks for the newest one of the device.
func (s *system) probeIsobar() {
	source := "0"
	s.probing = func() error {
		status, body, err := s.get("/identity/externalIds/c8y_Serial/" + probeClient)
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
		return "s/us", fmt.Sprint("200,bench_Probe,x,", n), loadgen.Request("GET", s.http, path, nil, "Authorization", basicAuth, "Accept", "application/json"),
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

func (ackAtOnce) Realm() string                                    { return "floor" }
func (ackAtOnce) Publish(_ *mqtt.Message, done func(mqtt.Verdict)) { done(mqtt.Verdict{}) }
func (ackAtOnce) Subscribe(_ string, qos byte) mqtt.Reason         { return mqtt.Reason(qos) }
func (ackAtOnce) Subscribed(string, byte)                          {}
func (ackAtOnce) Unsubscribed(string)                              {}
func (ackAtOnce) Closed(mqtt.CloseReason)                          {}
