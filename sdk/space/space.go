// Package space is the key-value space of one app and one user: what an
// invocation sees of it, and what it leaves. The host and package apptest share
// it, so that an app meets the same rules in a test as in a host.
//
// An invocation has a View of the Values as they were when it first asked. What
// it writes it sees at once, and nobody else does. When it has ended ok its
// Changes are applied to the Values as they are then: of two invocations that
// write one key the one that ends last wins, and what both add to a number is
// added twice.
//
// A View is for one goroutine. The package keeps nothing: where Values last is
// the host's matter.
package space

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Values are what is kept, by key. A value's bytes are never changed.
type Values map[string][]byte

// Bytes is what counts against Quota.MaxBytes: keys and values.
func (v Values) Bytes() int64 {
	var n int64
	for k, value := range v {
		n += int64(len(k) + len(value))
	}
	return n
}

// Quota bounds the Values of one app and one user.
type Quota struct {
	MaxBytes int64 // of keys and values together
	MaxKeys  int
}

// DefaultQuota is what an app has where the operator says nothing else.
var DefaultQuota = Quota{MaxBytes: 256 << 10, MaxKeys: 1000}

// allow returns why so much is more than q allows, naming both bounds; "" when
// it is not.
func (q Quota) allow(keys int, bytes int64) string {
	if keys <= q.MaxKeys && bytes <= q.MaxBytes {
		return ""
	}
	return fmt.Sprintf("that would make %d keys and %d bytes for this user; the operator allows %d keys and %d bytes, keys and values together", keys, bytes, q.MaxKeys, q.MaxBytes)
}

// QuotaError says that Changes don't fit any more: others have written
// meanwhile.
type QuotaError struct{ Why string }

func (e *QuotaError) Error() string { return event.CodeQuota + ": " + e.Why }

// NumberError says that a number which was added to is none any more.
type NumberError struct{ Key string }

func (e *NumberError) Error() string {
	return fmt.Sprintf("%s: another invocation has made the value of key %q something that nothing can be added to", event.CodeNotNumber, e.Key)
}

// Changes are what an invocation has written, by key.
type Changes map[string]Change

// Change is what becomes of one key.
type Change struct {
	Value  []byte // unless Delete or Add
	Delete bool
	Add    bool  // Delta is added to what is there
	Delta  int64 // may be 0, which makes the number where there was none
}

// Apply returns v with the changes made; v itself stays as it is. The error is a
// *QuotaError or a *NumberError. Changes that make nothing larger are applied
// though there is more than q allows: the operator may have lowered it.
func (c Changes) Apply(v Values, q Quota) (Values, error) {
	out := maps.Clone(v)
	if out == nil {
		out = Values{}
	}
	for key, change := range c {
		switch {
		case change.Delete:
			delete(out, key)
		case change.Add:
			sum, ok := add(out[key], change.Delta)
			if !ok {
				return nil, &NumberError{key}
			}
			out[key] = strconv.AppendInt(nil, sum, 10)
		default:
			out[key] = change.Value
		}
	}
	if len(out) > len(v) || out.Bytes() > v.Bytes() {
		if why := q.allow(len(out), out.Bytes()); why != "" {
			return nil, &QuotaError{why}
		}
	}
	return out, nil
}

// add returns a decimal number and delta together; ok is false when it is none
// or there is no such sum.
func add(number []byte, delta int64) (sum int64, ok bool) {
	if len(number) > 0 {
		var err error
		if sum, err = strconv.ParseInt(string(number), 10, 64); err != nil {
			return 0, false
		}
	}
	if delta > 0 && sum > math.MaxInt64-delta || delta < 0 && sum < math.MinInt64-delta {
		return 0, false
	}
	return sum + delta, true
}

// View is the space as one invocation sees it.
type View struct {
	values  Values // with the invocation's own writes; not the caller's map
	keys    []string
	bytes   int64
	quota   Quota
	changes Changes
}

// NewView returns a View of v, which it does not change.
func NewView(v Values, q Quota) *View {
	values := maps.Clone(v)
	if values == nil {
		values = Values{}
	}
	return &View{values: values, keys: slices.Sorted(maps.Keys(values)), bytes: values.Bytes(), quota: q, changes: Changes{}}
}

// Changes returns what was written so far; none for an invocation that has only
// read.
func (v *View) Changes() Changes { return v.changes }

// Answer answers a request of one of event.StorageOps, of which body is what
// follows it: with the answer and what is to follow that. It does not keep body.
func (v *View) Answer(r event.Request, body []byte) (event.Response, []byte) {
	if r.Op != event.OpStoragePut && len(body) > 0 {
		return refused(event.CodeBadRequest, "%s takes no bytes behind it", r.Op)
	}
	if r.Op == event.OpStorageList {
		return v.list(r)
	}
	if why := CheckKey(r.Key); why != "" {
		return refused(event.CodeBadKey, "%s", why)
	}
	switch r.Op {
	case event.OpStorageGet:
		value, ok := v.values[r.Key]
		if !ok {
			return refused(event.CodeNotFound, "there is no key %q", r.Key)
		}
		return event.Response{OK: true}, value
	case event.OpStoragePut:
		value := append(make([]byte, 0, len(body)), body...)
		if why := v.set(r.Key, value); why != "" {
			return refused(event.CodeQuota, "%s", why)
		}
		v.changes[r.Key] = Change{Value: value}
	case event.OpStorageDelete:
		v.delete(r.Key)
		v.changes[r.Key] = Change{Delete: true}
	case event.OpStorageAdd:
		return v.add(r.Key, r.Delta)
	default:
		return refused(event.CodeUnknownOp, "%q is no op of storage", r.Op)
	}
	return event.Response{OK: true}, nil
}

func (v *View) add(key string, delta int64) (event.Response, []byte) {
	sum, ok := add(v.values[key], delta)
	if !ok {
		return refused(event.CodeNotNumber, "the value of key %q is no decimal number of 64 bits to which %d could be added", key, delta)
	}
	if why := v.set(key, strconv.AppendInt(nil, sum, 10)); why != "" {
		return refused(event.CodeQuota, "%s", why)
	}
	switch was, written := v.changes[key]; {
	case !written:
		v.changes[key] = Change{Add: true, Delta: delta}
	case was.Add && !wraps(was.Delta, delta):
		v.changes[key] = Change{Add: true, Delta: was.Delta + delta}
	default: // it stands on what this invocation has written
		v.changes[key] = Change{Value: v.values[key]}
	}
	return event.Response{OK: true, Sum: sum}, nil
}

// wraps reports whether a and b together don't fit.
func wraps(a, b int64) bool { return b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b }

// set makes value that of key, or returns why there is no room for it.
func (v *View) set(key string, value []byte) (why string) {
	old, known := v.values[key]
	keys, bytes := len(v.values), v.bytes+int64(len(value)-len(old))
	if !known {
		keys, bytes = keys+1, bytes+int64(len(key))
	}
	if keys > len(v.values) || bytes > v.bytes {
		if why := v.quota.allow(keys, bytes); why != "" {
			return why
		}
	}
	if !known {
		i, _ := slices.BinarySearch(v.keys, key)
		v.keys = slices.Insert(v.keys, i, key)
	}
	v.values[key], v.bytes = value, bytes
	return ""
}

func (v *View) delete(key string) {
	value, known := v.values[key]
	if !known {
		return
	}
	delete(v.values, key)
	v.bytes -= int64(len(key) + len(value))
	i, _ := slices.BinarySearch(v.keys, key)
	v.keys = slices.Delete(v.keys, i, i+1)
}

func (v *View) list(r event.Request) (event.Response, []byte) {
	limit := r.Limit
	if limit == 0 {
		limit = event.ListDefault
	}
	if limit < 1 || limit > event.ListMax {
		return refused(event.CodeBadRequest, "limit is %d; it may be 1 to %d, or 0 for %d", limit, event.ListMax, event.ListDefault)
	}
	i, _ := slices.BinarySearch(v.keys, r.Prefix)
	if r.After >= r.Prefix {
		var found bool
		if i, found = slices.BinarySearch(v.keys, r.After); found {
			i++
		}
	}
	found, more := []event.StoredKey{}, false
	for ; i < len(v.keys) && strings.HasPrefix(v.keys[i], r.Prefix); i++ {
		if len(found) == limit {
			more = true
			break
		}
		found = append(found, event.StoredKey{Key: v.keys[i], Bytes: len(v.values[v.keys[i]])})
	}
	body, err := json.Marshal(found)
	if err != nil { // strings and numbers always can be
		return refused(event.CodeBadRequest, "%v", err)
	}
	return event.Response{OK: true, More: more}, body
}

// List returns the keys of v with the sizes of their values, in the keys' order.
func (v Values) List() []event.StoredKey {
	list := make([]event.StoredKey, 0, len(v))
	for _, k := range slices.Sorted(maps.Keys(v)) {
		list = append(list, event.StoredKey{Key: k, Bytes: len(v[k])})
	}
	return list
}

// CheckKey returns why key can't be one; "" when it can.
func CheckKey(key string) string {
	switch {
	case key == "" || len(key) > event.MaxKeyBytes:
		return fmt.Sprintf("a key has 1 to %d bytes, this one %d", event.MaxKeyBytes, len(key))
	case !utf8.ValidString(key):
		return "a key is UTF-8, this one is not"
	}
	for _, r := range key {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return fmt.Sprintf("a key has no control characters, this one has %U", r)
		}
	}
	return ""
}

func refused(code, format string, args ...any) (event.Response, []byte) {
	return event.Response{Error: &event.ResponseError{Code: code, Message: fmt.Sprintf(format, args...)}}, nil
}
