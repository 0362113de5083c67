package webhooks

import (
	"sync"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
)

// peakWatch looks at what a process uses every few milliseconds, on a goroutine
// that ends with stop.
type peakWatch struct {
	quit chan struct{}
	done sync.WaitGroup
	peak child.Usage // threads and memory only; read after done
	err  error       // likewise
}

func watchPeak(c *child.Child) *peakWatch {
	w := &peakWatch{quit: make(chan struct{})}
	w.done.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			u, err := c.Usage()
			if err != nil {
				w.err = err
				return
			}
			w.peak.Threads, w.peak.RSS = max(w.peak.Threads, u.Threads), max(w.peak.RSS, u.RSS)
			select {
			case <-tick.C:
			case <-w.quit:
				return
			}
		}
	})
	return w
}

func (w *peakWatch) stop() (child.Usage, error) {
	close(w.quit)
	w.done.Wait()
	return w.peak, w.err
}
