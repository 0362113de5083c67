//go:build unix

package apptest

import (
	"os/exec"
	"syscall"
	"time"
)

// ownGroup makes the end of cmd's context end what cmd started as well: the go
// command runs the compiler, and auricle, as processes of their own.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
}
