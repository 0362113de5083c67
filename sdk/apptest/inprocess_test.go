package apptest_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// notifier is an app with f as its handlers.
func notifier(f func(ctx *sdk.Context) error) sdk.App {
	return sdk.App{
		Name: "subject", Version: "1", Wants: []sdk.Want{sdk.Optional(sdk.Notify("to be tested"))},
		OnTranscript:   func(ctx *sdk.Context, _ *event.Transcript) error { return f(ctx) },
		OnConversation: func(ctx *sdk.Context, _ *event.Conversation) error { return f(ctx) },
	}
}

// fake is a testing.TB that keeps what a run says of a failed test.
type fake struct {
	testing.TB
	failure string
}

func (f *fake) Fatal(args ...any)                 { f.failure = fmt.Sprint(args...); runtime.Goexit() }
func (f *fake) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }
func (f *fake) Helper()                           {}

// failure returns what a run that fails its test says.
func failure(t *testing.T, run func(t testing.TB)) string {
	f := &fake{TB: t}
	done := make(chan struct{})
	go func() { // ends when the run returns or fails
		defer close(done)
		run(f)
	}()
	<-done
	return f.failure
}

func TestEffectsTakeHoldOnlyWhenAllIsWell(t *testing.T) {
	for _, c := range []struct {
		name    string
		end     func() error
		outcome apptest.Outcome
		err     string
	}{
		{"nil", func() error { return nil }, apptest.OK, ""},
		{"an error", func() error { return errors.New("no luck") }, apptest.AppError, `app "subject": on transcript: no luck`},
		{"a panic", func() error { panic("bad luck") }, apptest.AppError, `app "subject": on transcript: panic: bad luck; stack: `},
		{"a panic with an error", func() error { panic(errors.New("worse luck")) }, apptest.AppError, "panic: worse luck; stack: "},
		{"a bad index", func() error { var s []string; return errors.New(s[len(s)]) }, apptest.AppError, "panic: runtime error: index out of range [0] with length 0; stack: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := notifier(func(ctx *sdk.Context) error {
				ctx.Warnf("about to %s", "end")
				if err := errors.Join(ctx.Emit(map[string]int{"<a>": 1}), ctx.Notify("  hello  ")); err != nil {
					return err
				}
				return c.end()
			})
			res := apptest.Run(t, app, apptest.Options{}, apptest.Say("Ann", "x")).Results[0]
			if res.Outcome != c.outcome || !strings.HasPrefix(strings.TrimPrefix(res.Error, `app "subject": on transcript: `), strings.TrimPrefix(c.err, `app "subject": on transcript: `)) {
				t.Errorf("got %s: %q, want %s: %q", res.Outcome, res.Error, c.outcome, c.err)
			}
			if len(res.Log) != 1 || res.Log[0] != (apptest.LogLine{Level: "warn", Text: "about to end"}) {
				t.Errorf("got log %v", res.Log)
			}
			held := len(res.Outputs) == 1 && string(res.Outputs[0]) == `{"<a>":1}` && len(res.Notifications) == 1 && res.Notifications[0] == "hello"
			none := len(res.Outputs) == 0 && len(res.Notifications) == 0
			if c.outcome == apptest.OK && !held || c.outcome != apptest.OK && !none {
				t.Errorf("got outputs %s and notifications %q", res.Outputs, res.Notifications)
			}
		})
	}
}

func TestNotifyIsRefusedAsInAHost(t *testing.T) {
	for _, c := range []struct {
		name string
		o    apptest.Options
		text []string
		want []error
	}{
		{"granted", apptest.Options{}, []string{"hello"}, []error{nil}},
		{"not granted", apptest.Options{Ungranted: []event.Capability{event.CapNotify}}, []string{"hello"}, []error{sdk.ErrNotGranted}},
		{"a moment ago", apptest.Options{RecentlyNotified: true}, []string{"hello"}, []error{sdk.ErrRateLimited}},
		{"twice", apptest.Options{}, []string{"hello", "again"}, []error{nil, sdk.ErrRateLimited}},
		{"4, 5, 150 and 151 characters", apptest.Options{}, []string{"éééé", strings.Repeat("é", 151), strings.Repeat("é", 150)}, []error{sdk.ErrBadText, sdk.ErrBadText, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := notifier(func(ctx *sdk.Context) error {
				for i, text := range c.text {
					if err := ctx.Notify(text); !errors.Is(err, c.want[i]) {
						return fmt.Errorf("notification %d: got %v, want %v", i, err, c.want[i])
					}
				}
				return nil
			})
			apptest.Run(t, app, c.o, apptest.Say("Ann", "x")).OK(t)
		})
	}
}

func TestOutputBeyondTheLimitsEndsTheInvocation(t *testing.T) {
	emit := func(n, size int) func(*sdk.Context) error {
		return func(ctx *sdk.Context) error {
			for range n {
				if err := ctx.Emit(strings.Repeat("x", size-2)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	conversation, transcript := &event.Conversation{}, &event.Transcript{}
	for _, c := range []struct {
		name string
		f    func(*sdk.Context) error
		e    apptest.Event
		want string // in the error; "" for none
	}{
		{"64 outputs", emit(64, 10), transcript, ""},
		{"65 outputs", emit(65, 10), transcript, "more than 64 outputs"},
		{"64 KiB", emit(1, 64<<10), transcript, ""},
		{"64 KiB and a byte", emit(1, 64<<10+1), transcript, "an output of 65537 bytes, at most 65536"},
		{"256 KiB", emit(4, 64<<10), transcript, ""},
		{"more than 256 KiB", emit(5, 64<<10), transcript, "outputs of more than 262144 bytes"},
		{"1 MiB of a conversation", emit(16, 64<<10), conversation, ""},
		{"more than 1 MiB of a conversation", emit(17, 64<<10), conversation, "outputs of more than 1048576 bytes"},
		{"a panic is recovered, the end is not", func(ctx *sdk.Context) error {
			func() {
				defer func() { _ = recover() }()
				_ = emit(65, 10)(ctx)
			}()
			return nil
		}, transcript, "more than 64 outputs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := apptest.Run(t, notifier(c.f), apptest.Options{}, c.e).Results[0]
			switch {
			case c.want == "" && res.Outcome != apptest.OK:
				t.Errorf("got %s: %s, want ok", res.Outcome, res.Error)
			case c.want != "" && (res.Outcome != apptest.AppError || !strings.Contains(res.Error, c.want)):
				t.Errorf("got %s: %s, want app_error with %q", res.Outcome, res.Error, c.want)
			}
		})
	}
}

func TestLogIsCut(t *testing.T) {
	app := notifier(func(ctx *sdk.Context) error {
		ctx.Log(sdk.LevelTrace, "one\ntwo\n")
		for range 9 {
			ctx.Infof("%s", strings.Repeat("x", 1000))
		}
		return nil
	})
	res := apptest.Run(t, app, apptest.Options{}, &event.Transcript{}).OK(t).Results[0]
	kept := 0
	for _, l := range res.Log {
		kept += len(l.Text)
	}
	if res.Log[1].Text != "two" || kept > 8<<10 || kept+res.LogCut != 9006 {
		t.Errorf("kept %d bytes and cut %d", kept, res.LogCut)
	}
}

func TestAnEventIsFilledInAndItsCopyHandedOut(t *testing.T) {
	mine := apptest.Say("Ann", "hello")
	app := notifier(nil)
	app.OnTranscript = func(ctx *sdk.Context, e *event.Transcript) error {
		if e.UID != apptest.DefaultUID || e.Session != apptest.DefaultSession || e.Conversation != apptest.DefaultConversation {
			return fmt.Errorf("got ids %q %q %q", e.UID, e.Session, e.Conversation)
		}
		e.Segments[0].Text = "changed"
		return nil
	}
	app.OnConversation = func(ctx *sdk.Context, e *event.Conversation) error {
		if e.StartedAt.IsZero() || e.CompletedAt.Sub(e.StartedAt) != 2*time.Second || e.Reason != event.ReasonFinish {
			return fmt.Errorf("got %v to %v, %s", e.StartedAt, e.CompletedAt, e.Reason)
		}
		return nil
	}
	app.OnAudio = func(ctx *sdk.Context, e *event.Audio) error {
		if e.Rate != apptest.DefaultRate || e.Channels != 1 || e.Duration() != time.Second {
			return fmt.Errorf("got %d Hz, %d channels, %v", e.Rate, e.Channels, e.Duration())
		}
		return nil
	}
	apptest.Run(t, app, apptest.Options{}, mine, &event.Conversation{Segments: mine.Segments},
		&event.Audio{PCM: apptest.Sine(apptest.DefaultRate, 440, 1, time.Second)}).OK(t)
	if mine.Segments[0].Text != "hello" || mine.UID != "" {
		t.Errorf("the test's own event became %+v", mine)
	}
}

func TestWhatCannotBeRunFailsTheTest(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	transcript := &event.Transcript{}
	for _, c := range []struct {
		name string
		run  func(t testing.TB)
		want string
	}{
		{"a bad app", func(t testing.TB) { apptest.Run(t, sdk.App{Name: "a"}, apptest.Options{}, transcript) }, "the host would refuse the app"},
		{"settings that are no JSON", func(t testing.TB) {
			apptest.Run(t, notifier(nil), apptest.Options{Settings: "words"}, transcript)
		}, "Options.Settings are not JSON"},
		{"a handler that never returns", func(t testing.TB) {
			app := notifier(func(*sdk.Context) error { <-release; return nil })
			apptest.Run(t, app, apptest.Options{Timeout: time.Millisecond}, transcript)
		}, "has not returned after 1ms"},
		{"a handler that ends its goroutine", func(t testing.TB) {
			apptest.Run(t, notifier(func(*sdk.Context) error { runtime.Goexit(); return nil }), apptest.Options{}, transcript)
		}, "runtime.Goexit"},
		{"notifying without wanting to", func(t testing.TB) {
			app := notifier(func(ctx *sdk.Context) error { _ = ctx.Notify("hello"); return nil })
			app.Wants = nil
			apptest.Run(t, app, apptest.Options{}, transcript)
		}, `put sdk.Notify("why") in App.Wants`},
		{"a bad outcome, when all should be OK", func(t testing.TB) {
			app := notifier(func(ctx *sdk.Context) error { ctx.Infof("a clue"); return errors.New("no luck") })
			apptest.Run(t, app, apptest.Options{}, transcript).OK(t)
		}, "event 0 (transcript): outcome app_error: app \"subject\": on transcript: no luck\nlog:\n\tinfo: a clue"},
		{"an output of another shape", func(t testing.TB) {
			r := apptest.Run(t, notifier(func(ctx *sdk.Context) error { return ctx.Emit(map[string]int{"a": 1}) }), apptest.Options{}, transcript)
			apptest.Decode[struct{ B int }](t, r)
		}, `unknown field "a"`},
		{"no app", func(t testing.TB) { apptest.Registered(t) }, "no app is registered"},
		{"a missing recording", func(t testing.TB) { apptest.Conversation(t, "testdata/none.json") }, "none.json"},
		{"options that a module can't have", func(t testing.TB) {
			apptest.RunModule(t, "x.wasm", apptest.Options{Ungranted: []event.Capability{event.CapNotify}}, transcript)
		}, "in-process only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := failure(t, c.run); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestAnUnhandledEventIsTheAppsError(t *testing.T) {
	res := apptest.Run(t, notifier(nil), apptest.Options{}, &event.Audio{}).Results[0]
	if res.Outcome != apptest.AppError || !strings.Contains(res.Error, `app "subject" has no handler for audio events`) {
		t.Errorf("got %s: %s", res.Outcome, res.Error)
	}
}
