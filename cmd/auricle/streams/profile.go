//go:build unix

package streams

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

// profileTime is how long the CPU is profiled.
const profileTime = 10 * time.Second

// ProfileOnSignal has this process write profiles beside the file near whenever
// SIGUSR1 comes: heap.pprof, goroutine.txt and, 10 s later, cpu.pprof. The
// function that it returns ends that.
func ProfileOnSignal(near string) (stop func()) {
	come, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(come, syscall.SIGUSR1)
	var wg sync.WaitGroup
	wg.Go(func() { // ends with done
		for {
			select {
			case <-come:
				if err := profile(filepath.Dir(near), done); err != nil {
					fmt.Fprintln(os.Stderr, "profiling:", err)
				}
			case <-done:
				return
			}
		}
	})
	return func() { signal.Stop(come); close(done); wg.Wait() }
}

func profile(dir string, done <-chan struct{}) error {
	runtime.GC() // the heap's profile is of the last one
	for name, file := range map[string]string{"heap": "heap.pprof", "goroutine": "goroutine.txt"} {
		debug := 0
		if name == "goroutine" {
			debug = 1
		}
		var b bytes.Buffer
		if err := pprof.Lookup(name).WriteTo(&b, debug); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return err
	}
	select {
	case <-time.After(profileTime):
	case <-done:
	}
	pprof.StopCPUProfile()
	return os.WriteFile(filepath.Join(dir, "cpu.pprof"), b.Bytes(), 0o600)
}
