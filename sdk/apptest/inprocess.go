package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/internal/inproc"
)

// The host's limits of one invocation's output and log, which a run in-process
// holds an app to as well.
const (
	maxEffects           = 64
	maxEffectBytes       = 64 << 10
	maxOutputBytes       = 256 << 10
	maxConversationBytes = 1 << 20
	maxLogBytes          = 8 << 10
	logLineBytes         = 16 // what a line costs besides its text
)

// Registered returns the app that the package under test gave to sdk.Register.
func Registered(t testing.TB) sdk.App {
	t.Helper()
	a, ok := inproc.Registered().(sdk.App)
	if !ok {
		t.Fatal("no app is registered: call sdk.Register from an init function of the package under test")
	}
	return a
}

// Run calls app's handlers with events, one after the other, in this process.
// It fails the test at once when the app or an event is unusable, or a handler
// does not return in time.
func Run(t testing.TB, app sdk.App, o Options, events ...Event) *Report {
	t.Helper()
	m, err := inproc.Manifest(app)
	if err != nil {
		t.Fatalf("the host would refuse the app: %v", err)
	}
	settings, err := o.settings()
	if err != nil {
		t.Fatal(err)
	}
	run := &run{app: app, manifest: m, options: o, settings: settings}
	r := &Report{}
	for i, e := range events {
		e, err := filled(e)
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		res, err := run.invoke(e)
		if err != nil {
			t.Fatalf("event %d (%s): %v", i, e.Kind(), err)
		}
		r.Results = append(r.Results, res)
	}
	return r
}

// run is one app's way through its events.
type run struct {
	app      sdk.App
	manifest event.Manifest
	options  Options
	settings []byte
}

// invoke calls a handler with e, complete. An error means that the invocation
// could not be judged.
func (r *run) invoke(e Event) (Result, error) {
	payload, err := wire(e)
	if err != nil {
		return Result{}, err
	}
	inv := &invocation{run: r, kind: e.Kind()}
	type ending struct {
		code int32
		text string
	}
	ended := make(chan ending, 1)
	start := time.Now()
	// The handler's goroutine: ends when the handler returns, or when the
	// invocation is ended by Goexit, which a handler can't recover from. One
	// that never returns outlives the failed test.
	go func() {
		out := ending{code: -1}
		defer func() { ended <- out }()
		out.code, out.text = inproc.Handle(r.app, e.Kind(), payload, inv)
	}()
	limit := r.options.timeout(10 * time.Second)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var end ending
	select {
	case end = <-ended:
	case <-timer.C:
		return Result{}, fmt.Errorf("the handler has not returned after %v; the host ends such an invocation, a run in-process can't: test it with RunModule", limit)
	}
	return inv.finish(end.code, end.text, time.Since(start))
}

// invocation is one call of one handler, and its host.
type invocation struct {
	run  *run
	kind event.Kind

	mu       sync.Mutex // guards what follows
	closed   bool       // the handler has returned
	failure  string     // why the host ended it
	misuse   string     // why the host would have refused the module
	outputs  []json.RawMessage
	notices  []string
	bytes    int
	log      []LogLine
	logBytes int
	logCut   int
}

// finish closes the invocation and returns its result.
func (v *invocation) finish(code int32, text string, wall time.Duration) (Result, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.misuse != "" {
		return Result{}, fmt.Errorf("the host would refuse the app: %s", v.misuse)
	}
	res := Result{Event: v.kind.String(), Outcome: OK, Log: v.log, LogCut: v.logCut, Wall: wall}
	switch {
	case v.failure != "":
		text = v.failure
	case code < 0:
		return Result{}, fmt.Errorf("the handler left with runtime.Goexit (t.FailNow and t.Fatal do so)")
	case code == 0:
		res.Outputs, res.Notifications = v.outputs, v.notices
		return res, nil
	}
	res.Outcome = AppError
	res.Error = fmt.Sprintf("app %q: on %s: %s", v.run.manifest.Name, v.kind, text)
	return res, nil
}

// end ends the invocation from within, as the host does.
func (v *invocation) end(format string, args ...any) {
	v.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// enter locks v for one call of the app's. A call after the handler's return
// comes from a goroutine that a module would not have any more.
func (v *invocation) enter() {
	v.mu.Lock()
	if v.closed || v.failure != "" {
		defer v.mu.Unlock()
		runtime.Goexit()
	}
}

// Emit records one output.
func (v *invocation) Emit(data []byte) int32 {
	v.enter()
	defer v.mu.Unlock()
	if len(data) > maxEffectBytes {
		v.end("an output of %d bytes, at most %d are taken", len(data), maxEffectBytes)
	}
	v.take(len(data))
	v.outputs = append(v.outputs, append(json.RawMessage(nil), data...))
	return 0
}

// take counts size bytes of an effect against the limits.
func (v *invocation) take(size int) {
	most := maxOutputBytes
	if v.kind == event.KindConversation {
		most = maxConversationBytes
	}
	switch {
	case len(v.outputs)+len(v.notices) == maxEffects:
		v.end("more than %d outputs in one invocation", maxEffects)
	case v.bytes+size > most:
		v.end("outputs of more than %d bytes in one invocation", most)
	}
	v.bytes += size
}

// Call answers an effect's request.
func (v *invocation) Call(request []byte) []byte {
	v.enter()
	defer v.mu.Unlock()
	resp := event.Response{OK: true}
	var body []byte
	var r event.Request
	dec := json.NewDecoder(bytes.NewReader(request))
	code, message := event.CodeBadRequest, ""
	if err := dec.Decode(&r); err != nil {
		message = err.Error()
	} else if r.Op == event.OpHTTP && r.HTTP != nil {
		resp.HTTP, body, code, message = v.fetch(r.HTTP, request[dec.InputOffset():])
	} else {
		code, message = v.effect(r)
	}
	if code != "" {
		resp, body = event.Response{Error: &event.ResponseError{Code: code, Message: message}}, nil
	}
	resp.Bytes = len(body)
	b, err := json.Marshal(resp)
	if err != nil {
		v.end("answering a request: %v", err)
	}
	return append(b, body...)
}

func (v *invocation) effect(r event.Request) (code, message string) {
	if r.Op != event.OpNotify {
		return event.CodeUnknownOp, fmt.Sprintf("no such op: %q", r.Op)
	}
	if !v.run.wants(event.CapNotify) {
		v.misuse = `it notifies, but does not want to: put sdk.Notify("why") in App.Wants`
		return event.CodeNotGranted, v.misuse
	}
	text := strings.TrimSpace(r.Text)
	switch n := utf8.RuneCountInString(text); {
	case !v.run.options.granted(event.CapNotify):
		return event.CodeNotGranted, "the operator did not grant notify"
	case n < event.NotifyMinChars || n > event.NotifyMaxChars:
		return event.CodeBadText, fmt.Sprintf("a notification is %d to %d characters, not %d", event.NotifyMinChars, event.NotifyMaxChars, n)
	case len(v.notices) > 0 || v.run.options.RecentlyNotified:
		return event.CodeRateLimited, "at most one notification per app and user in 30 s"
	}
	v.take(len(text))
	v.notices = append(v.notices, text)
	return "", ""
}

// wants reports whether the app's manifest asks for c.
func (r *run) wants(c event.Capability) bool {
	for _, w := range r.manifest.Wants() {
		if w.Name == c {
			return true
		}
	}
	return false
}

// Log records a line of log.
func (v *invocation) Log(level int32, text string) {
	v.enter()
	defer v.mu.Unlock()
	levels := [...]string{"trace", "debug", "info", "warn", "error"}
	if level < 0 || int(level) >= len(levels) {
		v.end("log: unknown level %d", level)
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		room := maxLogBytes - v.logBytes - logLineBytes
		if room <= 0 {
			v.logCut += len(line)
			continue
		}
		if len(line) > room {
			v.logCut += len(line) - room
			line = strings.ToValidUTF8(line[:room], "")
		}
		v.logBytes += len(line) + logLineBytes
		v.log = append(v.log, LogLine{levels[level], line})
	}
}

// Settings returns the operator's settings.
func (v *invocation) Settings() []byte {
	v.enter()
	defer v.mu.Unlock()
	return v.run.settings
}
