//go:build !linux

package streams

import (
	"errors"
	"time"
)

// usage is what the system says of a process.
type usage struct {
	at  time.Time
	cpu time.Duration
	rss int64 // bytes
	fds int
}

func usageOf(int) (usage, error) {
	return usage{}, errors.New("what a process uses is read from Linux's /proc; run this bench on Linux")
}
