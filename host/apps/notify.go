package apps

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// notifyEvery is how far apart two notifications of one app to one user are at
// least.
const notifyEvery = 30 * time.Second

// maxNotified bounds how many users' last notification an app's notifySlots
// remember. While that many were notified within notifyEvery, others are told
// rate_limited.
const maxNotified = 1 << 16

// notifySlots keeps one app's notifications apart. An invocation reserves its
// user's slot, and at its end takes it or gives it back.
type notifySlots struct {
	mu    sync.Mutex // guards all below
	users map[string]slot
	swept time.Time
}

// slot is a user's last notification.
type slot struct {
	at       time.Time // zero: none yet
	reserved bool      // a running invocation may send one
}

func (n *notifySlots) reserve(uid string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.users == nil {
		n.users = map[string]slot{}
	}
	s, known := n.users[uid]
	if s.reserved || known && now.Sub(s.at) < notifyEvery {
		return false
	}
	if now.Sub(n.swept) >= notifyEvery {
		n.swept = now
		for uid, s := range n.users {
			if !s.reserved && now.Sub(s.at) >= notifyEvery {
				delete(n.users, uid)
			}
		}
	}
	if !known && len(n.users) >= maxNotified {
		return false
	}
	s.reserved = true
	n.users[uid] = s
	return true
}

// wait returns how long a user's slot stays taken.
func (n *notifySlots) wait(uid string, now time.Time) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s, ok := n.users[uid]; ok && !s.at.IsZero() {
		return max(time.Second, notifyEvery-now.Sub(s.at))
	}
	return time.Second // a running invocation may take it
}

// TakeNotification counts a notification that the app sends a user by other ways
// than an invocation: of all together there is at most one in 30 s. It returns
// how long to wait, having counted nothing, when it is too soon.
func (a *App) TakeNotification(uid string, now time.Time) (wait time.Duration) {
	if a.slots == nil {
		return 0
	}
	if !a.slots.reserve(uid, now) {
		return a.slots.wait(uid, now)
	}
	a.slots.settle(uid, now, true)
	return 0
}

// settle ends a reservation; sent says that the slot is taken as of now.
func (n *notifySlots) settle(uid string, now time.Time, sent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.users[uid]
	s.reserved = false
	if sent {
		s.at = now
	}
	if s.at.IsZero() {
		delete(n.users, uid)
		return
	}
	n.users[uid] = s
}

// allow decides on a notification. White space around the text is taken off
// before its characters are counted.
func (g *guest) allow(text string, now time.Time) event.Response {
	if g.kind == event.KindTool {
		return refused(event.CodeWrongEvent, "a call of a tool sends no notifications: its result goes to whoever called it")
	}
	if !g.app.Holds(event.CapNotify) {
		return refused(event.CodeNotGranted, "the operator did not grant %s", event.CapNotify)
	}
	if n := len([]rune(strings.TrimSpace(text))); n < event.NotifyMinChars || n > event.NotifyMaxChars {
		return refused(event.CodeBadText, "a notification has %d to %d characters, this one %d", event.NotifyMinChars, event.NotifyMaxChars, n)
	}
	if g.notified || g.app.slots != nil && !g.app.slots.reserve(g.uid, now) {
		return refused(event.CodeRateLimited, "at most one notification in %v for an app and user", notifyEvery)
	}
	g.notified = true
	return event.Response{OK: true}
}

// notify sends the user a notification that was allowed, when the invocation
// ends ok.
func (g *guest) notify(text string) error {
	data, err := json.Marshal(map[string]string{"text": strings.TrimSpace(text)})
	if err != nil {
		return err
	}
	return plugins.Fail(plugins.AppError, g.add(event.OutputNotification, data))
}
