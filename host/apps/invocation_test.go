package apps_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestInvocationCarriesWhatTheAppGave(t *testing.T) {
	a := openScript(t, allCaps)
	s := new(script).
		with(opEmit, ` {"a" : [1, 2.50, "é"] } `).
		with(opLog, "first\nsecond", 3).
		with(opCall, `{"op":"notify","text":"  Time to go  "}`).
		do(opResult, scratch, 1000).
		do(opEmitLast, scratch)
	before := time.Now()
	inv := s.run(t, a)
	want := []string{`output {"a":[1,2.50,"é"]}`, `notification {"text":"Time to go"}`, `output {"ok":true}`}
	if got := outputs(inv); !reflect.DeepEqual(got, want) {
		t.Errorf("outputs %q, want %q", got, want)
	}
	if want := []apps.LogLine{{Level: "warn", Text: "first"}, {Level: "warn", Text: "second"}}; !reflect.DeepEqual(inv.Log, want) {
		t.Errorf("log %v, want %v", inv.Log, want)
	}
	o := inv.Outputs[0]
	if o.App != "notes" || o.Conversation != "c" || o.Event != "transcript" || o.Invocation != inv.ID || o.At.Before(before) {
		t.Errorf("output %+v", o)
	}
	if inv.Outcome != plugins.OK || inv.Err != "" || inv.App != "notes" || inv.UID != "u" ||
		inv.Session != "s" || inv.Kind != event.KindTranscript || inv.Fuel == 0 || inv.FuelLimit != 50_000_000 || inv.Wall <= 0 || inv.MemoryBytes != memoryEnd {
		t.Errorf("invocation %+v", inv)
	}
	if len(inv.ID) != 28 || !strings.HasPrefix(inv.ID, "i_") || strings.ToLower(inv.ID) != inv.ID {
		t.Errorf("id %q", inv.ID)
	}
}

func TestEventIsReadInParts(t *testing.T) {
	a := openScript(t, allCaps)
	s := new(script).do(opEvent, scratch, 0).do(opReturnLast)
	inv := s.run(t, a)
	if want := fmt.Sprintf(`app "notes": on transcript: it answered %d`, len(s.payload())); inv.Outcome != plugins.AppError || inv.Err != want {
		t.Errorf("%s %q, want the event's full size though none was asked for: %q", inv.Outcome, inv.Err, want)
	}
}

func TestSettingsAreRead(t *testing.T) {
	manifest := strings.Replace(allCaps, `"events"`, `"settings": {"type": "object"}, "events"`, 1)
	a, err := apps.Open(t.Context(), theEngine(t), "", guestFile(t, "script", manifest), []byte(`{"words":["budget"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(t.Context())
	inv := new(script).do(opSettings, scratch, 1000).do(opEmitLast, scratch).run(t, a)
	if got := outputs(inv); len(got) != 1 || got[0] != `output {"words":["budget"]}` || a.Name != "script" {
		t.Errorf("app %s: outputs %q (%s)", a.Name, got, inv.Err)
	}
	inv = new(script).do(opSettings, scratch, 1000).do(opEmitLast, scratch).run(t, openScript(t, allCaps))
	if got := outputs(inv); len(got) != 1 || got[0] != `output {}` {
		t.Errorf("without settings: %q (%s)", got, inv.Err)
	}
}

func TestBadEndsAreNamedAndDiscardEffects(t *testing.T) {
	small := strings.Replace(allCaps, `"events"`, `"limits": {"fuel": 200000}, "events"`, 1)
	quick := strings.Replace(allCaps, `"events"`, `"limits": {"fuel": 1000000000, "wall_ms": 20}, "events"`, 1)
	tight := strings.Replace(allCaps, `"events"`, `"limits": {"memory_bytes": 1048576}, "events"`, 1)
	long := strings.Repeat("x", apps.MaxErrorBytes-1) + "éé"
	for _, c := range []struct {
		name     string
		manifest string
		script   *script
		outcome  plugins.Outcome
		want     string // in the error
	}{
		{"answers non-zero", allCaps, new(script).do(opReturn, -3), plugins.AppError, "it answered -3"},
		{"says why", allCaps, new(script).with(opError, "old").with(opError, "no coin\x1b[31m").do(opReturn, 1), plugins.AppError, `on transcript: no coin\u001b[31m`},
		{"says at length", allCaps, new(script).with(opError, long).do(opReturn, 1), plugins.AppError, "x (cut, 3 bytes more)"},
		{"says what is not UTF-8", allCaps, new(script).with(opError, "a\xffb").do(opReturn, 1), plugins.AppError, "a\uFFFDb"},
		{"says something and ends ok", allCaps, new(script).with(opError, "never mind"), plugins.OK, ""},
		{"exits", allCaps, new(script).do(opExit, 4), plugins.AppError, "4"},
		{"traps", allCaps, new(script).do(opTrap), plugins.Trap, "unreachable"},
		{"says why and traps", allCaps, new(script).with(opError, "panic: oh").do(opTrap), plugins.Trap, "it says: panic: oh"},
		{"spends its fuel", small, new(script).do(opSpin), plugins.FuelExhausted, "fuel"},
		{"outstays its time", quick, new(script).do(opSpin), plugins.DeadlineExceeded, "20ms"},
		{"wants more memory", tight, new(script).do(opGrow, 9), plugins.MemoryExceeded, "memory"},

		{"event_read outside", allCaps, new(script).do(opEvent, memoryEnd-10, 100), plugins.Trap, "outside of its memory"},
		{"event_read far outside", allCaps, new(script).do(opEvent, -1, -1), plugins.Trap, "outside of its memory"},
		{"settings_read outside", allCaps, new(script).do(opSettings, memoryEnd-1, 2), plugins.Trap, "outside of its memory"},
		{"result_read outside", allCaps, new(script).with(opCall, "{}").do(opResult, memoryEnd, 1), plugins.Trap, "outside of its memory"},
		{"error_write outside", allCaps, new(script).do(opError, memoryEnd-1, 2), plugins.Trap, "outside of its memory"},
		{"error_write of 4 GiB", allCaps, new(script).do(opError, 0, -1), plugins.Trap, "outside of its memory"},
		{"log outside", allCaps, new(script).do(opLog, 2, memoryEnd-1, 2), plugins.Trap, "outside of its memory"},
		{"log wraps around", allCaps, new(script).do(opLog, 2, -1, -1), plugins.Trap, "outside of its memory"},
		{"emit outside", allCaps, new(script).do(opEmit, memoryEnd-1, 2), plugins.Trap, "outside of its memory"},
		{"call outside", allCaps, new(script).do(opCall, memoryEnd-1, 2), plugins.Trap, "outside of its memory"},

		{"log at no level", allCaps, new(script).do(opLog, 5, 0, 0), plugins.AppError, "log was called with level 5"},
		{"log at a negative level", allCaps, new(script).do(opLog, -1, 0, 0), plugins.AppError, "log was called with level -1"},
		{"manifest while handling", allCaps, new(script).with(opManifest, "{}"), plugins.AppError, "manifest_write was called within auricle_v1_handle; it belongs within auricle_v1_manifest"},

		{"emit nothing", allCaps, new(script).do(opEmit, scratch, 0), plugins.AppError, "the JSON ends too early"},
		{"emit half", allCaps, new(script).with(opEmit, `{"a":`), plugins.AppError, "ends too early"},
		{"emit two", allCaps, new(script).with(opEmit, `1 2`), plugins.AppError, "something follows"},
		{"emit trailing garbage", allCaps, new(script).with(opEmit, `{}x`), plugins.AppError, "something follows"},
		{"emit no JSON", allCaps, new(script).with(opEmit, `hello`), plugins.AppError, "invalid character"},
		{"emit a name twice", allCaps, new(script).with(opEmit, `{"a":{"b":1,"b":2}}`), plugins.AppError, `"b" is there twice at /a`},
		{"emit bad UTF-8", allCaps, new(script).with(opEmit, "\"\xff\""), plugins.AppError, "UTF-8"},
		{"emit nested deep", allCaps, new(script).with(opEmit, strings.Repeat("[", 65)+strings.Repeat("]", 65)), plugins.AppError, "nested deeper than 64"},
		{"emit too much at once", allCaps, new(script).with(opEmit, `"`+strings.Repeat("x", apps.MaxEffectBytes)+`"`), plugins.AppError, "at most 65536"},
		{"call with too much", allCaps, new(script).with(opCall, strings.Repeat(" ", apps.MaxEffectBytes+1)), plugins.AppError, "at most 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// First effects that must come to nothing; their data goes behind the case's.
			s := (&script{data: c.script.data}).with(opEmit, `"before"`).with(opCall, `{"op":"notify","text":"before"}`)
			s.code = append(s.code, c.script.code...)
			inv := s.run(t, openScript(t, c.manifest))
			if inv.Outcome != c.outcome || !strings.Contains(inv.Err, c.want) {
				t.Errorf("%s: %q, want %s: …%q…", inv.Outcome, inv.Err, c.outcome, c.want)
			}
			if ended := c.outcome != plugins.OK && c.outcome != plugins.AppError; ended != (len(inv.Stack) > 0) {
				t.Errorf("%s with stack %q", inv.Outcome, inv.Stack)
			}
			if c.outcome == plugins.OK {
				return
			}
			if len(inv.Outputs) != 0 {
				t.Errorf("outputs %q took hold", outputs(inv))
			}
			if !strings.HasPrefix(inv.Err, `app "notes": on transcript: `) || strings.ContainsAny(inv.Err, "\n\x1b") {
				t.Errorf("error %q", inv.Err)
			}
		})
	}
}

func TestOutputsAreBounded(t *testing.T) {
	// Time is not what is tested, and a busy machine takes some.
	a := openScript(t, strings.Replace(allCaps, `"events"`, `"limits": {"wall_ms": 5000}, "events"`, 1))
	big := `"` + strings.Repeat("x", 60<<10) + `"`
	for _, c := range []struct {
		name  string
		kind  event.Kind
		text  string
		times int
		ok    bool
	}{
		{"as many as may be", event.KindTranscript, "1", apps.MaxEffects, true},
		{"one too many", event.KindTranscript, "1", apps.MaxEffects + 1, false},
		{"256 KiB", event.KindTranscript, big, 4, true},
		{"more than 256 KiB", event.KindTranscript, big, 5, false},
		{"1 MiB of a conversation", event.KindConversation, big, 17, true},
		{"more than 1 MiB of a conversation", event.KindConversation, big, 18, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := new(script).with(opEmit, c.text)
			for range c.times - 1 {
				s.do(opEmit, scriptBase+scriptData, int64(len(c.text)))
			}
			inv := s.runAs(t, a, c.kind)
			if ok := inv.Outcome == plugins.OK; ok != c.ok || ok && len(inv.Outputs) != c.times || !ok && (inv.Outcome != plugins.AppError || len(inv.Outputs) != 0) {
				t.Errorf("%s (%s), %d outputs; want ok %v", inv.Outcome, inv.Err, len(inv.Outputs), c.ok)
			}
		})
	}
}

func TestLogIsCutAndItsLinesMadePrintable(t *testing.T) {
	a := openScript(t, allCaps)
	total := func(inv apps.Invocation) int {
		n := inv.LogCut
		for _, l := range inv.Log {
			n += len(l.Text)
		}
		return n
	}
	flood := strings.Repeat("y", 100)
	s := new(script).with(opLog, flood, 2)
	for range 200 {
		s.do(opLog, 2, scriptBase+scriptData, 100)
	}
	inv := s.run(t, a)
	if got := total(inv); got != 201*100 || inv.LogCut < 201*100-apps.MaxLogBytes || inv.Outcome != plugins.OK {
		t.Errorf("flood of lines: %s, %d kept and cut, %d cut", inv.Outcome, got, inv.LogCut)
	}
	inv = new(script).with(opLog, strings.Repeat("z", 100_000), 4).run(t, a)
	if got := total(inv); got != 100_000 || len(inv.Log) != 1 || inv.Log[0].Level != "error" {
		t.Errorf("one long line: %d kept and cut, %d lines", got, len(inv.Log))
	}
	inv = new(script).with(opLog, strings.Repeat("\n", 5000)+"end", 0).run(t, a)
	if len(inv.Log) > apps.MaxLogBytes/10 {
		t.Errorf("%d lines of nothing", len(inv.Log))
	}
	inv = new(script).with(opLog, "a\x00b\u202ec\xffd\te\r", 1).run(t, a)
	if want := `a\u0000b\u202ec` + "\uFFFD" + `d\te\u000d`; len(inv.Log) != 1 || inv.Log[0].Text != want || inv.Log[0].Level != "debug" {
		t.Errorf("log %q, want %q", inv.Log, want)
	}
}

func TestStderrGoesToTheLog(t *testing.T) {
	a := openScript(t, allCaps)
	inv := new(script).with(opStderr, "half ").with(opStderr, "a line\nand \x07more").run(t, a)
	want := []apps.LogLine{{Level: "info", Text: "half a line"}, {Level: "info", Text: `and \u0007more`}}
	if !reflect.DeepEqual(inv.Log, want) {
		t.Errorf("log %q, want %q", inv.Log, want)
	}
	inv = new(script).with(opStderr, strings.Repeat("x", 20_000)).run(t, a)
	if len(inv.Log) != 1 || len(inv.Log[0].Text)+inv.LogCut != 20_000 || len(inv.Log[0].Text) > apps.MaxLogBytes {
		t.Errorf("%d lines, %d bytes cut of 20000", len(inv.Log), inv.LogCut)
	}
}

func TestRequestsAreAnswered(t *testing.T) {
	deaf := strings.Replace(allCaps, `"reason"`, `"optional": true, "reason"`, 1)
	withoutGrant := load(t, app(t, "notes", guestFile(t, "script", deaf), event.CapAudio, event.CapTranscript, event.CapConversation))
	granted := openScript(t, allCaps)
	for _, c := range []struct {
		name    string
		app     *apps.App
		request string
		want    string
	}{
		{"notify", granted, `{"op":"notify","text":"12345"}`, `{"ok":true}`},
		{"longest", granted, `{"op":"notify","text":"` + strings.Repeat("é", 150) + `"}`, `{"ok":true}`},
		{"too long", granted, `{"op":"notify","text":"` + strings.Repeat("é", 151) + `"}`, "bad_text"},
		{"too short when trimmed", granted, `{"op":"notify","text":"  1234\n"}`, "bad_text"},
		{"no text", granted, `{"op":"notify"}`, "bad_text"},
		{"not granted", withoutGrant, `{"op":"notify","text":"12345"}`, "not_granted"},
		{"unknown op", granted, `{"op":"fetch"}`, "unknown_op"},
		{"no op", granted, `{}`, "bad_request"},
		{"unknown field", granted, `{"op":"notify","text":"12345","to":"everyone"}`, "bad_request"},
		{"field of another case", granted, `{"OP":"notify","text":"12345"}`, "bad_request"},
		{"wrong kind", granted, `{"op":7}`, "bad_request"},
		{"twice", granted, `{"op":"notify","op":"notify","text":"12345"}`, "bad_request"},
		{"trailing", granted, `{"op":"notify","text":"12345"}]`, "bad_request"},
		{"nothing", granted, ``, "bad_request"},
		{"not an object", granted, `[]`, "bad_request"},
		{"bad UTF-8", granted, "{\"op\":\"\xff\"}", "bad_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := new(script).with(opCall, c.request).do(opResult, scratch, 10_000).do(opEmitLast, scratch).run(t, c.app)
			if inv.Outcome != plugins.OK {
				t.Fatalf("%s: %s", inv.Outcome, inv.Err)
			}
			got := outputs(inv)
			answer := got[len(got)-1]
			if c.want == `{"ok":true}` {
				if answer != "output "+c.want || len(got) != 2 {
					t.Errorf("outputs %q, want a notification and %s", got, c.want)
				}
				return
			}
			if !strings.Contains(answer, `"code":"`+c.want+`"`) || len(got) != 1 {
				t.Errorf("outputs %q, want only an answer of %s", got, c.want)
			}
		})
	}
}

func TestNotificationsAreKeptApart(t *testing.T) {
	a := load(t, app(t, "notes", guestFile(t, "script", allCaps), grantable...))
	notify := func(uid string, end int64) (sent bool, answer string) {
		s := new(script).with(opCall, `{"op":"notify","text":"hello"}`).do(opResult, scratch, 1000).do(opEmitLast, scratch).do(opReturn, end)
		inv, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, UID: uid, Payload: s.payload()})
		if err != nil {
			t.Fatal(err)
		}
		got := outputs(inv)
		if len(got) == 0 {
			return false, ""
		}
		return len(got) == 2, got[len(got)-1]
	}
	if sent, _ := notify("u", 1); sent {
		t.Error("a notification of a failed invocation was sent")
	}
	if sent, answer := notify("u", 0); !sent {
		t.Errorf("the slot was taken by the failed invocation: %s", answer)
	}
	if sent, answer := notify("u", 0); sent || !strings.Contains(answer, "rate_limited") {
		t.Errorf("a second one at once: sent %v, %s", sent, answer)
	}
	if sent, answer := notify("v", 0); !sent {
		t.Errorf("another user's: %s", answer)
	}
	twice := new(script).with(opCall, `{"op":"notify","text":"hello"}`).with(opCall, `{"op":"notify","text":"again"}`).run(t, openScript(t, allCaps))
	if got := outputs(twice); len(got) != 1 {
		t.Errorf("one invocation sent %q, want the first only", got)
	}
}

func TestInvokeRefusesWhatCanNotBeJudged(t *testing.T) {
	a := openScript(t, `{"name":"script","version":"1","events":{"transcript":{}},"capabilities":[{"name":"notify","reason":"x"}]}`)
	if _, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindAudio}); err == nil || !strings.Contains(err.Error(), "does not hold") {
		t.Errorf("an event it does not get: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Invoke(ctx, apps.Event{Kind: event.KindTranscript, Payload: new(script).payload()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, Payload: new(script).payload()}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestLimitsAreTheOperatorsElseTheManifestsElseTheDefaults(t *testing.T) {
	suggests := strings.Replace(allCaps, `"events"`, `"limits": {"fuel": 7000, "wall_ms": 100}, "events"`, 1)
	own := app(t, "notes", guestFile(t, "script", suggests), grantable...)
	own.Limits.Fuel = 9000
	for _, c := range []struct {
		name  string
		app   *apps.App
		kind  event.Kind
		fuel  uint64
		wall  time.Duration
		bytes int64
	}{
		{"default", openScript(t, allCaps), event.KindAudio, 50e6, 250 * time.Millisecond, 64 << 20},
		{"default of a conversation", openScript(t, allCaps), event.KindConversation, 1000e6, 5 * time.Second, 64 << 20},
		{"manifest", openScript(t, suggests), event.KindConversation, 7000, 100 * time.Millisecond, 64 << 20},
		{"operator, then manifest", load(t, own), event.KindTranscript, 9000, 100 * time.Millisecond, 64 << 20},
		{"memory of the manifest", openScript(t, strings.Replace(allCaps, `"events"`, `"limits": {"memory_bytes": 1048576}, "events"`, 1)), event.KindAudio, 50e6, 250 * time.Millisecond, 1 << 20},
	} {
		if got := c.app.Limits(c.kind); got.Fuel != c.fuel || got.Wall != c.wall || c.app.Module.MemoryLimit() != c.bytes {
			t.Errorf("%s: %+v and %d bytes, want %d, %v, %d", c.name, got, c.app.Module.MemoryLimit(), c.fuel, c.wall, c.bytes)
		}
	}
}
