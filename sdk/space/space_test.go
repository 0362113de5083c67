package space_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/space"
)

var wide = space.Quota{MaxBytes: 1 << 20, MaxKeys: 100}

// ask asks v and returns the code of the refusal, or "ok", and what follows.
func ask(v *space.View, r event.Request, body string) (string, string) {
	resp, out := v.Answer(r, []byte(body))
	if resp.OK {
		return "ok", string(out)
	}
	return resp.Error.Code, resp.Error.Message
}

func get(v *space.View, key string) string {
	code, out := ask(v, event.Request{Op: event.OpStorageGet, Key: key}, "")
	if code != "ok" {
		return code
	}
	return "=" + out
}

func TestAnInvocationSeesItsOwnWritesAndOthersDoNot(t *testing.T) {
	kept := space.Values{"a": []byte("1"), "b": []byte("x")}
	before := maps.Clone(kept)
	v, other := space.NewView(kept, wide), space.NewView(kept, wide)
	ask(v, event.Request{Op: event.OpStoragePut, Key: "a"}, "2")
	ask(v, event.Request{Op: event.OpStoragePut, Key: "new"}, "")
	ask(v, event.Request{Op: event.OpStorageDelete, Key: "b"}, "")
	ask(v, event.Request{Op: event.OpStorageDelete, Key: "never"}, "")
	if got := []string{get(v, "a"), get(v, "new"), get(v, "b")}; !reflect.DeepEqual(got, []string{"=2", "=", "not_found"}) {
		t.Errorf("the writer sees %q", got)
	}
	if got := []string{get(other, "a"), get(other, "new"), get(other, "b")}; !reflect.DeepEqual(got, []string{"=1", "not_found", "=x"}) {
		t.Errorf("another sees %q", got)
	}
	if !reflect.DeepEqual(kept, before) {
		t.Errorf("what is kept has changed: %q", kept)
	}
	after, err := v.Changes().Apply(kept, wide)
	if want := (space.Values{"a": []byte("2"), "new": {}}); err != nil || !reflect.DeepEqual(after, want) {
		t.Errorf("applied: %q (%v), want %q", after, err, want)
	}
	if n := len(other.Changes()); n != 0 {
		t.Errorf("who only read has %d changes", n)
	}
}

func TestWhatTwoInvocationsAddIsAddedTwice(t *testing.T) {
	add := func(v *space.View, key string, n int64) string {
		resp, _ := v.Answer(event.Request{Op: event.OpStorageAdd, Key: key, Delta: n}, nil)
		if !resp.OK {
			return resp.Error.Code
		}
		return fmt.Sprint(resp.Sum)
	}
	kept := space.Values{"n": []byte("40"), "text": []byte("forty")}
	a, b := space.NewView(kept, wide), space.NewView(kept, wide)
	if got := add(a, "n", 1) + add(a, "n", 1) + add(b, "n", -5) + add(b, "fresh", 7) + add(b, "text", 1); got != "4142357not_a_number" {
		t.Errorf("answers %s", got)
	}
	kept, err := a.Changes().Apply(kept, wide)
	if err == nil {
		kept, err = b.Changes().Apply(kept, wide)
	}
	if err != nil || string(kept["n"]) != "37" || string(kept["fresh"]) != "7" {
		t.Errorf("%q: %v, want n 37 and fresh 7", kept, err)
	}
	// What stands on an invocation's own put is no addition to another's.
	c := space.NewView(kept, wide)
	ask(c, event.Request{Op: event.OpStoragePut, Key: "n"}, "100")
	add(c, "n", 1)
	if kept, err = c.Changes().Apply(space.Values{"n": []byte("5")}, wide); err != nil || string(kept["n"]) != "101" {
		t.Errorf("put and add: %q (%v), want 101", kept["n"], err)
	}
	d := space.NewView(space.Values{"n": []byte("9223372036854775807")}, wide)
	if got := add(d, "n", 1); got != event.CodeNotNumber {
		t.Errorf("beyond 64 bits: %s", got)
	}
	e := space.NewView(space.Values{}, wide)
	add(e, "n", 1)
	var wrong *space.NumberError
	if _, err := e.Changes().Apply(space.Values{"n": []byte("x")}, wide); !errors.As(err, &wrong) || wrong.Key != "n" {
		t.Errorf("a number that became text: %v", err)
	}
}

func TestQuota(t *testing.T) {
	small := space.Quota{MaxBytes: 10, MaxKeys: 2}
	for _, c := range []struct {
		why       string
		kept      space.Values
		key, body string
		want      string
	}{
		{"just as much as there may be", space.Values{"a": []byte("123")}, "b", "12345", "ok"},
		{"one byte more", space.Values{"a": []byte("123")}, "b", "123456", "quota_exceeded"},
		{"a key too many, however small", space.Values{"a": nil, "b": nil}, "c", "", "quota_exceeded"},
		{"no key more", space.Values{"a": nil, "b": nil}, "b", "12345678", "ok"},
		{"over a quota that was lowered, but no larger than before", space.Values{"a": []byte(strings.Repeat("x", 50))}, "a", strings.Repeat("y", 50), "ok"},
		{"over a quota that was lowered, and larger", space.Values{"a": []byte(strings.Repeat("x", 50))}, "a", strings.Repeat("y", 51), "quota_exceeded"},
	} {
		v := space.NewView(c.kept, small)
		got, message := ask(v, event.Request{Op: event.OpStoragePut, Key: c.key}, c.body)
		if got != c.want {
			t.Errorf("%s: %s (%s), want %s", c.why, got, message, c.want)
		}
		if got == "quota_exceeded" && (!strings.Contains(message, "2 keys and 10 bytes") || len(v.Changes()) != 0) {
			t.Errorf("%s: %q does not name both bounds, or left %v", c.why, message, v.Changes())
		}
		if _, err := v.Changes().Apply(c.kept, small); err != nil {
			t.Errorf("%s: applying: %v", c.why, err)
		}
	}
	// Each fits by itself, and both do not: the later one is told.
	a := space.NewView(nil, small)
	ask(a, event.Request{Op: event.OpStoragePut, Key: "a"}, "12345")
	var full *space.QuotaError
	if _, err := a.Changes().Apply(space.Values{"b": []byte("12345")}, small); !errors.As(err, &full) {
		t.Errorf("two that don't fit together: %v", err)
	}
}

func TestListIsInOrderAndInPages(t *testing.T) {
	kept := space.Values{"b": []byte("12"), "note/2": nil, "note/1": []byte("1"), "note/3": nil, "nota": nil, "z": nil}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
		more          bool
	}{
		{"", "", 0, "b nota note/1 note/2 note/3 z", false},
		{"note/", "", 0, "note/1 note/2 note/3", false},
		{"note/", "", 2, "note/1 note/2", true},
		{"note/", "note/2", 2, "note/3", false},
		{"note/", "note/22", 2, "note/3", false},
		{"note/", "a", 1, "note/1", true},
		{"", "z", 5, "", false},
		{"none", "", 5, "", false},
		{"note/", "z", 5, "", false},
	} {
		resp, body := space.NewView(kept, wide).Answer(event.Request{Op: event.OpStorageList, Prefix: c.prefix, After: c.after, Limit: c.limit}, nil)
		var keys []event.StoredKey
		if err := json.Unmarshal(body, &keys); err != nil || !resp.OK {
			t.Fatalf("%+v: %+v, %s", c, resp, body)
		}
		var names []string
		for _, k := range keys {
			names = append(names, k.Key)
			if k.Bytes != len(kept[k.Key]) {
				t.Errorf("%s has %d bytes, want %d", k.Key, k.Bytes, len(kept[k.Key]))
			}
		}
		if got := strings.Join(names, " "); got != c.want || resp.More != c.more {
			t.Errorf("prefix %q after %q limit %d: %q, more %v; want %q, %v", c.prefix, c.after, c.limit, got, resp.More, c.want, c.more)
		}
	}
}

func TestBadRequests(t *testing.T) {
	for _, c := range []struct {
		why  string
		r    event.Request
		body string
		want string
	}{
		{"no key", event.Request{Op: event.OpStorageGet}, "", event.CodeBadKey},
		{"a key too long", event.Request{Op: event.OpStoragePut, Key: strings.Repeat("k", event.MaxKeyBytes+1)}, "", event.CodeBadKey},
		{"a control character", event.Request{Op: event.OpStorageDelete, Key: "a\nb"}, "", event.CodeBadKey},
		{"one of the second set", event.Request{Op: event.OpStorageDelete, Key: "a\u0085b"}, "", event.CodeBadKey},
		{"no UTF-8", event.Request{Op: event.OpStorageAdd, Key: "\xff"}, "", event.CodeBadKey},
		{"bytes behind a get", event.Request{Op: event.OpStorageGet, Key: "a"}, "x", event.CodeBadRequest},
		{"a negative limit", event.Request{Op: event.OpStorageList, Limit: -1}, "", event.CodeBadRequest},
		{"a limit too high", event.Request{Op: event.OpStorageList, Limit: event.ListMax + 1}, "", event.CodeBadRequest},
		{"no op of storage", event.Request{Op: event.OpNotify, Key: "a"}, "", event.CodeUnknownOp},
	} {
		v := space.NewView(nil, wide)
		if got, _ := ask(v, c.r, c.body); got != c.want || len(v.Changes()) != 0 {
			t.Errorf("%s: %s with changes %v, want %s", c.why, got, v.Changes(), c.want)
		}
	}
	if got, _ := ask(space.NewView(nil, wide), event.Request{Op: event.OpStoragePut, Key: strings.Repeat("é", event.MaxKeyBytes/2)}, ""); got != "ok" {
		t.Errorf("the longest key: %s", got)
	}
}

// FuzzView: whatever is asked, in whatever order, what an invocation sees at its
// end is what its changes make of what it began with, within the quota.
func FuzzView(f *testing.F) {
	f.Add([]byte("\x01a\x05hello\x00a\x00\x03\x00\x00\x04a\x01"), int64(20))
	f.Add([]byte("\x04n\x01\x04n\x02\x02n\x00\x04n\x03\x01n\x02xx\x04n\x01"), int64(8))
	f.Fuzz(func(t *testing.T, in []byte, most int64) {
		q := space.Quota{MaxBytes: most, MaxKeys: 3}
		begin := space.Values{"n": []byte("1"), "a": []byte("b")}
		v := space.NewView(begin, q)
		for len(in) >= 3 {
			op, key, n := event.StorageOps[int(in[0])%len(event.StorageOps)], string(in[1:2]), int(in[2])
			in = in[3:]
			r, body := event.Request{Op: op, Key: key, Delta: int64(int8(n)), Prefix: "", Limit: n}, []byte(nil)
			if op == event.OpStoragePut {
				body = in[:min(n, len(in))]
				in = in[len(body):]
			}
			resp, _ := v.Answer(r, body)
			if resp.OK == (resp.Error != nil) || !resp.OK && (resp.Error.Code == "" || !utf8.ValidString(resp.Error.Message)) {
				t.Fatalf("answer %+v", resp)
			}
		}
		after, err := v.Changes().Apply(begin, q)
		if err != nil {
			t.Fatalf("what was answered ok can't be applied: %v", err)
		}
		if over := after.Bytes() > q.MaxBytes || len(after) > q.MaxKeys; over && (after.Bytes() > begin.Bytes() && len(after) > len(begin)) {
			t.Errorf("%d bytes in %d keys of %+v", after.Bytes(), len(after), q)
		}
		again := space.NewView(after, q)
		for _, key := range after.List() {
			if get(v, key.Key) != get(again, key.Key) {
				t.Errorf("key %q is %q, and was seen as %q", key.Key, get(again, key.Key), get(v, key.Key))
			}
		}
		resp, list := v.Answer(event.Request{Op: event.OpStorageList, Limit: event.ListMax}, nil)
		var keys []event.StoredKey
		if !resp.OK || json.Unmarshal(list, &keys) != nil || !reflect.DeepEqual(keys, after.List()) {
			t.Errorf("listed %s, kept %v", list, after.List())
		}
	})
}
