package integrations

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/auricle-dev/auricle/host/config"
)

// allowance is how often an app may do something for one user.
type allowance struct {
	each  time.Duration // one more is allowed after this
	burst int           // at once
}

// allowances are those of each action. Notifications are as many as Omi's
// backend lets through, ten in an hour.
var allowances = map[string]allowance{
	config.ActionNotify:             {each: 6 * time.Minute, burst: 10},
	config.ActionCreateConversation: {each: time.Minute, burst: 10},
	config.ActionCreateMemories:     {each: 30 * time.Second, burst: 30},
	config.ActionReadConversations:  {each: time.Second, burst: 60},
	config.ActionReadMemories:       {each: time.Second, burst: 60},
}

// maxBuckets bounds how many apps' and users' calls are remembered. While that
// many have called of late, others wait.
const maxBuckets = 1 << 16

// sweepEvery is how far apart two looks for buckets that are full again are.
const sweepEvery = time.Minute

type bucketKey struct{ app, action, uid string }

// limits holds calls to their allowances.
type limits struct {
	mu      sync.Mutex // guards all below
	buckets map[bucketKey]*rate.Limiter
	swept   time.Time
}

func newLimits() *limits { return &limits{buckets: map[bucketKey]*rate.Limiter{}} }

// take counts a call. It returns how long to wait, having counted nothing, when
// there have been too many.
func (l *limits) take(app, action, uid string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, a := bucketKey{app, action, uid}, allowances[action]
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweep(now)
		}
		if len(l.buckets) >= maxBuckets {
			return sweepEvery
		}
		b = rate.NewLimiter(rate.Every(a.each), a.burst)
		l.buckets[key] = b
	}
	if b.AllowN(now, 1) {
		return 0
	}
	missing := 1 - b.TokensAt(now)
	return time.Duration(missing * float64(a.each))
}

// left returns how many calls are left at once.
func (l *limits) left(app, action, uid string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[bucketKey{app, action, uid}]; b != nil {
		return int(b.TokensAt(now))
	}
	return allowances[action].burst
}

// sweep forgets buckets that are full: they are as new ones.
func (l *limits) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for key, b := range l.buckets {
		if b.TokensAt(now) >= float64(b.Burst()) {
			delete(l.buckets, key)
		}
	}
}
