package durability

import (
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
)

// cpuTime returns the CPU time that a process has used; 0 if it is not known,
// as on systems other than Linux.
func cpuTime(pid int) time.Duration {
	used, err := child.CPUOf(pid)
	if err != nil {
		return 0
	}
	return used
}
