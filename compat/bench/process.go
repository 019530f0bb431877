package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/isobar-iot/isobar/edge/device/loadgen"
)

// process is a part of a system that is measured.
type process struct {
	cmd   *exec.Cmd
	pid   int // of what is measured: not that of a tracer around it
	ready time.Duration
}

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

// start starts a process and waits until it is ready.
func start(cmd *exec.Cmd, ready func() bool) (*process, error) {
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p := &process{cmd: cmd}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	for !ready() {
		if time.Since(began) > 20*time.Second {
			p.stop()
			return nil, fmt.Errorf("%s did not become ready", cmd.Path)
		}
		time.Sleep(2 * time.Millisecond) // a poll, not a wait: the resolution of the figure
	}
	p.ready = time.Since(began)
	return p, nil
}

// stop kills the process and what it started.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Wait()
}

func (p *process) cpu() time.Duration { return loadgen.CPU(p.pid) }
func (p *process) rss() float64       { return float64(loadgen.Resident(p.pid)) }

// listening says whether somebody accepts connections.
func listening(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// childOf returns the process that a tracer has started.
func childOf(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) == 0 {
		return 0, errors.New("the tracer has started nothing")
	}
	return strconv.Atoi(f[0])
}
