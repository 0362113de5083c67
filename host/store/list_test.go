package store_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
)

// ids lists a user's conversations page by page, calling between after each.
func ids(t *testing.T, s *store.Store, uid string, limit int, between func()) []string {
	t.Helper()
	var got []string
	for cursor := ""; ; {
		p, err := s.Conversations(t.Context(), uid, limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Conversations) > limit || len(p.Conversations) < limit && p.Next != "" {
			t.Fatalf("a page of %d for a limit of %d, next %q", len(p.Conversations), limit, p.Next)
		}
		for _, r := range p.Conversations {
			if r.UID != uid || r.Outputs == nil || r.Jobs == nil || r.Segments == nil {
				t.Errorf("%s's list has %+v", uid, r)
			}
			got = append(got, r.ID)
		}
		if p.Next == "" {
			return got
		}
		cursor = p.Next
		between()
	}
}

func TestPagesAreNewestFirstAndStable(t *testing.T) {
	s := open(t, t.TempDir())
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("c_%03d", i)
		must(t, s.Complete(t.Context(), conversation(id, "ann"), nil))
		must(t, s.Complete(t.Context(), conversation(fmt.Sprintf("c_b%02d", i), "bob"), nil))
		want = append(want, id)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 3, 7, 8, 100} {
		n := 100 * limit
		got := ids(t, s, "ann", limit, func() { // one completes after each page
			n++
			must(t, s.Complete(t.Context(), conversation(fmt.Sprintf("d_%06d", n), "ann"), nil))
		})
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "d_") && len(want) == 7 && limit > 1 })
		if limit == 1 {
			// Nothing new is there before the first page.
			if !slices.Equal(got, want) {
				t.Errorf("limit 1: got %v, want %v", got, want)
			}
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %v, want %v and the newer ones", limit, got, want)
		}
	}
}

func TestALimitOutOfBoundsIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	for _, limit := range []int{-1, 0, 101} {
		if _, err := s.Conversations(t.Context(), "ann", limit, ""); err == nil {
			t.Errorf("limit %d was accepted", limit)
		}
	}
}

func TestUidsMayHoldAnyCharacters(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	uids := []string{"ann", "ann.b", "*", ">", "a>b", "../../etc", `"'\`, "user@example.com", "héé", "\x00\xff", " ", strings.Repeat("u", 128)}
	for i, uid := range uids {
		must(t, s.Complete(t.Context(), conversation(fmt.Sprintf("c_%d", i), uid), nil))
	}
	must(t, s.Close(t.Context()))
	s = open(t, dir)
	for i, uid := range uids {
		p, err := s.Conversations(t.Context(), uid, 10, "")
		if err != nil || len(p.Conversations) != 1 || p.Conversations[0].ID != fmt.Sprintf("c_%d", i) {
			t.Errorf("%q: %+v, %v, want c_%d alone", uid, p, err, i)
		}
	}
	if p, err := s.Conversations(t.Context(), "nobody", 10, ""); err != nil || len(p.Conversations) != 0 || p.Conversations == nil {
		t.Errorf("a user with none: %+v, %v, want an empty page", p, err)
	}
	for _, id := range []string{"c_99", "", "*", "c_1.", "../c_1", strings.Repeat("c", 4000)} {
		_, err := s.Conversation(t.Context(), id)
		if !errors.Is(err, store.ErrNotFound) || len(err.Error()) > 300 {
			t.Errorf("id %.40q: got %v, want ErrNotFound", id, err)
		}
	}
}

// cursorOf returns a cursor that the store gave out for ann's list.
func cursorOf(tb testing.TB, s *store.Store) string {
	tb.Helper()
	for i := range 2 {
		if err := s.Complete(tb.Context(), conversation(fmt.Sprintf("c_%d", i), "ann"), nil); err != nil {
			tb.Fatal(err)
		}
	}
	p, err := s.Conversations(tb.Context(), "ann", 1, "")
	if err != nil || p.Next == "" {
		tb.Fatalf("no cursor: %+v, %v", p, err)
	}
	return p.Next
}

func TestABadCursorIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	good := cursorOf(t, s)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	must(t, err)
	enc := base64.RawURLEncoding.EncodeToString
	for _, c := range []struct{ why, cursor string }{
		{"not base64", "!!!"},
		{"padded", good + "="},
		{"a line break in it", good[:4] + "\n" + good[4:]},
		{"a byte too few for an id", enc(raw[:5])},
		{"another version", enc(append([]byte{2}, raw[1:]...))},
		{"another user's", enc(append([]byte{1, 0, 0, 0, 0}, raw[5:]...))},
		{"an id that can't be", enc(append(slices.Clone(raw), '.'))},
		{"much too long", enc(append(slices.Clone(raw), make([]byte, 4096)...))},
	} {
		if _, err := s.Conversations(t.Context(), "ann", 1, c.cursor); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("%s: got %v, want ErrBadCursor", c.why, err)
		}
	}
	if _, err := s.Conversations(t.Context(), "bob", 1, good); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("ann's cursor for bob: %v, want ErrBadCursor", err)
	}
}

// FuzzCursor holds that no cursor does harm, and that one which is accepted
// gives a proper page of this user's.
func FuzzCursor(f *testing.F) {
	s := open(f, f.TempDir())
	good := cursorOf(f, s)
	for _, seed := range []string{good, good[:8], good + "A", "", "AQ", "////", "AQIDBAUG"} {
		f.Add("ann", seed)
		f.Add("bob", seed)
	}
	f.Fuzz(func(t *testing.T, uid, cursor string) {
		p, err := s.Conversations(t.Context(), uid, 1, cursor)
		if err != nil {
			if !errors.Is(err, store.ErrBadCursor) {
				t.Fatalf("got %v, want ErrBadCursor", err)
			}
			return
		}
		for _, r := range p.Conversations {
			if r.UID != uid {
				t.Fatalf("%q's page holds %q's conversation", uid, r.UID)
			}
		}
		if cursor == good && (uid != "ann" || len(p.Conversations) != 1 || p.Conversations[0].ID != "c_0") {
			t.Fatalf("the second page of %q is %+v", uid, p)
		}
	})
}
