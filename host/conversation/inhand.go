package conversation

import "sync"

// minSweep is how many conversations inHand keeps before it looks which of
// them are done.
const minSweep = 64

// inHand knows the conversations whose apps' work is being done here: what
// they lack in the store is no reason to do it again.
type inHand struct {
	mu   sync.Mutex // guards what follows
	done map[string]<-chan struct{}
	most int // when there are so many, those that are done go: twice what was left last time
}

// add notes a conversation until done closes.
func (w *inHand) add(conversation string, done <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		w.done, w.most = make(map[string]<-chan struct{}), minSweep
	}
	if len(w.done) >= w.most {
		for id, done := range w.done {
			if isClosed(done) {
				delete(w.done, id)
			}
		}
		w.most = max(minSweep, 2*len(w.done))
	}
	w.done[conversation] = done
}

// has reports whether a conversation's work is not done yet.
func (w *inHand) has(conversation string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := w.done[conversation]
	return done != nil && !isClosed(done)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
