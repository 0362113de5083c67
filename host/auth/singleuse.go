package auth

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

// singleUse is the table of single-use tokens that are out. It holds their
// digests only. Its bounds are given with each: when one is reached no more are
// issued. What is over is taken out when room is needed.
type singleUse struct {
	mu   sync.Mutex // guards what follows
	out  map[[32]byte]issued
	uids map[string]int // how many of out, by uid
}

type issued struct {
	identity Identity
	expires  time.Time
}

func newSingleUse() *singleUse {
	return &singleUse{out: map[[32]byte]issued{}, uids: map[string]int{}}
}

// issue returns a new token. The error is a *Refusal with CodeTooMany.
func (s *singleUse) issue(id Identity, now, expires time.Time, perUser, most int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) >= most || s.uids[id.UID] >= perUser {
		for digest, t := range s.out {
			if !now.Before(t.expires) {
				s.remove(digest, t)
			}
		}
	}
	switch {
	case s.uids[id.UID] >= perUser:
		return "", &Refusal{CodeTooMany, fmt.Sprintf("this user has %d single-use tokens that were not used (auth.tokens.per_user); use one, or wait until one is over", perUser)}
	case len(s.out) >= most:
		return "", &Refusal{CodeTooMany, "the host has as many single-use tokens out as it may (auth.tokens.most); try again in a while"}
	}
	token := singleUsePrefix + random()
	s.out[sha256.Sum256([]byte(token))] = issued{id, expires}
	s.uids[id.UID]++
	return token, nil
}

// redeem uses a token up. Of any number of callers one gets its identity.
func (s *singleUse) redeem(token string, now time.Time) (Identity, error) {
	digest := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.out[digest]
	if ok {
		s.remove(digest, t)
	}
	if !ok || !now.Before(t.expires) {
		return Identity{}, &Refusal{CodeUnknown, "this single-use token was used already, is over, or was issued by another host; ask for a new one"}
	}
	return t.identity, nil
}

// remove takes a token out. s.mu is held.
func (s *singleUse) remove(digest [32]byte, t issued) {
	delete(s.out, digest)
	if s.uids[t.identity.UID]--; s.uids[t.identity.UID] <= 0 {
		delete(s.uids, t.identity.UID)
	}
}
