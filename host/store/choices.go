package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MaxChoices is how many apps a user may have chosen about.
const MaxChoices = 256

// ErrTooManyChoices says that a user has chosen about MaxChoices apps already.
var ErrTooManyChoices = errors.New("too many choices")

// Choices are what a user has chosen about apps at run time, over what the
// configuration says. There is one record of them for each user who has chosen
// anything.
type Choices struct {
	UID  string          `json:"uid"`
	Apps map[string]bool `json:"apps"` // by the app's name: on, or off
}

// ChoicesChange is what FollowChoices tells of: that the records are told from
// the beginning, one that is new or changed, one that is gone, or that all which
// there were have been told.
type ChoicesChange struct {
	Begin    bool // the others are unset then
	Choices  Choices
	Revision Revision // orders the changes of all users
	Gone     bool     // Choices has a UID alone
	Synced   bool     // the others are unset then
}

// Choices returns what a user has chosen, and the revision of the record. A
// user who has chosen nothing has no Apps, and a revision to go on from all the
// same.
func (s *Store) Choices(ctx context.Context, uid string) (Choices, Revision, error) {
	c, rev := Choices{UID: uid}, Revision(0)
	err := s.read(ctx, opRead, "reading a user's apps", func(ctx context.Context, b *backend) error {
		if err := checkUID(uid); err != nil {
			return err
		}
		m, err := b.fromLeader(ctx, streamUsers, leaderRequest{LastFor: userSubject(uid)})
		if err != nil || m == nil {
			return err
		}
		rev = Revision(m.Seq)
		if m.Header.Get(headerGone) != "" {
			return nil
		}
		c, err = decodeChoices(uid, m.Data)
		return err
	})
	if err != nil {
		return Choices{}, 0, err
	}
	return c, rev, nil
}

// PutChoices keeps what a user has chosen, going on from the revision after: 0
// for a user without a record. Without Apps the record goes. It is on synced
// disk, or with the cluster's quorum, when it returns nil. The error wraps
// ErrFenced when the record has another revision, ErrTooManyChoices, and ErrBadID
// and ErrTooLarge as elsewhere. After any other, it can be called again with the
// same after.
func (s *Store) PutChoices(ctx context.Context, c Choices, after Revision) (Revision, error) {
	var rev Revision
	err := s.write(ctx, opPutChoices, "keeping a user's apps", func(ctx context.Context) error {
		if err := checkUID(c.UID); err != nil {
			return err
		}
		if len(c.Apps) > MaxChoices {
			return fmt.Errorf("%w: %d, at most %d", ErrTooManyChoices, len(c.Apps), MaxChoices)
		}
		for app := range c.Apps {
			if err := checkApp(app); err != nil {
				return err
			}
		}
		m := &nats.Msg{Subject: userSubject(c.UID)}
		if len(c.Apps) == 0 {
			m.Header = nats.Header{headerGone: {"1"}, jetstream.MsgTTLHeader: {tombstoneTTL.String()}}
		} else {
			var err error
			if m.Data, err = encode(c); err != nil {
				return err
			}
		}
		var err error
		rev, err = s.replace(ctx, streamUsers, []*nats.Msg{m}, after, after)
		return err
	})
	return rev, err
}

// FollowChoices calls f with Begin, with the choices of every user who has made
// any, with Synced, and then with every change as it is made, by this host or
// another, until ctx ends. It then returns nil; ErrClosed when the store closes
// before. One call of f is made at a time, in the order of the revisions.
//
// When the connection breaks it tells all from the beginning, Begin and Synced
// included, once that is back: who was told of before and is not told again has
// no choices any more.
func (s *Store) FollowChoices(ctx context.Context, f func(ChoicesChange)) error {
	return s.follow(ctx, following{
		stream: streamUsers,
		config: lastOfEachSubject,
		begin:  func() { f(ChoicesChange{Begin: true}) },
		synced: func() { f(ChoicesChange{Synced: true}) },
		message: func(m jetstream.Msg, seq uint64) {
			uid, ok := parseUserSubject(m.Subject())
			if !ok {
				return // not written by this package
			}
			change := ChoicesChange{Choices: Choices{UID: uid}, Revision: Revision(seq)}
			if m.Headers().Get(headerGone) != "" {
				change.Gone = true
			} else {
				var err error
				if change.Choices, err = decodeChoices(uid, m.Data()); err != nil {
					s.log.Error("what a user has chosen can't be read; the configuration alone counts for that user", "revision", seq, "error", err)
					change.Choices, change.Gone = Choices{UID: uid}, true
				}
			}
			f(change)
		},
	})
}

// decodeChoices reads a record of uid's.
func decodeChoices(uid string, body []byte) (Choices, error) {
	var c Choices
	if err := json.Unmarshal(body, &c); err != nil {
		return c, fmt.Errorf("decoding a user's apps: %w", err)
	}
	if c.UID != uid {
		return Choices{}, errors.New("decoding a user's apps: the record is another user's")
	}
	return c, nil
}

func userSubject(uid string) string {
	return "user." + base64.RawURLEncoding.EncodeToString([]byte(uid))
}

// parseUserSubject undoes userSubject.
func parseUserSubject(subject string) (uid string, ok bool) {
	token, ok := strings.CutPrefix(subject, "user.")
	if !ok {
		return "", false
	}
	return parseAppToken(token)
}
