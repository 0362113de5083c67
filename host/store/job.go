package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// headerGone marks the last message of a record that is no more. It goes by
// itself after tombstoneTTL, which is time for who follows to be told.
const (
	headerGone   = "Auricle-Gone"
	tombstoneTTL = 2 * time.Minute
)

// JobChange is what FollowJobs tells of: a Job that is new or changed, one
// that is gone, or that all which existed have been told of.
type JobChange struct {
	Job      Job      // with App and Conversation alone when it is Gone
	Revision Revision // 0 when it is not known which change made it Gone
	Gone     bool
	Synced   bool // the others are unset then
}

// checkJob returns ErrBadID unless a job can be kept under its names.
func checkJob(app, conversation string) error {
	if err := checkID("conversation id", conversation); err != nil {
		return err
	}
	return checkApp(app)
}

// PutJob keeps a job as it is now: a new one with after 0, otherwise one whose
// last revision after is. It is on synced disk, or with the cluster's quorum,
// when it returns nil. The error wraps ErrFenced when the job has another
// revision; ErrBadID and ErrTooLarge as elsewhere. After any other, PutJob can
// be called again with the same after.
func (s *Store) PutJob(ctx context.Context, j Job, after Revision) (Revision, error) {
	var rev Revision
	err := s.write(ctx, opPutJob, fmt.Sprintf("keeping the job of app %q for conversation %s", j.App, quoteID(j.Conversation)), func(ctx context.Context) error {
		if err := checkJob(j.App, j.Conversation); err != nil {
			return err
		}
		body, err := encode(j)
		if err != nil {
			return err
		}
		rev, err = s.replaceJob(ctx, &nats.Msg{Subject: jobSubject(j.App, j.Conversation), Data: body}, after)
		return err
	})
	return rev, err
}

// DropJob removes a job whose last revision after is. The errors are PutJob's.
func (s *Store) DropJob(ctx context.Context, app, conversation string, after Revision) error {
	return s.write(ctx, opDropJob, fmt.Sprintf("dropping the job of app %q for conversation %s", app, quoteID(conversation)), func(ctx context.Context) error {
		if err := checkJob(app, conversation); err != nil {
			return err
		}
		return s.dropJob(ctx, app, conversation, after)
	})
}

func (s *Store) dropJob(ctx context.Context, app, conversation string, after Revision) error {
	_, err := s.replaceJob(ctx, &nats.Msg{Subject: jobSubject(app, conversation), Header: nats.Header{
		headerGone: {"1"}, jetstream.MsgTTLHeader: {tombstoneTTL.String()},
	}}, after)
	return err
}

// replaceJob is replace, where a job that is gone counts as one that never was.
func (s *Store) replaceJob(ctx context.Context, m *nats.Msg, after Revision) (Revision, error) {
	rev, err := s.replace(ctx, streamJobs, []*nats.Msg{m}, after, after)
	var c *conflict
	if after == 0 && errors.As(err, &c) && c.last != nil && c.last.Header.Get(headerGone) != "" {
		return s.replace(ctx, streamJobs, []*nats.Msg{m}, after, Revision(c.last.Seq))
	}
	return rev, err
}

// Jobs returns the jobs of one conversation, in the order of their last change.
func (s *Store) Jobs(ctx context.Context, conversation string) ([]Job, error) {
	var jobs []Job
	err := s.read(ctx, opRead, "reading the jobs of conversation "+quoteID(conversation), func(ctx context.Context, b *backend) error {
		if err := checkID("conversation id", conversation); err != nil {
			return err
		}
		jobs = []Job{}
		return b.jobs(ctx, []string{"job.*." + conversation}, func(j Job) { jobs = append(jobs, j) })
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}

// jobs calls f with the jobs whose subjects match one of filters.
func (b *backend) jobs(ctx context.Context, filters []string, f func(Job)) error {
	each := func(m *nats.Msg, _ uint64) error {
		if m.Header.Get(headerGone) != "" {
			return nil
		}
		var j Job
		if err := json.Unmarshal(m.Data, &j); err != nil {
			return fmt.Errorf("decoding %s: %w", m.Subject, err)
		}
		f(j)
		return nil
	}
	err := b.lastOfEach(ctx, streamJobs, filters, each)
	if !errors.Is(err, errTooMany) {
		return err
	}
	for _, filter := range filters { // a subject has one message
		if err := b.scan(ctx, streamJobs, filter, each); err != nil {
			return err
		}
	}
	return nil
}

// FollowJobs calls f with every job there is, then once with Synced, then with
// every change as it is made, by this host or another, until ctx ends. It then
// returns nil; ErrClosed when the store closes before. One call of f is made
// at a time, in the order of changes of each job.
//
// It goes on when the connection comes back: what changed meanwhile is told
// then, the last change of each job alone.
func (s *Store) FollowJobs(ctx context.Context, f func(JobChange)) error {
	known := map[string]uint64{} // subject -> sequence of what was told
	var seen map[string]bool     // since the connection was made
	synced := false
	return s.follow(ctx, following{
		stream: streamJobs,
		config: lastOfEachSubject,
		begin:  func() { seen = map[string]bool{} },
		message: func(m jetstream.Msg, seq uint64) {
			app, conversation, ok := parseJobSubject(m.Subject())
			if !ok {
				return // not written by this package
			}
			if seen != nil {
				seen[m.Subject()] = true
			}
			change := JobChange{Revision: Revision(seq)}
			last, isKnown := known[m.Subject()]
			switch {
			case last == seq:
				return
			case m.Headers().Get(headerGone) != "":
				if !isKnown {
					return
				}
				delete(known, m.Subject())
				change.Gone, change.Job = true, Job{App: app, Conversation: conversation}
			default:
				if err := json.Unmarshal(m.Data(), &change.Job); err != nil {
					s.log.Error("a job can't be read and is left alone", "app", app, "conversation", conversation, "error", err)
					return
				}
				known[m.Subject()] = seq
			}
			f(change)
		},
		synced: func() {
			for subject := range known {
				if seen[subject] {
					continue
				}
				// It went while nobody could tell.
				delete(known, subject)
				app, conversation, _ := parseJobSubject(subject)
				f(JobChange{Gone: true, Job: Job{App: app, Conversation: conversation}})
			}
			seen = nil
			if !synced {
				synced = true
				f(JobChange{Synced: true})
			}
		},
	})
}
