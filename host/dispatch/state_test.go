package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// counting returns a Dispatcher of one real app that counts its events in the
// memory that it keeps for a session.
func counting(t *testing.T, o dispatch.Options) (*dispatch.Dispatcher, *apps.App) {
	t.Helper()
	engine, err := plugins.New(t.Context(), plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	var problems config.Problems
	o.Apps, problems = apps.Load(t.Context(), engine, []config.App{{
		Name: "counter", Module: filepath.Join("..", "apps", "testdata", "counter.wasm"), Users: []string{"*"},
		State: event.StateSession, Grant: []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation},
		Limits: config.AppLimits{Fuel: 1_000_000},
	}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d, err := dispatch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		drain(t, d)
		for _, err := range []error{o.Apps.Close(context.Background()), engine.Close(context.Background())} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return d, o.Apps.All()[0]
}

// counts is a listener that waits: each invocation comes as "2" for the
// app's second event since its state was new, "1 restarted" where it was told
// that this is not the first time, or the outcome.
type counts chan string

func (c counts) options(uid, id string) dispatch.SessionOptions {
	return dispatch.SessionOptions{UID: uid, ID: id, Deliver: c.deliver}
}

func (c counts) deliver(inv apps.Invocation) {
	said := string(inv.Outcome)
	if inv.Outcome == plugins.OK {
		var out []json.RawMessage
		if err := json.Unmarshal(inv.Outputs[0].Data, &out); err != nil {
			said = err.Error()
		} else {
			said = string(out[0])
		}
	}
	if inv.Restarted {
		said += " restarted"
	}
	c <- said
}

// complete hands a conversation to the app.
func (c counts) complete(s *dispatch.Session, v event.Conversation) {
	s.Complete(v, []string{"counter"}, func(a dispatch.Attempt) {
		if a.Deferred != "" {
			c <- a.Deferred
			return
		}
		c.deliver(a.Invocation)
	})
}

func (c counts) next(t *testing.T) string {
	t.Helper()
	select {
	case said := <-c:
		return said
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
		return ""
	}
}

func TestEachSessionHasItsOwnState(t *testing.T) {
	d, app := counting(t, dispatch.Options{})
	var boxes []*dispatch.Session
	var heard []counts
	for i, uid := range []string{"ann", "ann", "bert"} {
		c := make(counts, 10)
		heard = append(heard, c)
		boxes = append(boxes, d.Open(c.options(uid, fmt.Sprint("s", i))))
	}
	if u := app.Module.Usage(); u.Sessions != 0 {
		t.Errorf("usage %+v before the first event", u)
	}
	for n := 1; n <= 3; n++ {
		for i, s := range boxes {
			s.Transcript(say("c", fmt.Sprint(n), "hello"))
			if got := heard[i].next(t); got != fmt.Sprint(n) {
				t.Errorf("session %d: got %s, want %d", i, got, n)
			}
		}
	}
	if u := app.Module.Usage(); u.Sessions != 3 || u.SessionBytes == 0 {
		t.Errorf("usage %+v, want 3 sessions", u)
	}
	for _, s := range boxes {
		s.Close()
	}
	settled(t, d)
	if u := app.Module.Usage(); u.Sessions != 0 || u.SessionBytes != 0 {
		t.Errorf("usage %+v after the sessions' end", u)
	}
}

// settled waits until nothing of d's runs.
func settled(t *testing.T, d *dispatch.Dispatcher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// All kinds of event of a session share its state, also the conversation that
// runs after the session was closed; then the state is given back.
func TestStateLastsUntilTheSessionsLastEvent(t *testing.T) {
	d, app := counting(t, dispatch.Options{})
	c := make(counts, 10)
	o := c.options("u", "s")
	o.Rate = 8000
	s := d.Open(o)
	s.Transcript(say("c", "1", "hello"))
	got := []string{c.next(t)}
	s.Audio("c", 0, pcm(0, 800))
	got = append(got, c.next(t))
	c.complete(s, event.Conversation{ID: "c"})
	s.Close()
	got = append(got, c.next(t))
	if want := []string{"1", "2", "3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	settled(t, d)
	if u := app.Module.Usage(); u.Sessions != 0 {
		t.Errorf("usage %+v after the session's end", u)
	}
}

func TestLostStateIsToldOnceAndCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	d, _ := counting(t, dispatch.Options{Registerer: registry})
	c := make(counts, 10)
	s := d.Open(c.options("u", "s"))
	defer s.Close()
	var got []string
	for i, word := range []string{"one", "trap", "two", "three", "spin", "four", "five"} {
		s.Transcript(say("c", fmt.Sprint(i), word))
		got = append(got, c.next(t))
	}
	want := []string{"1", "trap", "1 restarted", "2", "fuel_exhausted", "1 restarted", "2"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for name, want := range map[string]float64{
		"auricle_app_restarts_total": 2, "auricle_app_sessions_open": 1, "auricle_app_sessions_parked": 0,
	} {
		if got := metric(t, registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := metric(t, registry, "auricle_app_session_bytes"); got <= 0 {
		t.Errorf("the session's state takes %v bytes", got)
	}
}

// metric returns the one value that a metric has.
func metric(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s of one value", name)
	return 0
}

func TestConversationAfterATrapIsToldThatTheStateIsLost(t *testing.T) {
	d, _ := counting(t, dispatch.Options{})
	c := make(counts, 10)
	s := d.Open(c.options("u", "s"))
	s.Transcript(say("c", "1", "hello"))
	for range 2 {
		c.complete(s, event.Conversation{ID: "c", Segments: []event.Segment{{ID: "1", Text: "a trap"}}})
	}
	s.Close()
	var got []string
	for range 3 {
		got = append(got, c.next(t))
	}
	if want := []string{"1", "trap", "trap restarted"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConversationOfAnEarlierHostIsToldThatTheStateIsLost(t *testing.T) {
	d, app := counting(t, dispatch.Options{})
	c := make(counts, 10)
	o := c.options("u", "s")
	o.Recovered = true
	s := d.Open(o)
	c.complete(s, event.Conversation{ID: "c", Reason: event.ReasonRecovered})
	s.Close()
	if got := c.next(t); got != "1 restarted" {
		t.Errorf("got %s, want that it was told", got)
	}
	settled(t, d)
	if u := app.Module.Usage(); u.Sessions != 0 {
		t.Errorf("usage %+v after the session's end", u)
	}
}
