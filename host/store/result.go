package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
)

// outcomeOK is the one outcome of a Result that is no failure.
const outcomeOK = "ok"

// Result is one app's answer to one event of a conversation, or its work on
// the whole of it.
type Result struct {
	App        string         `json:"app"`
	Event      string         `json:"event"`      // the event's kind, for example "conversation"
	Invocation string         `json:"invocation"` // its id
	Outcome    string         `json:"outcome"`    // "ok" or why not
	Error      string         `json:"error,omitempty"`
	Attempt    int            `json:"attempt"` // from 1
	Outputs    []event.Output `json:"outputs,omitempty"`
}

// AddResult keeps what an app made of a conversation, which may be open
// still; on synced disk when it returns nil. The same Invocation again is
// recognised and kept once, as it was first. The error wraps ErrBadID for an
// id that can't be kept, ErrTooLarge for a result over MaxMessageBytes.
func (s *Store) AddResult(ctx context.Context, conversation string, r Result) error {
	return s.write(ctx, opAddResult, fmt.Sprintf("keeping %s of app %q for conversation %s", quoteID(r.Invocation), r.App, quoteID(conversation)), func(ctx context.Context) error {
		if err := checkID("conversation id", conversation); err != nil {
			return err
		}
		if err := checkID("invocation id", r.Invocation); err != nil {
			return err
		}
		body, err := encode(r)
		if err != nil {
			return err
		}
		return s.putOnce(ctx, streamResults, &nats.Msg{Subject: resultSubject(conversation, r.Invocation), Data: body})
	})
}

// FinishJob keeps the result of an app's work on a completed conversation; on
// synced disk when it returns nil. There is one an app, the first: first says
// whether it is that of r's invocation, whose effects then count. The errors
// are AddResult's.
func (s *Store) FinishJob(ctx context.Context, conversation string, r Result) (first bool, err error) {
	err = s.write(ctx, opFinishJob, fmt.Sprintf("keeping the result %s of app %q for conversation %s", quoteID(r.Invocation), r.App, quoteID(conversation)), func(ctx context.Context) error {
		if err := checkID("conversation id", conversation); err != nil {
			return err
		}
		if err := checkID("invocation id", r.Invocation); err != nil {
			return err
		}
		if err := checkApp(r.App); err != nil {
			return err
		}
		body, err := encode(r)
		if err != nil {
			return err
		}
		_, err = s.put(ctx, streamResults, &nats.Msg{Subject: jobResultSubject(conversation, r.App), Data: body}, 0)
		var c *conflict
		if first = true; !errors.As(err, &c) || c.last == nil {
			return err
		}
		var kept Result
		if err := json.Unmarshal(c.last.Data, &kept); err != nil {
			return fmt.Errorf("decoding %s: %w", c.last.Subject, err)
		}
		first = kept.Invocation == r.Invocation
		return nil
	})
	return first && err == nil, err
}

// Finished returns the apps whose work on a conversation is done: those with a
// result of FinishJob, sorted.
func (s *Store) Finished(ctx context.Context, conversation string) ([]string, error) {
	var apps []string
	err := s.read(ctx, opRead, "reading which apps are done with conversation "+quoteID(conversation), func(ctx context.Context, b *backend) error {
		if err := checkID("conversation id", conversation); err != nil {
			return err
		}
		subjects, err := b.subjects(ctx, streamResults, resultSubject(conversation, "*"))
		if err != nil {
			return err
		}
		apps = nil
		for subject := range subjects {
			if app, ok := parseJobResultSubject(subject); ok {
				apps = append(apps, app)
			}
		}
		slices.Sort(apps)
		return nil
	})
	return apps, err
}

// results calls f with what apps made of each of the conversations, in the
// order it was kept.
func (b *backend) results(ctx context.Context, ids []string, f func(id string, r Result)) error {
	filters := make([]string, len(ids))
	for i, id := range ids {
		filters[i] = resultSubject(id, "*")
	}
	each := func(m *nats.Msg, _ uint64) error {
		var r Result
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return fmt.Errorf("decoding %s: %w", m.Subject, err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, "result."), ".")
		f(id, r)
		return nil
	}
	err := b.lastOfEach(ctx, streamResults, filters, each)
	if !errors.Is(err, errTooMany) {
		return err
	}
	if len(ids) == 1 {
		return b.scan(ctx, streamResults, filters[0], each)
	}
	for i := range ids {
		if err := b.results(ctx, ids[i:i+1], f); err != nil {
			return err
		}
	}
	return nil
}
