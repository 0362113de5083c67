package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

// Fault is what happens to the host again and again.
type Fault string

// The faults.
const (
	FaultKill  Fault = "kill"  // the process is killed with SIGKILL
	FaultPower Fault = "power" // and the file system forgets what was not synced
	FaultFull  Fault = "full"  // the file system of the store fills up, and is emptied again; then the process is killed
)

// CrashOptions say how to break a host.
type CrashOptions struct {
	Options
	Kills   int // how often; 0 means 20
	Clients int // that talk meanwhile; 0 means 32
	Fault   Fault
}

// CrashReport is what became of what clients were promised. Its JSON form is
// that of `auricle bench crash -json`.
type CrashReport struct {
	Machine          Machine  `json:"machine"`
	Fault            Fault    `json:"fault"`
	Clients          int      `json:"clients"`
	Kills            int      `json:"kills"`
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
	RestartP50Millis float64  `json:"restart_p50_ms"`     // from the start of the process until it serves
	RestartP99Millis float64  `json:"restart_p99_ms"`
	ResumeP99Millis  float64  `json:"resume_p99_ms"`    // from the end of a stream until its session went on
	FullSeconds      float64  `json:"full_s,omitempty"` // for which the store was full
	Problems         []string `json:"problems"`         // errors that clients were told and that no fault explains; never nil
}

// Err returns what the report says was promised and not kept, or nil.
func (r CrashReport) Err() error {
	var errs []error
	for what, n := range map[string]int{
		"acknowledged segments lost": r.LostSegments, "segments in two conversations": r.RepeatedSegments,
		"completed conversations lost": r.LostConversation, "conversations completed twice": r.CompletedTwice,
		"jobs lost": r.JobsLost, "effects seen twice": r.EffectsTwice, "unexplained errors": len(r.Problems),
	} {
		if n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", n, what))
		}
	}
	if r.AckedSegments == 0 || r.Conversations == 0 {
		errs = append(errs, errors.New("nothing was acknowledged or completed, so that nothing was shown"))
	}
	return errors.Join(errs...)
}

// Crash has clients talk to a host that is broken again and again, then lets
// them finish and counts.
func Crash(ctx context.Context, o CrashOptions) (_ CrashReport, err error) {
	if o.Kills == 0 {
		o.Kills = 20
	}
	if o.Clients == 0 {
		o.Clients = 32
	}
	if o.Fault == "" {
		o.Fault = FaultKill
	}
	r := CrashReport{Machine: machine(), Fault: o.Fault, Clients: o.Clients, Problems: []string{}}
	dir, err := os.MkdirTemp(o.Dir, "crash-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	disk, err := newDisk(o.Fault, dir, data)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, disk.close()) }()
	address, err := freeAddress()
	if err != nil {
		return r, err
	}
	config, err := writeConfig(dir, address, fmt.Sprintf("data_dir = %q", data))
	if err != nil {
		return r, err
	}

	talking, enough := context.WithCancel(ctx)
	defer enough()
	giveUp, cancel := context.WithCancel(ctx)
	defer cancel()
	var talkers []*talker
	var wg sync.WaitGroup
	failed := make([]error, o.Clients)
	for i := range o.Clients {
		t := newTalker(fmt.Sprintf("talker-%d", i), 20*time.Millisecond, 10+i%20, func() string { return address })
		talkers = append(talkers, t)
		wg.Go(func() { failed[i] = t.talk(talking, giveUp) }) // ends with giveUp; waited for below
	}
	defer wg.Wait()
	defer cancel()

	var restarts []time.Duration
	for kill := range o.Kills {
		p, err := startProcess(o.Command, config, address)
		if err != nil {
			return r, err
		}
		// Now and then before it serves; mostly within a second of work.
		after := time.Duration(rand.Int64N(int64(time.Second)))
		if kill%8 == 7 {
			pause(ctx, after/8)
		} else {
			if err := p.ready(ctx); err != nil {
				return r, errors.Join(err, p.kill())
			}
			restarts = append(restarts, p.took)
			pause(ctx, after)
		}
		if o.Fault == FaultFull {
			full, err := disk.fillAndEmpty(ctx, p)
			r.FullSeconds += full.Seconds()
			if err != nil {
				return r, errors.Join(err, p.kill())
			}
		}
		if err := disk.forget(); err != nil {
			return r, errors.Join(err, p.kill())
		}
		if err := p.kill(); err != nil {
			return r, err
		}
		if err := disk.back(); err != nil {
			return r, err
		}
		r.Kills++
		o.say("killed %d of %d times", r.Kills, o.Kills)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}

	p, err := startProcess(o.Command, config, address)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.ready(ctx); err != nil {
		return r, err
	}
	restarts = append(restarts, p.took)
	pause(ctx, time.Second) // all are back and talk
	enough()
	late := time.AfterFunc(2*time.Minute, cancel)
	defer late.Stop()
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return r, err
	}
	o.say("all clients are done; counting")
	if err := r.count(ctx, []string{address}, talkers); err != nil {
		return r, err
	}
	r.RestartP50Millis, r.RestartP99Millis = percentile(restarts, 50), percentile(restarts, 99)
	return r, nil
}

// settleTimeout bounds how long apps may take for what is left at the end.
const settleTimeout = time.Minute

// count compares what clients were told with what the host has.
func (r *CrashReport) count(ctx context.Context, addresses []string, talkers []*talker) error {
	var resumed []time.Duration
	until := time.Now().Add(settleTimeout)
	for i, t := range talkers {
		address := addresses[i%len(addresses)]
		var kept []store.Record
		for {
			var err error
			if kept, err = list(ctx, address, t.uid); err != nil {
				return err
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
	r.ResumeP99Millis = percentile(resumed, 99)
	return nil
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

// percentile returns the value that p percent of ds do not exceed, in ms; 0
// without any.
func percentile(ds []time.Duration, p int) float64 {
	if len(ds) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ds))
	return float64(sorted[(len(sorted)*p+99)/100-1].Microseconds()) / 1000
}
