package apps

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The bounds of what a module may say in one invocation. Beyond those of
// effects it ends as app_error; logs and error texts are cut.
const (
	maxEffectBytes             = 64 << 10
	maxEffects                 = 64
	maxOutputBytes             = 256 << 10
	maxConversationOutputBytes = 1 << 20
	maxLogBytes                = 8 << 10
	maxErrorBytes              = 8 << 10

	logLineBytes = 16 // what a log line costs besides its text
)

// moment is what a module is being called for.
type moment string

const (
	describing moment = exportManifest
	handling   moment = exportHandle
)

// guest is one invocation as the host functions see it, the engine's State. It
// is used by one goroutine at a time.
type guest struct {
	app         *App
	moment      moment
	uid         string
	payload     []byte
	outputBytes int // bound of all effects together

	effects  []effect
	used     int  // bytes of effects
	notified bool // the user's slot is reserved
	result   []byte
	err      string
	manifest []byte // nil: not written yet
	log      logBook
}

// effect is what the module asked for; it takes hold when it ends ok.
type effect struct {
	kind event.OutputKind
	data json.RawMessage
}

// add gathers an effect. An error means that it is more than is allowed.
func (g *guest) add(k event.OutputKind, data json.RawMessage) error {
	switch {
	case len(g.effects) == maxEffects:
		return fmt.Errorf("more than %d outputs in one invocation", maxEffects)
	case g.used+len(data) > g.outputBytes:
		return fmt.Errorf("outputs of more than %d bytes in one invocation", g.outputBytes)
	}
	g.used += len(data)
	g.effects = append(g.effects, effect{k, data})
	return nil
}

// call answers a request of the module's to act, in result. The answer is
// recorded, or replayed, by answer; what it grants is an effect. An error ends
// the invocation.
func (g *guest) call(b []byte, answer func(name string, live func() ([]byte, error)) ([]byte, error)) error {
	var r event.Request
	bad := decodeStrict(b, &r)
	told, err := answer(hostModule+"."+importCall, func() ([]byte, error) {
		if bad != nil {
			return json.Marshal(refused(event.CodeBadRequest, "the request: %v", bad))
		}
		return json.Marshal(g.request(r, time.Now()))
	})
	if err != nil {
		return err
	}
	g.result = told
	var granted struct {
		OK bool `json:"ok"`
	}
	if err := json.Unmarshal(told, &granted); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if bad == nil && granted.OK && r.Op == event.OpNotify {
		return g.notify(r.Text)
	}
	return nil
}

// request decides on a request.
func (g *guest) request(r event.Request, now time.Time) event.Response {
	switch r.Op {
	case event.OpNotify:
		return g.allow(r.Text, now)
	case "":
		return refused(event.CodeBadRequest, `the request names no "op"`)
	}
	return refused(event.CodeUnknownOp, "this host has no op %q (it has: %s)", printable(clip(r.Op, 80)), event.OpNotify)
}

// allow decides on a notification. White space around the text is taken off
// before its characters are counted.
func (g *guest) allow(text string, now time.Time) event.Response {
	if !g.app.Holds(event.CapNotify) {
		return refused(event.CodeNotGranted, "the operator did not grant %s", event.CapNotify)
	}
	if n := len([]rune(strings.TrimSpace(text))); n < event.NotifyMinChars || n > event.NotifyMaxChars {
		return refused(event.CodeBadText, "a notification has %d to %d characters, this one %d", event.NotifyMinChars, event.NotifyMaxChars, n)
	}
	if g.notified || g.app.slots != nil && !g.app.slots.reserve(g.uid, now) {
		return refused(event.CodeRateLimited, "at most one notification in %v for an app and user", notifyEvery)
	}
	g.notified = true
	return event.Response{OK: true}
}

// notify sends the user a notification that was allowed, when the invocation
// ends ok.
func (g *guest) notify(text string) error {
	data, err := json.Marshal(map[string]string{"text": strings.TrimSpace(text)})
	if err != nil {
		return err
	}
	return plugins.Fail(plugins.AppError, g.add(event.OutputNotification, data))
}

func refused(code, format string, args ...any) event.Response {
	return event.Response{Error: &event.ResponseError{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// settle ends what the invocation holds; ok says that its effects take hold.
func (g *guest) settle(now time.Time, ok bool) {
	if g.notified && g.app.slots != nil {
		g.app.slots.settle(g.uid, now, ok)
	}
}

// outcome judges how the invocation ended, and says why it is not ok.
func (g *guest) outcome(res plugins.Result) (o plugins.Outcome, why string) {
	o = res.Outcome
	if o == plugins.OK {
		if len(res.Values) == 0 || uint32(res.Values[0]) == 0 {
			return o, ""
		}
		o, why = plugins.AppError, fmt.Sprintf("it answered %d", int32(res.Values[0]))
	} else if res.Err != nil {
		why = printable(res.Err.Error())
	}
	if g.err != "" {
		if o == plugins.AppError && res.Outcome == plugins.OK {
			return o, g.err
		}
		why += "; it says: " + g.err
	}
	return o, why
}

// logBook gathers what a module logs, up to maxLogBytes.
type logBook struct {
	lines []LogLine
	used  int
	cut   int    // bytes that had no room
	open  []byte // the unfinished line of stdout and stderr
}

// add logs text, one line for each of its own.
func (l *logBook) add(level, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		room := maxLogBytes - l.used - logLineBytes
		if room <= 0 {
			l.cut += len(line)
			continue
		}
		kept := clip(line, room)
		l.cut += len(line) - len(kept)
		l.used += len(kept) + logLineBytes
		l.lines = append(l.lines, LogLine{Level: level, Text: printable(kept)})
	}
}

// write takes what the module writes to stdout and stderr.
func (l *logBook) write(b []byte) {
	for len(b) > 0 {
		line, rest, ended := b, []byte(nil), false
		for i, c := range b {
			if c == '\n' {
				line, rest, ended = b[:i], b[i+1:], true
				break
			}
		}
		room := max(maxLogBytes-l.used-len(l.open), 0)
		l.cut += max(len(line)-room, 0)
		l.open = append(l.open, line[:min(len(line), room)]...)
		if ended {
			l.flush()
		}
		b = rest
	}
}

func (l *logBook) flush() {
	if len(l.open) > 0 {
		l.add("info", string(l.open))
		l.open = l.open[:0]
	}
}

// end returns what was logged and how many bytes were cut.
func (l *logBook) end() ([]LogLine, int) {
	l.flush()
	return l.lines, l.cut
}

// stderr is a guest's stdout and stderr.
type stderr struct{ g *guest }

// Write takes what the module writes; it never fails.
func (s stderr) Write(b []byte) (int, error) {
	s.g.log.write(b)
	return len(b), nil
}
