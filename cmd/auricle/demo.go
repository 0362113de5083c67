package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

const demoLong = `Shows the whole idea once, and checks that it happened: starts the host with a
configuration, plays a recorded conversation to it over a real WebSocket, prints
what the apps say as they say it, the completed conversation and what each app
took; then restarts the host and reads the conversation back.

It exits 0 only when the app named by -runaway was stopped by its limits while
every other app handled everything that was due to it, and the conversation was
there, whole, after the restart.`

func newDemoCommand() *cobra.Command {
	o := demoOptions{speed: 10}
	cmd := &cobra.Command{
		Use:     "demo [flags] RECORDING",
		Short:   "Show the whole idea on a recorded conversation, and check it",
		Long:    demoLong,
		Example: `  auricle demo -config config.hcl examples/conversations/budget-meeting`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.recording = args[0]
			c, err := loadConfig(o.config, cmd.Flags(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			c.TLS, c.Auth = config.TLS{}, config.Auth{} // it talks to itself, and to nobody else
			for _, address := range []*string{&c.Listen, &c.Operators.Listen} {
				if !config.Loopback(*address) {
					*address = "127.0.0.1:0"
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			d := demo{demoOptions: o, cfg: c, out: cmd.OutOrStdout(), log: hclog.New(&hclog.LoggerOptions{
				Name: "auricle", Level: hclog.Error, Output: cmd.ErrOrStderr(),
			})}
			return d.run(ctx)
		},
	}
	cmd.Flags().StringVar(&o.config, "config", "config.hcl", configFlagUsage)
	cmd.Flags().Var(&o.speed, "speed", "play `N` times as fast as live")
	cmd.Flags().StringVar(&o.runaway, "runaway", "runaway", "the `APP` that must be stopped by its limits")
	config.AddFlags(cmd.Flags())
	return cmd
}

type demoOptions struct {
	config    string
	recording string
	speed     speedFlag
	runaway   string
}

type demo struct {
	demoOptions
	cfg config.Config
	log hclog.Logger
	out io.Writer
}

// demoUID is whose conversation the demo plays.
const demoUID = "demo"

// run shows everything and returns what did not happen.
func (d *demo) run(ctx context.Context) error {
	var (
		stats     []dispatch.AppStats
		installed []installedApp
		played    playResult
		kept      store.Record
	)
	err := d.withHost(ctx, "host started", func(h *host.Host) (err error) {
		if played, err = d.play(ctx, h); err != nil {
			return err
		}
		if len(played.Completed) != 1 {
			return fmt.Errorf("%s completed, want 1", counted(len(played.Completed), "conversation"))
		}
		if kept, err = readConversation(ctx, h, played.Completed[0].ID); err != nil {
			return err
		}
		stats = h.Apps()
		for _, a := range h.Installed() {
			installed = append(installed, installedApp{name: a.Name, audio: a.Holds(event.CapAudio),
				conversation: a.Holds(event.CapConversation), piece: a.AudioPiece()})
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.printConversation(kept)
	if err := d.printTable(stats); err != nil {
		return err
	}
	if err := errors.Join(d.checkConversation(played.Completed[0], kept), d.checkApps(stats, installed, kept)); err != nil {
		return err
	}

	return d.withHost(ctx, "host restarted", func(h *host.Host) error {
		again, err := readConversation(ctx, h, kept.ID)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(again, kept) {
			return fmt.Errorf("conversation %s differs after the restart", kept.ID)
		}
		fmt.Fprintf(d.out, "conversation %s is there: %s, %s\n", again.ID,
			counted(len(again.Segments), "segment"), counted(len(again.Outputs), "output"))
		return nil
	})
}

// withHost runs f beside a serving host, and stops the host cleanly.
func (d *demo) withHost(ctx context.Context, what string, f func(*host.Host) error) (err error) {
	began := time.Now()
	h, err := host.New(ctx, host.Options{Config: d.cfg, Logger: d.log, Version: version().Version, Compiler: compiler})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve() }() // ends with Shutdown; waited for below
	fmt.Fprintf(d.out, "\n%s in %v, listening on %s\n", what, time.Since(began).Round(time.Millisecond), h.Addr())
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Drain)
		defer cancel()
		err = errors.Join(err, h.Shutdown(drain), <-served)
	}()
	return f(h)
}

func (d *demo) play(ctx context.Context, h *host.Host) (playResult, error) {
	rec, err := openRecording(d.recording)
	if err != nil {
		return playResult{}, err
	}
	fmt.Fprintf(d.out, "playing %s: %s, %s, %s times as fast as live\n\n", rec.Name, clock(rec.Duration()),
		counted(len(rec.Segments), "segment"), d.speed.String())
	p := newStreamPrinter(d.out, io.Discard, rec.Duration())
	o := recordingOptions(rec)
	o.URL, o.UID, o.Speed = "ws://"+h.Addr().String()+"/v1/stream", demoUID, float64(d.speed)
	o.OnMessage, o.OnSend = p.Message, p.Sent
	result, err := play(ctx, o)
	err = errors.Join(err, unackedError(result, err), p.Finish(), rec.Close())
	if err == nil {
		fmt.Fprintln(d.out, playSummary(&result))
	}
	return result, err
}

// readConversation reads a conversation back over HTTP.
func readConversation(ctx context.Context, h *host.Host, id string) (r store.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Addr().String()+"/v1/conversations/"+id, nil)
	if err != nil {
		return r, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, fmt.Errorf("reading conversation %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("reading conversation %s: the host answered %s", id, resp.Status)
	}
	return r, json.NewDecoder(resp.Body).Decode(&r)
}

// printConversation shows a completed conversation and what apps made of it.
func (d *demo) printConversation(r store.Record) {
	fmt.Fprintf(d.out, "\nconversation %s: %s\n", r.ID, conversationSummary(&r.Conversation))
	for _, s := range r.Segments {
		fmt.Fprintf(d.out, "  %5s  %-8s %s\n", clock(seconds(s.Start)), printable(s.Speaker), printable(s.Text))
	}
	for _, o := range r.Outputs {
		if o.Event != event.KindConversation.String() {
			continue
		}
		fmt.Fprintf(d.out, "\n%s made of it:\n    %s\n", printable(o.App), indented(outputText(o.Kind, o.Data), 4))
	}
}

// printTable shows what each app's invocations took.
func (d *demo) printTable(stats []dispatch.AppStats) error {
	fmt.Fprintln(d.out)
	tw := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "app\tinvocations\toutcomes\tfuel p50\tp99\twall p50\tp99\tdropped\t")
	for _, s := range stats {
		var outcomes []string
		for _, o := range slices.Sorted(maps.Keys(s.Outcomes)) {
			outcomes = append(outcomes, fmt.Sprintf("%s %d", o, s.Outcomes[o]))
		}
		micros := func(us uint64) string { return (time.Duration(us) * time.Microsecond).String() }
		fmt.Fprintf(tw, "%s\t%d\t%s\t%d\t%d\t%s\t%s\t%d\t\n", s.App, invocations(s), strings.Join(outcomes, ", "),
			s.Fuel.P50, s.Fuel.P99, micros(s.WallMicros.P50), micros(s.WallMicros.P99), dropped(s))
	}
	return tw.Flush()
}

// installedApp is what the demo must know of an app to tell what was due to it.
type installedApp struct {
	name                string
	audio, conversation bool
	piece               time.Duration // of audio in one event
}

func invocations(s dispatch.AppStats) (n int64) {
	for outcome, count := range s.Outcomes {
		if outcome != apps.Dropped && outcome != apps.Rejected {
			n += count
		}
	}
	return n
}

func dropped(s dispatch.AppStats) (n int64) {
	for _, count := range s.Dropped {
		n += count
	}
	return n
}

// checkConversation reports what the stored conversation lacks.
func (d *demo) checkConversation(told event.Conversation, kept store.Record) error {
	rec, err := openRecording(d.recording)
	if err != nil {
		return err
	}
	var errs []error
	if len(kept.Segments) != len(rec.Segments) {
		errs = append(errs, fmt.Errorf("the stored conversation has %s of %d", counted(len(kept.Segments), "segment"), len(rec.Segments)))
	}
	if !reflect.DeepEqual(told.Segments, kept.Segments) {
		errs = append(errs, errors.New("the stored conversation differs from the one that the client was told"))
	}
	return errors.Join(append(errs, rec.Close())...)
}

// checkApps reports each app that did not do what it should have.
func (d *demo) checkApps(stats []dispatch.AppStats, installed []installedApp, kept store.Record) error {
	var errs []error
	stopped := false
	for i, s := range stats {
		if s.App == d.runaway {
			stopped = s.Outcomes[plugins.FuelExhausted]+s.Outcomes[plugins.DeadlineExceeded] > 0 && s.Outcomes[plugins.OK] == 0
			continue
		}
		if n := s.Outcomes[plugins.OK]; n == 0 || n != invocations(s) || dropped(s) > 0 {
			errs = append(errs, fmt.Errorf("app %q: %d of %s ended ok, %s dropped; want all, and none", s.App, n,
				counted(int(invocations(s)), "invocation"), counted(int(dropped(s)), "event")))
		}
		a := installed[i]
		if want := pieces(kept.AudioMillis, a.piece); a.audio && outputs(kept, s.App, event.KindAudio) < want {
			errs = append(errs, fmt.Errorf("app %q: %s for audio are stored, want %d", s.App,
				counted(outputs(kept, s.App, event.KindAudio), "output"), want))
		}
		if a.conversation && outputs(kept, s.App, event.KindConversation) == 0 {
			errs = append(errs, fmt.Errorf("app %q: no output for the conversation is stored", s.App))
		}
	}
	if !stopped {
		errs = append(errs, fmt.Errorf("app %q was not stopped by its limits each time", d.runaway))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\n%s was stopped by its limits, each time; the other apps missed nothing\n", d.runaway)
	return nil
}

// pieces returns how many events ms of audio make.
func pieces(ms int64, piece time.Duration) int {
	if piece <= 0 {
		return 0
	}
	return int((ms + piece.Milliseconds() - 1) / piece.Milliseconds())
}

// outputs counts what an app emitted for one kind of event.
func outputs(r store.Record, app string, k event.Kind) (n int) {
	for _, o := range r.Outputs {
		if o.App == app && o.Event == k.String() && o.Kind == event.OutputEmitted {
			n++
		}
	}
	return n
}
