package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/engine/mqtt"
)

const password = "Bench-123456"

// process is a server that is measured.
type process struct {
	cmd        *exec.Cmd
	http, mqtt string
	ready      time.Duration
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startServer starts the platform on a data folder and waits until it is ready.
func (o options) startServer(data string) (*process, error) {
	p := &process{http: freePort(), mqtt: freePort()}
	p.cmd = exec.Command(o.bin, "server", "--data", data, "--http", p.http, "--mqtt", p.mqtt, "--log-level", "warn")
	p.cmd.Env = append(os.Environ(), "ISOBAR_ADMIN_PASSWORD="+password, "ISOBAR_BOOTSTRAP_PASSWORD="+password)
	p.cmd.Stderr = os.Stderr
	return p, p.start(func() bool {
		r, err := http.Get("http://" + p.http + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// startFloor starts this program as a broker that acknowledges without storing.
func startFloor() (*process, error) {
	p := &process{mqtt: freePort()}
	p.cmd = exec.Command(os.Args[0], "-floor", p.mqtt)
	p.cmd.Stderr = os.Stderr
	return p, p.start(func() bool {
		c, err := net.Dial("tcp", p.mqtt)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (p *process) start(ready func() bool) error {
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for !ready() {
		if time.Since(began) > 20*time.Second {
			p.stop()
			return errors.New("the server did not become ready")
		}
		time.Sleep(2 * time.Millisecond) // a poll, not a wait: the resolution of the figure
	}
	p.ready = time.Since(began)
	return nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// cpu returns the CPU time that the process has used.
func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss returns the resident memory in bytes.
func (p *process) rss() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kb * 1024
}

// serveFloor is our broker with a policy that lets everybody in and acknowledges at once.
func serveFloor(addr string) error {
	s, err := mqtt.New(mqtt.Config{Gate: openGate{}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(context.Background(), l)
}

type openGate struct{}

func (openGate) Connect(context.Context, *mqtt.ConnectRequest) (mqtt.Handler, error) {
	return ackAtOnce{}, nil
}

type ackAtOnce struct{}

func (ackAtOnce) User() string                                     { return "" }
func (ackAtOnce) MayReceive(string) bool                           { return true }
func (ackAtOnce) Realm() string                                    { return "floor" }
func (ackAtOnce) Publish(_ *mqtt.Message, done func(mqtt.Verdict)) { done(mqtt.Verdict{}) }
func (ackAtOnce) Subscribe(_ string, qos byte) mqtt.Reason         { return mqtt.Reason(qos) }
func (ackAtOnce) Subscribed(string, byte)                          {}
func (ackAtOnce) Unsubscribed(string)                              {}
func (ackAtOnce) Closed(mqtt.CloseReason)                          {}

// startTime measures from exec to ready: with an empty folder, and with the folder of a server that was killed.
func (o options) startTime(dir string) error {
	began := time.Now()
	if err := exec.Command(o.bin, "version").Run(); err != nil {
		return fmt.Errorf("%s: %w (run make build)", o.bin, err)
	}
	floor := time.Since(began)
	for _, name := range []string{"start, empty data folder", "start, after kill -9"} {
		p, err := o.startServer(filepath.Join(dir, "data"))
		if err != nil {
			return err
		}
		p.stop()
		line(name, millis(p.ready), millis(floor), "ms", "isobar version")
	}
	return nil
}
