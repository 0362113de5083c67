package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/sdk/client"
)

// defaultStreamURL is where a host listens when nothing else is configured.
const defaultStreamURL = "ws://127.0.0.1:7080/v1/stream"

const streamLong = `Plays a recorded conversation to a running host as a client would live: sound
as it would be heard, each segment of the transcript when it has been said, and
an end that completes the conversation. Prints what comes back.

RECORDING is a directory with a transcript.json, a transcript file, or a WAV
file (16-bit PCM or mu-law, 8 to 48 kHz, mono or stereo). With -transcript, the
recording is a WAV file and the transcript comes from there.

A stream that breaks, or that the host closes for a while, is resumed; nothing
is sent twice, and nothing is missing.

It exits 0 only when the host took everything and closed the stream properly.
Ctrl-C ends the conversation early; what was sent is completed. A second Ctrl-C
ends at once.`

func newStreamCommand() *cobra.Command {
	var o streamOptions
	cmd := &cobra.Command{
		Use:   "stream [flags] RECORDING",
		Short: "Play a recorded conversation to a host",
		Long:  streamLong,
		Example: `  auricle stream examples/conversations/budget-meeting
  auricle stream -speed 4 -uid ana talk.wav
  auricle stream -speed max -json -transcript talk.json talk.wav > messages.jsonl`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && o.transcript == "" {
				return usagef("nothing to play; name a WAV file, a transcript, or a directory with both")
			}
			if len(args) > 0 {
				o.recording = args[0]
			}
			return runStream(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.speed = 1
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", defaultStreamURL, "the host's `ADDRESS`: a ws:// or wss:// URL, or host:port")
	addCAFlag(f, &o.ca)
	f.StringVar(&o.uid, "uid", "demo", "the `USER` whose conversation it is")
	f.Var(&o.speed, "speed", "`N` times as fast as live, or \"max\" for as fast as the host takes it")
	f.StringVar(&o.transcript, "transcript", "", "the transcript `FILE` to play")
	f.StringVar(&o.language, "language", "", "the conversation's language, as BCP 47 `TAG`; without it, the transcript's")
	f.DurationVar(&o.retry, "retry", time.Minute, "for how `LONG` a stream that broke is tried again; 0: not at all")
	f.BoolVar(&o.json, "json", false, "print every message of the host as it came, one JSON object a line")
	return cmd
}

// streamOptions are the flags and arguments of auricle stream.
type streamOptions struct {
	addr, ca              string
	uid, language         string
	recording, transcript string
	speed                 speedFlag
	json                  bool
	retry                 time.Duration
}

// runStream plays and prints. Signals end it politely the first time.
func runStream(ctx context.Context, o streamOptions, stdout, stderr io.Writer) (err error) {
	target, err := streamURL(o.addr)
	if err != nil {
		return err
	}
	rec, err := openRecordingParts(o.recording, o.transcript, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rec.Close()) }()

	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on, a signal has its usual effect

	opts := recordingOptions(rec)
	opts.URL, opts.UID, opts.Speed, opts.RetryFor = target, o.uid, float64(o.speed), o.retry
	if opts.TLS, err = trust(o.ca); err != nil {
		return err
	}
	if o.language != "" {
		opts.Language = o.language
	}
	if o.json {
		out := errWriter{w: stdout}
		opts.OnMessage = func(m client.Message) { out.printf("%s\n", m.Raw) }
		opts.OnRetry = func(r client.Retry) { fmt.Fprintln(stderr, retryText(r)) } // best effort
		result, err := play(ctx, opts)
		return errors.Join(err, out.err, unackedError(result, err))
	}

	p := newStreamPrinter(stdout, stderr, rec.Duration())
	opts.OnMessage, opts.OnSend, opts.OnRetry = p.Message, p.Sent, p.Retry
	result, err := play(ctx, opts)
	err = errors.Join(err, p.Finish(), unackedError(result, err))
	if result.Session != "" {
		_, printErr := fmt.Fprintln(stdout, playSummary(&result))
		err = errors.Join(err, printErr)
	}
	return err
}

// recordingOptions says how to play a recording, once; where to and how fast
// is for the caller to add.
func recordingOptions(rec *recording) playOptions {
	o := playOptions{
		Language: rec.Language,
		Source:   "auricle stream",
		Metadata: rec.Metadata,
		Segments: rec.Segments,
	}
	if rec.Audio != nil {
		o.Audio, o.Format = rec.Audio.Reader(), rec.Audio.Format
	}
	return o
}

// unackedError is about content that a host refused or never acknowledged,
// though it took the stream to its proper end. After a failure the summary
// tells that.
func unackedError(r playResult, err error) error {
	switch what := r.Unacked(); {
	case err != nil:
		return nil
	case r.Refused > 0:
		return fmt.Errorf("the host refused %s", counted(r.Refused, "message"))
	case what != "":
		return fmt.Errorf("the host never acknowledged %s", what)
	}
	return nil
}

// playSummary says in a line what was sent and what came back.
func playSummary(r *playResult) string {
	sent := counted(r.Transcripts, "segment")
	if r.AudioBytes > 0 {
		sent = megabytes(r.AudioBytes) + " of audio and " + sent
	}
	acked := "all acknowledged"
	if what := r.Unacked(); what != "" {
		acked = "not acknowledged: " + what
	}
	text := fmt.Sprintf("sent %s in %v (%s); got %s", sent, r.Elapsed.Round(100*time.Millisecond), acked, counted(r.Outputs, "output"))
	if r.Gaps > 0 {
		text += ", " + counted(r.Gaps, "gap")
	}
	if n := r.Connections - 1; n > 0 {
		text += ", resumed " + counted(n, "time")
	}
	if r.Errors > 0 {
		text += ", " + counted(r.Errors, "error")
	}
	return text
}

// streamURL completes an address to the URL of a host's stream.
func streamURL(addr string) (string, error) {
	if !strings.Contains(addr, "://") {
		addr = "ws://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" {
		return "", usagef("-addr %q is no address; write it like %s or 127.0.0.1:7080", addr, defaultStreamURL)
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	case "ws", "wss":
	default:
		return "", usagef("-addr %q: the scheme must be ws or wss", addr)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/stream"
	}
	return u.String(), nil
}

// speedFlag is a speed in times real time; asFastAsItGoes is written "max".
type speedFlag float64

func (s *speedFlag) String() string {
	if float64(*s) == asFastAsItGoes {
		return "max"
	}
	return strconv.FormatFloat(float64(*s), 'g', -1, 64)
}

func (s *speedFlag) Set(text string) error {
	if text == "max" {
		*s = speedFlag(asFastAsItGoes)
		return nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return errors.New(`a number above 0, or "max"`)
	}
	*s = speedFlag(v)
	return nil
}

func (s *speedFlag) Type() string { return "N" }
