package loadgen

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"
)

// Process is a program that is measured. It ends with this one, however that ends (on Linux).
type Process struct {
	Cmd   *exec.Cmd
	PID   int           // of what is measured: not that of a tracer around it
	Ready time.Duration // from exec until it was ready
}

// startTimeout is how long a program may take to be ready.
const startTimeout = 60 * time.Second

// Start starts a program and waits until ready says so. If it fails, the error quotes what the program wrote to stderr, unless the command has a Stderr.
func Start(cmd *exec.Cmd, ready func() bool) (*Process, error) {
	var said *bytes.Buffer
	if cmd.Stderr == nil {
		said = &bytes.Buffer{}
		cmd.Stderr = said
	}
	tie(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Cmd: cmd, PID: cmd.Process.Pid}
	for !ready() {
		if time.Since(began) > startTimeout {
			p.Stop()
			if said == nil {
				said = &bytes.Buffer{}
			}
			return nil, fmt.Errorf("%s did not become ready: %.2000s", cmd.Path, said.String())
		}
		time.Sleep(2 * time.Millisecond) // a poll: the resolution of Ready
	}
	p.Ready = time.Since(began)
	return p, nil
}

// Stop kills the program, with what it has started, and waits for its end.
func (p *Process) Stop() {
	kill(p.Cmd)
	_ = p.Cmd.Wait()
}

// CPU returns the processor time that the program has used.
func (p *Process) CPU() time.Duration { return CPU(p.PID) }

// Resident returns the bytes of memory that the program has in use.
func (p *Process) Resident() int64 { return Resident(p.PID) }
