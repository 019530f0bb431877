package rig

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Passwords of every server that Start starts, unless the environment of a test says otherwise.
const (
	AdminPassword     = "Compat-Admin-1!"
	BootstrapPassword = "Compat-Bootstrap-1!"
)

var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Binary returns the path of the program: ISOBAR_TEST_BINARY, or what the first caller builds. Clean removes what was built.
func Binary(t testing.TB) string {
	t.Helper()
	build.once.Do(func() {
		if build.path = os.Getenv("ISOBAR_TEST_BINARY"); build.path != "" {
			return
		}
		if build.dir, build.err = os.MkdirTemp("", "isobar-compat-"); build.err != nil {
			return
		}
		build.path = filepath.Join(build.dir, "isobar")
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", build.path, "github.com/isobar-iot/isobar/cmd/isobar")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// Clean removes what Binary built. TestMain calls it last.
func Clean() {
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
}

// Output collects what a process prints. It is safe for concurrent use.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Process is the program, running with any command.
type Process struct {
	Out, Err Output
	cmd      *exec.Cmd
	done     chan struct{}
	code     int
}

// Run starts the program with exactly this environment besides PATH and HOME.
func Run(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(Binary(t), args...), done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.Out, &p.Err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit waits for the end of the process and returns its exit code.
func (p *Process) Exit(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(within):
		t.Fatalf("the process did not end within %s\n%s%s", within, p.Out.String(), p.Err.String())
		return -1
	}
}

// Server is a running platform.
type Server struct {
	*Process
	URL   string // http://host:port
	MQTT  string // host:port
	Ready time.Duration
}

// Options of a server. The zero value is a new SQLite platform that goes away with the test.
type Options struct {
	Data     string   // default: a folder of the test
	Postgres string   // default: SQLite and Pebble
	NATS     string   // default: embedded
	Args     []string // further arguments
	Env      []string // replaces the passwords
	Command  string   // default: server
}

// ReadyWithin is how long a server may take until it is ready. It is far above what is promised, so that a busy machine breaks no test;
// the tests that measure the start do it themselves.
const ReadyWithin = 30 * time.Second

var (
	webLine  = regexp.MustCompile(`(?m)^  Web +(http://\S+)`)
	mqttLine = regexp.MustCompile(`(?m)^  mqtt +(\S+)`)
)

// Start starts a server on free ports and waits until it is ready.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	if o.Env == nil {
		o.Env = []string{"ISOBAR_ADMIN_PASSWORD=" + AdminPassword, "ISOBAR_BOOTSTRAP_PASSWORD=" + BootstrapPassword}
	}
	if o.Command == "" {
		o.Command = "server"
	}
	args := []string{o.Command, "--data", o.Data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}
	if o.Postgres != "" {
		args = append(args, "--postgres", o.Postgres)
	}
	if o.NATS != "" {
		args = append(args, "--nats", o.NATS)
	}
	Binary(t) // not a part of the start
	began := time.Now()
	s := &Server{Process: Run(t, o.Env, append(args, o.Args...)...)}
	for {
		if web := webLine.FindStringSubmatch(s.Out.String()); web != nil && strings.Contains(s.Out.String(), "\n  Data ") { // the last line of the addresses
			s.URL = web[1]
			if mqtt := mqttLine.FindStringSubmatch(s.Out.String()); mqtt != nil {
				s.MQTT = mqtt[1]
			}
			if res, err := http.Get(s.URL + "/readyz"); err == nil {
				res.Body.Close()
				if res.StatusCode == http.StatusOK {
					s.Ready = time.Since(began)
					return s
				}
			}
		}
		select {
		case <-s.done:
			t.Fatalf("the server ended with code %d\n%s%s", s.code, s.Out.String(), s.Err.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(began) > ReadyWithin {
			t.Fatalf("the server is not ready after %s\n%s%s", ReadyWithin, s.Out.String(), s.Err.String())
		}
	}
}

// Stop ends the server as a service manager does and returns its exit code and how long it took.
func (s *Server) Stop(t testing.TB) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	code = s.Exit(t, 30*time.Second)
	return code, time.Since(began)
}
