package store

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// index says which completed conversations there are, and whose. Ids sort by
// the time a conversation was begun.
type index struct {
	mu    sync.RWMutex        // guards the maps
	owner map[string]string   // id -> uid
	ids   map[string][]string // uid -> ids, ascending
	named map[string]string   // name -> the newest id that ends in it
}

func newIndex() *index {
	return &index{owner: map[string]string{}, ids: map[string][]string{}, named: map[string]string{}}
}

// fill replaces what the index knows by the subjects of stored conversations.
func (x *index) fill(subjects map[string]uint64) {
	owner, all := make(map[string]string, len(subjects)), map[string][]string{}
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
		owner[id] = uid
		all[uid] = append(all[uid], id)
	}
	for _, ids := range all {
		slices.Sort(ids)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.owner, x.ids = owner, all
	clear(x.named)
	for id := range owner {
		x.name(id)
	}
}

// nameOf returns the name that an id ends in, "" where it has none.
func nameOf(id string) string {
	_, rest, _ := strings.Cut(id, "_")
	_, name, _ := strings.Cut(rest, "_")
	return name
}

// name notes the name that an id ends in. mu is held.
func (x *index) name(id string) {
	if name := nameOf(id); name != "" {
		x.named[name] = max(x.named[name], id)
	}
}

// newest returns the newest conversation of a name.
func (x *index) newest(name string) (id string, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	id, ok = x.named[name]
	return id, ok
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
	x.name(id)
	ids := x.ids[uid]
	i, _ := slices.BinarySearch(ids, id) // mostly at the end
	x.ids[uid] = slices.Insert(ids, i, id)
}

// remove forgets a conversation.
func (x *index) remove(uid, id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if owner, ok := x.owner[id]; !ok || owner != uid {
		return
	}
	delete(x.owner, id)
	if name := nameOf(id); name != "" && x.named[name] == id {
		delete(x.named, name) // older ones were removed before
	}
	ids := x.ids[uid]
	if i, ok := slices.BinarySearch(ids, id); ok {
		ids = slices.Delete(ids, i, i+1)
	}
	if len(ids) == 0 {
		delete(x.ids, uid)
	} else {
		x.ids[uid] = ids
	}
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

// startIndex fills the index and, when other hosts complete conversations too,
// starts to follow them.
func (s *Store) startIndex(ctx context.Context, b *backend) error {
	state, err := b.state(ctx, streamConversations)
	if err != nil {
		return err
	}
	subjects, err := b.subjects(ctx, streamConversations, subjectConversations)
	if err != nil {
		return err
	}
	s.index.fill(subjects)
	if s.Shared() {
		s.owned.Go(func() { s.followConversations(state.LastSeq + 1) }) // ends when the store closes
	}
	return nil
}

// followConversations adds what is completed from a sequence on to the index,
// until the store closes. What is removed is noticed when it is asked for.
func (s *Store) followConversations(next uint64) {
	_ = s.follow(s.closing, following{ // ends for no other reason
		stream: streamConversations,
		config: func() jetstream.OrderedConsumerConfig {
			return jetstream.OrderedConsumerConfig{
				FilterSubjects: []string{subjectConversations}, HeadersOnly: true,
				DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
			}
		},
		begin:  func() {},
		synced: func() {},
		message: func(m jetstream.Msg, seq uint64) {
			if uid, id, ok := parseConversationSubject(m.Subject()); ok {
				s.index.add(uid, id)
			}
			next = seq + 1
		},
	})
}
