//go:build !linux

package loadgen

import "os/exec"

func tie(*exec.Cmd) {}

func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
