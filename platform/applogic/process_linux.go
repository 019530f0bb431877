package applogic

import (
	"os/exec"
	"syscall"
)

// alone puts a process into a group of its own, so that what it starts ends with it, and lets it die with us.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// end asks the group of a process to end, or ends it.
func end(cmd *exec.Cmd, now bool) {
	s := syscall.SIGTERM
	if now {
		s = syscall.SIGKILL
	}
	_ = syscall.Kill(-cmd.Process.Pid, s) // gone already is fine
}
