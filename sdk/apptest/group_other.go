//go:build !unix

package apptest

import (
	"os/exec"
	"time"
)

// ownGroup bounds the wait for cmd's output once its context has ended.
func ownGroup(cmd *exec.Cmd) { cmd.WaitDelay = 5 * time.Second }
