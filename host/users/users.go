// Package users knows which apps users have switched on or off at run time,
// over the `users` of an app in the configuration.
//
// The way of the data: [Users.Set] writes a user's record to the store by
// compare-and-set and takes it in; [Users.Follow] takes in what was there at the
// start, and what other hosts that share the store write. Whatever changes is
// told through Options.Changed, so that live sessions follow at once. Dispatch
// asks [Users.Choice] for each app of a session that it opens or fits.
//
// Everything is kept in memory, and so is bounded: Options.Most users who have
// chosen anything (who has not costs nothing), with store.MaxChoices apps each.
// A user costs some 90 bytes and the uid, an app of theirs 2 bytes: see
// BenchmarkMemory.
//
// Concurrency: every method may be called concurrently; Choice and Chosen take a
// read lock only. It has no goroutines of its own. Changed is called with no
// lock held. It may import host/store. It does not know which apps are
// installed, nor what the configuration says.
package users

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/store"
)

// DefaultMost is how many users may have chosen anything.
const DefaultMost = 1_000_000

// ErrFull says that as many users as are kept in memory have chosen something.
var ErrFull = errors.New("as many users as possible have apps of their own choice")

// ErrBusy says that a user's record was changed by others each time that it was
// to be changed. Trying again may help.
var ErrBusy = errors.New("the user's apps are being changed by others")

// most tries of a compare-and-set that others were faster with.
const mostTries = 16

// Store is where choices last; *store.Store is one.
type Store interface {
	Choices(ctx context.Context, uid string) (store.Choices, store.Revision, error)
	PutChoices(ctx context.Context, c store.Choices, after store.Revision) (store.Revision, error)
	FollowChoices(ctx context.Context, f func(store.ChoicesChange)) error
}

var _ Store = (*store.Store)(nil)

// Options configure Users. Store is required.
type Options struct {
	Store   Store
	Most    int              // users who may have chosen anything; 0: DefaultMost
	Changed func(uid string) // that user's choices are other ones; nil: nobody wants to know
	Logger  hclog.Logger     // nil discards

	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Users are what users have chosen. Make one with New.
type Users struct {
	o       Options
	log     hclog.Logger
	loaded  chan struct{} // closed when all that there was has been told
	loading sync.Once
	changes prometheus.Counter

	mu      sync.RWMutex // guards all below
	users   map[string]chosen
	names   []string          // of apps, by number
	numbers map[string]uint16 // the same
	round   uint32            // counts the times that all was told from the beginning
	told    store.Revision    // the newest that Follow was told: of each user that, or a newer one, is known
}

// chosen is what one user has chosen. A user who is put back to the defaults
// here stays, without apps, until Follow is told so: an older record that comes
// late must not count.
type chosen struct {
	revision store.Revision
	round    uint32
	apps     []uint16 // an app's number times two, and one more for on
}

// New returns Users who know nothing yet: Follow tells them.
func New(o Options) (*Users, error) {
	if o.Store == nil {
		return nil, errors.New("users: Options.Store is nil")
	}
	if o.Most < 0 {
		return nil, fmt.Errorf("users: %d users in memory must not be negative", o.Most)
	}
	o.Most = cmp.Or(o.Most, DefaultMost)
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	u := &Users{o: o, log: o.Logger, loaded: make(chan struct{}), users: map[string]chosen{}, numbers: map[string]uint16{}}
	u.changes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "auricle_user_apps_changes_total",
		Help: "Times that a user's apps of their own choice were other ones, at this host or another.",
	})
	if o.Registerer != nil {
		users := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "auricle_user_apps_users", Help: "Users who have switched apps on or off.",
		}, func() float64 { return float64(u.Len()) })
		for _, c := range []prometheus.Collector{u.changes, users} {
			if err := o.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("registering the metrics of users: %w", err)
			}
		}
	}
	return u, nil
}

// Follow takes in what the store has and what becomes of it, until ctx ends. It
// then returns nil.
func (u *Users) Follow(ctx context.Context) error {
	return u.o.Store.FollowChoices(ctx, func(c store.ChoicesChange) {
		switch {
		case c.Begin:
			u.mu.Lock()
			u.round++
			u.mu.Unlock()
		case c.Synced:
			u.synced()
			u.loading.Do(func() {
				u.log.Info("users' apps loaded", "users", u.Len())
				close(u.loaded)
			})
		default:
			u.apply(c.Choices, c.Revision, true)
		}
	})
}

// Loaded is closed once Follow has taken in all that the store had.
func (u *Users) Loaded() <-chan struct{} { return u.loaded }

// synced lets go of those of whom nothing was told since the last beginning.
func (u *Users) synced() {
	var gone []string
	u.mu.Lock()
	for uid, c := range u.users {
		if c.round == u.round {
			continue
		}
		delete(u.users, uid)
		if len(c.apps) > 0 {
			gone = append(gone, uid)
		}
	}
	u.mu.Unlock()
	for _, uid := range gone {
		u.changed(uid)
	}
}

// apply takes in a user's choices as of a revision, of which Follow was told or
// which were written here.
func (u *Users) apply(c store.Choices, revision store.Revision, told bool) {
	u.mu.Lock()
	old, known := u.users[c.UID]
	if known && old.revision > revision || !told && revision <= u.told {
		u.mu.Unlock()
		return
	}
	if told {
		u.told = max(u.told, revision)
	}
	same := known && old.revision == revision || !known && len(c.Apps) == 0
	next := old
	if !same {
		next = chosen{revision: revision, apps: u.pack(c.Apps)}
	}
	next.revision, next.round = revision, u.round
	if told && len(c.Apps) == 0 {
		delete(u.users, c.UID)
	} else {
		u.users[c.UID] = next
	}
	u.mu.Unlock()
	if !same {
		u.changed(c.UID)
	}
}

// pack is what is kept of choices. mu is held.
func (u *Users) pack(choices map[string]bool) []uint16 {
	if len(choices) == 0 {
		return nil
	}
	packed := make([]uint16, 0, len(choices))
	for name, on := range choices {
		n, ok := u.numbers[name]
		if !ok {
			if len(u.names) > maxNames {
				u.log.Error("there are choices about more apps than can be kept in memory; one is left out", "most", maxNames)
				continue
			}
			n = uint16(len(u.names))
			u.names, u.numbers[name] = append(u.names, name), n
		}
		n *= 2
		if on {
			n++
		}
		packed = append(packed, n)
	}
	return packed
}

// maxNames is how many names of apps can be told apart by a number.
const maxNames = 1<<15 - 1

func (u *Users) changed(uid string) {
	select {
	case <-u.loaded:
		u.changes.Inc()
	default: // it is what was there at the start
	}
	if u.o.Changed != nil {
		u.o.Changed(uid)
	}
}

// Choice returns what a user has chosen about an app: on or off. ok is false
// for a user who has not chosen.
func (u *Users) Choice(uid, app string) (on, ok bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	c := u.users[uid]
	if len(c.apps) == 0 {
		return false, false
	}
	n, known := u.numbers[app]
	if !known {
		return false, false
	}
	for _, a := range c.apps {
		if a/2 == n {
			return a%2 == 1, true
		}
	}
	return false, false
}

// Chosen returns all that a user has chosen, by the apps' names.
func (u *Users) Chosen(uid string) map[string]bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	all := map[string]bool{}
	for _, a := range u.users[uid].apps {
		all[u.names[a/2]] = a%2 == 1
	}
	return all
}

// Len returns how many users there are records of.
func (u *Users) Len() int {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.users)
}

// State is what a user may choose about an app.
type State string

// The states.
const (
	On      State = "on"
	Off     State = "off"
	Default State = "default" // what the configuration says
)

// Set keeps what a user chooses about an app. It is on synced disk, and Changed
// has been told, when it returns nil; what is so already is not written again.
// The error is ErrFull, ErrBusy or wraps one of the store's.
func (u *Users) Set(ctx context.Context, uid, app string, to State) error {
	for range mostTries {
		c, revision, err := u.o.Store.Choices(ctx, uid)
		if err != nil {
			return err
		}
		on, has := c.Apps[app]
		if to == Default && !has || to != Default && has && on == (to == On) {
			if revision != 0 {
				u.apply(c, revision, false) // another host's, of which this one may not have heard
			}
			return nil
		}
		if c.Apps == nil {
			if u.full(uid) {
				return fmt.Errorf("%w: %d", ErrFull, u.o.Most)
			}
			c.Apps = map[string]bool{}
		}
		if to == Default {
			delete(c.Apps, app)
		} else {
			c.Apps[app] = to == On
		}
		next, err := u.o.Store.PutChoices(ctx, c, revision)
		if errors.Is(err, store.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		u.apply(c, next, false)
		return nil
	}
	return ErrBusy
}

// full reports whether there is no room for a user of whom nothing is known.
func (u *Users) full(uid string) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	_, known := u.users[uid]
	return !known && len(u.users) >= u.o.Most
}
