package seed

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// peaks are the highest figures seen of this process: threads and memory
// above what they were when watching began.
type peaks struct {
	threads    int
	goroutines int
	memory     int64 // bytes resident
}

// peakWatch looks at the process every few milliseconds, on a goroutine that
// ends with stop.
type peakWatch struct {
	quit chan struct{}
	seen chan peaks
}

func watchPeak() *peakWatch {
	debug.FreeOSMemory() // what an earlier measurement left is not this one's to use again
	w := &peakWatch{quit: make(chan struct{}), seen: make(chan peaks, 1)}
	threads0, memory0 := processStatus()
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var p peaks
		for {
			threads, memory := processStatus()
			p.threads = max(p.threads, threads-threads0)
			p.memory = max(p.memory, memory-memory0)
			p.goroutines = max(p.goroutines, runtime.NumGoroutine())
			select {
			case <-tick.C:
			case <-w.quit:
				w.seen <- p
				return
			}
		}
	}()
	return w
}

func (w *peakWatch) stop() peaks {
	close(w.quit)
	return <-w.seen
}

// processStatus returns the process's threads and resident bytes from
// /proc/self/status (proc(5)); both are 0 where there is none.
func processStatus() (threads int, memory int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte("Threads:")); ok {
			threads, _ = strconv.Atoi(string(bytes.TrimSpace(v)))
		}
		if v, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(v), []byte(" kB"))), 10, 64)
			memory = kb << 10
		}
	}
	return threads, memory
}
