//go:build !linux

package child

import (
	"errors"
	"time"
)

var errNotLinux = errors.New("what a process uses is read from Linux's /proc; run this bench on Linux")

// UsageOf fails: only Linux is asked.
func UsageOf(int) (Usage, error) { return Usage{}, errNotLinux }

// CPUOf fails: only Linux is asked.
func CPUOf(int) (time.Duration, error) { return 0, errNotLinux }
