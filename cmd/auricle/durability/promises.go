package durability

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

// Promises are what clients were told, beside what is there in the end.
type Promises struct {
	Resumes          int      `json:"resumes"`          // of sessions, by their clients
	Expired          int      `json:"expired_sessions"` // that could not be resumed
	AckedSegments    int      `json:"acked_segments"`
	LostSegments     int      `json:"lost_segments"`     // acknowledged, and in no conversation
	RepeatedSegments int      `json:"repeated_segments"` // in more than one conversation
	Conversations    int      `json:"conversations"`
	LostConversation int      `json:"lost_conversations"` // that a client was told are completed, and are not there
	CompletedTwice   int      `json:"completed_twice"`    // stored more than once
	Jobs             int      `json:"jobs"`               // conversations times apps
	JobsLost         int      `json:"jobs_lost"`          // with no output
	EffectsTwice     int      `json:"effects_twice"`      // with more than one output, stored or sent to the client
	Problems         []string `json:"problems"`           // errors that clients were told and that no fault explains; never nil
}

func noPromises() Promises { return Promises{Problems: []string{}} }

// Err returns what was promised and not kept, or nil.
func (r Promises) Err() error {
	var errs []error
	for _, broken := range []struct {
		n    int
		what string
	}{
		{r.LostSegments, "acknowledged segments lost"}, {r.RepeatedSegments, "segments in two conversations"},
		{r.LostConversation, "completed conversations lost"}, {r.CompletedTwice, "conversations completed twice"},
		{r.JobsLost, "jobs lost"}, {r.EffectsTwice, "effects seen twice"}, {len(r.Problems), "unexplained errors"},
	} {
		if broken.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", broken.n, broken.what))
		}
	}
	if r.AckedSegments == 0 || r.Conversations == 0 {
		errs = append(errs, errors.New("nothing was acknowledged or completed, so that nothing was shown"))
	}
	return errors.Join(errs...)
}

// settleTimeout bounds how long apps may take for what is left at the end.
const settleTimeout = time.Minute

// count compares what clients were told with what the hosts at addresses have.
// It returns how long it took each session that was resumed to go on.
func (r *Promises) count(ctx context.Context, addresses []string, talkers []*talker) (resumed []time.Duration, err error) {
	until := time.Now().Add(settleTimeout)
	for i, t := range talkers {
		address := addresses[i%len(addresses)]
		var kept []store.Record
		for {
			var err error
			if kept, err = list(ctx, address, t.uid); err != nil {
				return nil, err
			}
			if missing(kept) == 0 || time.Now().After(until) || ctx.Err() != nil {
				break
			}
			pause(ctx, 50*time.Millisecond) // apps are at work on what was left
		}
		in, there := map[string]int{}, map[string]int{}
		for _, c := range kept {
			there[c.ID]++
			for _, s := range c.Segments {
				in[s.ID]++
			}
			outputs := map[string]int{}
			for _, out := range c.Outputs {
				outputs[out.App]++
			}
			for _, n := range outputs {
				if n > 1 {
					r.EffectsTwice++
				}
			}
		}
		r.Conversations += len(there)
		r.Jobs += len(kept) * apps
		r.JobsLost += missing(kept)
		for _, n := range there {
			r.CompletedTwice += n - 1
		}
		for _, n := range in {
			if n > 1 {
				r.RepeatedSegments++
			}
		}
		for id := range t.acked {
			r.AckedSegments++
			if in[id] == 0 {
				r.LostSegments++
			}
		}
		for id := range t.told {
			if there[id] == 0 {
				r.LostConversation++
			}
		}
		for _, invocations := range t.seen {
			if slices.Sort(invocations); len(slices.Compact(invocations)) > 1 {
				r.EffectsTwice++
			}
		}
		r.Resumes += t.resumes
		r.Expired += t.expired
		r.Problems = append(r.Problems, t.problems...)
		resumed = append(resumed, t.resumed...)
	}
	return resumed, nil
}

// missing counts the jobs of which there is no output.
func missing(kept []store.Record) int {
	n := 0
	for _, c := range kept {
		done := map[string]bool{}
		for _, out := range c.Outputs {
			done[out.App] = true
		}
		n += apps - len(done)
	}
	return n
}

// list returns all of a user's conversations.
func list(ctx context.Context, address, uid string) ([]store.Record, error) {
	var all []store.Record
	for cursor := ""; ; {
		path := "/v1/conversations?limit=100&uid=" + url.QueryEscape(uid)
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		var page store.Page
		if err := get(ctx, address, path, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Conversations...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}
