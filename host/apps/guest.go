package apps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/space"
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
	kind        event.Kind // of the event, while handling
	uid         string
	payload     []byte
	outputBytes int           // bound of all effects together
	wall        time.Duration // how long the invocation may take
	lend        func() (back func())

	effects  []effect
	used     int         // bytes of effects
	notified bool        // the user's slot is reserved
	view     *space.View // of the user's values; nil: not asked for yet
	fault    error       // what the host could not do, which ends the invocation and is not the app's fault
	result   []byte
	behind   int // bytes of result that follow its JSON
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
	case g.kind == event.KindTool && len(g.effects) > 0:
		return errors.New("more than one output for a call of a tool: it has one result")
	case len(g.effects) == maxEffects:
		return fmt.Errorf("more than %d outputs in one invocation", maxEffects)
	case g.used+len(data) > g.outputBytes:
		return fmt.Errorf("outputs of more than %d bytes in one invocation", g.outputBytes)
	}
	g.used += len(data)
	g.effects = append(g.effects, effect{k, data})
	return nil
}

// call answers a request of the module's to act, in result: its JSON, and the
// bytes that follow it. The answer is
// recorded, or replayed, by c; what it grants is an effect. An error ends the
// invocation.
func (g *guest) call(c asker, head, rest []byte) error {
	r, body, bad := decodeRequest(head, rest)
	if bad == nil && r.Op == event.OpHTTP {
		if err := c.Charge(httpFuel + uint64(len(body))*httpByteFuel); err != nil {
			return err
		}
	}
	told, err := c.Answer(hostModule+"."+importCall, func() ([]byte, error) {
		if bad != nil {
			return encodeResponse(refused(event.CodeBadRequest, "the request: %v", bad), nil)
		}
		resp, out, err := g.request(c.Context(), r, body, time.Now())
		if err != nil {
			return nil, err
		}
		return encodeResponse(resp, out)
	})
	if err != nil {
		return err
	}
	g.result = told
	var granted event.Response
	dec := json.NewDecoder(bytes.NewReader(told))
	if err := dec.Decode(&granted); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	g.behind = len(told) - int(dec.InputOffset())
	if bad == nil && granted.OK {
		return g.granted(r, body)
	}
	return nil
}

// asker is a *plugins.Call, as far as requests need one.
type asker interface {
	Context() context.Context
	Charge(fuel uint64) error
	Answer(name string, live func() ([]byte, error)) ([]byte, error)
}

// decodeRequest reads a request, and returns it with what of rest follows it.
func decodeRequest(head, rest []byte) (r event.Request, body []byte, err error) {
	if err := decodeStrict(head, &r); err != nil {
		return r, nil, err
	}
	if r.Bytes == 0 {
		rest = bytes.TrimLeft(rest, " \t\r\n")
	}
	if len(rest) != r.Bytes {
		return r, nil, fmt.Errorf("%d bytes follow the JSON, and it says %d", len(rest), r.Bytes)
	}
	return r, rest, nil
}

// splitJSON parts b behind its first JSON value; where there is none within
// event.MaxRequestBytes all is head.
func splitJSON(b []byte) (head, rest []byte) {
	dec := json.NewDecoder(bytes.NewReader(b[:min(len(b), event.MaxRequestBytes)]))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return b, nil
	}
	at := dec.InputOffset()
	return b[:at], b[at:]
}

// encodeResponse returns the bytes that result_read gives.
func encodeResponse(r event.Response, body []byte) ([]byte, error) {
	r.Bytes = len(body)
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append(head, body...), nil
}

// ops are what request knows.
var ops = append([]string{event.OpNotify}, event.StorageOps...)

// request decides on a request, and does what can't wait for the invocation's
// end. An error ends the invocation.
func (g *guest) request(ctx context.Context, r event.Request, body []byte, now time.Time) (event.Response, []byte, error) {
	switch r.Op {
	case event.OpNotify:
		return g.allow(r.Text, now), nil, nil
	case event.OpStorageGet, event.OpStoragePut, event.OpStorageDelete, event.OpStorageList, event.OpStorageAdd:
		return g.stored(ctx, r, body)
	case event.OpHTTP:
		return g.fetch(ctx, r, body)
	case "":
		return refused(event.CodeBadRequest, `the request names no "op"`), nil, nil
	}
	return refused(event.CodeUnknownOp, "this host has no op %q (it has: %s)", printable(clip(r.Op, 80)), strings.Join(ops, ", ")), nil, nil
}

// granted notes what a request that was answered ok is to do when the invocation
// ends ok. What it stores its view has noted, which a replay has not: that stores
// nothing.
func (g *guest) granted(r event.Request, body []byte) error {
	if r.Op == event.OpNotify {
		return g.notify(r.Text)
	}
	return nil
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

// answered returns what the module's function returned; 0 when it returned
// nothing.
func answered(res plugins.Result) int32 {
	if res.Outcome != plugins.OK || len(res.Values) == 0 {
		return 0
	}
	return int32(uint32(res.Values[0]))
}

// outcome judges how the invocation ended, and says why it is not ok.
func (g *guest) outcome(res plugins.Result) (o plugins.Outcome, why string) {
	o = res.Outcome
	if o == plugins.OK {
		code := answered(res)
		if code == 0 {
			return o, ""
		}
		o, why = plugins.AppError, fmt.Sprintf("it answered %d", code)
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
