package users_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/users"
)

// rig is Users over a real store.
type rig struct {
	*users.Users
	store   *store.Store
	changed chan string
	stop    func()
}

func begin(t testing.TB, dir string, most int) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: s, changed: make(chan string, 1024)}
	if r.Users, err = users.New(users.Options{Store: s, Most: most, Changed: func(uid string) { r.changed <- uid }}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		if err := r.Follow(ctx); err != nil {
			t.Error(err)
		}
	})
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			following.Wait()
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(r.stop)
	<-r.Loaded()
	return r
}

func (r *rig) set(t testing.TB, uid, app string, to users.State) {
	t.Helper()
	if err := r.Set(t.Context(), uid, app, to); err != nil {
		t.Fatalf("setting %s of %s %s: %v", app, uid, to, err)
	}
}

// choices are what Choice says of the apps a and b, as "on", "off" or "".
func (r *rig) choices(uid string) (all [2]string) {
	for i, app := range []string{"a", "b"} {
		if on, ok := r.Choice(uid, app); on {
			all[i] = "on"
		} else if ok {
			all[i] = "off"
		}
	}
	return all
}

func TestChoicesOutlastARestart(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, dir, 0)
	for _, step := range []struct {
		uid, app string
		to       users.State
		want     [2]string
		tells    bool
	}{
		{"ann", "a", users.On, [2]string{"on", ""}, true},
		{"ann", "a", users.On, [2]string{"on", ""}, false},
		{"ann", "b", users.Off, [2]string{"on", "off"}, true},
		{"bob", "a", users.Default, [2]string{"", ""}, false},
		{"bob", "a", users.Off, [2]string{"off", ""}, true},
		{"ann", "a", users.Off, [2]string{"off", "off"}, true},
		{"bob", "a", users.Default, [2]string{"", ""}, true},
		{"bob", "a", users.Default, [2]string{"", ""}, false},
	} {
		r.set(t, step.uid, step.app, step.to)
		if got := r.choices(step.uid); got != step.want {
			t.Fatalf("%s of %s %s: %q, want %q", step.app, step.uid, step.to, got, step.want)
		}
		told := ""
		select {
		case told = <-r.changed:
		default:
		}
		if step.tells != (told == step.uid) {
			t.Errorf("%s of %s %s: told of a change of %q", step.app, step.uid, step.to, told)
		}
	}
	r.stop()
	r = begin(t, dir, 0)
	if got, want := r.Chosen("ann"), map[string]bool{"a": false, "b": false}; !reflect.DeepEqual(got, want) {
		t.Errorf("ann after a restart: %v, want %v", got, want)
	}
	if got := r.Chosen("bob"); len(got) != 0 {
		t.Errorf("bob after a restart: %v, want none", got)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	r := begin(t, t.TempDir(), 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for { // who was overtaken too often is told so, and tries again
				err := r.Set(t.Context(), "ann", fmt.Sprint("app", i), users.On)
				if errors.Is(err, users.ErrBusy) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	if got := r.Chosen("ann"); len(got) != 8 {
		t.Errorf("%d choices, want 8: %v", len(got), got)
	}
}

func TestUsersInMemoryAreBounded(t *testing.T) {
	r := begin(t, t.TempDir(), 2)
	r.set(t, "ann", "a", users.On)
	r.set(t, "bob", "a", users.On)
	if err := r.Set(t.Context(), "cem", "a", users.On); !errors.Is(err, users.ErrFull) {
		t.Errorf("one user more: %v, want ErrFull", err)
	}
	r.set(t, "ann", "b", users.Off)
	if r.Len() != 2 {
		t.Errorf("%d users, want 2", r.Len())
	}
}

// script tells of changes that a test makes up: of a store whose connection
// breaks.
type script []store.ChoicesChange

func (s script) FollowChoices(_ context.Context, f func(store.ChoicesChange)) error {
	for _, c := range s {
		f(c)
	}
	return nil
}

func (script) Choices(context.Context, string) (store.Choices, store.Revision, error) {
	return store.Choices{}, 0, errors.ErrUnsupported
}

func (script) PutChoices(context.Context, store.Choices, store.Revision) (store.Revision, error) {
	return 0, errors.ErrUnsupported
}

func TestWhatWentWhileNobodyListenedIsForgotten(t *testing.T) {
	put := func(uid string, rev store.Revision, on bool) store.ChoicesChange {
		return store.ChoicesChange{Choices: store.Choices{UID: uid, Apps: map[string]bool{"a": on}}, Revision: rev}
	}
	begin, synced := store.ChoicesChange{Begin: true}, store.ChoicesChange{Synced: true}
	var told []string
	u, err := users.New(users.Options{Changed: func(uid string) { told = append(told, uid) }, Store: script{
		begin, put("ann", 1, true), put("bob", 2, true), put("cem", 3, true), synced,
		begin, put("bob", 2, true), put("cem", 5, false), synced,
		put("cem", 4, true), // late, and so without effect
		put("dan", 6, true), {Choices: store.Choices{UID: "dan"}, Revision: 7, Gone: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ann", "bob", "cem", "cem", "ann", "dan", "dan"}; !reflect.DeepEqual(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	if u.Len() != 2 {
		t.Errorf("%d users are kept, want 2", u.Len())
	}
	for uid, want := range map[string]map[string]bool{"dan": {}, "ann": {}, "bob": {"a": true}, "cem": {"a": false}} {
		if got := u.Chosen(uid); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", uid, got, want)
		}
	}
}

// BenchmarkMemory says what a user who has chosen about two apps costs.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		s := script{{Begin: true}}
		for i := range n {
			s = append(s, store.ChoicesChange{Revision: store.Revision(i + 1), Choices: store.Choices{
				UID: fmt.Sprintf("user-%08d", i), Apps: map[string]bool{"loudness": true, "keywords": false},
			}})
		}
		var before, after runtime.MemStats
		u, err := users.New(users.Options{Store: s})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := u.Follow(b.Context()); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if u.Len() != n {
			b.Fatalf("%d users", u.Len())
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/user") // and the uid's bytes
		runtime.KeepAlive(s)
	}
}

func BenchmarkChoice(b *testing.B) {
	u, err := users.New(users.Options{Store: script{{Begin: true}, {Revision: 1, Choices: store.Choices{UID: "ann", Apps: map[string]bool{"loudness": true}}}, {Synced: true}}})
	if err != nil {
		b.Fatal(err)
	}
	if err := u.Follow(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if on, _ := u.Choice("ann", "loudness"); !on {
			b.Fatal("off")
		}
	}
}
