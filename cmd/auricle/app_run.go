package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

const appRunLong = `Plays a conversation to one module, with no host and no waiting, and shows for
each event what the app made of it: outcome, outputs, log, fuel, time, memory.
The module gets every capability that its manifest asks for, and the limits that
its manifest or the host's defaults give.

The conversation is a recording (-conversation with a directory or a transcript
file, -wav with a WAV file, or both), sliced as a host would slice it: a
transcript event for each segment, audio in the pieces that the manifest asks
for, and the completed conversation at the end. Or it is an events file, one
JSON object a line ("-" reads standard input):

  {"kind": "transcript", "payload": {"segments": [{"id": "1", "text": "Hello"}]}}
  {"kind": "audio", "payload": {"rate": 16000, "start": 0, "pcm_base64": "…"}}
  {"kind": "conversation", "payload": {"segments": […]}}

An app that asks for state "session" keeps its memory for each session that the
events name ("session" and "uid" in a payload); all are one when they name none.

Web services are called with -http only, those that the manifest names; without
it the app is told not_granted. -http-private lets it reach addresses that are
not public, such as a service of your own on 127.0.0.0/8, and -http-header has
a header put in as a host would: its value is an environment variable's.

It exits 0 when every outcome is ok, and 3 when any is not.

With -replay, it runs one invocation of a host again, from a recording that
"auricle replays get" fetched ("-" reads standard input): the same event,
settings and limits, and what the clocks, the random numbers and the host
answered then. The same module then ends the same way, after the same fuel to
the unit; no time passes meanwhile. Of another module, such as one that is
mended, it says what came out otherwise. It exits 0 when all went as recorded,
whatever the outcome, and 1 when it did not.`

// appRunOptions are the flags and arguments of auricle app run.
type appRunOptions struct {
	module, settings              string
	conversation, wav, eventsFile string
	replay                        string
	json                          bool
	http                          bool
	httpPrivate, httpHeaders      []string
}

// check returns what is wrong with the combination of flags.
func (o *appRunOptions) check() error {
	recorded := o.conversation != "" || o.wav != ""
	switch {
	case !o.http && len(o.httpPrivate)+len(o.httpHeaders) > 0:
		return usagef("-http-private and -http-header have no effect without -http")
	case o.http && o.replay != "":
		return usagef("-replay goes without -http: it has the services' answers itself")
	case o.replay != "" && (recorded || o.eventsFile != "" || o.settings != ""):
		return usagef("-replay goes without -conversation, -wav, -events and -settings: it has the event and the settings itself")
	case recorded && o.eventsFile != "":
		return usagef("-events goes without -conversation and -wav: it has all the events itself")
	case !recorded && o.eventsFile == "" && o.replay == "":
		return usagef("nothing to play to the module; name a recording with -conversation or -wav, an events file with -events, or a recorded invocation with -replay")
	}
	return nil
}

func newAppRunCommand() *cobra.Command {
	var o appRunOptions
	cmd := &cobra.Command{
		Use:   "run [flags] MODULE",
		Short: "Play a conversation to one module",
		Long:  appRunLong,
		Example: `  auricle app run -conversation examples/conversations/budget-meeting build/apps/minutes.wasm
  auricle app run -wav talk.wav build/apps/loudness.wasm
  auricle app run -json -settings settings.json -events events.jsonl keywords.wasm
  auricle app run -http -http-private 127.0.0.0/8 -events events.jsonl lookup.wasm
  auricle replays get i_01k8… > failure.json
  auricle app run -replay failure.json keywords.wasm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.module = args[0]
			if err := o.check(); err != nil {
				return err
			}
			if o.replay != "" {
				return runAppReplay(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			return runAppRun(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.conversation, "conversation", "", "the `RECORDING` to play: a directory, or a transcript file")
	f.StringVar(&o.wav, "wav", "", "the WAV `FILE` to play, alone or instead of the recording's own")
	f.StringVar(&o.eventsFile, "events", "", "the events `FILE` to play; \"-\" is standard input")
	f.StringVar(&o.replay, "replay", "", "the recorded invocation to run again: a `FILE`; \"-\" is standard input")
	f.StringVar(&o.settings, "settings", "", "the app's settings: a JSON `FILE`")
	f.BoolVar(&o.http, "http", false, "let the app call the web services that its manifest names")
	f.StringSliceVar(&o.httpPrivate, "http-private", nil, "addresses that are not public and may be reached: `CIDR`s")
	f.StringSliceVar(&o.httpHeaders, "http-header", nil, "a header put into requests, its value from a variable: `NAME=VARIABLE`")
	f.BoolVar(&o.json, "json", false, "print the results as JSON, one object a line")
	return cmd
}

func runAppRun(ctx context.Context, o appRunOptions, stdin io.Reader, stdout io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	settings, err := readSettings(o.settings)
	if err != nil {
		return err
	}
	web, err := o.web(os.Getenv)
	if err != nil {
		return err
	}
	// What is to be played is opened first: it fails fast, a module takes a
	// second or two to compile.
	var rec *recording
	var file io.Reader = stdin
	if o.eventsFile == "" {
		if rec, err = openRecordingParts("", o.conversation, o.wav); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rec.Close()) }()
	} else if o.eventsFile != "-" {
		f, openErr := os.Open(o.eventsFile)
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		file = f
	}

	return withEngine(ctx, o.module, func(e *plugins.Engine, name string, wasm []byte) (err error) {
		app, err := apps.Open(ctx, e, name, wasm, settings)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, app.Close(context.WithoutCancel(ctx))) }()
		if o.http {
			app.CallWeb(web)
		}

		var events iter.Seq2[appEvent, error]
		switch {
		case rec != nil:
			events = recordingEvents(rec, &app.Manifest, time.Now().UTC())
		case o.eventsFile == "-":
			events = fileEvents(file, "standard input")
		default:
			events = fileEvents(file, o.eventsFile)
		}
		var show runPrinter = newRunText(stdout)
		if o.json {
			show = &runJSON{enc: json.NewEncoder(stdout)}
		}
		return invokeAll(ctx, app, events, show)
	})
}

// web returns how the app may call web services, by the flags.
func (o *appRunOptions) web(getenv func(string) string) (config.AppHTTP, error) {
	var c config.AppHTTP
	for _, text := range o.httpPrivate {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return c, usagef("-http-private: %q is no range of addresses; write one such as 127.0.0.0/8", text)
		}
		c.Private = append(c.Private, p.Masked())
	}
	for _, text := range o.httpHeaders {
		name, variable, ok := strings.Cut(text, "=")
		name = http.CanonicalHeaderKey(name)
		if !ok || !httpguts.ValidHeaderFieldName(name) || config.ReservedHeader(name) {
			return c, usagef("-http-header: want a header's name, = and an environment variable's, such as Authorization=API_KEY")
		}
		value := getenv(variable)
		if value == "" || !httpguts.ValidHeaderFieldValue(value) {
			return c, usagef("-http-header: the environment variable %s is not set, or holds what no header may", variable)
		}
		c.Headers = append(c.Headers, config.AppHTTPHeader{Name: name, Value: config.NewSecret(value)})
	}
	return c, nil
}

// runPrinter shows a run as it goes.
type runPrinter interface {
	Begin(*apps.App) error
	Event(appEvent, apps.Invocation) error
	End() error
}

// invokeAll calls the app with each event in turn. A bad outcome does not stop
// it: the app's next invocation begins as it would in a host.
func invokeAll(ctx context.Context, app *apps.App, events iter.Seq2[appEvent, error], show runPrinter) error {
	if err := show.Begin(app); err != nil {
		return err
	}
	type owner struct{ uid, session string }
	states := map[owner]*apps.SessionState{}
	defer func() {
		for _, s := range states {
			s.Close()
		}
	}()
	handles := app.Manifest.Events.Kinds()
	played, bad := 0, 0
	for ev, err := range events {
		if err != nil {
			return err
		}
		if !slices.Contains(handles, ev.Kind) {
			return fmt.Errorf("event %d: app %q does not handle %s events; its manifest says that it handles %s", played+1, app.Name, ev.Kind, kindNames(handles))
		}
		whose := owner{ev.UID, ev.Session}
		if states[whose] == nil {
			states[whose] = &apps.SessionState{}
		}
		inv, err := app.Invoke(ctx, apps.Event{
			Kind: ev.Kind, UID: ev.UID, Session: ev.Session, Conversation: ev.Conversation, Payload: ev.Payload,
			State: states[whose],
		})
		if err != nil {
			return fmt.Errorf("event %d: %w", played+1, err)
		}
		played++
		if inv.Outcome != plugins.OK {
			bad++
		}
		if err := show.Event(ev, inv); err != nil {
			return err
		}
	}
	if played == 0 {
		return fmt.Errorf("nothing that is played makes an event for app %q, which handles %s", app.Name, kindNames(handles))
	}
	if err := show.End(); err != nil {
		return err
	}
	if bad > 0 {
		return &exitError{code: exitOutcome}
	}
	return nil
}

func kindNames(ks []event.Kind) string {
	if len(ks) == 0 {
		return "none"
	}
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.String()
	}
	return strings.Join(names, ", ")
}

// readSettings reads an app's settings, a JSON object. No path means none.
func readSettings(path string) (json.RawMessage, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := decodeStrict(b, &object); err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	if object == nil {
		return nil, fmt.Errorf("%s:1:1: the settings are null; they must be a JSON object", path)
	}
	return b, nil
}
