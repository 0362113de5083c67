package apps

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/oklog/ulid/v2"
)

// Outcomes that the host gives without calling the app.
const (
	Dropped  plugins.Outcome = "dropped"  // a queue was full, or the host shut down
	Rejected plugins.Outcome = "rejected" // the breaker was open
)

// Event is what an app is called with.
type Event struct {
	Kind                       event.Kind
	UID, Session, Conversation string
	Payload                    []byte // as event_read gives it

	// State is that of the session, from one of its events to the next, with an
	// app whose App.State is session. Nil is fresh.
	State *SessionState

	// Lend, where it is not nil, is called when the invocation begins to wait for
	// a web service, and what it returned when it goes on: others may run in its
	// place meanwhile. Both are called on Invoke's goroutine.
	Lend func() (back func())
}

// Invocation is what became of one call of one app.
type Invocation struct {
	ID                         string // "i_" and a lower-case ULID
	App                        string
	Kind                       event.Kind
	UID, Session, Conversation string
	At                         time.Time
	Outcome                    plugins.Outcome
	Err                        string   // for people, `app "x": on transcript: …`; empty when ok. It may hold a user's words
	Stack                      []string // where in the module it was ended, innermost function first; empty when ok or app_error, or unknown
	Fuel                       uint64
	FuelLimit                  uint64
	Wall                       time.Duration
	MemoryBytes                int64
	Restarted                  bool           // the app was told that its state is lost
	Outputs                    []event.Output // emits and notifications, in order; empty unless the outcome is ok
	Log                        []LogLine      // it may hold a user's words
	LogCut                     int            // bytes of log cut
	Replay                     string         // the name of its recording, its ID; empty when none is kept
}

// LogLine is a line that an app logged, or, at level info, wrote to stdout or
// stderr.
type LogLine struct {
	Level string // trace, debug, info, warn or error
	Text  string // one printable line
}

// NewInvocationID returns a new invocation id: "i_" and a lower-case ULID.
func NewInvocationID() string {
	return "i_" + strings.ToLower(ulid.MustNew(ulid.Now(), rand.Reader).String())
}

// Invoke calls the app's module with one event, within Limits: on fresh state,
// or on ev.State, which must not be in use by another call. What the app
// did wrong is in the Invocation; an error says that the invocation could not
// be judged: ctx ended (ctx.Err()), the app or the engine was closed, no
// instance could be made, or the app does not hold the event's capability.
//
// At most one notification in 30 s is let through for an app and user: a
// further one is answered rate_limited. What counts is an invocation that ends
// ok, when it ends.
func (a *App) Invoke(ctx context.Context, ev Event) (Invocation, error) {
	if err := a.handles(ev.Kind); err != nil {
		return Invocation{}, err
	}
	if a.State() != event.StateSession {
		ev.State = nil
	}
	restarted := ev.State.lost()
	if restarted {
		var err error
		if ev.Payload, err = restartedPayload(ev.Kind, ev.Payload); err != nil {
			return Invocation{}, fmt.Errorf("app %q: telling it that its state is lost: %w", a.Name, err)
		}
	}
	if a.keeper == nil {
		return a.handle(ctx, ev, restarted, nil)
	}
	tape := tapes.Get().(*plugins.Tape)
	defer func() { tape.Reset(); tapes.Put(tape) }()
	continued := ev.State.continues()
	inv, err := a.handle(ctx, ev, restarted, tape)
	if err == nil && a.keeper.Wants(inv.Outcome) {
		r := a.recording(ev, inv, tape)
		r.Continued = continued
		if a.keeper.Keep(r) {
			inv.Replay = inv.ID
		}
	}
	return inv, err
}

// handles returns an error if the app does not get events of kind k.
func (a *App) handles(k event.Kind) error {
	if a.Holds(event.Capability(k.String())) {
		return nil
	}
	return fmt.Errorf("app %q: it does not hold the capability to get %s events", a.Name, k)
}

// handle calls the app's module with an event, which says whether the state is
// lost. tape is plugins.Invocation.Tape.
func (a *App) handle(ctx context.Context, ev Event, restarted bool, tape *plugins.Tape) (Invocation, error) {
	limits := a.Limits(ev.Kind)
	inv := Invocation{
		ID: NewInvocationID(), App: a.Name, Kind: ev.Kind,
		UID: ev.UID, Session: ev.Session, Conversation: ev.Conversation,
		At: time.Now(), FuelLimit: limits.Fuel, Restarted: restarted,
	}
	g := &guest{app: a, moment: handling, uid: ev.UID, payload: ev.Payload, outputBytes: maxOutputBytes, lend: ev.Lend}
	if ev.Kind == event.KindConversation || ev.Kind == event.KindTool {
		g.outputBytes = maxConversationOutputBytes
	}
	res, err := ev.State.run(ctx, a.Module, plugins.Invocation{
		Export: exportHandle,
		Args:   []uint64{uint64(uint32(ev.Kind)), uint64(uint32(len(ev.Payload)))},
		Limits: limits,
		State:  g,
		Stderr: stderr{g},
		Tape:   tape,
	})
	inv.Fuel, inv.Wall, inv.MemoryBytes = res.Fuel, res.Wall, res.MemoryBytes
	end := time.Now()
	if err != nil {
		g.settle(end, false)
		return inv, err
	}
	inv.Log, inv.LogCut = g.log.end()
	why := ""
	inv.Outcome, why = g.outcome(res)
	g.settle(end, inv.Outcome == plugins.OK)
	if inv.Outcome != plugins.OK {
		inv.Err = fmt.Sprintf("app %q: on %s: %s", a.Name, ev.Kind, why)
		inv.Stack = stack(res)
		return inv, nil
	}
	for _, e := range g.effects {
		inv.Outputs = append(inv.Outputs, event.Output{
			App: a.Name, Conversation: ev.Conversation, Event: ev.Kind.String(),
			Invocation: inv.ID, Kind: e.kind, Data: e.data, At: end,
		})
	}
	return inv, nil
}

// stack says where in the module an invocation was ended. One that failed by
// itself has said why in its own words.
func stack(res plugins.Result) []string {
	var re *plugins.RunError
	if !errors.As(res.Err, &re) || re.Outcome == plugins.AppError {
		return nil
	}
	out := make([]string, len(re.Stack))
	for i, f := range re.Stack {
		out[i] = printable(f)
	}
	return out
}
