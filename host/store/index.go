package store

import (
	"slices"
	"sync"
)

// index says which completed conversations there are, and whose. Ids sort by
// the time a conversation was begun.
type index struct {
	mu    sync.RWMutex        // guards both maps
	owner map[string]string   // id -> uid
	ids   map[string][]string // uid -> ids, ascending
}

// newIndex builds the index from the subjects of stored conversations.
func newIndex(subjects map[string]uint64) *index {
	x := &index{owner: make(map[string]string, len(subjects)), ids: map[string][]string{}}
	uids := map[string]string{} // one copy of each uid
	for subject := range subjects {
		uid, id, ok := parseConversationSubject(subject)
		if !ok {
			continue // not written by this package
		}
		if known, ok := uids[uid]; ok {
			uid = known
		} else {
			uids[uid] = uid
		}
		x.owner[id] = uid
		x.ids[uid] = append(x.ids[uid], id)
	}
	for _, ids := range x.ids {
		slices.Sort(ids)
	}
	return x
}

func (x *index) len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.owner)
}

// add notes a conversation; one that is known already changes nothing.
func (x *index) add(uid, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.owner[id]; ok {
		return
	}
	x.owner[id] = uid
	ids := x.ids[uid]
	i, _ := slices.BinarySearch(ids, id) // mostly at the end
	x.ids[uid] = slices.Insert(ids, i, id)
}

// uid returns whose conversation id is.
func (x *index) uid(id string) (string, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	uid, ok := x.owner[id]
	return uid, ok
}

// page returns up to limit of a user's ids, newest first, those older than
// before when it is not empty; and whether there are more.
func (x *index) page(uid, before string, limit int) (page []string, more bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := x.ids[uid]
	if before != "" {
		i, _ := slices.BinarySearch(ids, before)
		ids = ids[:i]
	}
	more = len(ids) > limit
	page = slices.Clone(ids[len(ids)-min(limit, len(ids)):])
	slices.Reverse(page)
	return page, more
}
