package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MaxValuesBytes bounds what an app keeps for a user, keys and values together.
// There is one record of it, so that what an invocation leaves is kept as a whole
// or not at all, also when power fails meanwhile; it is written anew for every
// change. A cluster whose servers take smaller messages has its own, lower
// limit: two thirds of their max_payload, about.
const MaxValuesBytes = 2 << 20

// MaxValues is how many keys an app may have for a user.
const MaxValues = 10_000

// ErrTooManyValues says that there are more than MaxValues.
var ErrTooManyValues = errors.New("too many values")

// valuesHead begins the body of a record: this as JSON, and behind it the values,
// in the order of Keys.
type valuesHead struct {
	App  string     `json:"app"`
	UID  string     `json:"uid"`
	Keys []valueKey `json:"keys"`
}

type valueKey struct {
	Key   string `json:"key"`
	Bytes int    `json:"bytes"`
}

// Values returns what an app keeps for a user, by key, and the revision of the
// record. An app that keeps nothing has none, and a revision to go on from all
// the same.
func (s *Store) Values(ctx context.Context, app, uid string) (map[string][]byte, Revision, error) {
	var values map[string][]byte
	var rev Revision
	err := s.read(ctx, opRead, "reading an app's values", func(ctx context.Context, b *backend) error {
		values, rev = nil, 0
		if err := checkValuesOf(app, uid); err != nil {
			return err
		}
		m, err := b.fromLeader(ctx, streamValues, leaderRequest{LastFor: valuesSubject(app, uid)})
		if err != nil || m == nil {
			return err
		}
		rev = Revision(m.Seq)
		if m.Header.Get(headerGone) != "" {
			return nil
		}
		values, err = decodeValues(app, uid, m.Data)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return values, rev, nil
}

// PutValues keeps what an app keeps for a user, all of it, going on from the
// revision after: 0 where there is no record. Without values the record goes. It
// is on synced disk, or with the cluster's quorum, when it returns nil. The error
// wraps ErrFenced when the record has another revision, ErrTooManyValues, and
// ErrBadID and ErrTooLarge as elsewhere. After any other, it can be called again
// with the same after.
func (s *Store) PutValues(ctx context.Context, app, uid string, values map[string][]byte, after Revision) (Revision, error) {
	var rev Revision
	err := s.write(ctx, opPutValues, "keeping an app's values", func(ctx context.Context) error {
		if err := checkValuesOf(app, uid); err != nil {
			return err
		}
		if len(values) > MaxValues {
			return fmt.Errorf("%w: %d, at most %d", ErrTooManyValues, len(values), MaxValues)
		}
		m := &nats.Msg{Subject: valuesSubject(app, uid)}
		if len(values) == 0 {
			m.Header = nats.Header{headerGone: {"1"}, jetstream.MsgTTLHeader: {tombstoneTTL.String()}}
		} else {
			var err error
			if m.Data, err = encodeValues(app, uid, values); err != nil {
				return err
			}
			// A reading asks for it as base64, which has to fit into a message too.
			if most := int(s.maxMessage.Load()) / 4 * 3; len(m.Data) > most {
				return fmt.Errorf("%w: a record of %d bytes, at most %d", ErrTooLarge, len(m.Data), most)
			}
		}
		var err error
		rev, err = s.replace(ctx, streamValues, []*nats.Msg{m}, after, after)
		return err
	})
	return rev, err
}

func checkValuesOf(app, uid string) error { return errors.Join(checkApp(app), checkUID(uid)) }

func encodeValues(app, uid string, values map[string][]byte) ([]byte, error) {
	head := valuesHead{App: app, UID: uid, Keys: make([]valueKey, 0, len(values))}
	size := 0
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if k == "" {
			return nil, fmt.Errorf("%w: an empty key", ErrBadID)
		}
		head.Keys = append(head.Keys, valueKey{k, len(values[k])})
		size += len(values[k])
	}
	body, err := encode(head)
	if err != nil {
		return nil, err
	}
	body = slices.Grow(body, size)
	for _, k := range head.Keys {
		body = append(body, values[k.Key]...)
	}
	return body, nil
}

// decodeValues reads a record of app's for uid.
func decodeValues(app, uid string, body []byte) (map[string][]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	var head valuesHead
	if err := dec.Decode(&head); err != nil {
		return nil, fmt.Errorf("decoding an app's values: %w", err)
	}
	if head.App != app || head.UID != uid {
		return nil, errors.New("decoding an app's values: the record is another's")
	}
	rest := body[dec.InputOffset():]
	values := make(map[string][]byte, len(head.Keys))
	for _, k := range head.Keys {
		if k.Bytes < 0 || k.Bytes > len(rest) {
			return nil, fmt.Errorf("decoding an app's values: key %q has %d bytes, and %d are left", k.Key, k.Bytes, len(rest))
		}
		values[k.Key], rest = slices.Clip(rest[:k.Bytes]), rest[k.Bytes:]
	}
	if len(rest) > 0 || len(values) < len(head.Keys) {
		return nil, fmt.Errorf("decoding an app's values: %d bytes too many, or a key twice", len(rest))
	}
	return values, nil
}

func valuesSubject(app, uid string) string {
	return "value." + appToken(app) + "." + base64.RawURLEncoding.EncodeToString([]byte(uid))
}

// parseValuesSubject undoes valuesSubject.
func parseValuesSubject(subject string) (app, uid string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "value.")
	if !ok {
		return "", "", false
	}
	first, second, ok := strings.Cut(rest, ".")
	if !ok {
		return "", "", false
	}
	if app, ok = parseAppToken(first); !ok {
		return "", "", false
	}
	uid, ok = parseAppToken(second)
	return app, uid, ok
}
