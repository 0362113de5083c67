package apps

import (
	"sync"
	"time"
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
