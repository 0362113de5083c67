package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
)

// open opens a store in dir and closes it when the test ends.
func open(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), store.Options{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func conversation(id, uid string, segs ...event.Segment) event.Conversation {
	return event.Conversation{
		ID: id, UID: uid, Session: "s_1", Language: "en", Source: "test", Metadata: map[string]string{"room": "4"},
		StartedAt: noon, CompletedAt: noon.Add(time.Minute), Reason: event.ReasonFinish, AudioMillis: 60_000, Segments: segs,
	}
}

func result(app, invocation string) store.Result {
	return store.Result{App: app, Event: "conversation", Invocation: invocation, Outcome: "ok", Attempt: 1, Outputs: []event.Output{{
		App: app, Conversation: "c", Event: "conversation", Invocation: invocation, Kind: event.OutputEmitted, Data: []byte(`{"title":"t"}`), At: noon,
	}}}
}

// part is an append to an open conversation of this package's tests.
func part(c event.Conversation, segs ...event.Segment) store.Part {
	c.Segments = segs
	return store.Part{Conversation: c, Host: "here"}
}

// appendTo appends and fails the test if that fails.
func appendTo(tb testing.TB, s *store.Store, p store.Part, after store.Revision) store.Revision {
	tb.Helper()
	rev, err := s.Append(tb.Context(), p, after)
	if err != nil {
		tb.Fatal(err)
	}
	return rev
}

// value returns what a store has counted or measured under labels, 0 when it
// has not.
func value(tb testing.TB, reg *prometheus.Registry, name string, labels ...string) float64 {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(got, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}
