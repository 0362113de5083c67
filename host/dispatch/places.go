package dispatch

import "sync"

// places are what the pool's workers share out: as many invocations may run at
// once as there are places. One that waits for a web service lends its place,
// so that apps whose services hang keep no worker from healthy apps; its app's
// bulkhead counts it all the same. Who comes back goes on at once, and until
// then as many more may run as came back; no new one begins meanwhile.
//
// pond's own bound can't be lent: Resize counts from its last size and not from
// how many run, so that a pool that grows and shrinks while it is full runs
// more and more.
type places struct {
	mu      sync.Mutex // guards all below
	free    int        // below 0: as many came back and found none
	waiting []chan struct{}
}

// take waits for a place, in order. It ends: every place is given back when an
// invocation ends, and those are bounded.
func (p *places) take() {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	<-turn
}

// give gives a place back, or lends it.
func (p *places) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.free > 0 && len(p.waiting) > 0 {
		p.free--
		close(p.waiting[0])
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
	}
}

// retake takes a lent place again, without waiting for it.
func (p *places) retake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free--
}
