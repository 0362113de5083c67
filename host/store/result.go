package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
)

// outcomeOK is the one outcome of a Result that is no failure.
const outcomeOK = "ok"

// Result is one app's answer to one event of a conversation.
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
		_, err = s.server.publish(ctx, &nats.Msg{Subject: resultSubject(conversation, r.Invocation), Data: body}, true)
		return err
	})
}

// results calls f with what apps made of each of the conversations, in the
// order it was kept.
func (s *Store) results(ctx context.Context, ids []string, f func(id string, r Result)) error {
	filters := make([]string, len(ids))
	for i, id := range ids {
		filters[i] = resultSubject(id, "*")
	}
	each := func(m *nats.Msg) error {
		var r Result
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return fmt.Errorf("decoding %s: %w", m.Subject, err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, "result."), ".")
		f(id, r)
		return nil
	}
	err := s.server.lastOfEach(ctx, streamResults, filters, each)
	if !errors.Is(err, errTooMany) {
		return err
	}
	if len(ids) == 1 {
		return s.server.scan(ctx, streamResults, filters[0], each)
	}
	for i := range ids {
		if err := s.results(ctx, ids[i:i+1], f); err != nil {
			return err
		}
	}
	return nil
}
