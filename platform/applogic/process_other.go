//go:build !linux

package applogic

import "os/exec"

func alone(*exec.Cmd) {}

// end ends a process. There is no portable way to ask it first.
func end(cmd *exec.Cmd, _ bool) { _ = cmd.Process.Kill() }
