package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// One request asks for at most this much.
const (
	getBatch = 512
	getBytes = 4 << 20
)

// headerTime is when a message was stored.
const headerTime = "Nats-Time-Stamp"

// sentAt returns when a message that was asked for was stored.
func sentAt(m *nats.Msg) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(headerTime))
	if err != nil {
		return time.Time{}, fmt.Errorf("a message under %s without its time: %w", m.Subject, err)
	}
	return at, nil
}

// errTooMany says that more messages match than lastOfEach may ask for.
var errTooMany = errors.New("too many messages match")

// getRequest is a batched direct get: one request that needs no consumer, an
// answer for each message, and one at the end that says how many are left.
type getRequest struct {
	Seq       uint64     `json:"seq,omitempty"`          // from this sequence on
	Since     *time.Time `json:"start_time,omitempty"`   // or from this time on
	NextFor   string     `json:"next_by_subj,omitempty"` // all messages under a filter, or
	MultiLast []string   `json:"multi_last,omitempty"`   // the last one of each subject that a filter matches
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
	Bare      bool       `json:"no_hdr,omitempty"` // without headers, subject and sequence, which costs a fraction
}

// scan calls f with each of a stream's messages whose subject matches filter,
// and its sequence, in the order they were written. It stops at f's first error.
func (b *backend) scan(ctx context.Context, stream, filter string, f func(*nats.Msg, uint64) error) error {
	return b.get(ctx, stream, getRequest{Seq: 1, NextFor: filter}, f)
}

// scanBodies calls f with the body of each of a stream's messages, in the order
// they were written.
func (b *backend) scanBodies(ctx context.Context, stream string, f func([]byte) error) error {
	return b.get(ctx, stream, getRequest{Seq: 1, NextFor: ">", Bare: true}, func(m *nats.Msg, _ uint64) error { return f(m.Data) })
}

// lastOfEach calls f with the last message of every subject that one of
// filters matches, in the order they were written. It finds them through the
// stream's index of subjects, where scan goes over messages, and takes 1,024
// at most: errTooMany beyond, before f was called.
func (b *backend) lastOfEach(ctx context.Context, stream string, filters []string, f func(*nats.Msg, uint64) error) error {
	return b.get(ctx, stream, getRequest{MultiLast: filters}, f)
}

// get asks until nothing is left.
func (b *backend) get(ctx context.Context, stream string, r getRequest, f func(*nats.Msg, uint64) error) error {
	r.Batch, r.MaxBytes = getBatch, getBytes
	for {
		next, left, err := b.getOnce(ctx, stream, r, f)
		if err != nil || left == 0 {
			return err
		}
		if next <= r.Seq {
			return fmt.Errorf("reading stream %s: %d messages can't be read", stream, left)
		}
		r.Seq = next
	}
}

// getOnce makes one request. It returns the sequence to go on from and how
// many messages are left.
func (b *backend) getOnce(ctx context.Context, stream string, r getRequest, f func(*nats.Msg, uint64) error) (next, left uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	request, err := json.Marshal(r)
	if err != nil {
		return 0, 0, err
	}
	conn := b.asking(stream)
	inbox := conn.NewRespInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if cerr := sub.Unsubscribe(); err == nil {
			err = cerr
		}
	}()
	if err := conn.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, request); err != nil {
		return 0, 0, err
	}
	for next = r.Seq; ; {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, 0, err
		}
		switch status := m.Header.Get("Status"); status {
		case "": // a message
		case "204": // the end of this batch
			left, err := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("reading stream %s: the end of a batch does not say what is left: %w", stream, err)
			}
			if r.Bare && next == r.Seq {
				last, err := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
				if err != nil {
					return 0, 0, fmt.Errorf("reading stream %s: the end of a batch without its sequence: %w", stream, err)
				}
				next = last + 1
			}
			return next, left, nil
		case "404": // nothing matches
			if d := m.Header.Get("Description"); r.MultiLast != nil && d != "No Results" {
				return 0, 0, fmt.Errorf("reading stream %s: a message can't be read: %s", stream, d)
			}
			return next, 0, nil
		case "413":
			return 0, 0, errTooMany
		default:
			return 0, 0, fmt.Errorf("reading stream %s: status %s %s", stream, status, m.Header.Get("Description"))
		}
		if r.Bare && m.Header.Get("Nats-Sequence") == "" {
			if err := f(m, 0); err != nil {
				return 0, 0, err
			}
			continue
		}
		at, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading stream %s: a message without its sequence: %w", stream, err)
		}
		next = at + 1
		m.Subject = m.Header.Get("Nats-Subject")
		if err := f(m, at); err != nil {
			return 0, 0, err
		}
	}
}
