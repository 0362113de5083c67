package jobs

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

// ErrNotFound is wrapped by Show's error when there is no such job.
var ErrNotFound = errors.New("no such job")

// The bounds of a Page.
const (
	MinPage = 1
	MaxPage = 1000
)

// maxChanges is how many records an operator's request changes at once.
const maxChanges = 32

// Filter says which jobs are meant: those for which all holds that is not
// empty.
type Filter struct {
	App, Conversation string
	Reason            string // as in store.Job
	State             store.JobState
}

func (f Filter) match(e *entry) bool {
	return (f.App == "" || f.App == e.App) && (f.Conversation == "" || f.Conversation == e.Conversation) &&
		(f.Reason == "" || f.Reason == e.Reason) && (f.State == "" || f.State == e.State)
}

// Page is a part of the list of jobs.
type Page struct {
	Jobs []store.Job `json:"jobs"`                  // newest conversation first, without Last; never nil
	Next string      `json:"next_cursor,omitempty"` // asks for the page after; empty when this is the last

	// Partial says that the store has more jobs than this host has loaded, or has
	// loaded yet, and that these are not listed.
	Partial bool `json:"partial,omitempty"`
}

// List lists the jobs that f means. limit is MinPage to MaxPage. cursor is
// empty or a Page's Next, otherwise the error wraps store.ErrBadCursor.
func (j *Jobs) List(f Filter, limit int, cursor string) (Page, error) {
	if limit < MinPage || limit > MaxPage {
		return Page{}, fmt.Errorf("limit %d is not %d to %d", limit, MinPage, MaxPage)
	}
	var after *key
	if cursor != "" {
		k, err := decodeCursor(cursor)
		if err != nil {
			return Page{}, err
		}
		after = &k
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	ks := j.table.keys(func(e *entry) bool {
		return f.match(e) && (after == nil || compareKeys(key{e.App, e.Conversation}, *after) > 0)
	})
	page := Page{Jobs: []store.Job{}, Partial: j.table.partial()}
	select {
	case <-j.loaded:
	default:
		page.Partial = true
	}
	for _, k := range ks[:min(limit, len(ks))] {
		page.Jobs = append(page.Jobs, j.table.entries[k].Job)
	}
	if len(ks) > limit {
		page.Next = encodeCursor(ks[limit-1])
	}
	return page, nil
}

// compareKeys orders newer conversations first, and one's jobs by app.
func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(b.conversation, a.conversation), cmp.Compare(a.app, b.app))
}

func encodeCursor(k key) string {
	b, err := json.Marshal([]string{k.conversation, k.app})
	if err != nil {
		panic(err) // strings always have a JSON
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(cursor string) (key, error) {
	var parts []string
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(b, &parts)
	}
	if err != nil || len(parts) != 2 {
		return key{}, fmt.Errorf("%w: it was not given out for the list of jobs", store.ErrBadCursor)
	}
	return key{app: parts[1], conversation: parts[0]}, nil
}

// Show returns a job with all that is known of its last attempt. The error
// wraps ErrNotFound when there is none.
func (j *Jobs) Show(ctx context.Context, app, conversation string) (store.Job, error) {
	recorded, err := j.o.Store.Jobs(ctx, conversation)
	if err != nil {
		return store.Job{}, err
	}
	for _, job := range recorded {
		if job.App == app {
			return job, nil
		}
	}
	return store.Job{}, fmt.Errorf("%w: app %q, conversation %.128q", ErrNotFound, app, conversation)
}

// Retry has the jobs that f means run as soon as may be, with all their
// attempts before them: dead letters and those that wait. Those that are running
// are left alone. It returns of how many it did so; an error says that the store
// did not take all of them.
func (j *Jobs) Retry(ctx context.Context, f Filter) (int, error) {
	return j.change(ctx, f, func(ctx context.Context, job store.Job, after store.Revision, attempted bool) error {
		if err := j.load(&job, attempted); err != nil {
			return err
		}
		job.State, job.Attempts, job.Next = store.JobWaiting, 0, time.Now().UTC()
		revision, err := j.o.Store.PutJob(ctx, job, after)
		if err != nil {
			return err
		}
		j.mu.Lock()
		j.table.apply(store.JobChange{Job: job, Revision: revision})
		j.mu.Unlock()
		j.Wake()
		return nil
	})
}

// Drop removes the jobs that f means: that work is then never done. Those that
// are running are left alone. It returns how many it removed; an error says that
// the store did not take all of them.
func (j *Jobs) Drop(ctx context.Context, f Filter) (int, error) {
	return j.change(ctx, f, func(ctx context.Context, job store.Job, after store.Revision, _ bool) error {
		if err := j.o.Store.DropJob(ctx, job.App, job.Conversation, after); err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if e := j.table.entries[key{job.App, job.Conversation}]; e != nil && e.revision == after && !e.busy {
			j.table.remove(e)
			j.Wake()
		}
		return nil
	})
}

// change does something to each job that f means and that does not run, once
// they are loaded. What somebody else has changed meanwhile is left alone.
func (j *Jobs) change(ctx context.Context, f Filter, do func(ctx context.Context, job store.Job, after store.Revision, attempted bool) error) (int, error) {
	if err := j.awaitLoaded(ctx); err != nil {
		return 0, err
	}
	j.mu.Lock()
	ks := j.table.keys(func(e *entry) bool { return f.match(e) && e.State != store.JobRunning && !e.busy && !e.fenced })
	j.mu.Unlock()

	var (
		wg      sync.WaitGroup
		next, n atomic.Int64
		errsMu  sync.Mutex // guards errs
		errs    []error
	)
	for range min(maxChanges, len(ks)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(ks)) {
					return
				}
				j.mu.Lock()
				e := j.table.entries[ks[i]]
				if e == nil || e.busy || e.State == store.JobRunning {
					j.mu.Unlock()
					continue
				}
				job, after, attempted := e.Job, e.revision, e.attempted
				j.mu.Unlock()
				switch err := do(ctx, job, after, attempted); {
				case err == nil:
					n.Add(1)
				case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrNotFound), errors.Is(err, errStale), errors.Is(err, errGone):
				default:
					errsMu.Lock()
					errs = append(errs, fmt.Errorf("app %q, conversation %s: %w", job.App, job.Conversation, err))
					errsMu.Unlock()
					return // this one of maxChanges stops: the store has a fault
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		errs = append(errs, err)
	}
	return int(n.Load()), errors.Join(errs...)
}

// awaitLoaded waits until the jobs that there were when Run began are known.
func (j *Jobs) awaitLoaded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	select {
	case <-j.loaded:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the jobs are not loaded yet: %w", ctx.Err())
	}
}
