package conversation

import (
	"context"
	"time"
)

// The time between two tries of a write to the store doubles from the first
// to the last of these.
const (
	minRetry = 100 * time.Millisecond
	maxRetry = 5 * time.Second
)

// backoff paces the tries of one write. The zero value is ready.
type backoff struct{ next time.Duration }

// wait waits until the next try is due. It reports false when ctx ended first.
func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(2*b.next, minRetry), maxRetry)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
