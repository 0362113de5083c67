package plugins

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// lowPriority is the niceness of a process that compiles: it gets a tenth of
// what one of the host's threads gets, or all that is idle.
const lowPriority = 10

// startLow starts cmd at a low priority. A process inherits that of the thread
// that starts it, which only a privileged one could raise again; so the thread
// ends with its goroutine.
func startLow(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() { // ends with the start, waited for below
		runtime.LockOSThread()
		// Where it is refused, it compiles at the host's own priority.
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, lowPriority)
		started <- cmd.Start()
	}()
	return <-started
}
