package sdk

import (
	"encoding/json"
	"fmt"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Storage asks to keep values for each user, with Context.Storage.
func Storage(reason string) Want {
	return Want{event.CapabilityRequest{Name: event.CapStorage, Reason: reason}}
}

// Store is the key-value space of this app and of the user whose event it
// handles; no other app and no other user's event sees it. It is there until the
// app deletes it, or an operator does.
//
// What a handler reads is as it was when it first asked, with its own writes. What
// it writes is kept when it has returned nil: all of it, or nothing. Where two
// events of one user are handled at once, and both write a key, the one that ends
// last wins, so count with Add. A completed conversation may be handled a second
// time, after what was written at the first: where that matters, store its id.
//
// Every method fails with ErrNotGranted when the operator did not grant the
// capability, and with ErrBadKey for a key that is not 1 to 512 bytes of UTF-8
// without control characters; test with errors.Is.
type Store struct{ c *Context }

// Storage returns the space of this app and the event's user. The app must
// declare the capability: put sdk.Storage("why") in App.Wants.
func (c *Context) Storage() Store { return Store{c} }

// Get returns the value of key. It fails with ErrNotFound where there is none.
func (s Store) Get(key string) ([]byte, error) {
	_, value, err := s.c.call(event.Request{Op: event.OpStorageGet, Key: key}, nil)
	return value, err
}

// Put makes value, of 1 MiB at most, that of key. It fails with ErrQuota when
// that would be more bytes or keys than the operator allows: 256 KiB and 1,000
// keys for each user unless the configuration says otherwise. A larger value ends
// the invocation.
func (s Store) Put(key string, value []byte) error {
	_, _, err := s.c.call(event.Request{Op: event.OpStoragePut, Key: key}, value)
	return err
}

// Delete deletes key and its value. It is no error when there is none.
func (s Store) Delete(key string) error {
	_, _, err := s.c.call(event.Request{Op: event.OpStorageDelete, Key: key}, nil)
	return err
}

// Add adds delta to the decimal number that is the value of key, 0 where there is
// none, and returns the sum as this handler sees it. What others add meanwhile is
// not lost. It fails with ErrNotNumber when the value is no number or the sum
// needs more than 64 bits, and with ErrQuota as Put does.
func (s Store) Add(key string, delta int64) (int64, error) {
	resp, _, err := s.c.call(event.Request{Op: event.OpStorageAdd, Key: key, Delta: delta}, nil)
	return resp.Sum, err
}

// List returns the keys that begin with prefix, in order of their bytes, with the
// sizes of their values: those after the key after, empty for all, and limit at
// most, 1 to 1,000, or 0 for 100. more says that there are others behind the last
// one.
func (s Store) List(prefix, after string, limit int) (keys []event.StoredKey, more bool, err error) {
	resp, list, err := s.c.call(event.Request{Op: event.OpStorageList, Prefix: prefix, After: after, Limit: limit}, nil)
	if err != nil {
		return nil, false, err
	}
	if err := json.Unmarshal(list, &keys); err != nil {
		return nil, false, fmt.Errorf("%s: reading the host's answer: %w", event.OpStorageList, err)
	}
	return keys, resp.More, nil
}
