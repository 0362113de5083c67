package seed

import (
	"runtime"
	"sync"
	"time"
)

// runOldCompletions runs every task of every conversation on a thread of its
// own, all at once, as the old design did, and returns how long the last one
// took. A task waits as long as its app would.
func runOldCompletions(scale float64) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for range completionConversations {
		for i := range completionApps {
			wg.Go(func() {
				runtime.LockOSThread() // never unlocked: the thread ends with the task
				timer := time.NewTimer(waits(i, scale))
				<-timer.C
			})
		}
	}
	wg.Wait()
	return time.Since(began)
}
